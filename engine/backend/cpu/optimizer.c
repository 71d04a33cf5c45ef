/* Gradient norm, AdamW and averages of weights. */
#include "engine/backend/cpu/cpu.h"

#include <math.h>

#include "engine/backend/cpu/vec.h"

#define BLOCK 16384 /* floats per task */

typedef struct sum_job {
    const float *values;
    int64_t count;
    double *partial;
} sum_job;

static void sum_task(void *argument, size_t task, size_t thread)
{
    const sum_job *job = argument;
    int64_t begin = (int64_t)task * BLOCK, end = begin + BLOCK < job->count ? begin + BLOCK : job->count;
    double lane[8] = {0};
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        lane[i & 7] += (double)job->values[i] * (double)job->values[i];
    job->partial[task] =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

double cpu_sum_squares(wz_backend *backend, const float *values, int64_t count)
{
    cpu_backend *cpu = cpu_of(backend);
    size_t tasks = (size_t)((count + BLOCK - 1) / BLOCK);
    double *partial = (double *)(void *)cpu_shared_reserve(cpu, (tasks + 1) * sizeof(double));
    if (partial == NULL)
        return NAN;
    sum_job job = {values, count, partial};
    wz_pool_run(cpu->pool, sum_task, &job, tasks);
    double sum = 0.0;
    for (size_t i = 0; i < tasks; i++)
        sum += partial[i];
    return sum;
}

typedef struct adamw_job {
    float *weight, *m, *v;
    const float *gradient;
    int64_t count;
    float gradient_scale, decay, step_size, inverse_root2; /* see cpu_adamw */
    const wz_adamw *adamw;
} adamw_job;

/* m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr wd w;  w -= (lr / (1 - b1^t)) m / (sqrt(v / (1 - b2^t)) + eps) */
static void adamw_task(void *argument, size_t task, size_t thread)
{
    const adamw_job *job = argument;
    const wz_adamw *a = job->adamw;
    int64_t begin = (int64_t)task * BLOCK, end = begin + BLOCK < job->count ? begin + BLOCK : job->count;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        float g = job->gradient[i] * job->gradient_scale;
        float m = a->beta1 * job->m[i] + (1.0f - a->beta1) * g;
        float v = a->beta2 * job->v[i] + (1.0f - a->beta2) * (g * g);
        float w = job->weight[i] * job->decay;
        job->m[i] = m;
        job->v[i] = v;
        job->weight[i] = w - job->step_size * (m / (sqrtf(v) * job->inverse_root2 + a->epsilon));
    }
}

void cpu_adamw(wz_backend *backend, float *weight, float *m, float *v, const float *gradient, int64_t count,
               float gradient_scale, const wz_adamw *adamw)
{
    double t = (double)adamw->step;
    adamw_job job = {.weight = weight,
                     .m = m,
                     .v = v,
                     .gradient = gradient,
                     .count = count,
                     .gradient_scale = gradient_scale,
                     .decay = 1.0f - adamw->learning_rate * adamw->weight_decay,
                     .step_size =
                         (float)((double)adamw->learning_rate / (1.0 - pow((double)adamw->beta1, t))),
                     .inverse_root2 = (float)(1.0 / sqrt(1.0 - pow((double)adamw->beta2, t))),
                     .adamw = adamw};
    wz_pool_run(cpu_of(backend)->pool, adamw_task, &job, (size_t)((count + BLOCK - 1) / BLOCK));
}

typedef struct blend_job {
    float *to;
    const float *from;
    int64_t count;
    float share, rest;
} blend_job;

static void blend_task(void *argument, size_t task, size_t thread)
{
    const blend_job *job = argument;
    int64_t begin = (int64_t)task * BLOCK, end = begin + BLOCK < job->count ? begin + BLOCK : job->count;
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        job->to[i] = job->rest * job->to[i] + job->share * job->from[i];
}

void cpu_blend(wz_backend *backend, float *to, const float *from, int64_t count, float share)
{
    blend_job job = {to, from, count, share, 1.0f - share};
    wz_pool_run(cpu_of(backend)->pool, blend_task, &job, (size_t)((count + BLOCK - 1) / BLOCK));
}
