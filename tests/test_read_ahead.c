/* Reading ahead, and reading and writing past the page cache: the bytes are the file's, in whatever order they are asked for. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/core/block_file.h"
#include "engine/core/read_ahead.h"
#include "engine/model/model.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define MIB ((size_t)1 << 20)
#define BYTES (12 * MIB + 12345) /* more than is held at once, and no multiple of a page */

static temporary where;
static unsigned char *back;

static unsigned char byte_at(size_t file, size_t i)
{
    return (unsigned char)((i * 2654435761u + file * 97) >> 9);
}

/* A file of known bytes, on the disk; returns its descriptor. */
static int make_file(size_t which)
{
    const char *path = temporary_path(&where, which == 0 ? "a" : "b");
    for (size_t i = 0; i < BYTES; i++)
        back[i] = byte_at(which, i);
    temporary_write(path, back, BYTES);
    const int descriptor = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(fsync(descriptor), 0);
    memset(back, 0, BYTES);
    return descriptor;
}

/* Takes a file that was synced out of the page cache, where the file system does so. */
static void make_cold(int descriptor)
{
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
}

/* Of the first `count` pages of a file, those in the page cache. */
static size_t cached_pages(int descriptor, size_t count)
{
    static unsigned char pages[4096];
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    size_t sum = 0;
    ck_assert_uint_le(count, sizeof pages);
    void *map = mmap(NULL, count * size, PROT_READ, MAP_SHARED, descriptor, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_int_eq(mincore(map, count * size, pages), 0);
    for (size_t i = 0; i < count; i++)
        sum += pages[i] & 1;
    ck_assert_int_eq(munmap(map, count * size), 0);
    return sum;
}

/* Does the file system read and write past the page cache, and let pages go? */
static bool goes_direct(int descriptor)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    const int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (direct >= 0)
        (void)close(direct);
    make_cold(descriptor);
    return direct >= 0 && cached_pages(descriptor, 16) == 0;
}

static void make_place(void)
{
    temporary_create(&where);
    back = malloc(BYTES);
    ck_assert_ptr_nonnull(back);
}

static void remove_place(void)
{
    temporary_remove(&where);
    free(back);
}

static void assert_ok(wz_status status, const wz_error *err)
{
    ck_assert_msg(status == WZ_OK, "status %d: %s", (int)status, err->text);
}

/* Reads an extent `step` bytes at a time and checks each. */
static void read_extent(wz_read_ahead *ahead, const wz_extent *extent, size_t file, size_t step)
{
    wz_error err = {.text = ""};
    for (uint64_t at = 0; at < extent->bytes; at += step) {
        const size_t count = extent->bytes - at < step ? (size_t)(extent->bytes - at) : step;
        assert_ok(wz_read_ahead_at(ahead, extent->descriptor, "a", extent->offset + at, back, count, &err),
                  &err);
        for (size_t i = 0; i < count; i++)
            ASSERT_EACH(back[i] == byte_at(file, (size_t)(extent->offset + at) + i), "byte %zu of file %zu",
                        (size_t)(extent->offset + at) + i, file);
    }
}

/* One after another, with gaps, backwards, twice the same, from two files by turns: {file, offset, bytes}. */
#define MOST_EXTENTS 8
static const size_t plans[][MOST_EXTENTS][3] = {
    {{0, 0, BYTES}},
    {{0, 1, 7}, {0, 8, 5 * MIB}, {0, 6 * MIB + 3, BYTES - 6 * MIB - 3}},
    {{0, 9 * MIB, 3 * MIB + 12345}, {0, 5 * MIB + 1, 4 * MIB}, {0, 0, 5 * MIB}, {0, 4097, 3}},
    {{0, 0, 6 * MIB}, {1, 100, 5 * MIB}, {0, 6 * MIB, 6 * MIB + 12345}, {1, 5 * MIB, 4096}},
    {{0, 4096, MIB}, {0, 4096, MIB}, {0, 4096 + MIB, 8 * MIB}, {1, BYTES - 1, 1}}};
#define PLANS (sizeof plans / sizeof plans[0])
static const size_t steps[] = {1000, 65536, 524292, 3 * MIB};
#define STEPS (sizeof steps / sizeof steps[0])

static size_t make_plan(size_t which, const int files[2], wz_extent *out)
{
    size_t count = 0;
    for (; count < MOST_EXTENTS && plans[which][count][2] > 0; count++)
        out[count] = (wz_extent){.descriptor = files[plans[which][count][0]],
                                 .offset = plans[which][count][1],
                                 .bytes = plans[which][count][2]};
    return count;
}

