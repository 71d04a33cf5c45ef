/* A task of one's own: of several relays, choose the one that gives the highest end-to-end rate.
 *
 * Relay i hears the source at SNR a_i and is heard by the destination at SNR b_i, both printed in whole dB, 0 to 30, drawn
 * uniformly. It decodes and forwards, so its rate is (1/2) log2(1 + min(a_i, b_i)) bit/s/Hz, linear SNRs.
 * Numbers of a problem: a_1 b_1 a_2 b_2 ...; an answer is one label: " C</answer>".
 *
 *     cc -shared -fPIC -I INCLUDE -o relay_choice.so relay_choice.c
 *     wavezero train CONFIG task_library=./relay_choice.so task.name=relay_choice
 *
 * INCLUDE is the folder of Wavezero's headers: the source tree, or `pkg-config --cflags wavezero` says it. */
#include <math.h>

#include "rewards/library.h"

#define MOST_RELAYS 8
#define MOST_DB 30

enum { OPTION_RELAYS, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"relays", 4, 2, MOST_RELAYS, 1, "relays to choose from", NULL},
};

/* What is derived from the numbers: each relay's rate. */
typedef struct relays {
    double rate[MOST_RELAYS];
} relays;

/* ---- the problem ---- */

static size_t number_count(const double *values)
{
    return 2 * (size_t)values[OPTION_RELAYS];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(relays);
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    (void)err;
    for (size_t i = 0; i < problem->number_count; i++)
        problem->numbers[i] = (int32_t)wz_draws_below(draws, MOST_DB + 1);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    return wz_problem_check_range(problem, 0, problem->number_count, 0, MOST_DB, "an SNR in dB", err);
}

static void derive(wz_problem *problem)
{
    relays *r = problem->payload;
    for (size_t i = 0; i < problem->size; i++) {
        const int32_t a = problem->numbers[2 * i], b = problem->numbers[2 * i + 1];
        r->rate[i] = 0.5 * log2(1.0 + pow(10.0, (a < b ? a : b) / 10.0));
    }
}

/* ---- the text ---- */

/* " link A 12 7 B 30 2 C 9 9<answer>": each word is one token of the built-in vocabulary. */
static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_word(words, "link");
    for (size_t i = 0; i < problem->size; i++) {
        wz_word_label(words, i);
        wz_word_number(words, problem->numbers[2 * i]);
        wz_word_number(words, problem->numbers[2 * i + 1]);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, "A source reaches its destination through one of %zu relays.\n", problem->size);
    for (size_t i = 0; i < problem->size; i++) {
        char label[3];
        wz_label(i, label);
        wz_words_printf(words, "Relay %s: first hop %d dB, second hop %d dB.\n", label,
                        (int)problem->numbers[2 * i], (int)problem->numbers[2 * i + 1]);
    }
    wz_words_printf(words, "A relay's rate is 0.5 log2(1 + S) bit/s/Hz, where S is the smaller of its two SNRs, linear. "
                           "Choose the relay of the highest rate.\n");
    wz_words_ask(words, "its label");
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_LABEL, (unsigned)problem->size, 1);
}

static const wz_task task = {
    .name = "relay_choice",
    .title = "the relay with the highest end-to-end rate",
    .text_version = 1,
    .stream = 2000,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_RELAYS,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};

/* ---- the score ---- */

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    (void)err;
    out->objective = ((const relays *)problem->payload)->rate[decision[0]];
    return WZ_OK;
}

/* The relay of the largest value of `of`. */
static unsigned best(const wz_problem *problem, double (*of)(const wz_problem *, size_t))
{
    unsigned found = 0;
    for (size_t i = 1; i < problem->size; i++)
        if (of(problem, i) > of(problem, found))
            found = (unsigned)i;
    return found;
}

static double rate(const wz_problem *problem, size_t i)
{
    return ((const relays *)problem->payload)->rate[i];
}

static double first_hop(const wz_problem *problem, size_t i)
{
    return problem->numbers[2 * i];
}

static double both_hops(const wz_problem *problem, size_t i)
{
    return problem->numbers[2 * i] + problem->numbers[2 * i + 1];
}

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    (void)effort;
    (void)err;
    out->kind = WZ_REFERENCE_OPTIMUM;
    decision[0] = best(problem, rate);
    return WZ_OK;
}

static wz_status decide_nearest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    decision[0] = best(problem, first_hop);
    return WZ_OK;
}

static wz_status decide_sum(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    decision[0] = best(problem, both_hops);
    return WZ_OK;
}

static wz_status decide_first(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)problem;
    (void)err;
    decision[0] = 0;
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"sum_of_hops", WZ_BASELINE_ALGORITHM, decide_sum, NULL},
    {"best_first_hop", WZ_BASELINE_ALGORITHM, decide_nearest, NULL},
    {"first_relay", WZ_BASELINE_TRIVIAL, decide_first, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

static const wz_verifier verifier = {
    .task = "relay_choice",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "sum_of_hops",
    .judge = judge,
    .solve = solve,
};

const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &task, &verifier};
