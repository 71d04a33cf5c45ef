#include "checkpoints/onnx_graph.h"
#include "checkpoints/onnx_fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/model/model.h"

wz_number_type wz_onnx_stored_type(const char *name, size_t rank, size_t width, wz_number_type type)
{
    const bool is_embedding = strcmp(name, "model.embed_tokens.weight") == 0;
    if (rank == 1)
        return WZ_NUMBER_F32;
    if (type == WZ_NUMBER_Q8_0 || type == WZ_NUMBER_Q4_0)
        return is_embedding || width % wz_number_block(type) != 0 ? WZ_NUMBER_F16 : type;
    return type;
}

/* ---- nodes ---- */

typedef struct graph_writer {
    const wz_model_config *config;
    wz_number_type type;
    wz_message *graph;
    wz_message node, part, inner; /* under construction */
    long long layer;              /* prefix of names; -1: none */
} graph_writer;

#define NAME_MAX_BYTES 128
typedef struct name {
    char text[NAME_MAX_BYTES];
} name;

/* "layers.3.query", or "rows" outside layers. */
static name named(const graph_writer *w, const char *format, ...) WZ_PRINTF(2, 3);
static name named(const graph_writer *w, const char *format, ...)
{
    name out;
    va_list arguments;
    int used = w->layer < 0 ? 0 : snprintf(out.text, sizeof out.text, "layers.%lld.", w->layer);
    va_start(arguments, format);
    (void)vsnprintf(out.text + used, sizeof out.text - (size_t)used, format, arguments);
    va_end(arguments);
    return out;
}

static void add_attribute(graph_writer *w, int type)
{
    wz_message_integer(&w->part, ATTRIBUTE_TYPE, type);
    wz_message_message(&w->node, NODE_ATTRIBUTE, &w->part);
}

static void set_int(graph_writer *w, const char *key, int64_t value)
{
    wz_message_string(&w->part, ATTRIBUTE_NAME, key);
    wz_message_integer(&w->part, ATTRIBUTE_I, value);
    add_attribute(w, ATTRIBUTE_IS_INT);
}

static void set_ints(graph_writer *w, const char *key, size_t count, const int64_t *values)
{
    wz_message_string(&w->part, ATTRIBUTE_NAME, key);
    for (size_t i = 0; i < count; i++)
        wz_message_integer(&w->part, ATTRIBUTE_INTS, values[i]);
    add_attribute(w, ATTRIBUTE_IS_INTS);
}

static void set_tensor(graph_writer *w, int element, size_t rank, int64_t count, const void *data,
                       size_t bytes)
{
    if (rank == 1)
        wz_message_integer(&w->inner, TENSOR_DIMS, count);
    wz_message_integer(&w->inner, TENSOR_TYPE, element);
    wz_message_bytes(&w->inner, TENSOR_RAW, data, bytes);
    wz_message_string(&w->part, ATTRIBUTE_NAME, "value");
    wz_message_message(&w->part, ATTRIBUTE_T, &w->inner);
    add_attribute(w, ATTRIBUTE_IS_TENSOR);
}

/* Ends a node: attributes were set before. Inputs NULL or "" are left out. */
static void add_node_of(graph_writer *w, const char *domain, const char *type, const char *output,
                        const char *const *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wz_message_string(&w->node, NODE_INPUT, inputs[i]);
    wz_message_string(&w->node, NODE_OUTPUT, output);
    wz_message_string(&w->node, NODE_NAME, output);
    wz_message_string(&w->node, NODE_TYPE, type);
    if (domain != NULL)
        wz_message_string(&w->node, NODE_DOMAIN, domain);
    wz_message_message(w->graph, GRAPH_NODE, &w->node);
}

static void add_node(graph_writer *w, const char *type, const char *output, const char *a, const char *b,
                     const char *c)
{
    const char *const inputs[3] = {a, b, c};
    add_node_of(w, NULL, type, output, inputs, c != NULL ? 3 : b != NULL ? 2 : 1);
}

