#include "engine/run/panel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/history.h"

void wz_panel_start(wz_panel *panel)
{
    *panel = (wz_panel){.reference = "reference",
                        .best = NAN,
                        .ratio = NAN,
                        .reward = NAN,
                        .entropy = NAN,
                        .dead_groups = NAN,
                        .completions_per_s = NAN,
                        .sft_loss = NAN,
                        .sft_accuracy = NAN,
                        .pairs_per_s = NAN};
}

void wz_panel_add_score(wz_panel *panel, int64_t step, double score)
{
    if (panel->score_count == WZ_PANEL_SCORES)
        memmove(panel->scores, panel->scores + 1, --panel->score_count * sizeof *panel->scores);
    panel->scores[panel->score_count++] = score;
    if (!(score <= panel->best)) {
        panel->best = score;
        panel->best_step = step;
    }
}

void wz_panel_add_level(wz_panel *panel, const char *name, double ratio)
{
    size_t at = 0;
    while (at < panel->level_count && panel->levels[at].ratio >= ratio)
        at++;
    if (isnan(ratio) || at == WZ_PANEL_LEVELS)
        return;
    if (panel->level_count < WZ_PANEL_LEVELS)
        panel->level_count++;
    memmove(&panel->levels[at + 1], &panel->levels[at],
            (panel->level_count - at - 1) * sizeof panel->levels[0]);
    panel->levels[at].ratio = ratio;
    (void)snprintf(panel->levels[at].name, sizeof panel->levels[at].name, "%s", name);
}

void wz_panel_load(wz_panel *panel, const char *metrics_path)
{
    wz_history history;
    char name[40];
    if (wz_history_read(metrics_path, &history, NULL) != WZ_OK)
        return;
    const wz_series *scores = wz_history_find(&history, "eval_objective_ratio");
    for (size_t i = 0; scores != NULL && i < scores->count; i++)
        wz_panel_add_score(panel, (int64_t)scores->step[i], scores->value[i]);
    for (size_t i = 0; i < history.count; i++)
        if (sscanf(history.series[i].name, "baselines/%39[^/]/ratio", name) == 1)
            wz_panel_add_level(panel, name, history.series[i].value[0]);
    panel->alarms = (int64_t)history.alarm_count;
    wz_history_clear(&history);
}

/* ---- text ---- */

typedef struct line {
    char *out;
    size_t size;
    int columns, used;
    bool color, utf8;
} line;

#define PLAIN ""
#define BOLD "1"
#define FAINT "2"
#define RED "31"
#define GREEN "32"

/* Appends a piece and two blanks before it, unless it is too wide; width: its columns on the screen. */
static void put(line *l, const char *style, const char *text, int width)
{
    const size_t length = strlen(l->out);
    const int gap = l->used > 0 ? 2 : 0;
    const bool styled = l->color && style[0] != '\0';
    if (l->used + gap + width > l->columns - 1 || length + strlen(text) + 16 > l->size)
        return;
    (void)snprintf(l->out + length, l->size - length, "%.*s%s%s%s%s%s", gap, "  ", styled ? "\x1b[" : "",
                   styled ? style : "", styled ? "m" : "", text, styled ? "\x1b[0m" : "");
    l->used += gap + width;
}

static void put_number(line *l, const char *style, const char *name, double value, const char *format)
{
    char number[40], text[96];
    if (isnan(value))
        return;
    (void)snprintf(number, sizeof number,
                   format[0] == '%'   ? "%.0f%%"
                   : format[0] == '3' ? "%.3f"
                                      : "%.4f",
                   format[0] == '%' ? 100.0 * value : value);
    (void)snprintf(text, sizeof text, "%.40s %s", name, number);
    put(l, style, text, (int)strlen(text));
}

static void end_line(line *l)
{
    const size_t length = strlen(l->out);
    if (l->used > 0 && length + 2 < l->size)
        (void)snprintf(l->out + length, l->size - length, "\n");
    l->used = 0;
}

/* The last scores as bars from the least to the largest. */
static void put_course(line *l, const wz_panel *panel)
{
    static const char *const bars[8] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
                                        "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char plain[] = "_.-:=+*#";
    char text[4 * WZ_PANEL_SCORES] = "";
    const size_t most = (size_t)(l->columns > 100 ? 64 : l->columns * 2 / 5);
    const size_t count = panel->score_count < most ? panel->score_count : most;
    const double *scores = panel->scores + panel->score_count - count;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, scores[i]);
        high = fmax(high, scores[i]);
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const int level = high > low ? (int)fmin(7.0, 8.0 * (scores[i] - low) / (high - low)) : 7;
        if (l->utf8)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", bars[level]);
        else
            text[used++] = plain[level];
    }
    text[used] = '\0';
    put(l, GREEN, text, (int)count);
    (void)snprintf(text, sizeof text, "%.3f to %.3f", low, high);
    put(l, FAINT, text, (int)strlen(text));
    (void)snprintf(text, sizeof text, "best %.4f at step %lld", panel->best, (long long)panel->best_step);
    put(l, PLAIN, text, (int)strlen(text));
}

static void put_count(line *l, const char *style, const char *format, double count)
{
    char text[64];
    (void)snprintf(text, sizeof text, format, count);
    if (!isnan(count))
        put(l, style, text, (int)strlen(text));
}

static void put_step(line *l, const wz_panel *panel)
{
    put_number(l, PLAIN, "sampled", panel->ratio, "4");
    put_number(l, PLAIN, "entropy", panel->entropy, "3");
    put_number(l, PLAIN, "reward", panel->reward, "4");
    put_number(l, PLAIN, "dead groups", panel->dead_groups, "%");
    put_count(l, PLAIN, "size %.0f", panel->size > 0 ? (double)panel->size : NAN);
    put_count(l, PLAIN, "%.0f completions/s", panel->completions_per_s);
    put_number(l, PLAIN, "supervised: loss", panel->sft_loss, "3");
    put_number(l, PLAIN, "tokens right", panel->sft_accuracy, "%");
    put_count(l, PLAIN, "%.0f pairs/s", panel->pairs_per_s);
}

void wz_panel_write(const wz_panel *panel, int columns, bool color, bool utf8, char *out, size_t size)
{
    line l = {.out = out, .size = size, .columns = columns, .color = color, .utf8 = utf8};
    out[0] = '\0';
    if (panel->score_count > 0) {
        const double score = panel->scores[panel->score_count - 1];
        const bool leads = panel->level_count > 0 && score >= panel->levels[0].ratio;
        put_number(&l, leads ? GREEN : BOLD, "held out", score, "4");
        put_number(&l, FAINT, panel->reference, 1.0, "3");
        for (size_t i = 0; i < panel->level_count; i++)
            put_number(&l, FAINT, panel->levels[i].name, panel->levels[i].ratio, "3");
        end_line(&l);
        put_course(&l, panel);
        end_line(&l);
    }
    put_step(&l, panel);
    end_line(&l);
    if (panel->alarms > 0) {
        put_count(&l, RED, panel->alarms == 1 ? "%.0f alarm" : "%.0f alarms", (double)panel->alarms);
        put(&l, PLAIN, "see above, or `wavezero report`", 31);
    }
    end_line(&l);
    const size_t length = strlen(out);
    if (length > 0 && out[length - 1] == '\n')
        out[length - 1] = '\0';
}
