#include "engine/run/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Units of the view box: a chart is shown 330 to 560 pixels wide, so that letters stay readable on a phone. */
enum { WIDTH = 440, HEIGHT = 250, LEFT = 54, RIGHT = 18, TOP = 10, BOTTOM = 34 };
enum { LOG_TICKS = 48 };

/* From data to the view box. */
typedef struct frame {
    double x0, x1, y0, y1;
    bool is_log;
} frame;

static double at_x(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double scaled(const frame *f, double y)
{
    return f->is_log ? log10(fmax(y, 1e-300)) : y;
}

static double at_y(const frame *f, double y)
{
    return HEIGHT - BOTTOM - (scaled(f, y) - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

static bool is_shown(const wz_chart *chart, double y)
{
    return isfinite(y) && (!chart->is_log || y > 0.0);
}

double wz_chart_ticks(double low, double high, int wanted, double *first)
{
    const double span = fmax(high - low, 1e-12), power = pow(10.0, floor(log10(span / wanted)));
    const double least = span / wanted / power;
    const double step = power * (least <= 1.0 ? 1.0 : least <= 2.0 ? 2.0 : least <= 5.0 ? 5.0 : 10.0);
    *first = ceil(low / step - 1e-9) * step;
    return step;
}

/* The number of the last tick. */
static int ticks(double first, double last, double step)
{
    return (int)floor((last - first) / step + 1e-9);
}

static void widen(frame *f, double y)
{
    f->y0 = fmin(f->y0, y);
    f->y1 = fmax(f->y1, y);
}

static void widen_by_curve(const wz_chart *chart, const wz_curve *curve, frame *f)
{
    for (size_t i = 0; i < curve->count; i++) {
        const double ys[3] = {curve->y[i], curve->has_band ? curve->low[i] : NAN,
                              curve->has_band ? curve->high[i] : NAN};
        f->x0 = fmin(f->x0, curve->x[i]);
        f->x1 = fmax(f->x1, curve->x[i]);
        for (int k = 0; k < 3; k++)
            if (is_shown(chart, ys[k]))
                widen(f, scaled(f, ys[k]));
    }
}

/* Above and below; what is level to four digits stands in the middle of a range of its own. */
static void add_room(frame *f)
{
    const double span = f->y1 - f->y0, size = fmax(fabs(f->y0), fabs(f->y1));
    const double level = f->is_log || size == 0.0 ? 0.5 : 0.05 * size;
    const double room = span > 1e-4 * size ? 0.04 * span : level;
    f->y1 += room;
    f->y0 -= f->y0 == 0.0 && !f->is_log ? 0.0 : room;
}

/* What all curves and levels need, with some room. False: nothing to show. */
static bool fit(const wz_chart *chart, frame *f)
{
    *f = (frame){.x0 = INFINITY, .x1 = -INFINITY, .y0 = INFINITY, .y1 = -INFINITY, .is_log = chart->is_log};
    for (size_t c = 0; c < chart->curve_count; c++)
        widen_by_curve(chart, &chart->curves[c], f);
    if (!(f->y0 <= f->y1))
        return false;
    if (chart->border != NULL) {
        f->x0 = fmin(f->x0, chart->border_x);
        f->x1 = fmax(f->x1, chart->border_x);
    }
    for (size_t i = 0; i < chart->line_count; i++)
        widen(f, scaled(f, chart->lines[i].value));
    if (!isnan(chart->floor))
        widen(f, scaled(f, chart->floor));
    if (!isnan(chart->top))
        widen(f, scaled(f, chart->top));
    if (f->x1 <= f->x0)
        f->x1 = f->x0 + 1.0;
    add_room(f);
    return true;
}

static void write_number(wz_markup *m, double value, double step)
{
    if (fabs(value) >= 1e6)
        wz_markup_print(m, "%gM", value / 1e6);
    else if (fabs(value) >= 1e4)
        wz_markup_print(m, "%gk", value / 1e3);
    else if (step < 0.9e-4 && fabs(value) < 100.0 * step)
        wz_markup_print(m, "%.3g", fabs(value) < 0.5 * step ? 0.0 : value);
    else {
        const int digits = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
        wz_markup_print(m, "%.*f", digits, value == 0.0 ? 0.0 : value);
    }
}

/* A line across the chart at y, its number to be written beside it. */
static void begin_grid_line(wz_markup *m, const frame *f, double y)
{
    const double place = at_y(f, y);
    wz_markup_print(m, "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"e\">", LEFT,
                    place, WIDTH - RIGHT, LEFT - 6, place + 4);
}

/* The numbers 1, 2 and 5 times a power of ten within the frame, or the first `factors` kinds of them, as many as there is room
 * for; returns how many. */
static int find_log_ticks(const frame *f, int factors, double out[LOG_TICKS])
{
    static const double of[] = {1.0, 2.0, 5.0};
    int count = 0;
    for (int e = (int)floor(f->y0); e <= (int)ceil(f->y1); e++)
        for (int k = 0; k < factors && count < LOG_TICKS; k++) {
            const double at = e + log10(of[k]);
            if (at >= f->y0 - 1e-9 && at <= f->y1 + 1e-9)
                out[count++] = of[k] * pow(10.0, e);
        }
    return count;
}

/* About `count` round numbers from `low` to `high`. */
static void write_round_numbers(wz_markup *m, const frame *f, double low, double high, int count)
{
    double first = 0.0;
    const double step = wz_chart_ticks(low, high, count, &first);
    for (int i = 0; i <= ticks(first, high, step); i++) {
        begin_grid_line(m, f, first + i * step);
        write_number(m, first + i * step, step);
        wz_markup_raw(m, "</text>\n");
    }
}

/* Powers of ten; where there are fewer than two of them, 2 and 5 times these, too; where even so, round numbers. */
static void write_log_axis(wz_markup *m, const frame *f)
{
    double at[LOG_TICKS];
    int count = find_log_ticks(f, 1, at);
    if (count < 2)
        count = find_log_ticks(f, 3, at);
    for (int i = 0; i < count && count > 1; i++) {
        begin_grid_line(m, f, at[i]);
        wz_markup_print(m, "%g</text>\n", at[i]);
    }
    if (count < 2)
        write_round_numbers(m, f, pow(10.0, f->y0), pow(10.0, f->y1), 3);
}

static void write_axes(wz_markup *m, const wz_chart *chart, const frame *f)
{
    double first = 0.0;
    if (chart->is_log)
        write_log_axis(m, f);
    else
        write_round_numbers(m, f, f->y0, f->y1, 5);
    const double step = wz_chart_ticks(f->x0, f->x1, 5, &first);
    for (int i = 0; i <= ticks(first, f->x1, step); i++) {
        const double x = first + i * step;
        wz_markup_print(m, "<text x=\"%.1f\" y=\"%d\" class=\"m\">", at_x(f, x), HEIGHT - BOTTOM + 15);
        write_number(m, x, step);
        wz_markup_raw(m, "</text>\n");
    }
    wz_markup_print(m, "<path class=\"a\" d=\"M%d %dH%d\"/><text x=\"%d\" y=\"%d\" class=\"m l\">", LEFT,
                    HEIGHT - BOTTOM, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4);
    wz_markup_text(m, chart->x_label);
    wz_markup_raw(m, "</text>\n");
}

static void write_band(wz_markup *m, const wz_chart *chart, const wz_curve *curve, const frame *f)
{
    size_t last = 0;
    char command = 'M';
    wz_markup_print(m, "<path class=\"b c%d\" d=\"", curve->color);
    for (size_t i = 0; i < curve->count; i++)
        if (is_shown(chart, curve->high[i])) {
            wz_markup_print(m, "%c%.1f %.1f", command, at_x(f, curve->x[i]), at_y(f, curve->high[i]));
            command = 'L';
            last = i + 1;
        }
    for (size_t i = last; i > 0; i--)
        if (is_shown(chart, curve->low[i - 1]))
            wz_markup_print(m, "L%.1f %.1f", at_x(f, curve->x[i - 1]), at_y(f, curve->low[i - 1]));
    wz_markup_raw(m, last > 0 ? "Z\"/>\n" : "\"/>\n");
}

static void write_curve(wz_markup *m, const wz_chart *chart, const wz_curve *curve, const frame *f)
{
    char command = 'M';
    size_t shown = 0;
    wz_markup_print(m, "<path class=\"%s c%d\" d=\"", curve->is_thin ? "t" : "k", curve->color);
    for (size_t i = 0; i < curve->count; i++) {
        if (!is_shown(chart, curve->y[i]))
            continue;
        wz_markup_print(m, "%c%.1f %.1f", command, at_x(f, curve->x[i]), at_y(f, curve->y[i]));
        command = 'L';
        shown++;
    }
    wz_markup_raw(m, "\"/>\n");
    for (size_t i = 0; (shown == 1 || curve->has_points) && i < curve->count; i++)
        if (is_shown(chart, curve->y[i]))
            wz_markup_print(m, "<circle class=\"d c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", curve->color,
                            at_x(f, curve->x[i]), at_y(f, curve->y[i]));
}

/* Levels with their names at the left end, where curves begin low; names that would meet move down. */
static void write_lines(wz_markup *m, const wz_chart *chart, const frame *f)
{
    double taken[WZ_CHART_LINES];
    for (size_t i = 0; i < chart->line_count; i++) {
        const double place = at_y(f, chart->lines[i].value);
        double text = place - 3.0 < TOP + 6.0 ? place + 11.0 : place - 3.0;
        for (size_t k = 0; k < i; k++)
            if (fabs(text - taken[k]) < 12.0)
                text = taken[k] + 12.0;
        taken[i] = text;
        wz_markup_print(m, "<path class=\"r\" d=\"M%d %.1fH%d\"/><text class=\"r\" x=\"%d\" y=\"%.1f\">",
                        LEFT, place, WIDTH - RIGHT, LEFT + 5, text);
        wz_markup_text(m, chart->lines[i].label);
        wz_markup_raw(m, "</text>\n");
    }
}

/* A vertical line with the name of what it begins, on the side that has room. */
static void write_border(wz_markup *m, const wz_chart *chart, const frame *f)
{
    const double x = at_x(f, chart->border_x);
    const bool is_left = x > (LEFT + WIDTH - RIGHT) / 2.0;
    wz_markup_print(m, "<path class=\"v\" d=\"M%.1f %dV%d\"/><text class=\"r%s\" x=\"%.1f\" y=\"%d\">", x,
                    TOP, HEIGHT - BOTTOM, is_left ? " e" : "", is_left ? x - 4.0 : x + 4.0,
                    HEIGHT - BOTTOM - 5);
    wz_markup_text(m, chart->border);
    wz_markup_raw(m, "</text>\n");
}

static void begin_figure(wz_markup *m, const char *title, const char *note)
{
    wz_markup_raw(m, "<figure><figcaption>");
    wz_markup_element(m, "b", title);
    if (note != NULL) {
        wz_markup_raw(m, " <span>");
        wz_markup_text(m, note);
        wz_markup_raw(m, "</span>");
    }
    wz_markup_raw(m, "</figcaption>\n");
}

static void begin_plot(wz_markup *m, const char *title)
{
    wz_markup_print(m, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    wz_markup_text(m, title);
    wz_markup_raw(m, "\">\n");
}

static void write_legend(wz_markup *m, const wz_chart *chart)
{
    if (chart->curve_count == 0 || (chart->curve_count == 1 && chart->curves[0].label[0] == '\0'))
        return;
    wz_markup_raw(m, "<p class=\"legend\">");
    for (size_t c = 0; c < chart->curve_count; c++) {
        wz_markup_print(m, "<span class=\"s%d\">", chart->curves[c].color);
        wz_markup_text(m, chart->curves[c].label);
        wz_markup_raw(m, "</span> ");
    }
    wz_markup_raw(m, "</p>\n");
}

void wz_chart_write(wz_markup *m, const wz_chart *chart)
{
    frame f;
    if (!fit(chart, &f))
        return;
    begin_figure(m, chart->title, chart->note);
    write_legend(m, chart);
    begin_plot(m, chart->title);
    write_axes(m, chart, &f);
    for (size_t c = 0; c < chart->curve_count; c++)
        if (chart->curves[c].has_band)
            write_band(m, chart, &chart->curves[c], &f);
    for (int thin = 1; thin >= 0; thin--)
        for (size_t c = 0; c < chart->curve_count; c++)
            if (chart->curves[c].is_thin == thin)
                write_curve(m, chart, &chart->curves[c], &f);
    if (chart->border != NULL)
        write_border(m, chart, &f);
    write_lines(m, chart, &f);
    wz_markup_raw(m, "</svg></figure>\n");
}

void wz_bars_write(wz_markup *m, const char *title, const char *note, const char *x_label,
                   const double *share, size_t count, double last, const char *first_label)
{
    double largest = 0.01, first = 0.0;
    for (size_t i = 1; i < count; i++)
        largest = fmax(largest, share[i]);
    if (share[0] < 3.0 * largest)
        largest = fmax(largest, share[0]); /* else it would hide the others: it ends at the top */
    /* The first bar is as wide as four of the others and stands left of 0. */
    const double bar = last / (double)(count - 1);
    const frame f = {.x0 = -5.0 * bar, .x1 = last, .y0 = 0.0, .y1 = 1.12 * largest};
    begin_figure(m, title, note);
    begin_plot(m, title);
    double step = wz_chart_ticks(0.0, f.y1, 4, &first);
    for (int i = 0; i <= ticks(0.0, f.y1, step); i++) {
        const double y = i * step;
        wz_markup_print(m,
                        "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"e\">%.*f%%"
                        "</text>\n",
                        LEFT, at_y(&f, y), WIDTH - RIGHT, LEFT - 6, at_y(&f, y) + 4, step < 0.01 ? 1 : 0,
                        100.0 * y);
    }
    for (size_t i = 0; i < count; i++) {
        const double shown = fmin(share[i], f.y1);
        const double from = i == 0 ? -4.5 * bar : bar * (double)(i - 1), wide = i == 0 ? 4.0 * bar : bar;
        wz_markup_print(m, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                        i == 0 ? "f2" : "f0", at_x(&f, from) + 0.5, at_y(&f, shown),
                        at_x(&f, from + wide) - at_x(&f, from) - 1.0, HEIGHT - BOTTOM - at_y(&f, shown));
    }
    const double over = share[0] > f.y1 ? TOP + 14.0 : at_y(&f, share[0]) - 4.0;
    wz_markup_print(m, "<text class=\"m%s\" x=\"%.1f\" y=\"%.1f\">%.0f%%</text>", share[0] > f.y1 ? " i" : "",
                    at_x(&f, -2.5 * bar), over, 100.0 * share[0]);
    wz_markup_print(m, "<text class=\"m\" x=\"%.1f\" y=\"%d\">", at_x(&f, -2.5 * bar), HEIGHT - BOTTOM + 15);
    wz_markup_text(m, first_label);
    wz_markup_raw(m, "</text>\n");
    step = wz_chart_ticks(0.0, last, 5, &first);
    for (int i = 1; i <= ticks(0.0, last, step); i++) {
        const double x = i * step;
        wz_markup_print(m, "<text x=\"%.1f\" y=\"%d\" class=\"m\">%g</text>\n", at_x(&f, x),
                        HEIGHT - BOTTOM + 15, x);
    }
    wz_markup_print(m, "<path class=\"a\" d=\"M%d %dH%d\"/><text x=\"%d\" y=\"%d\" class=\"m l\">", LEFT,
                    HEIGHT - BOTTOM, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4);
    wz_markup_text(m, x_label);
    wz_markup_raw(m, "</text>\n</svg></figure>\n");
}
