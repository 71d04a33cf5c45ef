#include "tasks/isac.h"

#include <math.h>
#include <string.h>

#include "tasks/decibel.h"
#include "tasks/own_gains.h"
#include "tasks/rows.h"

enum { OPTION_TONES, OPTION_TOTAL, OPTION_SNR_DB, OPTION_SENSING, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"tones", 4, 2, WZ_MAX_LABELS, 1, "tones that share the power", NULL},
    {"total", 10, 1, 999, 1, "parts that the power is divided into: 100 for per cent", NULL},
    {"snr_db", 10, -20, 30, 0, "mean signal-to-noise ratio of a tone that has the whole power, in dB", NULL},
    {"sensing_percent", 70, 0, 95, 1,
     "sensing power that is required, in per cent of all power on the best sensing tone", NULL},
};

static size_t number_count(const double *values)
{
    return 2 * (size_t)values[OPTION_TONES];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_isac);
}

static void derive(wz_problem *problem)
{
    wz_isac *p = problem->payload;
    p->tones = problem->size;
    p->total = (unsigned)problem->values[OPTION_TOTAL];
    p->needed = ((uint64_t)problem->values[OPTION_SENSING] * WZ_ISAC_SENSE_MAX * p->total + 99) / 100;
    for (size_t i = 0; i < p->tones; i++) {
        p->gain[i] = wz_from_whole_db(problem->numbers[2 * i + 1], WZ_ISAC_DB_OFFSET);
        p->sense[i] = (unsigned)problem->numbers[2 * i];
    }
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double snr = pow(10.0, problem->values[OPTION_SNR_DB] / 10.0);
    double response[WZ_MAX_LABELS], best = 0;
    int32_t printed[2 * WZ_MAX_LABELS];
    (void)err;
    for (size_t i = 0; i < problem->size; i++) {
        printed[2 * i + 1] =
            wz_whole_db(snr * wz_draws_exponential(draws), WZ_ISAC_DB_OFFSET, WZ_ISAC_DB_MAX);
        response[i] = wz_draws_exponential(draws);
        best = fmax(best, response[i]);
    }
    for (size_t i = 0; i < problem->size; i++)
        printed[2 * i] = (int32_t)round(WZ_ISAC_SENSE_MAX * response[i] / best);
    wz_part_rows_number(printed, 2, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < problem->size && status == WZ_OK; i++) {
        status = wz_problem_check_range(problem, 2 * i, 1, 0, WZ_ISAC_SENSE_MAX, "a sensing response", err);
        if (status == WZ_OK)
            status = wz_problem_check_range(problem, 2 * i + 1, 1, 0, WZ_ISAC_DB_MAX, "a gain", err);
    }
    if (status == WZ_OK)
        status = wz_part_rows_check(problem, 2, "tone", err);
    if (status == WZ_OK && problem->numbers[0] != WZ_ISAC_SENSE_MAX)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "isac: the largest sensing response is %d; responses are relative to the largest, which "
            "is %d",
            (int)problem->numbers[0], WZ_ISAC_SENSE_MAX);
    return status;
}

/* Two rows, a column per tone: the signal-to-noise ratio if the tone has the whole power, and the target's response in any
 * unit; both linear. source: the tone's column. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    static const char shape[] = "two rows, gains and the target's responses, and a column per tone";
    double own[OPTION_COUNT], best = 0;
    int32_t printed[2 * WZ_MAX_LABELS];
    if (rows != 2)
        return wz_own_refuse_shape(&wz_task_isac, &gains, shape, err);
    memcpy(own, values, sizeof own);
    own[OPTION_TONES] = (double)columns;
    wz_status status = wz_own_open(&wz_task_isac, own, &gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < columns; i++)
        best = fmax(best, data[columns + i]);
    for (size_t i = 0; i < columns; i++) {
        printed[2 * i] = best > 0 ? (int32_t)round(WZ_ISAC_SENSE_MAX * (data[columns + i] / best)) : 0;
        printed[2 * i + 1] = wz_own_db(out, data[i], WZ_ISAC_DB_OFFSET, WZ_ISAC_DB_MAX);
    }
    wz_part_rows_number(printed, 2, out);
    return wz_own_close(out, columns, "-20..40 dB", err);
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    wz_part_rows_reorder(from, 2, order, to);
}

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " sense %d per 100 power sum %d", (int)problem->values[OPTION_SENSING],
                    (int)problem->values[OPTION_TOTAL]);
    for (size_t i = 0; i < problem->size; i++) {
        wz_word_label(words, i);
        wz_word_number(words, problem->numbers[2 * i]);
        wz_word_number(words, problem->numbers[2 * i + 1]);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const int total = (int)problem->values[OPTION_TOTAL], percent = (int)problem->values[OPTION_SENSING];
    char label[3];
    wz_words_printf(
        words,
        "A transmitter shares its power among %zu tones. Each tone carries data and also lights up "
        "a radar target. Of each tone: the signal-to-noise ratio at the receiver if the tone is "
        "given the whole power, and the target's response per unit of power, the best being %d:\n",
        problem->size, WZ_ISAC_SENSE_MAX);
    for (size_t i = 0; i < problem->size; i++) {
        wz_label(i, label);
        wz_words_printf(words, "Tone %s: %d dB, response %d\n", label,
                        (int)problem->numbers[2 * i + 1] - WZ_ISAC_DB_OFFSET, (int)problem->numbers[2 * i]);
    }
    wz_words_printf(
        words,
        "Divide the power among the tones in whole parts of 1/%d; the parts may sum to %d at most. "
        "The sum over the tones of parts times response must be at least %d/100 of %d, which is "
        "what all %d parts on the best tone would reach. ",
        total, total, percent, WZ_ISAC_SENSE_MAX * total, total);
    wz_words_printf(words,
                    "A tone with k parts carries log2(1 + g k/%d) bit/s/Hz, where g is its signal-to-noise "
                    "ratio from above as a linear number, 10^(dB/10). Choose the parts that maximise the sum "
                    "of these rates.\n",
                    total);
    wz_words_ask(
        words, "the parts of the %zu tones in the order of the tones, as integers separated by single spaces",
        problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_NUMBER, (unsigned)problem->values[OPTION_TOTAL] + 1, problem->size);
}

const wz_task wz_task_isac = {
    .name = "isac",
    .title = "sensing and communication: shares of power that maximise the rate while a target is seen",
    .text_version = 1,
    .stream = 10,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_TONES,
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
