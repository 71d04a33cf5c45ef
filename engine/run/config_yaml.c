/* YAML into a configuration, by libyaml's events, whose marks give line and column.
 *
 * Only what a configuration needs is accepted: one document, a mapping of plain keys to scalars and to
 * sections of scalars. Aliases, anchors, tags, sequences, duplicate keys (which libyaml passes silently)
 * and files over 1 MiB are refused; nesting ends at two levels, since deeper flow brackets cost libyaml
 * quadratic time. Every scalar is collected first and set afterwards, task_library and task.name before the rest: which
 * options exist depends on the family. */
#include "engine/run/config_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "engine/core/file.h"
#include "rewards/library.h"

#define SIZE_LIMIT ((size_t)1 << 20)
#define ENTRY_LIMIT 512 /* more keys than any schema has; bounds the search for duplicates */

typedef struct entry {
    char name[WZ_CONFIG_NAME_MAX];
    char *value; /* NULL: a section, kept to find duplicates */
    bool is_plain;
    size_t key_line, key_column, value_line, value_column; /* from 1 */
} entry;

typedef struct yaml_reader {
    yaml_parser_t parser;
    const char *name;
    const char *text;
    const wz_config *config;
    bool is_foreign; /* load no library that it names */
    entry *entries;
    size_t count, capacity;
    wz_error *err;
} yaml_reader;

static wz_status fail_at(const yaml_reader *reader, const yaml_mark_t *mark, const char *message)
{
    return wz_fail(reader->err, WZ_ERR_USAGE, "%s:%zu:%zu: %s", reader->name, mark->line + 1,
                   mark->column + 1, message);
}

/* Puts name:line:column before the message that is there. */
static wz_status prefix_at(const yaml_reader *reader, size_t line, size_t column, wz_status status)
{
    return wz_fail_prefix(reader->err, status, "%s:%zu:%zu: ", reader->name, line, column);
}

/* Errors below the scanner (encoding, control characters) carry a byte offset and no mark. */
static wz_status fail_parser(const yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR)
        return wz_fail(reader->err, WZ_ERR_RESOURCE, "%s: out of memory while reading YAML", reader->name);
    if (parser->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < parser->problem_offset; ++i) {
            mark.column = reader->text[i] == '\n' ? 0 : mark.column + 1;
            mark.line += reader->text[i] == '\n';
        }
    }
    return wz_fail(reader->err, WZ_ERR_USAGE, "%s:%zu:%zu: not valid YAML: %s", reader->name, mark.line + 1,
                   mark.column + 1, parser->problem != NULL ? parser->problem : "unreadable");
}

/* What no configuration needs, in an event that the parser accepted; NULL: nothing. */
static const char *refused(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "aliases are not accepted; write the value out";
    case YAML_DOCUMENT_START_EVENT:
        if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
            return "tag directives are not accepted";
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        return "anchors are not accepted; write each value where it is used";
    return tag != NULL ? "tags are not accepted; types follow from the keys" : NULL;
}

/* The caller deletes the event, after failure too. */
static wz_status next_event(yaml_reader *reader, yaml_event_t *event)
{
    memset(event, 0, sizeof *event);
    if (!yaml_parser_parse(&reader->parser, event))
        return fail_parser(reader);
    const char *what = refused(event);
    return what == NULL ? WZ_OK : fail_at(reader, &event->start_mark, what);
}

static wz_status expect_event(yaml_reader *reader, yaml_event_type_t type, const char *message)
{
    yaml_event_t event;
    wz_status status = next_event(reader, &event);
    if (status == WZ_OK && event.type != type)
        status = fail_at(reader, &event.start_mark, message);
    yaml_event_delete(&event);
    return status;
}

