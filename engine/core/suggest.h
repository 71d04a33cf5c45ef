/* "did you mean ...?": the known name nearest to a mistyped one. */
#ifndef WZ_CORE_SUGGEST_H
#define WZ_CORE_SUGGEST_H

#include <stddef.h>

#define WZ_SUGGEST_MAX 63 /* longer words are compared with nothing */

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string
 * alignment); SIZE_MAX when either is longer than WZ_SUGGEST_MAX bytes. */
size_t wz_edit_distance(const char *a, const char *b);

/* The best candidate so far; start with {0}. best stays NULL while nothing is near enough: at most a
 * third of the word's length away, and at least one edit is always allowed. */
typedef struct wz_suggestion {
    const char *best; /* borrowed from the caller's candidates */
    size_t distance;
} wz_suggestion;

/* Considers one candidate; of equally near ones the first stays. */
void wz_suggest(wz_suggestion *suggestion, const char *word, const char *candidate);

#endif
