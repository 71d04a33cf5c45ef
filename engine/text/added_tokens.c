/* Added tokens are cut out of a text before anything else looks at it: leftmost first, longest first. */
#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *bytes_of(const wz_tokenizer *tokenizer, const wz_added_token *added, size_t *length)
{
    return wz_tokenizer_token_bytes(tokenizer, added->id, length);
}

static int compare_added(const void *a, const void *b, void *user)
{
    size_t length_a = 0, length_b = 0;
    const char *bytes_a = bytes_of(user, a, &length_a), *bytes_b = bytes_of(user, b, &length_b);
    unsigned char first_a = (unsigned char)bytes_a[0], first_b = (unsigned char)bytes_b[0];
    if (first_a != first_b)
        return first_a < first_b ? -1 : 1;
    return length_a == length_b ? 0 : length_a > length_b ? -1 : 1;
}

void wz_added_index(wz_tokenizer *tokenizer)
{
    if (tokenizer->added_count > 0)
        qsort_r(tokenizer->added, tokenizer->added_count, sizeof *tokenizer->added, compare_added, tokenizer);
    size_t at = 0;
    for (size_t byte = 0; byte <= 256; byte++) {
        tokenizer->added_start[byte] = at;
        for (size_t length = 0; byte < 256 && at < tokenizer->added_count; at++)
            if ((unsigned char)bytes_of(tokenizer, &tokenizer->added[at], &length)[0] != byte)
                break;
    }
}

bool wz_quotes_overlap(const wz_quotes *quotes, const char *text, size_t length)
{
    if (quotes == NULL || quotes->all || quotes->count == 0)
        return quotes != NULL && quotes->all;
    const size_t start = (size_t)(text - quotes->base), end = start + length;
    for (size_t i = 0; i < quotes->count; i++)
        if (start < quotes->ranges[i].end && end > quotes->ranges[i].start)
            return true;
    return false;
}

bool wz_added_find(const wz_tokenizer *tokenizer, wz_added_class classes, const wz_quotes *quotes,
                   const char *text, size_t length, size_t *start, uint32_t *id)
{
    if (tokenizer->added_count == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        for (size_t t = tokenizer->added_start[byte]; t < tokenizer->added_start[byte + 1]; t++) {
            const wz_added_token *added = &tokenizer->added[t];
            size_t size = 0;
            const char *bytes = bytes_of(tokenizer, added, &size);
            if (!(classes & (added->normalized ? WZ_ADDED_NORMALIZED : WZ_ADDED_RAW)))
                continue;
            if (size <= length - i && memcmp(text + i, bytes, size) == 0 &&
                !(added->special && wz_quotes_overlap(quotes, text + i, size))) {
                *start = i;
                *id = added->id;
                return true;
            }
        }
    }
    return false;
}

bool wz_added_is_prefix(const wz_tokenizer *tokenizer, const char *text, size_t length)
{
    if (length == 0)
        return false;
    unsigned char byte = (unsigned char)text[0];
    for (size_t t = tokenizer->added_start[byte]; t < tokenizer->added_start[byte + 1]; t++) {
        size_t size = 0;
        const char *bytes = bytes_of(tokenizer, &tokenizer->added[t], &size);
        if (size > length && memcmp(text, bytes, length) == 0)
            return true;
    }
    return false;
}
