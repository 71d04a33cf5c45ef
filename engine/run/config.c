#include "engine/run/config_schema.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/suggest.h"

static const char task_prefix[] = "task.";

void wz_config_default(wz_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < wz_config_key_count; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        if (place.key->type == WZ_KEY_HEADING)
            continue;
        wz_error err = {{0}};
        wz_status status = wz_config_set(config, &place, place.key->default_text, &err);
        assert(status == WZ_OK); /* a default that its own row refuses is our bug */
        (void)status;
    }
}

bool wz_config_find(const wz_config *config, const char *name, wz_config_place *place)
{
    memset(place, 0, sizeof *place);
    for (size_t i = 0; i < wz_config_key_count; ++i) {
        if (wz_config_keys[i].type != WZ_KEY_HEADING && strcmp(wz_config_keys[i].name, name) == 0) {
            place->key = &wz_config_keys[i];
            return true;
        }
    }
    size_t prefix = strlen(task_prefix);
    if (config->task == NULL || strncmp(name, task_prefix, prefix) != 0)
        return false;
    const size_t option = wz_task_find_option(config->task, name + prefix);
    if (option == config->task->option_count)
        return false;
    place->option = &config->task->options[option];
    place->option_index = option;
    return true;
}

bool wz_config_is_section(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < wz_config_key_count; ++i)
        if (wz_config_keys[i].type != WZ_KEY_HEADING && strncmp(wz_config_keys[i].name, name, length) == 0 &&
            wz_config_keys[i].name[length] == '.')
            return true;
    return false;
}

/* Near in spelling, or right but for the section: "links" is task.links. The nearest so far lies in
 * nearest[WZ_CONFIG_NAME_MAX], since the names of task options are put together here. */
static void consider(wz_suggestion *suggestion, char *nearest, const char *name, const char *candidate)
{
    wz_suggestion full = {0};
    wz_suggestion last = {0};
    const char *point = strrchr(candidate, '.');
    wz_suggest(&full, name, candidate);
    if (point != NULL && strchr(name, '.') == NULL)
        wz_suggest(&last, name, point + 1);
    const wz_suggestion *better = full.best != NULL ? &full : &last;
    if (better->best == NULL || (suggestion->best != NULL && better->distance >= suggestion->distance))
        return;
    (void)snprintf(nearest, WZ_CONFIG_NAME_MAX, "%s", candidate);
    suggestion->best = nearest;
    suggestion->distance = better->distance;
}

wz_status wz_config_fail_unknown(const wz_config *config, const char *name, wz_error *err)
{
    wz_suggestion suggestion = {0};
    char nearest[WZ_CONFIG_NAME_MAX];
    for (size_t i = 0; i < wz_config_key_count; ++i)
        if (wz_config_keys[i].type != WZ_KEY_HEADING)
            consider(&suggestion, nearest, name, wz_config_keys[i].name);
    for (size_t i = 0; config->task != NULL && i < config->task->option_count; ++i) {
        char option[WZ_CONFIG_NAME_MAX];
        (void)snprintf(option, sizeof option, "%s%s", task_prefix, config->task->options[i].name);
        consider(&suggestion, nearest, name, option);
    }
    if (suggestion.best != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "unknown key '%.96s' (did you mean '%s'?)", name, suggestion.best);
    return wz_fail(err, WZ_ERR_USAGE, "unknown key '%.96s'; `wavezero help config` lists all keys", name);
}

/* A list may stand in brackets, as in a file: then what is in them, in `list`. */
static const char *unbracketed(const wz_config_place *place, const char *value, char list[WZ_LIST_MAX])
{
    const size_t length = strlen(value);
    if (place->key == NULL || place->key->type != WZ_KEY_LIST || length < 2 || length >= WZ_LIST_MAX ||
        value[0] != '[' || value[length - 1] != ']')
        return value;
    memcpy(list, value + 1, length - 2);
    list[length - 2] = '\0';
    return list;
}

wz_status wz_config_override(wz_config *config, const char *assignment, wz_error *err)
{
    char name[WZ_CONFIG_NAME_MAX], list[WZ_LIST_MAX];
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment)
        return wz_fail(err, WZ_ERR_USAGE, "override '%.96s': expected key=value", assignment);
    (void)snprintf(name, sizeof name, "%.*s",
                   (int)(equals - assignment < WZ_CONFIG_NAME_MAX ? equals - assignment : WZ_CONFIG_NAME_MAX),
                   assignment);
    wz_config_place place;
    wz_status status = WZ_OK;
    if (wz_config_find(config, name, &place))
        status = wz_config_set(config, &place, unbracketed(&place, equals + 1, list), err);
    else if (wz_config_is_section(name))
        status = wz_fail(err, WZ_ERR_USAGE, "'%s' is a section; set one of its keys, as in %s.key=value",
                         name, name);
    else
        status = wz_config_fail_unknown(config, name, err);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "override '%.96s': ", assignment);
}

const char *wz_config_option_conflict(const wz_config *a, const wz_config *b)
{
    for (size_t j = 0; j < a->task->option_count; ++j) {
        const wz_config_place option = {.option = &a->task->options[j], .option_index = j};
        if (!wz_config_equal_at(a, b, &option))
            return option.option->name;
    }
    return NULL;
}

const char *wz_config_resume_conflict(const wz_config *saved, const wz_config *now)
{
    for (size_t i = 0; i < wz_config_key_count; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        if (!place.key->resume_may_change && !wz_config_equal_at(saved, now, &place))
            return place.key->name;
        if (place.key->type != WZ_KEY_TASK)
            continue;
        const char *option = wz_config_option_conflict(saved, now);
        if (option != NULL)
            return option;
    }
    return NULL;
}

wz_status wz_config_load(wz_config *config, const char *path, const char *const *overrides, size_t count,
                         wz_error *err)
{
    static const char library[] = "task_library=";
    wz_status status = WZ_OK;
    for (size_t i = 0; i < count && status == WZ_OK; ++i)
        if (strncmp(overrides[i], library, strlen(library)) == 0)
            status = wz_config_override(config, overrides[i], err);
    if (status == WZ_OK && path != NULL)
        status = wz_config_read_file(config, path, err);
    for (size_t i = 0; i < count && status == WZ_OK; ++i)
        status = wz_config_override(config, overrides[i], err);
    return status;
}
