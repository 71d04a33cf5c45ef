/* Reading the answer out of a completion: the strict part of every verifier.
 *
 * Frames. Compact prompts end with "<answer>", so the completion is " 1 0 1</answer>": each number (or word)
 * after exactly one space, then the tag, then nothing. Full prompts end with "<think>", so the completion is
 * "...</think><answer>1 0 1</answer>", or "\boxed{1, 0, 1}" without answer tags; numbers may be separated by
 * white space or single commas, and white space may follow.
 * A number is plain decimal digits without sign, point, exponent or leading zero; nothing goes through
 * strtod, so no locale, hex, nan or inf can enter. Bytes are counted, so a NUL is one more bad byte. */
#ifndef WZ_REWARDS_ANSWER_H
#define WZ_REWARDS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "rewards/verifier.h"

/* The bytes between the tags; borrowed from the completion. */
typedef struct wz_answer {
    const char *text;
    size_t length;
} wz_answer;

/* Finds the one answer of a completion. False: verdict->kind and ->reason say why there is none. */
bool wz_answer_find(wz_prompt_style style, const char *completion, size_t length, wz_answer *out,
                    wz_verdict *verdict);

/* Where a completion thinks first, after a prompt that ends with "<think>": the rest after the first "</think>", and in a
 * compact frame after the "<answer>" that follows at once. What stands in the thinking is no answer, whatever its tags. False:
 * verdict says what is missing. */
bool wz_answer_skip_thinking(wz_prompt_style style, const char **completion, size_t *length,
                             wz_verdict *verdict);

/* Reads exactly the words of a form into values (form->count), in the style's way. False: verdict says what is wrong with
 * which of them (one that is no word of the form before a wrong length before a number out of range). */
bool wz_answer_read(const wz_answer_form *form, wz_prompt_style style, const wz_answer *answer,
                    unsigned *values, wz_verdict *verdict);

#endif
