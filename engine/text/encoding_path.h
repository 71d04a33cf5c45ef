/* Is a sequence of tokens the beginning of the tokenizer's own encoding of some text?
 *
 * A path is the tokens chosen since the last place where every continuation ends a piece. Before that
 * place nothing can change any more, because pre-tokenizer patterns do not look behind. Inside a piece
 * merges are local: a sequence is its encoding exactly when each adjacent pair is the encoding of its two
 * tokens' bytes (for merge tables as training writes them), so early tokens of a long piece may be dropped
 * (`cut`) when the pre-tokenizer behaves the same without them. */
#ifndef WZ_TEXT_ENCODING_PATH_H
#define WZ_TEXT_ENCODING_PATH_H

#include "engine/text/tokenizer_internal.h"

typedef struct wz_path {
    const uint32_t *tokens;
    size_t count;
    bool cut; /* begins inside a piece, whose earlier tokens were dropped */
} wz_path;

/* How many leading tokens are certain, whatever follows; *possible is false when no text's encoding
 * begins like this (or was not found to). */
wz_status wz_path_settle(const wz_tokenizer *tokenizer, const wz_path *path, size_t *settled, bool *possible,
                         wz_error *err);
/* Whether the text of the path, followed by `rest` and the end, is encoded as the path and then `rest`. */
wz_status wz_path_encodes(const wz_tokenizer *tokenizer, const wz_path *path, const char *rest, size_t length,
                          bool *encodes, wz_error *err);
/* Whether a piece ends after the path for certain when `byte` is the next one. */
wz_status wz_path_ends_before(const wz_tokenizer *tokenizer, const wz_path *path, unsigned char byte,
                              bool *ends, wz_error *err);
/* False only if the path is hopeless: asked with some continuations, the pre-tokenizer always cuts inside a
 * token or leaves two tokens in one piece that would be merged otherwise. Only a filter: it keeps a search
 * short, and the answer is exact as far as those continuations bring out every way to cut the text. */
wz_status wz_path_may_go_on(const wz_tokenizer *tokenizer, const wz_path *path, bool *may, wz_error *err);
/* A quick no, for many tokens that start alike: whether a piece may end between the path and a text that
 * starts with start[0..length), as far as sample continuations show. */
wz_status wz_path_may_end_before(const wz_tokenizer *tokenizer, const wz_path *path, const char *start,
                                 size_t length, bool *may, wz_error *err);
/* Whether two tokens may stand side by side in one piece: they are the encoding of their bytes. */
wz_status wz_tokens_stay_apart(const wz_tokenizer *tokenizer, const uint32_t pair[2], bool *apart,
                               wz_error *err);
/* How many leading tokens may be dropped (see `cut`), 0 where none or where it is not sure. */
wz_status wz_path_droppable(const wz_tokenizer *tokenizer, const wz_path *path, size_t *count, wz_error *err);

/* ---- shared by encoding_path.c (what is certain) and encoding_probe.c (what is likely) ---- */

typedef struct wz_piece_ends {
    size_t *data; /* where pieces end, from the text's start */
    size_t count, capacity;
    size_t at;
} wz_piece_ends;
/* Piece ends of text[0..length), replacing those in out: pieces come in order and without gaps. */
wz_status wz_piece_ends_find(const wz_tokenizer *tokenizer, const char *text, size_t length, bool final,
                             wz_piece_ends *out, wz_error *err);
wz_status wz_path_append_bytes(const wz_tokenizer *tokenizer, const wz_path *path, wz_text *out,
                               wz_error *err);
/* Under NFC a text must be its own normal form, else its tokens' bytes are not it. Characters that may
 * combine with the one before are left out as a whole: marks, and the second and third parts of Hangul. */
bool wz_text_is_stable(const char *text, size_t length);
/* Start of the earliest suffix of text that may become an added token; length if there is none. */
size_t wz_added_may_start(const wz_tokenizer *tokenizer, const char *text, size_t length);

#endif
