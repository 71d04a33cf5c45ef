#include "engine/core/suggest.h"

#include <stdint.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the dynamic programme: before-last, last and present prefix of a. */
size_t wz_edit_distance(const char *a, const char *b)
{
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    if (rows > WZ_SUGGEST_MAX || columns > WZ_SUGGEST_MAX)
        return SIZE_MAX;
    size_t table[3][WZ_SUGGEST_MAX + 1];
    for (size_t j = 0; j <= columns; ++j)
        table[0][j] = j;
    for (size_t i = 1; i <= rows; ++i) {
        size_t *row = table[i % 3];
        const size_t *last = table[(i + 2) % 3];
        const size_t *before = table[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= columns; ++j) {
            size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = smaller(change, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
    }
    return table[rows % 3][columns];
}

void wz_suggest(wz_suggestion *suggestion, const char *word, const char *candidate)
{
    size_t limit = strlen(word) / 3;
    size_t distance = wz_edit_distance(word, candidate);
    if (distance > (limit > 1 ? limit : 1) || distance >= strlen(candidate))
        return;
    if (suggestion->best == NULL || distance < suggestion->distance) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}
