#include "engine/run/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/core/clock.h"
#include "engine/core/file.h"
#include "engine/run/base.h"
#include "engine/run/run.h"

static void say(const wz_run *run, const char *text)
{
    if (run->io->log != NULL) {
        (void)fputs(text, run->io->log);
        (void)fflush(run->io->log);
    }
}

static void close_run(wz_run *run)
{
    wz_run_close_logs(run);
    wz_trainer_destroy(run->trainer);
    wz_pairs_clear(&run->pairs);
    wz_train_set_clear(&run->set);
    free(run->stages);
    wz_policy_destroy(run->policy);
    if (run->backend != NULL)
        run->backend->ops->destroy(run->backend);
    wz_rundir_close(&run->directory);
    wz_text_clear(&run->environment);
    wz_text_clear(&run->resumed_in);
}

/* Says which device it is. */
static wz_status open_backend(wz_run *run, wz_error *err)
{
    wz_text note = {0};
    const wz_status status = wz_open_backend(&run->config, &run->backend, &note, err);
    if (status == WZ_OK) {
        say(run, note.data);
        say(run, "\n");
    }
    wz_text_clear(&note);
    return status;
}

static wz_status describe_environment(wz_run *run, wz_error *err)
{
    time_t now = time(NULL);
    struct tm utc;
    if (run->date[0] == '\0' && gmtime_r(&now, &utc) != NULL)
        (void)strftime(run->date, sizeof run->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    wz_backend_info info;
    run->backend->ops->describe(run->backend, &info);
    const wz_environment environment = {.device = run->backend->ops->name,
                                        .precision = wz_precision_name(run->backend),
                                        .backend = &info,
                                        .date = run->date};
    run->environment.length = 0;
    run->algorithms = info.algorithms != NULL ? strlen(info.algorithms) : 0;
    wz_status status = wz_environment_write_json(&environment, &run->environment, err);
    if (status == WZ_OK)
        status = wz_rundir_write_environment(&run->directory, &environment, err);
    return status;
}

/* Products that were met since have algorithms now. */
static wz_status update_environment(wz_run *run, wz_error *err)
{
    wz_backend_info info;
    run->backend->ops->describe(run->backend, &info);
    if (info.algorithms == NULL || strlen(info.algorithms) == run->algorithms)
        return WZ_OK;
    return describe_environment(run, err);
}

/* Once, after the first step of a resumed run. */
static void compare_algorithms(wz_run *run)
{
    wz_backend_info info;
    if (run->resumed_in.data == NULL)
        return;
    run->backend->ops->describe(run->backend, &info);
    if (wz_environment_algorithms_differ(run->resumed_in.data, run->resumed_in.length, info.algorithms))
        wz_progress_message(&run->progress,
                            "matrix products use other algorithms than before this resume: from here on bits "
                            "may differ from a run that was never stopped");
    wz_text_clear(&run->resumed_in);
}

/* On a GPU the cut into packs decides the last bits: what the free memory left of it becomes part of the run. */
static void keep_cut(wz_run *run, const wz_trainer_options *options)
{
    wz_backend_info info;
    run->backend->ops->describe(run->backend, &info);
    if (info.gpu != NULL && run->config.per_device_train_batch_size == 0)
        run->config.per_device_train_batch_size = options->groups_per_pack * options->generations;
}

/* Pairs, stages, memory and trainer, once policy and state are there: whatever may refuse the run, before anything of it is
 * on disk. */
static wz_status make_trainer(wz_run *run, wz_error *err)
{
    wz_trainer_options options;
    wz_text plan = {0};
    wz_memory_plan memory;
    wz_mixture mixture;
    wz_status status = wz_config_mixture(&run->config, &mixture, err);
    if (status != WZ_OK)
        return status;
    if (wz_config_mixture_hides_task(&run->config))
        say(run, "task_mixture takes the place of task.*, which is not used\n");
    status = wz_run_open_pairs(run, err);
    if (status == WZ_OK)
        status = wz_config_stages(&run->config, &mixture, &run->stages, err);
    if (status != WZ_OK)
        return status;
    wz_run_trainer_options(&run->config, &mixture, 1, &options);
    options.sft.pairs = run->pairs.count > 0 ? &run->pairs : NULL;
    options.stages = run->stages;
    options.set = run->set.count > 0 ? &run->set : NULL;
    status = wz_run_plan_memory(run->policy, &run->config, true, &options, &memory, &plan, err);
    keep_cut(run, &options);
    if (plan.data != NULL)
        say(run, plan.data);
    wz_text_clear(&plan);
    if (status == WZ_OK)
        status = wz_trainer_create(run->policy, &options, &run->trainer, err);
    return status == WZ_OK ? wz_trainer_reserve(run->trainer, &memory.trainer, err) : status;
}

/* What the run's directory says of it from the start, and its logs. */
static wz_status open_files(wz_run *run, wz_error *err)
{
    wz_status status = describe_environment(run, err);
    if (status == WZ_OK)
        status = wz_rundir_write_config(&run->directory, &run->config, err);
    if (status == WZ_OK)
        status =
            wz_base_keep(run->policy, &run->directory, &run->config, &run->state, run->environment.data, err);
    return status == WZ_OK ? wz_run_open_logs(run, err) : status;
}

static wz_status save(wz_run *run, bool is_best, wz_error *err)
{
    char path[WZ_PATH_MAX];
    run->state.updates = *wz_trainer_updates(run->trainer);
    run->state.parts = wz_trainer_settings(run->trainer)->mixture.count;
    memcpy(run->state.curricula, wz_trainer_curricula(run->trainer), sizeof run->state.curricula);
    run->state.taken = *wz_trainer_taken(run->trainer);
    run->state.replay = wz_trainer_replay(run->trainer);
    run->state.has_entropy = run->config.use_adaptive_entropy;
    run->state.entropy = *wz_trainer_entropy(run->trainer);
    run->state.reference = wz_trainer_ref_weights(run->trainer);
    run->state.average = wz_trainer_average(run->trainer);
    wz_status status = update_environment(run, err);
    if (status == WZ_OK)
        status = wz_run_sync_logs(run, err);
    if (status == WZ_OK)
        status = is_best ? wz_rundir_file(&run->directory, "checkpoints/best.h5", path, err)
                         : wz_rundir_checkpoint_file(&run->directory, run->state.step, path, err);
    if (status == WZ_OK)
        status =
            wz_snapshot_write(path, &run->state, run->policy, &run->config, run->environment.data, true, err);
    if (status == WZ_OK && !is_best)
        status = wz_checkpoint_prune(run->directory.checkpoints, (size_t)run->config.save_total_limit, err);
    return status;
}

static wz_status evaluate_parts(wz_run *run, wz_evaluation *evaluations, wz_error *err)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    const int64_t rewarded = run->state.step - run->config.sft_steps; /* steps */
    wz_status status = run->config.eval_ema ? wz_trainer_exchange_average(run->trainer, err) : WZ_OK;
    for (size_t p = 0; status == WZ_OK && p < mixture->count; p++) {
        wz_eval_options options;
        wz_run_eval_options(&run->config, &mixture->parts[p], &options);
        options.baselines = run->state.best_score < 0.0; /* once: they meet the same problems each time */
        options.reward = &wz_trainer_settings(run->trainer)->reward;
        options.reward_step = rewarded > 0 ? rewarded - 1 : 0; /* of the training row of this step */
        status = wz_evaluate(run->policy, &options, NULL, NULL, &evaluations[p], err);
    }
    if (status == WZ_OK && run->config.eval_ema)
        status = wz_trainer_exchange_average(run->trainer, err);
    return status;
}

