/* Where a run's problems come from: options that contradict each other, or would be without effect. */
#include <stdlib.h>

#include "engine/run/config_schema.h"

bool wz_config_filters_headroom(const wz_config *c)
{
    return c->headroom_min > 0.0 || c->headroom_max < 1.0;
}

bool wz_config_bounds_success(const wz_config *c)
{
    return c->success_min > 0.0 || c->success_max < 1.0;
}

int64_t wz_config_numbers_each(const wz_config *c)
{
    return (c->dynamic_sampling ? c->dynamic_sampling_max_tries + 1 : 1) *
           (wz_config_filters_headroom(c) && c->train_set[0] == '\0' ? c->filter_max_tries : 1);
}

static wz_status check_train_set(const wz_config *c, wz_error *err)
{
    if (c->train_set[0] == '\0')
        return c->num_train_epochs == 0.0
                   ? WZ_OK
                   : wz_fail(err, WZ_ERR_USAGE,
                             "num_train_epochs is %g, but problems that are generated have no epochs: set "
                             "train_set, or max_steps in place of it",
                             c->num_train_epochs);
    if (c->curriculum_enabled)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "curriculum.enabled changes problems that are generated, and those of train_set are as "
            "they are: remove one of them");
    if (c->dynamic_sampling)
        return wz_fail(err, WZ_ERR_USAGE,
                       "dynamic_sampling puts other problems in place of some, and train_set shows each once "
                       "an epoch: remove one of them, or use replay_fraction");
    if (c->num_train_epochs > 0.0 && (c->replay_fraction > 0.0 || wz_config_bounds_success(c)))
        return wz_fail(
            err, WZ_ERR_USAGE,
            "with %s nobody knows how many steps num_train_epochs takes: set max_steps in place of "
            "it",
            c->replay_fraction > 0.0 ? "replay_fraction" : "success_min and success_max");
    return WZ_OK;
}

static wz_status check_replay(const wz_config *c, wz_error *err)
{
    const int64_t problems = c->generation_batch_size / c->num_generations; /* of a step */
    if (c->replay_fraction > 0.0 && c->replay_fraction * (double)problems < 0.5)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "replay_fraction (%g) of the %lld problems of a step is not one: raise it, or 0 for none",
            c->replay_fraction, (long long)problems);
    if (c->success_min > c->success_max)
        return wz_fail(err, WZ_ERR_USAGE, "success_min (%g) is above success_max (%g)", c->success_min,
                       c->success_max);
    if (wz_config_bounds_success(c) && c->train_set[0] == '\0' && c->replay_fraction == 0.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "success_min and success_max bound problems that come again, and none does: set "
                       "replay_fraction or train_set");
    if (c->headroom_min > c->headroom_max)
        return wz_fail(err, WZ_ERR_USAGE, "headroom_min (%g) is above headroom_max (%g)", c->headroom_min,
                       c->headroom_max);
    return WZ_OK;
}

static wz_status check_stages(const wz_config *c, wz_error *err)
{
    wz_mixture mixture;
    wz_stages *stages = NULL;
    if (c->curriculum_stages[0] == '\0')
        return WZ_OK;
    if (!c->curriculum_enabled)
        return wz_fail(err, WZ_ERR_USAGE,
                       "curriculum.stages is set, but curriculum.enabled is false: set it to true, or leave "
                       "the stages out");
    wz_status status = wz_config_mixture(c, &mixture, err);
    if (status == WZ_OK)
        status = wz_config_stages(c, &mixture, &stages, err);
    free(stages);
    return status;
}

wz_status wz_config_check_data(const wz_config *config, wz_error *err)
{
    wz_status (*const checks[])(const wz_config *, wz_error *) = {check_train_set, check_replay,
                                                                  check_stages};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof checks / sizeof checks[0]; i++)
        status = checks[i](config, err);
    return status;
}
