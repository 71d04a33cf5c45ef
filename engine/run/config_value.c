/* One value: text to field, field to text. Numbers are strict and the C locale's: digits, a point, an
 * exponent; no blanks, hexadecimal, nan or inf. */
#include "engine/run/config_schema.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "engine/core/suggest.h"

#define SHOWN 48 /* bytes of a bad value that a message repeats */

static void *field_at(wz_config *config, const wz_config_place *place)
{
    if (place->key != NULL)
        return (char *)config + place->key->offset;
    return &config->task_values[place->option_index];
}

static const void *field_of(const wz_config *config, const wz_config_place *place)
{
    if (place->key != NULL)
        return (const char *)config + place->key->offset;
    return &config->task_values[place->option_index];
}

static wz_key_type type_of(const wz_config_place *place)
{
    if (place->key != NULL)
        return place->key->type;
    if (place->option->names != NULL)
        return WZ_KEY_ENUM;
    return place->option->is_integer ? WZ_KEY_INTEGER : WZ_KEY_REAL;
}

static const char *const *names_of(const wz_config_place *place)
{
    return place->key != NULL ? place->key->names : place->option->names;
}

/* The value with control characters replaced and its length bounded, for a message. */
static const char *printable(const char *value, char shown[SHOWN + 4])
{
    size_t count = 0;
    while (value[count] != '\0' && count < SHOWN) {
        char byte = value[count];
        if ((byte >= 0 && byte < 0x20) || byte == 0x7f)
            byte = '?';
        shown[count++] = byte;
    }
    memcpy(shown + count, value[count] != '\0' ? "..." : "\0\0\0", 4);
    return shown;
}

static wz_status fail_expected(const wz_config_place *place, const char *value, const char *best,
                               wz_error *err)
{
    char shown[SHOWN + 4];
    wz_text expected = {0};
    wz_status status = wz_config_describe(place, &expected, err);
    if (status == WZ_OK)
        status = wz_fail(err, WZ_ERR_USAGE, "%s%s: expected %s, found '%s'%s%s%s",
                         place->key == NULL ? "task." : "",
                         place->key == NULL ? place->option->name : place->key->name, expected.data,
                         printable(value, shown), best != NULL ? " (did you mean '" : "",
                         best != NULL ? best : "", best != NULL ? "'?)" : "");
    wz_text_clear(&expected);
    return status;
}

static size_t count_digits(const char *text)
{
    size_t count = 0;
    while (text[count] >= '0' && text[count] <= '9')
        ++count;
    return count;
}

/* [+-] digits, without leading zeros (YAML 1.1 would read those as octal). */
static bool parse_integer(const char *text, int64_t *out)
{
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    size_t count = count_digits(digits);
    if (count == 0 || digits[count] != '\0' || (digits[0] == '0' && count > 1))
        return false;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    *out = value;
    return errno == 0;
}

/* [+-] digits [. digits] [e [+-] digits] with a digit before or after the point. */
static bool parse_real(const char *text, double *out)
{
    const char *at = text + (text[0] == '-' || text[0] == '+');
    size_t whole = count_digits(at);
    size_t fraction = 0;
    at += whole;
    if (*at == '.') {
        fraction = count_digits(at + 1);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = count_digits(at);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    char *end = NULL;
    errno = 0;
    *out = strtod(text, &end);
    return *at == '\0' && end == at && errno == 0;
}

/* Bytes of a text's field. */
static size_t text_room(const wz_config_key *key)
{
    return key->integer_max > 0 ? (size_t)key->integer_max + 1 : WZ_PATH_MAX;
}

/* Printable UTF-8 that fits its field, without control characters; line feeds where there is room for paragraphs. */
static bool is_plain_text(const wz_config_key *key, const char *value)
{
    const bool prose = key->integer_max > 0;
    size_t length = strlen(value);
    if (length >= text_room(key))
        return false;
    for (size_t at = 0; at < length;) {
        utf8proc_int32_t code = 0;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)value + at, (utf8proc_ssize_t)(length - at), &code);
        if (step <= 0 || (code < 0x20 && !(prose && code == '\n')) || code == 0x7f)
            return false;
        at += (size_t)step;
    }
    return true;
}

