/* Checked allocation, arenas and growable text. */
#ifndef WZ_CORE_MEMORY_H
#define WZ_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

#define WZ_ALIGNMENT 64 /* bytes: a cache line, and one AVX-512 register */
#define WZ_PAGE 4096    /* bytes: what O_DIRECT asks places, lengths and memory to be multiples of, at most */

/* *out = a * b; false on overflow. */
bool wz_size_multiply(size_t a, size_t b, size_t *out);

/* count elements of size bytes, zeroed, aligned to WZ_ALIGNMENT; free with free(). `what` names the
 * thing in the message. Zero elements give a valid pointer. */
wz_status wz_alloc(void **out, size_t count, size_t size, const char *what, wz_error *err);

/* The same, aligned to WZ_PAGE. */
wz_status wz_alloc_pages(void **out, size_t count, size_t size, const char *what, wz_error *err);

/* Grows *array (from wz_grow only; NULL at first) to hold at least `need` elements, doubling. Free with free(). */
wz_status wz_grow(void **array, size_t *capacity, size_t need, size_t size, const char *what, wz_error *err);

/* A bump allocator over one block: planned once, handed out in order, reset as a whole. */
typedef struct wz_arena {
    unsigned char *base;
    size_t size;
    size_t used;
} wz_arena;

wz_status wz_arena_init(wz_arena *arena, size_t size, const char *what, wz_error *err);
void wz_arena_clear(wz_arena *arena);
void wz_arena_reset(wz_arena *arena);
/* NULL when the block is full (a bug in the plan). Memory is not zeroed. */
void *wz_arena_take(wz_arena *arena, size_t count, size_t size);

/* Growable text, always terminated once something was appended. Initialise with {0}. */
typedef struct wz_text {
    char *data;
    size_t length;
    size_t capacity;
} wz_text;

wz_status wz_text_append(wz_text *text, const char *bytes, size_t count, wz_error *err);
wz_status wz_text_printf(wz_text *text, wz_error *err, const char *format, ...) WZ_PRINTF(3, 4);
void wz_text_clear(wz_text *text); /* frees; ready for use again */

#endif
