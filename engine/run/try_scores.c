#include "engine/run/try_scores.h"

#include <stdlib.h>

#include "rewards/tries.h"

/* Of the best of the first k tries, [tries][problems] each. */
typedef struct contest {
    double *objective; /* 0: none was feasible */
    uint8_t *feasible, *optimal;
} contest;

struct wz_try_tally {
    int64_t tries, problems, made;
    contest policy, random;
    void *block;
};

static contest carve(double **numbers, uint8_t **flags, size_t cells)
{
    const contest out = {*numbers, *flags, *flags + cells};
    *numbers += cells;
    *flags += 2 * cells;
    return out;
}

wz_status wz_try_tally_create(int64_t tries, int64_t problems, wz_try_tally **out, wz_error *err)
{
    void *block = NULL;
    const size_t cells = (size_t)tries * (size_t)problems;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_try_tally), "an evaluation's tries", err);
    if (status != WZ_OK)
        return status;
    wz_try_tally *t = block;
    status = wz_alloc(&t->block, cells, 2 * (sizeof(double) + 2), "an evaluation's tries", err);
    if (status != WZ_OK) {
        free(t);
        return status;
    }
    double *numbers = t->block;
    uint8_t *flags = (uint8_t *)(numbers + 2 * cells);
    t->tries = tries;
    t->problems = problems;
    t->policy = carve(&numbers, &flags, cells);
    t->random = carve(&numbers, &flags, cells);
    *out = t;
    return WZ_OK;
}

void wz_try_tally_destroy(wz_try_tally *tally)
{
    if (tally != NULL)
        free(tally->block);
    free(tally);
}

static void put(const contest *c, int64_t at, const wz_outcome *outcome, const wz_reference *reference)
{
    c->feasible[at] = outcome->feasible;
    c->objective[at] = outcome->feasible ? outcome->objective : 0.0;
    c->optimal[at] = outcome->feasible && wz_is_optimum(reference, outcome->objective);
}

/* A completion that stopped early stays with what it has. */
wz_status wz_try_tally_take(wz_try_tally *t, const wz_batch *batch, int64_t g, int64_t place, uint64_t seed,
                            wz_error *err)
{
    wz_outcome outcomes[WZ_TRIES_MAX], best = {0}, random;
    const wz_text *text = &batch->completions[g * batch->generations];
    size_t count = 0;
    wz_status status = wz_try_outcomes(batch->verifiers[g], &batch->problems[g], batch->style, text->data,
                                       text->length, outcomes, (size_t)t->tries, &count, err);
    t->made += (int64_t)count;
    for (int64_t k = 0; status == WZ_OK && k < t->tries; k++) {
        const int64_t at = k * t->problems + place;
        if ((size_t)k < count && outcomes[k].feasible &&
            (!best.feasible || outcomes[k].objective > best.objective))
            best = outcomes[k];
        put(&t->policy, at, &best, &batch->references[g]);
        status = wz_random_best(batch->verifiers[g], &batch->problems[g], seed, (size_t)k + 1, &random, err);
        if (status == WZ_OK)
            put(&t->random, at, &random, &batch->references[g]);
    }
    return status;
}

static wz_status score(const contest *c, int64_t k, const wz_score_input *like, wz_score *out, wz_error *err)
{
    wz_score_input input = *like;
    const int64_t first = k * like->problems;
    input.objective = c->objective + first;
    input.feasible = c->feasible + first;
    input.optimal = c->optimal + first;
    input.valid = NULL;
    return wz_score_problems(&input, out, err);
}

wz_status wz_try_tally_score(const wz_try_tally *t, const wz_score_input *like, wz_try_scores *out,
                             wz_error *err)
{
    wz_status status = WZ_OK;
    out->tries = t->tries;
    out->made = (double)t->made / (double)t->problems;
    for (int64_t k = 0; status == WZ_OK && k < t->tries; k++) {
        status = score(&t->policy, k, like, &out->policy[k], err);
        if (status == WZ_OK)
            status = score(&t->random, k, like, &out->random[k], err);
    }
    return status;
}

void wz_thought_add(wz_thought_scores *scores, const wz_batch *batch)
{
    const wz_pack *pack = batch->packs[0];
    for (int64_t c = 0; c < pack->completions; c++) {
        scores->tokens += (double)pack->think_length[c];
        scores->cut += (double)pack->think_cut[c];
    }
}

void wz_thought_finish(wz_thought_scores *scores, int64_t completions)
{
    scores->tokens /= (double)completions;
    scores->cut /= (double)completions;
}
