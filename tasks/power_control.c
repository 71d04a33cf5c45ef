/* Words the compact prompt and its answers are made of; in the built-in vocabulary each is one token:
 *     " power" " levels" " dB" " plus" " to"  link labels " A".." Z" " AA".." BL" and " a".." bl"
 *     integers " 0".." 99"                    tags "<answer>" "</answer>"
 * The frame is nine words (" power levels 8 dB plus 30 0 to 44") and the opening tag; with the closing
 * tag and an end token that makes twelve tokens beside the K(2K+1) of the table. */
#include "tasks/power_control.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/philox.h"

enum { OPTION_LINKS, OPTION_LEVELS, OPTION_SNR_DB, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 3, 2, WZ_MAX_LINKS, 1, "transmitter-receiver pairs that share the channel"},
    {"levels", 2, 2, WZ_MAX_LEVELS, 1, "power levels of a transmitter: level l of L is power l/(L-1)"},
    {"snr_db", 0, -20, 40, 0, "mean signal-to-noise ratio of a channel at full power, in dB"},
};

const wz_power_control *wz_power_control_borrow(const wz_problem *problem)
{
    return problem->task == &wz_task_power_control ? problem->payload : NULL;
}

void wz_link_label(size_t link, char out[3])
{
    size_t used = 0;
    if (link >= 26)
        out[used++] = (char)('A' + link / 26 - 1);
    out[used++] = (char)('A' + link % 26);
    out[used] = '\0';
}

void wz_link_label_off(size_t link, char out[3])
{
    wz_link_label(link, out);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)(*c - 'A' + 'a');
}

/* ---- building a problem ---- */

/* The payload with its tables behind it in one block. */
static wz_status payload_create(size_t links, size_t levels, wz_power_control **out, wz_error *err)
{
    size_t entries = links * links; /* links <= WZ_MAX_LINKS */
    void *block = NULL;
    wz_status status = wz_alloc(&block, sizeof(wz_power_control) + entries * (sizeof(double) + 1) + links, 1,
                                "power-control problem", err);
    if (status != WZ_OK)
        return status;
    wz_power_control *made = block;
    made->links = links;
    made->levels = levels;
    made->noise = 1.0;
    made->budget = 1.0;
    made->gain = (double *)(made + 1);
    made->gain_db_above_floor = (uint8_t *)(made->gain + entries);
    made->source = made->gain_db_above_floor + entries;
    *out = made;
    return WZ_OK;
}

/* The printed form of a linear gain (finite, >= 0); adds 1 to *clipped where the printed range cannot hold it. */
static uint8_t printed_gain(double linear, size_t *clipped)
{
    double above = linear > 0 ? round(10.0 * log10(linear)) + WZ_GAIN_DB_OFFSET : -1.0;
    double within = fmin(fmax(above, 0.0), WZ_GAIN_DB_MAX);
    *clipped += above != within;
    return (uint8_t)within;
}

/* Rounds linear gains (links, links) to the printed ones and numbers the links. Returns how many were clipped. */
static size_t payload_fill(wz_power_control *payload, const double *linear)
{
    const size_t links = payload->links;
    uint8_t *source = payload->source, printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    size_t clipped = 0;
    for (size_t entry = 0; entry < links * links; entry++)
        printed[entry] = printed_gain(linear[entry], &clipped);
    for (size_t i = 0; i < links; i++) { /* by insertion: links of equal gain keep their order */
        size_t place = i;
        for (; place > 0 && printed[i * (links + 1)] > printed[source[place - 1] * (links + 1)]; place--)
            source[place] = source[place - 1];
        source[place] = (uint8_t)i;
    }
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++) {
            const uint8_t above = printed[source[i] * links + source[j]];
            payload->gain_db_above_floor[i * links + j] = above;
            payload->gain[i * links + j] = pow(10.0, (above - WZ_GAIN_DB_OFFSET) / 10.0);
        }
    return clipped;
}

static void finish(wz_power_control *payload, wz_split split, uint32_t index, wz_problem *out)
{
    *out = (wz_problem){.task = &wz_task_power_control,
                        .index = index,
                        .split = split,
                        .size = payload->links,
                        .payload = payload};
}

static wz_purpose purpose_of(wz_split split)
{
    switch (split) {
    case WZ_SPLIT_VALIDATION:
        return WZ_PURPOSE_VALIDATION;
    case WZ_SPLIT_TEST:
        return WZ_PURPOSE_TEST;
    case WZ_SPLIT_TRAIN:
        break;
    }
    return WZ_PURPOSE_TRAIN;
}