static void add_integers(graph_writer *w, const char *output, size_t rank, size_t count,
                         const int64_t *values)
{
    set_tensor(w, ELEMENT_INT64, rank, (int64_t)count, values, count * sizeof *values);
    add_node_of(w, NULL, "Constant", output, NULL, 0);
}

static void add_float(graph_writer *w, const char *output, float value)
{
    set_tensor(w, ELEMENT_FLOAT, 0, 1, &value, sizeof value);
    add_node_of(w, NULL, "Constant", output, NULL, 0);
}

/* shape = Concat(input_ids' shape, tail...) */
static void add_shape(graph_writer *w, const char *output, size_t count, const int64_t *tail)
{
    const name constant = named(w, "%s.tail", output);
    add_integers(w, constant.text, 1, count, tail);
    set_int(w, "axis", 0);
    add_node(w, "Concat", output, "batch_sequence", constant.text, NULL);
}

/* Constants and shapes that all layers share. */
static void add_shared(graph_writer *w)
{
    const wz_model_config *c = w->config;
    const int64_t kv = c->num_key_value_heads, group = c->num_attention_heads / kv, hd = c->head_dim;
    const struct {
        const char *name;
        int64_t value;
        size_t rank;
    } integers[] = {{"zero", 0, 0},      {"one", 1, 0},   {"axis1", 1, 1},
                    {"axis2", 2, 1},     {"axis3", 3, 1}, {"start0", 0, 1},
                    {"half", hd / 2, 1}, {"end", hd, 1},  {"last_axis", -1, 1}};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        add_integers(w, integers[i].name, integers[i].rank, 1, &integers[i].value);
    add_float(w, "epsilon", (float)c->rms_norm_eps);
    add_float(w, "scale", (float)(1.0 / sqrt((double)hd)));
    add_float(w, "allowed", 0.0f);
    add_float(w, "forbidden", -3.0e38f); /* finite: a row that may see nothing gives no NaN */
    add_node(w, "Shape", "batch_sequence", "input_ids", NULL, NULL);
    add_shape(w, "query_shape", 3, (const int64_t[]){kv, group, hd});
    add_shape(w, "key_shape", 2, (const int64_t[]){kv, hd});
    add_shape(w, "logits_shape", 1, (const int64_t[]){c->vocab_size});
    add_integers(w, "rows_shape", 1, 2, (const int64_t[]){-1, c->hidden_size});
    add_integers(w, "attention_shape", 1, 2, (const int64_t[]){-1, c->num_attention_heads * hd});
}

/* mask [batch, 1, 1, sequence, total]: 0 where a token is there and not later than the query, else very low. */
static void add_mask(graph_writer *w)
{
    add_node(w, "Shape", "mask_shape", "attention_mask", NULL, NULL);
    set_int(w, "axis", 0);
    add_node(w, "Gather", "total", "mask_shape", "one", NULL);
    set_int(w, "axis", 0);
    add_node(w, "Gather", "sequence", "batch_sequence", "one", NULL);
    add_node(w, "Sub", "past", "total", "sequence", NULL);
    add_node(w, "Range", "key_place", "zero", "total", "one");
    add_node(w, "Range", "query_place", "past", "total", "one");
    add_node(w, "Unsqueeze", "query_column", "query_place", "axis1", NULL);
    add_node(w, "LessOrEqual", "causal", "key_place", "query_column", NULL);
    set_int(w, "to", ELEMENT_BOOL);
    add_node(w, "Cast", "present_tokens", "attention_mask", NULL, NULL);
    add_integers(w, "mask_axes", 1, 3, (const int64_t[]){1, 2, 3});
    add_node(w, "Unsqueeze", "present_keys", "present_tokens", "mask_axes", NULL);
    add_node(w, "And", "visible", "present_keys", "causal", NULL);
    add_node(w, "Where", "mask", "visible", "allowed", "forbidden");
}

