/* Line charts and bars as inline SVG, coloured by the page's style sheet. */
#ifndef WZ_RUN_CHART_H
#define WZ_RUN_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/run/markup.h"

#define WZ_CHART_POINTS 320 /* of a curve; longer series are averaged */
#define WZ_CHART_CURVES 24
#define WZ_CHART_LINES 6
#define WZ_CHART_COLORS 8
#define WZ_CHART_LABEL 192 /* bytes */

/* A curve, perhaps with a band. NaN leaves a gap. */
typedef struct wz_curve {
    char label[WZ_CHART_LABEL];
    int color;    /* 0 .. WZ_CHART_COLORS - 1 */
    bool is_thin; /* behind the others */
    bool has_band;
    bool has_points; /* a dot at each */
    size_t count;
    double x[WZ_CHART_POINTS], y[WZ_CHART_POINTS], low[WZ_CHART_POINTS], high[WZ_CHART_POINTS];
} wz_curve;

/* A level to compare with. */
typedef struct wz_chart_line {
    char label[64];
    double value;
} wz_chart_line;

typedef struct wz_chart {
    const char *title, *note, *x_label;
    bool is_log;       /* powers of ten upwards; what is not positive is left out */
    double floor, top; /* the y axis covers at least these; NaN: no demand */
    wz_curve *curves;  /* (WZ_CHART_CURVES) */
    size_t curve_count;
    wz_chart_line lines[WZ_CHART_LINES];
    size_t line_count;
    const char *border; /* name of the part that begins at border_x, within the x axis; NULL: there is none */
    double border_x;
} wz_chart;

/* A figure: title, legend (of two curves or more, or of one with a label), plot. */
void wz_chart_write(wz_markup *m, const wz_chart *chart);

/* Bars side by side over [first, last], heights as shares of 1; the first bar stands apart, with a label of its own. */
void wz_bars_write(wz_markup *m, const char *title, const char *note, const char *x_label,
                   const double *share, size_t count, double last, const char *first_label);

/* Round numbers that divide [low, high] into about `wanted` parts: the first tick and the distance. */
double wz_chart_ticks(double low, double high, int wanted, double *first);

#endif
