/* What a checkpoint keeps of a model's numbers, read from the device some rows at a time: a run's memory has no room for a
 * second copy of weights and moments. */
#ifndef WZ_RUN_SNAPSHOT_TENSORS_H
#define WZ_RUN_SNAPSHOT_TENSORS_H

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/model/model.h"

#define WZ_SNAPSHOT_GROUPS 5 /* of tensors, at most */

/* A flat array of the model's parameters, under the name of a checkpoint's group. */
typedef struct wz_snapshot_group {
    wz_tensor_source base;
    const wz_model *model;
    const float *array;
} wz_snapshot_group;

typedef struct wz_snapshot_tensors {
    wz_checkpoint_tensor *items;
    size_t count;
    wz_snapshot_group groups[WZ_SNAPSHOT_GROUPS];
    size_t group_count;
    wz_stored_tensor *shapes; /* of every group */
} wz_snapshot_tensors;

/* The parameters that are kept: adapters where there are any, else all. out: {0}; clear it, also on failure. */
wz_status wz_snapshot_tensors_init(const wz_model *model, wz_snapshot_tensors *out, wz_error *err);
/* Adds a group; the array stays where it is until the checkpoint is written. Frozen matrices in bf16 are taken from the model
 * and stored so. */
void wz_snapshot_tensors_add(wz_snapshot_tensors *tensors, const wz_model *model, const char *group,
                             const float *array);
void wz_snapshot_tensors_clear(wz_snapshot_tensors *tensors);

#endif
