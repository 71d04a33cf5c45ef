/* Values that change over a run. */
#ifndef WZ_GRPO_SCHEDULE_H
#define WZ_GRPO_SCHEDULE_H

#include <stdint.h>

typedef enum wz_schedule {
    WZ_SCHEDULE_KIND_CONSTANT,
    WZ_SCHEDULE_KIND_LINEAR,
    WZ_SCHEDULE_KIND_COSINE
} wz_schedule;

/* From `first` to `last` over steps 0 .. total, at `step` (clamped): first + (last - first) f with f = t (linear) or
 * (1 - cos(pi t)) / 2 (cosine), t = step / total. Constant: first. */
double wz_schedule_value(wz_schedule kind, double first, double last, int64_t step, int64_t total);

/* Learning rate of update `step` (0-based): peak (step + 1) / (warmup + 1) while step < warmup (never 0), then from peak
 * to peak * final_ratio over the remaining steps. */
double wz_learning_rate(wz_schedule kind, double peak, double final_ratio, int64_t warmup, int64_t step,
                        int64_t total);

#endif
