#include "engine/grpo/schedule.h"

#include <math.h>

double wz_schedule_value(wz_schedule kind, double first, double last, int64_t step, int64_t total)
{
    if (kind == WZ_SCHEDULE_KIND_CONSTANT)
        return first;
    double t = total > 0 ? (double)step / (double)total : 1.0;
    t = t < 0.0 ? 0.0 : t > 1.0 ? 1.0 : t;
    if (kind == WZ_SCHEDULE_KIND_COSINE)
        t = 0.5 * (1.0 - cos(3.14159265358979323846 * t));
    return first + (last - first) * t;
}

double wz_learning_rate(wz_schedule kind, double peak, double final_ratio, int64_t warmup, int64_t step,
                        int64_t total)
{
    if (step < warmup)
        return peak * (double)(step + 1) / (double)(warmup + 1);
    return wz_schedule_value(kind, peak, peak * final_ratio, step - warmup, total - warmup);
}