/* Each part of the mixture by itself; the score of all is their mean by weight. */
static wz_status evaluate(wz_run *run, wz_error *err)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    wz_evaluation evaluations[WZ_MIXTURE_MAX] = {0};
    double score = 0.0, weights = 0.0;
    char line[200];
    wz_status status = evaluate_parts(run, evaluations, err);
    if (status != WZ_OK)
        return status;
    for (size_t p = 0; p < mixture->count; p++) {
        const wz_evaluation *e = &evaluations[p];
        score += mixture->parts[p].weight * e->policy.mean;
        weights += mixture->parts[p].weight;
        (void)snprintf(line, sizeof line, "step %lld: %s%sheld-out objective ratio %.4f, %.2f%% of %s",
                       (long long)run->state.step, mixture->count > 1 ? mixture->parts[p].name : "",
                       mixture->count > 1 ? ": " : "", e->policy.mean, e->policy.percent_of_field,
                       e->field_algorithm);
        wz_progress_message(&run->progress, line);
    }
    score /= weights;
    wz_run_show_evaluation(run, evaluations, score);
    status = wz_run_log_evaluation(run, run->state.step, evaluations, score, err);
    if (status == WZ_OK && score > run->state.best_score) {
        run->state.best_score = score;
        status = save(run, true, err);
    }
    return status;
}

