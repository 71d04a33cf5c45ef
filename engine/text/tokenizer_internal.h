/* What the parts of the tokenizer share. A text passes through them in this order:
 * added tokens -> normaliser (NFC) -> pre-tokenizer steps (pieces) -> byte-pair merges inside a piece. */
#ifndef WZ_TEXT_TOKENIZER_INTERNAL_H
#define WZ_TEXT_TOKENIZER_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/text/tokenizer.h"

#define WZ_NO_TOKEN UINT32_MAX
#define WZ_MAX_PRETOKENIZERS 8

/* ---- a hash map from 64-bit keys to 32-bit values (hash_map.c) ---- */
typedef struct wz_map {
    uint64_t *keys;
    uint32_t *values; /* WZ_NO_TOKEN marks a free slot, so it cannot be stored */
    size_t capacity;  /* a power of two, or 0 */
    size_t count;
} wz_map;
wz_status wz_map_put(wz_map *map, uint64_t key, uint32_t value, wz_error *err);
/* WZ_NO_TOKEN when absent. */
uint32_t wz_map_get(const wz_map *map, uint64_t key);
void wz_map_clear(wz_map *map);

/* ---- the printable alphabet in which tokenizer.json writes bytes (byte_level.c) ---- */
/* Appends the alphabet's spelling of some bytes. */
wz_status wz_byte_level_spell(const char *bytes, size_t length, wz_text *out, wz_error *err);
/* Appends the bytes a spelling stands for; *known is false, and nothing appended, when a character is
 * outside the alphabet. */
wz_status wz_byte_level_read(const char *text, size_t length, wz_text *out, bool *known, wz_error *err);
/* Length of the valid UTF-8 character at text[0..length): 1..4; 0: not valid; -1: cut off by the end. */
int wz_utf8_character(const char *text, size_t length, uint32_t *codepoint);

/* ---- byte-pair merges (bpe.c) ---- */
typedef struct wz_bpe {
    uint32_t byte_id[256];           /* WZ_NO_TOKEN where the vocabulary lacks the byte */
    wz_map pair_rank;                /* left id << 32 | right id -> rank */
    uint32_t *left, *right, *result; /* [merge_count], by rank */
    size_t merge_count;
} wz_bpe;
/* Appends the ids of one piece: repeatedly joins the pair of lowest rank, leftmost first. */
wz_status wz_bpe_encode(const wz_bpe *bpe, const char *piece, size_t length, wz_ids *out, wz_error *err);
void wz_bpe_clear(wz_bpe *bpe);

/* ---- pre-tokenizer steps (pretokenize.c) ---- */
typedef enum wz_pretokenizer_kind { WZ_PRE_REGEX, WZ_PRE_DIGITS } wz_pretokenizer_kind;
typedef struct wz_pretokenizer {
    wz_pretokenizer_kind kind;
    bool individual_digits; /* DIGITS: each digit alone, else runs of digits */
    bool is_byte_level;     /* REGEX: written as ByteLevel with use_regex rather than as Split */
    char *pattern;          /* REGEX: as in the file */
    pcre2_code *code;
} wz_pretokenizer;

/* Takes the next piece; *stop = true ends the walk. */
typedef wz_status (*wz_piece_function)(void *user, const char *piece, size_t length, bool *stop,
                                       wz_error *err);

wz_status wz_pretokenizer_init_regex(wz_pretokenizer *step, const char *pattern, wz_error *err);
void wz_pretokenizer_clear(wz_pretokenizer *step);

/* ---- added tokens (added_tokens.c) ---- */
typedef struct wz_added_token {
    uint32_t id;
    bool special;
    bool normalized; /* looked for in the normalised text rather than in the raw text */
} wz_added_token;

typedef struct wz_token {
    size_t offset; /* of its bytes in the blob */
    uint32_t length;
    bool used, added, special;
    bool in_vocab; /* listed in model.vocab (an added token need not be) */
    bool raw_key;  /* its vocabulary key is the bytes themselves, not their byte-level spelling */
} wz_token;

struct wz_tokenizer {
    wz_text blob;
    wz_token *tokens; /* [vocab_size] by id */
    size_t vocab_size;
    uint32_t *by_bytes; /* open addressing over token bytes: id or WZ_NO_TOKEN */
    size_t by_bytes_capacity;
    size_t longest_token; /* bytes */
    wz_bpe bpe;
    bool ignore_merges;
    bool all_bytes; /* every byte has a token */
    bool nfc;
    wz_pretokenizer steps[WZ_MAX_PRETOKENIZERS];
    size_t step_count;
    wz_added_token *added; /* by first byte, then longest first */
    size_t added_count;
    size_t added_start[257]; /* added[added_start[b] .. added_start[b + 1]) begin with byte b */
    wz_ids before, after;    /* post-processor: ids around a text */
};

/* Walks the pieces of text[0..length), which begins at a piece boundary. With final = false the text
 * may go on: only pieces that no continuation can change are given. Invalid bytes are pieces of one byte. */
wz_status wz_tokenizer_pieces(const wz_tokenizer *tokenizer, const char *text, size_t length, bool final,
                              wz_piece_function function, void *user, wz_error *err);
/* Appends the ids of one piece: the whole piece under ignore_merges, else by merges. */
wz_status wz_tokenizer_encode_piece(const wz_tokenizer *tokenizer, const char *piece, size_t length,
                                    wz_ids *out, wz_error *err);

/* Where special tokens are text: ranges of the text that begins at `base`, or all of it. */
typedef struct wz_quotes {
    const char *base;
    const wz_text_range *ranges;
    size_t count;
    bool all;
} wz_quotes;

typedef enum wz_added_class { WZ_ADDED_RAW = 1, WZ_ADDED_NORMALIZED = 2, WZ_ADDED_ANY = 3 } wz_added_class;
/* Sorts the added tokens and fills added_start. */
void wz_added_index(wz_tokenizer *tokenizer);
/* Leftmost, then longest added token of the classes; false when there is none. quotes may be NULL. */
bool wz_added_find(const wz_tokenizer *tokenizer, wz_added_class classes, const wz_quotes *quotes,
                   const char *text, size_t length, size_t *start, uint32_t *id);
/* Whether quotes reach into text[0..length). */
bool wz_quotes_overlap(const wz_quotes *quotes, const char *text, size_t length);
/* Whether text[0..length) is a proper prefix of an added token. */
bool wz_added_is_prefix(const wz_tokenizer *tokenizer, const char *text, size_t length);

wz_status wz_tokenizer_index_bytes(wz_tokenizer *tokenizer, wz_error *err);

#endif
