#include "tasks/water_filling.h"

#include <math.h>
#include <string.h>

#include "tasks/decibel.h"
#include "tasks/own_gains.h"
#include "tasks/rows.h"

enum { OPTION_CHANNELS, OPTION_TOTAL, OPTION_SNR_DB, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"channels", 4, 2, WZ_MAX_LABELS, 1, "parallel channels that share the power", NULL},
    {"total", 10, 1, 999, 1, "parts that the power is divided into: 100 for per cent", NULL},
    {"snr_db", 0, -20, 30, 0, "mean signal-to-noise ratio of a channel if power is shared evenly, in dB",
     NULL},
};

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_CHANNELS];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_water_filling);
}

static void derive(wz_problem *problem)
{
    wz_water_filling *p = problem->payload;
    p->channels = problem->size;
    p->total = (unsigned)problem->values[OPTION_TOTAL];
    for (size_t i = 0; i < p->channels; i++)
        p->gain[i] = wz_from_whole_db(problem->numbers[i], WZ_WATER_DB_OFFSET);
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double scale = (double)problem->size * pow(10.0, problem->values[OPTION_SNR_DB] / 10.0);
    int32_t printed[WZ_MAX_LABELS];
    (void)err;
    for (size_t i = 0; i < problem->size; i++)
        printed[i] = wz_whole_db(scale * wz_draws_exponential(draws), WZ_WATER_DB_OFFSET, WZ_WATER_DB_MAX);
    wz_part_rows_number(printed, 1, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    wz_status status =
        wz_problem_check_range(problem, 0, problem->number_count, 0, WZ_WATER_DB_MAX, "a gain", err);
    return status == WZ_OK ? wz_part_rows_check(problem, 1, "channel", err) : status;
}

/* A row (or a column) of channels: the signal-to-noise ratio of each if it has the whole power, linear. source: its place
 * in the row. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    static const char shape[] = "one row, a column per channel";
    double own[OPTION_COUNT];
    int32_t printed[WZ_MAX_LABELS];
    if (rows != 1 && columns != 1)
        return wz_own_refuse_shape(&wz_task_water_filling, &gains, shape, err);
    memcpy(own, values, sizeof own);
    own[OPTION_CHANNELS] = (double)(rows * columns);
    wz_status status = wz_own_open(&wz_task_water_filling, own, &gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < out->size; i++)
        printed[i] = wz_own_db(out, data[i], WZ_WATER_DB_OFFSET, WZ_WATER_DB_MAX);
    wz_part_rows_number(printed, 1, out);
    return wz_own_close(out, out->size, "-20..40 dB", err);
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    wz_part_rows_reorder(from, 1, order, to);
}

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " power sum %d dB plus %d 0 to %d", (int)problem->values[OPTION_TOTAL],
                    WZ_WATER_DB_OFFSET, WZ_WATER_DB_MAX);
    for (size_t i = 0; i < problem->size; i++) {
        wz_word_label(words, i);
        wz_word_number(words, problem->numbers[i]);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const int total = (int)problem->values[OPTION_TOTAL];
    char label[3];
    wz_words_printf(words,
                    "A transmitter sends on %zu parallel channels that do not disturb one another. "
                    "Signal-to-noise ratio of each if it is given the whole power:\n",
                    problem->size);
    for (size_t i = 0; i < problem->size; i++) {
        wz_label(i, label);
        wz_words_printf(words, "Channel %s: %d dB\n", label, (int)problem->numbers[i] - WZ_WATER_DB_OFFSET);
    }
    wz_words_printf(words,
                    "Divide the power among the channels in whole parts of 1/%d; the parts may sum to %d at "
                    "most. A channel with k parts carries log2(1 + g k/%d) bit/s/Hz, where g is its "
                    "signal-to-noise ratio from above as a linear number, 10^(dB/10). Choose the parts that "
                    "maximise the sum of these rates.\n",
                    total, total, total);
    wz_words_ask(words,
                 "the parts of the %zu channels in the order of the channels, as integers separated by "
                 "single spaces",
                 problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_NUMBER, (unsigned)problem->values[OPTION_TOTAL] + 1, problem->size);
}

const wz_task wz_task_water_filling = {
    .name = "water_filling",
    .title = "water-filling: whole shares of a power budget that maximise the sum rate of parallel channels",
    .text_version = 1,
    .stream = 4,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_CHANNELS,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .import = import,
    .reorder = reorder,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
