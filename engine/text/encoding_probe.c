/* Asking the pre-tokenizer with sample continuations how an unfinished text may be cut. */
#include "engine/text/encoding_path.h"

#include <stdlib.h>
#include <string.h>

/* Between them they end, lengthen or regroup every kind of unfinished piece of the known patterns:
 * words, contractions, digit groups, runs of white space before a word, a line end or the end. */
static const char *const probes[] = {"",   "a",   "1",   " ",   "\n", ".",        "'",
                                     " a", "\na", "s",   "'s",  "11", "111",      "  ",
                                     "re", "ll",  "  a", " \n", ". ", "\xc3\xa9", "\xe2\x82\xac"};
#define PROBES (sizeof probes / sizeof *probes)

/* Piece ends of text + probe, without added tokens. */
static wz_status probe_ends(const wz_tokenizer *tokenizer, wz_text *text, size_t length, const char *probe,
                            wz_piece_ends *out, wz_error *err)
{
    text->length = length;
    wz_status status = wz_text_append(text, probe, strlen(probe), err);
    return status == WZ_OK ? wz_piece_ends_find(tokenizer, text->data, text->length, true, out, err) : status;
}

/* Length of text without a character that its end cuts off. */
static size_t whole_characters(const char *text, size_t length)
{
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        uint32_t codepoint = 0;
        if (wz_utf8_character(text + length - back, back, &codepoint) < 0)
            return length - back;
    }
    return length;
}

wz_status wz_tokens_stay_apart(const wz_tokenizer *tokenizer, const uint32_t pair[2], bool *apart,
                               wz_error *err)
{
    wz_text text = {0};
    wz_ids merged = {0};
    const wz_path both = {.tokens = pair, .count = 2};
    wz_status status = wz_path_append_bytes(tokenizer, &both, &text, err);
    if (status == WZ_OK)
        status = wz_bpe_encode(&tokenizer->bpe, text.data, text.length, &merged, err);
    *apart = status == WZ_OK && merged.length == 2 && merged.data[0] == pair[0] && merged.data[1] == pair[1];
    wz_ids_clear(&merged);
    wz_text_clear(&text);
    return status == WZ_ERR_CORRUPT ? WZ_OK : status; /* a byte without a token */
}

typedef struct seams {
    size_t *end; /* [count] where each token of a path ends */
    bool *apart; /* [count] may stay beside the next token in one piece */
    size_t count;
    size_t known; /* bytes of whole characters: what is cut behind them depends on bytes to come */
} seams;

static wz_status find_seams(const wz_tokenizer *tokenizer, const wz_path *path, seams *out, wz_error *err)
{
    void *end = NULL, *apart = NULL;
    size_t at = 0;
    wz_status status = wz_alloc(&end, path->count, sizeof *out->end, "token ends", err);
    if (status == WZ_OK)
        status = wz_alloc(&apart, path->count, sizeof *out->apart, "token ends", err);
    out->end = end;
    out->apart = apart;
    out->count = path->count;
    for (size_t i = 0; i < path->count && status == WZ_OK; i++) {
        at += tokenizer->tokens[path->tokens[i]].length;
        out->end[i] = at;
        out->apart[i] = true;
        if (i + 1 < path->count)
            status = wz_tokens_stay_apart(tokenizer, path->tokens + i, &out->apart[i], err);
    }
    return status;
}

/* Whether pieces cut like this agree with the tokens: no cut inside one, and one between any two that merge. */
static bool seams_fit(const seams *s, const wz_piece_ends *pieces)
{
    size_t piece = 0, start = 0;
    for (size_t i = 0; i < s->count && start < s->known; start = s->end[i], i++) {
        while (piece < pieces->count && pieces->data[piece] <= start)
            piece++;
        bool cut_inside =
            piece < pieces->count && pieces->data[piece] < s->end[i] && pieces->data[piece] < s->known;
        bool cut_behind = piece < pieces->count && pieces->data[piece] == s->end[i];
        if (cut_inside || (!cut_behind && !s->apart[i] && s->end[i] <= s->known))
            return false;
    }
    return true;
}

