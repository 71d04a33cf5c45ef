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
#include "engine/text/chat.h"
#include "tasks/task.h"

#define WZ_PATH_MAX 512
#define WZ_LIST_MAX 4096 /* bytes of a list's items joined by ", " */

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

    wz_model_config
        model; /* model.*, lora_rank, lora_alpha, frozen_dtype; lora.target is set by wz_config_model */
    char lora_target_modules[WZ_LIST_MAX]; /* of wz_lora_target_names */

    /* tokenizer and prompt */
    char tokenizer_file[WZ_PATH_MAX];         /* tokenizer_file: "" = built-in vocabulary */
    char eos_token_id[WZ_LIST_MAX];           /* eos_token_id: ids; "" = the tokenizer's own end token */
    int prompt_style;                         /* prompt_style: compact | full */
    int chat_template;                        /* chat_template: wz_chat_template */
    char system_prompt[WZ_SYSTEM_PROMPT_MAX]; /* system_prompt: "" = the built-in one */
    bool answer_grammar;                      /* answer_grammar */
    int64_t thinking_budget;                  /* free tokens before the answer; 0: none */
    int64_t verifier_tries;                   /* candidates before the answer; 0: none */
    int verifier_answer;                      /* verifier_answer: best | chosen */

    /* training */
    int64_t max_steps;
    int64_t generation_batch_size;       /* completions per rollout = problems x num_generations */
    int64_t num_generations;             /* G */
    int64_t per_device_train_batch_size; /* completions per micro-batch; 0 = as many as memory allows */
    int64_t max_completion_length;
    double temperature, top_p, min_p;
    int64_t top_k;
    int64_t num_iterations;
    int64_t steps_per_generation,
        gradient_accumulation_steps; /* their quotient: optimiser batches of a rollout */
    bool dynamic_sampling;
    int64_t dynamic_sampling_max_tries;
    int loss_type;                 /* wz_loss_type order: grpo | dapo | bnpo | dr_grpo | cispo | sapo */
    int importance_sampling_level; /* token | sequence */
    int scale_rewards;             /* group | batch | none */
    bool leave_one_out;
    double epsilon;
    double epsilon_high;     /* 0 = epsilon; with cispo 5 */
    double delta, dual_clip; /* 0: none */
    double sapo_temperature_pos, sapo_temperature_neg;
    double top_entropy_quantile;
    double beta;      /* 0: no reference */
    int kl_estimator; /* wz_kl_estimator order: k1 | k2 | k3 */
    bool use_bias_correction_kl;
    bool sync_ref_model;
    double ref_model_mixup_alpha;
    int64_t ref_model_sync_steps;
    double entropy_coef; /* start value */
    double entropy_coef_final;
    int entropy_schedule;      /* constant | linear | cosine: from entropy_coef to entropy_coef_final */
    int entropy_schedule_span; /* wz_entropy_span order: run | stage | last_stage */
    int64_t entropy_stage_steps;
    bool use_adaptive_entropy;
    double entropy_target, entropy_coef_min, entropy_coef_max, entropy_coef_delta;
    double grammar_coef;
    int64_t grammar_generations; /* completions of each group that teach the grammar */
    bool mask_truncated_completions;
    char reward_funcs[WZ_LIST_MAX];   /* names of rewards/reward.h */
    char reward_weights[WZ_LIST_MAX]; /* as many numbers; empty: all 1 */
    double reward_shaping;            /* weight at the start */
    int64_t reward_shaping_steps;     /* until it is 0; 0 = max_steps */
    int64_t overlong_buffer;          /* tokens before max_completion_length; 0: none */
    double overlong_penalty;          /* at max_completion_length */

    /* supervised cold start */
    int64_t sft_steps;          /* 0: none */
    char sft_file[WZ_PATH_MAX]; /* "": solved problems of the run's tasks */
    int64_t sft_batch_size;
    double sft_learning_rate; /* 0 = learning_rate */

    /* which problems */
    char train_set[WZ_PATH_MAX]; /* a problem set; "": generated ones */
    double num_train_epochs;     /* of train_set, in place of max_steps; 0 = max_steps */
    double replay_fraction;      /* share of a batch that was trained before; 0: no pool */
    int64_t replay_pool_size, replay_max_age;
    double replay_success_ratio;     /* objective / reference from which a completion has solved a problem */
    double success_min, success_max; /* of problems that come again */
    double headroom_min, headroom_max; /* (f* - f0) / f* */
    int64_t filter_max_tries;

    /* optimiser */
    double learning_rate;
    double min_learning_rate_ratio; /* final learning rate / learning_rate */
    int lr_scheduler_type;          /* constant | linear | cosine */
    int64_t warmup_steps;
    double adam_beta1, adam_beta2, adam_epsilon, weight_decay,
        max_grad_norm; /* max_grad_norm 0: no clipping */
    double embedding_learning_rate_ratio, head_learning_rate_ratio;
    bool weight_decay_embeddings;
    double ema_decay; /* 0: no averaged weights */
    bool eval_ema;
    bool gradient_checkpointing;    /* keep of each layer what its backward pass can start from */
    bool reuse_rollout_activations; /* the first update's backward pass reads the rollout's activations */
    int64_t exactness_check_steps;  /* recompute the forward pass and compare every N steps; 0 = never */

    /* curriculum.*: grow the problem size, or go through stages */
    bool curriculum_enabled;             /* curriculum.enabled */
    char curriculum_stages[WZ_LIST_MAX]; /* "links=3 snr_db=10, ...": in place of sizes; "": sizes */
    int64_t curriculum_start;            /* curriculum.start: first size; the last is the task's own */
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

    /* alarm.*: signs of a run that goes wrong; engine/run/alarm.h */
    bool alarm_enabled;
    int64_t alarm_patience, alarm_evaluations;
    double alarm_entropy_share, alarm_answer_margin, alarm_clipped_ratio, alarm_dead_groups,
        alarm_reward_rise, alarm_solved, alarm_before;
} wz_config;

