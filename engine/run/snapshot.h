/* A run's state between two steps: everything resume needs to go on to the same bytes. */
#ifndef WZ_RUN_SNAPSHOT_H
#define WZ_RUN_SNAPSHOT_H

#include "checkpoints/checkpoint.h"
#include "engine/grpo/curriculum.h"
#include "engine/rollout/policy.h"
#include "engine/run/config.h"

typedef struct wz_snapshot {
    int64_t step;    /* steps done */
    int64_t updates; /* optimiser updates done */
    size_t parts;    /* of the mixture */
    wz_curriculum curricula[WZ_MIXTURE_MAX];
    double best_score;                         /* best validation ratio so far; below 0: none */
    double tokens;                             /* num_tokens so far */
    uint64_t metrics_bytes, completions_bytes; /* lengths of the logs */
} wz_snapshot;

/* Writes weights, AdamW moments (with_optimiser), configuration, tokenizer and state to path. environment: JSON text of
 * where the run happened. */
wz_status wz_snapshot_write(const char *path, const wz_snapshot *snapshot, const wz_policy *policy,
                            const wz_config *config, const char *environment, bool with_optimiser,
                            wz_error *err);

/* The state alone; weights and moments come by wz_policy_from_checkpoint and wz_read_tensors. */
wz_status wz_snapshot_read(wz_checkpoint *checkpoint, const char *path, wz_snapshot *snapshot, wz_error *err);

/* WZ_ERR_USAGE when the checkpoint's policy learned another text of a task than this build prints. config: the
 * checkpoint's. */
wz_status wz_snapshot_check_text(wz_checkpoint *checkpoint, const char *path, const wz_config *config,
                                 wz_error *err);

#endif