START_TEST(read_ahead_bytes_are_the_files)
{
    const int files[2] = {make_file(0), make_file(1)};
    wz_extent plan[MOST_EXTENTS];
    const size_t count = make_plan((size_t)_i, files, plan);
    for (size_t s = 0; s < STEPS; s++) {
        if (s % 2 == 0)
            make_cold(files[0]); /* then the other one is read out of the cache */
        wz_read_ahead *ahead = wz_read_ahead_start(plan, count);
        ck_assert_ptr_nonnull(ahead);
        for (size_t i = 0; i < count; i++)
            read_extent(ahead, &plan[i], plans[(size_t)_i][i][0], steps[s]);
        wz_read_ahead_stop(ahead);
    }
    (void)close(files[0]);
    (void)close(files[1]);
}
END_TEST

/* Parts that were not announced, skipped parts, and parts that are gone by. */
START_TEST(read_ahead_asked_in_another_order_gives_the_files_bytes)
{
    static const size_t asked[][2] = {{3 * MIB, 100},     {0, 4 * MIB},         {11 * MIB, MIB},
                                      {5 * MIB, 4 * MIB}, {BYTES - 5000, 5000}, {2, 2 * MIB}};
    const int file = make_file(0);
    const wz_extent plan = {.descriptor = file, .offset = 0, .bytes = BYTES};
    wz_read_ahead *ahead = wz_read_ahead_start(&plan, 1);
    ck_assert_ptr_nonnull(ahead);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        const wz_extent part = {.descriptor = file, .offset = asked[i][0], .bytes = asked[i][1]};
        read_extent(ahead, &part, 0, 70000);
    }
    wz_read_ahead_stop(ahead);
    (void)close(file);
}
END_TEST

/* A file that becomes shorter: what was read is there, and the rest is refused by its name. */
START_TEST(read_ahead_of_a_file_cut_short_is_refused)
{
    wz_error err = {.text = ""};
    const int file = make_file(0);
    const wz_extent plan = {.descriptor = file, .offset = 0, .bytes = BYTES},
                    first = {.descriptor = file, .offset = 0, .bytes = MIB};
    wz_read_ahead *ahead = wz_read_ahead_start(&plan, 1);
    ck_assert_ptr_nonnull(ahead);
    assert_ok(wz_read_ahead_at(ahead, file, "a", 0, back, 1, &err), &err); /* the first piece has been read */
    ck_assert_int_eq(ftruncate(file, 0), 0);
    read_extent(ahead, &first, 0, 1000);
    ck_assert_int_eq(wz_read_ahead_at(ahead, file, "named", BYTES - 100, back, 100, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "named") != NULL, "%s", err.text);
    wz_read_ahead_stop(ahead);
    (void)close(file);
}
END_TEST

START_TEST(read_ahead_of_little_or_more_than_it_can_is_none_or_a_part)
{
    enum { MANY = 70 };
    wz_error err = {.text = ""};
    wz_extent plan[MANY];
    int files[MANY];
    ck_assert_ptr_null(wz_read_ahead_start(NULL, 0));
    wz_read_ahead_stop(NULL);
    files[0] = make_file(0);
    plan[0] = (wz_extent){.descriptor = files[0], .offset = 5, .bytes = 1000};
    ck_assert_ptr_null(wz_read_ahead_start(plan, 1));
    assert_ok(wz_read_ahead_at(NULL, files[0], "a", 5, back, 1000, &err), &err);
    ck_assert_int_eq(back[999], byte_at(0, 1004));
    for (size_t i = 0; i < MANY; i++) { /* each is another file to it */
        files[i] = i == 0 ? files[0] : dup(files[0]);
        ck_assert_int_ge(files[i], 0);
        plan[i] = (wz_extent){.descriptor = files[i], .offset = i * 1000, .bytes = MIB};
    }
    wz_read_ahead *ahead = wz_read_ahead_start(plan, MANY);
    ck_assert_ptr_nonnull(ahead);
    for (size_t i = 0; i < MANY; i++)
        read_extent(ahead, &plan[i], 0, 300000);
    wz_read_ahead_stop(ahead);
    for (size_t i = 0; i < MANY; i++)
        (void)close(files[i]);
}
END_TEST

/* --- the page cache --- */