static wz_status one_step(wz_run *run, wz_error *err)
{
    const wz_config *c = &run->config;
    const int64_t step = run->state.step;
    if (step < c->sft_steps)
        return wz_run_supervised_step(run, err);
    wz_step_report report;
    char note[96];
    const double start = wz_now_s();
    wz_status status = wz_trainer_step(run->trainer, step, &report, err);
    if (status != WZ_OK)
        return status;
    const double seconds = wz_now_s() - start;
    run->state.step = step + 1;
    run->state.tokens += report.tokens;
    run->last_score = report.ratio;
    if (run->state.step % c->logging_steps == 0)
        status = wz_run_log_step(run, step, &report, seconds, err);
    if (status == WZ_OK && c->log_completions_steps > 0 && run->state.step % c->log_completions_steps == 0)
        status = wz_run_log_completions(run, step, err);
    wz_run_show_step(run, &report, (double)c->generation_batch_size / seconds);
    (void)snprintf(note, sizeof note, "size %lld  entropy %.3f  %.0f completions/s",
                   (long long)report.parts[0].size, report.entropy,
                   (double)c->generation_batch_size / seconds);
    wz_progress_update(&run->progress, run->state.step, "ratio", report.ratio, note, wz_now_s());
    compare_algorithms(run);
    wz_run_announce_growth(run, &report);
    return status;
}

static int interrupted(const wz_run *run)
{
    return run->io->interrupt != NULL ? (int)*run->io->interrupt : 0;
}

static void say_how_to_go_on(const wz_run *run)
{
    char line[WZ_PATH_MAX + 96];
    (void)snprintf(line, sizeof line,
                   "stopped after step %lld, which is saved; to go on: wavezero resume \"%s\"\n",
                   (long long)run->state.step, run->directory.path);
    say(run, line);
}

/* Steps until max_steps or an interrupt; saves on the way and at the end. */
static wz_status loop(wz_run *run, int *signal, wz_error *err)
{
    const wz_config *c = &run->config;
    wz_status status = WZ_OK;
    bool is_saved = run->state.step > 0;
    wz_progress_start(&run->progress, run->io->log, &run->io->progress, "step", run->state.step, c->max_steps,
                      wz_now_s());
    run->last_score = NAN;
    wz_run_start_panel(run);
    *signal = 0;
    if (!is_saved) { /* from here on resume can take over, and a full disk is known before the first step */
        status = save(run, false, err);
        is_saved = true;
    }
    while (status == WZ_OK && run->state.step < c->max_steps && (*signal = interrupted(run)) == 0) {
        status = one_step(run, err);
        is_saved = false;
        const bool is_last = run->state.step == c->max_steps;
        if (status == WZ_OK && (is_last || (c->eval_steps > 0 && run->state.step % c->eval_steps == 0)))
            status = evaluate(run, err);
        if (status == WZ_OK && (is_last || (c->save_steps > 0 && run->state.step % c->save_steps == 0))) {
            status = save(run, false, err);
            is_saved = true;
        }
    }
    wz_progress_finish(&run->progress, run->state.step, "ratio", run->last_score, NULL, wz_now_s());
    if (status == WZ_OK && !is_saved)
        status = save(run, false, err);
    if (status == WZ_OK && *signal != 0)
        say_how_to_go_on(run);
    return status;
}

wz_status wz_run_train(const wz_config *config, const char *config_file, bool overwrite, const wz_run_io *io,
                       int *signal, wz_error *err)
{
    wz_run run = {.config = *config, .io = io, .directory = {.lock = -1}};
    run.state.best_score = -1.0;
    *signal = 0;
    wz_status status = wz_config_check(&run.config, err);
    if (status == WZ_OK)
        status = wz_run_check_inputs(&run.config, config_file, err);
    if (status == WZ_OK)
        status = wz_open_verifier(&run.config, err);
    if (status == WZ_OK)
        status = open_backend(&run, err);
    if (status == WZ_OK)
        status = wz_policy_from_config(&run.config, run.backend, &run.policy, err);
    if (status == WZ_OK)
        status = wz_run_open_train_set(&run, err);
    if (status == WZ_OK)
        status = wz_run_count_epochs(&run, err);
    if (status == WZ_OK)
        status = make_trainer(&run, err);
    if (status == WZ_OK)
        status = wz_rundir_create(&run.directory, run.config.output_dir, overwrite, err);
    if (status == WZ_OK)
        status = open_files(&run, err);
    if (status == WZ_OK)
        status = loop(&run, signal, err);
    close_run(&run);
    return status;
}

/* Options of the task are named without their section. */
static const char *section_of(const wz_config *config, const char *name)
{
    for (size_t i = 0; i < config->task->option_count; i++)
        if (config->task->options[i].name == name)
            return "task.";
    return "";
}

/* The saved configuration with the overrides, if resume may make them. */
static wz_status resumed_config(wz_checkpoint *checkpoint, const char *path, const char *const *overrides,
                                size_t override_count, bool extend, wz_config *out, wz_error *err)
{
    wz_config saved;
    wz_status status = wz_config_from_checkpoint(checkpoint, path, true, &saved, err);
    *out = saved;
    for (size_t i = 0; status == WZ_OK && i < override_count; i++)
        status = wz_config_override(out, overrides[i], err);
    if (status != WZ_OK)
        return status;
    if (extend && out->max_steps > saved.max_steps)
        saved.max_steps = out->max_steps;
    const char *conflict = wz_config_resume_conflict(&saved, out);
    if (conflict != NULL && strcmp(conflict, "max_steps") == 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "resume cannot change 'max_steps' from %lld to %lld: schedules are laid out over it; a longer "
            "run needs --extend, a shorter one a new run (init_from)",
            (long long)saved.max_steps, (long long)out->max_steps);
    if (conflict != NULL)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "resume cannot change '%s%s': the run would no longer be the one that was started; use "
            "init_from for a new run",
            section_of(&saved, conflict), conflict);
    return wz_config_check(out, err);
}

