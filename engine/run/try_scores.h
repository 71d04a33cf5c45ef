/* The held-out score against the number of tries: of a policy's candidates, and of as many random decisions; and what thinking
 * took. */
#ifndef WZ_RUN_TRY_SCORES_H
#define WZ_RUN_TRY_SCORES_H

#include "engine/run/score.h"

typedef struct wz_try_tally wz_try_tally;

/* tries: candidates of a completion, at most. */
wz_status wz_try_tally_create(int64_t tries, int64_t problems, wz_try_tally **out, wz_error *err);
void wz_try_tally_destroy(wz_try_tally *tally);
/* The candidates of the first completion of group g, which is evaluation problem number `place`. */
wz_status wz_try_tally_take(wz_try_tally *tally, const wz_batch *batch, int64_t g, int64_t place,
                            uint64_t seed, wz_error *err);
/* like: problems, references, field algorithm and seed. */
wz_status wz_try_tally_score(const wz_try_tally *tally, const wz_score_input *like, wz_try_scores *out,
                             wz_error *err);

/* Adds up the completions of a batch, which is one pack; at the end, means over so many completions. */
void wz_thought_add(wz_thought_scores *scores, const wz_batch *batch);
void wz_thought_finish(wz_thought_scores *scores, int64_t completions);

#endif
