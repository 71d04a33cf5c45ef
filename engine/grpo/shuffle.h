/* The order of an epoch. */
#ifndef WZ_GRPO_SHUFFLE_H
#define WZ_GRPO_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/philox.h"

/* order [count]: a random permutation of 0 .. count - 1, by Fisher and Yates; a function of (seed, purpose, epoch), so that
 * no order need ever be saved. count < 2^32. */
void wz_shuffle(uint64_t seed, wz_purpose purpose, uint32_t epoch, uint32_t *order, size_t count);

#endif
