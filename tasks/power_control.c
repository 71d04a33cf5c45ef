/* Words the compact prompt and its answers are made of; in the built-in vocabulary each is one token:
 *     " power" " levels" " dB" " plus" " to"  link labels " A".." Z" " AA".." BL" and " a".." bl"
 *     integers " 0".." 99"                    tags "<answer>" "</answer>"
 * The frame is nine words (" power levels 8 dB plus 30 0 to 44") and the opening tag; with the closing
 * tag and an end token that makes twelve tokens beside the K(2K+1) of the table. */
#include "tasks/power_control.h"

#include <math.h>
#include <string.h>

#include "tasks/rows.h"
#include "tasks/words.h"

enum { OPTION_LINKS, OPTION_LEVELS, OPTION_SNR_DB, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 3, 2, WZ_MAX_LINKS, 1, "transmitter-receiver pairs that share the channel", NULL},
    {"levels", 2, 2, WZ_MAX_LEVELS, 1, "power levels of a transmitter: level l of L is power l/(L-1)", NULL},
    {"snr_db", 0, -20, 40, 0, "mean signal-to-noise ratio of a channel at full power, in dB", NULL},
};

const wz_power_control *wz_power_control_borrow(const wz_problem *problem)
{
    return problem->task == &wz_task_power_control ? problem->payload : NULL;
}

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_LINKS] * (size_t)values[OPTION_LINKS];
}

/* The payload with its table behind it. */
static size_t payload_bytes(const double *values)
{
    return sizeof(wz_power_control) + number_count(values) * sizeof(double);
}

static void derive(wz_problem *problem)
{
    wz_power_control *p = problem->payload;
    p->links = problem->size;
    p->levels = (size_t)problem->values[OPTION_LEVELS];
    p->noise = 1.0;
    p->budget = 1.0;
    p->gain = (double *)(p + 1);
    for (size_t entry = 0; entry < problem->number_count; entry++)
        p->gain[entry] = pow(10.0, (problem->numbers[entry] - WZ_GAIN_DB_OFFSET) / 10.0);
}

/* The printed form of a linear gain (finite, >= 0); adds 1 to *clipped where the printed range cannot hold it. */
static uint8_t printed_gain(double linear, size_t *clipped)
{
    double above = linear > 0 ? round(10.0 * log10(linear)) + WZ_GAIN_DB_OFFSET : -1.0;
    double within = fmin(fmax(above, 0.0), WZ_GAIN_DB_MAX);
    *clipped += above != within;
    return (uint8_t)within;
}

/* Numbers the links of a printed table (links, links) by falling direct gain. */
static void number_links(const int32_t *printed, wz_problem *problem)
{
    const size_t links = problem->size;
    uint8_t *source = problem->source;
    int32_t direct[WZ_MAX_LINKS] = {0};
    for (size_t i = 0; i < links; i++)
        direct[i] = printed[i * (links + 1)];
    wz_rows_by_falling(links, direct, source);
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            problem->numbers[i * links + j] = printed[source[i] * links + source[j]];
}

/* Rounds linear gains (links, links) to the printed ones and counts those that were clipped. */
static void take_gains(wz_problem *problem, const double *linear)
{
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    for (size_t entry = 0; entry < problem->number_count; entry++)
        printed[entry] = printed_gain(linear[entry], &problem->clipped);
    number_links(printed, problem);
}

/* |CN(0,1)|^2 is exponential with mean 1. */
static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double snr = pow(10.0, problem->values[OPTION_SNR_DB] / 10.0);
    double linear[WZ_MAX_LINKS * WZ_MAX_LINKS];
    (void)err;
    for (size_t entry = 0; entry < problem->number_count; entry++)
        linear[entry] = wz_draws_exponential(draws) * snr;
    take_gains(problem, linear);
    problem->clipped = 0; /* the problem is what is printed */
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    wz_status status =
        wz_problem_check_range(problem, 0, problem->number_count, 0, WZ_GAIN_DB_MAX, "a gain", err);
    for (size_t i = 1; i < problem->size && status == WZ_OK; i++)
        if (problem->numbers[i * (problem->size + 1)] > problem->numbers[(i - 1) * (problem->size + 1)])
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "power_control: link %zu has a larger direct gain than the one before it; links "
                             "are numbered by falling direct gain",
                             i + 1);
    return status;
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    const size_t links = from->size;
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            printed[i * links + j] = from->numbers[order[i] * links + order[j]];
    number_links(printed, to);
    for (size_t i = 0; i < links; i++)
        to->source[i] = order[to->source[i]];
}

/* ---- the user's own gains ---- */

static wz_status check_entries(size_t links, const double *gain, wz_error *err)
{
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++) {
            double value = gain[i * links + j];
            if (!isfinite(value))
                return wz_fail(
                    err, WZ_ERR_CORRUPT,
                    "power_control: gain in row %zu, column %zu is %f; every gain must be a finite "
                    "linear power gain",
                    i + 1, j + 1, value);
            if (value < 0)
                return wz_fail(
                    err, WZ_ERR_CORRUPT,
                    "power_control: gain in row %zu, column %zu is %g; a linear power gain cannot be "
                    "negative (convert dB with 10^(dB/10))",
                    i + 1, j + 1, value);
        }
    return WZ_OK;
}

