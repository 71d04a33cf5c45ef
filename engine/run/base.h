/* The base of a policy with adapters: the checkpoint that has its frozen weights.
 *
 * Checkpoints of such a run hold the adapters and their moments alone, and a text "base": the base's file and the digest of
 * its weights, {"file": ..., "weights": ...}. The file is the one that init_from named, by its full path; or, where no
 * checkpoint has these weights (they were random, or another run's with its adapters folded in), base.h5 beside the run's
 * checkpoints, which the run writes once. A base that is not where the text says is looked for beside the checkpoint, and taken
 * only if its weights have the digest. */
#ifndef WZ_RUN_BASE_H
#define WZ_RUN_BASE_H

#include "checkpoints/checkpoint.h"
#include "engine/rollout/policy.h"
#include "engine/run/rundir.h"
#include "engine/run/snapshot.h"

#define WZ_BASE_TEXT "base"
#define WZ_BASE_NAME "base.h5"

/* Appends the text. */
wz_status wz_base_write(const wz_policy *policy, wz_text *out, wz_error *err);
/* Opens the base that a checkpoint of adapters names; file and digest as its text has them. WZ_ERR_USAGE: it is not there;
 * WZ_ERR_CORRUPT: it has other weights. */
wz_status wz_base_open(wz_checkpoint *adapters, wz_checkpoint **out, char file[WZ_BASE_PATH_MAX],
                       char digest[33], wz_error *err);
/* A policy whose frozen weights are those of this checkpoint names it as its base. */
wz_status wz_base_set(wz_policy *policy, wz_checkpoint *base, wz_error *err);
/* Writes base.h5 where the policy has adapters and no base. */
wz_status wz_base_keep(wz_policy *policy, const wz_rundir *directory, const wz_config *config,
                       const wz_snapshot *state, const char *environment, wz_error *err);

#endif
