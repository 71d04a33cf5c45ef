#include "tasks/energy_efficiency.h"

#include <math.h>

#include "tasks/rayleigh_table.h"

enum {
    OPTION_LINKS,
    OPTION_LEVELS,
    OPTION_SNR_DB,
    OPTION_DIRECT,
    OPTION_AMPLIFIER,
    OPTION_CIRCUIT,
    OPTION_COUNT
};

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 3, 2, WZ_RAYLEIGH_MAX_LINKS, 1, "transmitter-receiver pairs that share the channel", NULL},
    {"levels", 11, 2, 1000, 1, "power levels of a transmitter: level l of L is power l/(L-1)", NULL},
    {"snr_db", 10, -20, 30, 0,
     "mean ratio of interference from one transmitter at full power to noise, in dB", NULL},
    {"direct", 10, 0.1, 1000, 0, "how much stronger direct channels are on average, as a power ratio", NULL},
    {"amplifier_percent", 300, 1, 999, 1, "power an amplifier draws, in per cent of what it sends", NULL},
    {"circuit_percent", 500, 1, 999, 1, "power the circuits draw, in per cent of a transmitter's full power",
     NULL},
};

/* The payload with its table behind it. */
static size_t payload_bytes(const double *values)
{
    return sizeof(wz_energy_efficiency) + wz_link_table_count(values) * sizeof(double);
}

static void derive(wz_problem *problem)
{
    wz_energy_efficiency *p = problem->payload;
    p->links = problem->size;
    p->levels = (size_t)problem->values[OPTION_LEVELS];
    p->amplifier = problem->values[OPTION_AMPLIFIER] / 100;
    p->circuit = problem->values[OPTION_CIRCUIT] / 100;
    p->gain = (double *)(p + 1);
    wz_rayleigh_table_gain(problem, p->gain);
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double snr = pow(10.0, problem->values[OPTION_SNR_DB] / 10.0);
    (void)err;
    wz_rayleigh_table_draw(problem, draws, problem->values[OPTION_DIRECT] * snr, snr);
    return WZ_OK;
}

static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    return wz_rayleigh_table_import(&wz_task_energy_efficiency, values, &gains, index, out, err);
}

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " rate per energy %d plus %d levels %d", (int)problem->values[OPTION_AMPLIFIER],
                    (int)problem->values[OPTION_CIRCUIT], (int)problem->values[OPTION_LEVELS]);
    wz_rayleigh_table_write(words, problem);
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const int levels = (int)problem->values[OPTION_LEVELS];
    wz_rayleigh_table_write_full(words, problem);
    wz_words_printf(
        words,
        "Each transmitter uses one of %d power levels, 0 to %d; level n means n/%d of full power, "
        "which is 1 W (0 is off). The rate of a link is log2(1 + S / (1 + I)) bit/s/Hz, where S is "
        "the power its receiver gets from its own transmitter and I the sum of the powers it gets "
        "from all others, both linear and in units of the noise power. ",
        levels, levels - 1, levels - 1);
    wz_words_printf(
        words,
        "The system draws %.2f W for each W that is sent, and %.2f W always. Choose the levels that "
        "maximise the energy efficiency: the sum of the rates divided by the power drawn, in "
        "bit/J/Hz.\n",
        problem->values[OPTION_AMPLIFIER] / 100, problem->values[OPTION_CIRCUIT] / 100);
    wz_words_ask(words, "the %zu levels in the order of the links, as integers separated by single spaces",
                 problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_NUMBER, (unsigned)problem->values[OPTION_LEVELS], problem->size);
}

const wz_task wz_task_energy_efficiency = {
    .name = "energy_efficiency",
    .title = "energy efficiency: power levels that send the most bits per joule over an interference channel",
    .text_version = 1,
    .stream = 13,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_LINKS,
    .number_count = wz_link_table_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = wz_rayleigh_table_check,
    .derive = derive,
    .import = import,
    .reorder = wz_link_table_reorder,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
