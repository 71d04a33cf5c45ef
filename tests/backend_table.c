/* The table: sizes that are no multiples of a vector (16), of a tile (8 to 128) or of a chunk of the vocabulary (512). */
#include "tests/backend_ops.h"

#define ATTENTION_PACK .rows = 44, .prompt = {19, 1, 4}, .completion = {{3, 1, 4}, {2, 0, 5}, {2, 1, 2}}
#define WIDE_PACK .rows = 210, .prompt = {61, 17, 33}, .completion = {{20, 7, 18}, {13, 1, 9}, {10, 16, 5}}

const op_case backend_cases[] = {
    {&op_embedding, {.rows = 1, .in = 5, .vocab = 7, .groups = 1}, false},
    {&op_embedding, {.rows = 23, .in = 17, .vocab = 9, .groups = 4, .pad = 3}, false},

    {&op_rmsnorm, {.rows = 1, .in = 1, .groups = 1}, false},
    {&op_rmsnorm, {.rows = 1, .in = 33, .groups = 1}, false},
    {&op_rmsnorm, {.rows = 19, .in = 24, .groups = 3, .pad = 5}, false},
    {&op_rmsnorm, {.rows = 21, .in = 16, .groups = 3, .gathered = true}, false},

    {&op_linear, {.rows = 1, .in = 1, .out = 1, .groups = 1}, false},
    {&op_linear, {.rows = 1, .in = 37, .out = 21, .groups = 1, .bias = true}, false},
    {&op_linear, {.rows = 17, .in = 16, .out = 48, .groups = 2, .pad = 7}, false},
    {&op_linear, {.rows = 13, .in = 33, .out = 19, .groups = 3, .bias = true, .residual = true}, false},
    {&op_linear,
     {.rows = 29,
      .in = 20,
      .out = 24,
      .groups = 5,
      .residual = true,
      .aliased = true,
      .bias = true,
      .pad = 1},
     false},
    {&op_linear, {.rows = 16, .in = 32, .out = 32, .groups = 1, .residual = true, .aliased = true}, false},
    {&op_linear, {.rows = 9, .in = 11, .out = 70, .groups = 2, .frozen = true}, false},
    {&op_linear, {.rows = 1, .in = 37, .out = 21, .groups = 1, .bias = true, .prepared = true}, false},
    {&op_linear, {.rows = 19, .in = 33, .out = 18, .groups = 2, .residual = true, .prepared = true}, false},

    {&op_qk_norm, {.rows = 1, .heads = 2, .kv_heads = 1, .head_dim = 4, .groups = 1}, false},
    {&op_qk_norm, {.rows = 7, .heads = 4, .kv_heads = 2, .head_dim = 24, .groups = 3, .pad = 5}, false},

    {&op_rope, {.rows = 1, .heads = 1, .kv_heads = 1, .head_dim = 2}, false},
    {&op_rope, {.rows = 9, .heads = 4, .kv_heads = 2, .head_dim = 24, .pad = 2}, false},
    {&op_rope, {.rows = 5, .heads = 3, .kv_heads = 1, .head_dim = 34, .inverse = true}, false},

    {&op_swiglu, {.rows = 1, .out = 1}, false},
    {&op_swiglu, {.rows = 9, .out = 21, .pad = 3}, false},

    {&op_attention, {.rows = 1, .prompt = {1}, .heads = 1, .kv_heads = 1, .head_dim = 2}, false},
    {&op_attention,
     {.rows = 2, .prompt = {1}, .completion = {{1, 0, 0}}, .heads = 2, .kv_heads = 1, .head_dim = 6},
     false},
    {&op_attention, {ATTENTION_PACK, .heads = 2, .kv_heads = 2, .head_dim = 8}, false},
    {&op_attention, {ATTENTION_PACK, .heads = 4, .kv_heads = 2, .head_dim = 24, .pad = 3}, false},
    {&op_attention, {ATTENTION_PACK, .heads = 3, .kv_heads = 1, .head_dim = 18}, false},

    {&op_head_score, {.rows = 1, .in = 7, .vocab = 3, .groups = 1, .temperature = 1.0f}, false},
    {&op_head_score, {.rows = 11, .in = 9, .vocab = 70, .groups = 3, .temperature = 0.7f, .pad = 3}, false},
    {&op_head_score,
     {.rows = 12, .in = 20, .vocab = 41, .groups = 3, .temperature = 1.0f, .masks = SMALL},
     false},
    {&op_head_score,
     {.rows = 17, .in = 9, .vocab = 100, .groups = 4, .temperature = 1.3f, .masks = MIXED, .pad = 1},
     false},
    {&op_head_score,
     {.rows = 7, .in = 9, .vocab = 601, .groups = 2, .temperature = 1.0f, .masks = MIXED},
     false},
    {&op_head_score, {.rows = 3, .in = 5, .vocab = 1030, .groups = 2, .temperature = 0.8f}, false},
    {&op_head_score,
     {.rows = 5, .in = 16, .vocab = 33, .groups = 2, .temperature = 1.0f, .masks = MIXED, .frozen = true},
     false},

    {&op_head_allowed, {.rows = 1, .in = 5, .vocab = 11, .groups = 1, .masks = SMALL}, false},
    {&op_head_allowed, {.rows = 11, .in = 17, .vocab = 90, .groups = 3, .masks = SMALL, .pad = 2}, false},
    {&op_head_allowed, {.rows = 6, .in = 6, .vocab = 700, .groups = 2, .masks = SMALL}, false},

    {&op_embedding, {.rows = 300, .in = 64, .vocab = 50, .groups = 9}, true},
    {&op_rmsnorm, {.rows = 300, .in = 65, .groups = 9}, true},
    {&op_linear, {.rows = 300, .in = 64, .out = 192, .groups = 9, .bias = true}, true},
    {&op_linear, {.rows = 261, .in = 100, .out = 300, .groups = 7, .residual = true, .pad = 4}, true},
    {&op_linear, {.rows = 513, .in = 400, .out = 65, .groups = 2, .residual = true, .aliased = true}, true},
    {&op_linear, {.rows = 300, .in = 500, .out = 300, .groups = 9, .bias = true, .prepared = true}, true},
    {&op_qk_norm, {.rows = 300, .heads = 4, .kv_heads = 2, .head_dim = 24, .groups = 9}, true},
    {&op_rope, {.rows = 300, .heads = 4, .kv_heads = 2, .head_dim = 24}, true},
    {&op_swiglu, {.rows = 300, .out = 170}, true},
    {&op_attention, {WIDE_PACK, .heads = 4, .kv_heads = 2, .head_dim = 24}, true},
    {&op_head_score, {.rows = 300, .in = 64, .vocab = 1100, .groups = 9, .temperature = 1.0f}, true},
    {&op_head_score,
     {.rows = 300, .in = 65, .vocab = 1100, .groups = 9, .temperature = 0.9f, .masks = MIXED},
     true},
    {&op_head_score,
     {.rows = 300, .in = 130, .vocab = 500, .groups = 9, .temperature = 1.0f, .masks = SMALL},
     true},
    {&op_head_allowed, {.rows = 300, .in = 64, .vocab = 1100, .groups = 9, .masks = SMALL}, true},
};
const size_t backend_case_count = sizeof backend_cases / sizeof backend_cases[0];
