/* Decoding that the device drives (engine/backend/decode.h): all of a pack's tokens in one go. */
#ifndef WZ_ROLLOUT_DECODE_H
#define WZ_ROLLOUT_DECODE_H

#include "engine/rollout/rollout.h"

/* What the device drew. */
typedef struct wz_decoded {
    wz_sample_result
        *result;  /* [decisions][completions]: decision number d of each completion, as far as it got */
    int64_t rows; /* of the pack's activations */
} wz_decoded;

/* Decodes the completions of a pack whose prompts' rows are computed. out->result NULL: the host must drive this one,
 * because the backend has no such decoding, the sampling rule cuts, or the grammar does not fit into tables. Else the
 * rows that rollout adds to the pack are in the activations already; free with free(). */
wz_status wz_decode_pack(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                         const wz_grammar_state *start, const wz_rollout_options *options, wz_decoded *out,
                         wz_error *err);

/* What decoding a pack takes of that at most, where the device drives it; start as above. *out becomes the larger of what it
 * was and that. */
wz_status wz_decode_add_bounds(const wz_model *model, const wz_grammar_state *start, const wz_pack *pack,
                               const wz_rollout_options *options, wz_decode_bounds *out, wz_error *err);

#endif
