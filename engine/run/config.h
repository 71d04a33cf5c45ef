/* A run's configuration: one schema table (config_schema.c) gives parsing, defaults, validation, the
 * resolved file, `--help` and the reference page. Keys are the dotted names in comments. */
#ifndef WZ_RUN_CONFIG_H
#define WZ_RUN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "engine/grpo/mixture.h"
#include "engine/model/config.h"
#include "tasks/task.h"

#define WZ_PATH_MAX 512
#define WZ_LIST_MAX 1024 /* bytes of a list's items joined by ", " */

typedef struct wz_config {
    /* run */
    char output_dir[WZ_PATH_MAX]; /* output_dir */
    int64_t seed;                 /* seed: 64-bit, of every random draw */
    int64_t threads;              /* threads: 0 = all cores */
    int device;                   /* device: auto | cpu | cuda */
    bool exact;                   /* exact: sampler and trainer agree bit for bit, also on a GPU */
    int precision;                /* precision: fp32 | bf16 */
    char init_from[WZ_PATH_MAX];  /* init_from: checkpoint whose weights, model and tokenizer start the run */
    double memory_limit_gb;       /* memory_limit_gb: 0 = what the machine has */

    char task_library[WZ_PATH_MAX]; /* shared object with a family of the user's own; "": none */
    /* task.*: task.name and, after it, the options of that family */
    const wz_task *task;
    double task_values[WZ_TASK_MAX_OPTIONS];

    char verifier_command
        [WZ_PATH_MAX]; /* process that scores answers in place of the task's verifier; "": none */
    double verifier_timeout_s;
    char task_mixture[WZ_LIST_MAX]; /* "name option=value weight=2 start=3, ...": in place of task */

    wz_model_config model; /* model.* */

    /* tokenizer and prompt */
    char tokenizer_file[WZ_PATH_MAX]; /* tokenizer_file: "" = built-in vocabulary */
    int prompt_style;                 /* prompt_style: compact | full */
    bool answer_grammar;              /* answer_grammar */

    /* training */
    int64_t max_steps;
    int64_t generation_batch_size;       /* completions per rollout = problems x num_generations */
    int64_t num_generations;             /* G */
    int64_t per_device_train_batch_size; /* completions per micro-batch; 0 = as many as memory allows */
    int64_t max_completion_length;
    double temperature, top_p, min_p;
    int64_t top_k;
    int64_t num_iterations;
    int loss_type;     /* wz_loss_type order: grpo | dapo | bnpo | dr_grpo */
    int scale_rewards; /* group | batch | none */
    bool leave_one_out;
    double epsilon;
    double epsilon_high; /* 0 = epsilon */
    double entropy_coef; /* start value */
    double entropy_coef_final;
    int entropy_schedule; /* constant | linear | cosine: from entropy_coef to entropy_coef_final */
    double grammar_coef;
    int64_t grammar_generations; /* completions of each group that teach the grammar */
    bool mask_truncated_completions;
    char reward_funcs[WZ_LIST_MAX];   /* names of rewards/reward.h */
    char reward_weights[WZ_LIST_MAX]; /* as many numbers; empty: all 1 */
    double reward_shaping;            /* weight at the start */
    int64_t reward_shaping_steps;     /* until it is 0; 0 = max_steps */

    /* optimiser */
    double learning_rate;
    double min_learning_rate_ratio; /* final learning rate / learning_rate */
    int lr_scheduler_type;          /* constant | linear | cosine */
    int64_t warmup_steps;
    double adam_beta1, adam_beta2, adam_epsilon, weight_decay,
        max_grad_norm;              /* max_grad_norm 0: no clipping */
    bool gradient_checkpointing;    /* keep of each layer what its backward pass can start from */
    bool reuse_rollout_activations; /* the first update's backward pass reads the rollout's activations */
    int64_t exactness_check_steps;  /* recompute the forward pass and compare every N steps; 0 = never */

    /* curriculum.*: grow the problem size */
    bool curriculum_enabled;      /* curriculum.enabled */
    int64_t curriculum_start;     /* curriculum.start: first size; the last is the task's own */
    double curriculum_threshold;  /* curriculum.threshold: running objective ratio of sampled answers */
    double curriculum_decay;      /* curriculum.decay: of the running mean, per step */
    int64_t curriculum_min_steps; /* curriculum.min_steps: steps at a size before moving on */
    double curriculum_replay;     /* curriculum.replay: share of steps that train smaller sizes */

    /* logging, evaluation, saving */
    int64_t logging_steps;
    int64_t log_completions_steps; /* 0 = never */
    int64_t eval_steps;            /* 0 = only at the end */
    int64_t eval_problems;
    int64_t eval_batch_size; /* problems at once */
    int64_t save_steps;      /* 0 = only at the end */
    int64_t save_total_limit;
} wz_config;

enum { WZ_DEVICE_AUTO, WZ_DEVICE_CPU, WZ_DEVICE_CUDA };
enum { WZ_PRECISION_FP32, WZ_PRECISION_BF16 };
enum { WZ_SCHEDULE_CONSTANT, WZ_SCHEDULE_LINEAR, WZ_SCHEDULE_COSINE };
enum { WZ_SCALE_GROUP, WZ_SCALE_BATCH, WZ_SCALE_NONE };

/* The next item of a list from *at on, without the comma; false at the end. */
bool wz_config_next_item(const char **at, char item[WZ_LIST_MAX]);

/* Every key at its default. */
void wz_config_default(wz_config *config);
/* Reads a YAML file over the present values (`path` appears in messages as path:line:column). */
wz_status wz_config_read_file(wz_config *config, const char *path, wz_error *err);
/* The same from text in memory, e.g. the copy inside a checkpoint. */
wz_status wz_config_read_text(wz_config *config, const char *name, const char *text, size_t length,
                              wz_error *err);
/* The same of a checkpoint that may come from anybody: loads no task_library. WZ_ERR_USAGE where it names one and none was
 * loaded before. */
wz_status wz_config_read_foreign(wz_config *config, const char *name, const char *text, size_t length,
                                 wz_error *err);
/* Applies one `a.b=value` override; task.name must precede the options of a family. */
wz_status wz_config_override(wz_config *config, const char *assignment, wz_error *err);
/* A file (NULL: none), then overrides; a task_library among these before the file, whose task may be in it. */
wz_status wz_config_load(wz_config *config, const char *path, const char *const *overrides, size_t count,
                         wz_error *err);
/* What is trained: the parts of task_mixture, or the one task. */
wz_status wz_config_mixture(const wz_config *config, wz_mixture *out, wz_error *err);
/* Whole-configuration checks: ranges across keys, divisibility, task values, model sizes. */
wz_status wz_config_check(const wz_config *config, wz_error *err);
/* The fully resolved file: every key, in schema order, readable back to an equal configuration. */
wz_status wz_config_write(const wz_config *config, wz_text *out, wz_error *err);
/* Reference of all keys: name, type, default, meaning; as plain text or Markdown. */
wz_status wz_config_reference(bool markdown, wz_text *out, wz_error *err);
/* Names the first key that differs and that resume may not change; NULL when resume is allowed.
 * Resume accepts changed keys that say where and how to compute (device, precision, threads, memory), saving and logging. */
const char *wz_config_resume_conflict(const wz_config *saved, const wz_config *now);

#endif
