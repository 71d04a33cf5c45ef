/* Where a run's problems come from: its training set and its curriculum, and what messages and rows of metrics say of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/problem_set.h"
#include "engine/run/run.h"

/* ---- a training set ---- */

/* The part of the mixture whose metrics a problem belongs to: of its options, or else of its family. */
static size_t part_of(const wz_mixture *mixture, const wz_problem *problem)
{
    size_t found = mixture->count;
    for (size_t p = mixture->count; p-- > 0;) {
        const wz_mixture_part *part = &mixture->parts[p];
        if (part->task != problem->task)
            continue;
        if (wz_task_same_values(part->task, part->values, problem->values))
            return p;
        found = p;
    }
    return found;
}

static wz_status check_entry(const wz_mixture *mixture, const wz_set_entry *entry, wz_error *err)
{
    const wz_problem *problem = &entry->problem;
    if (entry->seed != WZ_SET_NO_SEED && problem->split != WZ_SPLIT_TRAIN)
        return wz_fail(err, WZ_ERR_USAGE,
                       "it is number %u of the split %s, which is held out: train on problems that were "
                       "exported with --split train",
                       (unsigned)problem->index, wz_split_name(problem->split));
    if (part_of(mixture, problem) == mixture->count)
        return wz_fail(err, WZ_ERR_USAGE,
                       "it is of the family %s, which the run has not: name it as task.name or in "
                       "task_mixture, so that it is known what to evaluate",
                       problem->task->name);
    return WZ_OK;
}

/* Takes the entry's problem if the filter lets it through. */
static wz_status take_entry(wz_run *run, const wz_mixture *mixture, size_t number, wz_set_entry *entry,
                            size_t *left_out, wz_error *err)
{
    const double headroom = wz_reference_headroom(&entry->reference);
    wz_status status = check_entry(mixture, entry, err);
    if (status != WZ_OK)
        return status;
    if (headroom < run->config.headroom_min || headroom > run->config.headroom_max) {
        ++*left_out;
        return WZ_OK;
    }
    const uint8_t part = (uint8_t)part_of(mixture, &entry->problem);
    return wz_train_set_add(&run->set, &entry->problem, part, number, &entry->reference, entry->decision,
                            entry->decision_count, err);
}

static wz_status read_entries(wz_run *run, const wz_mixture *mixture, wz_set_reader *reader, size_t *left_out,
                              wz_error *err)
{
    const char *path = run->config.train_set;
    size_t number = 0;
    wz_status status = WZ_OK;
    while (status == WZ_OK) {
        wz_set_entry entry = {0};
        bool done = false;
        status = wz_set_reader_next(reader, &entry, &done, err);
        if (status != WZ_OK || done)
            break;
        status = take_entry(run, mixture, number, &entry, left_out, err);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "%s: problem %zu: ", path, number + 1);
        wz_set_entry_clear(&entry);
        number++;
    }
    if (status == WZ_OK && run->set.count == 0)
        status = wz_fail(err, number > 0 ? WZ_ERR_USAGE : WZ_ERR_CORRUPT,
                         number > 0 ? "%s: none of its problems lies within headroom_min and headroom_max: "
                                      "widen these bounds"
                                    : "%s: no problem in it",
                         path);
    return status;
}

static wz_status check_digest(wz_run *run, wz_error *err)
{
    char *saved = run->state.set_digest;
    if (saved[0] != '\0' && strcmp(saved, run->set.digest) != 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "%s holds other problems than when this run started (digest %s, then %s): put the file "
            "back, or start anew with init_from",
            run->config.train_set, run->set.digest, saved);
    memcpy(saved, run->set.digest, sizeof run->state.set_digest);
    return WZ_OK;
}