START_TEST(read_ahead_and_block_files_leave_the_page_cache_alone)
{
    wz_error err = {.text = ""};
    wz_block_file written = {.descriptor = -1};
    const size_t pages = 8 * MIB / (size_t)sysconf(_SC_PAGESIZE);
    const int file = make_file(0);
    const wz_extent plan = {.descriptor = file, .offset = 0, .bytes = BYTES};
    if (!goes_direct(file)) {
        (void)fprintf(stderr, "skipped: this file system has no O_DIRECT, or keeps its pages\n");
        (void)close(file);
        return;
    }
    wz_read_ahead *ahead = wz_read_ahead_start(&plan, 1);
    ck_assert_ptr_nonnull(ahead);
    read_extent(ahead, &plan, 0, MIB);
    wz_read_ahead_stop(ahead);
    ck_assert_uint_eq(cached_pages(file, pages), 0);
    (void)close(file);

    assert_ok(wz_block_file_create(&written, temporary_path(&where, "written"), &err), &err);
    for (size_t i = 0; i < BYTES; i++)
        back[i] = byte_at(1, i);
    assert_ok(wz_block_file_append(&written, back, BYTES, &err), &err);
    assert_ok(wz_block_file_finish(&written, &err), &err);
    const wz_extent all = {.descriptor = open(where.path, O_RDONLY | O_CLOEXEC), .offset = 0, .bytes = BYTES};
    ck_assert_uint_eq(cached_pages(all.descriptor, pages), 0);
    read_extent(NULL, &all, 1, MIB);
    (void)close(all.descriptor);
}
END_TEST

/* --- tensors --- */

/* Integers of seven bits, which every type holds exactly. */
static float number_at(size_t tensor, size_t i)
{
    return (float)(((i * 2654435761u + tensor * 7919) >> 11) % 127) - 63.0f;
}

static wz_status make_numbers(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                              wz_error *err)
{
    const size_t width = self->tensors[index].rank == 2 ? self->tensors[index].shape[1] : 1;
    (void)err;
    for (size_t i = 0; i < rows * width; i++)
        out[i] = number_at(index, first * width + i);
    return WZ_OK;
}

static void keep_open(wz_tensor_source *self)
{
    (void)self;
}

/* A model of 40 MB in fp32, of which each type's file is large enough to be read ahead: the fixture's with a larger vocabulary. */
typedef struct model {
    wz_portable portable;
    wz_param *params;
    wz_stored_tensor tensors[64];
    wz_tensor_source source;
} model;

static void make_model(const char *folder, model *out)
{
    wz_error err = {.text = ""};
    size_t count = 0;
    assert_ok(wz_model_format_find("hf")->open(folder, &out->portable, &err), &err);
    out->portable.tensors->close(out->portable.tensors);
    out->portable.model.vocab_size = 10000000 / out->portable.model.hidden_size;
    assert_ok(wz_model_list_params(&out->portable.model, &out->params, &count, &err), &err);
    ck_assert_uint_le(count, 64);
    for (size_t i = 0; i < count; i++)
        out->tensors[i] =
            (wz_stored_tensor){.name = out->params[i].name,
                               .type = WZ_NUMBER_F32,
                               .rank = out->params[i].rank,
                               .shape = {(size_t)out->params[i].shape[0], (size_t)out->params[i].shape[1]}};
    out->source =
        (wz_tensor_source){.tensors = out->tensors, .count = count, .read = make_numbers, .close = keep_open};
    out->portable.tensors = &out->source;
}

static void clear_model(model *m)
{
    wz_portable_clear(&m->portable);
    free(m->params);
}

static size_t compared; /* numbers */

typedef struct comparison {
    size_t tensor, place;
} comparison;

static wz_status compare(void *user, const float *numbers, size_t count, wz_error *err)
{
    comparison *c = user;
    (void)err;
    for (size_t i = 0; i < count; i++)
        ASSERT_EACH(numbers[i] == number_at(c->tensor, c->place + i), "tensor %zu, number %zu: %g", c->tensor,
                    c->place + i, (double)numbers[i]);
    c->place += count;
    compared += count;
    return WZ_OK;
}

/* Reads all tensors as they were announced: backwards; then once more, and some of them in another order. */
static void compare_source(wz_tensor_source *source, const wz_tensor_source *meant)
{
    wz_error err = {.text = ""};
    size_t order[64];
    ck_assert_uint_eq(source->count, meant->count);
    ck_assert(source->expect != NULL);
    for (size_t i = 0; i < source->count; i++)
        order[i] = source->count - 1 - i;
    for (int time = 0; time < 2; time++) {
        assert_ok(time == 0 ? source->expect(source, order, source->count, &err)
                            : wz_tensor_expect_all(source, &err),
                  &err);
        for (size_t i = 0; i < source->count; i++) {
            comparison c = {.tensor = wz_tensor_find(meant, source->tensors[order[i]].name)};
            ck_assert_uint_ne(c.tensor, SIZE_MAX);
            assert_ok(wz_tensor_stream(source, order[i], compare, &c, &err), &err);
            ck_assert_uint_eq(c.place, wz_tensor_elements(&meant->tensors[c.tensor]));
        }
    }
}

