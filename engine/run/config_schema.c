/* Every configuration key, once. Ranges that follow from the layout of random draws (philox.h): a
 * completion has fewer than 2^20 tokens, a problem at most 2^12 samples in a step, a run 2^32 steps. */
#include "engine/run/config_schema.h"
#include "rewards/library.h"
#include "rewards/reward.h"

static const char *const device_names[] = {"auto", "cpu", "cuda", NULL};
static const char *const precision_names[] = {"fp32", "bf16", NULL};
static const char *const prompt_style_names[] = {"compact", "full", NULL};
static const char *const loss_type_names[] = {"grpo", "dapo", "bnpo", "dr_grpo", NULL};
static const char *const scale_rewards_names[] = {"group", "batch", "none", NULL};
static const char *const schedule_names[] = {"constant", "linear", "cosine", NULL};

#define MILLION (1LL << 20)
#define STEPS_MAX ((1LL << 32) - 1)
#define FIXED false
#define FREE true

#define AT(field) offsetof(wz_config, field)
#define HEADING(title)                                                                                       \
    {                                                                                                        \
        title, WZ_KEY_HEADING, 0, "", 0, 0, 0.0, 0.0, NULL, FREE, "", NULL                                   \
    }
#define INTEGER(name, field, text, low, high, resume, help)                                                  \
    {                                                                                                        \
        name, WZ_KEY_INTEGER, AT(field), text, low, high, 0.0, 0.0, NULL, resume, help, NULL                 \
    }
#define REAL(name, field, text, low, high, resume, help)                                                     \
    {                                                                                                        \
        name, WZ_KEY_REAL, AT(field), text, 0, 0, low, high, NULL, resume, help, NULL                        \
    }
#define BOOLEAN(name, field, text, resume, help)                                                             \
    {                                                                                                        \
        name, WZ_KEY_BOOLEAN, AT(field), text, 0, 0, 0.0, 0.0, NULL, resume, help, NULL                      \
    }
#define ENUM(name, field, text, names, resume, help)                                                         \
    {                                                                                                        \
        name, WZ_KEY_ENUM, AT(field), text, 0, 0, 0.0, 0.0, names, resume, help, NULL                        \
    }
#define TEXT(name, field, text, resume, help)                                                                \
    {                                                                                                        \
        name, WZ_KEY_TEXT, AT(field), text, 0, 0, 0.0, 0.0, NULL, resume, help, NULL                         \
    }
#define NAMES(name, field, text, names, resume, help)                                                        \
    {                                                                                                        \
        name, WZ_KEY_LIST, AT(field), text, 0, 0, 0.0, 0.0, names, resume, help, NULL                        \
    }
#define NUMBERS(name, field, text, low, high, resume, help)                                                  \
    {                                                                                                        \
        name, WZ_KEY_LIST, AT(field), text, 0, 0, low, high, NULL, resume, help, NULL                        \
    }

