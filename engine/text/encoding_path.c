#include "engine/text/encoding_path.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

wz_status wz_path_append_bytes(const wz_tokenizer *tokenizer, const wz_path *path, wz_text *out,
                               wz_error *err)
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

bool wz_text_is_stable(const char *text, size_t length)
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
    if (status == WZ_ERR_CORRUPT || (c->tokenizer->nfc && !wz_text_is_stable(piece, length))) {
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
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
    if (status == WZ_OK)
        status = wz_text_append(&text, rest, length, err);
    for (size_t at = 0; status == WZ_OK && at < text.length && !c.differs && c.matched < path->count;) {
        size_t start = 0;
        uint32_t id = 0;
        bool found =
            wz_added_find(tokenizer, WZ_ADDED_ANY, NULL, text.data + at, text.length - at, &start, &id);
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

static wz_status add_end(void *user, const char *piece, size_t length, bool *stop, wz_error *err)
{
    wz_piece_ends *e = user;
    void *data = e->data;
    (void)piece;
    (void)stop;
    wz_status status = wz_grow(&data, &e->capacity, e->count + 1, sizeof *e->data, "piece ends", err);
    e->data = data;
    if (status == WZ_OK)
        e->data[e->count++] = e->at += length;
    return status;
}

wz_status wz_piece_ends_find(const wz_tokenizer *tokenizer, const char *text, size_t length, bool final,
                             wz_piece_ends *out, wz_error *err)
{
    out->count = 0;
    out->at = 0;
    return wz_tokenizer_pieces(tokenizer, text, length, final, add_end, out, err);
}

/* Pieces that stay whatever follows, where an added token may begin at any place whose rest is the
 * beginning of one: the pieces must come out the same if the text before that place ended there. */
static wz_status find_certain_ends(const wz_tokenizer *tokenizer, const char *text, size_t length,
                                   wz_piece_ends *out, wz_error *err)
{
    wz_piece_ends shorter = {0};
    wz_status status = wz_piece_ends_find(tokenizer, text, length, false, out, err);
    for (size_t at = 0; at < length && status == WZ_OK; at++) {
        if (!wz_added_is_prefix(tokenizer, text + at, length - at))
            continue;
        status = wz_piece_ends_find(tokenizer, text, at, true, &shorter, err);
        size_t same = 0;
        while (same < out->count && same < shorter.count && out->data[same] == shorter.data[same])
            same++;
        out->count = same;
    }
    free(shorter.data);
    return status;
}

size_t wz_added_may_start(const wz_tokenizer *tokenizer, const char *text, size_t length)
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
           wz_added_find(c->tokenizer, WZ_ADDED_ANY, NULL, text + at, length - at, &start, &id) &&
           start < wz_added_may_start(c->tokenizer, text + at, length - at)) {
        status = wz_tokenizer_pieces(c->tokenizer, text + at, start, true, compare_piece, c, err);
        at += start;
        if (status == WZ_OK && !c->differs && c->matched < c->path->count)
            at += compare_added(c, id);
    }
    wz_piece_ends certain = {0};
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
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
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
    wz_status status = wz_path_append_bytes(tokenizer, path, &text, err);
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
