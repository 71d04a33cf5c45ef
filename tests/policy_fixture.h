/* A small policy with a random head, and batches of problems for it. */
#ifndef WZ_TESTS_POLICY_FIXTURE_H
#define WZ_TESTS_POLICY_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grpo/batch.h"
#include "engine/run/load.h"

typedef struct fixture {
    wz_config config;
    wz_backend *backend;
    wz_policy *policy;
    bool host_drives; /* decoding, even where the device could */
    wz_error err;
} fixture;

#define OK(call)                                                                                             \
    do {                                                                                                     \
        wz_status ok_status = (call);                                                                        \
        ck_assert_msg(ok_status == WZ_OK, "%s: %s", #call, f.err.text);                                      \
    } while (0)

static fixture f;

/* overrides: blank-separated key=value on top of: 4 links, 2 layers x 32. */
static inline void make_policy(const char *overrides)
{
    char all[1024], *rest = NULL;
    (void)snprintf(
        all, sizeof all,
        "device=cpu threads=2 task.links=4 task.levels=8 model.hidden_size=32 model.intermediate_size=64 "
        "model.num_hidden_layers=2 model.num_attention_heads=2 model.num_key_value_heads=2 "
        "model.head_dim=16 model.zero_init_head=false model.embedding_range=0.5 "
        "model.initializer_range=0.3 %s",
        overrides);
    memset(&f, 0, sizeof f);
    wz_config_default(&f.config);
    for (char *at = strtok_r(all, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest))
        OK(wz_config_override(&f.config, at, &f.err));
    OK(wz_config_check(&f.config, &f.err));
    OK(wz_open_backend(&f.config, &f.backend, NULL, &f.err));
    OK(wz_policy_from_config(&f.config, f.backend, &f.policy, &f.err));
}

static inline void drop_policy(void)
{
    wz_policy_destroy(f.policy);
    f.backend->ops->destroy(f.backend);
}

/* One rolled-out pack with its activations. */
typedef struct rolled {
    wz_batch *batch;
    wz_activations *activations; /* of the last pack */
} rolled;

static const wz_sampling plain = {1.0f, 0, 1.0f, 0.0f};

/* Problems first .. first + groups - 1, cut into packs of groups_per_pack. */
static inline rolled roll(uint32_t first, int64_t groups, int64_t generations, int64_t groups_per_pack,
                          int64_t lessons, wz_sampling sampling)
{
    rolled r = {NULL, NULL};
    wz_problem *problems = NULL;
    OK(wz_batch_generate(f.config.task, f.config.task_values, 5, WZ_SPLIT_TRAIN, first, groups, &problems,
                         &f.err));
    const wz_batch_options batch = {.style = (wz_prompt_style)f.config.prompt_style,
                                    .effort = WZ_EFFORT_TRAINING,
                                    .generations = generations,
                                    .groups_per_pack = groups_per_pack,
                                    .lessons = lessons};
    OK(wz_batch_create(f.policy, &batch, problems, groups, &r.batch, &f.err));
    OK(wz_activations_create(f.policy->model, wz_batch_rows(r.batch),
                             f.config.gradient_checkpointing ? WZ_KEEP_INPUTS : WZ_KEEP_ALL, &r.activations,
                             &f.err));
    const wz_rollout_options options = {.sampling = sampling,
                                        .seed = 5,
                                        .step = 3,
                                        .purpose = WZ_PURPOSE_SAMPLE,
                                        .max_completion_length = f.config.max_completion_length,
                                        .lessons = lessons,
                                        .host_drives = f.host_drives};
    for (int64_t p = 0; p < r.batch->pack_count; p++)
        OK(wz_batch_rollout(r.batch, p, r.activations, &options, &f.err));
    return r;
}

static inline void drop_rolled(rolled *r)
{
    wz_batch_destroy(r->batch);
    wz_activations_destroy(r->activations);
}

static inline uint32_t set_size(const wz_pack *pack, uint32_t set)
{
    return set == 0 ? (uint32_t)f.policy->model->config.vocab_size
                    : pack->mask_offset[set + 1] - pack->mask_offset[set];
}

#endif