static wz_status set_number(wz_config *config, const wz_config_place *place, const char *value, wz_error *err)
{
    void *field = field_at(config, place);
    int64_t integer = 0;
    double real = 0.0;
    bool is_integer = type_of(place) == WZ_KEY_INTEGER;
    if (is_integer ? !parse_integer(value, &integer) : !parse_real(value, &real))
        return fail_expected(place, value, NULL, err);
    if (place->key == NULL) {
        real = is_integer ? (double)integer : real;
        if (!(real >= place->option->minimum && real <= place->option->maximum))
            return fail_expected(place, value, NULL, err);
        *(double *)field = real;
    } else if (is_integer) {
        if (integer < place->key->integer_min || integer > place->key->integer_max)
            return fail_expected(place, value, NULL, err);
        *(int64_t *)field = integer;
    } else {
        if (!(real >= place->key->real_min && real <= place->key->real_max))
            return fail_expected(place, value, NULL, err);
        *(double *)field = real;
    }
    return WZ_OK;
}

bool wz_config_is_value(const wz_config_place *place, const char *value)
{
    int64_t integer = 0;
    double real = 0.0;
    switch (type_of(place)) {
    case WZ_KEY_INTEGER:
        return parse_integer(value, &integer);
    case WZ_KEY_REAL:
        return parse_real(value, &real);
    case WZ_KEY_ENUM:
        for (const char *const *name = names_of(place); *name != NULL; ++name)
            if (strcmp(*name, value) == 0)
                return true;
        return false;
    default:
        return true;
    }
}

bool wz_config_next_item(const char **at, char item[WZ_LIST_MAX])
{
    const char *start = *at + strspn(*at, ", "), *end = start + strcspn(start, ",");
    *at = end;
    while (end > start && end[-1] == ' ')
        --end;
    if (end == start || end - start >= WZ_LIST_MAX)
        return false;
    memcpy(item, start, (size_t)(end - start));
    item[end - start] = '\0';
    return true;
}

/* Whether a list may hold the item; *best: the nearest name. */
static bool may_hold(const wz_config_key *key, const char *item, wz_suggestion *best)
{
    double number = 0.0;
    if (key->names == NULL)
        return parse_real(item, &number) && number >= key->real_min && number <= key->real_max;
    for (size_t i = 0; key->names[i] != NULL; ++i) {
        if (strcmp(key->names[i], item) == 0)
            return true;
        wz_suggest(best, item, key->names[i]);
    }
    return false;
}

/* A comma with nothing on one side of it. */
static bool has_empty_item(const char *list)
{
    bool is_empty = true, has_comma = false;
    for (const char *c = list; *c != '\0'; c++) {
        if (*c == ',' && is_empty)
            return true;
        has_comma |= *c == ',';
        is_empty = *c == ',' || (is_empty && *c == ' ');
    }
    return has_comma && is_empty;
}

wz_status wz_config_check_id(const char *item, wz_error *err)
{
    const size_t digits = strspn(item, "0123456789");
    return digits > 0 && digits < 10 && item[digits] == '\0'
               ? WZ_OK
               : wz_fail(err, WZ_ERR_USAGE, "'%.40s' is no token id, a whole number from 0 on", item);
}

