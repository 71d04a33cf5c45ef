#include "engine/text/encoding_path.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static wz_status append_bytes(const wz_tokenizer *tokenizer, const wz_path *path, wz_text *out, wz_error *err)
{
    return wz_tokenizer_decode(tokenizer, path->tokens, path->count, false, out, err);
}

/* ---- comparing pieces with the path ---- */

typedef struct comparison {
    const wz_tokenizer *tokenizer;
    const wz_path *path;
    size_t matched;  /* tokens compared */
    size_t complete; /* tokens whose piece was compared to its end */
    size_t consumed; /* bytes of the pieces compared */
    bool at_start;   /* nothing was compared yet: the piece may be cut */
    bool differs;
    wz_ids scratch;
} comparison;

/* Under NFC a text must be its own normal form, else its tokens' bytes are not it. Characters that may
 * combine with the one before are left out as a whole: marks, and the second and third parts of Hangul. */
static bool is_stable(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t c = 0;
        int used = wz_utf8_character(text + at, length - at, &c);
        if (used > 1) {
            utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
            if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                category == UTF8PROC_CATEGORY_ME || (c >= 0x1160 && c <= 0x11ff))
                return false;
            utf8proc_int32_t parts[8];
            utf8proc_ssize_t count =
                utf8proc_decompose_char((utf8proc_int32_t)c, parts, 8, UTF8PROC_DECOMPOSE, NULL);
            char back[16];
            utf8proc_ssize_t size = 0;
            if (count > 1 && count <= 3)
                count = utf8proc_normalize_utf32(parts, count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
            if (count == 1)
                size = utf8proc_encode_char(parts[0], (utf8proc_uint8_t *)back);
            if (size != used || memcmp(back, text + at, (size_t)used) != 0)
                return false;
        }
        at += used > 0 ? (size_t)used : 1;
    }
    return true;
}

static void compare_ids(comparison *c, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count && c->matched < c->path->count && !c->differs; i++) {
        c->differs = ids[i] != c->path->tokens[c->matched];
        c->matched++;
        if (i + 1 == count && !c->differs)
            c->complete = c->matched;
    }
}

static wz_status compare_piece(void *user, const char *piece, size_t length, bool *stop, wz_error *err)
{
    comparison *c = user;
    bool cut = c->path->cut && c->at_start;
    c->at_start = false;
    c->scratch.length = 0;
    wz_status status = cut ? wz_bpe_encode(&c->tokenizer->bpe, piece, length, &c->scratch, err)
                           : wz_tokenizer_encode_piece(c->tokenizer, piece, length, &c->scratch, err);
    if (status == WZ_ERR_CORRUPT || (c->tokenizer->nfc && !is_stable(piece, length))) {
        c->differs = true; /* a byte without a token: no encoding at all */
        *stop = true;
        return WZ_OK;
    }
    if (status != WZ_OK)
        return status;
    c->consumed += length;
    compare_ids(c, c->scratch.data, c->scratch.length);
    *stop = c->differs || c->matched == c->path->count;
    return WZ_OK;
}

/* One added token, whose length in bytes is returned. */
static size_t compare_added(comparison *c, uint32_t id)
{
    size_t length = 0;
    (void)wz_tokenizer_token_bytes(c->tokenizer, id, &length);
    c->at_start = false;
    c->consumed += length;
    compare_ids(c, &id, 1);
    return length;
}

wz_status wz_path_encodes(const wz_tokenizer *tokenizer, const wz_path *path, const char *rest, size_t length,
                          bool *encodes, wz_error *err)
{
    wz_text text = {0};
    comparison c = {.tokenizer = tokenizer, .path = path, .at_start = true};
    wz_status status = append_bytes(tokenizer, path, &text, err);
    if (status == WZ_OK)
        status = wz_text_append(&text, rest, length, err);
    for (size_t at = 0; status == WZ_OK && at < text.length && !c.differs && c.matched < path->count;) {
        size_t start = 0;
        uint32_t id = 0;
        bool found = wz_added_find(tokenizer, WZ_ADDED_ANY, text.data + at, text.length - at, &start, &id);
        size_t plain = found ? start : text.length - at;
        status = wz_tokenizer_pieces(tokenizer, text.data + at, plain, true, compare_piece, &c, err);
        at += plain;
        if (status == WZ_OK && found && !c.differs && c.matched < path->count)
            at += compare_added(&c, id);
    }
    *encodes = status == WZ_OK && !c.differs && c.matched == path->count;
    wz_ids_clear(&c.scratch);
    wz_text_clear(&text);
    return status;
}

