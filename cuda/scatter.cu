/* Scatter-add in a fixed order: the host sorts rows by target, so that each target has one owner on the device. */
#include <stdlib.h>

#include "cuda/cuda_backend.h"

/* Bits of a target that one round sorts by: two rounds for vocabularies below four million. */
#define DIGIT 11

typedef struct entry {
    int32_t target, row;
} entry;

static uint32_t digit_of(const entry *e, int shift)
{
    return (uint32_t)e->target >> shift & ((1u << DIGIT) - 1);
}

/* Digit by digit, the lowest first; entries of one digit stay in order, so those of one target do. Returns the one of the two
 * arrays that the result is in. */
static const entry *sort_by_target(entry *from, entry *to, int64_t count)
{
    uint32_t bits = 0;
    for (int64_t k = 0; k < count; k++)
        bits |= (uint32_t)from[k].target;
    for (int shift = 0; shift < 32 && bits >> shift != 0; shift += DIGIT) {
        int32_t place[(1 << DIGIT) + 1] = {0}; /* of each digit's next entry */
        for (int64_t k = 0; k < count; k++)
            place[digit_of(&from[k], shift) + 1]++;
        for (int d = 0; d < 1 << DIGIT; d++)
            place[d + 1] += place[d];
        for (int64_t k = 0; k < count; k++)
            to[place[digit_of(&from[k], shift)]++] = from[k];
        entry *const sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

/* lists [3 count + 1]: the rows in order, where each target's begin, the targets; returns how many targets there are. */
static int64_t list_targets(const entry *sorted, int64_t count, int32_t *lists)
{
    int64_t targets = 0;
    for (int64_t k = 0; k < count; k++) {
        lists[k] = sorted[k].row;
        if (k == 0 || sorted[k].target != sorted[k - 1].target)
            lists[count + targets++] = (int32_t)k;
    }
    lists[count + targets] = (int32_t)count;
    for (int64_t t = 0; t < targets; t++)
        lists[count + targets + 1 + t] = sorted[lists[count + t]].target;
    return targets;
}

bool cuda_make_scatter(cuda_backend *cuda, const int32_t *to, const int32_t *list, int64_t count,
                       cuda_scatter *out)
{
    wz_error err = {{0}};
    void *block = NULL;
    *out = cuda_scatter{0, NULL, NULL, NULL};
    if (count == 0)
        return true;
    const size_t bytes = (size_t)count * 2 * sizeof(entry) + (size_t)(3 * count + 1) * sizeof(int32_t);
    const wz_status status = wz_alloc(&block, bytes, 1, "a scatter", &err);
    if (status != WZ_OK) {
        cuda_fail(cuda, status, &err);
        return false;
    }
    entry *entries = (entry *)block;
    int32_t *lists = (int32_t *)(entries + 2 * count);
    for (int64_t k = 0; k < count; k++) {
        const int32_t row = list != NULL ? list[k] : (int32_t)k;
        entries[k] = entry{to[row], row};
    }
    const int64_t targets = list_targets(sort_by_target(entries, entries + count, count), count, lists);
    const int32_t *there = cuda_stage(cuda, lists, count + 2 * targets + 1, "a scatter");
    free(block);
    if (there == NULL)
        return false;
    *out = cuda_scatter{targets, there + count + targets + 1, there + count, there};
    return true;
}

bool cuda_find_scatter(cuda_backend *cuda, const int32_t *to, int64_t rows, const int32_t *list,
                       int64_t count, cuda_scatter *out)
{
    const cuda_recipe recipe = {
        CUDA_SCATTER,
        {count, list != NULL},
        {{to, (size_t)rows * sizeof(int32_t)}, {list, list != NULL ? (size_t)count * sizeof(int32_t) : 0}}};
    return cuda_once(cuda, recipe, out, [&] { return cuda_make_scatter(cuda, to, list, count, out); });
}