/* cosines and sines [batch, sequence, 1, half] of the rows, once; for queries one axis more. */
static void add_angles(graph_writer *w)
{
    static const char *const tables[2] = {WZ_ONNX_COSINES, WZ_ONNX_SINES};
    static const char *const names[2] = {"cosine", "sine"};
    for (int i = 0; i < 2; i++) {
        const name rows = named(w, "%s_rows", names[i]), query = named(w, "%s_query", names[i]);
        set_int(w, "axis", 0);
        add_node(w, "Gather", rows.text, tables[i], "position_ids", NULL);
        add_node(w, "Unsqueeze", names[i], rows.text, "axis2", NULL);
        add_node(w, "Unsqueeze", query.text, names[i], "axis3", NULL);
    }
}

/* ---- layers ---- */

/* y = x / sqrt(mean(x^2) + eps) * weight over the last axis */
static void add_norm(graph_writer *w, const char *output, const char *x, const char *weight)
{
    static const int64_t last[] = {-1};
    const name square = named(w, "%s.square", output), mean = named(w, "%s.mean", output),
               sum = named(w, "%s.sum", output), root = named(w, "%s.root", output),
               unit = named(w, "%s.unit", output);
    add_node(w, "Mul", square.text, x, x, NULL);
    set_ints(w, "axes", 1, last);
    set_int(w, "keepdims", 1);
    add_node(w, "ReduceMean", mean.text, square.text, NULL, NULL);
    add_node(w, "Add", sum.text, mean.text, "epsilon", NULL);
    add_node(w, "Sqrt", root.text, sum.text, NULL, NULL);
    add_node(w, "Div", unit.text, x, root.text, NULL);
    add_node(w, "Mul", output, unit.text, weight, NULL);
}

/* y = x weight^T + bias; bias NULL: none. A weight that is not stored as f32 is widened first, or is multiplied block by
 * block. */
static void add_linear(graph_writer *w, const char *output, const char *x, const char *weight, int64_t in,
                       int64_t out, const char *bias)
{
    const wz_number_type type = wz_onnx_stored_type(weight, 2, (size_t)in, w->type);
    const bool by_blocks = type == WZ_NUMBER_Q8_0 || type == WZ_NUMBER_Q4_0;
    char scales[NAME_MAX_BYTES + 16], wide[NAME_MAX_BYTES + 16], product[NAME_MAX_BYTES + 16];
    (void)snprintf(scales, sizeof scales, "%s" WZ_ONNX_SCALES, weight);
    (void)snprintf(wide, sizeof wide, "%s.f32", weight);
    (void)snprintf(product, sizeof product, "%s.product", output);
    if (by_blocks) {
        const char *const inputs[3] = {x, weight, scales};
        set_int(w, "K", in);
        set_int(w, "N", out);
        set_int(w, "bits", type == WZ_NUMBER_Q8_0 ? 8 : 4);
        set_int(w, "block_size", 32);
        set_int(w, "accuracy_level", 1); /* products in f32 */
        add_node_of(w, "com.microsoft", "MatMulNBits", bias != NULL ? product : output, inputs, 3);
        if (bias != NULL)
            add_node(w, "Add", output, product, bias, NULL);
        return;
    }
    if (type != WZ_NUMBER_F32) {
        set_int(w, "to", ELEMENT_FLOAT);
        add_node(w, "Cast", wide, weight, NULL, NULL);
    }
    set_int(w, "transB", 1);
    add_node(w, "Gemm", output, x, type != WZ_NUMBER_F32 ? wide : weight, bias);
}

static name param(const graph_writer *w, const char *rest)
{
    name out;
    (void)snprintf(out.text, sizeof out.text, "model.layers.%lld.%s", w->layer, rest);
    return out;
}

/* q, k or v of all rows: linear layer, [batch, sequence, heads.., head_dim]. */
static name add_projection(graph_writer *w, char which, const char *x, int64_t heads, const char *shape)
{
    const wz_model_config *c = w->config;
    char rest[48];
    (void)snprintf(rest, sizeof rest, "self_attn.%c_proj.weight", which);
    const name weight = param(w, rest);
    (void)snprintf(rest, sizeof rest, "self_attn.%c_proj.bias", which);
    const name bias = param(w, rest), rows = named(w, "%c.rows", which), out = named(w, "%c", which);
    add_linear(w, rows.text, x, weight.text, c->hidden_size, heads * c->head_dim,
               c->attention_bias ? bias.text : NULL);
    add_node(w, "Reshape", out.text, rows.text, shape, NULL);
    return out;
}