static const struct {
    const char *folder, *format, *file;
    wz_number_type type;
} kinds[] = {{WZ_TEST_DATA "/hf/llama_tied", "hf", "model.safetensors", WZ_NUMBER_BF16},
             {WZ_TEST_DATA "/hf/qwen3", "hf", "model.safetensors", WZ_NUMBER_F32},
             {WZ_TEST_DATA "/hf/llama_tied", "gguf", "model.gguf", WZ_NUMBER_F16},
             {WZ_TEST_DATA "/hf/qwen3", "gguf", "model.gguf", WZ_NUMBER_BF16}};
#define KINDS (sizeof kinds / sizeof kinds[0])

START_TEST(tensors_of_a_file_read_ahead_are_those_written)
{
    const wz_model_format *format = wz_model_format_find(kinds[_i].format);
    wz_error err = {.text = ""};
    wz_portable read;
    model m;
    const wz_byte_count nobody = {.add = NULL};
    make_model(kinds[_i].folder, &m);
    assert_ok(format->write(&m.portable, kinds[_i].type, where.directory, &nobody, &err), &err);
    const int file = open(temporary_path(&where, kinds[_i].file), O_RDONLY | O_CLOEXEC);
    make_cold(file);
    (void)close(file);
    assert_ok(format->open(where.directory, &read, &err), &err);
    compared = 0;
    compare_source(read.tensors, &m.source);
    ck_assert_uint_ge(compared, 2 * 10000000);
    wz_portable_clear(&read);
    clear_model(&m);
}
END_TEST

/* And through a checkpoint, which announces to the source what it reads. */
START_TEST(tensors_of_a_checkpoint_read_ahead_are_those_written)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    wz_tensor_source *source = NULL;
    wz_checkpoint_tensor tensors[64];
    wz_portable read;
    model m;
    const wz_byte_count nobody = {.add = NULL};
    make_model(kinds[0].folder, &m);
    assert_ok(wz_model_format_find("hf")->write(&m.portable, WZ_NUMBER_BF16, where.directory, &nobody, &err),
              &err);
    assert_ok(wz_model_format_find("hf")->open(where.directory, &read, &err), &err);
    for (size_t i = 0; i < read.tensors->count; i++)
        tensors[i] = (wz_checkpoint_tensor){
            .group = "weights",
            .name = read.tensors->tensors[i].name,
            .rank = read.tensors->tensors[i].rank,
            .shape = {read.tensors->tensors[i].shape[0], read.tensors->tensors[i].shape[1]},
            .type = WZ_NUMBER_BF16,
            .source = read.tensors,
            .index = i};
    const wz_checkpoint_content content = {.tensors = tensors, .tensor_count = read.tensors->count};
    assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
    wz_portable_clear(&read);
    assert_ok(wz_checkpoint_open(where.path, &checkpoint, &err), &err);
    assert_ok(wz_checkpoint_weights(checkpoint, &source, &err), &err);
    compared = 0;
    compare_source(source, &m.source);
    ck_assert_uint_ge(compared, 2 * 10000000);
    source->close(source);
    wz_checkpoint_close(checkpoint);
    clear_model(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("read ahead");
    TCase *bytes = tcase_create("bytes"), *tensors = tcase_create("tensors");
    tcase_add_checked_fixture(bytes, make_place, remove_place);
    tcase_set_timeout(bytes, 60);
    tcase_add_loop_test(bytes, read_ahead_bytes_are_the_files, 0, (int)PLANS);
    tcase_add_test(bytes, read_ahead_asked_in_another_order_gives_the_files_bytes);
    tcase_add_test(bytes, read_ahead_of_a_file_cut_short_is_refused);
    tcase_add_test(bytes, read_ahead_of_little_or_more_than_it_can_is_none_or_a_part);
    tcase_add_test(bytes, read_ahead_and_block_files_leave_the_page_cache_alone);
    tcase_add_checked_fixture(tensors, make_place, remove_place);
    tcase_set_timeout(tensors, 120);
    tcase_add_loop_test(tensors, tensors_of_a_file_read_ahead_are_those_written, 0, (int)KINDS);
    tcase_add_test(tensors, tensors_of_a_checkpoint_read_ahead_are_those_written);
    suite_add_tcase(suite, bytes);
    suite_add_tcase(suite, tensors);
    return run_suite(suite);
}
