#include "engine/rollout/thinking.h"

#include <stdlib.h>
#include <string.h>

#include "engine/rollout/rollout_internal.h"

static const char close_tag[] = "</think>", open_tag[] = "<answer>", end_tag[] = "</answer>";

/* ---- tokens of the frame ---- */

static wz_status encode(const wz_tokenizer *tokenizer, const char *text, wz_ids *out, wz_error *err)
{
    wz_text back = {0};
    const size_t length = strlen(text);
    wz_status status = wz_tokenizer_encode(tokenizer, text, length, false, out, err);
    if (status == WZ_OK)
        status = wz_tokenizer_decode(tokenizer, out->data, out->length, true, &back, err);
    if (status == WZ_OK && (back.length != length || memcmp(back.data, text, length) != 0))
        status = wz_fail(err, WZ_ERR_USAGE,
                         "thinking needs '%s' as text, which this tokenizer loses (is it a special token of "
                         "tokenizer.json? set \"special\": false there), or set thinking_budget: 0 and "
                         "verifier_tries: 0",
                         text);
    wz_text_clear(&back);
    return status;
}

wz_status wz_thinking_create(const wz_tokenizer *tokenizer, const wz_thinking_options *options,
                             wz_thinking *out, wz_error *err)
{
    wz_text open = {0}, both = {0};
    *out = (wz_thinking){.tokenizer = tokenizer,
                         .budget = options->budget,
                         .tries = options->tries,
                         .chooses = options->chooses};
    wz_status status = wz_text_printf(&open, err, "%s%s", options->separator, open_tag);
    if (status == WZ_OK)
        status = wz_text_printf(&both, err, "%s%s", close_tag, open.data);
    if (status == WZ_OK)
        status = encode(tokenizer, close_tag, &out->close, err);
    if (status == WZ_OK)
        status = encode(tokenizer, open.data, &out->open, err);
    if (status == WZ_OK)
        status = encode(tokenizer, both.data, &out->close_open, err);
    if (status == WZ_OK)
        status = encode(tokenizer, end_tag, &out->end, err);
    if (status == WZ_OK && options->tries > 0)
        status = encode(tokenizer, options->lead, &out->lead, err);
    if (status == WZ_OK && options->tries > 0)
        status = encode(tokenizer, options->stop, &out->stop, err);
    wz_text_clear(&open);
    wz_text_clear(&both);
    if (status != WZ_OK)
        wz_thinking_clear(out);
    return status;
}

void wz_thinking_clear(wz_thinking *thinking)
{
    wz_ids *const all[] = {&thinking->close, &thinking->open, &thinking->close_open,
                           &thinking->lead,  &thinking->stop, &thinking->end};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        wz_ids_clear(all[i]);
    *thinking = (wz_thinking){0};
}

int64_t wz_thinking_overhead(const wz_thinking *t)
{
    if (!wz_thinking_on(t))
        return 0;
    const size_t apart = t->close.length + t->open.length, joined = t->close_open.length;
    return t->budget + (int64_t)(apart > joined ? apart : joined);
}

/* ---- one completion's thinking ---- */

typedef enum phase {
    FREE,     /* sampled from every token */
    TRYING,   /* a segment under the grammar: a candidate, or the closing */
    CHOOSING, /* the answer, one of the candidates */
    DONE
} phase;

/* Tokens of a candidate's body. */
typedef struct span {
    int32_t first, count;
} span;

typedef struct wz_thought {
    phase phase;
    size_t matched;           /* bytes of "</think>" that the text ends with */
    int32_t segment;          /* place of the segment's, or the answer's, first token */
    int32_t tries, preferred; /* the latter: number of a candidate */
    span candidates[WZ_TRIES_MAX];
} wz_thought;

wz_status wz_thoughts_create(wz_rollout *r, wz_error *err)
{
    void *block = NULL;
    const wz_thinking *thinking = r->options->thinking;
    if (thinking == NULL)
        return WZ_OK;
    const wz_status status =
        wz_alloc(&block, (size_t)r->pack->completions, sizeof(wz_thought), "thinking", err);
    r->thoughts = block;
    for (int64_t c = 0; status == WZ_OK && c < r->pack->completions; c++) {
        r->thoughts[c].phase = thinking->tries > 0 ? TRYING : FREE;
        if (thinking->tries > 0)
            r->state[c] = r->options->tries[c / r->pack->generations].first;
    }
    return status;
}

