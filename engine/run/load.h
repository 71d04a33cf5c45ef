/* From configuration or checkpoint to a policy in memory. */
#ifndef WZ_RUN_LOAD_H
#define WZ_RUN_LOAD_H

#include <stdio.h>

#include "checkpoints/checkpoint.h"
#include "engine/rollout/policy.h"
#include "engine/run/config.h"

/* The backend that config->device asks for, of config->precision on a GPU; the CPU computes in fp32. auto: a GPU where this
 * build and machine have one, else the CPU; *note (may be NULL) says what was chosen and why. */
/* Starts verifier_command, if there is one. */
wz_status wz_open_verifier(const wz_config *config, wz_error *err);
wz_status wz_open_backend(const wz_config *config, wz_backend **out, wz_text *note, wz_error *err);
/* The same for commands without a run: with device: auto, the note goes to log, as a line. */
wz_status wz_open_backend_for_command(const wz_config *config, FILE *log, wz_backend **out, wz_error *err);
/* Bytes a run may use: memory_limit_gb, or what the device has free now; UINT64_MAX: nobody knows. */
uint64_t wz_run_memory(const wz_config *config, const wz_backend *backend);

/* "fp32" or "bf16": what a backend computes in. */
const char *wz_precision_name(const wz_backend *backend);

/* A policy with random weights, or with those of init_from. WZ_ERR_USAGE where config asks for bf16 and the
 * backend has none.  model.vocab_size 0 is set to the tokenizer's. */
wz_status wz_policy_from_config(wz_config *config, wz_backend *backend, wz_policy **out, wz_error *err);

/* A policy of these weights, with the configuration's grammar, end tokens, chat template and thinking; takes over both, also on
 * failure. */
wz_status wz_policy_make(const wz_config *config, wz_model *model, wz_tokenizer *tokenizer, wz_policy **out,
                         wz_error *err);

/* Budget and tries of a policy that was made already, as the configuration has them now. */
wz_status wz_policy_set_thinking(const wz_config *config, wz_policy *policy, wz_error *err);

/* Makes a policy that was made already decode without its grammar, and so without candidates, which log is told of. */
wz_status wz_policy_set_free(wz_config *config, wz_policy *policy, FILE *log, wz_error *err);

/* The configuration a checkpoint carries. is_own: of a run of the user's, whose task_library is loaded again; any other
 * checkpoint may come from anybody. */
wz_status wz_config_from_checkpoint(wz_checkpoint *checkpoint, const char *path, bool is_own,
                                    wz_config *config, wz_error *err);

/* The policy a checkpoint carries; config is that of the checkpoint, perhaps changed. Where it asks for adapters and the
 * checkpoint has none, new ones stand on its weights (base.h). training: gradients and AdamW moments
 * are allocated too. */
wz_status wz_policy_from_checkpoint(wz_checkpoint *checkpoint, const wz_config *config, wz_backend *backend,
                                    bool training, wz_policy **out, wz_error *err);

/* The same without weights: what asks for none of them (wz_model_describe). config: as the checkpoint's, without adapters. */
wz_status wz_policy_without_weights(wz_checkpoint *checkpoint, const wz_config *config, wz_backend *backend,
                                    wz_policy **out, wz_error *err);

/* A policy to train whose weights are those of a checkpoint of adapters (source: its configuration) with these folded in; with
 * new adapters where config asks for them. No checkpoint has these weights. */
wz_status wz_policy_from_adapters(wz_checkpoint *checkpoint, const wz_config *source, const wz_config *config,
                                  wz_backend *backend, wz_policy **out, wz_error *err);

/* Reads of a group ("adam_m", "adam_v") what is trained, into a flat array laid out as the model's. */
wz_status wz_read_tensors(wz_checkpoint *checkpoint, const wz_model *model, const char *group, float *flat,
                          wz_error *err);

/* Checkpoint to policy for `eval` and `generate`: the checkpoint's configuration with `key=value` overrides, its backend
 * and its weights alone; log as above. What was created stays the caller's to free, also on failure. */
wz_status wz_load_for_inference(const char *path, const char *const *overrides, size_t override_count,
                                FILE *log, wz_config *config, wz_backend **backend, wz_policy **policy,
                                wz_error *err);

/* The same where the weights are only copied: *weights is the checkpoint, to be read as they are asked for and closed by the
 * caller, and the policy has none. NULL, and all as above, where they are not in the checkpoint as the policy has them: with
 * adapters, an average, or frozen_dtype. */
wz_status wz_load_for_copying(const char *path, const char *const *overrides, size_t override_count,
                              FILE *log, wz_config *config, wz_backend **backend, wz_policy **policy,
                              wz_checkpoint **weights, wz_error *err);

#endif
