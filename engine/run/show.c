/* What a terminal shows of a run while it trains. */
#include <math.h>

#include "engine/run/run.h"

void wz_run_start_panel(wz_run *run)
{
    wz_panel_start(&run->panel);
    if (!run->progress.style.is_terminal)
        return;
    if (run->state.step > 0)
        wz_panel_load(&run->panel, run->metrics.log.path);
    run->progress.panel = &run->panel;
}

void wz_run_show_step(wz_run *run, const wz_step_report *r, double completions_per_s)
{
    wz_panel *panel = &run->panel;
    panel->ratio = r->ratio;
    panel->reward = r->reward;
    panel->entropy = r->entropy;
    panel->dead_groups = r->groups_dead;
    panel->size = r->parts[0].size;
    panel->completions_per_s = completions_per_s;
    panel->alarms = run->alarm.raised;
    panel->sft_loss = panel->sft_accuracy = panel->pairs_per_s = NAN;
}

void wz_run_show_supervised(wz_run *run, const wz_sft_report *r, double pairs_per_s)
{
    wz_panel *panel = &run->panel;
    panel->sft_loss = r->loss;
    panel->sft_accuracy = r->token_accuracy;
    panel->pairs_per_s = pairs_per_s;
}

void wz_run_show_evaluation(wz_run *run, const wz_evaluation *evaluations, double score)
{
    const wz_evaluation *e = &evaluations[0];
    wz_panel_add_score(&run->panel, run->state.step, score);
    if (wz_trainer_settings(run->trainer)->mixture.count > 1)
        return; /* baselines of one part say nothing of the mean */
    run->panel.reference = wz_reference_kind_name(e->reference_kind);
    for (size_t b = 0; b < e->baseline_count; b++)
        wz_panel_add_level(&run->panel, e->baselines[b].name, e->baselines[b].score.mean);
}