/* A table in the wrong unit would be clipped into a problem that says nothing about the user's. */
static wz_status check_scale(const wz_problem *problem, const double *gain, wz_error *err)
{
    const size_t links = problem->size;
    size_t low = 0, high = 0;
    for (size_t i = 0; i < links; i++) {
        const double direct = gain[problem->source[i] * (links + 1)];
        low += direct < 8.91e-4; /* -30.5 dB */
        high += direct > 28.2;   /* 14.5 dB */
    }
    if (low == links || high == links)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "power_control: every direct gain (the diagonal) lies %s the printed range of -30..14 dB; "
            "gains must be in units of the noise power at full transmit power: multiply the table by "
            "transmit power / noise power",
            low == links ? "below" : "above");
    return WZ_OK;
}

/* data (rows, columns): gain[i][j] from transmitter j to receiver i, linear, in units of the noise power at
 * full transmit power. `links` is taken from the table, `levels` from the options; entries outside the
 * printed range are clipped and counted in the problem. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    if (rows != columns)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "power_control: the gain table is %zu x %zu; it must be square, one row per receiver and "
            "one column per transmitter",
            rows, columns);
    if (rows < 2 || rows > WZ_MAX_LINKS)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "power_control: the gain table is %zu x %zu; 2 to %d links are possible", rows,
                       columns, WZ_MAX_LINKS);
    double checked[OPTION_COUNT];
    memcpy(checked, values, sizeof checked);
    checked[OPTION_LINKS] = (double)rows;
    wz_status status = check_entries(rows, data, err);
    if (status == WZ_OK)
        status = wz_problem_open(&wz_task_power_control, checked, out, err);
    if (status != WZ_OK)
        return status;
    out->index = index;
    take_gains(out, data);
    status = check_scale(out, data, err);
    if (status == WZ_OK)
        derive(out);
    else
        wz_problem_clear(out);
    return status;
}

/* ---- text ---- */

static void write_gain(wz_words *words, const wz_problem *problem, size_t receiver, size_t transmitter)
{
    wz_word_label(words, transmitter);
    wz_word_number(words, problem->numbers[receiver * problem->size + transmitter]);
}

static void print_compact(const wz_problem *problem, const wz_power_control *p, wz_words *words)
{
    wz_words_printf(words, " power levels %zu dB plus %d 0 to %d", p->levels, WZ_GAIN_DB_OFFSET,
                    WZ_GAIN_DB_MAX);
    for (size_t i = 0; i < p->links; i++) {
        wz_word_label_small(words, i);
        write_gain(words, problem, i, i);
        for (size_t j = 0; j < p->links; j++)
            if (j != i)
                write_gain(words, problem, i, j);
    }
    wz_words_open_answer(words);
}

static void print_full_table(const wz_problem *problem, wz_words *words)
{
    char label[3];
    for (size_t i = 0; i < problem->size; i++) {
        wz_label(i, label);
        wz_words_printf(words, "Receiver %s:", label);
        for (size_t j = 0; j < problem->size; j++) {
            wz_label(j, label);
            wz_words_printf(words, "%s %d dB from %s", j == 0 ? "" : ",",
                            (int)problem->numbers[i * problem->size + j] - WZ_GAIN_DB_OFFSET, label);
        }
        wz_words_printf(words, "\n");
    }
}

/* No example answer is shown: there is none to copy. */
static void print_full(const wz_problem *problem, const wz_power_control *p, wz_words *words)
{
    char last[3];
    wz_label(p->links - 1, last);
    wz_words_printf(words,
                    "%zu radio links, A to %s, share one channel; each is a transmitter and its own "
                    "receiver. Power received "
                    "from each transmitter at full power, in dB relative to the receiver's noise power:\n",
                    p->links, last);
    print_full_table(problem, words);
    wz_words_printf(
        words,
        "Each transmitter uses one of %zu power levels, 0 to %zu; level n means n/%zu of full power (0 is "
        "off). The "
        "rate of a link is log2(1 + S / (1 + I)) bit/s/Hz, where S is the power its receiver gets from its "
        "own "
        "transmitter and I the sum of the powers it gets from all others, both linear and in units of the "
        "noise "
        "power. Choose the levels that maximise the sum of the rates.\n",
        p->levels, p->levels - 1, p->levels - 1);
    wz_words_ask(words, "the %zu levels in the order of the links, as integers separated by single spaces",
                 p->links);
}

static wz_status print(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err)
{
    const wz_power_control *p = wz_power_control_borrow(problem);
    wz_words words = {.out = out, .err = err};
    if (p == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "power_control: asked to print a problem of another family");
    (style == WZ_PROMPT_COMPACT ? print_compact : print_full)(problem, p, &words);
    return words.status;
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    const unsigned levels = (unsigned)problem->values[OPTION_LEVELS];
    if (levels == 2)
        wz_form_add_switches(out, problem->size);
    else
        wz_form_add(out, WZ_SLOT_NUMBER, levels, problem->size);
}

const wz_task wz_task_power_control = {
    .name = "power_control",
    .title = "K-link power control: power levels that maximise the sum rate of an interference channel",
    .text_version = 3,
    .stream = 0,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_LINKS,
    .check = NULL,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .import = import,
    .reorder = reorder,
    .print = print,
    .answer_form = answer_form,
};
