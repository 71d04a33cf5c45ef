#include "tasks/rows.h"

#include "tasks/answer_form.h"

void wz_rows_by_falling(size_t count, const int32_t *key, uint8_t *order)
{
    for (size_t i = 0; i < count; i++) { /* by insertion: what is equal keeps its order */
        size_t place = i;
        for (; place > 0 && key[i] > key[order[place - 1]]; place--)
            order[place] = order[place - 1];
        order[place] = (uint8_t)i;
    }
}

wz_status wz_rows_check_order(const wz_problem *problem, const uint8_t *order, const char *part,
                              const char *rule, wz_error *err)
{
    for (size_t i = 0; i < problem->size; i++)
        if (order[i] != i)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s %zu stands where %s %zu should: %s",
                           problem->task->name, part, i + 1, part, (size_t)order[i] + 1, rule);
    return WZ_OK;
}

void wz_word_row_by_falling(wz_words *words, size_t row, size_t columns, const int32_t *numbers)
{
    uint8_t order[WZ_MAX_LABELS];
    wz_rows_by_falling(columns, numbers, order);
    wz_word_label_small(words, row);
    for (size_t place = 0; place < columns; place++) {
        wz_word_label(words, order[place]);
        wz_word_number(words, numbers[order[place]]);
    }
}
