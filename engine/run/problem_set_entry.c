/* Entries of a problem set: made, and compared with what a file says. */
#include <math.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/core/suggest.h"
#include "engine/run/problem_set_internal.h"

#define EXACT 1e-9 /* sums of a few hundred terms in another order or by another compiler differ by less */

/* ---- names ---- */

const char *const wz_set_style_names[2] = {"compact", "full"};

int wz_set_find_style(const char *name)
{
    for (int style = 0; style < 2; style++)
        if (strcmp(name, wz_set_style_names[style]) == 0)
            return style;
    return -1;
}

int wz_set_find_split(const char *name)
{
    for (int split = WZ_SPLIT_TRAIN; split <= WZ_SPLIT_TEST; split++)
        if (strcmp(name, wz_split_name((wz_split)split)) == 0)
            return split;
    return -1;
}

int wz_set_find_kind(const char *name)
{
    for (int kind = WZ_REFERENCE_OPTIMUM; kind <= WZ_REFERENCE_BEST_KNOWN; kind++)
        if (strcmp(name, wz_reference_kind_name((wz_reference_kind)kind)) == 0)
            return kind;
    return -1;
}

wz_status wz_set_find_value(const wz_task_option *option, const char *name, double *value, wz_error *err)
{
    wz_suggestion nearest = {0};
    for (size_t v = 0; option->names != NULL && option->names[v] != NULL; v++) {
        wz_suggest(&nearest, name, option->names[v]);
        if (strcmp(option->names[v], name) == 0) {
            *value = (double)v;
            return WZ_OK;
        }
    }
    if (option->names == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "option '%s' is '%.64s'; it must be a number", option->name,
                       name);
    return wz_fail(err, WZ_ERR_CORRUPT, "option '%s' is '%.64s', which it does not know%s%s%s", option->name,
                   name, nearest.best != NULL ? " (did you mean '" : "",
                   nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
}

wz_status wz_set_find_task(const char *name, const wz_task **out, wz_error *err)
{
    wz_suggestion nearest = {0};
    *out = wz_task_find(name);
    if (*out != NULL)
        return WZ_OK;
    for (size_t t = 0; wz_tasks[t] != NULL; t++)
        wz_suggest(&nearest, name, wz_tasks[t]->name);
    if (nearest.best != NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "unknown task '%.64s' (did you mean '%s'?)", name, nearest.best);
    return wz_fail(err, WZ_ERR_CORRUPT, "unknown task '%.64s'; `wavezero tasks` lists the families", name);
}

/* ---- making ---- */

/* " links=3 levels=8": all options but later ones at their defaults, or the size and those that are not at their defaults. */
static wz_status write_values(const wz_task *task, const double *values, bool all, wz_text *out,
                              wz_error *err)
{
    char number[WZ_JSON_NUMBER_MAX];
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < task->option_count; i++) {
        const wz_task_option *option = &task->options[i];
        const bool may_be_unsaid = all ? wz_task_is_later_option(task, i) : i != task->size_option;
        if (may_be_unsaid && values[i] == option->default_value)
            continue;
        wz_json_format_number(values[i], number);
        status = wz_text_printf(out, err, " %s=%s", option->name,
                                option->names != NULL ? option->names[(size_t)values[i]] : number);
    }
    return status;
}

wz_status wz_set_write_options(const wz_task *task, const double *values, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "%s", task->name);
    return status == WZ_OK ? write_values(task, values, false, out, err) : status;
}

/* Where numbers of a user's own come from: "; rows 2 1; clipped 0". */
static wz_status write_origin(const wz_problem *problem, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "; rows");
    for (size_t i = 0; status == WZ_OK && i < problem->size; i++)
        status = wz_text_printf(out, err, " %d", problem->source[i] + 1);
    return status == WZ_OK ? wz_text_printf(out, err, "; clipped %zu", problem->clipped) : status;
}

/* The text that problem_set.h states. */
static wz_status digest_problem(const wz_problem *problem, int64_t seed, char hex[WZ_DIGEST_HEX],
                                wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_text_printf(&text, err, "%s %d", problem->task->name, problem->task->text_version);
    if (status == WZ_OK)
        status = write_values(problem->task, problem->values, true, &text, err);
    for (size_t i = 0; status == WZ_OK && i < problem->number_count; i++)
        status = wz_text_printf(&text, err, "%s %d", i == 0 ? ":" : "", (int)problem->numbers[i]);
    if (status == WZ_OK && seed == WZ_SET_NO_SEED)
        status = write_origin(problem, &text, err);
    if (status == WZ_OK)
        wz_digest_bytes(text.data, text.length, hex);
    wz_text_clear(&text);
    return status;
}

