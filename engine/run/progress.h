/* Progress of a long job on a log stream: a bar redrawn in place on a terminal, perhaps with a panel below it, else a plain
 * line now and then. The caller says whether the stream is a terminal and passes the time, so that nothing here reads
 * the environment or a clock. */
#ifndef WZ_RUN_PROGRESS_H
#define WZ_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/run/panel.h"

typedef struct wz_progress_style {
    bool is_terminal;     /* redraw one line in place */
    bool color;           /* ANSI colours; only on a terminal */
    int columns;          /* of the terminal; 0: 80 */
    double interval_s;    /* between plain lines (a terminal is redrawn ten times a second at most); 0: 10 */
    bool utf8;            /* a terminal that shows more than ASCII */
    int (*measure)(void); /* columns of the terminal now, for one that is resized; NULL: they stay the same */
} wz_progress_style;

typedef struct wz_progress {
    FILE *stream;
    wz_progress_style style;
    const char *unit; /* "step", "problem" */
    int64_t first, total;
    double started_s, shown_s;
    bool is_shown; /* a bar stands on the terminal's line */
    const wz_panel *
        panel; /* shown below the bar on a terminal that is wide enough; NULL: none. Set it after the start */
    int lines, drawn_columns; /* of bar and panel as they stand there */
} wz_progress;

/* From `first` (units done before, e.g. on resume: left out of the speed) to `total`. stream NULL: silent. */
void wz_progress_start(wz_progress *progress, FILE *stream, const wz_progress_style *style, const char *unit,
                       int64_t first, int64_t total, double now_s);
/* `done` units of the total. score: of 1, shown after its name; NaN: none yet. note: a few words more, or NULL. */
void wz_progress_update(wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s);
/* Prints a line of its own, above the bar. */
void wz_progress_message(wz_progress *progress, const char *line);
/* Draws the last state (as wz_progress_update, never skipped) and leaves the line. */
void wz_progress_finish(wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s);

/* Erases the bar and ends, leaving no trace on a terminal. */
void wz_progress_clear(wz_progress *progress);

/* The text of one line, cut to the terminal's width; out is terminated. */
void wz_progress_render(const wz_progress *progress, int64_t done, const char *score_name, double score,
                        const char *note, double now_s, char *out, size_t size);
/* "42s", "3m07s", "2h05m", "4d03h"; NaN or negative: "-". */
void wz_format_duration(double seconds, char out[32]);

#endif