/* What the trainer holds beside the policy. */
static wz_status restore_trainer(wz_run *run, wz_checkpoint *checkpoint, const char *path, wz_error *err)
{
    const wz_model *model = run->policy->model;
    float *const arrays[2] = {wz_trainer_ref_weights(run->trainer), wz_trainer_average(run->trainer)};
    static const char *const groups[2] = {WZ_REFERENCE_GROUP, WZ_AVERAGE_GROUP};
    wz_status status = WZ_OK;
    *wz_trainer_updates(run->trainer) = run->state.updates;
    memcpy(wz_trainer_curricula(run->trainer), run->state.curricula, sizeof run->state.curricula);
    *wz_trainer_taken(run->trainer) = run->state.taken;
    if (run->config.replay_fraction > 0.0 || wz_config_bounds_success(&run->config))
        status = wz_snapshot_read_pool(checkpoint, path, wz_trainer_settings(run->trainer),
                                       wz_trainer_replay(run->trainer), err);
    if (status != WZ_OK)
        return status;
    if (run->config.use_adaptive_entropy && !run->state.has_entropy)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s: the run's state lacks the entropy coefficient that use_adaptive_entropy had reached", path);
    if (run->config.use_adaptive_entropy)
        *wz_trainer_entropy(run->trainer) = run->state.entropy;
    for (int i = 0; status == WZ_OK && i < 2; i++)
        if (arrays[i] != NULL)
            status = wz_read_tensors(checkpoint, model, groups[i], arrays[i], err);
    if (status == WZ_OK && arrays[0] != NULL)
        wz_trainer_ref_weights_changed(run->trainer);
    return status;
}

static wz_status restore(wz_run *run, wz_checkpoint *checkpoint, const char *path, wz_error *err)
{
    wz_status status = wz_snapshot_check_text(checkpoint, path, &run->config, err);
    if (status == WZ_OK)
        status = wz_snapshot_read(checkpoint, path, &run->state, err);
    if (status == WZ_OK)
        status = wz_run_open_train_set(run, err);
    if (status == WZ_OK)
        status = wz_policy_from_checkpoint(checkpoint, &run->config, run->backend, true, &run->policy, err);
    if (status == WZ_OK)
        status = wz_read_tensors(checkpoint, run->policy->model, "adam_m", run->policy->model->adam_m, err);
    if (status == WZ_OK)
        status = wz_read_tensors(checkpoint, run->policy->model, "adam_v", run->policy->model->adam_v, err);
    if (status == WZ_OK && wz_checkpoint_has_text(checkpoint, "env"))
        status = wz_checkpoint_read_text(checkpoint, "env", &run->resumed_in, err);
    if (status == WZ_OK)
        status = make_trainer(run, err);
    if (status == WZ_OK)
        status = open_files(run, err);
    return status == WZ_OK ? restore_trainer(run, checkpoint, path, err) : status;
}

wz_status wz_run_resume(const char *directory, const char *const *overrides, size_t override_count,
                        bool extend, const wz_run_io *io, int *signal, wz_error *err)
{
    wz_run run = {.io = io, .directory = {.lock = -1}};
    wz_text path = {0}, skipped = {0};
    wz_checkpoint *checkpoint = NULL;
    *signal = 0;
    wz_status status = wz_rundir_open(&run.directory, directory, err);
    if (status == WZ_OK)
        status = wz_checkpoint_find_newest(run.directory.checkpoints, &path, &skipped, err);
    if (skipped.data != NULL)
        say(&run, skipped.data);
    if (status == WZ_OK)
        status = wz_checkpoint_open(path.data, &checkpoint, err);
    if (status == WZ_OK)
        status = resumed_config(checkpoint, path.data, overrides, override_count, extend, &run.config, err);
    if (status == WZ_OK)
        status = wz_open_verifier(&run.config, err);
    if (status == WZ_OK)
        status = open_backend(&run, err);
    if (status == WZ_OK)
        status = restore(&run, checkpoint, path.data, err);
    wz_checkpoint_close(checkpoint);
    wz_text_clear(&skipped);
    wz_text_clear(&path);
    if (status == WZ_OK)
        status = loop(&run, signal, err);
    close_run(&run);
    return status;
}