/* ---- what is certain of a text that goes on ---- */

typedef struct piece_ends {
    size_t *data; /* where pieces end, from the text's start */
    size_t count, capacity;
    size_t at;
} piece_ends;

static wz_status add_end(void *user, const char *piece, size_t length, bool *stop, wz_error *err)
{
    piece_ends *e = user;
    void *data = e->data;
    (void)piece;
    (void)stop;
    wz_status status = wz_grow(&data, &e->capacity, e->count + 1, sizeof *e->data, "piece ends", err);
    e->data = data;
    if (status == WZ_OK)
        e->data[e->count++] = e->at += length;
    return status;
}

/* Piece ends of text[0..length). Pieces are given in order and without gaps. */
static wz_status find_ends(const wz_tokenizer *tokenizer, const char *text, size_t length, bool final,
                           piece_ends *out, wz_error *err)
{
    out->count = 0;
    out->at = 0;
    return wz_tokenizer_pieces(tokenizer, text, length, final, add_end, out, err);
}

/* Pieces that stay whatever follows, where an added token may begin at any place whose rest is the
 * beginning of one: the pieces must come out the same if the text before that place ended there. */
static wz_status find_certain_ends(const wz_tokenizer *tokenizer, const char *text, size_t length,
                                   piece_ends *out, wz_error *err)
{
    piece_ends shorter = {0};
    wz_status status = find_ends(tokenizer, text, length, false, out, err);
    for (size_t at = 0; at < length && status == WZ_OK; at++) {
        if (!wz_added_is_prefix(tokenizer, text + at, length - at))
            continue;
        status = find_ends(tokenizer, text, at, true, &shorter, err);
        size_t same = 0;
        while (same < out->count && same < shorter.count && out->data[same] == shorter.data[same])
            same++;
        out->count = same;
    }
    free(shorter.data);
    return status;
}

/* Start of the earliest suffix of text that may become an added token; length if there is none. */
static size_t added_may_start(const wz_tokenizer *tokenizer, const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && !wz_added_is_prefix(tokenizer, text + at, length - at))
        at++;
    return at;
}

/* Compares the path with all that is certain of a text that begins with the path's bytes and goes on. */
static wz_status compare_certain(comparison *c, const char *text, size_t length, wz_error *err)
{
    size_t at = 0, start = 0;
    uint32_t id = 0;
    wz_status status = WZ_OK;
    while (status == WZ_OK && !c->differs && c->matched < c->path->count &&
           wz_added_find(c->tokenizer, WZ_ADDED_ANY, text + at, length - at, &start, &id) &&
           start < added_may_start(c->tokenizer, text + at, length - at)) {
        status = wz_tokenizer_pieces(c->tokenizer, text + at, start, true, compare_piece, c, err);
        at += start;
        if (status == WZ_OK && !c->differs && c->matched < c->path->count)
            at += compare_added(c, id);
    }
    piece_ends certain = {0};
    if (status == WZ_OK && !c->differs && c->matched < c->path->count)
        status = find_certain_ends(c->tokenizer, text + at, length - at, &certain, err);
    size_t from = 0;
    bool stop = c->differs || c->matched == c->path->count;
    for (size_t i = 0; i < certain.count && status == WZ_OK && !stop; i++) {
        status = compare_piece(c, text + at + from, certain.data[i] - from, &stop, err);
        from = certain.data[i];
    }
    free(certain.data);
    return status;
}

wz_status wz_path_settle(const wz_tokenizer *tokenizer, const wz_path *path, size_t *settled, bool *possible,
                         wz_error *err)
{
    wz_text text = {0};
    comparison c = {.tokenizer = tokenizer, .path = path, .at_start = true};
    wz_status status = append_bytes(tokenizer, path, &text, err);
    if (status == WZ_OK && path->count > 0)
        status = compare_certain(&c, text.data, text.length, err);
    *settled = c.complete;
    *possible = !c.differs;
    wz_ids_clear(&c.scratch);
    wz_text_clear(&text);
    return status;
}