bool wz_thinks(const wz_rollout *r, int64_t c)
{
    return r->thoughts != NULL && r->thoughts[c].phase != DONE;
}

static bool is_full(const wz_rollout *r, int64_t c)
{
    return r->pack->length[c] >= r->options->max_completion_length;
}

static const uint32_t *tokens_of(const wz_rollout *r, int64_t c)
{
    return r->pack->tokens + c * r->pack->completion_stride;
}

/* Appends tokens as far as the length limit. teaches: each is a place of the grammar, with a set of its own; those that only
 * the budget or the verifier asks for are not. */
static wz_status append_all(wz_rollout *r, int64_t c, const wz_ids *ids, wz_origin origin, bool teaches,
                            wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < ids->length && !is_full(r, c); i++) {
        uint32_t set = 0;
        if (teaches)
            status = wz_pack_add_mask(r->pack, &ids->data[i], 1, &set, err);
        if (status == WZ_OK)
            wz_rollout_append(r, c, ids->data[i], set, origin);
    }
    return status;
}

/* ---- free thinking ---- */

/* Goes on with the search for "</think>", whose first byte does not come again in it. */
static void match(wz_thought *t, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && t->matched < sizeof close_tag - 1; i++)
        t->matched = bytes[i] == close_tag[t->matched] ? t->matched + 1 : bytes[i] == close_tag[0];
}

static bool ends_text(const wz_rollout *r, uint32_t token, const char *bytes, size_t length)
{
    if (length == sizeof end_tag - 1 && memcmp(bytes, end_tag, length) == 0)
        return false; /* ends an answer, not the text */
    for (size_t i = 0; i < r->options->end_token_count; i++)
        if (token == r->options->end_tokens[i])
            return true;
    return false;
}

wz_status wz_thought_take(wz_rollout *r, int64_t c, uint32_t token, wz_error *err)
{
    wz_thought *t = &r->thoughts[c];
    const wz_tokenizer *tokenizer = r->options->thinking->tokenizer;
    size_t length = 0;
    if (t->phase == TRYING)
        return wz_grammar_step(r->grammar, r->state[c], token, &r->state[c], err);
    if (t->phase != FREE)
        return WZ_OK;
    r->pack->think_length[c] = r->pack->length[c];
    const char *bytes = wz_tokenizer_token_bytes(tokenizer, token, &length);
    if (ends_text(r, token, bytes, length)) {
        r->pack->finished[c] = 1;
        r->going[c] = 0;
        t->phase = DONE;
    } else if (!wz_tokenizer_is_special(tokenizer, token)) /* special tokens are no text */
        match(t, bytes, length);
    return WZ_OK;
}

/* The closing that is not there yet; then the answer. */
static wz_status close_free(wz_rollout *r, int64_t c, bool closed, wz_error *err)
{
    const wz_thinking *thinking = r->options->thinking;
    wz_status status = WZ_OK;
    r->thoughts[c].phase = DONE;
    r->pack->think_cut[c] = !closed;
    if (r->grammar == NULL)
        return closed ? WZ_OK : append_all(r, c, &thinking->close, WZ_ORIGIN_FORCED, false, err);
    if (closed)
        status = append_all(r, c, &thinking->open, WZ_ORIGIN_FORCED, true, err);
    else
        status = append_all(r, c, &thinking->close_open, WZ_ORIGIN_FORCED, false, err);
    r->state[c] = r->start[c / r->pack->generations];
    return status;
}

/* ---- tries ---- */