/* A new entry for the key `prefix.key`, refused when the name is there already. */
static wz_status add_entry(yaml_reader *reader, const char *prefix, const yaml_event_t *key, entry **out)
{
    const char *text = (const char *)key->data.scalar.value;
    bool nested = prefix[0] != '\0';
    entry item = {.key_line = key->start_mark.line + 1, .key_column = key->start_mark.column + 1};
    if (strlen(text) != key->data.scalar.length || strlen(prefix) + strlen(text) + 2 > sizeof item.name) {
        (void)wz_config_fail_unknown(reader->config, text, reader->err);
        return prefix_at(reader, item.key_line, item.key_column, WZ_ERR_USAGE);
    }
    size_t start = strlen(prefix) + (nested ? 1 : 0);
    memcpy(item.name, prefix, strlen(prefix));
    if (nested)
        item.name[start - 1] = '.';
    memcpy(item.name + start, text, strlen(text));
    for (size_t i = 0; i < reader->count; ++i) {
        const entry *other = &reader->entries[i];
        if (strcmp(other->name, item.name) == 0)
            return wz_fail(reader->err, WZ_ERR_USAGE, "%s:%zu:%zu: duplicate key '%s' (first in line %zu)",
                           reader->name, item.key_line, item.key_column, item.name, other->key_line);
    }
    if (reader->count == ENTRY_LIMIT)
        return fail_at(reader, &key->start_mark, "too many keys for a configuration");
    void *entries = reader->entries;
    wz_status status =
        wz_grow(&entries, &reader->capacity, reader->count + 1, sizeof item, "keys", reader->err);
    reader->entries = entries;
    if (status != WZ_OK)
        return status;
    reader->entries[reader->count] = item;
    *out = &reader->entries[reader->count++];
    return WZ_OK;
}

static wz_status fail_type(const yaml_reader *reader, const entry *item, const yaml_event_t *value)
{
    wz_config_place place;
    wz_text expected = {0};
    const char *found = value->type == YAML_SEQUENCE_START_EVENT ? "a list" : "a mapping";
    wz_status status = WZ_OK;
    if (wz_config_is_section(item->name)) {
        status = wz_fail(reader->err, WZ_ERR_USAGE, "%s: expected a mapping of its keys, found %s",
                         item->name, value->type == YAML_SCALAR_EVENT ? "a single value" : found);
    } else if (!wz_config_find(reader->config, item->name, &place)) {
        (void)wz_config_fail_unknown(reader->config, item->name, reader->err);
        return prefix_at(reader, item->key_line, item->key_column, WZ_ERR_USAGE);
    } else {
        status = wz_config_describe(&place, &expected, reader->err);
        if (status == WZ_OK)
            status = wz_fail(reader->err, WZ_ERR_USAGE, "%s: expected %s, found %s", item->name,
                             expected.data, found);
    }
    wz_text_clear(&expected);
    return prefix_at(reader, value->start_mark.line + 1, value->start_mark.column + 1, status);
}

static wz_status add_value(yaml_reader *reader, entry *item, const yaml_event_t *value)
{
    const char *text = (const char *)value->data.scalar.value;
    if (wz_config_is_section(item->name))
        return fail_type(reader, item, value);
    if (strlen(text) != value->data.scalar.length)
        return fail_at(reader, &value->start_mark, "a value must not hold a NUL character");
    void *copy = NULL;
    wz_status status = wz_alloc(&copy, strlen(text) + 1, 1, "a configuration value", reader->err);
    if (status != WZ_OK)
        return status;
    item->value = memcpy(copy, text, strlen(text) + 1);
    item->is_plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    item->value_line = value->start_mark.line + 1;
    item->value_column = value->start_mark.column + 1;
    return WZ_OK;
}

