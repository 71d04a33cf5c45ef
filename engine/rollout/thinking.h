/* Thinking: a part of the completion before its answer. The prompt ends with "<think>".
 *
 * With a budget, the part is sampled from every token until its bytes contain "</think>", however the vocabulary writes
 * that, or until `budget` tokens are sampled, when "</think>" is appended. An end-of-text token among them ends the
 * completion without an answer: leaving it out of the set would cost every other token its place in the whole-vocabulary
 * head, and a policy that ends its text should learn what that earns.
 *
 * With tries, the part is a list of candidates, each under a grammar: the lead, an answer's body, the stop. At each stop the
 * engine asks from above what to append (what the candidate is worth, say); then the policy tries another one, at most
 * `tries` in all, or closes the part. The answer is the candidate that was preferred from above, or, if the policy
 * `chooses`, the one that it chooses, token by token.
 *
 * Under a grammar "<answer>" is then appended and the answer follows; without one, all that follows is sampled freely.
 *
 * What re-encoding gives: the answer's tokens are the tokenizer's own, as ever, and with tries the whole completion's are.
 * A free part is any sequence of tokens: its text, encoded, may be another one, up to the "<answer>" that follows. */
#ifndef WZ_ROLLOUT_THINKING_H
#define WZ_ROLLOUT_THINKING_H

#include "engine/text/grammar.h"
#include "engine/text/tokenizer.h"

#define WZ_TRIES_MAX 16

typedef struct wz_thinking_options {
    int64_t budget;          /* free tokens, at most; 0: none */
    int64_t tries;           /* candidates, at most; 0: none. Either of the two is 0 */
    bool chooses;            /* the policy chooses which candidate is the answer */
    const char *separator;   /* between "</think>" and "<answer>" */
    const char *lead, *stop; /* of a candidate: " try", " score" */
} wz_thinking_options;

typedef struct wz_thinking {
    const wz_tokenizer *tokenizer;
    int64_t budget, tries;
    bool chooses;
    wz_ids close;           /* "</think>" */
    wz_ids open;            /* separator and "<answer>" */
    wz_ids close_open;      /* both, encoded as one text */
    wz_ids lead, stop, end; /* end: "</answer>" */
} wz_thinking;

/* Fails where the tokenizer cannot write the tags as text. */
wz_status wz_thinking_create(const wz_tokenizer *tokenizer, const wz_thinking_options *options,
                             wz_thinking *out, wz_error *err);
void wz_thinking_clear(wz_thinking *thinking);
static inline bool wz_thinking_on(const wz_thinking *thinking)
{
    return thinking->budget > 0 || thinking->tries > 0;
}
/* Tokens that come before an answer's first, at most; of tries, those of the candidates are not counted. */
int64_t wz_thinking_overhead(const wz_thinking *thinking);

/* Where a group's candidates begin in the grammar. */
typedef struct wz_try_states {
    wz_grammar_state first; /* lead, body, stop */
    wz_grammar_state more;  /* the same, or "</think>", separator, "<answer>" */
} wz_try_states;

/* Who is asked at a stop: the text of completion number `completion` of the pack so far -> what to append, and whether this
 * candidate is preferred to those before it; a pure function of both. */
typedef struct wz_insertion {
    wz_status (*ask)(void *context, int64_t completion, const char *bytes, size_t length, wz_text *out,
                     bool *preferred, wz_error *err);
    void *context;
    int64_t longest; /* tokens it appends, at most */
} wz_insertion;

#endif
