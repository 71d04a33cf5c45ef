/* The random numbers a problem is made of: a stream of its own for each family, seed, split, index and size. */
#ifndef WZ_TASKS_DRAWS_H
#define WZ_TASKS_DRAWS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/philox.h"

typedef enum wz_split { WZ_SPLIT_TRAIN, WZ_SPLIT_VALIDATION, WZ_SPLIT_TEST } wz_split;
const char *wz_split_name(wz_split split); /* "train", "validation", "test" */

/* A position in a stream of 32-bit words. */
typedef struct wz_draws {
    wz_draw_key key;
    uint32_t words[4];
    uint64_t next; /* word, < 4 WZ_DRAW_LIMIT */
} wz_draws;

/* stream < 4096, size < 2^20. Each split has a purpose of its own, so that splits never overlap. */
wz_draws wz_draws_of_problem(uint32_t stream, uint64_t seed, wz_split split, uint32_t index, uint32_t size);
/* From word number `next` of a key's stream on. */
wz_draws wz_draws_from(const wz_draw_key *key, uint64_t next);

/* Uniform in (0, 1). One word. */
double wz_draws_uniform(wz_draws *draws);
/* Exponential with mean 1: the power gain of a Rayleigh channel. One word. */
double wz_draws_exponential(wz_draws *draws);
/* Standard normal. Four words. */
double wz_draws_normal(wz_draws *draws);
/* Uniform in 0..count-1. One word: values differ in probability by less than 2^-32. */
unsigned wz_draws_below(wz_draws *draws, unsigned count);
/* A uniform permutation of 0..count-1 (Fisher and Yates). count - 1 words. */
void wz_draws_permutation(wz_draws *draws, size_t count, uint8_t *order);

#endif
