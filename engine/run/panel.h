/* What a terminal shows of a training run below its progress bar: score against reference and baselines, its course as a
 * sparkline, entropy, speed, alarms; in supervised steps their loss. */
#ifndef WZ_RUN_PANEL_H
#define WZ_RUN_PANEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WZ_PANEL_SCORES 256
#define WZ_PANEL_LEVELS 3
#define WZ_PANEL_COLUMNS 50 /* narrower terminals show the bar alone */

typedef struct wz_panel_level {
    char name[40];
    double ratio;
} wz_panel_level;

typedef struct wz_panel {
    double scores[WZ_PANEL_SCORES]; /* held-out, the last of them */
    size_t score_count;
    double best;
    int64_t best_step;
    wz_panel_level levels[WZ_PANEL_LEVELS]; /* to compare with, the largest first */
    size_t level_count;
    const char *reference;                                         /* what 1 is: "optimum", ... */
    double ratio, reward, entropy, dead_groups, completions_per_s; /* of the last step; NaN: none */
    double sft_loss, sft_accuracy, pairs_per_s;                    /* the same; NaN: it was not supervised */
    int64_t size, alarms;                                          /* size 0: no problem was sampled yet */
} wz_panel;

void wz_panel_start(wz_panel *panel);
void wz_panel_add_score(wz_panel *panel, int64_t step, double score);
/* Ratio NaN is left out; beyond WZ_PANEL_LEVELS the smallest are dropped. */
void wz_panel_add_level(wz_panel *panel, const char *name, double ratio);
/* Scores and levels of a run that goes on; what cannot be read is not shown. */
void wz_panel_load(wz_panel *panel, const char *metrics_path);

/* Lines joined by line breaks, none wider than columns - 1; pieces that do not fit are left out. */
void wz_panel_write(const wz_panel *panel, int columns, bool color, bool utf8, char *out, size_t size);

#endif
