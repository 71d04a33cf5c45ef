/* The resolved file and the reference page, from the schema table. */
#include "engine/run/config_schema.h"

#include <string.h>

/* Opens the sections of a dotted name that are not open yet; *open is the section so far ("" at first). */
static wz_status write_name(const char *name, char *open, wz_text *out, wz_error *err)
{
    const char *point = strchr(name, '.');
    if (point == NULL) {
        open[0] = '\0';
        return wz_text_printf(out, err, "%s: ", name);
    }
    size_t length = (size_t)(point - name);
    wz_status status = WZ_OK;
    if (strncmp(open, name, length) != 0 || open[length] != '\0') {
        memcpy(open, name, length);
        open[length] = '\0';
        status = wz_text_printf(out, err, "%s:\n", open);
    }
    return status == WZ_OK ? wz_text_printf(out, err, "  %s: ", point + 1) : status;
}

static wz_status write_value(const wz_config *config, const wz_config_place *place, wz_text *out,
                             wz_error *err)
{
    wz_status status = wz_config_format(config, place, out, err);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_task_options(const wz_config *config, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < config->task->option_count && status == WZ_OK; ++i) {
        wz_config_place place = {.option = &config->task->options[i], .option_index = i};
        status = wz_text_printf(out, err, "  %s: ", place.option->name);
        if (status == WZ_OK)
            status = write_value(config, &place, out, err);
    }
    return status;
}

wz_status wz_config_write(const wz_config *config, wz_text *out, wz_error *err)
{
    char open[WZ_CONFIG_NAME_MAX] = "";
    wz_status status = WZ_OK;
    for (size_t i = 0; i < wz_config_key_count && status == WZ_OK; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        if (place.key->type == WZ_KEY_HEADING) {
            status = wz_text_printf(out, err, "%s# %s\n", i > 0 ? "\n" : "", place.key->name);
            continue;
        }
        status = write_name(place.key->name, open, out, err);
        if (status == WZ_OK)
            status = write_value(config, &place, out, err);
        if (status == WZ_OK && place.key->type == WZ_KEY_TASK)
            status = write_task_options(config, out, err);
    }
    return status;
}

/* One key of the reference. `help` ends the entry; `accepts` is what wz_config_describe says. */
static wz_status write_entry(bool markdown, const char *prefix, const char *name, const char *value,
                             const wz_config_place *place, const char *help, wz_text *out, wz_error *err)
{
    wz_text accepts = {0};
    wz_status status = wz_config_describe(place, &accepts, err);
    const char *shown = value[0] != '\0' ? value : "\"\"";
    bool free_on_resume = place->key != NULL && place->key->resume_may_change;
    if (status == WZ_OK && markdown)
        status = wz_text_printf(out, err, "| `%s%s` | %s | `%s` | %s%s |\n", prefix, name, accepts.data,
                                shown, help, free_on_resume ? " (resume may change it)" : "");
    else if (status == WZ_OK)
        status = wz_text_printf(out, err, "  %s%s: %s\n      %s\n      %s%s\n", prefix, name, shown, help,
                                accepts.data, free_on_resume ? "; resume may change it" : "");
    wz_text_clear(&accepts);
    return status;
}

static wz_status write_title(bool markdown, const char *title, wz_text *out, wz_error *err)
{
    if (markdown)
        return wz_text_printf(out, err, "%s## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                              out->length > 0 ? "\n" : "", title);
    return wz_text_printf(out, err, "%s%s\n", out->length > 0 ? "\n" : "", title);
}

static wz_status write_family(bool markdown, const wz_task *task, wz_text *out, wz_error *err)
{
    wz_text title = {0};
    wz_status status = wz_text_printf(&title, err, "Options of task %s: %s", task->name, task->title);
    if (status == WZ_OK)
        status = write_title(markdown, title.data, out, err);
    wz_text_clear(&title);
    for (size_t i = 0; i < task->option_count && status == WZ_OK; ++i) {
        wz_config_place place = {.option = &task->options[i], .option_index = i};
        wz_text value = {0};
        const double standard = task->options[i].default_value;
        const char *const *names = task->options[i].names;
        status = names != NULL ? wz_text_printf(&value, err, "%s", names[(size_t)standard])
                               : wz_text_printf(&value, err, "%.15g", standard);
        if (status == WZ_OK)
            status = write_entry(markdown, "task.", task->options[i].name, value.data, &place,
                                 task->options[i].help, out, err);
        wz_text_clear(&value);
    }
    return status;
}

wz_status wz_config_reference(bool markdown, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < wz_config_key_count && status == WZ_OK; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        if (place.key->type == WZ_KEY_HEADING) {
            status = write_title(markdown, place.key->name, out, err);
            continue;
        }
        status = write_entry(markdown, "", place.key->name, place.key->default_text, &place, place.key->help,
                             out, err);
        for (size_t j = 0; place.key->type == WZ_KEY_TASK && wz_tasks[j] != NULL && status == WZ_OK; ++j)
            status = write_family(markdown, wz_tasks[j], out, err);
    }
    return status;
}
