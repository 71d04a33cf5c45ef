/* The pool of seen problems in a checkpoint: a text of rows [number, part, level, step, success], by number. */
#include <string.h>

#include "engine/core/json.h"
#include "engine/run/snapshot.h"

#define FIGURES 5

wz_status wz_snapshot_write_pool(const wz_replay *replay, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_array(&json);
    for (size_t i = 0; i < replay->count; i++) {
        const wz_replay_item *item = &replay->items[i];
        wz_json_begin_array(&json);
        wz_json_integer(&json, (int64_t)item->number);
        wz_json_integer(&json, item->part);
        wz_json_integer(&json, item->level);
        wz_json_integer(&json, item->seen);
        wz_json_number(&json, item->success);
        wz_json_end_array(&json);
    }
    wz_json_end_array(&json);
    return wz_json_finish(&json);
}

/* Whether a problem of this part has this level of the curriculum. */
static bool has_level(const wz_trainer_options *o, json_int_t part, json_int_t level)
{
    if (part < 0 || part >= (json_int_t)o->mixture.count)
        return false;
    const wz_mixture_part *p = &o->mixture.parts[part];
    if (o->set != NULL)
        return level == 0;
    if (o->stages != NULL)
        return level >= 0 && level < (json_int_t)o->stages->count;
    return level >= (json_int_t)p->task->options[p->task->size_option].minimum &&
           level <= (json_int_t)p->values[p->task->size_option];
}

static bool read_item(const json_t *row, const wz_trainer_options *o, wz_replay_item *out)
{
    if (json_array_size(row) != FIGURES || !json_is_number(json_array_get(row, FIGURES - 1)))
        return false;
    for (size_t i = 0; i + 1 < FIGURES; i++)
        if (!json_is_integer(json_array_get(row, i)))
            return false;
    const json_int_t number = json_integer_value(json_array_get(row, 0)),
                     part = json_integer_value(json_array_get(row, 1)),
                     level = json_integer_value(json_array_get(row, 2)),
                     seen = json_integer_value(json_array_get(row, 3)),
                     most = o->set != NULL ? (json_int_t)o->set->count - 1 : (json_int_t)UINT32_MAX;
    const double success = json_number_value(json_array_get(row, 4));
    if (number < 0 || number > most || !has_level(o, part, level) || seen < 0 ||
        !(success >= 0.0 && success <= 1.0))
        return false;
    *out = (wz_replay_item){(uint32_t)number, (uint8_t)part, (uint8_t)level, seen, success};
    return true;
}

static wz_status read_items(const json_t *rows, const char *path, const wz_trainer_options *o,
                            wz_replay *replay, wz_error *err)
{
    if (!json_is_array(rows) || json_array_size(rows) > (size_t)o->replay.capacity)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the pool of problems is no list, or longer than %lld", path,
                       (long long)o->replay.capacity);
    replay->count = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        wz_replay_item *item = &replay->items[i];
        if (!read_item(json_array_get(rows, i), o, item) || (i > 0 && item->number <= item[-1].number))
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: row %zu of the pool of problems is none of this run's",
                           path, i + 1);
        replay->count++;
    }
    return WZ_OK;
}

wz_status wz_snapshot_read_pool(wz_checkpoint *checkpoint, const char *path,
                                const wz_trainer_options *options, wz_replay *replay, wz_error *err)
{
    wz_text text = {0};
    json_t *rows = NULL;
    if (!wz_checkpoint_has_text(checkpoint, WZ_POOL_TEXT)) /* it was empty */
        return WZ_OK;
    wz_status status = wz_checkpoint_read_text(checkpoint, WZ_POOL_TEXT, &text, err);
    if (status == WZ_OK)
        status = wz_json_parse(path, text.data, text.length, &rows, err);
    if (status == WZ_OK)
        status = read_items(rows, path, options, replay, err);
    json_decref(rows);
    wz_text_clear(&text);
    return status;
}
