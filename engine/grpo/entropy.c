#include "engine/grpo/entropy.h"

#include <float.h>
#include <math.h>

static double at_stage(const wz_entropy_options *o, const wz_curriculum *curriculum,
                       const wz_curriculum_options *sizes)
{
    const bool waits = o->span == WZ_ENTROPY_SPAN_LAST_STAGE && curriculum->size < sizes->last;
    return wz_schedule_value(o->schedule, o->first, o->last, waits ? 0 : curriculum->steps, o->stage_steps);
}

double wz_entropy_scheduled(const wz_entropy_options *options, int64_t step, int64_t max_steps, size_t parts,
                            const wz_curriculum *curricula, const wz_curriculum_options *sizes)
{
    double most = 0.0;
    if (options->span == WZ_ENTROPY_SPAN_RUN)
        return wz_schedule_value(options->schedule, options->first, options->last, step, max_steps);
    for (size_t p = 0; p < parts; p++)
        most = fmax(most, at_stage(options, &curricula[p], &sizes[p]));
    return most;
}

void wz_entropy_control_start(wz_entropy_control *control, const wz_entropy_options *options)
{
    *control = (wz_entropy_control){.coef = options->first, .measured = DBL_MAX};
}

double wz_entropy_control_coef(const wz_entropy_control *control, const wz_entropy_options *options)
{
    return control->measured <= options->target ? control->coef : 0.0;
}

void wz_entropy_control_observe(wz_entropy_control *control, const wz_entropy_options *options,
                                double entropy)
{
    control->coef = entropy <= options->target ? fmin(control->coef + options->delta, options->maximum)
                                               : fmax(control->coef - options->delta, options->minimum);
    control->measured = entropy;
}
