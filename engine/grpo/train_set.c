#include "engine/grpo/train_set.h"

#include <stdlib.h>
#include <string.h>

wz_status wz_train_set_add(wz_train_set *set, wz_problem *problem, uint8_t part, size_t number,
                           const wz_reference *reference, const unsigned *decision, size_t slots,
                           wz_error *err)
{
    void *items = set->items, *decisions = set->decisions;
    wz_status status =
        set->count < WZ_TRAIN_SET_MAX
            ? WZ_OK
            : wz_fail(err, WZ_ERR_RESOURCE, "more than %d problems in a training set", WZ_TRAIN_SET_MAX);
    if (status == WZ_OK)
        status = wz_grow(&items, &set->capacity, set->count + 1, sizeof *set->items, "a training set", err);
    set->items = items;
    if (status == WZ_OK)
        status = wz_grow(&decisions, &set->decision_capacity, set->decision_count + slots,
                         sizeof *set->decisions, "a training set", err);
    set->decisions = decisions;
    if (status != WZ_OK) {
        wz_problem_clear(problem);
        return status;
    }
    set->items[set->count++] = (wz_train_item){.problem = *problem,
                                               .part = part,
                                               .number = number,
                                               .reference = *reference,
                                               .at = set->decision_count,
                                               .slots = slots};
    memcpy(set->decisions + set->decision_count, decision, slots * sizeof *decision);
    set->decision_count += slots;
    *problem = (wz_problem){0};
    return WZ_OK;
}

wz_status wz_train_set_take(const wz_train_set *set, size_t number, wz_problem *out,
                            wz_known_reference *known, wz_error *err)
{
    const wz_train_item *item = &set->items[number];
    *known = (wz_known_reference){.is_known = true, .reference = item->reference};
    memcpy(known->decision, set->decisions + item->at, item->slots * sizeof *known->decision);
    return wz_problem_copy(&item->problem, out, err);
}

void wz_train_set_clear(wz_train_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        wz_problem_clear(&set->items[i].problem);
    free(set->items);
    free(set->decisions);
    *set = (wz_train_set){0};
}
