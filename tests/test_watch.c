/* What a run leaves for those who watch it: rows as CSV and as TensorBoard's event files. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/core/crc32c.h"
#include "engine/core/lines.h"
#include "engine/run/events.h"
#include "engine/run/table.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

static void make_place(void)
{
    temporary_create(&where);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

#define OK(call) ck_assert_msg((call) == WZ_OK, "%s", err.text)

static void read_file(const char *name, wz_text *out)
{
    out->length = 0;
    OK(wz_file_read(temporary_path(&where, name), 1 << 20, out, &err));
}

/* ---- CRC-32C ---- */

START_TEST(crc32c_published_vectors_match)
{
    /* RFC 3720, appendix B.4; the check value of "123456789". */
    unsigned char bytes[32];
    memset(bytes, 0, sizeof bytes);
    ck_assert_uint_eq(wz_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    ck_assert_uint_eq(wz_crc32c(bytes, 32), 0x62a8ab43u);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    ck_assert_uint_eq(wz_crc32c(bytes, 32), 0x46dd794eu);
    ck_assert_uint_eq(wz_crc32c("123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(wz_crc32c("", 0), 0u);
}
END_TEST

/* ---- event files ---- */

static void sample_row(wz_row *row)
{
    const double list[3] = {0.25, NAN, 0.75};
    wz_row_start(row, 300, &err);
    wz_row_add(row, "loss", -0.5);
    wz_row_add(row, "not a number", NAN);
    wz_row_add_integer(row, "task/size", 7);
    wz_row_add_optional(row, "sometimes", 1e-3);
    wz_row_add_list(row, "entropy_by_place", list, 3);
}

/* data/events.tfevents: the same messages, written by TensorBoard's own EventFileWriter (tests/tools/make_events_fixture.py). */
START_TEST(events_bytes_are_those_of_tensorboards_writer)
{
    wz_text made = {0}, known = {0};
    wz_row row = {0};
    sample_row(&row);
    OK(wz_event_version(1700000000.25, &made, &err));
    OK(wz_event_start(1700000000.5, 200, &made, &err));
    OK(wz_event_row(1700000001.0, &row, &made, &err));
    OK(wz_event_text(1700000002.0, 301, "completions", "a *b*\n\xc3\xa9", 8, &made, &err));
    OK(wz_file_read(WZ_TEST_DATA "/events.tfevents", 1 << 16, &known, &err));
    ck_assert_uint_eq(made.length, known.length);
    ck_assert_mem_eq(made.data, known.data, known.length);
    wz_row_clear(&row);
    wz_text_clear(&made);
    wz_text_clear(&known);
}
END_TEST

static void add_steps(wz_events *events, int64_t first, int64_t last)
{
    wz_row row = {0};
    for (int64_t step = first; step <= last; step++) {
        wz_row_start(&row, step, &err);
        wz_row_add(&row, "loss", 1.0);
        OK(wz_events_add_row(events, &row, &err));
    }
    wz_row_clear(&row);
}

/* Bytes of a file below tb/; 0: there is none. */
static size_t bytes_of(int number)
{
    char name[64];
    wz_text text = {0};
    (void)snprintf(name, sizeof name, "tb/events.out.tfevents.%08d.wavezero", number);
    if (wz_path_exists(temporary_path(&where, name)))
        read_file(name, &text);
    const size_t length = text.length;
    wz_text_clear(&text);
    return length;
}

/* Killed twice after a save at step 2: what was written since is gone, and no name is used again. */
START_TEST(events_open_after_a_save_drops_what_came_later)
{
    wz_events events;
    wz_events_mark mark = {0};
    OK(wz_events_open(&events, where.directory, &mark, 0, &err));
    add_steps(&events, 1, 2);
    OK(wz_events_sync(&events, &mark, &err));
    add_steps(&events, 3, 5);
    wz_events_close(&events);
    ck_assert_int_eq(mark.file, 1);
    ck_assert_uint_gt(bytes_of(1), mark.bytes);
    for (int file = 2; file <= 3; file++) {
        OK(wz_events_open(&events, where.directory, &mark, 2, &err));
        ck_assert_int_eq(events.number, file);
        add_steps(&events, 3, 4);
        wz_events_close(&events);
        ck_assert_uint_eq(bytes_of(1), mark.bytes);
        ck_assert_uint_gt(bytes_of(file), 0);
    }
    ck_assert_uint_eq(bytes_of(2), 0);
}
END_TEST

START_TEST(events_shorter_than_the_save_are_an_error)
{
    wz_events events;
    wz_events_mark mark = {0};
    OK(wz_events_open(&events, where.directory, &mark, 0, &err));
    OK(wz_events_sync(&events, &mark, &err));
    wz_events_close(&events);
    mark.bytes++;
    ck_assert_int_eq(wz_events_open(&events, where.directory, &mark, 2, &err), WZ_ERR_CORRUPT);
    wz_events_close(&events);
}
END_TEST

/* ---- metrics.csv ---- */

START_TEST(table_keeps_its_columns_over_a_resume)
{
    wz_table table;
    wz_row row = {0};
    wz_text text = {0};
    uint64_t saved = 0;
    sample_row(&row);
    OK(wz_table_open(&table, where.directory, 0, &row, &err));
    OK(wz_table_add_row(&table, &row, &err));
    OK(wz_table_sync(&table, &saved, &err));
    OK(wz_table_add_row(&table, &row, &err));
    wz_table_close(&table);
    /* another build: other names, in another order */
    wz_row_start(&row, 301, &err);
    wz_row_add(&row, "new", 1.0);
    wz_row_add_integer(&row, "task/size", 8);
    wz_row_add(&row, "loss", 0.1);
    wz_row_add_list(&row, "entropy_by_place", (double[]){NAN, NAN, 0.125, 4.0}, 4);
    OK(wz_table_open(&table, where.directory, saved, &row, &err));
    OK(wz_table_add_row(&table, &row, &err));
    wz_table_close(&table);
    read_file("metrics.csv", &text);
    ck_assert_str_eq(text.data, "step,loss,not a number,task/size,sometimes,entropy_by_place/1,"
                                "entropy_by_place/2,entropy_by_place/3\n"
                                "300,-0.5,,7,0.001,0.25,,0.75\n"
                                "301,0.1,,8,,,,0.125\n");
    wz_text_clear(&text);
    wz_row_clear(&row);
}
END_TEST

START_TEST(table_that_is_gone_begins_anew_and_another_file_is_refused)
{
    wz_table table;
    wz_row row = {0};
    wz_text text = {0};
    sample_row(&row);
    OK(wz_table_open(&table, where.directory, 1000, &row, &err));
    OK(wz_table_add_row(&table, &row, &err));
    wz_table_close(&table);
    read_file("metrics.csv", &text);
    ck_assert_ptr_nonnull(strstr(text.data, "entropy_by_place/3\n300,"));
    temporary_write(temporary_path(&where, "metrics.csv"), "loss\n1\n", 7);
    ck_assert_int_eq(wz_table_open(&table, where.directory, 7, &row, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "metrics.csv:1"));
    wz_table_close(&table);
    wz_text_clear(&text);
    wz_row_clear(&row);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("logs");
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, crc32c_published_vectors_match);
    tcase_add_test(tests, events_bytes_are_those_of_tensorboards_writer);
    tcase_add_test(tests, events_open_after_a_save_drops_what_came_later);
    tcase_add_test(tests, events_shorter_than_the_save_are_an_error);
    tcase_add_test(tests, table_keeps_its_columns_over_a_resume);
    tcase_add_test(tests, table_that_is_gone_begins_anew_and_another_file_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
