/* Words the compact prompt and its answers are made of; in the built-in vocabulary each is one token:
 *     " power" " levels" " dB" " plus" " to"  link labels " A".." Z" " AA".." BL" and " a".." bl"
 *     integers " 0".." 99"                    tags "<answer>" "</answer>"
 * The frame is nine words (" power levels 8 dB plus 30 0 to 44") and the opening tag; with the closing
 * tag and an end token that makes twelve tokens beside the K(2K+1) of the table. */
#include "tasks/power_control.h"

#include <math.h>
#include <string.h>

#include "tasks/channel_cells.h"
#include "tasks/decibel.h"
#include "tasks/link_table.h"

enum {
    OPTION_LINKS,
    OPTION_LEVELS,
    OPTION_SNR_DB,
    OPTION_CHANNEL,
    OPTION_CELLS,
    OPTION_RADIUS_M,
    OPTION_CARRIER_GHZ,
    OPTION_POWER_DBM,
    OPTION_BANDWIDTH_MHZ,
    OPTION_NOISE_FIGURE_DB,
    OPTION_ROW_WIDTH,
    OPTION_ACTIVE,
    OPTION_SNR_SPREAD_DB,
    OPTION_CEILING_DB,
    OPTION_COUNT
};

enum { CHANNEL_RAYLEIGH, CHANNEL_IMAC, CHANNEL_UMI, CHANNEL_UMA };
static const char *const channels[] = {"rayleigh", "imac", "umi", "uma", NULL};

#define LEAST_RADIUS_M 75.0 /* twice the 35 m that users keep from a uma base station, and some */

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 3, 2, WZ_MAX_LABELS, 1, "transmitter-receiver pairs that share the channel", NULL},
    {"levels", 2, 2, WZ_MAX_LEVELS, 1, "power levels of a transmitter: level l of L is power l/(L-1)", NULL},
    {"snr_db", 0, -20, 40, 0,
     "mean signal-to-noise ratio of a channel at full power, in dB (imac: added to it)", NULL},
    {"channel", CHANNEL_RAYLEIGH, CHANNEL_RAYLEIGH, CHANNEL_UMA, 1, "where gains come from", channels},
    {"cells", 0, 0, WZ_MAX_LABELS, 1,
     "cells that the links are dealt to (0: one for each link; not rayleigh)", NULL},
    {"radius_m", 0, 0, 5000, 0, "of a cell (0: the channel's own, imac 100, umi 115, uma 289)", NULL},
    {"carrier_ghz", 0, 0, 100, 0, "umi, uma: carrier, 0.5 or more (0: 3.5)", NULL},
    {"power_dbm", 0, -30, 60, 0, "umi, uma: of a base station (0: 44 or 49)", NULL},
    {"bandwidth_mhz", 0, 0, 2000, 0, "umi, uma: 0.1 or more (0: 20)", NULL},
    {"noise_figure_db", 9, 0, 30, 0, "umi, uma: of a receiver", NULL},
    {"row_width", 0, 0, WZ_MAX_LABELS, 1,
     "gains that a row of a compact prompt has room for, rows last link first: for one policy at several "
     "numbers of links (0: as many as links, rows in order)",
     NULL},
    {"active", 0, 0, WZ_MAX_LABELS, 1,
     "links, at random places among them, that are on the air; all gains of the others are 0 (0: all are)",
     NULL},
    {"snr_spread_db", 0, 0, 40, 0,
     "each problem has a mean signal-to-noise ratio of its own, uniform within so many dB of snr_db", NULL},
    {"ceiling_db", 0, 0, WZ_CELLS_DB_MAX - WZ_GAIN_DB_OFFSET, 1,
     "largest gain that prompts state, in dB (0: the channel's own, rayleigh 14, the others 80)", NULL},
};

const wz_power_control *wz_power_control_borrow(const wz_problem *problem)
{
    return problem->task == &wz_task_power_control ? problem->payload : NULL;
}

static wz_status check_least(const double *values, size_t option, double least, wz_error *err)
{
    if (values[option] == 0 || values[option] >= least)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_USAGE, "task.%s = %g: 0 (the channel's own) or at least %g",
                   options[option].name, values[option], least);
}

static wz_status check_snr(const double *values, size_t option, wz_error *err)
{
    const int channel = (int)values[OPTION_CHANNEL];
    if (values[option] == 0 || channel == CHANNEL_RAYLEIGH || channel == CHANNEL_IMAC)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_USAGE,
                   "task.%s = %g: the channel %s takes its signal-to-noise ratio from task.power_dbm, "
                   "task.bandwidth_mhz and task.noise_figure_db",
                   options[option].name, values[option], channels[channel]);
}

