#include "engine/grpo/apart.h"

#include <stdlib.h>
#include <string.h>

static int64_t head_floats(const wz_model_config *c)
{
    return c->vocab_size * c->hidden_size;
}

static int64_t float_count(const wz_model_config *c, bool with_lessons)
{
    if (c->lora.rank > 0) /* head, norm and embedding are frozen */
        return 0;
    return (with_lessons ? head_floats(c) + c->hidden_size : 0) +
           (c->tie_word_embeddings ? head_floats(c) : 0);
}

size_t wz_apart_bytes(const wz_model_config *config, bool with_lessons)
{
    return (size_t)float_count(config, with_lessons) * sizeof(float);
}

wz_status wz_apart_create(const wz_model *model, bool with_lessons, wz_apart *out, wz_error *err)
{
    void *memory = NULL, *identity = NULL;
    const wz_model_config *c = &model->config;
    *out = (wz_apart){.lessons = *model, .layers = *model, .head_floats = head_floats(c)};
    if (float_count(c, with_lessons) == 0)
        return WZ_OK;
    wz_status status = wz_alloc(&identity, (size_t)c->vocab_size, sizeof(int32_t), "the trainer", err);
    if (status == WZ_OK)
        status = model->backend->ops->alloc(model->backend, wz_apart_bytes(c, with_lessons),
                                            "gradients kept apart", &memory, err);
    if (status != WZ_OK) {
        free(identity);
        return status;
    }
    out->memory = memory;
    out->identity = identity;
    for (int64_t i = 0; i < c->vocab_size; i++)
        out->identity[i] = (int32_t)i;
    float *at = out->memory;
    if (c->tie_word_embeddings) {
        out->has_rows = true;
        out->layers.embedding_gradient = at;
        at += out->head_floats;
    }
    if (with_lessons) {
        out->has_lessons = true;
        out->lessons.head_gradient = at;
        out->lessons.final_norm_gradient = at + out->head_floats;
    }
    return WZ_OK;
}

void wz_apart_clear(wz_apart *apart)
{
    if (apart->memory != NULL)
        apart->layers.backend->ops->release(apart->layers.backend, apart->memory);
    free(apart->identity);
    memset(apart, 0, sizeof *apart);
}

void wz_apart_zero(wz_apart *apart)
{
    if (apart->memory != NULL)
        apart->layers.backend->ops->fill_zero(apart->layers.backend, apart->memory,
                                              wz_apart_bytes(&apart->layers.config, apart->has_lessons));
}

/* to += from, row by row: the embedding's scatter with every row in its own place. */
static void add(const wz_apart *apart, float *to, float *from, int64_t rows)
{
    const int64_t offset[2] = {0, rows}, width = apart->layers.config.hidden_size;
    const wz_row_groups all = {1, offset, apart->identity};
    apart->layers.backend->ops->embedding_backward(apart->layers.backend, wz_matrix(to, rows, width),
                                                   wz_matrix(from, rows, width), apart->identity, &all);
}

void wz_apart_join(wz_apart *apart)
{
    const wz_model *whole = &apart->layers; /* its head and norm gradients are the model's own */
    const int64_t vocab = whole->config.vocab_size;
    if (apart->has_lessons) {
        add(apart, whole->head_gradient, apart->lessons.head_gradient, vocab);
        add(apart, whole->final_norm_gradient, apart->lessons.final_norm_gradient, 1);
    }
    if (apart->has_rows)
        add(apart, whole->head_gradient, whole->embedding_gradient, vocab);
}
