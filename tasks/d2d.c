/* Words the compact prompt and its answers are made of; in the built-in vocabulary each is one token:
 *     " link" " on" " off" " dB" " to" " SINR" " per"    link labels " A".." BL" and " a".." bl"
 *     integers " 0".." 120"                              tags "<answer>" "</answer>" */
#include "tasks/d2d.h"

#include <math.h>

#include "tasks/channel_d2d.h"
#include "tasks/decibel.h"
#include "tasks/link_table.h"

enum {
    OPTION_LINKS,
    OPTION_FIELD_M,
    OPTION_MIN_DISTANCE_M,
    OPTION_MAX_DISTANCE_M,
    OPTION_SHADOWING_DB,
    OPTION_FADING,
    OPTION_GAP_DB,
    OPTION_COUNT
};

static const char *const fadings[] = {"none", "rayleigh", NULL};

/* In denser fields than the default's (8 links in 350 m) the strongest link alone is hard to beat. */
static const wz_task_option options[OPTION_COUNT] = {
    {"links", 8, 2, WZ_MAX_LINKS, 1, "transmitter-receiver pairs in the field (more than 64: no prompts)",
     NULL},
    {"field_m", 500, 50, 10000, 0, "side of the square field, in metres", NULL},
    {"min_distance_m", 2, 1, 1000, 0, "least distance of a transmitter to its receiver", NULL},
    {"max_distance_m", 65, 1, 1000, 0, "largest distance of a transmitter to its receiver", NULL},
    {"shadowing_db", 0, 0, 12, 0, "standard deviation of log-normal shadowing of each path", NULL},
    {"fading", 0, 0, 1, 1, "fast fading of each path", fadings},
    {"gap_db", 6, 0, 20, 1, "SNR gap to capacity, whole dB", NULL},
};

static wz_status check(const double *values, wz_error *err)
{
    const double field = values[OPTION_FIELD_M];
    if (values[OPTION_MIN_DISTANCE_M] > values[OPTION_MAX_DISTANCE_M])
        return wz_fail(err, WZ_ERR_USAGE, "task.min_distance_m = %g is larger than task.max_distance_m = %g",
                       values[OPTION_MIN_DISTANCE_M], values[OPTION_MAX_DISTANCE_M]);
    if (values[OPTION_MIN_DISTANCE_M] > field / 2 || values[OPTION_MAX_DISTANCE_M] > field)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "task.field_m = %g is too small for links of %g to %g m: it must be at least twice the "
            "least and once the largest distance",
            field, values[OPTION_MIN_DISTANCE_M], values[OPTION_MAX_DISTANCE_M]);
    if (values[OPTION_LINKS] > field)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "task.field_m = %g is too small for %g links: receivers keep 1 m from all transmitters, "
            "which needs at least a metre of side for each link",
            field, values[OPTION_LINKS]);
    return WZ_OK;
}

/* The payload with its table behind it. */
static size_t payload_bytes(const double *values)
{
    return sizeof(wz_d2d) + wz_link_table_count(values) * sizeof(double);
}

static void derive(wz_problem *problem)
{
    wz_d2d *p = problem->payload;
    p->links = problem->size;
    p->gap = pow(10.0, problem->values[OPTION_GAP_DB] / 10.0);
    p->gain = (double *)(p + 1);
    for (size_t i = 0; i < p->links; i++)
        for (size_t j = 0; j < p->links; j++)
            p->gain[i * p->links + j] =
                wz_from_whole_db(problem->numbers[i * p->links + j], 0) / (i == j ? p->gap : 1);
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double *values = problem->values;
    const wz_d2d_field field = {problem->size,
                                values[OPTION_FIELD_M],
                                values[OPTION_MIN_DISTANCE_M],
                                values[OPTION_MAX_DISTANCE_M],
                                values[OPTION_SHADOWING_DB],
                                values[OPTION_FADING] != 0};
    double power_db[WZ_MAX_LINKS * WZ_MAX_LINKS];
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    wz_status status = wz_d2d_draw(&field, draws, power_db, err);
    if (status != WZ_OK)
        return status;
    for (size_t entry = 0; entry < problem->number_count; entry++)
        printed[entry] = wz_clip_db(power_db[entry], 0, WZ_D2D_DB_MAX);
    wz_link_table_number(printed, false, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    return wz_link_table_check(problem, WZ_D2D_DB_MAX, false, err);
}

/* gain[i][j] from transmitter j to receiver i, linear, in units of the noise power at full transmit power. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    return wz_link_table_import(&wz_task_d2d, values, &gains, 0, WZ_D2D_DB_MAX, false, index, out, err);
}

/* ---- text ---- */

/* Labels end before links do. */
static bool can_be_named(const wz_problem *problem, wz_words *words)
{
    if (problem->size > WZ_MAX_LABELS)
        words->status =
            wz_fail(words->err, WZ_ERR_USAGE,
                    "d2d: a prompt can name %d links, this problem has %zu; it can be solved, not printed",
                    WZ_MAX_LABELS, problem->size);
    return problem->size <= WZ_MAX_LABELS;
}

static void print_compact(const wz_problem *problem, wz_words *words)
{
    if (!can_be_named(problem, words))
        return;
    wz_words_printf(words, " link on off dB 0 to %d SINR per %d dB", WZ_D2D_DB_MAX,
                    (int)problem->values[OPTION_GAP_DB]);
    wz_link_table_write(words, problem);
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    char last[3];
    if (!can_be_named(problem, words))
        return;
    wz_label(problem->size - 1, last);
    wz_words_printf(
        words,
        "%zu device-to-device radio links, A to %s, share one channel of 5 MHz; each is a transmitter "
        "and its own receiver. Power received from each transmitter when it transmits, in dB relative "
        "to the receiver's noise power:\n",
        problem->size, last);
    wz_link_table_write_full(words, problem, 0);
    wz_words_printf(
        words,
        "Each transmitter is either on, at full power, or off. The rate of a link that is on is 5 MHz "
        "times log2(1 + S / (G (1 + I))), where S is the power its receiver gets from its own "
        "transmitter and I the sum of the powers it gets from all other transmitters that are on, both "
        "linear and in units of the noise power, and G is %d dB, that is %.6g; a link that is off has "
        "rate 0. Choose which links are on so that the sum of the rates is largest.\n",
        (int)problem->values[OPTION_GAP_DB], pow(10.0, problem->values[OPTION_GAP_DB] / 10.0));
    wz_words_ask(words,
                 "%zu numbers in the order of the links, 1 for on and 0 for off, separated by single spaces",
                 problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add_switches(out, problem->size);
}

const wz_task wz_task_d2d = {
    .name = "d2d",
    .title = "D2D link scheduling: which links of a field transmit, for the largest sum of rates",
    .text_version = 1,
    .stream = 6,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_LINKS,
    .check = check,
    .number_count = wz_link_table_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .import = import,
    .reorder = wz_link_table_reorder,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
