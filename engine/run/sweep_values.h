/* The values of a sweep's key, "a,b,0..3,[c, d]", and lists of texts that each keep their terminator. */
#ifndef WZ_RUN_SWEEP_VALUES_H
#define WZ_RUN_SWEEP_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

#define WZ_SWEEP_POINTS 10000 /* of a sweep, at most; of a range and of runs, too */

/* The text after `at` in a list of terminated texts; at NULL: the first. NULL: no more. */
const char *wz_sweep_next(const wz_text *list, const char *at);
/* Whether a list has a text; a text with its terminator at its end. */
bool wz_sweep_has(const wz_text *list, const char *text);
wz_status wz_sweep_add(wz_text *list, const char *text, wz_error *err);

/* The end of the piece at `at`: the next separator outside of brackets and double quotes, or the text's. NULL: one of those
 * is not closed. */
const char *wz_sweep_piece_end(const char *at, char separator);
/* Adds at[length] to a list, without blanks, quotes or brackets around it. */
wz_status wz_sweep_put_value(wz_text *out, const char *at, size_t length, wz_error *err);
/* Adds the values of "a,b,0..3" to a list; ranges become their numbers. WZ_ERR_USAGE: an empty item, a range that is none, or
 * a bracket that is not closed. */
wz_status wz_sweep_split(const char *text, wz_text *values, wz_error *err);

#endif