wz_status wz_path_ends_before(const wz_tokenizer *tokenizer, const wz_path *path, unsigned char byte,
                              bool *ends, wz_error *err)
{
    wz_text text = {0};
    char next = (char)byte;
    comparison c = {.tokenizer = tokenizer, .path = path, .at_start = true};
    wz_status status = append_bytes(tokenizer, path, &text, err);
    size_t length = text.length;
    if (status == WZ_OK)
        status = wz_text_append(&text, &next, 1, err);
    if (status == WZ_OK)
        status = compare_certain(&c, text.data, text.length, err);
    *ends = !c.differs && c.complete == path->count && c.consumed == length;
    wz_ids_clear(&c.scratch);
    wz_text_clear(&text);
    return status;
}

/* ---- asking the pre-tokenizer with sample continuations ---- */

/* Between them they end, lengthen or regroup every kind of unfinished piece of the known patterns:
 * words, contractions, digit groups, runs of white space before a word, a line end or the end. */
static const char *const probes[] = {"",   "a",   "1",   " ",   "\n", ".",        "'",
                                     " a", "\na", "s",   "'s",  "11", "111",      "  ",
                                     "re", "ll",  "  a", " \n", ". ", "\xc3\xa9", "\xe2\x82\xac"};
#define PROBES (sizeof probes / sizeof *probes)

/* Piece ends of text + probe, without added tokens. */
static wz_status probe_ends(const wz_tokenizer *tokenizer, wz_text *text, size_t length, const char *probe,
                            piece_ends *out, wz_error *err)
{
    text->length = length;
    wz_status status = wz_text_append(text, probe, strlen(probe), err);
    return status == WZ_OK ? find_ends(tokenizer, text->data, text->length, true, out, err) : status;
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

/* Whether two tokens may stand side by side in one piece. */
static wz_status stay_apart(const wz_tokenizer *tokenizer, const uint32_t pair[2], bool *apart, wz_error *err)
{
    wz_text text = {0};
    wz_ids merged = {0};
    const wz_path both = {.tokens = pair, .count = 2};
    wz_status status = append_bytes(tokenizer, &both, &text, err);
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
            status = stay_apart(tokenizer, path->tokens + i, &out->apart[i], err);
    }
    return status;
}

/* Whether pieces cut like this agree with the tokens: no cut inside one, and one between any two that merge. */
static bool seams_fit(const seams *s, const piece_ends *pieces)
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
    piece_ends pieces = {0};
    *may = true;
    for (size_t i = 0; i < path->count; i++)
        if (tokenizer->tokens[path->tokens[i]].added)
            return WZ_OK;
    wz_status status = append_bytes(tokenizer, path, &text, err);
    if (status == WZ_OK)
        status = find_seams(tokenizer, path, &s, err);
    if (status == WZ_OK)
        s.known = whole_characters(text.data, text.length);
    bool stable = status != WZ_OK || !tokenizer->nfc || is_stable(text.data, s.known);
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

/* Whether two texts, the second the first without its `dropped` leading bytes, are cut alike with every probe. */
static wz_status behave_alike(const wz_tokenizer *tokenizer, wz_text *text, wz_text *rest, size_t dropped,
                              bool *alike, wz_error *err)
{
    piece_ends whole = {0}, part = {0};
    size_t length = text->length, rest_length = rest->length;
    wz_status status = WZ_OK;
    *alike = added_may_start(tokenizer, text->data, length) >= dropped;
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
    wz_status status = append_bytes(tokenizer, path, &text, err);
    /* Tokens that would be merged are not in one piece, so the piece is not yet what it seems. */
    for (size_t i = 0; i + 1 < path->count && status == WZ_OK && apart; i++)
        status = stay_apart(tokenizer, path->tokens + i, &apart, err);
    /* A whole piece in the vocabulary wins under ignore_merges: keep it whole while that is possible. */
    bool keep = !apart || (tokenizer->ignore_merges && text.length <= tokenizer->longest_token && !path->cut);
    for (size_t drop = path->count - 1; path->count > 0 && drop > 0 && status == WZ_OK && !keep && !alike;
         drop--) {
        const wz_path shorter = {.tokens = path->tokens + drop, .count = path->count - drop};
        rest.length = 0;
        status = append_bytes(tokenizer, &shorter, &rest, err);
        if (status == WZ_OK)
            status = behave_alike(tokenizer, &text, &rest, text.length - rest.length, &alike, err);
        if (alike)
            *count = drop;
    }
    wz_text_clear(&text);
    wz_text_clear(&rest);
    return status;
}
