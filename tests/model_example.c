#include "tests/model_example.h"

#include <check.h>
#include <hdf5.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backend_case.h"

static void *zeroed(int64_t count, size_t size)
{
    void *block = calloc((size_t)count + 1, size);
    ck_assert_ptr_nonnull(block);
    return block;
}

static void *read_as(const fixture *f, const char *name, hid_t type, size_t size, int64_t *count)
{
    hid_t file = H5Fopen(f->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_msg(file >= 0, "cannot open %s", f->path);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    ck_assert_msg(set >= 0, "%s has no %s", f->path, name);
    hid_t space = H5Dget_space(set);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    void *out = zeroed(points, size);
    ck_assert_int_ge(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), 0);
    if (count != NULL)
        *count = points;
    (void)H5Sclose(space);
    (void)H5Dclose(set);
    (void)H5Fclose(file);
    return out;
}

static int32_t *read_ints(const fixture *f, const char *name, int64_t *count)
{
    return read_as(f, name, H5T_NATIVE_INT32, sizeof(int32_t), count);
}

double *fixture_read(const fixture *f, const char *group, const char *name, int64_t *count)
{
    char full[160];
    (void)snprintf(full, sizeof full, "%s/%s", group, name);
    return read_as(f, full, H5T_NATIVE_DOUBLE, sizeof(double), count);
}

static double number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static void read_config(fixture *f)
{
    hid_t file = H5Fopen(f->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_msg(file >= 0, "cannot open %s", f->path);
    hid_t attribute = H5Aopen(file, "config", H5P_DEFAULT), type = H5Aget_type(attribute);
    char *text = NULL;
    ck_assert_int_gt(H5Tis_variable_str(type), 0);
    ck_assert_int_ge(H5Aread(attribute, type, &text), 0);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    wz_model_config *c = &f->config;
    const char *name = json_string_value(json_object_get(json, "model_type"));
    while (strcmp(wz_model_type_names[c->model_type], name) != 0)
        c->model_type++;
    c->vocab_size = (int64_t)number(json, "vocab_size", 0);
    c->hidden_size = (int64_t)number(json, "hidden_size", 0);
    c->intermediate_size = (int64_t)number(json, "intermediate_size", 0);
    c->num_hidden_layers = (int64_t)number(json, "num_hidden_layers", 0);
    c->num_attention_heads = (int64_t)number(json, "num_attention_heads", 0);
    c->num_key_value_heads = (int64_t)number(json, "num_key_value_heads", 0);
    c->head_dim = (int64_t)number(json, "head_dim", (double)(c->hidden_size / c->num_attention_heads));
    c->rms_norm_eps = number(json, "rms_norm_eps", 0);
    c->rope_theta = number(json, "rope_theta", 0);
    c->max_position_embeddings = (int64_t)number(json, "max_position_embeddings", 0);
    c->tie_word_embeddings = json_is_true(json_object_get(json, "tie_word_embeddings"));
    c->attention_bias = c->model_type == WZ_MODEL_QWEN2;
    c->use_qk_norm = c->model_type == WZ_MODEL_QWEN3;
    const json_t *scaling = json_object_get(json, "rope_scaling");
    c->rope_scaling_factor = number(scaling, "factor", 0);
    c->rope_low_freq_factor = number(scaling, "low_freq_factor", 0);
    c->rope_high_freq_factor = number(scaling, "high_freq_factor", 0);
    c->rope_original_max_position_embeddings =
        (int64_t)number(scaling, "original_max_position_embeddings", 0);
    c->lora.rank = (int64_t)number(json, "r", 0);
    c->lora.alpha = number(json, "lora_alpha", 0);
    const json_t *targets = json_object_get(json, "target_modules");
    for (size_t i = 0; i < json_array_size(targets); i++)
        for (int t = 0; t < WZ_LORA_TARGETS; t++)
            if (strcmp(json_string_value(json_array_get(targets, i)), wz_lora_target_names[t]) == 0)
                c->lora.target[t] = true;
    json_decref(json);
    (void)H5free_memory(text);
    (void)H5Tclose(type);
    (void)H5Aclose(attribute);
    attribute = H5Aopen(file, "temperature", H5P_DEFAULT);
    ck_assert_int_ge(H5Aread(attribute, H5T_NATIVE_DOUBLE, &f->e.temperature), 0);
    (void)H5Aclose(attribute);
    (void)H5Fclose(file);
}

void fixture_open(fixture *f, const char *name)
{
    int64_t count = 0;
    memset(f, 0, sizeof *f);
    (void)snprintf(f->path, sizeof f->path, "%s/model_%s.h5", WZ_TEST_DATA, name);
    read_config(f);
    example *e = &f->e;
    e->prompt_ids = read_ints(f, "pack/prompt_ids", NULL);
    e->prompt_offsets = read_ints(f, "pack/prompt_offsets", &count);
    e->groups = (int32_t)count - 1;
    e->completion_ids = read_ints(f, "pack/completion_ids", &count);
    e->tokens = (int32_t)count;
    e->completion_offsets = read_ints(f, "pack/completion_offsets", &count);
    e->completions = (int32_t)count - 1;
    e->completion_group = read_ints(f, "pack/completion_group", NULL);
    e->set_offsets = read_ints(f, "masks/offsets", &count);
    e->sets = (int32_t)count - 1;
    e->set_ids = read_ints(f, "masks/ids", NULL);
    e->set = read_ints(f, "tokens/mask", NULL);
    e->w = fixture_read(f, "tokens", "logp_weight", NULL);
    e->v = fixture_read(f, "tokens", "entropy_weight", NULL);
    f->logits = fixture_read(f, "tokens", "logits", NULL);
    f->logp = fixture_read(f, "tokens", "logp", NULL);
    f->entropy = fixture_read(f, "tokens", "entropy", NULL);
    double *loss = fixture_read(f, "", "loss", NULL);
    f->loss = *loss;
    free(loss);
}

void fixture_close(fixture *f)
{
    example_clear(&f->e);
    free(f->logits);
    free(f->logp);
    free(f->entropy);
}

void fixture_load_weights(const fixture *f, wz_model *model)
{
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        int64_t count = 0;
        double *values = fixture_read(f, "weights", param->name, &count);
        ck_assert_int_eq(count, param->count);
        float *flat = zeroed(count, sizeof(float));
        for (int64_t j = 0; j < count; j++)
            flat[j] = (float)values[j];
        wz_model_set_param(model, param, flat);
        free(flat);
        free(values);
    }
    wz_model_weights_changed(model);
}

