/* The verifier's part in a rollout: candidates of a batch's problems, and what is said to them. */
#ifndef WZ_GRPO_TRIES_H
#define WZ_GRPO_TRIES_H

#include "engine/grpo/batch.h"

/* Of one pack. */
typedef struct wz_try_context {
    const wz_batch *batch;
    int64_t first_group;
} wz_try_context;

/* Grammar states of a group's candidates, and room for them in its bounds. */
wz_status wz_batch_add_tries(wz_batch *batch, int64_t group, wz_error *err);
/* Tokens of the longest reply that rewards/tries.h can give. */
wz_status wz_longest_reply(const wz_tokenizer *tokenizer, int64_t *out, wz_error *err);
/* As wz_insertion.ask, of a wz_try_context. */
wz_status wz_batch_reply(void *context, int64_t completion, const char *bytes, size_t length, wz_text *out,
                         bool *preferred, wz_error *err);

#endif