/* Items of a list, up to and including its end, as one value. */
static wz_status add_list(yaml_reader *reader, entry *item, const yaml_event_t *start)
{
    wz_text joined = {0};
    wz_status status = wz_text_append(&joined, "", 0, reader->err);
    for (bool end = false; status == WZ_OK && !end;) {
        yaml_event_t value;
        status = next_event(reader, &value);
        end = value.type == YAML_SEQUENCE_END_EVENT;
        const char *text = (const char *)value.data.scalar.value;
        if (status == WZ_OK && !end && value.type != YAML_SCALAR_EVENT)
            status = fail_at(reader, &value.start_mark, "a list's items must be plain values");
        else if (status == WZ_OK && !end &&
                 (text[0] == '\0' || strlen(text) != value.data.scalar.length || strchr(text, ',') != NULL))
            status = fail_at(reader, &value.start_mark, "a list's item must not be empty or hold a comma");
        else if (status == WZ_OK && !end)
            status = wz_text_printf(&joined, reader->err, "%s%s", joined.length > 0 ? ", " : "", text);
        yaml_event_delete(&value);
    }
    if (status != WZ_OK) {
        wz_text_clear(&joined);
        return status;
    }
    item->value = joined.data;
    item->is_plain = false;
    item->value_line = start->start_mark.line + 1;
    item->value_column = start->start_mark.column + 1;
    return WZ_OK;
}

static bool is_list(const yaml_reader *reader, const entry *item)
{
    wz_config_place place;
    return wz_config_find(reader->config, item->name, &place) && place.key != NULL &&
           place.key->type == WZ_KEY_LIST;
}

static wz_status read_mapping(yaml_reader *reader, const char *prefix);

static wz_status read_pair(yaml_reader *reader, const char *prefix, const yaml_event_t *key)
{
    yaml_event_t value;
    entry *item = NULL;
    wz_status status = add_entry(reader, prefix, key, &item);
    if (status != WZ_OK)
        return status;
    status = next_event(reader, &value);
    if (status == WZ_OK && value.type == YAML_SCALAR_EVENT) {
        status = add_value(reader, item, &value);
    } else if (status == WZ_OK && value.type == YAML_SEQUENCE_START_EVENT && is_list(reader, item)) {
        status = add_list(reader, item, &value);
    } else if (status == WZ_OK && value.type == YAML_MAPPING_START_EVENT && prefix[0] == '\0' &&
               wz_config_is_section(item->name)) {
        char section[WZ_CONFIG_NAME_MAX]; /* entries may move while the section is read */
        memcpy(section, item->name, sizeof section);
        status = read_mapping(reader, section);
    } else if (status == WZ_OK) {
        status = fail_type(reader, item, &value);
    }
    yaml_event_delete(&value);
    return status;
}

/* After the mapping's start, up to and including its end. Sections do not nest: depth is at most 2. */
static wz_status read_mapping(yaml_reader *reader, const char *prefix)
{
    for (;;) {
        yaml_event_t key;
        wz_status status = next_event(reader, &key);
        bool end = status == WZ_OK && key.type == YAML_MAPPING_END_EVENT;
        if (status == WZ_OK && !end && key.type != YAML_SCALAR_EVENT)
            status = fail_at(reader, &key.start_mark, "a key must be a plain name");
        else if (status == WZ_OK && !end)
            status = read_pair(reader, prefix, &key);
        yaml_event_delete(&key);
        if (status != WZ_OK || end)
            return status;
    }
}

static wz_status read_stream(yaml_reader *reader)
{
    wz_status status = expect_event(reader, YAML_STREAM_START_EVENT, "expected YAML");
    if (status == WZ_OK)
        status =
            expect_event(reader, YAML_DOCUMENT_START_EVENT, "the file is empty; expected keys and values");
    if (status == WZ_OK)
        status = expect_event(reader, YAML_MAPPING_START_EVENT, "expected a mapping of keys to values");
    if (status == WZ_OK)
        status = read_mapping(reader, "");
    if (status == WZ_OK)
        status = expect_event(reader, YAML_DOCUMENT_END_EVENT, "expected the end of the document");
    if (status == WZ_OK)
        status = expect_event(reader, YAML_STREAM_END_EVENT, "a second document; a configuration is one");
    return status;
}

static bool is_nothing(const entry *item)
{
    return item->is_plain &&
           (item->value[0] == '\0' || strcmp(item->value, "~") == 0 || strcmp(item->value, "null") == 0);
}

