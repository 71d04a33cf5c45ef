#include "engine/core/fletcher32.h"

#include <string.h>

#define LANES 16
/* Vectors whose second sums stay below 2^32: 65535 n (n - 1) / 2. */
#define VECTORS 360

typedef uint16_t words __attribute__((vector_size(2 * LANES)));
typedef uint32_t sums __attribute__((vector_size(4 * LANES)));

/* first: the sum of the words; second: the sum over words of the words up to and with it. Both as HDF5 folds them. */
typedef struct fletcher {
    uint64_t first, second;
} fletcher;

/* 0 stays 0, all else is in 1..65535: what adding the upper half to the lower one ends in. */
static uint64_t fold(uint64_t sum)
{
    return sum == 0 ? 0 : (sum - 1) % 65535 + 1;
}

/* Words as the machine reads them, little-endian: swapping the bytes of a word is a product with 256 modulo 65535, so that
 * the finished sums are swapped in place of every word. */
static void add_words(fletcher *f, const unsigned char *at, size_t count)
{
    uint64_t first = 0, second = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t word;
        memcpy(&word, at + 2 * i, sizeof word);
        first += word;
        second += first;
    }
    f->second = fold(f->second + f->first * count + second);
    f->first = fold(f->first + first);
}

/* At most VECTORS vectors. Lane l of `behind` sums the lane's words before each vector: word l of vector v counts
 * count - LANES v - l times in the second sum, (vectors - 1 - v) LANES times of them by `behind`. */
static void add_vectors(fletcher *f, const unsigned char *at, size_t vectors)
{
    sums first = {0}, behind = {0};
    uint64_t total = 0, second = 0;
    for (size_t v = 0; v < vectors; v++) {
        words here;
        memcpy(&here, at + v * sizeof here, sizeof here);
        behind += first;
        first += __builtin_convertvector(here, sums);
    }
    for (size_t l = 0; l < LANES; l++) {
        total += first[l];
        second += (uint64_t)behind[l] * LANES + (uint64_t)first[l] * (LANES - l);
    }
    f->second = fold(f->second + f->first * vectors * LANES + second);
    f->first = fold(f->first + total);
}

static uint32_t swap(uint64_t sum)
{
    return (uint32_t)((sum & 255) << 8 | sum >> 8);
}

uint32_t wz_fletcher32(const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    fletcher f = {0, 0};
    size_t left = length / 2;
    while (left >= LANES) {
        const size_t vectors = left / LANES < VECTORS ? left / LANES : VECTORS;
        add_vectors(&f, at, vectors);
        at += 2 * vectors * LANES;
        left -= vectors * LANES;
    }
    add_words(&f, at, left);
    if (length % 2 != 0) {
        const unsigned char last[2] = {at[2 * left], 0};
        add_words(&f, last, 1);
    }
    return swap(f.second) << 16 | swap(f.first);
}