/* Asks what a candidate is worth, and appends that. */
static wz_status insert(wz_rollout *r, int64_t c, bool *preferred, wz_error *err)
{
    const wz_insertion *insertion = r->options->insertion;
    const wz_tokenizer *tokenizer = r->options->thinking->tokenizer;
    wz_text said = {0}, reply = {0};
    wz_ids ids = {0};
    wz_status status =
        wz_tokenizer_decode(tokenizer, tokens_of(r, c), (size_t)r->pack->length[c], true, &said, err);
    if (status == WZ_OK)
        status = insertion->ask(insertion->context, c, said.data, said.length, &reply, preferred, err);
    if (status == WZ_OK)
        status = wz_tokenizer_encode(tokenizer, reply.data, reply.length, false, &ids, err);
    if (status == WZ_OK && (int64_t)ids.length > insertion->longest)
        status = wz_fail(err, WZ_ERR_RUNTIME, "an insertion of %zu tokens; at most %lld were announced",
                         ids.length, (long long)insertion->longest);
    if (status == WZ_OK)
        status = append_all(r, c, &ids, WZ_ORIGIN_INSERTED, false, err);
    wz_text_clear(&said);
    wz_text_clear(&reply);
    wz_ids_clear(&ids);
    return status;
}

static bool ends_with(const wz_rollout *r, int64_t c, const wz_ids *ids, int32_t first)
{
    const size_t length = (size_t)(r->pack->length[c] - first);
    return length >= ids->length && memcmp(tokens_of(r, c) + r->pack->length[c] - ids->length, ids->data,
                                           ids->length * sizeof *ids->data) == 0;
}

/* A segment under the grammar has come to its end: a candidate, or the closing. */
static wz_status end_segment(wz_rollout *r, int64_t c, wz_error *err)
{
    const wz_thinking *thinking = r->options->thinking;
    wz_thought *t = &r->thoughts[c];
    wz_status status = WZ_OK;
    const int32_t length = r->pack->length[c], lead = (int32_t)thinking->lead.length,
                  stop = (int32_t)thinking->stop.length;
    const bool is_try = ends_with(r, c, &thinking->stop, t->segment);
    bool preferred = false;
    if (is_try) {
        t->candidates[t->tries++] = (span){t->segment + lead, length - t->segment - lead - stop};
        r->pack->tries[c] = t->tries;
        status = insert(r, c, &preferred, err);
        if (preferred)
            t->preferred = t->tries - 1;
        t->segment = r->pack->length[c];
        r->state[c] = r->options->tries[c / r->pack->generations].more;
    }
    if (is_try && t->tries < thinking->tries)
        return status;
    r->pack->think_length[c] = t->segment;
    if (status == WZ_OK && is_try)
        status = append_all(r, c, &thinking->close_open, WZ_ORIGIN_FORCED, true, err);
    t->segment = r->pack->length[c];
    t->phase = CHOOSING;
    return status;
}

/* Earlier candidates that a segment follows so far and would with this token next. */
static int64_t followed(const wz_rollout *r, int64_t c, uint32_t token)
{
    const wz_thought *t = &r->thoughts[c];
    const uint32_t *tokens = tokens_of(r, c), *now = tokens + t->segment;
    const int32_t count = r->pack->length[c] - t->segment, lead = (int32_t)r->options->thinking->lead.length;
    int64_t found = 0;
    for (int32_t j = 0; j < t->tries; j++) {
        const span *s = &t->candidates[j];
        const uint32_t *then =
            tokens + s->first - lead; /* the stop's tokens follow, so there is one to compare */
        found += count <= lead + s->count && memcmp(now, then, (size_t)count * sizeof *now) == 0 &&
                 then[count] == token;
    }
    return found;
}

/* Leaves out of a set the tokens by which a candidate could only repeat an earlier one: asking again costs a try and tells
 * nothing. The only one left is appended: *only. */
static wz_status leave_out_repeats(wz_rollout *r, int64_t c, uint32_t *set, bool *only, wz_error *err)
{
    wz_pack *pack = r->pack;
    const uint32_t first = pack->mask_offset[*set], end = pack->mask_offset[*set + 1];
    wz_status status = WZ_OK;
    r->fresh.length = 0;
    for (uint32_t i = first; status == WZ_OK && i < end; i++) {
        const uint32_t token = pack->mask_tokens[i];
        const int64_t repeats = followed(r, c, token);
        wz_grammar_state next = 0;
        int64_t ways = 1;
        if (repeats > 0)
            status = wz_grammar_step(r->grammar, r->state[c], token, &next, err);
        if (status == WZ_OK && repeats > 0)
            status = wz_rollout_count(r->grammar, next, repeats + 1, r->options->max_completion_length, &ways,
                                      err);
        if (status == WZ_OK && ways > repeats)
            status = wz_ids_append(&r->fresh, &token, 1, err);
    }
    if (status == WZ_OK && r->fresh.length < end - first)
        status = wz_pack_add_mask(pack, r->fresh.data, (uint32_t)r->fresh.length, set, err);
    *only = status == WZ_OK && r->fresh.length == 1;
    if (!*only)
        return status;
    wz_rollout_append(r, c, r->fresh.data[0], *set, WZ_ORIGIN_FORCED);
    return wz_grammar_step(r->grammar, r->state[c], r->fresh.data[0], &r->state[c], err);
}