void example_make(example *e, int32_t vocab, double temperature)
{
    const int32_t prompts[4] = {0, 3, 4, 9}, completions[6] = {0, 2, 5, 6, 8, 9}, group[5] = {0, 0, 1, 2, 2};
    memset(e, 0, sizeof *e);
    e->groups = 3;
    e->completions = 5;
    e->tokens = 9;
    e->sets = 2;
    e->temperature = temperature;
    e->prompt_offsets = zeroed(4, sizeof(int32_t));
    memcpy(e->prompt_offsets, prompts, sizeof prompts);
    e->completion_offsets = zeroed(6, sizeof(int32_t));
    memcpy(e->completion_offsets, completions, sizeof completions);
    e->completion_group = zeroed(5, sizeof(int32_t));
    memcpy(e->completion_group, group, sizeof group);
    e->prompt_ids = zeroed(9, sizeof(int32_t));
    e->completion_ids = zeroed(9, sizeof(int32_t));
    e->set = zeroed(9, sizeof(int32_t));
    e->set_offsets = zeroed(3, sizeof(int32_t));
    e->set_ids = zeroed(5, sizeof(int32_t));
    e->w = zeroed(9, sizeof(double));
    e->v = zeroed(9, sizeof(double));
    const int32_t ids[5] = {1, 4, 0, 2, 5}, ends[3] = {0, 2, 5}; /* sets {1, 4} and {0, 2, 5} */
    memcpy(e->set_ids, ids, sizeof ids);
    memcpy(e->set_offsets, ends, sizeof ends);
    for (int32_t i = 0; i < 9; i++) {
        float weight[2];
        fill_uniform(weight, 2, 500 + (uint32_t)i);
        e->w[i] = (double)weight[0];
        e->v[i] = (double)weight[1];
        e->prompt_ids[i] = (int32_t)random_below((uint32_t)vocab, 501, (uint64_t)i);
        e->set[i] = i % 3;
        e->completion_ids[i] = e->set[i] == 0 ? (int32_t)random_below((uint32_t)vocab, 502, (uint64_t)i)
                                              : ids[ends[e->set[i] - 1] + i % 2];
    }
}

void example_clear(example *e)
{
    void *const blocks[] = {e->prompt_ids,
                            e->prompt_offsets,
                            e->completion_ids,
                            e->completion_offsets,
                            e->completion_group,
                            e->set_offsets,
                            e->set_ids,
                            e->set,
                            e->w,
                            e->v};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
}

float *gradients_of(const wz_model *model)
{
    float *out = zeroed(model->trained, sizeof(float));
    model->backend->ops->download(model->backend, out, model->gradients,
                                  (size_t)model->trained * sizeof(float));
    return out;
}

wz_model *model_create_with(const wz_model_config *config, wz_backend *be)
{
    wz_model *model = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_model_create(config, be, true, &model, &err) == WZ_OK, "%s", err.text);
    return model;
}

wz_model_config model_tiny_config(int type)
{
    return (wz_model_config){.model_type = type,
                             .vocab_size = 11,
                             .hidden_size = 6,
                             .intermediate_size = 9,
                             .num_hidden_layers = 2,
                             .num_attention_heads = 4,
                             .num_key_value_heads = 2,
                             .head_dim = 6,
                             .rms_norm_eps = 1e-5,
                             .rope_theta = 100.0,
                             .rope_scaling_factor = type == WZ_MODEL_LLAMA ? 8.0 : 0.0,
                             .rope_low_freq_factor = 1.0,
                             .rope_high_freq_factor = 4.0,
                             .rope_original_max_position_embeddings = 32,
                             .max_position_embeddings = 16,
                             .attention_bias = type == WZ_MODEL_QWEN2,
                             .use_qk_norm = type == WZ_MODEL_QWEN3,
                             .tie_word_embeddings = type == WZ_MODEL_QWEN2,
                             .initializer_range = 0.02,
                             .embedding_range = 0.1,
                             .smooth_number_embeddings = true};
}