const wz_config_key wz_config_keys[] = {
    HEADING("Run"),
    TEXT("output_dir", output_dir, "runs/default", FREE, "run directory to make"),
    INTEGER("seed", seed, "1", 0, INT64_MAX, FIXED, "of every random draw: weights, problems, sampling"),
    INTEGER("threads", threads, "0", 0, 1024, FREE,
            "worker threads; 0 = all cores; results do not depend on it"),
    ENUM("device", device, "auto", device_names, FREE,
         "where to compute; auto takes a GPU when there is one"),
    BOOLEAN(
        "exact", exact, "true", FIXED,
        "on a GPU, only matrix products whose rows do not depend on their number, so that sampler and "
        "trainer agree bit for bit; false: faster ones, and the gap is logged; without effect on the CPU"),
    ENUM("precision", precision, "fp32", precision_names, FREE,
         "bf16, on a GPU: products and most activations; weights, gradients and AdamW moments stay fp32"),
    TEXT("init_from", init_from, "", FIXED,
         "checkpoint whose weights, model and tokenizer start the run; empty = random weights"),
    REAL("memory_limit_gb", memory_limit_gb, "0", 0.0, 1e6, FREE,
         "refuse to start if the planned memory exceeds this; 0 = what the machine has"),

    HEADING("Task"),
    {"task_library", WZ_KEY_TEXT, AT(task_library), "", 0, 0, 0.0, 0.0, NULL, FIXED,
     "shared object with a task of your own (see scripts/examples/own_task); read before task.name",
     wz_family_load},
    {"task.name", WZ_KEY_TASK, AT(task), "power_control", 0, 0, 0.0, 0.0, NULL, FIXED,
     "problem family; its own options follow", NULL},
    TEXT("verifier_command", verifier_command, "", FIXED,
         "command that scores the task's answers in place of its own verifier, asked by JSON lines (see "
         "rewards/external.h and scripts/examples/verifier.py)"),
    REAL("verifier_timeout_s", verifier_timeout_s, "10", 0.01, 1e6, FREE,
         "seconds it may take for an answer"),
    {"task_mixture", WZ_KEY_LIST, AT(task_mixture), "", 0, 0, 0.0, 0.0, NULL, FIXED,
     "families trained together, in place of task: each a name, options, weight=W (its share of the "
     "problems; 1) "
     "and start=S (its curriculum's first size), as in [power_control links=5 weight=2, power_control "
     "links=8]; a colon may stand for a space",
     wz_mixture_check_item},

    HEADING("Model (names and meanings of Hugging Face config.json)"),
    ENUM("model.model_type", model.model_type, "llama", wz_model_type_names, FIXED,
         "qwen2 has attention_bias, qwen3 has use_qk_norm, llama neither"),
    INTEGER("model.vocab_size", model.vocab_size, "0", 0, 1LL << 24, FIXED,
            "rows of the embedding; 0 = the tokenizer's"),
    INTEGER("model.hidden_size", model.hidden_size, "64", 1, 1LL << 16, FIXED,
            "width of the residual stream"),
    INTEGER("model.intermediate_size", model.intermediate_size, "176", 1, 1LL << 18, FIXED,
            "width of the SwiGLU"),
    INTEGER("model.num_hidden_layers", model.num_hidden_layers, "3", 1, 1024, FIXED, "decoder layers"),
    INTEGER("model.num_attention_heads", model.num_attention_heads, "4", 1, 1024, FIXED, "query heads"),
    INTEGER("model.num_key_value_heads", model.num_key_value_heads, "4", 1, 1024, FIXED,
            "key and value heads; divides num_attention_heads"),
    INTEGER("model.head_dim", model.head_dim, "16", 2, 1024, FIXED,
            "width of one head, even; independent of hidden_size / num_attention_heads"),
    REAL("model.rms_norm_eps", model.rms_norm_eps, "1e-5", 1e-12, 1.0, FIXED,
         "added to the mean square in RMSNorm"),
    REAL("model.rope_theta", model.rope_theta, "100", 1.0, 1e9, FIXED,
         "base of the rotary wavelengths; 100 suits prompts of a few hundred tokens, language models use "
         "1e4..1e6"),
    REAL("model.rope_scaling_factor", model.rope_scaling_factor, "0", 0.0, 1e6, FIXED,
         "llama3 RoPE scaling; 0 = none"),
    REAL("model.rope_low_freq_factor", model.rope_low_freq_factor, "1", 0.0, 1e6, FIXED,
         "llama3 RoPE scaling"),
    REAL("model.rope_high_freq_factor", model.rope_high_freq_factor, "4", 0.0, 1e6, FIXED,
         "llama3 RoPE scaling"),
    INTEGER("model.rope_original_max_position_embeddings", model.rope_original_max_position_embeddings,
            "8192", 1, 1LL << 24, FIXED, "llama3 RoPE scaling: context before it"),
    INTEGER("model.max_position_embeddings", model.max_position_embeddings, "2048", 1, 1LL << 24, FIXED,
            "longest prompt and completion together, in tokens"),
    BOOLEAN("model.attention_bias", model.attention_bias, "false", FIXED, "biases on q, k and v"),
    BOOLEAN("model.use_qk_norm", model.use_qk_norm, "false", FIXED,
            "RMSNorm of q and k over each head before RoPE"),
    BOOLEAN("model.tie_word_embeddings", model.tie_word_embeddings, "false", FIXED,
            "the output head is the embedding table"),
    REAL("model.initializer_range", model.initializer_range, "0.02", 0.0, 10.0, FIXED,
         "standard deviation of linear weights"),
    REAL("model.embedding_range", model.embedding_range, "0.1", 0.0, 10.0, FIXED,
         "standard deviation of token embeddings (the smooth ones aside)"),
    BOOLEAN("model.zero_init_head", model.zero_init_head, "true", FIXED,
            "start from a uniform policy; needs tie_word_embeddings: false"),
    BOOLEAN("model.smooth_number_embeddings", model.smooth_number_embeddings, "true", FIXED,
            "embed integer tokens as sines and cosines of their value"),

    HEADING("Tokenizer and prompt"),
    TEXT("tokenizer_file", tokenizer_file, "", FIXED,
         "a Hugging Face tokenizer.json; empty = built-in vocabulary"),
    ENUM("prompt_style", prompt_style, "compact", prompt_style_names, FIXED,
         "compact: one token per number; full: sentences with units, for pretrained models"),
    BOOLEAN("answer_grammar", answer_grammar, "true", FIXED,
            "sample only tokens that keep the answer well-formed"),

    HEADING("Training (names and meanings of TRL's GRPOConfig)"),
    INTEGER("max_steps", max_steps, "600", 0, STEPS_MAX, FIXED,
            "steps of rollout and update; resume accepts more with --extend"),
    INTEGER("generation_batch_size", generation_batch_size, "1024", 1, MILLION, FIXED,
            "completions per rollout = problems x num_generations"),
    INTEGER("num_generations", num_generations, "16", 1, 4096, FIXED, "completions of one problem: a group"),
    INTEGER("per_device_train_batch_size", per_device_train_batch_size, "0", 0, MILLION, FIXED,
            "completions per micro-batch, whole groups; 0 = what is fast, fewer where memory is short; "
            "results depend on it with loss_type bnpo, where 0 = 128, and in their last bits on a GPU, where "
            "a run "
            "keeps what it began with"),
    INTEGER("max_completion_length", max_completion_length, "512", 1, MILLION - 1, FIXED,
            "tokens after which a completion is cut"),
    REAL("temperature", temperature, "1", 0.01, 100.0, FIXED, "of sampling and of every log-probability"),
    REAL("top_p", top_p, "1", 1e-6, 1.0, FIXED,
         "keep the likeliest tokens of this total probability; 1 = all"),
    REAL("min_p", min_p, "0", 0.0, 1.0, FIXED,
         "keep tokens of at least this share of the likeliest; 0 = all"),
    INTEGER("top_k", top_k, "0", 0, 1LL << 24, FIXED, "keep the k likeliest tokens; 0 = all"),
    INTEGER("num_iterations", num_iterations, "1", 1, 1000, FIXED, "updates per rollout"),
    ENUM("loss_type", loss_type, "dapo", loss_type_names, FIXED, "how token losses are aggregated"),
    ENUM("scale_rewards", scale_rewards, "none", scale_rewards_names, FIXED,
         "divide advantages by the deviation of the group, of the batch, or not"),
    BOOLEAN("leave_one_out", leave_one_out, "false", FIXED,
            "baseline = mean of the group's other completions"),
    REAL("epsilon", epsilon, "0.2", 0.0, 100.0, FIXED, "clip the probability ratio below 1 - epsilon"),
    REAL("epsilon_high", epsilon_high, "0", 0.0, 100.0, FIXED, "clip it above 1 + epsilon_high; 0 = epsilon"),
    REAL("entropy_coef", entropy_coef, "0.1", 0.0, 100.0, FIXED, "entropy bonus at the start"),
    REAL("entropy_coef_final", entropy_coef_final, "0", 0.0, 100.0, FIXED, "entropy bonus at the end"),
    ENUM("entropy_schedule", entropy_schedule, "linear", schedule_names, FIXED, "from the one to the other"),
    REAL(
        "grammar_coef", grammar_coef, "0", 0.0, 100.0, FIXED,
        "weight of -log(probability of the allowed tokens): teaches the grammar to a policy that must decode "
        "without masks"),
    INTEGER("grammar_generations", grammar_generations, "1", 1, 4096, FIXED,
            "completions of each group that teach the grammar"),
    BOOLEAN("mask_truncated_completions", mask_truncated_completions, "false", FIXED,
            "cut completions carry no loss"),
    NAMES(
        "reward_funcs", reward_funcs, "ratio", wz_reward_names, FIXED,
        "what answers are rewarded for, f being the objective, f* the reference's and f0 that of the best "
        "trivial "
        "policy: ratio, f / f*; headroom, (f - f0) / (f* - f0), at least 0; feasible, optimum and format: 1 "
        "where it is"),
    NUMBERS("reward_weights", reward_weights, "", 0.0, 1e6, FIXED,
            "as many numbers: the reward is the weighted sum; empty = 1 each"),
    REAL("reward_shaping", reward_shaping, "0", 0.0, 0.1, FIXED,
         "added at the start to the reward of feasible answers, and less of it the more an answer violates "
         "its "
         "constraints; shrinks linearly to 0"),
    INTEGER("reward_shaping_steps", reward_shaping_steps, "0", 0, STEPS_MAX, FIXED,
            "steps until reward_shaping is 0; 0 = max_steps"),

    HEADING("Optimiser"),
    REAL("learning_rate", learning_rate, "0.002", 0.0, 1.0, FIXED, "peak, after warm-up"),
    REAL("min_learning_rate_ratio", min_learning_rate_ratio, "0", 0.0, 1.0, FIXED,
         "final / peak learning rate"),
    ENUM("lr_scheduler_type", lr_scheduler_type, "cosine", schedule_names, FIXED, "decay after warm-up"),
    INTEGER("warmup_steps", warmup_steps, "20", 0, STEPS_MAX, FIXED, "steps of linear warm-up"),
    REAL("adam_beta1", adam_beta1, "0.9", 0.0, 0.999999, FIXED, "decay of the first moment"),
    REAL("adam_beta2", adam_beta2, "0.95", 0.0, 0.999999, FIXED, "decay of the second moment"),
    REAL("adam_epsilon", adam_epsilon, "1e-8", 1e-16, 1.0, FIXED, "added to the root of the second moment"),
    REAL("weight_decay", weight_decay, "0", 0.0, 10.0, FIXED, "decoupled, as in AdamW"),
    REAL("max_grad_norm", max_grad_norm, "1", 0.0, 1e6, FIXED,
         "clip the global gradient norm; 0 = no clipping"),
    BOOLEAN("gradient_checkpointing", gradient_checkpointing, "false", FREE,
            "keep less of each layer and compute it again for the backward pass: less memory, more time; "
            "results do not depend on it"),
    BOOLEAN("reuse_rollout_activations", reuse_rollout_activations, "true", FIXED,
            "the first update's backward pass reads the activations the rollout left behind"),
    INTEGER("exactness_check_steps", exactness_check_steps, "100", 0, STEPS_MAX, FIXED,
            "recompute the forward pass and compare it with the rollout every N steps; 0 = never"),

    HEADING("Curriculum: grow the problem size"),
    BOOLEAN("curriculum.enabled", curriculum_enabled, "false", FIXED,
            "start small and grow to the task's own size"),
    INTEGER("curriculum.start", curriculum_start, "3", 1, 1LL << 16, FIXED, "first size"),
    REAL("curriculum.threshold", curriculum_threshold, "0.84", 0.0, 1.0, FIXED,
         "move on when the running objective ratio of sampled answers passes this"),
    REAL("curriculum.decay", curriculum_decay, "0.95", 0.0, 0.999999, FIXED,
         "of the running ratio, per step"),
    INTEGER("curriculum.min_steps", curriculum_min_steps, "50", 0, STEPS_MAX, FIXED, "least steps at a size"),
    REAL("curriculum.replay", curriculum_replay, "0.3", 0.0, 1.0, FIXED,
         "share of steps that train smaller sizes"),

    HEADING("Logging, evaluation, saving"),
    INTEGER("logging_steps", logging_steps, "1", 1, STEPS_MAX, FREE, "a row of metrics every N steps"),
    INTEGER("log_completions_steps", log_completions_steps, "50", 0, STEPS_MAX, FREE,
            "write sample completions every N steps; 0 = never"),
    INTEGER("eval_steps", eval_steps, "100", 0, STEPS_MAX, FIXED,
            "evaluate every N steps; 0 = only at the end"),
    INTEGER("eval_problems", eval_problems, "1000", 1, 100 * MILLION, FIXED,
            "held-out problems per evaluation"),
    INTEGER("eval_batch_size", eval_batch_size, "64", 1, MILLION, FIXED,
            "problems at once; results do not depend on it"),
    INTEGER("save_steps", save_steps, "100", 0, STEPS_MAX, FREE,
            "checkpoint every N steps; 0 = only at the end"),
    INTEGER("save_total_limit", save_total_limit, "3", 1, MILLION, FREE, "newest checkpoints to keep"),
};

const size_t wz_config_key_count = sizeof wz_config_keys / sizeof wz_config_keys[0];
