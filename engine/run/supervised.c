/* A run's supervised steps: their pairs, and the step. */
#include <stdio.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/pairs_file.h"
#include "engine/run/run.h"

wz_status wz_run_open_pairs(wz_run *run, wz_error *err)
{
    const wz_config *c = &run->config;
    char *saved = run->state.pairs_digest;
    if (c->sft_file[0] == '\0' || run->state.step >= c->sft_steps)
        return WZ_OK;
    const wz_status status = wz_pairs_read(c->sft_file, run->policy, &run->pairs, err);
    if (status != WZ_OK)
        return status;
    if (saved[0] != '\0' && strcmp(saved, run->pairs.digest) != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s holds other pairs than when this run started: put the file back, or start anew "
                       "with init_from",
                       c->sft_file);
    memcpy(saved, run->pairs.digest, sizeof run->state.pairs_digest);
    return WZ_OK;
}

wz_status wz_run_supervised_step(wz_run *run, wz_error *err)
{
    const wz_config *c = &run->config;
    wz_sft_report report;
    char note[96];
    const double start = wz_now_s();
    wz_status status = wz_trainer_supervise(run->trainer, run->state.step, &report, err);
    if (status != WZ_OK)
        return status;
    const double seconds = wz_now_s() - start;
    run->state.step++;
    run->state.tokens += report.tokens;
    if (run->state.step % c->logging_steps == 0)
        status = wz_run_log_supervised(run, &report, seconds, err);
    wz_run_show_supervised(run, &report, (double)c->sft_batch_size / seconds);
    (void)snprintf(note, sizeof note, "supervised  loss %.3f  %.0f pairs/s", report.loss,
                   (double)c->sft_batch_size / seconds);
    wz_progress_update(&run->progress, run->state.step, "accuracy", report.token_accuracy, note, wz_now_s());
    return status;
}