/* (x1, x2) -> (x1 c - x2 s, x2 c + x1 s), halves of the last axis. */
static name add_rotation(graph_writer *w, const char *x, const char *cosine, const char *sine)
{
    const name out = named(w, "%s.rotated", strrchr(x, '.') + 1);
    char part[7][NAME_MAX_BYTES + 16];
    static const char *const parts[7] = {"first",         "second",     "first_cosine", "second_sine",
                                         "second_cosine", "first_sine", "upper"};
    for (int i = 0; i < 7; i++)
        (void)snprintf(part[i], sizeof part[i], "%s.%s", out.text, parts[i]);
    const name lower = named(w, "%s.lower", strrchr(x, '.') + 1);
    const char *const first[4] = {x, "start0", "half", "last_axis"}, *const second[4] = {x, "half", "end",
                                                                                         "last_axis"};
    add_node_of(w, NULL, "Slice", part[0], first, 4);
    add_node_of(w, NULL, "Slice", part[1], second, 4);
    add_node(w, "Mul", part[2], part[0], cosine, NULL);
    add_node(w, "Mul", part[3], part[1], sine, NULL);
    add_node(w, "Sub", lower.text, part[2], part[3], NULL);
    add_node(w, "Mul", part[4], part[1], cosine, NULL);
    add_node(w, "Mul", part[5], part[0], sine, NULL);
    add_node(w, "Add", part[6], part[4], part[5], NULL);
    set_int(w, "axis", -1);
    add_node(w, "Concat", out.text, lower.text, part[6], NULL);
    return out;
}

/* Keys or values of this call after those of earlier ones: present.N.kind [batch, kv heads, total, head_dim]. */
static name add_cache(graph_writer *w, const char *kind, const char *x)
{
    name past, present;
    const name heads = named(w, "%s.heads", kind), wide = named(w, "%s.wide", kind);
    (void)snprintf(past.text, sizeof past.text, "past_key_values.%lld.%s", w->layer, kind);
    (void)snprintf(present.text, sizeof present.text, "present.%lld.%s", w->layer, kind);
    set_ints(w, "perm", 4, (const int64_t[]){0, 2, 1, 3});
    add_node(w, "Transpose", heads.text, x, NULL, NULL);
    set_int(w, "axis", 2);
    add_node(w, "Concat", present.text, past.text, heads.text, NULL);
    add_node(w, "Unsqueeze", wide.text, present.text, "axis2", NULL);
    return wide;
}

