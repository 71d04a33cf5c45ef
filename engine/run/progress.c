#include "engine/run/progress.h"

#include <math.h>
#include <string.h>

#define BAR_CELLS 24
#define REDRAW_S 0.1

void wz_format_duration(double seconds, char out[32])
{
    if (!(seconds >= 0.0) || seconds > 1e9) {
        (void)snprintf(out, 32, "-");
        return;
    }
    long whole = lround(seconds);
    if (whole < 60)
        (void)snprintf(out, 32, "%lds", whole);
    else if (whole < 3600)
        (void)snprintf(out, 32, "%ldm%02lds", whole / 60, whole % 60);
    else if (whole < 86400)
        (void)snprintf(out, 32, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
    else
        (void)snprintf(out, 32, "%ldd%02ldh", whole / 86400, whole / 3600 % 24);
}

void wz_progress_start(wz_progress *progress, FILE *stream, const wz_progress_style *style, const char *unit,
                       int64_t first, int64_t total, double now_s)
{
    *progress = (wz_progress){.stream = stream,
                              .style = *style,
                              .unit = unit,
                              .first = first,
                              .total = total,
                              .started_s = now_s,
                              .shown_s = -INFINITY};
    if (progress->style.columns <= 0)
        progress->style.columns = 80;
    if (!(progress->style.interval_s > 0.0))
        progress->style.interval_s = 10.0;
}

/* "[=====>      ] " */
static void render_bar(double share, char out[BAR_CELLS + 4])
{
    int filled = (int)(share * BAR_CELLS);
    out[0] = '[';
    memset(out + 1, ' ', BAR_CELLS);
    memset(out + 1, '=', (size_t)filled);
    if (filled < BAR_CELLS)
        out[filled + 1] = '>';
    memcpy(out + BAR_CELLS + 1, "] ", 3);
}

/* Appends to the line in out[size], cut where it ends. */
static void append_text(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    (void)snprintf(out + used, size - used, "%s", text);
}

void wz_progress_render(const wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s, char *out, size_t size)
{
    char piece[128];
    char bar[BAR_CELLS + 4] = "";
    char left[32];
    double share = progress->total > 0 ? (double)done / (double)progress->total : 1.0;
    share = share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
    int64_t here = done - progress->first;
    double each_s = here > 0 ? (now_s - progress->started_s) / (double)here : NAN;
    wz_format_duration(each_s * (double)(progress->total - done), left);
    if (progress->style.is_terminal && progress->style.columns >= 80)
        render_bar(share, bar);
    (void)snprintf(out, size, "%s%s %lld/%lld %3.0f%%", bar, progress->unit, (long long)done,
                   (long long)progress->total, floor(100.0 * share));
    if (!isnan(score)) {
        (void)snprintf(piece, sizeof piece, "  %s %.4f", score_name, score);
        append_text(out, size, piece);
    }
    if (here > 0) {
        (void)snprintf(piece, sizeof piece, "  %.3g s/%s  ETA %s", each_s, progress->unit, left);
        append_text(out, size, piece);
    }
    if (note != NULL && note[0] != '\0') {
        (void)snprintf(piece, sizeof piece, "  %.100s", note);
        append_text(out, size, piece);
    }
    if (progress->style.is_terminal && strlen(out) >= (size_t)progress->style.columns)
        out[progress->style.columns - 1] = '\0';
}

#define PANEL_BYTES 4096

/* Goes to the start of what stands on the terminal and clears it. After a change of width nobody knows how the terminal
 * broke the lines: then they stay where they are, and what follows begins below. */
static void erase_panel(wz_progress *progress, int columns)
{
    if (progress->lines > 1 && columns == progress->drawn_columns)
        (void)fprintf(progress->stream, "\x1b[%dA\r\x1b[J", progress->lines - 1);
    else if (progress->lines > 0)
        (void)fprintf(progress->stream, columns == progress->drawn_columns ? "\r\x1b[J" : "\n\r\x1b[J");
    progress->lines = 0;
}

/* Bar and panel, the cursor at the end of the last line. */
static void draw_panel(wz_progress *progress, const char *line)
{
    char text[PANEL_BYTES];
    const wz_progress_style *style = &progress->style;
    erase_panel(progress, style->columns);
    wz_panel_write(progress->panel, style->columns, style->color, style->utf8, text, sizeof text);
    (void)fprintf(progress->stream, "%s%s%s%s%s", style->color ? "\x1b[36m" : "", line,
                  style->color ? "\x1b[0m" : "", text[0] != '\0' ? "\n" : "", text);
    progress->lines = 1 + (text[0] != '\0');
    for (const char *at = text; *at != '\0'; at++)
        progress->lines += *at == '\n';
    progress->drawn_columns = style->columns;
    progress->is_shown = true;
}

static void measure(wz_progress *progress)
{
    if (!progress->style.is_terminal || progress->style.measure == NULL)
        return;
    const int columns = progress->style.measure();
    progress->style.columns = columns > 0 ? columns : progress->style.columns;
}

static void draw(wz_progress *progress, int64_t done, const char *score_name, double score, const char *note,
                 double now_s)
{
    char line[512];
    measure(progress);
    if (progress->panel != NULL && progress->style.is_terminal &&
        progress->style.columns >= WZ_PANEL_COLUMNS) {
        wz_progress_render(progress, done, score_name, NAN, NULL, now_s, line, sizeof line);
        progress->shown_s = now_s;
        draw_panel(progress, line);
        (void)fflush(progress->stream);
        return;
    }
    if (progress->lines > 0)
        erase_panel(progress, progress->style.columns);
    wz_progress_render(progress, done, score_name, score, note, now_s, line, sizeof line);
    progress->shown_s = now_s;
    if (!progress->style.is_terminal)
        (void)fprintf(progress->stream, "%s\n", line);
    else if (progress->style.color)
        (void)fprintf(progress->stream, "\r\x1b[K\x1b[36m%s\x1b[0m", line);
    else
        (void)fprintf(progress->stream, "\r%-*s", progress->style.columns - 1, line);
    progress->is_shown = progress->style.is_terminal;
    (void)fflush(progress->stream);
}

void wz_progress_update(wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s)
{
    double interval = progress->style.is_terminal ? REDRAW_S : progress->style.interval_s;
    if (progress->stream == NULL || now_s - progress->shown_s < interval)
        return;
    draw(progress, done, score_name, score, note, now_s);
}

static void leave_line(wz_progress *progress, bool erase)
{
    if (!progress->is_shown)
        return;
    if (erase && progress->lines > 0) {
        measure(progress);
        erase_panel(progress, progress->style.columns);
    } else if (erase)
        (void)fprintf(progress->stream, "\r%-*s\r", progress->style.columns - 1, "");
    else
        (void)fprintf(progress->stream, "\n");
    progress->lines = 0;
    progress->is_shown = false;
}

void wz_progress_message(wz_progress *progress, const char *line)
{
    if (progress->stream == NULL)
        return;
    leave_line(progress, true);
    (void)fprintf(progress->stream, "%s\n", line);
    (void)fflush(progress->stream);
    progress->shown_s = progress->style.is_terminal ? -INFINITY : progress->shown_s;
}

void wz_progress_finish(wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s)
{
    if (progress->stream == NULL)
        return;
    draw(progress, done, score_name, score, note, now_s);
    leave_line(progress, false);
    (void)fflush(progress->stream);
}

void wz_progress_clear(wz_progress *progress)
{
    if (progress->stream == NULL)
        return;
    leave_line(progress, true);
    (void)fflush(progress->stream);
}
