/* A directory of its own for a test, below the working directory, removed with everything in it. */
#ifndef WZ_TESTS_TEMPORARY_H
#define WZ_TESTS_TEMPORARY_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct temporary {
    char directory[64];
    char path[512]; /* the last one asked for */
} temporary;

static inline void temporary_create(temporary *where)
{
    (void)snprintf(where->directory, sizeof where->directory, "test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(where->directory));
}

/* directory/name; good until the next call */
static inline const char *temporary_path(temporary *where, const char *name)
{
    (void)snprintf(where->path, sizeof where->path, "%s/%s", where->directory, name);
    return where->path;
}

static inline int temporary_remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void temporary_remove(const temporary *where)
{
    (void)nftw(where->directory, temporary_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* For tests that damage files behind the program's back. */
static inline void temporary_write(const char *path, const void *bytes, size_t length)
{
    FILE *stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, length, stream), length);
    ck_assert_int_eq(fclose(stream), 0);
}

#endif