static wz_status set_list(wz_config *config, const wz_config_place *place, const char *value, wz_error *err)
{
    char *field = field_at(config, place), item[WZ_LIST_MAX], joined[WZ_LIST_MAX] = "";
    const char *at = value;
    size_t used = 0;
    if (strlen(value) >= WZ_LIST_MAX / 2) /* separators may take a second byte */
        return wz_fail(err, WZ_ERR_USAGE, "%s: a list of %zu bytes, at most %d are read", place->key->name,
                       strlen(value), WZ_LIST_MAX / 2 - 1);
    if (has_empty_item(value))
        return wz_fail(err, WZ_ERR_USAGE, "%s: an empty item: remove a comma from '%.64s'", place->key->name,
                       value);
    while (wz_config_next_item(&at, item)) {
        wz_suggestion suggestion = {0};
        if (place->key->check_item != NULL) {
            const wz_status status = place->key->check_item(item, err);
            if (status != WZ_OK)
                return wz_fail_prefix(err, status, "%s: ", place->key->name);
        } else if (!may_hold(place->key, item, &suggestion))
            return fail_expected(place, item, suggestion.best, err);
        used += (size_t)snprintf(joined + used, sizeof joined - used, "%s%s", used > 0 ? ", " : "", item);
    }
    memcpy(field, joined, sizeof joined);
    return WZ_OK;
}

static wz_status set_enum(wz_config *config, const wz_config_place *place, const char *value, wz_error *err)
{
    void *field = field_at(config, place);
    const char *const *names = names_of(place);
    wz_suggestion suggestion = {0};
    for (int i = 0; names[i] != NULL; ++i) {
        if (strcmp(names[i], value) == 0) {
            if (place->key != NULL)
                *(int *)field = i;
            else
                *(double *)field = i;
            return WZ_OK;
        }
        wz_suggest(&suggestion, value, names[i]);
    }
    return fail_expected(place, value, suggestion.best, err);
}

/* Another family brings its own options, at their defaults. */
static wz_status set_task(wz_config *config, const wz_config_place *place, const char *value, wz_error *err)
{
    const wz_task *task = wz_task_find(value);
    if (task == NULL) {
        wz_suggestion suggestion = {0};
        for (size_t i = 0; wz_tasks[i] != NULL; ++i)
            wz_suggest(&suggestion, value, wz_tasks[i]->name);
        return fail_expected(place, value, suggestion.best, err);
    }
    if (task != config->task) {
        memset(config->task_values, 0, sizeof config->task_values);
        wz_task_default_values(task, config->task_values);
        config->task = task;
    }
    return WZ_OK;
}

wz_status wz_config_set(wz_config *config, const wz_config_place *place, const char *value, wz_error *err)
{
    switch (type_of(place)) {
    case WZ_KEY_INTEGER:
    case WZ_KEY_REAL:
        return set_number(config, place, value, err);
    case WZ_KEY_BOOLEAN:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return fail_expected(place, value, NULL, err);
        *(bool *)field_at(config, place) = value[0] == 't';
        return WZ_OK;
    case WZ_KEY_ENUM:
        return set_enum(config, place, value, err);
    case WZ_KEY_TEXT:
        if (!is_plain_text(place->key, value))
            return fail_expected(place, value, NULL, err);
        if (place->key->check_item != NULL && value[0] != '\0') {
            const wz_status status = place->key->check_item(value, err);
            if (status != WZ_OK)
                return status;
        }
        memcpy(field_at(config, place), value, strlen(value) + 1);
        return WZ_OK;
    case WZ_KEY_LIST:
        return set_list(config, place, value, err);
    case WZ_KEY_TASK:
        return set_task(config, place, value, err);
    case WZ_KEY_HEADING:
        break;
    }
    assert(false);
    return wz_fail(err, WZ_ERR_RUNTIME, "a heading of the configuration table has no value");
}

/* The shortest of 15, 16 or 17 significant digits that reads back to the same double. */
static wz_status format_real(double value, wz_text *out, wz_error *err)
{
    char digits[40];
    for (int precision = 15; precision <= 17; ++precision) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    return wz_text_printf(out, err, "%s", digits);
}

