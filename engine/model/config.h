/* Model configuration, with the names and meanings of Hugging Face `config.json`. */
#ifndef WZ_MODEL_CONFIG_H
#define WZ_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

typedef enum wz_model_type { WZ_MODEL_LLAMA, WZ_MODEL_QWEN2, WZ_MODEL_QWEN3 } wz_model_type;

/* What of a layer low-rank adapters may stand beside. */
typedef enum wz_lora_target {
    WZ_LORA_Q,
    WZ_LORA_K,
    WZ_LORA_V,
    WZ_LORA_O,
    WZ_LORA_GATE,
    WZ_LORA_UP,
    WZ_LORA_DOWN,
    WZ_LORA_TARGETS
} wz_lora_target;

/* Low-rank adapters (LoRA, Hu et al. 2021): W + (alpha / rank) B A beside frozen W; only A and B are trained. */
typedef struct wz_lora_config {
    int64_t rank; /* 0: none, and every weight is trained */
    double alpha;
    bool target[WZ_LORA_TARGETS];
} wz_lora_config;

typedef struct wz_model_config {
    int model_type; /* wz_model_type: qwen2 has attention_bias, qwen3 has use_qk_norm, llama neither */
    int64_t vocab_size;
    int64_t hidden_size;
    int64_t intermediate_size;
    int64_t num_hidden_layers;
    int64_t num_attention_heads;
    int64_t num_key_value_heads;
    int64_t head_dim; /* independent of hidden_size / num_attention_heads */
    double rms_norm_eps;
    double rope_theta;
    /* llama3 RoPE scaling; factor 0: none */
    double rope_scaling_factor;
    double rope_low_freq_factor;
    double rope_high_freq_factor;
    int64_t rope_original_max_position_embeddings;
    int64_t max_position_embeddings;
    bool attention_bias; /* biases on q, k, v (never o) */
    bool use_qk_norm;    /* RMSNorm over head_dim of q and k before RoPE */
    bool tie_word_embeddings;
    /* Initialisation from random weights: */
    double initializer_range;      /* standard deviation of linear weights */
    double embedding_range;        /* standard deviation of non-integer token embeddings */
    bool zero_init_head;           /* start from a uniform policy; needs an untied head */
    bool smooth_number_embeddings; /* sines and cosines of the value for integer tokens */
    wz_lora_config lora;
    int frozen_dtype; /* WZ_F32 or WZ_BF16: how matrices are stored that are not trained */
} wz_model_config;

/* "llama", "qwen2", "qwen3" in the order of wz_model_type, then NULL. */
extern const char *const wz_model_type_names[];
/* "q_proj", ... in the order of wz_lora_target, then NULL: PEFT's names, and Hugging Face's of the layers. */
extern const char *const wz_lora_target_names[];

/* Sizes positive, heads divisible, head_dim even, zero head only when untied, vocab_size set,
 * attention_bias and use_qk_norm as the model type has them. Messages name the key; WZ_ERR_USAGE. */
wz_status wz_model_config_check(const wz_model_config *config, wz_error *err);

/* Parameters of the matrices; biases and norms, a fraction of a percent, are left out. In double: never overflows. */
double wz_model_config_parameters(const wz_model_config *config);
/* Parameters of the adapters, which are not among these; in double likewise. */
double wz_model_config_adapter_parameters(const wz_model_config *config);
/* Outputs and inputs of an adapter's layer. */
void wz_lora_target_shape(const wz_model_config *config, wz_lora_target target, int64_t *out, int64_t *in);

#endif
