#include "tasks/beam_hopping.h"

#include <math.h>

enum {
    OPTION_CELLS,
    OPTION_BEAMS,
    OPTION_SLOTS,
    OPTION_LAYOUT,
    OPTION_SPACING,
    OPTION_SNR_DB,
    OPTION_DEMAND_MAX,
    OPTION_COUNT
};

static const char *const layouts[] = {"row", "hex", NULL};

static const wz_task_option options[OPTION_COUNT] = {
    {"cells", 6, 2, WZ_MAX_CELLS, 1, "cells on the ground", NULL},
    {"beams", 2, 1, WZ_MAX_BEAMS, 1, "beams that are lit in each slot, on different cells", NULL},
    {"slots", 3, 1, WZ_MAX_BEAM_SLOTS, 1, "time slots", NULL},
    {"layout", 0, 0, 1, 1, "cells on a row, or on a hexagonal grid", layouts},
    {"spacing", 0.7, 0.3, 3, 0, "distance of neighbouring cells, in half-power beam widths; steps of 0.1",
     NULL},
    {"snr_db", 12, 0, 30, 1, "signal-to-noise ratio of a lit cell without interference, in dB", NULL},
    {"demand_max", 12, 1, 99, 1, "demands are uniform from 1 to this, in bit/Hz", NULL},
};

static wz_status check(const double *values, wz_error *err)
{
    if (values[OPTION_BEAMS] > values[OPTION_CELLS])
        return wz_fail(err, WZ_ERR_USAGE,
                       "task.beams = %g is more than task.cells = %g: beams light different "
                       "cells",
                       values[OPTION_BEAMS], values[OPTION_CELLS]);
    return WZ_OK;
}

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_CELLS];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_beam_hopping);
}

static size_t cells_a_line(const double *values)
{
    return (size_t)(values[OPTION_LAYOUT] == 0 ? values[OPTION_CELLS] : ceil(sqrt(values[OPTION_CELLS])));
}

static int spacing_tenths(const double *values)
{
    return (int)lround(10 * values[OPTION_SPACING]);
}

/* Square of the distance of two cells, in spacings: 1 for neighbours, a multiple of 1 for all (hexagonal lattice). */
static double distance_squared(size_t a_line, size_t cell, size_t other)
{
    const size_t line = cell / a_line, other_line = other / a_line; /* odd ones are shifted by half a cell */
    const double across = (double)line - (double)other_line,
                 along = (double)(cell % a_line) - (double)(other % a_line) +
                         0.5 * ((double)(line % 2) - (double)(other_line % 2));
    return along * along + 0.75 * across * across;
}

static void derive(wz_problem *problem)
{
    wz_beam_hopping *p = problem->payload;
    const double *values = problem->values, spacing = spacing_tenths(values) / 10.0;
    p->cells = problem->size;
    p->beams = (size_t)values[OPTION_BEAMS];
    p->slots = (size_t)values[OPTION_SLOTS];
    p->snr = pow(10, values[OPTION_SNR_DB] / 10);
    for (size_t c = 0; c < p->cells; c++) {
        p->demand[c] = problem->numbers[c];
        for (size_t other = 0; other <= c; other++) {
            const double square = distance_squared(cells_a_line(values), c, other) * spacing * spacing,
                         leak = p->snr * pow(10, -fmin(12 * square, 30) / 10);
            p->leak[c][other] = p->leak[other][c] = leak;
        }
    }
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    (void)err;
    for (size_t c = 0; c < problem->size; c++)
        problem->numbers[c] =
            1 + (int32_t)wz_draws_below(draws, (unsigned)problem->values[OPTION_DEMAND_MAX]);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    return wz_problem_check_range(problem, 0, problem->number_count, 1,
                                  (int32_t)problem->values[OPTION_DEMAND_MAX], "a demand", err);
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const double *values = problem->values;
    wz_words_printf(words, " beam %d slot %d SNR %d at %d cell %zu per %zu", (int)values[OPTION_BEAMS],
                    (int)values[OPTION_SLOTS], (int)values[OPTION_SNR_DB], spacing_tenths(values),
                    problem->size, cells_a_line(values));
    for (size_t c = 0; c < problem->size; c++) {
        wz_word_label(words, c);
        wz_word_number(words, problem->numbers[c]);
    }
    wz_words_open_answer(words);
}

static void print_place(const wz_problem *problem, wz_words *words)
{
    const double *values = problem->values;
    const int tenths = spacing_tenths(values);
    if (values[OPTION_LAYOUT] == 0)
        wz_words_printf(words, "The cells stand on a row in this order, %d.%d", tenths / 10, tenths % 10);
    else
        wz_words_printf(words,
                        "The cells stand in this order on a hexagonal grid, %zu a line (every second line is "
                        "shifted by half a cell to the right, and lines are 0.866 of a cell apart), "
                        "neighbours %d.%d",
                        cells_a_line(values), tenths / 10, tenths % 10);
    wz_words_printf(words, " half-power beam widths apart.\n");
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const double *values = problem->values;
    const int beams = (int)values[OPTION_BEAMS], slots = (int)values[OPTION_SLOTS];
    char label[3];
    wz_label(problem->size - 1, label);
    wz_words_printf(
        words,
        "A satellite serves %zu cells, A to %s, by beam hopping: in each of %d time slots it points "
        "%d beams at different cells. Demands of the cells, in bit/Hz:",
        problem->size, label, slots, beams);
    for (size_t c = 0; c < problem->size; c++) {
        wz_label(c, label);
        wz_words_printf(words, "%s %s %d", c == 0 ? "" : ",", label, (int)problem->numbers[c]);
    }
    wz_words_printf(words, ".\n");
    print_place(problem, words);
    wz_words_printf(
        words,
        "A beam pointed at a distance of x beam widths from a cell reaches it weakened by min(12 x^2, 30) "
        "dB. A "
        "cell that is lit in a slot receives log2(1 + S / (1 + I)) bit/Hz, where S = 10^%d.%d, and I is the "
        "sum "
        "of S, weakened so, over the slot's other beams. A cell is served the smaller of its demand and the "
        "sum "
        "of what it receives. Light the cells so that what all of them are served adds up to most.\n",
        (int)values[OPTION_SNR_DB] / 10, (int)values[OPTION_SNR_DB] % 10);
    wz_words_ask(words,
                 "the letters of the %d cells lit in the first slot, then those of the next one and so on, "
                 "%d letters in all, separated by single spaces",
                 beams, beams * slots);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    const double *values = problem->values;
    wz_form_add(out, WZ_SLOT_LABEL, (unsigned)problem->size,
                (size_t)values[OPTION_BEAMS] * (size_t)values[OPTION_SLOTS]);
}

const wz_task wz_task_beam_hopping = {
    .name = "beam_hopping",
    .title = "satellite beam hopping: which cells to light in each slot, so that most demand is served",
    .text_version = 1,
    .stream = 11,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_CELLS,
    .check = check,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
