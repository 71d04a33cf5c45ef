/* Every configuration key, once. Ranges that follow from the layout of random draws (philox.h): a
 * completion has fewer than 2^20 tokens, a problem at most 2^12 samples in a step, a run 2^32 steps. */
#include "engine/run/config_schema.h"
#include "engine/rollout/thinking.h"
#include "engine/text/chat.h"
#include "rewards/library.h"
#include "rewards/reward.h"

static const char *const device_names[] = {"auto", "cpu", "cuda", NULL};
static const char *const precision_names[] = {"fp32", "bf16", NULL};
static const char *const prompt_style_names[] = {"compact", "full", NULL};
static const char *const verifier_answer_names[] = {"best", "chosen", NULL};
static const char *const loss_type_names[] = {"grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", NULL};
static const char *const ratio_level_names[] = {"token", "sequence", NULL};
static const char *const kl_estimator_names[] = {"k1", "k2", "k3", NULL};
static const char *const entropy_span_names[] = {"run", "stage", "last_stage", NULL};
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
     "families trained together, in place of task.*: each a name, options, weight=W (its share of the "
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

    HEADING(
        "Adapters (LoRA, in PEFT's names); there is no dropout: it would part the sampler from the trainer"),
    INTEGER("lora_rank", model.lora.rank, "0", 0, 4096, FIXED,
            "train low-rank pairs B A beside frozen weights, of this rank; 0 = train every weight"),
    REAL("lora_alpha", model.lora.alpha, "16", 1e-6, 1e6, FIXED,
         "the pair counts lora_alpha / lora_rank times"),
    NAMES("lora_target_modules", lora_target_modules,
          "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj", wz_lora_target_names, FIXED,
          "linear layers that get a pair; all of them learn like training every weight, attention alone does "
          "not"),
    ENUM(
        "frozen_dtype", model.frozen_dtype, "fp32", precision_names, FIXED,
        "how matrices are stored that are not trained (all, beside adapters); bf16 takes half the memory and "
        "rounds them once"),

    HEADING("Tokenizer and prompt"),
    TEXT("tokenizer_file", tokenizer_file, "", FIXED,
         "a Hugging Face tokenizer.json; empty = built-in vocabulary"),
    {"eos_token_id", WZ_KEY_LIST, AT(eos_token_id), "", 0, 0, 0.0, 0.0, NULL, FIXED,
     "ids of tokens that end a completion decoded freely, at most 8, as in a model's generation_config.json; "
     "empty = the tokenizer's end token",
     wz_config_check_id},
    ENUM("prompt_style", prompt_style, "compact", prompt_style_names, FIXED,
         "compact: one token per number; full: sentences with units, for pretrained models"),
    ENUM("chat_template", chat_template, "none", wz_chat_names, FIXED,
         "frame that a chat model expects around a prompt: chatml for Qwen2.5 and SmolLM2, llama3, qwen3, "
         "qwen3_no_thinking; plain: system prompt and problem; none: the problem as printed"),
    {"system_prompt", WZ_KEY_TEXT, AT(system_prompt), "", 0, WZ_SYSTEM_PROMPT_MAX - 1, 0.0, 0.0, NULL, FIXED,
     "what a chat template says before the problem; empty = to think between <think> and </think> and to "
     "answer "
     "between <answer> and </answer>",
     NULL},
    BOOLEAN("answer_grammar", answer_grammar, "true", FIXED,
            "sample only tokens that keep the answer well-formed"),
    INTEGER(
        "thinking_budget", thinking_budget, "0", 0, MILLION - 1, FIXED,
        "free tokens that a completion may think before its answer, between <think> and </think>, which is "
        "appended when they are spent; 0 = none"),
    INTEGER("verifier_tries", verifier_tries, "0", 0, WZ_TRIES_MAX, FIXED,
            "candidates that a completion may propose before its answer, each told what it is worth (against "
            "the best trivial policy, not the optimum); 0 = none"),
    ENUM("verifier_answer", verifier_answer, "best", verifier_answer_names, FIXED,
         "which candidate is the answer: best, the one worth most; chosen, the one that the policy writes"),

    HEADING("Training (names and meanings of TRL's GRPOConfig)"),
    INTEGER("max_steps", max_steps, "600", 0, STEPS_MAX, FIXED,
            "steps of rollout and update; resume accepts more with --extend"),
    INTEGER("generation_batch_size", generation_batch_size, "1024", 1, MILLION, FIXED,
            "completions per rollout = problems x num_generations"),
    INTEGER("num_generations", num_generations, "8", 1, 4096, FIXED, "completions of one problem: a group"),
    INTEGER("per_device_train_batch_size", per_device_train_batch_size, "0", 0, MILLION, FIXED,
            "completions per micro-batch, whole groups; 0 = what is fast, fewer where memory is short; "
            "results depend on it with loss_type bnpo, where 0 = those of a slice, if an update accumulates "
            "several, or else 128; and in their last bits on a GPU, where a run keeps what it began with"),
    INTEGER("max_completion_length", max_completion_length, "512", 1, MILLION - 1, FIXED,
            "tokens after which a completion is cut"),
    REAL("temperature", temperature, "1", 0.01, 100.0, FIXED, "of sampling and of every log-probability"),
    REAL("top_p", top_p, "1", 1e-6, 1.0, FIXED,
         "keep the likeliest tokens of this total probability; 1 = all"),
    REAL("min_p", min_p, "0", 0.0, 1.0, FIXED,
         "keep tokens of at least this share of the likeliest; 0 = all"),
    INTEGER("top_k", top_k, "0", 0, 1LL << 24, FIXED, "keep the k likeliest tokens; 0 = all"),
    INTEGER("num_iterations", num_iterations, "1", 1, 1000, FIXED, "passes over each rollout"),
    INTEGER("steps_per_generation", steps_per_generation, "0", 0, MILLION, FIXED,
            "equal slices that a rollout is trained in; 0 = gradient_accumulation_steps"),
    INTEGER("gradient_accumulation_steps", gradient_accumulation_steps, "1", 1, MILLION, FIXED,
            "slices of one update; divides steps_per_generation, and the quotient is the updates of a pass; "
            "only loss_type bnpo depends on it otherwise: a slice is a micro-batch"),
    BOOLEAN("dynamic_sampling", dynamic_sampling, "false", FIXED,
            "put other problems in place of those whose rewards are all equal, as DAPO does"),
    INTEGER("dynamic_sampling_max_tries", dynamic_sampling_max_tries, "3", 1, 1000, FIXED,
            "problems tried in place of one before it stays"),
    ENUM(
        "loss_type", loss_type, "dapo", loss_type_names, FIXED,
        "how token losses are aggregated; cispo and sapo also bound the probability ratio in their own ways"),
    ENUM("importance_sampling_level", importance_sampling_level, "token", ratio_level_names, FIXED,
         "whose probability ratio: each token's, or the whole completion's geometric mean (GSPO; epsilon "
         "about "
         "3e-4)"),
    ENUM("scale_rewards", scale_rewards, "none", scale_rewards_names, FIXED,
         "divide advantages by the deviation of the group, of the batch, or not"),
    BOOLEAN("leave_one_out", leave_one_out, "false", FIXED,
            "baseline = mean of the group's other completions"),
    REAL("epsilon", epsilon, "0.2", 0.0, 100.0, FIXED, "clip the probability ratio below 1 - epsilon"),
    REAL("epsilon_high", epsilon_high, "0", 0.0, 100.0, FIXED,
         "clip it above 1 + epsilon_high; 0 = epsilon. With cispo: the most that the ratio counts, at least "
         "1; 0 "
         "= 5"),
    REAL("delta", delta, "0", 0.0, 1e6, FIXED,
         "the most that the ratio counts before the clip, above 1 + epsilon_high; 0 = no bound"),
    REAL("dual_clip", dual_clip, "0", 0.0, 1e6, FIXED,
         "of a negative advantage A, the policy term is at most dual_clip |A|; above 1, usually 3; 0 = no "
         "bound"),
    REAL("sapo_temperature_pos", sapo_temperature_pos, "1", 1e-3, 1e3, FIXED,
         "sapo: steepness of the gate for advantages >= 0"),
    REAL("sapo_temperature_neg", sapo_temperature_neg, "1.05", 1e-3, 1e3, FIXED, "sapo: for advantages < 0"),
    REAL("top_entropy_quantile", top_entropy_quantile, "1", 1e-6, 1.0, FIXED,
         "share of the tokens, those of most entropy, that have policy and entropy terms"),
    REAL("beta", beta, "0", 0.0, 100.0, FIXED,
         "weight of the KL term that holds the policy near the reference: the weights this run started from"),
    ENUM("kl_estimator", kl_estimator, "k3", kl_estimator_names, FIXED,
         "with d = logp - ref_logp: d, d^2 / 2, or exp(-d) + d - 1"),
    BOOLEAN("use_bias_correction_kl", use_bias_correction_kl, "false", FIXED,
            "multiply the KL term by the probability ratio"),
    BOOLEAN("sync_ref_model", sync_ref_model, "false", FIXED, "let the reference follow the policy"),
    REAL("ref_model_mixup_alpha", ref_model_mixup_alpha, "0.6", 0.0, 1.0, FIXED,
         "reference = alpha policy + (1 - alpha) reference"),
    INTEGER("ref_model_sync_steps", ref_model_sync_steps, "512", 1, STEPS_MAX, FIXED,
            "every N optimiser updates"),
    REAL("entropy_coef", entropy_coef, "0.1", 0.0, 100.0, FIXED, "entropy bonus at the start"),
    REAL("entropy_coef_final", entropy_coef_final, "0", 0.0, 100.0, FIXED, "entropy bonus at the end"),
    ENUM("entropy_schedule", entropy_schedule, "linear", schedule_names, FIXED, "from the one to the other"),
    ENUM("entropy_schedule_span", entropy_schedule_span, "run", entropy_span_names, FIXED,
         "over max_steps; or, with a curriculum, over entropy_stage_steps: anew at each size, or at the last "
         "size only"),
    INTEGER("entropy_stage_steps", entropy_stage_steps, "1000", 1, STEPS_MAX, FIXED,
            "steps at a size until entropy_coef_final"),
    BOOLEAN(
        "use_adaptive_entropy", use_adaptive_entropy, "false", FIXED,
        "in place of the schedule: raise or lower entropy_coef after each update, and count the bonus only "
        "where entropy is at or below entropy_target"),
    REAL("entropy_target", entropy_target, "0.2", 0.0, 100.0, FIXED, "mean entropy per token, in nats"),
    REAL("entropy_coef_min", entropy_coef_min, "0", 0.0, 100.0, FIXED, "least adaptive entropy_coef"),
    REAL("entropy_coef_max", entropy_coef_max, "1", 0.0, 100.0, FIXED, "largest adaptive entropy_coef"),
    REAL("entropy_coef_delta", entropy_coef_delta, "0.005", 0.0, 100.0, FIXED,
         "what it is raised or lowered by"),
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
    INTEGER(
        "overlong_buffer", overlong_buffer, "0", 0, MILLION - 1, FIXED,
        "completions longer than max_completion_length less this many tokens lose reward, linearly (DAPO's "
        "soft overlong punishment); 0 = none"),
    REAL("overlong_penalty", overlong_penalty, "1", 0.0, 1e6, FIXED,
         "what one of max_completion_length tokens loses"),

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
    REAL("embedding_learning_rate_ratio", embedding_learning_rate_ratio, "1", 0.0, 1e3, FIXED,
         "the token embedding's learning rate / learning_rate; 0 = frozen"),
    REAL("head_learning_rate_ratio", head_learning_rate_ratio, "1", 0.0, 1e3, FIXED,
         "the output head's, where it is not the embedding"),
    BOOLEAN("weight_decay_embeddings", weight_decay_embeddings, "false", FIXED,
            "weight_decay also shrinks the token embedding; it never does norms and biases"),
    REAL("ema_decay", ema_decay, "0", 0.0, 0.9999999, FIXED,
         "keep an average of the weights: after each update, average = ema_decay average + (1 - ema_decay) "
         "weights; 0 = none"),
    BOOLEAN("eval_ema", eval_ema, "false", FIXED, "evaluate the averaged weights in place of the last ones"),
    BOOLEAN("gradient_checkpointing", gradient_checkpointing, "false", FREE,
            "keep less of each layer and compute it again for the backward pass: less memory, more time; "
            "results do not depend on it"),
    BOOLEAN("reuse_rollout_activations", reuse_rollout_activations, "true", FIXED,
            "the first update's backward pass reads the activations the rollout left behind"),
    INTEGER("exactness_check_steps", exactness_check_steps, "100", 0, STEPS_MAX, FIXED,
            "recompute the forward pass and compare it with the rollout every N steps; 0 = never"),

    HEADING("Supervised cold start (an option)"),
    INTEGER("sft_steps", sft_steps, "0", 0, STEPS_MAX, FIXED,
            "the run's first steps learn completions that are given; GRPO has the rest of max_steps, and "
            "schedules "
            "of its own; 0 = none"),
    TEXT("sft_file", sft_file, "", FIXED,
         "JSON lines of {\"prompt\": .., \"completion\": ..} to learn; empty = problems of the run's tasks "
         "as the "
         "reference solvers answer them"),
    INTEGER("sft_batch_size", sft_batch_size, "64", 1, MILLION, FIXED, "pairs of a step"),
    REAL("sft_learning_rate", sft_learning_rate, "0", 0.0, 1.0, FIXED,
         "peak of these steps, which have warmup_steps and the schedule of their own; 0 = learning_rate"),

    HEADING("Which problems: a set of them, some again, none too easy or too hard"),
    TEXT("train_set", train_set, "", FIXED,
         "a problem set (`wavezero tasks export --split train`) to train on, each problem once an epoch, in "
         "another order each time; empty = problems are generated and never repeat"),
    REAL("num_train_epochs", num_train_epochs, "0", 0.0, 1e6, FIXED,
         "epochs of train_set: max_steps (beside sft_steps) becomes the steps they take; 0 = max_steps"),
    REAL("replay_fraction", replay_fraction, "0", 0.0, 0.95, FIXED,
         "share of a step's problems that were trained before, drawn from a pool with probability p (1 - p), "
         "p being the share of a problem's completions that solved it; 0 = none"),
    INTEGER("replay_pool_size", replay_pool_size, "1024", 1, MILLION, FIXED, "problems in the pool"),
    INTEGER("replay_max_age", replay_max_age, "100", 1, STEPS_MAX, FIXED,
            "steps after which a problem that did not come again leaves the pool"),
    REAL("replay_success_ratio", replay_success_ratio, "0.99", 1e-6, 1.0, FIXED,
         "a completion has solved its problem with this share of the reference or more"),
    REAL("success_min", success_min, "0", 0.0, 1.0, FIXED,
         "problems known to be solved less often do not come again: they are not drawn from the pool, and "
         "epochs of train_set pass them over while the pool knows them"),
    REAL("success_max", success_max, "1", 0.0, 1.0, FIXED, "nor those solved more often"),
    REAL("headroom_min", headroom_min, "0", 0.0, 1.0, FIXED,
         "leave out problems whose best trivial policy leaves less than this share of the reference"),
    REAL("headroom_max", headroom_max, "1", 0.0, 1.0, FIXED, "or more than this"),
    INTEGER("filter_max_tries", filter_max_tries, "10", 1, 1000, FIXED,
            "problems tried for one within these bounds; then the last one stays, whatever it is like"),

    HEADING("Curriculum: grow the problem size, or go through stages"),
    BOOLEAN("curriculum.enabled", curriculum_enabled, "false", FIXED,
            "start small and grow to the task's own size; or, with curriculum.stages, go through these"),
    {"curriculum.stages", WZ_KEY_LIST, AT(curriculum_stages), "", 0, 0, 0.0, 0.0, NULL, FIXED,
     "in place of sizes: options of each stage, as in [links=3 snr_db=10, links=5 snr_db=10 threshold=0.9]; "
     "of a mixture also a part's own and its share, [ofdma.weight=0, ofdma.weight=1 ofdma.users=2]; "
     "threshold and min_steps may differ, all else is the run's own, and the last stage is the run as it is",
     wz_stage_check_item},
    INTEGER("curriculum.start", curriculum_start, "3", 1, 1LL << 16, FIXED, "first size"),
    REAL("curriculum.threshold", curriculum_threshold, "0.84", 0.0, 1.0, FIXED,
         "move on when the running objective ratio of sampled answers (to problems drawn anew) passes this"),
    REAL("curriculum.decay", curriculum_decay, "0.95", 0.0, 0.999999, FIXED,
         "of the running ratio, per step"),
    INTEGER("curriculum.min_steps", curriculum_min_steps, "50", 0, STEPS_MAX, FIXED,
            "least steps at a size or in a stage"),
    REAL("curriculum.replay", curriculum_replay, "0.3", 0.0, 1.0, FIXED,
         "share of steps that train smaller sizes or earlier stages"),

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

    HEADING("Alarms: warnings, with their evidence, in the log, the metrics and the report"),
    BOOLEAN("alarm.enabled", alarm_enabled, "true", FREE, "look for signs of a run that goes wrong"),
    INTEGER("alarm.patience", alarm_patience, "50", 0, STEPS_MAX, FREE, "steps that a sign must last"),
    REAL("alarm.entropy_share", alarm_entropy_share, "0.02", 0.0, 1.0, FREE,
         "entropy at most this share of its largest so far"),
    REAL("alarm.answer_margin", alarm_answer_margin, "0.4", 0.0, 1.0, FREE,
         "the commonest answer's share of all, beyond that of the commonest best decision"),
    REAL("alarm.clipped_ratio", alarm_clipped_ratio, "0.5", 0.0, 1.0, FREE,
         "at least this share of completions cut by the length limit"),
    REAL("alarm.dead_groups", alarm_dead_groups, "0.7", 0.0, 1.0, FREE,
         "at least this share of groups with equal rewards that are not all optimal"),
    REAL("alarm.reward_rise", alarm_reward_rise, "0.1", 0.0, 1e6, FREE,
         "the reward rose by this share of its range since the best evaluation"),
    INTEGER("alarm.evaluations", alarm_evaluations, "3", 1, STEPS_MAX, FREE,
            "and so many evaluations were no better; not while a curriculum grows problems"),
    REAL("alarm.solved", alarm_solved, "0.98", 0.0, 1e6, FREE,
         "held-out score from which low entropy, like answers and equal rewards are no sign"),
    REAL("alarm.before", alarm_before, "0.75", 0.0, 1.0, FREE,
         "share of GRPO's steps after which they are none, either"),
};

const size_t wz_config_key_count = sizeof wz_config_keys / sizeof wz_config_keys[0];
