#include "tasks/link_table.h"

#include <math.h>
#include <string.h>

#include "tasks/rows.h"

size_t wz_link_table_count(const double *values)
{
    return (size_t)values[0] * (size_t)values[0];
}

void wz_link_table_number(const int32_t *printed, bool has_gaps, wz_problem *problem)
{
    const size_t links = problem->size;
    const uint8_t *source = problem->source;
    int32_t direct[WZ_MAX_LINKS] = {0};
    uint8_t place[WZ_MAX_LINKS], order[WZ_MAX_LINKS];
    size_t count = 0;
    for (size_t i = 0; i < links; i++) {
        problem->source[i] = (uint8_t)i;
        if (has_gaps && printed[i * (links + 1)] == 0)
            continue;
        direct[count] = printed[i * (links + 1)];
        place[count++] = (uint8_t)i;
    }
    wz_rows_by_falling(count, direct, order);
    for (size_t k = 0; k < count; k++)
        problem->source[place[k]] = place[order[k]];
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            problem->numbers[i * links + j] = printed[source[i] * links + source[j]];
}

/* A table in the wrong unit would be clipped into a problem that says nothing about the user's. */
static wz_status check_scale(const wz_problem *problem, const double *gain, int offset, int maximum,
                             wz_error *err)
{
    const size_t links = problem->size;
    const int most_db = maximum - offset;
    size_t low = 0, high = 0;
    for (size_t i = 0; i < links; i++) {
        const double direct = gain[i * (links + 1)];
        low += direct < pow(10, -offset / 10.0 - 0.05); /* half a dB below */
        high += direct > pow(10, most_db / 10.0 + 0.05);
    }
    if (low == links || high == links)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s: every direct gain (the diagonal) lies %s the printed range of %d..%d dB; "
            "gains must be in units of the noise power at full transmit power: multiply the table by "
            "transmit power / noise power",
            problem->task->name, low == links ? "below" : "above", -offset, most_db);
    return WZ_OK;
}

wz_status wz_link_table_import(const wz_task *task, const double *values, const wz_own_gains *gains,
                               int offset, int maximum, bool has_gaps, uint32_t index, wz_problem *out,
                               wz_error *err)
{
    static const char shape[] = "square, one row per receiver and one column per transmitter";
    double own[WZ_TASK_MAX_OPTIONS];
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    if (gains->rows != gains->columns)
        return wz_own_refuse_shape(task, gains, shape, err);
    memcpy(own, values, task->option_count * sizeof *own);
    own[0] = (double)gains->rows;
    wz_status status = wz_own_open(task, own, gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t entry = 0; entry < out->number_count; entry++)
        printed[entry] = wz_own_db(out, gains->data[entry], offset, maximum);
    wz_link_table_number(printed, has_gaps, out);
    status = check_scale(out, gains->data, offset, maximum, err);
    if (status == WZ_OK)
        task->derive(out);
    else
        wz_problem_clear(out);
    return status;
}

void wz_link_table_reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    wz_link_table_reorder_gaps(from, order, false, to);
}

void wz_link_table_reorder_gaps(const wz_problem *from, const uint8_t *order, bool has_gaps, wz_problem *to)
{
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    const size_t links = from->size;
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            printed[i * links + j] = from->numbers[order[i] * links + order[j]];
    wz_link_table_number(printed, has_gaps, to);
    for (size_t i = 0; i < links; i++)
        to->source[i] = order[to->source[i]];
}

wz_status wz_link_table_check(const wz_problem *problem, int32_t maximum, bool has_gaps, wz_error *err)
{
    wz_status status = wz_problem_check_range(problem, 0, problem->number_count, 0, maximum, "a gain", err);
    int32_t before = maximum;
    for (size_t i = 0; i < problem->size && status == WZ_OK; i++) {
        const int32_t direct = problem->numbers[i * (problem->size + 1)];
        if (has_gaps && direct == 0)
            continue;
        if (direct > before)
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "%s: link %zu has a larger direct gain than the one before it; links "
                             "are numbered by falling direct gain",
                             problem->task->name, i + 1);
        before = direct;
    }
    return status;
}

static void write_gain(wz_words *words, const wz_problem *problem, size_t receiver, size_t transmitter)
{
    wz_word_label(words, transmitter);
    wz_word_number(words, problem->numbers[receiver * problem->size + transmitter]);
}

static void write_row(wz_words *words, const wz_problem *problem, size_t receiver)
{
    wz_word_label_small(words, receiver);
    write_gain(words, problem, receiver, receiver);
    for (size_t j = 0; j < problem->size; j++)
        if (j != receiver)
            write_gain(words, problem, receiver, j);
}

void wz_link_table_write(wz_words *words, const wz_problem *problem)
{
    for (size_t i = 0; i < problem->size; i++)
        write_row(words, problem, i);
}

void wz_link_table_write_aligned(wz_words *words, const wz_problem *problem, size_t width)
{
    for (size_t i = problem->size; i-- > 0;) {
        write_row(words, problem, i);
        for (size_t j = problem->size; j < width; j++) {
            wz_word(words, "none");
            wz_word(words, "none");
        }
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
