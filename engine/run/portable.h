/* Between policies and checkpoints here and models as other programs keep them. */
#ifndef WZ_RUN_PORTABLE_H
#define WZ_RUN_PORTABLE_H

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/rollout/policy.h"
#include "engine/run/config.h"

/* The policy as a portable model, whose tensors are views of its weights: the policy, which also lends the tokenizer,
 * outlives it. Adapters are folded into these, and beside them as they are. */
wz_status wz_portable_from_policy(const wz_policy *policy, wz_portable *out, wz_error *err);

/* The same of a policy without weights: they are read from the checkpoint, which outlives it, as they are asked for. */
wz_status wz_portable_from_checkpoint(const wz_policy *policy, wz_checkpoint *checkpoint, wz_portable *out,
                                      wz_error *err);
/* Parameters [first, end) of a model's table, adapters folded in; and all but the adapters, of a checkpoint. */
wz_status wz_portable_view(const wz_model *model, size_t first, size_t end, wz_tensor_source **out,
                           wz_error *err);
wz_status wz_portable_stream(const wz_model *model, wz_checkpoint *checkpoint, wz_tensor_source **out,
                             wz_error *err);

/* A policy with a portable model's weights, for inference; takes its tokenizer. config: model.* are set from it. */
wz_status wz_policy_from_portable(wz_portable *portable, wz_config *config, wz_backend *backend,
                                  wz_policy **out, wz_error *err);

/* Writes a checkpoint that train (init_from), eval and generate accept, reading tensors one after another: what it holds at
 * once is a part of one tensor. config: the rest of its configuration; model.* are set from the portable model. */
wz_status wz_portable_to_checkpoint(const wz_portable *portable, wz_config *config, const char *path,
                                    const wz_byte_count *bytes, wz_error *err);

/* What a checkpoint says of a model beside its weights, configuration and tokenizer: name, licence, base model, chat template,
 * generation settings; JSON, in the checkpoint's text "origin". */
wz_status wz_origin_write(const wz_portable *portable, wz_text *out, wz_error *err);
/* Into the fields of *portable it is about. name: of the file, in messages. */
wz_status wz_origin_read(const char *name, const char *json, size_t length, wz_portable *portable,
                         wz_error *err);

#endif
