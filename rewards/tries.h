/* Candidates that a policy has judged while it thinks, and how they are written:
 *
 *     " try A b C score 563 best try A b c score 541</think><answer> A b C</answer>"
 *
 * After " score" stands what the verifier says: a whole number, or "none" of an infeasible candidate, and "best" where the
 * number is higher than all before it. With f the objective of the candidate and f0 that of the best trivial policy on the
 * problem (1 where no trivial policy is worth anything), the number is 1000 f / (f + f0), rounded to the nearest and at most
 * 999: 500 is as good as the best trivial policy. Whoever reads the problem can compute f and f0; the optimum is in neither. */
#ifndef WZ_REWARDS_TRIES_H
#define WZ_REWARDS_TRIES_H

#include "rewards/verifier.h"

#define WZ_TRY_LEAD " try"
#define WZ_TRY_STOP " score"
#define WZ_TRY_NUMBERS 1000 /* 0 .. 999 */

/* Appends patterns (engine/text/grammar.h dialect) of one candidate, and of another one or the closing of the thinking with
 * the opening of the answer. */
wz_status wz_try_patterns(const wz_problem *problem, wz_prompt_style style, wz_text *first, wz_text *more,
                          wz_error *err);

/* Appends the reply with a number, or of an infeasible candidate (number < 0). */
wz_status wz_try_write(int number, bool is_best, wz_text *out, wz_error *err);
/* The number of an outcome; -1: infeasible. */
int wz_try_number(const wz_outcome *outcome, const wz_reference *reference);

/* Appends the reply to the candidate that the text so far ends with. *is_best: its number is higher than all before it, so
 * the first is unless it is infeasible. */
wz_status wz_try_reply(const wz_verifier *verifier, const wz_problem *problem, const wz_reference *reference,
                       wz_prompt_style style, const char *text, size_t length, wz_text *out, bool *is_best,
                       wz_error *err);

/* What the candidates of a completion are worth, in order; at most `room` of them. */
wz_status wz_try_outcomes(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
                          const char *completion, size_t length, wz_outcome *out, size_t room, size_t *count,
                          wz_error *err);

#endif