/* Grouped-query attention as [batch, kv heads, group, sequence, ..]: keys are not copied for the heads that share them. */
static void add_attention(graph_writer *w, const char *output, const char *x)
{
    const wz_model_config *c = w->config;
    name q = add_projection(w, 'q', x, c->num_attention_heads, "query_shape");
    name k = add_projection(w, 'k', x, c->num_key_value_heads, "key_shape");
    const name v = add_projection(w, 'v', x, c->num_key_value_heads, "key_shape");
    if (c->use_qk_norm) {
        const name q_weight = param(w, "self_attn.q_norm.weight"),
                   k_weight = param(w, "self_attn.k_norm.weight");
        const name q_norm = named(w, "q_norm"), k_norm = named(w, "k_norm");
        add_norm(w, q_norm.text, q.text, q_weight.text);
        add_norm(w, k_norm.text, k.text, k_weight.text);
        q = q_norm;
        k = k_norm;
    }
    const name q_rotated = add_rotation(w, q.text, "cosine_query", "sine_query");
    const name k_rotated = add_rotation(w, k.text, "cosine", "sine");
    const name keys = add_cache(w, "key", k_rotated.text), values = add_cache(w, "value", v.text);
    const name queries = named(w, "queries"), turned = named(w, "keys_turned"),
               products = named(w, "products"), scaled = named(w, "scaled"), scores = named(w, "scores"),
               weights = named(w, "weights"), mixed = named(w, "mixed"), together = named(w, "together");
    set_ints(w, "perm", 5, (const int64_t[]){0, 2, 3, 1, 4});
    add_node(w, "Transpose", queries.text, q_rotated.text, NULL, NULL);
    set_ints(w, "perm", 5, (const int64_t[]){0, 1, 2, 4, 3});
    add_node(w, "Transpose", turned.text, keys.text, NULL, NULL);
    add_node(w, "MatMul", products.text, queries.text, turned.text, NULL);
    add_node(w, "Mul", scaled.text, products.text, "scale", NULL);
    add_node(w, "Add", scores.text, scaled.text, "mask", NULL);
    set_int(w, "axis", -1);
    add_node(w, "Softmax", weights.text, scores.text, NULL, NULL);
    add_node(w, "MatMul", mixed.text, weights.text, values.text, NULL);
    set_ints(w, "perm", 5, (const int64_t[]){0, 3, 1, 2, 4});
    add_node(w, "Transpose", together.text, mixed.text, NULL, NULL);
    add_node(w, "Reshape", output, together.text, "attention_shape", NULL);
}

static void add_mlp(graph_writer *w, const char *output, const char *x)
{
    const wz_model_config *c = w->config;
    const name gate_weight = param(w, "mlp.gate_proj.weight"), up_weight = param(w, "mlp.up_proj.weight"),
               down_weight = param(w, "mlp.down_proj.weight");
    const name gate = named(w, "gate"), up = named(w, "up"), sigmoid = named(w, "gate_sigmoid"),
               silu = named(w, "silu"), inner = named(w, "inner");
    add_linear(w, gate.text, x, gate_weight.text, c->hidden_size, c->intermediate_size, NULL);
    add_linear(w, up.text, x, up_weight.text, c->hidden_size, c->intermediate_size, NULL);
    add_node(w, "Sigmoid", sigmoid.text, gate.text, NULL, NULL);
    add_node(w, "Mul", silu.text, gate.text, sigmoid.text, NULL);
    add_node(w, "Mul", inner.text, silu.text, up.text, NULL);
    add_linear(w, output, inner.text, down_weight.text, c->intermediate_size, c->hidden_size, NULL);
}

/* The residual stream after layer w->layer, from *stream. */
static void add_layer(graph_writer *w, name *stream)
{
    const wz_model_config *c = w->config;
    const name weight1 = param(w, "input_layernorm.weight"),
               weight2 = param(w, "post_attention_layernorm.weight"),
               o_weight = param(w, "self_attn.o_proj.weight");
    const name norm1 = named(w, "norm1"), attention = named(w, "attention"), o = named(w, "o"),
               middle = named(w, "middle"), norm2 = named(w, "norm2"), mlp = named(w, "mlp"),
               out = named(w, "out");
    add_norm(w, norm1.text, stream->text, weight1.text);
    add_attention(w, attention.text, norm1.text);
    add_linear(w, o.text, attention.text, o_weight.text, c->num_attention_heads * c->head_dim, c->hidden_size,
               NULL);
    add_node(w, "Add", middle.text, stream->text, o.text, NULL);
    add_norm(w, norm2.text, middle.text, weight2.text);
    add_mlp(w, mlp.text, norm2.text);
    add_node(w, "Add", out.text, middle.text, mlp.text, NULL);
    *stream = out;
}