enum { WZ_DEVICE_AUTO, WZ_DEVICE_CPU, WZ_DEVICE_CUDA };
enum { WZ_PRECISION_FP32, WZ_PRECISION_BF16 };
enum { WZ_SCHEDULE_CONSTANT, WZ_SCHEDULE_LINEAR, WZ_SCHEDULE_COSINE };
enum { WZ_VERIFIER_ANSWER_BEST, WZ_VERIFIER_ANSWER_CHOSEN };
enum { WZ_SCALE_GROUP, WZ_SCALE_BATCH, WZ_SCALE_NONE };

/* The model as it is to be made: config->model with the adapters' targets. */
wz_model_config wz_config_model(const wz_config *config);

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
/* The curriculum's stages, the run's own options last, to be freed; NULL: it grows sizes. The mixture's first sizes become the
 * smallest of any stage. */
wz_status wz_config_stages(const wz_config *config, wz_mixture *mixture, wz_stages **out, wz_error *err);
/* Whether headroom_min and headroom_max, success_min and success_max leave anything out. */
bool wz_config_filters_headroom(const wz_config *config);
bool wz_config_bounds_success(const wz_config *config);
/* Slices of a rollout; gradient_accumulation_steps of them make an update. */
int64_t wz_config_slices(const wz_config *config);
/* Numbers of generated problems that are set aside for each problem of a step. */
int64_t wz_config_numbers_each(const wz_config *config);
/* Whole-configuration checks: ranges across keys, divisibility, task values, model sizes. */
wz_status wz_config_check(const wz_config *config, wz_error *err);
/* Those of them that say whether completions can think as asked for. */
wz_status wz_config_check_thinking(const wz_config *config, wz_error *err);
/* The fully resolved file: every key, in schema order, readable back to an equal configuration. */
wz_status wz_config_write(const wz_config *config, wz_text *out, wz_error *err);
/* Reference of all keys: name, type, default, meaning; as plain text or Markdown. */
wz_status wz_config_reference(bool markdown, wz_text *out, wz_error *err);
/* Names the first option of a's task that b has another value of; NULL: there is none. */
const char *wz_config_option_conflict(const wz_config *a, const wz_config *b);
/* Names the first key that differs and that resume may not change; NULL when resume is allowed.
 * Resume accepts changed keys that say where and how to compute (device, precision, threads, memory), saving and logging. */
const char *wz_config_resume_conflict(const wz_config *saved, const wz_config *now);

/* Whether task.* was set to something, and task_mixture takes its place. */
bool wz_config_mixture_hides_task(const wz_config *config);

/* Fails (WZ_ERR_USAGE) where a command line asks for "task.links=5" and a problem that was made of a user's file has another
 * value there; config: with the overrides in it. */
wz_status wz_config_check_given(const wz_config *config, const char *const *overrides, size_t count,
                                const wz_problem *problem, wz_error *err);

#endif
