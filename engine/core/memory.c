#include "engine/core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks from this size on ask for huge pages. A pass through activations touches rows that lie pages apart; with
 * pages of 4 KiB the processor spends a good part of it looking up addresses. */
#define LARGE_BLOCK ((size_t)8 << 20)
#define HUGE_PAGE ((size_t)2 << 20)

bool wz_size_multiply(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static wz_status fail_memory(size_t count, size_t size, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_RESOURCE, "out of memory: %zu x %zu bytes for %s", count, size, what);
}

static wz_status allocate(void **out, size_t count, size_t size, size_t least_alignment, const char *what,
                          wz_error *err)
{
    size_t bytes = 0;
    *out = NULL;
    if (!wz_size_multiply(count, size, &bytes) || bytes > SIZE_MAX - WZ_ALIGNMENT)
        return fail_memory(count, size, what, err);
    const bool large = bytes >= LARGE_BLOCK;
    const size_t alignment = large ? HUGE_PAGE : least_alignment;
    bytes = (bytes + WZ_ALIGNMENT) / WZ_ALIGNMENT * WZ_ALIGNMENT;
    if (bytes > SIZE_MAX - alignment)
        return fail_memory(count, size, what, err);
    void *block = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (block == NULL)
        return fail_memory(count, size, what, err);
    if (large)
        (void)madvise(block, bytes, MADV_HUGEPAGE); /* a wish: without it everything works, slower */
    memset(block, 0, bytes);
    *out = block;
    return WZ_OK;
}

wz_status wz_alloc(void **out, size_t count, size_t size, const char *what, wz_error *err)
{
    return allocate(out, count, size, WZ_ALIGNMENT, what, err);
}

wz_status wz_alloc_pages(void **out, size_t count, size_t size, const char *what, wz_error *err)
{
    return allocate(out, count, size, WZ_PAGE, what, err);
}

wz_status wz_grow(void **array, size_t *capacity, size_t need, size_t size, const char *what, wz_error *err)
{
    if (need <= *capacity)
        return WZ_OK;
    size_t room = *capacity < 8 ? 8 : *capacity;
    while (room < need)
        if (!wz_size_multiply(room, 2, &room))
            return fail_memory(need, size, what, err);
    size_t bytes = 0;
    if (!wz_size_multiply(room, size, &bytes))
        return fail_memory(need, size, what, err);
    void *block = realloc(*array, bytes);
    if (block == NULL)
        return fail_memory(need, size, what, err);
    *array = block;
    *capacity = room;
    return WZ_OK;
}

wz_status wz_arena_init(wz_arena *arena, size_t size, const char *what, wz_error *err)
{
    void *base = NULL;
    memset(arena, 0, sizeof *arena);
    wz_status status = wz_alloc(&base, size, 1, what, err);
    if (status != WZ_OK)
        return status;
    arena->base = base;
    arena->size = size;
    return WZ_OK;
}

void wz_arena_clear(wz_arena *arena)
{
    free(arena->base);
    memset(arena, 0, sizeof *arena);
}

void wz_arena_reset(wz_arena *arena)
{
    arena->used = 0;
}

void *wz_arena_take(wz_arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    if (!wz_size_multiply(count, size, &bytes) || bytes > SIZE_MAX - WZ_ALIGNMENT)
        return NULL;
    bytes = (bytes + WZ_ALIGNMENT - 1) / WZ_ALIGNMENT * WZ_ALIGNMENT;
    if (bytes > arena->size - arena->used)
        return NULL;
    void *block = arena->base + arena->used;
    arena->used += bytes;
    return block;
}

wz_status wz_text_append(wz_text *text, const char *bytes, size_t count, wz_error *err)
{
    void *data = text->data;
    if (count >= SIZE_MAX - text->length)
        return fail_memory(count, 1, "text", err);
    wz_status status = wz_grow(&data, &text->capacity, text->length + count + 1, 1, "text", err);
    text->data = data;
    if (status != WZ_OK)
        return status;
    if (count > 0)
        memcpy(text->data + text->length, bytes, count);
    text->length += count;
    text->data[text->length] = '\0';
    return WZ_OK;
}

wz_status wz_text_printf(wz_text *text, wz_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        va_end(again);
        return wz_fail(err, WZ_ERR_RUNTIME, "cannot format text '%s'", format);
    }
    void *data = text->data;
    wz_status status = wz_grow(&data, &text->capacity, text->length + (size_t)length + 1, 1, "text", err);
    text->data = data;
    if (status == WZ_OK) {
        (void)vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    return status;
}

void wz_text_clear(wz_text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}