/* Double quotes; what YAML would read as a line break, or refuse, as an escape. */
static wz_status format_text(const char *value, wz_text *out, wz_error *err)
{
    size_t length = strlen(value);
    wz_status status = wz_text_append(out, "\"", 1, err);
    for (size_t at = 0; at < length && status == WZ_OK;) {
        utf8proc_int32_t code = 0;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)value + at, (utf8proc_ssize_t)(length - at), &code);
        if (step <= 0)
            return wz_fail(err, WZ_ERR_USAGE, "the text '%s' is no UTF-8", value);
        bool escape = (code >= 0x80 && code < 0xa0) || (code >= 0x2028 && code <= 0x2029) || code == 0xfeff ||
                      code == 0xfffe || code == 0xffff;
        if (code == '"' || code == '\\')
            status = wz_text_printf(out, err, "\\%c", (int)code);
        else if (code == '\n')
            status = wz_text_printf(out, err, "\\n");
        else if (escape)
            status = wz_text_printf(out, err, "\\u%04X", (unsigned)code);
        else
            status = wz_text_append(out, value + at, (size_t)step, err);
        at += (size_t)step;
    }
    return status == WZ_OK ? wz_text_append(out, "\"", 1, err) : status;
}

wz_status wz_config_format(const wz_config *config, const wz_config_place *place, wz_text *out, wz_error *err)
{
    const void *field = field_of(config, place);
    if (place->key == NULL && place->option->names != NULL)
        return wz_text_printf(out, err, "%s", place->option->names[(size_t) * (const double *)field]);
    if (place->key == NULL && place->option->is_integer)
        return wz_text_printf(out, err, "%.0f", *(const double *)field);
    if (place->key == NULL)
        return format_real(*(const double *)field, out, err);
    switch (place->key->type) {
    case WZ_KEY_INTEGER:
        return wz_text_printf(out, err, "%lld", (long long)*(const int64_t *)field);
    case WZ_KEY_REAL:
        return format_real(*(const double *)field, out, err);
    case WZ_KEY_BOOLEAN:
        return wz_text_printf(out, err, "%s", *(const bool *)field ? "true" : "false");
    case WZ_KEY_ENUM:
        return wz_text_printf(out, err, "%s", place->key->names[*(const int *)field]);
    case WZ_KEY_TEXT:
        return format_text(field, out, err);
    case WZ_KEY_LIST: /* items need no quotes */
        return wz_text_printf(out, err, "[%s]", (const char *)field);
    case WZ_KEY_TASK:
        return wz_text_printf(out, err, "%s", (*(const wz_task *const *)field)->name);
    case WZ_KEY_HEADING:
        break;
    }
    return WZ_OK;
}

static wz_status describe_number(const wz_config_place *place, wz_text *out, wz_error *err)
{
    if (place->key == NULL)
        return wz_text_printf(out, err, "a %s from %.15g to %.15g",
                              place->option->is_integer ? "whole number" : "number", place->option->minimum,
                              place->option->maximum);
    if (place->key->type == WZ_KEY_INTEGER)
        return wz_text_printf(out, err, "a whole number from %lld to %lld",
                              (long long)place->key->integer_min, (long long)place->key->integer_max);
    return wz_text_printf(out, err, "a number from %.15g to %.15g", place->key->real_min,
                          place->key->real_max);
}

