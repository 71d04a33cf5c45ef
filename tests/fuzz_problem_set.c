/* libFuzzer: any bytes as a line of a problem set, as a .npy file, as a .npz archive and (from "#" on) as a CSV file of gains.
 * None may crash, what is refused has a message, and what is accepted of a set must survive writing and reading back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/run/problem_set.h"
#include "tasks/csv.h"
#include "tasks/gains_internal.h"
#include "tests/fuzz.h"

static void check_round_trip(const wz_set_entry *entry)
{
    wz_set_writer *writer = NULL;
    wz_problem_set set;
    wz_error err = {{0}};
    char path[64], digest[WZ_DIGEST_HEX];
    (void)snprintf(path, sizeof path, "/tmp/fuzz_problem_set.%d.jsonl", (int)getpid());
    require(wz_set_writer_create(path, &writer, &err) == WZ_OK);
    require(wz_set_writer_add(writer, entry, &err) == WZ_OK);
    require(wz_set_writer_finish(writer, digest, &err) == WZ_OK);
    wz_set_writer_destroy(writer);
    require(wz_problem_set_read(path, true, &set, &err) == WZ_OK);
    require(set.count == 1 && strcmp(set.digest, digest) == 0);
    wz_problem_set_clear(&set);
    (void)unlink(path);
}

static void read_set(const uint8_t *data, size_t size)
{
    char path[64];
    wz_set_reader *reader = NULL;
    wz_error err = {{0}};
    const int descriptor = fuzz_hold(data, size, path);
    require(wz_set_reader_create(path, &reader, &err) == WZ_OK);
    for (bool done = false; !done;) {
        wz_set_entry entry = {0};
        const wz_status status = wz_set_reader_next(reader, &entry, &done, &err);
        require(status == WZ_OK || (status == WZ_ERR_CORRUPT && err.text[0] != '\0'));
        if (status != WZ_OK)
            break;
        if (!done)
            check_round_trip(&entry);
        fuzz_accepted += !done;
        wz_set_entry_clear(&entry);
    }
    wz_set_reader_destroy(reader);
    (void)close(descriptor);
}

typedef wz_status parse_npy(const char *, const unsigned char *, size_t, bool, wz_gains *, wz_error *);

static wz_status parse_npz(const char *name, const unsigned char *bytes, size_t length, bool coefficients,
                           wz_gains *out, wz_error *err)
{
    return wz_npz_parse(name, bytes, length, NULL, coefficients, out, err);
}

static void read_gains(parse_npy *parse, const uint8_t *data, size_t size)
{
    wz_gains gains;
    wz_error err = {{0}};
    const wz_status status = parse("fuzz", data, size, size % 2 == 1, &gains, &err);
    require((status == WZ_OK) == (gains.data != NULL) && (status == WZ_OK || err.text[0] != '\0'));
    for (size_t k = 0; status == WZ_OK && k < gains.count * gains.rows * gains.columns; k++)
        require(gains.data[k] >= 0 && gains.data[k] - gains.data[k] == 0);
    fuzz_accepted += status == WZ_OK;
    free(gains.data);
}

static void read_table(const char *text, size_t size)
{
    wz_table table = {0};
    wz_error err = {{0}};
    const wz_status status = wz_csv_parse("fuzz", text, size, &table, &err);
    require(status == WZ_OK || (status == WZ_ERR_CORRUPT && err.text[0] != '\0' && table.data == NULL));
    for (size_t k = 0; status == WZ_OK && k < table.rows * table.columns; k++)
        require(table.data[k] - table.data[k] == 0);
    fuzz_accepted += status == WZ_OK;
    free(table.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0)
        read_gains(wz_npy_parse, data, size);
    else if (size >= 2 && memcmp(data, "PK", 2) == 0)
        read_gains(parse_npz, data, size);
    else if (size >= 1 && data[0] == '#')
        read_table((const char *)data, size);
    else
        read_set(data, size);
    return 0;
}
