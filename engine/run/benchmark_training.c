#include "engine/run/benchmark_training.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/run/load.h"

void wz_bench_close(wz_bench *b)
{
    wz_trainer_destroy(b->trainer);
    wz_policy_destroy(b->policy);
    if (b->backend != NULL)
        b->backend->ops->destroy(b->backend);
    wz_text_clear(&b->plan);
}

double wz_bench_used_bytes(const wz_backend *backend)
{
    struct rusage usage;
    wz_backend_info info;
    backend->ops->describe(backend, &info);
    if (info.gpu != NULL)
        return (double)(info.memory - info.memory_free);
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024.0 : NAN;
}

wz_status wz_bench_open(const wz_config *config, FILE *log, wz_bench *b, wz_error *err)
{
    memset(b, 0, sizeof *b);
    b->config = *config;
    wz_status status = wz_config_check(&b->config, err);
    if (status == WZ_OK)
        status = wz_open_verifier(&b->config, err);
    if (status == WZ_OK)
        status = wz_open_backend_for_command(&b->config, log, &b->backend, err);
    if (status == WZ_OK)
        b->used_before = wz_bench_used_bytes(b->backend);
    if (status == WZ_OK)
        status = wz_policy_from_config(&b->config, b->backend, &b->policy, err);
    wz_mixture mixture;
    if (status == WZ_OK)
        status = wz_config_mixture(&b->config, &mixture, err);
    if (status != WZ_OK)
        return status;
    wz_run_trainer_options(&b->config, &mixture, 1, &b->options);
    b->options.sft = (wz_sft_options){0}; /* GRPO's steps are what is measured */
    b->options.curriculum_enabled = false;
    b->options.exactness_check_steps = 0;
    status = wz_run_plan_memory(b->policy, &b->config, false, &b->options, &b->memory, &b->plan, err);
    if (status == WZ_OK)
        status = wz_trainer_create(b->policy, &b->options, &b->trainer, err);
    return status == WZ_OK ? wz_trainer_reserve(b->trainer, &b->memory.trainer, err) : status;
}