static wz_status check(const double *values, wz_error *err)
{
    wz_status status = check_least(values, OPTION_RADIUS_M, LEAST_RADIUS_M, err);
    if (status == WZ_OK)
        status = check_least(values, OPTION_CARRIER_GHZ, 0.5, err);
    if (status == WZ_OK)
        status = check_least(values, OPTION_BANDWIDTH_MHZ, 0.1, err);
    if (status == WZ_OK && values[OPTION_CELLS] > values[OPTION_LINKS])
        status = wz_fail(err, WZ_ERR_USAGE, "task.cells = %g is more than task.links = %g",
                         values[OPTION_CELLS], values[OPTION_LINKS]);
    if (status == WZ_OK && values[OPTION_ACTIVE] > values[OPTION_LINKS])
        status = wz_fail(err, WZ_ERR_USAGE, "task.active = %g is more than task.links = %g",
                         values[OPTION_ACTIVE], values[OPTION_LINKS]);
    if (status == WZ_OK && values[OPTION_ROW_WIDTH] != 0 && values[OPTION_ROW_WIDTH] < values[OPTION_LINKS])
        status = wz_fail(err, WZ_ERR_USAGE, "task.row_width = %g: 0 or at least task.links = %g",
                         values[OPTION_ROW_WIDTH], values[OPTION_LINKS]);
    if (status == WZ_OK)
        status = check_snr(values, OPTION_SNR_DB, err);
    if (status == WZ_OK)
        status = check_snr(values, OPTION_SNR_SPREAD_DB, err);
    return status;
}

/* ---- building a problem ---- */

static int printed_max(const double *values)
{
    if (values[OPTION_CEILING_DB] > 0)
        return WZ_GAIN_DB_OFFSET + (int)values[OPTION_CEILING_DB];
    return values[OPTION_CHANNEL] == CHANNEL_RAYLEIGH ? WZ_GAIN_DB_MAX : WZ_CELLS_DB_MAX;
}

/* The payload with its table behind it. */
static size_t payload_bytes(const double *values)
{
    return sizeof(wz_power_control) + wz_link_table_count(values) * sizeof(double);
}

static bool has_gaps(const wz_problem *problem)
{
    return problem->values[OPTION_ACTIVE] > 0;
}

static bool is_gap(const wz_problem *problem, size_t link)
{
    return has_gaps(problem) && problem->numbers[link * (problem->size + 1)] == 0;
}

static void derive(wz_problem *problem)
{
    wz_power_control *p = problem->payload;
    const size_t links = problem->size;
    p->links = links;
    p->levels = (size_t)problem->values[OPTION_LEVELS];
    p->noise = 1.0;
    p->budget = 1.0;
    p->gain = (double *)(p + 1);
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            p->gain[i * links + j] =
                is_gap(problem, i) || is_gap(problem, j)
                    ? 0
                    : wz_from_whole_db(problem->numbers[i * links + j], WZ_GAIN_DB_OFFSET);
}

static double value_or(double value, double own)
{
    return value != 0 ? value : own;
}

static wz_cells cells_of(const wz_problem *problem)
{
    const double *values = problem->values;
    const int channel = (int)values[OPTION_CHANNEL];
    const bool macro = channel == CHANNEL_UMA;
    const double site_distance_m = macro ? 500 : 200;
    return (wz_cells){
        .model = channel == CHANNEL_IMAC ? WZ_CELLS_IMAC
                 : macro                 ? WZ_CELLS_UMA
                                         : WZ_CELLS_UMI,
        .links = problem->size,
        .cells = (size_t)value_or(values[OPTION_CELLS], (double)problem->size),
        .radius_m =
            value_or(values[OPTION_RADIUS_M], channel == CHANNEL_IMAC ? 100 : site_distance_m / sqrt(3)),
        .carrier_ghz = value_or(values[OPTION_CARRIER_GHZ], 3.5),
        .power_dbm = value_or(values[OPTION_POWER_DBM], macro ? 49 : 44),
        .bandwidth_mhz = value_or(values[OPTION_BANDWIDTH_MHZ], 20),
        .noise_figure_db = values[OPTION_NOISE_FIGURE_DB],
    };
}

/* Takes all gains from the links that are not active; the others keep a direct gain, for 0 would say that they are not. */
static void silence(const wz_problem *problem, wz_draws *draws, int32_t *printed)
{
    const size_t links = problem->size, active = (size_t)problem->values[OPTION_ACTIVE];
    uint8_t order[WZ_MAX_LINKS];
    wz_draws_permutation(draws, links, order);
    for (size_t k = 0; k < active; k++)
        if (printed[order[k] * (links + 1)] == 0)
            printed[order[k] * (links + 1)] = 1;
    for (size_t k = active; k < links; k++)
        for (size_t i = 0; i < links; i++)
            printed[order[k] * links + i] = printed[i * links + order[k]] = 0;
}

/* Linear. Without a spread nothing is drawn. */
static double draw_snr(const double *values, wz_draws *draws)
{
    const double spread = values[OPTION_SNR_SPREAD_DB];
    const double off = spread > 0 ? spread * (2 * wz_draws_uniform(draws) - 1) : 0;
    return pow(10.0, (values[OPTION_SNR_DB] + off) / 10.0);
}

