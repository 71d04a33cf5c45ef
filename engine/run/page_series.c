/* Series of metrics as curves of a report: means over intervals of steps, and over runs. */
#include <math.h>

#include "engine/run/page_internal.h"

/* What falls into one interval of steps. */
typedef struct bucket {
    double step, sum, low, high;
    size_t points, runs;
} bucket;

/* Its number; what comes after the border shares none with what comes before. */
static size_t bucket_of(double step, double width, double border)
{
    const double at = floor(fmax((step - 1.0) / width, 0.0));
    const bool meets = step > border && floor((border - 1.0) / width) == at;
    return (size_t)fmin(at + (meets ? 1.0 : 0.0), WZ_CHART_POINTS - 1);
}

static void add_run(bucket *buckets, const wz_series *series, double width, double border)
{
    double sum = 0.0, steps = 0.0;
    for (size_t i = 0, start = 0; i < series->count; i++) {
        const size_t at = bucket_of(series->step[i], width, border);
        const bool is_last = i + 1 == series->count || bucket_of(series->step[i + 1], width, border) != at;
        sum += series->value[i];
        steps += series->step[i];
        if (!is_last)
            continue;
        const double points = (double)(i + 1 - start), mean = sum / points;
        bucket *b = &buckets[at];
        b->low = b->runs == 0 ? mean : fmin(b->low, mean);
        b->high = b->runs == 0 ? mean : fmax(b->high, mean);
        b->step = steps / points;
        b->sum += mean;
        b->runs++;
        start = i + 1;
        sum = steps = 0.0;
    }
}

bool wz_page_curve(const wz_page_run *runs, size_t count, size_t group, const char *name, double border,
                   wz_curve *out)
{
    static const bucket empty = {0};
    bucket buckets[WZ_CHART_POINTS];
    double last = 1.0;
    size_t having = 0;
    for (size_t i = 0; i < WZ_CHART_POINTS; i++)
        buckets[i] = empty;
    for (size_t r = 0; r < count; r++)
        last = runs[r].group == group ? fmax(last, runs[r].history.last_step) : last;
    for (size_t r = 0; r < count; r++) {
        const wz_series *series = wz_history_find(&runs[r].history, name);
        if (runs[r].group != group || series == NULL)
            continue;
        add_run(buckets, series, fmax(1.0, ceil(last / WZ_CHART_POINTS)), border);
        having++;
    }
    out->count = 0;
    out->has_band = having > 1;
    for (size_t i = 0; i < WZ_CHART_POINTS; i++) {
        const bucket *b = &buckets[i];
        if (b->runs == 0 || b->runs < having)
            continue;
        out->x[out->count] = b->step;
        out->y[out->count] = b->sum / (double)b->runs;
        out->low[out->count] = b->low;
        out->high[out->count++] = b->high;
    }
    return out->count > 0;
}