void wz_onnx_write_nodes(const wz_model_config *c, wz_number_type type, wz_message *graph)
{
    static const char embedding[] = "model.embed_tokens.weight";
    graph_writer w = {.config = c, .type = type, .graph = graph, .layer = -1};
    name stream = {"rows"};
    wz_message_start(&w.node, graph->err);
    wz_message_start(&w.part, graph->err);
    wz_message_start(&w.inner, graph->err);
    const bool is_wide = wz_onnx_stored_type(embedding, 2, (size_t)c->hidden_size, type) == WZ_NUMBER_F32;
    add_shared(&w);
    add_mask(&w);
    add_angles(&w);
    add_node(&w, "Gather", is_wide ? "embedded" : "embedded_stored", embedding, "input_ids", NULL);
    if (!is_wide) {
        set_int(&w, "to", ELEMENT_FLOAT);
        add_node(&w, "Cast", "embedded", "embedded_stored", NULL, NULL);
    }
    add_node(&w, "Reshape", "rows", "embedded", "rows_shape", NULL);
    for (w.layer = 0; w.layer < c->num_hidden_layers; w.layer++)
        add_layer(&w, &stream);
    w.layer = -1;
    add_norm(&w, "final", stream.text, "model.norm.weight");
    add_linear(&w, "logit_rows", "final", c->tie_word_embeddings ? embedding : "lm_head.weight",
               c->hidden_size, c->vocab_size, NULL);
    add_node(&w, "Reshape", "logits", "logit_rows", "logits_shape", NULL);
    wz_message_clear(&w.node);
    wz_message_clear(&w.part);
    wz_message_clear(&w.inner);
}

/* ---- inputs and outputs ---- */

/* Dimensions: a name, or NULL and a number. */
typedef struct dimension {
    const char *name;
    int64_t value;
} dimension;

static void add_value(wz_message *graph, unsigned field, const char *text, int element, size_t rank,
                      const dimension *dimensions)
{
    wz_message value, type, tensor, shape, one;
    wz_message *const all[] = {&value, &type, &tensor, &shape, &one};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        wz_message_start(all[i], graph->err);
    for (size_t i = 0; i < rank; i++) {
        if (dimensions[i].name != NULL)
            wz_message_string(&one, 2, dimensions[i].name);
        else
            wz_message_integer(&one, 1, dimensions[i].value);
        wz_message_message(&shape, 1, &one);
    }
    wz_message_integer(&tensor, 1, element);
    wz_message_message(&tensor, 2, &shape);
    wz_message_message(&type, 1, &tensor);
    wz_message_string(&value, 1, text);
    wz_message_message(&value, 2, &type);
    wz_message_message(graph, field, &value);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        wz_message_clear(all[i]);
}

void wz_onnx_write_values(const wz_model_config *c, wz_message *graph)
{
    static const char *const kinds[2] = {"key", "value"};
    const dimension batch = {"batch_size", 0}, sequence = {"sequence_length", 0},
                    past = {"past_sequence_length", 0}, total = {"total_sequence_length", 0},
                    heads = {NULL, c->num_key_value_heads}, width = {NULL, c->head_dim},
                    vocab = {NULL, c->vocab_size};
    char text[64];
    add_value(graph, GRAPH_INPUT, "input_ids", ELEMENT_INT64, 2, (const dimension[]){batch, sequence});
    add_value(graph, GRAPH_INPUT, "attention_mask", ELEMENT_INT64, 2, (const dimension[]){batch, total});
    add_value(graph, GRAPH_INPUT, "position_ids", ELEMENT_INT64, 2, (const dimension[]){batch, sequence});
    add_value(graph, GRAPH_OUTPUT, "logits", ELEMENT_FLOAT, 3, (const dimension[]){batch, sequence, vocab});
    for (long long l = 0; l < c->num_hidden_layers; l++)
        for (int k = 0; k < 2; k++) {
            (void)snprintf(text, sizeof text, "past_key_values.%lld.%s", l, kinds[k]);
            add_value(graph, GRAPH_INPUT, text, ELEMENT_FLOAT, 4,
                      (const dimension[]){batch, heads, past, width});
            (void)snprintf(text, sizeof text, "present.%lld.%s", l, kinds[k]);
            add_value(graph, GRAPH_OUTPUT, text, ELEMENT_FLOAT, 4,
                      (const dimension[]){batch, heads, total, width});
        }
}
