#include "engine/rollout/given.h"

#include <assert.h>

/* The set that the next token is taken from: 0 without a grammar. */
static wz_status find_set(wz_pack *pack, wz_grammar_set *grammar, wz_grammar_state state, uint32_t *set,
                          bool *is_choice, wz_error *err)
{
    wz_mask mask = {0};
    *set = 0;
    *is_choice = true;
    if (grammar == NULL)
        return WZ_OK;
    wz_status status = wz_grammar_mask(grammar, state, &mask, err);
    if (status == WZ_OK)
        status = wz_pack_add_mask(pack, mask.tokens, mask.count, set, err);
    *is_choice = mask.count > 1;
    return status;
}

/* What the token is predicted from becomes rows, as in a rollout; then the decision. */
static wz_status decide(wz_pack *pack, int64_t c, uint32_t token, uint32_t set, wz_error *err)
{
    const int32_t place = pack->length[c];
    wz_pack_add_rows(pack, c, place);
    return wz_pack_add_decision(pack, c, wz_pack_site(pack, c, place), token, set, 0.0f, 0.0f, err);
}

wz_status wz_pack_give(wz_pack *pack, int64_t c, const uint32_t *tokens, int64_t count,
                       wz_grammar_set *grammar, wz_grammar_state start, bool teaches, wz_error *err)
{
    wz_grammar_state state = start;
    wz_status status = WZ_OK;
    assert(pack->length[c] == 0 && count <= pack->completion_stride);
    for (int64_t i = 0; status == WZ_OK && i < count; i++) {
        const int64_t at = c * pack->completion_stride + i;
        uint32_t set = 0;
        bool is_choice = true;
        status = find_set(pack, grammar, state, &set, &is_choice, err);
        if (status == WZ_OK && grammar != NULL)
            status = wz_grammar_step(grammar, state, tokens[i], &state, err);
        if (status == WZ_OK && is_choice)
            status = decide(pack, c, tokens[i], set, err);
        pack->tokens[at] = tokens[i];
        pack->origins[at] = (uint8_t)(is_choice ? WZ_ORIGIN_SAMPLED : WZ_ORIGIN_FORCED);
        pack->masks[at] = set;
        pack->length[c]++;
    }
    if (status == WZ_OK && grammar != NULL && !wz_grammar_accepts(grammar, state))
        return wz_fail(err, WZ_ERR_RUNTIME,
                       "a completion of %lld tokens ends where the answer grammar does not",
                       (long long)count);
    pack->finished[c] = status == WZ_OK;
    if (status != WZ_OK || !teaches)
        return status;
    wz_pack_add_rows(pack, c, pack->length[c] - 1);
    return wz_pack_teach(pack, c, err);
}