wz_status wz_run_open_train_set(wz_run *run, wz_error *err)
{
    wz_mixture mixture;
    wz_set_reader *reader = NULL;
    size_t left_out = 0;
    if (run->config.train_set[0] == '\0')
        return WZ_OK;
    wz_status status = wz_config_mixture(&run->config, &mixture, err);
    if (status == WZ_OK)
        status = wz_set_reader_create(run->config.train_set, &reader, err);
    if (status == WZ_OK)
        status = read_entries(run, &mixture, reader, &left_out, err);
    if (status == WZ_OK)
        wz_set_reader_digest(reader, run->set.digest);
    wz_set_reader_destroy(reader);
    if (status == WZ_OK)
        status = check_digest(run, err);
    if (status == WZ_OK && run->io->log != NULL)
        (void)fprintf(run->io->log, "train_set %s: %zu problems, verified; %zu left out for their headroom\n",
                      run->config.train_set, run->set.count, left_out);
    return status;
}

wz_status wz_run_count_epochs(wz_run *run, wz_error *err)
{
    wz_config *c = &run->config;
    const int64_t problems = c->generation_batch_size / c->num_generations; /* of a step */
    if (c->num_train_epochs == 0.0)
        return WZ_OK;
    const double steps = ceil(c->num_train_epochs * (double)run->set.count / (double)problems);
    if (steps + (double)c->sft_steps > (double)UINT32_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "num_train_epochs (%g) takes %g steps; at most 2^32 are possible",
                       c->num_train_epochs, steps);
    c->max_steps = c->sft_steps + (int64_t)steps;
    return wz_config_check(c, err);
}

/* ---- what is said of it ---- */

int64_t wz_run_problem_number(const wz_run *run, const wz_problem *problem)
{
    const size_t count = run->set.count; /* an index beyond it: twice in a step */
    return count > 0 ? (int64_t)run->set.items[problem->index % count].number : (int64_t)problem->index;
}

void wz_run_announce_growth(wz_run *run, const wz_step_report *report)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    char note[320];
    if (report->stage_ended) {
        const int64_t stage = wz_trainer_curricula(run->trainer)[0].size;
        (void)snprintf(note, sizeof note, "step %lld: the curriculum goes on to stage %lld of %zu: %s",
                       (long long)run->state.step, (long long)stage + 1, run->stages->count,
                       run->stages->list[stage].text);
        wz_progress_message(&run->progress, note);
    }
    for (size_t p = 0; p < mixture->count; p++) {
        if (!report->parts[p].size_grew)
            continue;
        (void)snprintf(note, sizeof note, "step %lld: %s%sproblem size grows to %lld",
                       (long long)run->state.step, mixture->count > 1 ? mixture->parts[p].name : "",
                       mixture->count > 1 ? ": " : "", (long long)wz_trainer_curricula(run->trainer)[p].size);
        wz_progress_message(&run->progress, note);
    }
}

void wz_run_fill_data(const wz_run *run, const wz_step_report *r, wz_row *row)
{
    const wz_config *c = &run->config;
    if (run->stages != NULL) {
        wz_row_add_integer(row, "curriculum/stage", r->stage + 1);
        wz_row_add(row, "curriculum/score", wz_curriculum_score(&wz_trainer_curricula(run->trainer)[0]));
    }
    if (c->replay_fraction > 0.0) {
        wz_row_add(row, "replay/share", r->again);
        wz_row_add(row, "replay/frac_reward_zero_std", r->flat_again);
        wz_row_add(row, "replay/fresh_frac_reward_zero_std", r->flat_anew);
    }
    if (c->replay_fraction > 0.0 || wz_config_bounds_success(c)) {
        wz_row_add(row, "replay/pool", r->pool);
        wz_row_add(row, "replay/pool_success", r->pool_success);
    }
    if (wz_config_bounds_success(c) && run->set.count > 0)
        wz_row_add(row, "filter/skipped", r->skipped);
    if (wz_config_filters_headroom(c) && run->set.count == 0) {
        wz_row_add(row, "filter/rejected", r->rejected);
        wz_row_add(row, "filter/unfiltered", r->unfiltered);
    }
}
