/* Completions that are given, not sampled: laid out as a rollout would have done, had it drawn these tokens. */
#ifndef WZ_ROLLOUT_GIVEN_H
#define WZ_ROLLOUT_GIVEN_H

#include "engine/rollout/pack.h"
#include "engine/text/grammar.h"

/* Gives an empty completion of the pack its tokens (at most completion_stride): rows, and a decision for each token that was
 * one of several allowed, with logp and entropy 0; without a grammar, for each. With `teaches`, a lesson for each token, too.
 * No forward pass. A completion that the grammar does not admit whole is WZ_ERR_RUNTIME. */
wz_status wz_pack_give(wz_pack *pack, int64_t completion, const uint32_t *tokens, int64_t count,
                       wz_grammar_set *grammar, wz_grammar_state start, bool teaches, wz_error *err);

#endif
