/* What a terminal shows of a run while it trains. */
#include <math.h>
#include <stdio.h>

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

/* Where the first step cuts most completions, though the grammar ends them, and the others earn nothing, the limit is too low:
 * the run would learn nothing, and its alarm waits for alarm.patience. */
static void warn_of_cuts(wz_run *run, const wz_step_report *r)
{
    const wz_config *c = &run->config;
    char note[200];
    if (run->state.step != c->sft_steps + 1 || !c->answer_grammar || r->completions.clipped_ratio <= 0.5 ||
        r->feasible > 0.0)
        return;
    (void)snprintf(note, sizeof note,
                   "step %lld: max_completion_length (%lld) cut %.0f%% of the completions, and no answer is "
                   "feasible: raise it%s",
                   (long long)run->state.step, (long long)c->max_completion_length,
                   100.0 * r->completions.clipped_ratio,
                   c->thinking_budget > 0 ? ", or lower thinking_budget" : "");
    wz_progress_message(&run->progress, note);
}

void wz_run_show_step(wz_run *run, const wz_step_report *r, double completions_per_s)
{
    wz_panel *panel = &run->panel;
    panel->ratio = r->ratio;
    panel->reward = r->completions.reward;
    panel->entropy = r->entropy;
    panel->dead_groups = r->groups_dead;
    panel->size = r->parts[0].size;
    panel->completions_per_s = completions_per_s;
    panel->alarms = run->alarm.raised;
    panel->sft_loss = panel->sft_accuracy = panel->pairs_per_s = NAN;
    warn_of_cuts(run, r);
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