wz_status wz_set_entry_make(wz_problem *problem, int64_t seed, wz_prompt_style style, wz_set_entry *out,
                            wz_error *err)
{
    wz_answer_form form = {0};
    *out = (wz_set_entry){.problem = *problem, .seed = seed, .style = style};
    *problem = (wz_problem){0};
    const wz_task *task = out->problem.task;
    const wz_verifier *verifier = wz_verifier_find(task->name);
    wz_status status = WZ_OK;
    if (verifier == NULL)
        status = wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", task->name);
    if (status == WZ_OK)
        status = wz_reference_find(verifier, &out->problem, WZ_EFFORT_EVALUATION, out->decision,
                                   &out->reference, err);
    if (status == WZ_OK)
        status = wz_problem_print(&out->problem, style, &out->prompt, err);
    if (status == WZ_OK)
        status = digest_problem(&out->problem, seed, out->digest, err);
    if (status != WZ_OK) {
        wz_set_entry_clear(out);
        return status;
    }
    task->answer_form(&out->problem, &form);
    out->decision_count = form.count;
    return WZ_OK;
}

void wz_set_entry_clear(wz_set_entry *entry)
{
    wz_problem_clear(&entry->problem);
    wz_text_clear(&entry->prompt);
    *entry = (wz_set_entry){0};
}

/* ---- comparing ---- */

static bool is_near(double stated, double found, double tolerance)
{
    return fabs(stated - found) <= tolerance * fmax(fabs(found), 1e-300); /* NaN is not */
}

static wz_status compare_number(const char *what, double stated, double found, double tolerance,
                                wz_error *err)
{
    return is_near(stated, found, tolerance)
               ? WZ_OK
               : wz_fail(err, WZ_ERR_CORRUPT, "the %s is stated as %.17g; this build finds %.17g", what,
                         stated, found);
}

/* The stated decision is feasible and worth what is stated. */
static wz_status check_decision(const wz_set_record *record, const wz_set_entry *entry, wz_error *err)
{
    wz_answer_form form = {0};
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_outcome outcome = {.feasible = true};
    const wz_problem *problem = &entry->problem;
    problem->task->answer_form(problem, &form);
    if (record->decision_count != form.count)
        return wz_fail(err, WZ_ERR_CORRUPT, "the decision has %zu numbers; an answer has %zu",
                       record->decision_count, form.count);
    for (size_t i = 0; i < form.count; i++) {
        const int32_t value = record->decision[i];
        if (value < 0 || (unsigned)value >= form.slots[i].choices)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "number %zu of the decision is %d; an answer has 0 to %u there", i + 1, (int)value,
                           form.slots[i].choices - 1);
        decision[i] = (unsigned)value;
    }
    wz_status status = wz_verifier_find(problem->task->name)->judge(problem, decision, &outcome, err);
    if (status == WZ_OK && !outcome.feasible)
        status = wz_fail(err, WZ_ERR_CORRUPT, "the decision is infeasible: %s", outcome.reason);
    if (status == WZ_OK)
        status =
            compare_number("decision's objective", record->reference.decided, outcome.objective, EXACT, err);
    return status;
}

static wz_status check_reference(const wz_set_record *record, const wz_set_entry *entry, wz_error *err)
{
    const wz_reference *stated = &record->reference, *found = &entry->reference;
    if (stated->kind != found->kind)
        return wz_fail(err, WZ_ERR_CORRUPT, "the reference is stated as %s; this build's is %s",
                       wz_reference_kind_name(stated->kind), wz_reference_kind_name(found->kind));
    wz_status status = check_decision(record, entry, err);
    if (status == WZ_OK && stated->kind == WZ_REFERENCE_OPTIMUM)
        status = compare_number("optimum", stated->objective, found->objective, EXACT, err);
    else if (status == WZ_OK && stated->kind == WZ_REFERENCE_UPPER_BOUND)
        status =
            compare_number("upper bound", stated->objective, found->objective, WZ_FEASIBILITY_TOLERANCE, err);
    else if (status == WZ_OK) /* a stronger search than this build's may have found it */
        status = compare_number("best known reference", stated->objective, stated->decided, EXACT, err);
    if (status == WZ_OK && !(stated->objective > 0))
        status = wz_fail(err, WZ_ERR_CORRUPT, "the reference is %g; it must be positive", stated->objective);
    if (status == WZ_OK)
        status = compare_number("best trivial answer's objective", stated->best_trivial, found->best_trivial,
                                EXACT, err);
    return status;
}

