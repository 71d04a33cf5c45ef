/* Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, Random123).
 *
 * A draw is a pure function of (seed, where it is used), so no generator state exists anywhere and a
 * checkpoint needs only (seed, step). The 64-bit key is the seed; the 128-bit counter is
 *     { step:32, problem:32, token:20 | sample:12, purpose:8 | draw:24 }
 * and, for weight initialisation,
 *     { element:64, tensor:32, purpose:8 | 0:24 }.
 * Ranges are checked by wz_draw_key_valid; distinct uses carry distinct purposes, so no two draws
 * ever share a counter. */
#ifndef WZ_CORE_PHILOX_H
#define WZ_CORE_PHILOX_H

#include <stdbool.h>
#include <stdint.h>

typedef enum wz_purpose {
    WZ_PURPOSE_INIT = 1,  /* weights */
    WZ_PURPOSE_TRAIN = 2, /* problem generation, one purpose per split: streams never overlap */
    WZ_PURPOSE_VALIDATION = 3,
    WZ_PURPOSE_TEST = 4,
    WZ_PURPOSE_SAMPLE = 5, /* token sampling in training rollouts */
    WZ_PURPOSE_EVAL_SAMPLE = 6,
    WZ_PURPOSE_CURRICULUM = 7, /* which problem size a step trains */
    WZ_PURPOSE_BASELINE = 8,   /* random baselines */
    WZ_PURPOSE_BOOTSTRAP = 9,
    WZ_PURPOSE_SMOOTH = 10,  /* the 12 x d projection of the smooth number embeddings */
    WZ_PURPOSE_TOOL = 11,    /* benchmarks and tests */
    WZ_PURPOSE_MIXTURE = 12, /* which families a step trains */
    WZ_PURPOSE_REORDER = 13, /* the order of a held-out problem's parts */
    WZ_PURPOSE_SIGN_FLIP = 14,
    WZ_PURPOSE_ADAPTER = 15, /* low-rank adapters */
    WZ_PURPOSE_SHUFFLE = 16, /* the order of supervised pairs in an epoch */
    WZ_PURPOSE_EPOCH = 17,   /* the order of a training set's problems in an epoch */
    WZ_PURPOSE_REPLAY = 18   /* which seen problems a step trains again */
} wz_purpose;

typedef struct wz_draw_key {
    uint64_t seed;
    uint32_t step;
    uint32_t problem; /* the problem's own index, never its slot in a batch */
    uint32_t token;   /* < 2^20 */
    uint32_t sample;  /* < 2^12 */
    uint32_t purpose; /* wz_purpose */
} wz_draw_key;

#define WZ_DRAW_LIMIT (1u << 24) /* draws of 128 bits per key */

/* Philox4x32 with 10 rounds. */
void wz_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

bool wz_draw_key_valid(const wz_draw_key *key);

/* Four 32-bit words: draw number `draw` (< WZ_DRAW_LIMIT) of a key. */
void wz_draw_words(const wz_draw_key *key, uint32_t draw, uint32_t out[4]);

/* Four words for one element of a tensor's initialisation. */
void wz_draw_init_words(uint64_t seed, uint32_t purpose, uint32_t tensor, uint64_t element, uint32_t out[4]);

/* Uniform in (0, 1): (word + 0.5) / 2^32, in double. */
double wz_uniform(uint32_t word);

/* Two independent standard normals from four words (Box-Muller on 2 x 53-bit uniforms). */
void wz_normal_pair(const uint32_t words[4], double out[2]);

#endif