/* |CN(0,1)|^2 is exponential with mean 1. */
static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double snr = draw_snr(problem->values, draws);
    double linear[WZ_MAX_LINKS * WZ_MAX_LINKS];
    int32_t printed[WZ_MAX_LINKS * WZ_MAX_LINKS] = {0};
    (void)err;
    if (problem->values[OPTION_CHANNEL] == CHANNEL_RAYLEIGH) {
        for (size_t entry = 0; entry < problem->number_count; entry++)
            linear[entry] = wz_draws_exponential(draws) * snr;
    } else {
        const wz_cells layout = cells_of(problem);
        wz_cells_draw(&layout, draws, linear);
        for (size_t entry = 0; entry < problem->number_count; entry++)
            linear[entry] *= snr;
    }
    for (size_t entry = 0; entry < problem->number_count; entry++)
        printed[entry] = wz_whole_db(linear[entry], WZ_GAIN_DB_OFFSET, printed_max(problem->values));
    if (has_gaps(problem))
        silence(problem, draws, printed);
    wz_link_table_number(printed, has_gaps(problem), problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    const wz_status status =
        wz_link_table_check(problem, printed_max(problem->values), has_gaps(problem), err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < problem->size; i++)
        if (!is_gap(problem, i))
            return WZ_OK;
    return wz_fail(err, WZ_ERR_CORRUPT, "power_control: no link is on the air: all direct gains are 0");
}

/* The table in the first of task.links places, which a policy for so many expects; what is not there is not clipped. */
static wz_status import_among_gaps(double *own, const wz_own_gains *gains, uint32_t index, wz_problem *out,
                                   wz_error *err)
{
    const size_t links = (size_t)own[OPTION_LINKS], active = gains->rows;
    double padded[WZ_MAX_LABELS * WZ_MAX_LABELS] = {0};
    const wz_own_gains table = {links, links, padded};
    if (active > links)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "power_control: the gain table has %zu links, but task.links = %zu is all there is "
                       "room for (task.active)",
                       active, links);
    for (size_t i = 0; i < active; i++)
        memcpy(padded + i * links, gains->data + i * active, active * sizeof *padded);
    own[OPTION_ACTIVE] = (double)active;
    const wz_status status = wz_link_table_import(&wz_task_power_control, own, &table, WZ_GAIN_DB_OFFSET,
                                                  printed_max(own), true, index, out, err);
    if (status == WZ_OK)
        out->clipped -= links * links - active * active;
    return status;
}

/* data (rows, columns): gain[i][j] from transmitter j to receiver i, linear, in units of the noise power at
 * full transmit power. `links` is taken from the table (with task.active `active` is), `levels` from the
 * options; entries outside the printed range are clipped and counted in the problem. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    double own[OPTION_COUNT];
    memcpy(own, values, sizeof own);
    own[OPTION_CELLS] = 0; /* says how gains are drawn */
    if (values[OPTION_ACTIVE] > 0 && rows == columns)
        return import_among_gaps(own, &gains, index, out, err);
    return wz_link_table_import(&wz_task_power_control, own, &gains, WZ_GAIN_DB_OFFSET, printed_max(values),
                                false, index, out, err);
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    wz_link_table_reorder_gaps(from, order, has_gaps(from), to);
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const wz_power_control *p = problem->payload;
    const size_t width = (size_t)problem->values[OPTION_ROW_WIDTH];
    wz_words_printf(words, " power levels %zu dB plus %d 0 to %d", p->levels, WZ_GAIN_DB_OFFSET,
                    printed_max(problem->values));
    if (width > 0)
        wz_link_table_write_aligned(words, problem, width);
    else
        wz_link_table_write(words, problem);
    wz_words_open_answer(words);
}

/* No example answer is shown: there is none to copy. */
static void print_full(const wz_problem *problem, wz_words *words)
{
    const wz_power_control *p = problem->payload;
    wz_link_table_write_channel(words, problem, WZ_GAIN_DB_OFFSET);
    if (has_gaps(problem))
        wz_words_printf(words,
                        "A link whose receiver gets only %d dB from its own transmitter is off the air: it "
                        "receives nothing, nobody receives it, and its level changes nothing.\n",
                        -WZ_GAIN_DB_OFFSET);
    wz_words_printf(
        words,
        "Each transmitter uses one of %zu power levels, 0 to %zu; level n means n/%zu of full power (0 is "
        "off). The rate of a link is log2(1 + S / (1 + I)) bit/s/Hz, where S is the power its receiver gets "
        "from its own transmitter and I the sum of the powers it gets from all others, both linear and in "
        "units of the noise power. Choose the levels that maximise the sum of the rates.\n",
        p->levels, p->levels - 1, p->levels - 1);
    wz_words_ask(words, "the %zu levels in the order of the links, as integers separated by single spaces",
                 p->links);
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
    .later_options = 4,
    .size_option = OPTION_LINKS,
    .check = check,
    .number_count = wz_link_table_count,
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
