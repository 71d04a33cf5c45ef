/* Scatter-add in a fixed order: the host sorts rows by target, so that each target has one owner on the device. */
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda_backend.h"

typedef struct entry {
    int32_t target;
    int32_t place; /* in the caller's order */
} entry;

static int by_target_then_place(const void *a, const void *b)
{
    const entry *x = (const entry *)a, *y = (const entry *)b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

bool cuda_make_scatter(cuda_backend *cuda, const int32_t *to, const int32_t *list, int64_t count,
                       cuda_scatter *out)
{
    wz_error err = {{0}};
    void *block = NULL, *lists = NULL;
    *out = cuda_scatter{0, NULL, NULL, NULL};
    if (count == 0)
        return true;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(entry), "a scatter", &err);
    if (status == WZ_OK)
        status = wz_alloc(&lists, (size_t)(3 * count + 1), sizeof(int32_t), "a scatter", &err);
    if (status == WZ_OK) {
        entry *entries = (entry *)block;
        int32_t *target = (int32_t *)lists, *begin = target + count, *order = begin + count + 1;
        for (int64_t k = 0; k < count; k++)
            entries[k] = entry{to[list != NULL ? list[k] : k], (int32_t)k};
        qsort(entries, (size_t)count, sizeof *entries, by_target_then_place);
        for (int64_t k = 0; k < count; k++) {
            if (k == 0 || entries[k].target != entries[k - 1].target) {
                target[out->targets] = entries[k].target;
                begin[out->targets++] = (int32_t)k;
            }
            order[k] = list != NULL ? list[entries[k].place] : entries[k].place;
        }
        begin[out->targets] = (int32_t)count;
        if (!cuda_stage_room(cuda, scatter_room(count), "a scatter"))
            out->targets = 0;
        out->target = cuda_stage(cuda, target, out->targets, "a scatter's targets");
        out->begin = cuda_stage(cuda, begin, out->targets + 1, "a scatter's lists");
        out->order = cuda_stage(cuda, order, count, "a scatter's rows");
    } else {
        cuda_fail(cuda, status, &err);
    }
    free(block);
    free(lists);
    return status == WZ_OK && out->target != NULL && out->begin != NULL && out->order != NULL;
}
