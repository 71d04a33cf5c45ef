/* What `wavezero eval` is about: problems of a file, or generated ones. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cmd_eval.h"

wz_status wz_eval_read_problems(wz_eval_arguments *a, wz_error *err)
{
    if (a->given == NULL)
        return WZ_OK;
    const size_t length = strlen(a->given), digits = strspn(a->given, "0123456789");
    const bool is_signed =
        (a->given[0] == '-' || a->given[0] == '+') && strspn(a->given + 1, "0123456789") == length - 1;
    if (!is_signed && (digits < length || length == 0)) {
        if (a->split != NULL)
            return wz_fail(err, WZ_ERR_USAGE, "--problems FILE names its problems: leave out --split");
        if (a->grid.count > 0)
            return wz_fail(err, WZ_ERR_USAGE,
                           "--grid generates its problems: give --problems a number, not a file");
        return wz_problem_set_read(a->given, true, &a->set, err);
    }
    a->problems = length <= 9 && !is_signed ? strtoll(a->given, NULL, 10) : 0;
    if (a->problems < 1 || a->problems > 100000000)
        return wz_fail(err, WZ_ERR_USAGE, "--problems: expected 1 to 100000000, or a file, found '%.64s'",
                       a->given);
    return WZ_OK;
}

/* A part for each family and its options. */
static wz_status take_set(const wz_problem_set *set, wz_eval_parts *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t g = 0; status == WZ_OK && g < set->group_count; g++) {
        const wz_set_group *group = &set->groups[g];
        status = wz_set_write_options(group->task, group->values, &out->names[g], err);
        out->items[g] = (wz_eval_part){.task = group->task,
                                       .values = group->values,
                                       .name = set->group_count > 1 ? out->names[g].data : NULL,
                                       .given = group->problems,
                                       .problems = (int64_t)group->count};
    }
    return status;
}

static void take_mixture(const wz_eval_arguments *a, wz_eval_parts *out)
{
    for (size_t p = 0; p < out->count; p++)
        out->items[p] = (wz_eval_part){.task = out->mixture.parts[p].task,
                                       .values = out->mixture.parts[p].values,
                                       .name = out->count > 1 ? out->mixture.parts[p].name : NULL,
                                       .problems = a->problems};
}

wz_status wz_eval_parts_create(const wz_eval_arguments *a, const wz_config *config, wz_eval_parts *out,
                               wz_error *err)
{
    void *items = NULL, *names = NULL;
    const bool is_set = a->set.count > 0;
    *out = (wz_eval_parts){0};
    wz_status status = is_set ? WZ_OK : wz_config_mixture(config, &out->mixture, err);
    const size_t count = is_set ? a->set.group_count : out->mixture.count;
    if (status == WZ_OK)
        status = wz_alloc(&items, count, sizeof(wz_eval_part), "the parts of an evaluation", err);
    if (status == WZ_OK)
        status = wz_alloc(&names, count, sizeof(wz_text), "the parts of an evaluation", err);
    out->items = items;
    out->names = names;
    if (status != WZ_OK)
        return status;
    out->count = count;
    if (is_set)
        return take_set(&a->set, out, err);
    take_mixture(a, out);
    return WZ_OK;
}

void wz_eval_parts_clear(wz_eval_parts *parts)
{
    for (size_t p = 0; p < parts->count; p++)
        wz_text_clear(&parts->names[p]);
    free(parts->items);
    free(parts->names);
    *parts = (wz_eval_parts){0};
}