wz_status wz_config_describe(const wz_config_place *place, wz_text *out, wz_error *err)
{
    wz_key_type type = type_of(place);
    if (type == WZ_KEY_INTEGER || type == WZ_KEY_REAL)
        return describe_number(place, out, err);
    if (type == WZ_KEY_BOOLEAN)
        return wz_text_printf(out, err, "true or false");
    if (type == WZ_KEY_TEXT)
        return wz_text_printf(out, err, "text of at most %zu bytes", text_room(place->key) - 1);
    if (type == WZ_KEY_LIST && place->key->check_item != NULL)
        return wz_text_printf(out, err, "%s",
                              place->key->check_item == wz_config_check_id
                                  ? "a list of token ids, as in [151645, 151643]"
                              : place->key->check_item == wz_stage_check_item
                                  ? "a list of stages, as in [links=3, links=5 snr_db=10]"
                                  : "a list of tasks with options, as in [power_control links=5 weight=2]");
    if (type == WZ_KEY_LIST && names_of(place) == NULL)
        return wz_text_printf(out, err, "a list of numbers from %.15g to %.15g", place->key->real_min,
                              place->key->real_max);
    wz_status status = wz_text_printf(out, err, type == WZ_KEY_LIST ? "a list of" : "one of");
    for (size_t i = 0; status == WZ_OK; ++i) {
        const char *name = type != WZ_KEY_TASK   ? names_of(place)[i]
                           : wz_tasks[i] != NULL ? wz_tasks[i]->name
                                                 : NULL;
        if (name == NULL)
            break;
        status = wz_text_printf(out, err, "%s %s", i > 0 ? "," : "", name);
    }
    return status;
}

static bool in_range(const wz_config *config, const wz_config_place *place)
{
    const void *field = field_of(config, place);
    if (place->key == NULL) {
        double value = *(const double *)field;
        bool whole = !place->option->is_integer ||
                     (value >= -9e15 && value <= 9e15 && value == (double)(int64_t)value);
        return value >= place->option->minimum && value <= place->option->maximum && whole;
    }
    const wz_config_key *key = place->key;
    switch (key->type) {
    case WZ_KEY_INTEGER:
        return *(const int64_t *)field >= key->integer_min && *(const int64_t *)field <= key->integer_max;
    case WZ_KEY_REAL:
        return *(const double *)field >= key->real_min && *(const double *)field <= key->real_max;
    case WZ_KEY_ENUM:
        for (int i = 0; key->names[i] != NULL; ++i)
            if (i == *(const int *)field)
                return true;
        return false;
    case WZ_KEY_TEXT:
        return memchr(field, '\0', text_room(key)) != NULL && is_plain_text(key, field);
    case WZ_KEY_LIST:
        return memchr(field, '\0', WZ_LIST_MAX) != NULL;
    case WZ_KEY_TASK:
        return config->task != NULL;
    default:
        return true;
    }
}

wz_status wz_config_check_range(const wz_config *config, const wz_config_place *place, wz_error *err)
{
    if (in_range(config, place))
        return WZ_OK;
    char value[40] = "what is out of range";
    if (type_of(place) == WZ_KEY_INTEGER && place->key != NULL)
        (void)snprintf(value, sizeof value, "%lld", (long long)*(const int64_t *)field_of(config, place));
    else if (type_of(place) == WZ_KEY_INTEGER || type_of(place) == WZ_KEY_REAL)
        (void)snprintf(value, sizeof value, "%.17g", *(const double *)field_of(config, place));
    return fail_expected(place, value, NULL, err);
}

bool wz_config_equal_at(const wz_config *a, const wz_config *b, const wz_config_place *place)
{
    const void *left = field_of(a, place);
    const void *right = field_of(b, place);
    switch (place->key == NULL ? WZ_KEY_REAL : place->key->type) {
    case WZ_KEY_INTEGER:
        return *(const int64_t *)left == *(const int64_t *)right;
    case WZ_KEY_REAL:
        return *(const double *)left == *(const double *)right;
    case WZ_KEY_BOOLEAN:
        return *(const bool *)left == *(const bool *)right;
    case WZ_KEY_ENUM:
        return *(const int *)left == *(const int *)right;
    case WZ_KEY_TEXT:
    case WZ_KEY_LIST:
        return strcmp(left, right) == 0;
    case WZ_KEY_TASK:
        return *(const wz_task *const *)left == *(const wz_task *const *)right;
    case WZ_KEY_HEADING:
        break;
    }
    return true;
}
