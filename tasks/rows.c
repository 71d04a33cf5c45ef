#include "tasks/rows.h"

#include <assert.h>
#include <stdbool.h>

#include "tasks/answer_form.h"

static bool is_larger(const int32_t *a, const int32_t *b, size_t width)
{
    size_t i = 0;
    while (i + 1 < width && a[i] == b[i])
        i++;
    return a[i] > b[i];
}

/* order (count): the rows of a table (count, width) by falling rows, the first number first. */
static void sort_rows(size_t count, size_t width, const int32_t *rows, uint8_t *order)
{
    for (size_t i = 0; i < count; i++) { /* by insertion: what is equal keeps its order */
        size_t place = i;
        for (; place > 0 && is_larger(rows + i * width, rows + order[place - 1] * width, width); place--)
            order[place] = order[place - 1];
        order[place] = (uint8_t)i;
    }
}

void wz_rows_by_falling(size_t count, const int32_t *key, uint8_t *order)
{
    sort_rows(count, 1, key, order);
}

void wz_rows_by_regret(size_t rows, size_t columns, const int32_t *table, uint8_t *order)
{
    int32_t key[WZ_MAX_LABELS] = {0};
    for (size_t i = 0; i < rows; i++) {
        int32_t best = 0, second = 0;
        for (size_t j = 0; j < columns; j++) {
            const int32_t number = table[i * columns + j];
            second = number > best ? best : number > second ? number : second;
            best = number > best ? number : best;
        }
        key[i] = (best - second) * 30001 + best;
    }
    wz_rows_by_falling(rows, key, order);
}

void wz_rows_take(size_t rows, size_t columns, const int32_t *from, const uint8_t *order, int32_t *to)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * columns + j] = from[order[i] * columns + j];
}

void wz_part_rows_number(const int32_t *rows, size_t width, wz_problem *problem)
{
    sort_rows(problem->size, width, rows, problem->source);
    wz_rows_take(problem->size, width, rows, problem->source, problem->numbers);
}

void wz_part_rows_reorder(const wz_problem *from, size_t width, const uint8_t *order, wz_problem *to)
{
    int32_t rows[UINT8_MAX * WZ_MAX_PART_WIDTH];
    assert(width <= WZ_MAX_PART_WIDTH);
    wz_rows_take(from->size, width, from->numbers, order, rows);
    wz_part_rows_number(rows, width, to);
    for (size_t i = 0; i < from->size; i++)
        to->source[i] = order[to->source[i]];
}

wz_status wz_part_rows_check(const wz_problem *problem, size_t width, const char *what, wz_error *err)
{
    for (size_t i = 1; i < problem->size; i++)
        if (is_larger(problem->numbers + i * width, problem->numbers + (i - 1) * width, width))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: %s %zu has larger numbers than the one before it; they must fall",
                           problem->task->name, what, i + 1);
    return WZ_OK;
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
