#include "tasks/link_table.h"

#include "tasks/rows.h"

size_t wz_link_table_count(const double *values)
{
    return (size_t)values[0] * (size_t)values[0];
}

void wz_link_table_number(const int32_t *printed, wz_problem *problem)
{
    const size_t links = problem->size;
    const uint8_t *source = problem->source;
    int32_t direct[WZ_MAX_LINKS] = {0};
    for (size_t i = 0; i < links; i++)
        direct[i] = printed[i * (links + 1)];
    wz_rows_by_falling(links, direct, problem->source);
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            problem->numbers[i * links + j] = printed[source[i] * links + source[j]];
}

void wz_link_table_reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    const size_t links = from->size;
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            printed[i * links + j] = from->numbers[order[i] * links + order[j]];
    wz_link_table_number(printed, to);
    for (size_t i = 0; i < links; i++)
        to->source[i] = order[to->source[i]];
}

wz_status wz_link_table_check(const wz_problem *problem, int32_t maximum, wz_error *err)
{
    wz_status status = wz_problem_check_range(problem, 0, problem->number_count, 0, maximum, "a gain", err);
    for (size_t i = 1; i < problem->size && status == WZ_OK; i++)
        if (problem->numbers[i * (problem->size + 1)] > problem->numbers[(i - 1) * (problem->size + 1)])
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "%s: link %zu has a larger direct gain than the one before it; links "
                             "are numbered by falling direct gain",
                             problem->task->name, i + 1);
    return status;
}

static void write_gain(wz_words *words, const wz_problem *problem, size_t receiver, size_t transmitter)
{
    wz_word_label(words, transmitter);
    wz_word_number(words, problem->numbers[receiver * problem->size + transmitter]);
}

void wz_link_table_write(wz_words *words, const wz_problem *problem)
{
    for (size_t i = 0; i < problem->size; i++) {
        wz_word_label_small(words, i);
        write_gain(words, problem, i, i);
        for (size_t j = 0; j < problem->size; j++)
            if (j != i)
                write_gain(words, problem, i, j);
    }
}

void wz_link_table_write_channel(wz_words *words, const wz_problem *problem, int offset)
{
    char last[3];
    wz_label(problem->size - 1, last);
    wz_words_printf(
        words,
        "%zu radio links, A to %s, share one channel; each is a transmitter and its own receiver. "
        "Power received from each transmitter at full power, in dB relative to the receiver's "
        "noise power:\n",
        problem->size, last);
    wz_link_table_write_full(words, problem, offset);
}

void wz_link_table_write_full(wz_words *words, const wz_problem *problem, int offset)
{
    char label[3];
    for (size_t i = 0; i < problem->size; i++) {
        wz_label(i, label);
        wz_words_printf(words, "Receiver %s:", label);
        for (size_t j = 0; j < problem->size; j++) {
            wz_label(j, label);
            wz_words_printf(words, "%s %d dB from %s", j == 0 ? "" : ",",
                            (int)problem->numbers[i * problem->size + j] - offset, label);
        }
        wz_words_printf(words, "\n");
    }
}