/* |CN(0,1)|^2 is exponential with mean 1, so h^2 = -ln u; four entries come from one Philox block. The
 * number of links takes the token's place in the key, so that sizes share no numbers. */
static wz_status generate(const double *values, uint64_t seed, wz_split split, uint32_t index,
                          wz_problem *out, wz_error *err)
{
    wz_status status = wz_task_check_values(&wz_task_power_control, values, err);
    if (status != WZ_OK)
        return status;
    wz_power_control *payload = NULL;
    status = payload_create((size_t)values[OPTION_LINKS], (size_t)values[OPTION_LEVELS], &payload, err);
    if (status != WZ_OK)
        return status;
    const wz_draw_key key = {
        .seed = seed, .problem = index, .token = (uint32_t)payload->links, .purpose = purpose_of(split)};
    const double snr = pow(10.0, values[OPTION_SNR_DB] / 10.0);
    double linear[WZ_MAX_LINKS * WZ_MAX_LINKS];
    uint32_t words[4];
    for (size_t entry = 0; entry < payload->links * payload->links; entry++) {
        if (entry % 4 == 0)
            wz_draw_words(&key, (uint32_t)(entry / 4), words);
        linear[entry] = -log(wz_uniform(words[entry % 4])) * snr;
    }
    (void)payload_fill(payload, linear);
    finish(payload, split, index, out);
    return WZ_OK;
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
static wz_status check_scale(size_t links, const wz_power_control *payload, const double *gain, wz_error *err)
{
    size_t low = 0, high = 0;
    for (size_t i = 0; i < links; i++) {
        double direct = gain[payload->source[i] * (links + 1)];
        low += payload->gain_db_above_floor[i * links + i] == 0 && direct < 8.91e-4;            /* -30.5 dB */
        high += payload->gain_db_above_floor[i * links + i] == WZ_GAIN_DB_MAX && direct > 28.2; /* 14.5 dB */
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
    wz_status status = wz_task_check_values(&wz_task_power_control, checked, err);
    if (status == WZ_OK)
        status = check_entries(rows, data, err);
    if (status != WZ_OK)
        return status;
    wz_power_control *payload = NULL;
    status = payload_create(rows, (size_t)values[OPTION_LEVELS], &payload, err);
    if (status != WZ_OK)
        return status;
    const size_t clipped = payload_fill(payload, data);
    status = check_scale(rows, payload, data, err);
    if (status != WZ_OK) {
        free(payload);
        return status;
    }
    finish(payload, WZ_SPLIT_TEST, index, out);
    out->clipped = clipped;
    return WZ_OK;
}

static const uint8_t *source_rows(const wz_problem *problem)
{
    const wz_power_control *p = wz_power_control_borrow(problem);
    return p == NULL ? NULL : p->source;
}

static void clear(wz_problem *problem)
{
    free(problem->payload);
    problem->payload = NULL;
}

/* ---- text ---- */

/* Writes " " and a number of at most three digits; returns its end. */
static char *write_number(char *at, unsigned number)
{
    *at++ = ' ';
    if (number >= 100)
        *at++ = (char)('0' + number / 100);
    if (number >= 10)
        *at++ = (char)('0' + number / 10 % 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

/* Writes " " and a link's label, capital or small; returns its end. */
static char *write_label(char *at, size_t link, bool capital)
{
    char label[3];
    if (capital)
        wz_link_label(link, label);
    else
        wz_link_label_off(link, label);
    *at++ = ' ';
    for (const char *c = label; *c != '\0'; c++)
        *at++ = *c;
    return at;
}

static char *write_gain(char *at, const wz_power_control *p, size_t receiver, size_t transmitter)
{
    at = write_label(at, transmitter, true);
    return write_number(at, p->gain_db_above_floor[receiver * p->links + transmitter]);
}

static wz_status print_compact(const wz_power_control *p, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, " power levels %zu dB plus %d 0 to %d", p->levels,
                                      WZ_GAIN_DB_OFFSET, WZ_GAIN_DB_MAX);
    for (size_t i = 0; i < p->links && status == WZ_OK; i++) {
        char row[3 + 6 * WZ_MAX_LINKS]; /* " bl" and, for each transmitter, " BL 44" */
        char *at = write_gain(write_label(row, i, false), p, i, i);
        for (size_t j = 0; j < p->links; j++)
            if (j != i)
                at = write_gain(at, p, i, j);
        status = wz_text_append(out, row, (size_t)(at - row), err);
    }
    if (status == WZ_OK)
        status = wz_text_append(out, "<answer>", strlen("<answer>"), err);
    return status;
}

static wz_status print_full_table(const wz_power_control *p, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    char label[3];
    for (size_t i = 0; i < p->links && status == WZ_OK; i++) {
        wz_link_label(i, label);
        status = wz_text_printf(out, err, "Receiver %s:", label);
        for (size_t j = 0; j < p->links && status == WZ_OK; j++) {
            wz_link_label(j, label);
            status = wz_text_printf(out, err, "%s %d dB from %s", j == 0 ? "" : ",",
                                    p->gain_db_above_floor[i * p->links + j] - WZ_GAIN_DB_OFFSET, label);
        }
        if (status == WZ_OK)
            status = wz_text_append(out, "\n", 1, err);
    }
    return status;
}

/* No example answer is shown: there is none to copy. */
static wz_status print_full(const wz_power_control *p, wz_text *out, wz_error *err)
{
    char last[3];
    wz_link_label(p->links - 1, last);
    wz_status status =
        wz_text_printf(out, err,
                       "%zu radio links, A to %s, share one channel; each is a transmitter and its own "
                       "receiver. Power received "
                       "from each transmitter at full power, in dB relative to the receiver's noise power:\n",
                       p->links, last);
    if (status == WZ_OK)
        status = print_full_table(p, out, err);
    if (status != WZ_OK)
        return status;
    return wz_text_printf(
        out, err,
        "Each transmitter uses one of %zu power levels, 0 to %zu; level n means n/%zu of full power (0 is "
        "off). The "
        "rate of a link is log2(1 + S / (1 + I)) bit/s/Hz, where S is the power its receiver gets from its "
        "own "
        "transmitter and I the sum of the powers it gets from all others, both linear and in units of the "
        "noise "
        "power. Choose the levels that maximise the sum of the rates.\n"
        "Reason between <think> and </think>; then write the %zu levels in the order of the links, as "
        "integers "
        "separated by single spaces, between <answer> and </answer>, and nothing after that.\n<think>",
        p->levels, p->levels - 1, p->levels - 1, p->links);
}

static wz_status print(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err)
{
    const wz_power_control *p = wz_power_control_borrow(problem);
    if (p == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "power_control: asked to print a problem of another family");
    return style == WZ_PROMPT_COMPACT ? print_compact(p, out, err) : print_full(p, out, err);
}

/* "( A| a)( B| b)</answer>" */
static wz_status switch_pattern(const wz_power_control *p, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < p->links && status == WZ_OK; i++) {
        char on[3], off[3];
        wz_link_label(i, on);
        wz_link_label_off(i, off);
        status = wz_text_printf(out, err, "( %s| %s)", on, off);
    }
    return status == WZ_OK ? wz_text_printf(out, err, "</answer>") : status;
}

/* "( [0-7]){3}</answer>": what follows "<answer>". */
static wz_status answer_pattern(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err)
{
    const wz_power_control *p = wz_power_control_borrow(problem);
    if (p == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME,
                       "power_control: asked for the answer of another family's problem");
    if (style == WZ_PROMPT_COMPACT && p->levels == 2)
        return switch_pattern(p, out, err);
    size_t tens = (p->levels - 1) / 10, ones = (p->levels - 1) % 10; /* of the highest level, at most 99 */
    if (tens == 0)
        return wz_text_printf(out, err, "( [0-%zu]){%zu}</answer>", ones, p->links);
    if (tens == 1)
        return wz_text_printf(out, err, "( ([0-9]|1[0-%zu])){%zu}</answer>", ones, p->links);
    return wz_text_printf(out, err, "( ([0-9]|[1-%zu][0-9]|%zu[0-%zu])){%zu}</answer>", tens - 1, tens, ones,
                          p->links);
}

const wz_task wz_task_power_control = {
    .name = "power_control",
    .title = "K-link power control: power levels that maximise the sum rate of an interference channel",
    .text_version = 3,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_LINKS,
    .check = NULL,
    .generate = generate,
    .import = import,
    .source_rows = source_rows,
    .clear = clear,
    .print = print,
    .answer_pattern = answer_pattern,
};
