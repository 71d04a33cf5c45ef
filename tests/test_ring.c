/* Pieces between two threads: all of them, in order, whichever side ends first; and files that are written that way. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/core/block_file.h"
#include "engine/core/file.h"
#include "engine/core/ring.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define PIECES 1000

typedef struct side {
    size_t count;     /* pieces to fill or to empty */
    size_t done;      /* so far */
    bool in_order;    /* what was emptied */
    wz_status status; /* to return */
} side;

static void fill_pieces(wz_ring *ring, side *s)
{
    size_t *piece = NULL;
    while (s->done < s->count && (piece = wz_ring_fill(ring)) != NULL) {
        *piece = s->done;
        wz_ring_filled(ring, s->done % 7 + 1);
        s->done++;
    }
}

static void empty_pieces(wz_ring *ring, side *s)
{
    size_t length = 0;
    const size_t *piece = NULL;
    s->in_order = true;
    while (s->done < s->count && (piece = wz_ring_empty(ring, &length)) != NULL) {
        s->in_order = s->in_order && *piece == s->done && length == s->done % 7 + 1;
        wz_ring_emptied(ring);
        s->done++;
    }
}

static wz_status run_filling(wz_ring *ring, void *user, wz_error *err)
{
    side *s = user;
    fill_pieces(ring, s);
    return s->status == WZ_OK ? WZ_OK : wz_fail(err, s->status, "filling failed");
}

static wz_status run_emptying(wz_ring *ring, void *user, wz_error *err)
{
    side *s = user;
    empty_pieces(ring, s);
    return s->status == WZ_OK ? WZ_OK : wz_fail(err, s->status, "emptying failed");
}

/* {pieces that one side fills, pieces that the other one empties}: an end before the other's must not hang. */
static const size_t counts[][2] = {{PIECES, PIECES + 1}, {PIECES, 10}, {0, 5}, {5, 0}, {3, 3}};
#define COUNTS (sizeof counts / sizeof counts[0])

START_TEST(ring_pieces_from_a_thread_come_in_order)
{
    wz_error err = {.text = ""};
    wz_ring *ring = NULL;
    side theirs = {.count = counts[_i][0]}, ours = {.count = counts[_i][1]};
    ck_assert_int_eq(wz_ring_start(100, run_filling, &theirs, &ring, &err), WZ_OK);
    empty_pieces(ring, &ours);
    ck_assert_int_eq(wz_ring_join(ring, &err), WZ_OK);
    ck_assert(ours.in_order);
    ck_assert_uint_eq(ours.done, counts[_i][0] < counts[_i][1] ? counts[_i][0] : counts[_i][1]);
}
END_TEST

START_TEST(ring_pieces_to_a_thread_come_in_order)
{
    wz_error err = {.text = ""};
    wz_ring *ring = NULL;
    side ours = {.count = counts[_i][0]}, theirs = {.count = counts[_i][1]};
    ck_assert_int_eq(wz_ring_start(100, run_emptying, &theirs, &ring, &err), WZ_OK);
    fill_pieces(ring, &ours);
    ck_assert_int_eq(wz_ring_join(ring, &err), WZ_OK);
    ck_assert(theirs.in_order);
    ck_assert_uint_eq(theirs.done, ours.count < theirs.count ? ours.count : theirs.count);
}
END_TEST

START_TEST(ring_join_tells_how_the_other_side_went)
{
    wz_error err = {.text = "before"};
    wz_ring *ring = NULL;
    side theirs = {.count = 3, .status = WZ_ERR_CORRUPT}, ours = {.count = PIECES};
    ck_assert_int_eq(wz_ring_start(8, run_emptying, &theirs, &ring, &err), WZ_OK);
    fill_pieces(ring, &ours);
    ck_assert_uint_lt(ours.done, PIECES); /* told to stop */
    ck_assert_int_eq(wz_ring_join(ring, &err), WZ_ERR_CORRUPT);
    ck_assert_str_eq(err.text, "emptying failed");
    ck_assert_int_eq(wz_ring_join(NULL, &err), WZ_OK);
}
END_TEST

/* --- files --- */

static temporary where;

static void make_place(void)
{
    temporary_create(&where);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

/* Appends of many sizes, of more than one and of less than one piece. */
START_TEST(block_file_appended_bytes_are_the_files)
{
    static const size_t sizes[] = {1, 0, 1000, 1 << 20, (1 << 20) + 1, 5000000, 3, 65536};
    wz_error err = {.text = ""};
    wz_text back = {0};
    wz_block_file file = {.descriptor = -1};
    unsigned char *bytes = malloc(5000000);
    size_t sum = 0;
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < 5000000; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    ck_assert_int_eq(wz_block_file_create(&file, temporary_path(&where, "a"), &err), WZ_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_assert_int_eq(wz_block_file_append(&file, bytes, sizes[i], &err), WZ_OK);
        sum += sizes[i];
        ck_assert_uint_eq(file.bytes, sum);
    }
    ck_assert_int_eq(wz_block_file_finish(&file, &err), WZ_OK);
    ck_assert_int_eq(wz_file_read(where.path, (size_t)1 << 30, &back, &err), WZ_OK);
    ck_assert_uint_eq(back.length, sum);
    const char *at = back.data;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; at += sizes[i++])
        ck_assert_int_eq(memcmp(at, bytes, sizes[i]), 0);
    wz_text_clear(&back);
    free(bytes);
}
END_TEST

/* A write that fails is told, at the latest by finish; and what comes after it fails, too. */
START_TEST(block_file_failed_write_is_told)
{
    static const char megabyte[1 << 20];
    struct rlimit limit = {.rlim_cur = 1500000, .rlim_max = RLIM_INFINITY};
    wz_error err = {.text = ""};
    wz_block_file file = {.descriptor = -1};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(wz_block_file_create(&file, temporary_path(&where, "a"), &err), WZ_OK);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    wz_status status = WZ_OK;
    for (int i = 0; i < _i && status == WZ_OK; i++)
        status = wz_block_file_append(&file, megabyte, sizeof megabyte, &err);
    if (status == WZ_OK)
        status = wz_block_file_finish(&file, &err);
    limit.rlim_cur = RLIM_INFINITY; /* check writes files of its own */
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(status, WZ_ERR_RESOURCE);
    ck_assert_msg(strstr(err.text, "File too large") != NULL && strstr(err.text, where.path) != NULL, "%s",
                  err.text);
    wz_block_file_close(&file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *rings = tcase_create("rings");
    TCase *files = tcase_create("files");
    tcase_add_loop_test(rings, ring_pieces_from_a_thread_come_in_order, 0, (int)COUNTS);
    tcase_add_loop_test(rings, ring_pieces_to_a_thread_come_in_order, 0, (int)COUNTS);
    tcase_add_test(rings, ring_join_tells_how_the_other_side_went);
    tcase_add_checked_fixture(files, make_place, remove_place);
    tcase_add_test(files, block_file_appended_bytes_are_the_files);
    tcase_add_loop_test(files, block_file_failed_write_is_told, 2, 12);
    suite_add_tcase(suite, rings);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
