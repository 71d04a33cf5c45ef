/* A run's state between two steps: everything resume needs to go on to the same bytes. */
#ifndef WZ_RUN_SNAPSHOT_H
#define WZ_RUN_SNAPSHOT_H

#include "checkpoints/checkpoint.h"
#include "engine/core/digest.h"
#include "engine/grpo/curriculum.h"
#include "engine/grpo/entropy.h"
#include "engine/grpo/trainer.h"
#include "engine/rollout/policy.h"
#include "engine/run/config.h"
#include "engine/run/events.h"

/* Groups of tensors of a checkpoint, beside "weights", "adam_m" and "adam_v". */
#define WZ_REFERENCE_GROUP "reference"
#define WZ_AVERAGE_GROUP "average"

typedef struct wz_snapshot {
    int64_t step;    /* steps done */
    int64_t updates; /* optimiser updates done */
    size_t parts;    /* of the mixture */
    wz_curriculum curricula[WZ_MIXTURE_MAX];
    double best_score;                         /* best validation ratio so far; below 0: none */
    double tokens;                             /* num_tokens so far */
    uint64_t metrics_bytes, completions_bytes; /* lengths of the logs */
    uint64_t table_bytes;                      /* of metrics.csv */
    wz_events_mark events;
    bool has_entropy; /* use_adaptive_entropy: its coefficient, where it stands */
    wz_entropy_control entropy;
    char pairs_digest[WZ_DIGEST_HEX]; /* of sft_file's pairs; "": none */
    char set_digest[WZ_DIGEST_HEX];   /* of train_set's problems; "": none */
    int64_t taken;                    /* of them, epoch after epoch */
    const wz_replay *replay;          /* to write; NULL or empty: nothing of it */
    const float *reference, *average; /* to write: further groups of weights, on the backend; NULL: none */
} wz_snapshot;

/* Writes weights (of a policy with adapters these alone, and what base they stand on), AdamW moments (with_optimiser), the
 * reference's and averaged weights where the snapshot has them, configuration, tokenizer and state to path. environment: JSON
 * text of where the run happened. */
wz_status wz_snapshot_write(const char *path, const wz_snapshot *snapshot, const wz_policy *policy,
                            const wz_config *config, const char *environment, bool with_optimiser,
                            wz_error *err);

/* The text "state" of a checkpoint, as wz_snapshot_write writes it. */
wz_status wz_snapshot_write_state(const wz_snapshot *snapshot, const wz_config *config, wz_text *out,
                                  wz_error *err);

/* The state alone; weights, moments and further groups (WZ_REFERENCE_GROUP, WZ_AVERAGE_GROUP) come by
 * wz_policy_from_checkpoint and wz_read_tensors. */
wz_status wz_snapshot_read(wz_checkpoint *checkpoint, const char *path, wz_snapshot *snapshot, wz_error *err);

/* The text WZ_POOL_TEXT of a checkpoint. */
#define WZ_POOL_TEXT "pool"
wz_status wz_snapshot_write_pool(const wz_replay *replay, wz_text *out, wz_error *err);
/* The pool of problems that the checkpoint holds, into one of a trainer with these settings. */
wz_status wz_snapshot_read_pool(wz_checkpoint *checkpoint, const char *path,
                                const wz_trainer_options *options, wz_replay *replay, wz_error *err);

/* WZ_ERR_USAGE when the checkpoint's policy learned another text of a task than this build prints. config: the
 * checkpoint's. */
wz_status wz_snapshot_check_text(wz_checkpoint *checkpoint, const char *path, const wz_config *config,
                                 wz_error *err);

#endif
