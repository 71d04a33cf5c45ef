/* A small checkpoint whose every value follows from its step, so that a reader knows what it must hold. */
#ifndef WZ_TESTS_CHECKPOINT_SAMPLE_H
#define WZ_TESTS_CHECKPOINT_SAMPLE_H

#include <stdio.h>
#include <string.h>

#include "checkpoints/checkpoint.h"

enum { SAMPLE_TENSORS = 6, SAMPLE_TEXTS = 3, SAMPLE_ROWS = 40, SAMPLE_WIDTH = 24 };

typedef struct sample {
    float data[SAMPLE_TENSORS][SAMPLE_ROWS * SAMPLE_WIDTH];
    char config[64];
    wz_checkpoint_tensor tensors[SAMPLE_TENSORS];
    wz_checkpoint_text texts[SAMPLE_TEXTS];
    wz_checkpoint_content content;
} sample;

static inline void sample_fill(sample *made, int64_t step)
{
    static const struct {
        const char *group, *name;
        size_t rank, shape[WZ_CHECKPOINT_MAX_RANK];
    } tensors[SAMPLE_TENSORS] = {
        {"weights", "model.embed_tokens.weight", 2, {SAMPLE_ROWS, SAMPLE_WIDTH}},
        {"weights", "model.norm.weight", 1, {SAMPLE_WIDTH}},
        {"adam_v", "model.norm.weight", 1, {SAMPLE_WIDTH}},
        {"adam_m", "model.embed_tokens.weight", 2, {SAMPLE_ROWS, SAMPLE_WIDTH}},
        {"weights", "a", 4, {2, 3, 4, 5}},
        {"weights", "one", 1, {1}},
    };
    memset(made, 0, sizeof *made);
    for (size_t i = 0; i < SAMPLE_TENSORS; i++) {
        wz_checkpoint_tensor *tensor = &made->tensors[i];
        for (size_t j = 0; j < SAMPLE_ROWS * SAMPLE_WIDTH; j++)
            made->data[i][j] = (float)step + 100.0f * (float)i + (float)j / 1024.0f;
        tensor->group = tensors[i].group;
        tensor->name = tensors[i].name;
        tensor->rank = tensors[i].rank;
        memcpy(tensor->shape, tensors[i].shape, sizeof tensor->shape);
        tensor->data = made->data[i];
    }
    (void)snprintf(made->config, sizeof made->config, "seed: %lld\n", (long long)step);
    made->texts[0] = (wz_checkpoint_text){"config", made->config, strlen(made->config)};
    made->texts[1] = (wz_checkpoint_text){"binary", "a\0b\xff", 4};
    made->texts[2] = (wz_checkpoint_text){"empty", NULL, 0};
    made->content = (wz_checkpoint_content){.step = step,
                                            .tensors = made->tensors,
                                            .tensor_count = SAMPLE_TENSORS,
                                            .texts = made->texts,
                                            .text_count = SAMPLE_TEXTS};
}

static inline size_t sample_elements(const wz_checkpoint_tensor *tensor)
{
    size_t count = 1;
    for (size_t d = 0; d < tensor->rank; d++)
        count *= tensor->shape[d];
    return count;
}

/* Whether an open checkpoint holds exactly the sample of its step. A read that fails sets *status; a read that
 * succeeds with other data returns false with *status WZ_OK: silent damage. */
static inline bool sample_equals(wz_checkpoint *checkpoint, wz_status *status, wz_error *err)
{
    static sample expected;
    static float data[SAMPLE_ROWS * SAMPLE_WIDTH];
    sample_fill(&expected, wz_checkpoint_step(checkpoint));
    *status = WZ_OK;
    if (wz_checkpoint_tensor_count(checkpoint) != SAMPLE_TENSORS)
        return false;
    for (size_t i = 0; i < SAMPLE_TENSORS; i++) {
        const wz_checkpoint_tensor *tensor = &expected.tensors[i];
        size_t count = sample_elements(tensor);
        *status = wz_checkpoint_read(checkpoint, tensor->group, tensor->name, data, count, err);
        if (*status != WZ_OK || memcmp(data, tensor->data, count * sizeof *data) != 0)
            return false;
    }
    for (size_t i = 0; i < SAMPLE_TEXTS; i++) {
        const wz_checkpoint_text *text = &expected.texts[i];
        wz_text found = {0};
        *status = wz_checkpoint_read_text(checkpoint, text->name, &found, err);
        bool equal = *status == WZ_OK && found.length == text->length &&
                     (text->length == 0 || memcmp(found.data, text->data, text->length) == 0);
        wz_text_clear(&found);
        if (!equal)
            return false;
    }
    return true;
}

#endif