wz_status wz_path_may_go_on(const wz_tokenizer *tokenizer, const wz_path *path, bool *may, wz_error *err)
{
    wz_text text = {0};
    seams s = {0};
    wz_piece_ends pieces = {0};
    *may = true;
    for (size_t i = 0; i < path->count; i++)
        if (tokenizer->tokens[path->tokens[i]].added)
            return WZ_OK;
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
    if (status == WZ_OK)
        status = find_seams(tokenizer, path, &s, err);
    if (status == WZ_OK)
        s.known = whole_characters(text.data, text.length);
    bool stable = status != WZ_OK || !tokenizer->nfc || wz_text_is_stable(text.data, s.known);
    *may = false;
    for (size_t i = 0; i < PROBES && stable && status == WZ_OK && !*may; i++) {
        status = probe_ends(tokenizer, &text, s.known, probes[i], &pieces, err);
        *may = status == WZ_OK && seams_fit(&s, &pieces);
    }
    free(s.end);
    free(s.apart);
    free(pieces.data);
    wz_text_clear(&text);
    return status;
}

wz_status wz_path_may_end_before(const wz_tokenizer *tokenizer, const wz_path *path, const char *start,
                                 size_t length, bool *may, wz_error *err)
{
    wz_text text = {0};
    wz_piece_ends pieces = {0};
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
    size_t boundary = text.length;
    *may = status == WZ_OK && whole_characters(text.data, text.length) < text.length;
    if (status == WZ_OK)
        status = wz_text_append(&text, start, length, err);
    size_t all = text.length;
    for (size_t i = 0; i < PROBES && status == WZ_OK && !*may; i++) {
        status = probe_ends(tokenizer, &text, all, probes[i], &pieces, err);
        for (size_t k = 0; k < pieces.count; k++)
            *may = *may || pieces.data[k] == boundary;
    }
    free(pieces.data);
    wz_text_clear(&text);
    return status;
}

/* Whether two texts, the second the first without its `dropped` leading bytes, are cut alike with every probe. */
static wz_status behave_alike(const wz_tokenizer *tokenizer, wz_text *text, wz_text *rest, size_t dropped,
                              bool *alike, wz_error *err)
{
    wz_piece_ends whole = {0}, part = {0};
    size_t length = text->length, rest_length = rest->length;
    wz_status status = WZ_OK;
    *alike = wz_added_may_start(tokenizer, text->data, length) >= dropped;
    for (size_t i = 0; i < PROBES && status == WZ_OK && *alike; i++) {
        status = probe_ends(tokenizer, text, length, probes[i], &whole, err);
        if (status == WZ_OK)
            status = probe_ends(tokenizer, rest, rest_length, probes[i], &part, err);
        *alike = status == WZ_OK && whole.count == part.count;
        for (size_t k = 0; *alike && k < whole.count; k++)
            *alike = whole.data[k] == part.data[k] + dropped;
    }
    text->length = length;
    free(whole.data);
    free(part.data);
    return status;
}

wz_status wz_path_droppable(const wz_tokenizer *tokenizer, const wz_path *path, size_t *count, wz_error *err)
{
    wz_text text = {0}, rest = {0};
    bool alike = false, apart = true;
    *count = 0;
    for (size_t i = 0; i < path->count; i++)
        if (tokenizer->tokens[path->tokens[i]].added)
            return WZ_OK;
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
    /* Tokens that would be merged are not in one piece, so the piece is not yet what it seems. */
    for (size_t i = 0; i + 1 < path->count && status == WZ_OK && apart; i++)
        status = wz_tokens_stay_apart(tokenizer, path->tokens + i, &apart, err);
    /* A whole piece in the vocabulary wins under ignore_merges: keep it whole while that is possible. */
    bool keep = !apart || (tokenizer->ignore_merges && text.length <= tokenizer->longest_token && !path->cut);
    for (size_t drop = path->count - 1; path->count > 0 && drop > 0 && status == WZ_OK && !keep && !alike;
         drop--) {
        const wz_path shorter = {.tokens = path->tokens + drop, .count = path->count - drop};
        rest.length = 0;
        status = wz_path_append_bytes(tokenizer, &shorter, &rest, err);
        if (status == WZ_OK)
            status = behave_alike(tokenizer, &text, &rest, text.length - rest.length, &alike, err);
        if (alike)
            *count = drop;
    }
    wz_text_clear(&text);
    wz_text_clear(&rest);
    return status;
}
