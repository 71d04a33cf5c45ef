#include "tasks/max_min.h"

#include <math.h>

#include "tasks/rayleigh_table.h"

enum { OPTION_LINKS, OPTION_LEVELS, OPTION_SNR_DB, OPTION_DIRECT, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 3, 2, WZ_RAYLEIGH_MAX_LINKS, 1, "transmitter-receiver pairs that share the channel", NULL},
    {"levels", 11, 3, 1000, 1, "power levels of a transmitter: level l of L is power l/(L-1)", NULL},
    {"snr_db", 10, -20, 30, 0,
     "mean ratio of interference from one transmitter at full power to noise, in dB", NULL},
    {"direct", 5, 0.1, 1000, 0, "how much stronger direct channels are on average, as a power ratio", NULL},
};

/* The payload with its table behind it. */
static size_t payload_bytes(const double *values)
{
    return sizeof(wz_max_min) + wz_link_table_count(values) * sizeof(double);
}

static void derive(wz_problem *problem)
{
    wz_max_min *p = problem->payload;
    p->links = problem->size;
    p->levels = (size_t)problem->values[OPTION_LEVELS];
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
    return wz_rayleigh_table_import(&wz_task_max_min, values, &gains, index, out, err);
}

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " minimum SINR levels %d", (int)problem->values[OPTION_LEVELS]);
    wz_rayleigh_table_write(words, problem);
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const int levels = (int)problem->values[OPTION_LEVELS];
    wz_rayleigh_table_write_full(words, problem);
    wz_words_printf(
        words,
        "Each transmitter uses one of %d power levels, 0 to %d; level n means n/%d of full power. "
        "The SINR of a link is S / (1 + I), where S is the power its receiver gets from its own "
        "transmitter and I the sum of the powers it gets from all others, both linear and in units "
        "of the noise power. Choose the levels that make the smallest SINR of all links as large as "
        "possible.\n",
        levels, levels - 1, levels - 1);
    wz_words_ask(words, "the %zu levels in the order of the links, as integers separated by single spaces",
                 problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_NUMBER, (unsigned)problem->values[OPTION_LEVELS], problem->size);
}

const wz_task wz_task_max_min = {
    .name = "max_min",
    .title = "max-min SINR: power levels that serve the worst link of an interference channel best",
    .text_version = 1,
    .stream = 7,
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