/* The numbers are those that seed, split and index draw: a problem of the train split cannot pass for one of the test's. */
static wz_status check_draws(const wz_set_record *record, const wz_problem *problem, wz_error *err)
{
    wz_problem drawn = {0};
    if (record->rows != NULL || record->clipped != 0)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "'rows' and 'clipped' belong to numbers of a user's own, whose seed is null; it is %lld",
            (long long)record->seed);
    wz_status status = wz_problem_generate(record->task, record->values, (uint64_t)record->seed,
                                           record->split, record->index, &drawn, err);
    if (status == WZ_OK &&
        memcmp(drawn.numbers, problem->numbers, problem->number_count * sizeof *problem->numbers) != 0)
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "seed %lld, split %s and index %u draw other numbers in this build: the line was "
                         "changed, or another generator made it",
                         (long long)record->seed, wz_split_name(record->split), (unsigned)record->index);
    wz_problem_clear(&drawn);
    return status;
}

/* rows: a permutation of 1 .. size. */
static wz_status take_rows(const wz_set_record *record, wz_problem *problem, wz_error *err)
{
    bool seen[256] = {false};
    if (record->clipped < 0 || (uint64_t)record->clipped > problem->number_count)
        return wz_fail(err, WZ_ERR_CORRUPT, "'clipped' is %lld; the problem has %zu numbers",
                       (long long)record->clipped, problem->number_count);
    if (record->rows == NULL)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "'rows' is missing: where seed is null it says which row of the user's table each part "
            "of the problem is");
    if (record->row_count != problem->size)
        return wz_fail(err, WZ_ERR_CORRUPT, "'rows' has %zu numbers; the problem has %zu parts",
                       record->row_count, problem->size);
    for (size_t i = 0; i < problem->size; i++) {
        const int32_t row = record->rows[i];
        if (row < 1 || (size_t)row > problem->size || seen[row])
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "'rows' must name each of 1 to %zu once; its number %zu is %d", problem->size,
                           i + 1, (int)row);
        seen[row] = true;
        problem->source[i] = (uint8_t)(row - 1);
    }
    return WZ_OK;
}

static wz_status make_stated(const wz_set_record *record, wz_set_entry *out, wz_error *err)
{
    wz_problem problem = {0};
    if (record->text_version != record->task->text_version)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "text version %lld of %s; this build knows version %d: read the set with the build "
                       "that wrote it, or export it again",
                       (long long)record->text_version, record->task->name, record->task->text_version);
    wz_status status = wz_problem_from_numbers(record->task, record->values, record->numbers,
                                               record->number_count, &problem, err);
    if (status != WZ_OK)
        return status;
    if (record->seed == WZ_SET_NO_SEED)
        status = take_rows(record, &problem, err);
    if (status != WZ_OK) {
        wz_problem_clear(&problem);
        return status;
    }
    problem.index = record->index;
    problem.split = record->split;
    problem.clipped = (size_t)record->clipped;
    return wz_set_entry_make(&problem, record->seed, record->style, out, err);
}

/* A best known decision of a stronger search than this build's stays known. */
static void take_stronger(const wz_set_record *record, wz_set_entry *entry)
{
    if (record->reference.kind != WZ_REFERENCE_BEST_KNOWN ||
        record->reference.decided <= entry->reference.decided)
        return;
    entry->reference.objective = record->reference.objective;
    entry->reference.decided = record->reference.decided;
    for (size_t i = 0; i < entry->decision_count; i++)
        entry->decision[i] = (unsigned)record->decision[i];
}

wz_status wz_set_entry_check(const wz_set_record *record, wz_set_entry *out, wz_error *err)
{
    wz_status status = make_stated(record, out, err);
    if (status == WZ_OK) {
        if (strcmp(record->digest, out->digest) != 0)
            status =
                wz_fail(err, WZ_ERR_CORRUPT,
                        "the digest is stated as %.64s; options and numbers have %s: the line was changed",
                        record->digest, out->digest);
        else if (strcmp(record->prompt, out->prompt.data) != 0)
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "the prompt is not the one that belongs to the numbers: the line was changed");
        else
            status = check_reference(record, out, err);
        if (status == WZ_OK && record->seed != WZ_SET_NO_SEED)
            status = check_draws(record, &out->problem, err);
        if (status == WZ_OK)
            take_stronger(record, out);
        if (status != WZ_OK)
            wz_set_entry_clear(out);
    }
    /* Whatever a file's numbers lead to is the file's fault, but for lack of memory. */
    return status == WZ_OK || status == WZ_ERR_RESOURCE ? status : WZ_ERR_CORRUPT;
}
