/* Task libraries with one flaw each: FLAW chooses it. */
#include "rewards/library.h"

#if FLAW == 1 /* built for another version of the interface */
const wz_family wavezero_family = {WZ_FAMILY_ABI + 1, sizeof(wz_task), sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 2 /* with another layout of its structures */
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task) + 8, sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 3 /* nothing in it */
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), NULL, NULL};
#elif FLAW == 4 /* functions left out */
static const wz_task_option options[] = {{"size", 2, 1, 4, 1, "size", NULL}};
static const wz_task task = {.name = "flawed", .title = "flawed", .options = options, .option_count = 1};
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &task, NULL};
#elif FLAW == 5 /* no family at all */
extern const int nothing;
const int nothing = 1;
#elif FLAW == 6 /* asks for what the program has not */
void wz_no_such_function(void);
void (*const needed)(void);
void (*const needed)(void) = wz_no_such_function;
#else           /* the example, with a flaw in what its functions return */
#define wavezero_family sound_family
#include "scripts/examples/own_task/relay_choice.c"
#undef wavezero_family

#if FLAW == 13 /* fails without a word */
static wz_status draw_nothing(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    (void)problem;
    (void)draws;
    (void)err;
    return WZ_ERR_CORRUPT;
}
#endif

static wz_status flawed_judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out,
                              wz_error *err)
{
    const wz_status status = judge(problem, decision, out, err);
    if (FLAW == 8)
        out->objective = NAN;
    return FLAW == 7 ? (wz_status)77 : status;
}

static wz_status flawed_solve(const wz_problem *problem, wz_effort effort, unsigned *decision,
                              wz_reference *out, wz_error *err)
{
    const wz_status status = solve(problem, effort, decision, out, err);
    if (FLAW == 9)
        decision[0] = 999;
    if (FLAW == 10)
        out->kind = (wz_reference_kind)77;
    if (FLAW == 11) /* no optimum */
        for (unsigned i = 0; i < problem->size; i++)
            if (rate(problem, i) < rate(problem, decision[0]) && rate(problem, i) > 0)
                decision[0] = i;
    return status;
}

static wz_status decide_badly(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_status status = decide_sum(problem, decision, err);
    if (FLAW == 12)
        decision[0] = 77;
    return status;
}

static const wz_baseline flawed_baselines[] = {
    {"badly", WZ_BASELINE_ALGORITHM, decide_badly, NULL},
    {"first_relay", WZ_BASELINE_TRIVIAL, decide_first, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

static const wz_verifier flawed = {
    .task = "relay_choice",
    .baselines = flawed_baselines,
    .baseline_count = sizeof flawed_baselines / sizeof *flawed_baselines,
    .field_algorithm = "badly",
    .judge = flawed_judge,
    .solve = flawed_solve,
};

#if FLAW == 13
static const wz_task flawed_task = {
    .name = "relay_choice",
    .title = "flawed",
    .text_version = 1,
    .stream = 4000,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_RELAYS,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw_nothing,
    .check_numbers = check_numbers,
    .derive = derive,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &flawed_task,
                                   &flawed};
#else
const wz_family wavezero_family = {WZ_FAMILY_ABI, sizeof(wz_task), sizeof(wz_verifier), &task, &flawed};
#endif
#endif