/* The library of a checkpoint, whose code must be asked for. */
static wz_status keep_library(const yaml_reader *reader, wz_config *config, const char *path)
{
    if (path[0] != '\0' && !wz_family_any())
        return wz_fail(
            reader->err, WZ_ERR_USAGE,
            "%s: its task comes from the library '%.200s', whose code would run here; if you trust "
            "it, give task_library=PATH",
            reader->name, path);
    (void)snprintf(config->task_library, sizeof config->task_library, "%s", path);
    return WZ_OK;
}

static wz_status set_entry(const yaml_reader *reader, wz_config *config, const entry *item)
{
    wz_config_place place;
    if (!wz_config_find(config, item->name, &place)) {
        (void)wz_config_fail_unknown(config, item->name, reader->err);
        return prefix_at(reader, item->key_line, item->key_column, WZ_ERR_USAGE);
    }
    bool is_name = place.key != NULL && place.key->type != WZ_KEY_INTEGER && place.key->type != WZ_KEY_REAL &&
                   place.key->type != WZ_KEY_BOOLEAN;
    wz_text expected = {0};
    wz_status status = WZ_OK;
    if (reader->is_foreign && strcmp(item->name, "task_library") == 0)
        return keep_library(reader, config, item->value);
    if (is_nothing(item) || (!is_name && !item->is_plain)) {
        status = wz_config_describe(&place, &expected, reader->err);
        if (status == WZ_OK)
            status = wz_fail(reader->err, WZ_ERR_USAGE, "%s: expected %s, found %s", item->name,
                             expected.data, is_nothing(item) ? "no value" : "quoted text");
    } else {
        status = wz_config_set(config, &place, item->value, reader->err);
    }
    wz_text_clear(&expected);
    return status == WZ_OK ? WZ_OK : prefix_at(reader, item->value_line, item->value_column, status);
}

static wz_status set_entries(const yaml_reader *reader, wz_config *config)
{
    static const char *const early[] = {"task_library", "task.name"};
    enum { PASSES = 3 };
    for (int pass = 0; pass < PASSES; ++pass) {
        for (size_t i = 0; i < reader->count; ++i) {
            const entry *item = &reader->entries[i];
            int its_pass = 0;
            while (its_pass < PASSES - 1 && strcmp(item->name, early[its_pass]) != 0)
                ++its_pass;
            if (item->value == NULL || its_pass != pass)
                continue;
            wz_status status = set_entry(reader, config, item);
            if (status != WZ_OK)
                return status;
        }
    }
    return WZ_OK;
}

static wz_status read_text(wz_config *config, const char *name, const char *text, size_t length,
                           bool is_foreign, wz_error *err)
{
    yaml_reader reader = {.name = name, .text = text, .config = config, .is_foreign = is_foreign, .err = err};
    wz_config result = *config; /* the caller's stays whole when a value fails */
    if (length > SIZE_LIMIT)
        return wz_fail(err, WZ_ERR_USAGE, "%s: %zu bytes are too many for a configuration (at most %zu)",
                       name, length, SIZE_LIMIT);
    if (!yaml_parser_initialize(&reader.parser))
        return wz_fail(err, WZ_ERR_RESOURCE, "%s: out of memory for the YAML parser", name);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    wz_status status = read_stream(&reader);
    if (status == WZ_OK)
        status = set_entries(&reader, &result);
    if (status == WZ_OK)
        *config = result;
    for (size_t i = 0; i < reader.count; ++i)
        free(reader.entries[i].value);
    free(reader.entries);
    yaml_parser_delete(&reader.parser);
    return status;
}

wz_status wz_config_read_text(wz_config *config, const char *name, const char *text, size_t length,
                              wz_error *err)
{
    return read_text(config, name, text, length, false, err);
}

wz_status wz_config_read_foreign(wz_config *config, const char *name, const char *text, size_t length,
                                 wz_error *err)
{
    return read_text(config, name, text, length, true, err);
}

wz_status wz_config_read_file(wz_config *config, const char *path, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_file_read(path, SIZE_LIMIT, &text, err);
    if (status == WZ_OK)
        status = wz_config_read_text(config, path, text.data != NULL ? text.data : "", text.length, err);
    wz_text_clear(&text);
    return status;
}