/* Token number i of the answer that repeats a candidate. */
static uint32_t token_at(const wz_rollout *r, int64_t c, const span *candidate, int32_t i)
{
    return i < candidate->count ? tokens_of(r, c)[candidate->first + i]
                                : r->options->thinking->end.data[i - candidate->count];
}

static bool agrees(const wz_rollout *r, int64_t c, const span *candidate, int32_t count)
{
    const uint32_t *answer = tokens_of(r, c) + r->thoughts[c].segment;
    for (int32_t i = 0; i < count; i++)
        if (answer[i] != token_at(r, c, candidate, i))
            return false;
    return true;
}

/* The tokens by which the answer may go on, ascending; 0: it is there. No candidate with its closing tag begins another. */
static uint32_t choices(const wz_rollout *r, int64_t c, uint32_t out[WZ_TRIES_MAX])
{
    const wz_thought *t = &r->thoughts[c];
    const int32_t count = r->pack->length[c] - t->segment;
    uint32_t found = 0;
    for (int32_t j = 0; j < t->tries; j++) {
        const span *candidate = &t->candidates[j];
        const int32_t length = candidate->count + (int32_t)r->options->thinking->end.length;
        const bool may_be = r->options->thinking->chooses || j == t->preferred;
        if (!may_be || count >= length || !agrees(r, c, candidate, count))
            continue;
        const uint32_t token = token_at(r, c, candidate, count);
        uint32_t at = found;
        while (at > 0 && out[at - 1] > token)
            at--;
        if (at > 0 && out[at - 1] == token)
            continue;
        memmove(out + at + 1, out + at, (found - at) * sizeof *out);
        out[at] = token;
        found++;
    }
    return found;
}

/* Appends what all candidates left have in common. */
static wz_status choose(wz_rollout *r, int64_t c, uint32_t *set, wz_error *err)
{
    while (!is_full(r, c)) {
        uint32_t allowed[WZ_TRIES_MAX + 1] = {0};
        const uint32_t count = choices(r, c, allowed);
        if (count == 0) {
            r->pack->finished[c] = 1;
            break;
        }
        const wz_status status = wz_pack_add_mask(r->pack, allowed, count, set, err);
        if (status != WZ_OK || count > 1)
            return status;
        wz_rollout_append(r, c, allowed[0], *set, WZ_ORIGIN_FORCED);
    }
    r->going[c] = 0;
    r->thoughts[c].phase = DONE;
    return WZ_OK;
}

wz_status wz_think_on(wz_rollout *r, int64_t c, uint32_t *set, bool *answers, wz_error *err)
{
    wz_thought *t = &r->thoughts[c];
    wz_status status = WZ_OK;
    bool ended = false, only = false;
    *set = 0;
    while (status == WZ_OK && t->phase == FREE) {
        const bool closed = t->matched == sizeof close_tag - 1;
        if (!closed && r->pack->length[c] < r->options->thinking->budget)
            break;
        status = close_free(r, c, closed, err);
    }
    while (status == WZ_OK && t->phase == TRYING) {
        status = wz_rollout_follow_grammar(r, c, set, &ended, err);
        if (status == WZ_OK && ended) {
            status = end_segment(r, c, err);
            continue;
        }
        if (status == WZ_OK && r->going[c])
            status = leave_out_repeats(r, c, set, &only, err);
        if (!only)
            break;
    }
    if (status == WZ_OK && t->phase == CHOOSING)
        status = choose(r, c, set, err);
    if (is_full(r, c))
        r->going[c] = 0;
    *answers = t->phase == DONE;
    return status;
}
