/* Problem sets: what is written reads back equal, and what was changed is refused with its place. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/core/json.h"
#include "engine/core/hdf5.h"
#include "engine/core/lines.h"
#include "engine/core/output.h"
#include "engine/run/problem_set.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;
static wz_error err;

static void set_up(void)
{
    program_create(&p);
    memset(&err, 0, sizeof err);
}

static void tear_down(void)
{
    program_destroy(&p);
}

static const char *file(const char *name)
{
    return temporary_path(&p.where, name);
}

static wz_text text_of(const char *name)
{
    wz_text text = {0};
    ck_assert_msg(wz_file_read(file(name), 1 << 24, &text, &err) == WZ_OK, "%s", err.text);
    return text;
}

/* ---- sets of every family ---- */

/* Problem `index` of the family with its default options, and for odd ones the smallest size that it takes. */
static wz_status make_problem(const wz_task *task, uint32_t index, wz_problem *out)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_task_default_values(task, values);
    if (index % 2 == 1)
        values[task->size_option] = task->options[task->size_option].minimum;
    if (wz_task_check_values(task, values, &err) != WZ_OK)
        wz_task_default_values(task, values);
    return wz_problem_generate(task, values, 11, WZ_SPLIT_VALIDATION, index, out, &err);
}

/* Families take turns; styles do, too; every third problem is without a seed, as a user's own are. */
static void write_set(const char *path, uint32_t rounds, char digest[WZ_DIGEST_HEX])
{
    wz_set_writer *writer = NULL;
    (void)unlink(path);
    ck_assert_msg(wz_set_writer_create(path, &writer, &err) == WZ_OK, "%s", err.text);
    for (uint32_t n = 0; n < rounds; n++)
        for (size_t t = 0; wz_tasks[t] != NULL; t++) {
            wz_problem problem;
            wz_set_entry entry;
            ck_assert_msg(make_problem(wz_tasks[t], n, &problem) == WZ_OK, "%s", err.text);
            ck_assert_msg(wz_set_entry_make(&problem, n % 3 == 2 ? WZ_SET_NO_SEED : 11,
                                            n % 2 == 0 ? WZ_PROMPT_COMPACT : WZ_PROMPT_FULL, &entry,
                                            &err) == WZ_OK,
                          "%s", err.text);
            ck_assert_msg(wz_set_writer_add(writer, &entry, &err) == WZ_OK, "%s", err.text);
            wz_set_entry_clear(&entry);
        }
    ck_assert_int_eq(access(path, F_OK), -1); /* appears when it is whole */
    ck_assert_msg(wz_set_writer_finish(writer, digest, &err) == WZ_OK, "%s", err.text);
    wz_set_writer_destroy(writer);
}

static void assert_same_problem(const wz_problem *a, const wz_problem *b)
{
    ck_assert_ptr_eq(a->task, b->task);
    ck_assert_uint_eq(a->index, b->index);
    ck_assert_int_eq(a->split, b->split);
    ck_assert_uint_eq(a->number_count, b->number_count);
    ck_assert_int_eq(memcmp(a->numbers, b->numbers, a->number_count * sizeof *a->numbers), 0);
    ck_assert_int_eq(memcmp(a->values, b->values, a->task->option_count * sizeof *a->values), 0);
}

/* Reads what write_set wrote, and compares with problems made anew. */
static void assert_set(const char *path, uint32_t rounds)
{
    wz_set_reader *reader = NULL;
    wz_set_entry entry;
    bool done = false;
    ck_assert_msg(wz_set_reader_create(path, &reader, &err) == WZ_OK, "%s", err.text);
    for (uint32_t n = 0; n < rounds; n++)
        for (size_t t = 0; wz_tasks[t] != NULL; t++) {
            wz_problem problem;
            wz_reference known;
            ck_assert_msg(wz_set_reader_next(reader, &entry, &done, &err) == WZ_OK, "%s", err.text);
            ck_assert(!done);
            ck_assert_int_eq(make_problem(wz_tasks[t], n, &problem), WZ_OK);
            assert_same_problem(&entry.problem, &problem);
            ck_assert_int_eq(entry.seed, n % 3 == 2 ? WZ_SET_NO_SEED : 11);
            if (n % 3 == 2)
                ck_assert_int_eq(memcmp(entry.problem.source, problem.source, problem.size), 0);
            ck_assert_int_eq(wz_reference_find(wz_verifier_find(wz_tasks[t]->name), &problem,
                                               WZ_EFFORT_EVALUATION, NULL, &known, &err),
                             WZ_OK);
            ck_assert_int_eq(memcmp(&known, &entry.reference, sizeof known), 0);
            wz_problem_clear(&problem);
            wz_set_entry_clear(&entry);
        }
    ck_assert_msg(wz_set_reader_next(reader, &entry, &done, &err) == WZ_OK, "%s", err.text);
    ck_assert(done);
    wz_set_reader_destroy(reader);
}

START_TEST(set_of_every_family_reads_back_equal_from_json_lines_and_hdf5)
{
    char digests[2][WZ_DIGEST_HEX];
    static const char *const names[] = {"a.jsonl", "a.h5"};
    for (size_t f = 0; f < 2; f++) {
        write_set(file(names[f]), 7, digests[f]);
        assert_set(file(names[f]), 7);
        ck_assert_int_eq(access(file(f == 0 ? "a.jsonl" WZ_OUTPUT_SUFFIX : "a.h5" WZ_OUTPUT_SUFFIX), F_OK),
                         -1);
    }
    ck_assert_str_eq(digests[0], digests[1]);
}
END_TEST

/* In another second, too: HDF5 likes to note the time. */
START_TEST(set_is_the_same_bytes_when_it_is_written_again)
{
    static const char *const names[][2] = {{"a.jsonl", "b.jsonl"}, {"a.h5", "b.h5"}};
    char digest[WZ_DIGEST_HEX];
    write_set(file("a.jsonl"), 3, digest);
    write_set(file("a.h5"), 3, digest);
    for (const time_t then = time(NULL); time(NULL) == then;)
        (void)usleep(10000);
    write_set(file("b.jsonl"), 3, digest);
    write_set(file("b.h5"), 3, digest);
    for (size_t f = 0; f < 2; f++) {
        wz_text a = text_of(names[f][0]), b = text_of(names[f][1]);
        ck_assert_uint_eq(a.length, b.length);
        ck_assert_int_eq(memcmp(a.data, b.data, a.length), 0);
        wz_text_clear(&a);
        wz_text_clear(&b);
    }
}
END_TEST

START_TEST(set_read_gives_groups_in_order_of_first_appearance)
{
    wz_problem_set set;
    char digest[WZ_DIGEST_HEX];
    write_set(file("a.jsonl"), 4, digest);
    ck_assert_msg(wz_problem_set_read(file("a.jsonl"), true, &set, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(set.digest, digest);
    size_t count = 0;
    for (size_t g = 0; g < set.group_count; g++) {
        const wz_set_group *group = &set.groups[g];
        ck_assert_uint_eq(group->problems[0].size, (size_t)group->values[group->task->size_option]);
        for (size_t i = 0; i < group->count; i++) {
            ck_assert_ptr_eq(group->problems[i].task, group->task);
            if (i > 0)
                ck_assert_uint_lt(group->problems[i - 1].index, group->problems[i].index);
        }
        count += group->count;
    }
    ck_assert_uint_eq(set.count, count);
    ck_assert_ptr_eq(set.groups[0].task, wz_tasks[0]);
    ck_assert_uint_eq(set.groups[0].problems[0].index, 0);
    wz_problem_set_clear(&set);
}
END_TEST

/* The text that problem_set.h promises, by hand. */
START_TEST(entry_make_digests_options_and_numbers)
{
    static const int32_t numbers[] = {40, 3, 17, 25};
    const wz_task *task = wz_task_find("power_control");
    double values[WZ_TASK_MAX_OPTIONS];
    char text[256], digest[WZ_DIGEST_HEX];
    wz_problem problem;
    wz_set_entry entry;
    wz_task_default_values(task, values);
    memcpy(values, (const double[]){2, 8, 2.5}, 3 * sizeof *values);
    (void)snprintf(text, sizeof text,
                   "power_control %d links=2 levels=8 snr_db=2.5 channel=rayleigh cells=0 radius_m=0 "
                   "carrier_ghz=0 power_dbm=0 bandwidth_mhz=0 noise_figure_db=9: 40 3 17 25",
                   task->text_version); /* row_width came later: only where it is not 0 */
    wz_digest_bytes(text, strlen(text), digest);
    ck_assert_int_eq(wz_problem_from_numbers(task, values, numbers, 4, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_set_entry_make(&problem, 1, WZ_PROMPT_FULL, &entry, &err), WZ_OK);
    ck_assert_str_eq(entry.digest, digest);
    wz_set_entry_clear(&entry);
    (void)strcat(text, "; rows 1 2; clipped 0"); /* of a user's own */
    wz_digest_bytes(text, strlen(text), digest);
    ck_assert_int_eq(wz_problem_from_numbers(task, values, numbers, 4, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_set_entry_make(&problem, WZ_SET_NO_SEED, WZ_PROMPT_FULL, &entry, &err), WZ_OK);
    ck_assert_str_eq(entry.digest, digest);
    wz_set_entry_clear(&entry);
}
END_TEST

/* Sets from before power_control had row_width are the same sets; what an option from the beginning says cannot be guessed. */
START_TEST(set_read_without_a_later_option_takes_its_default)
{
    static const char later[] = "\"row_width\": 0";
    wz_problem_set set;
    program_succeed(&p, "tasks export @/now.jsonl --problems 1 task.name=power_control");
    program_succeed(&p, "tasks export @/then.h5 --problems 1 task.name=power_control");
    wz_text line = text_of("now.jsonl");
    char *at = strstr(line.data, later);
    ck_assert_ptr_nonnull(at);
    at -= strlen(", ");
    memset(at, ' ', strlen(", ") + strlen(later));
    temporary_write(file("then.jsonl"), line.data, line.length);
    wz_text_clear(&line);
    hid_t file_id = H5Fopen(file("then.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(H5Adelete_by_name(file_id, "0000/options", "row_width", H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Fclose(file_id), 0);
    static const char *const names[] = {"then.jsonl", "then.h5"};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_msg(wz_problem_set_read(file(names[i]), true, &set, &err) == WZ_OK, "%s", err.text);
        ck_assert_uint_eq(set.count, 1);
        wz_problem_set_clear(&set);
    }
    file_id = H5Fopen(file("then.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(H5Adelete_by_name(file_id, "0000/options", "noise_figure_db", H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Fclose(file_id), 0);
    ck_assert_int_eq(wz_problem_set_read(file("then.h5"), true, &set, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "option 'noise_figure_db' is missing") != NULL, "%s", err.text);
}
END_TEST

/* ---- changed lines ---- */

/* The first line of a set of power control, 3 links of 8 levels, seed 1: taken apart and put together again. */
static json_t *export_line(const char *what)
{
    program_succeed(&p, "tasks export @/one.jsonl %s task.levels=8", what);
    wz_text text = text_of("one.jsonl");
    json_t *line = json_loadb(text.data, text.length, 0, NULL);
    ck_assert_ptr_nonnull(line);
    wz_text_clear(&text);
    return line;
}

static json_t *make_line(void)
{
    return export_line("--problems 1 task.links=3");
}

static json_t *make_own_line(void)
{
    temporary_write(file("own.csv"), "9,1,1\n1,4,1\n0.00001,1,2\n", 24);
    char what[600];
    (void)snprintf(what, sizeof what, "--gains %s", file("own.csv"));
    return export_line(what);
}

/* A good line and then this one must be refused at line 2. */
static void assert_refused(const char *line, size_t length, const char *message)
{
    wz_problem_set set;
    wz_text text = text_of("one.jsonl");
    ck_assert_int_eq(wz_text_append(&text, line, length, &err), WZ_OK);
    temporary_write(file("bad.jsonl"), text.data, text.length);
    wz_text_clear(&text);
    err.text[0] = '\0';
    ck_assert_msg(wz_problem_set_read(file("bad.jsonl"), true, &set, &err) == WZ_ERR_CORRUPT,
                  "not refused, or by another status: %s\n%.400s", err.text, line);
    ck_assert_msg(strstr(err.text, "bad.jsonl:2") != NULL, "no file and line in: %s", err.text);
    ck_assert_msg(strstr(err.text, message) != NULL, "no '%s' in: %s", message, err.text);
}

static const struct {
    /* "options.x": of an option; "+x": of a line of a user's own numbers; value NULL: the key is left out */
    const char *key, *value;
    const char *message;
} changes[] = {
    {"task", "\"power_contrl\"", "unknown task 'power_contrl' (did you mean 'power_control'?)"},
    {"task", "\"chess\"", "unknown task 'chess'; `wavezero tasks` lists"},
    {"task", "3", "'task' must be a string"},
    {"task", NULL, "'task' is missing"},
    {"options", NULL, "'options' must be an object"},
    {"options.snr_db", NULL, "option 'snr_db' is missing"},
    {"options.lnks", "3", "no option 'lnks' (did you mean 'links'?)"},
    {"options.snr_db", "\"high\"", "option 'snr_db' is 'high'; it must be a number"},
    {"options.snr_db", "null", "option 'snr_db' must be a number"},
    {"options.links", "65", "task.links = 65"},
    {"options.links", "1e300", "task.links = 1e+300"},
    {"options.links", "2.5", "whole number"},
    {"options.links", "4", "9 numbers where its options ask for 16"},
    {"options.levels", "9", "the digest is stated as"},
    {"numbers", "[40, 1, 1, 1, 30, 1, 1, 1]", "8 numbers where"},
    {"numbers", "[45, 1, 1, 1, 30, 1, 1, 1, 20]", "number 1, a gain, is 45"},
    {"numbers", "[40, 1, 1, 1, 30, 1, 1, 1, -1]", "number 9, a gain, is -1"},
    {"numbers", "[20, 1, 1, 1, 30, 1, 1, 1, 40]", "larger direct gain"},
    {"numbers", "[40, 1, 1, 1, 30.5, 1, 1, 1, 20]", "number 5 of 'numbers' is no whole number"},
    {"numbers", "[40, 1, 1, 1, 30, 1, 1, 1, 9999999999]", "number 9 of 'numbers' is no whole number"},
    {"numbers", "[40, 1, 1, 1, 30, 1, 1, 1, 20]", "the digest is stated as"},
    {"numbers", "[0, 0, 0, 0, 0, 0, 0, 0, 0]", ""},
    {"numbers", "{}", "'numbers' must be an array"},
    {"numbers", NULL, "'numbers' must be an array"},
    {"digest", "\"00000000000000000000000000000000\"", "the digest is stated as 0000"},
    {"digest", NULL, "'digest' is missing"},
    {"prompt", "\" power levels 9\"", "the prompt is not the one"},
    {"prompt_style", "\"full\"", "the prompt is not the one"},
    {"prompt_style", "\"prose\"", "'prompt_style' must be compact or full"},
    {"text_version", "1", "text version 1 of power_control; this build knows version"},
    {"reference", "0.70571905", "the optimum is stated as"},
    {"reference", "\"large\"", "'reference' must be a number"},
    {"reference_kind", "\"best known\"", "stated as best known; this build's is optimum"},
    {"reference_kind", "\"guess\"", "'reference_kind' must be"},
    {"decision", "[7, 0]", "the decision has 2 numbers; an answer has 3"},
    {"decision", "[8, 0, 0]", "number 1 of the decision is 8"},
    {"decision", "[7, 0, -1]", "number 3 of the decision is -1"},
    {"decision", "[7, 7, 0]", "the decision's objective is stated as"},
    {"decision_objective", "0.8", "the decision's objective is stated as 0.8"},
    {"best_trivial", "0.1", "best trivial answer's objective is stated as 0.1"},
    {"split", "\"exam\"", "'split' must be train, validation or test"},
    {"index", "-1", "'index' must be"},
    {"index", "4294967296", "'index' must be"},
    {"seed", "-2", "'seed' must be"},
    {"seed", "1.5", "'seed' must be"},
    {"split", "\"train\"", "seed 1, split train and index 0 draw other numbers"},
    {"index", "1", "seed 1, split test and index 1 draw other numbers"},
    {"seed", "2", "seed 2, split test and index 0 draw other numbers"},
    {"seed", "null", "'rows' is missing"},
    {"rows", "[1, 2, 3]", "'rows' and 'clipped' belong to numbers of a user's own"},
    {"clipped", "1", "'rows' and 'clipped' belong to numbers of a user's own"},
    {"clipped", "\"no\"", "'clipped' must be a whole number"},
    {"+rows", "[1, 2]", "'rows' has 2 numbers; the problem has 3 parts"},
    {"+rows", "[1, 2, 2]", "'rows' must name each of 1 to 3 once"},
    {"+rows", "[1, 2, 4]", "'rows' must name each of 1 to 3 once"},
    {"+rows", "[2, 1, 3]", "the digest is stated as"},
    {"+clipped", "-1", "'clipped' is -1"},
    {"+clipped", "10", "'clipped' is 10"},
    {"+clipped", "2", "the digest is stated as"},
    {"propmt", "\"\"", "unknown key 'propmt' (did you mean 'prompt'?)"},
};

START_TEST(set_read_of_a_changed_line_names_line_and_reason)
{
    const bool is_own = changes[_i].key[0] == '+';
    json_t *line = is_own ? make_own_line() : make_line();
    const char *dot = strpbrk(changes[_i].key, ".+"), *key = dot != NULL ? dot + 1 : changes[_i].key;
    json_t *object = dot != NULL && !is_own ? json_object_get(line, "options") : line;
    if (changes[_i].value == NULL)
        ck_assert_int_eq(json_object_del(object, key), 0);
    else
        ck_assert_int_eq(
            json_object_set_new(object, key, json_loads(changes[_i].value, JSON_DECODE_ANY, NULL)), 0);
    char *text = json_dumps(line, JSON_REAL_PRECISION(17));
    assert_refused(text, strlen(text), changes[_i].message);
    free(text);
    json_decref(line);
}
END_TEST

static const struct {
    const char *line;
    size_t length; /* 0: up to the terminator */
    const char *message;
} texts[] = {
    {"{\"task\": \"power_control\"", 0, "bad.jsonl:2:24: not valid JSON"},
    {"\n", 0, "a blank line; a set has one problem on each line"},
    {" \t\r\n", 0, "a blank line"},
    {"[1, 2]", 0, "a line of a problem set is a JSON object"},
    {"{\"task\": \"\xff\xfe\"}", 0, "not valid JSON"},
    {"{\"task\": \"a\"} {}", 0, "not valid JSON"},
    {"{\"task\": \"a\", \"task\": \"b\"}", 0, "not valid JSON"},
    {"{\"task\": \"a\0b\"}", 16, "a NUL byte"},
    {"{\"task\": \"a\\u0000b\"}", 0, "not valid JSON"},
    {"{\"index\": NaN}", 0, "not valid JSON"},
};

START_TEST(set_read_of_what_is_no_json_line_names_line_and_reason)
{
    json_decref(make_line());
    const size_t length = texts[_i].length > 0 ? texts[_i].length : strlen(texts[_i].line);
    assert_refused(texts[_i].line, length, texts[_i].message);
}
END_TEST

/* A line of brackets is refused before it is parsed, one of 16 MB before it is read. */
START_TEST(set_read_of_endless_lines_is_refused)
{
    const size_t length = (size_t)16 << 20;
    json_decref(make_line());
    char *line = malloc(length);
    ck_assert_ptr_nonnull(line);
    memset(line, '[', length);
    assert_refused(line, 100000, "nested deeper than");
    assert_refused(line, length, "longer than the 4194304 bytes");
    free(line);
}
END_TEST

/* As CSV files may, a set may begin with a byte-order mark. */
START_TEST(set_read_of_a_set_behind_a_byte_order_mark_is_the_same)
{
    wz_problem_set set;
    json_decref(make_line());
    wz_text text = text_of("one.jsonl"), marked = {0};
    ck_assert_int_eq(wz_text_append(&marked, WZ_BYTE_ORDER_MARK, 3, &err), WZ_OK);
    ck_assert_int_eq(wz_text_append(&marked, text.data, text.length, &err), WZ_OK);
    temporary_write(file("bom.jsonl"), marked.data, marked.length);
    ck_assert_msg(wz_problem_set_read(file("bom.jsonl"), true, &set, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(set.count, 1);
    wz_problem_set_clear(&set);
    wz_text_clear(&text);
    wz_text_clear(&marked);
}
END_TEST

START_TEST(set_read_of_an_empty_or_missing_file_says_so)
{
    wz_problem_set set;
    temporary_write(file("empty.jsonl"), "", 0);
    ck_assert_int_eq(wz_problem_set_read(file("empty.jsonl"), true, &set, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "no problem in it"));
    ck_assert_int_eq(wz_problem_set_read(file("missing.jsonl"), true, &set, &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_problem_set_read(file("missing.h5"), true, &set, &err), WZ_ERR_USAGE);
    temporary_write(file("text.h5"), "{}", 2);
    ck_assert_int_eq(wz_problem_set_read(file("text.h5"), true, &set, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "text.h5: is no problem set"));
}
END_TEST

/* ---- changed HDF5 files ---- */

/* Opens a dataset or group of a set just written, for a change behind the reader's back. */
static hid_t open_written(const char *name, hid_t *opened)
{
    char digest[WZ_DIGEST_HEX];
    write_set(file("a.h5"), 4, digest);
    hid_t set = H5Fopen(file("a.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(set, 0);
    *opened = H5Oopen(set, name, H5P_DEFAULT);
    ck_assert_int_ge(*opened, 0);
    return set;
}

static void assert_hdf5_refused(hid_t set, hid_t opened, const char *message)
{
    wz_problem_set problems;
    ck_assert_int_ge(H5Oclose(opened), 0);
    ck_assert_int_ge(H5Fclose(set), 0);
    ck_assert_int_eq(wz_problem_set_read(file("a.h5"), true, &problems, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, message) != NULL, "no '%s' in: %s", message, err.text);
}

START_TEST(set_read_of_a_changed_hdf5_dataset_names_group_and_reason)
{
    static const struct {
        const char *name;
        double value;
        const char *message;
    } changed[] = {
        {"0000/numbers", 1, ""},
        {"0000/reference", 1e6, "is stated as 1000000"},
        {"0000/best_trivial", 1e6, "best trivial answer's objective is stated as"},
        {"0000/place", 99, "dataset /0000/place does not number the set's problems"},
        {"0000/place", 1, "dataset /"},
        {"0000/index", -1, "group /0000, problem 0: an index or seed out of range"},
        {"0000/seed", -5, "an index or seed out of range"},
        {"0000/seed", 12, "seed 12, split validation and index 0 draw other numbers"},
        {"0000/index", 7, "seed 11, split validation and index 7 draw other numbers"},
        {"0000/clipped", 1, "'rows' and 'clipped' belong to numbers of a user's own"},
        {"0000/decision", 1000, "number 1 of the decision is 1000"},
    };
    double row[4096];
    hid_t dataset, set = open_written(changed[_i].name, &dataset);
    hid_t space = H5Dget_space(dataset);
    ck_assert_int_le(H5Sget_simple_extent_npoints(space), 4096);
    ck_assert_int_ge(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, row), 0);
    row[0] = changed[_i].value;
    ck_assert_int_ge(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, row), 0);
    ck_assert_int_ge(H5Sclose(space), 0);
    assert_hdf5_refused(set, dataset, changed[_i].message);
}
END_TEST

START_TEST(set_read_of_lost_or_strange_parts_of_hdf5_says_so)
{
    hid_t root, set = open_written("/", &root);
    ck_assert_int_ge(H5Ldelete(root, "0000/prompt", H5P_DEFAULT), 0);
    assert_hdf5_refused(set, root, "dataset /0000/prompt is missing");
    set = open_written("/", &root);
    ck_assert_int_ge(H5Ldelete(root, "0000", H5P_DEFAULT), 0);
    assert_hdf5_refused(set, root, "group /0000 is missing");
    set = open_written("/", &root);
    ck_assert_int_ge(H5Adelete(root, "format"), 0);
    assert_hdf5_refused(set, root, "is no problem set");
    set = open_written("/", &root);
    ck_assert_int_ge(H5Adelete(root, "digest"), 0);
    ck_assert(wz_hdf5_write_string(root, "digest", "00000000000000000000000000000000"));
    assert_hdf5_refused(set, root, "the set's digest is stated as 0000");
    set = open_written("/", &root);
    ck_assert_int_ge(H5Adelete(root, "count"), 0);
    ck_assert(wz_hdf5_write_integer(root, "count", 1));
    assert_hdf5_refused(set, root, "1 problems are stated");
    set = open_written("/0000/options", &root);
    ck_assert(wz_hdf5_write_number(root, "lnks", 1));
    assert_hdf5_refused(set, root, "/0000/options: an option that");
    set = open_written("/0000", &root);
    ck_assert_int_ge(H5Adelete(root, "task"), 0);
    ck_assert(wz_hdf5_write_string(root, "task", "chess"));
    assert_hdf5_refused(set, root, "group /0000: unknown task 'chess'");
}
END_TEST

START_TEST(set_read_of_hdf5_cut_short_is_refused)
{
    char digest[WZ_DIGEST_HEX];
    write_set(file("a.h5"), 2, digest);
    wz_text bytes = text_of("a.h5");
    for (size_t length = 0; length < bytes.length; length += bytes.length / 97 + 1) {
        wz_problem_set set;
        temporary_write(file("cut.h5"), bytes.data, length);
        const wz_status status = wz_problem_set_read(file("cut.h5"), true, &set, &err);
        ASSERT_EACH(status == WZ_ERR_CORRUPT, "cut at %zu of %zu: status %d, %s", length, bytes.length,
                    status, err.text);
    }
    wz_text_clear(&bytes);
}
END_TEST

/* ---- lines ---- */

START_TEST(lines_next_of_any_breaks_gives_each_line)
{
    static const char text[] = "one\r\n\n12345678\nlast";
    static const char *const expected[] = {"one", "", "12345678", "last"};
    wz_lines lines;
    char *line = NULL;
    size_t length = 0;
    temporary_write(file("lines"), text, sizeof text - 1);
    ck_assert_int_eq(wz_lines_open(&lines, file("lines"), 9, &err), WZ_OK);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_msg(wz_lines_next(&lines, &line, &length, &err) == WZ_OK, "%s", err.text);
        ck_assert_str_eq(line, expected[i]);
        ck_assert_uint_eq(length, strlen(expected[i]));
        ck_assert_uint_eq(lines.number, i + 1);
    }
    ck_assert_int_eq(wz_lines_next(&lines, &line, &length, &err), WZ_OK);
    ck_assert_ptr_null(line);
    wz_lines_close(&lines);
    ck_assert_int_eq(wz_lines_open(&lines, file("lines"), 8, &err), WZ_OK);
    wz_status status = WZ_OK;
    while (status == WZ_OK)
        status = wz_lines_next(&lines, &line, &length, &err);
    ck_assert_int_eq(status, WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "lines:3: the line is longer than the 8 bytes"));
    wz_lines_close(&lines);
}
END_TEST

/* ---- the program ---- */

START_TEST(tasks_export_and_check_agree_and_say_so)
{
    program_succeed(&p,
                    "tasks export @/a.jsonl --problems 20 --first 5 --split validation task.links=4 seed=9");
    ck_assert_ptr_nonnull(strstr(p.out, "20 problems written, digest "));
    char written[64];
    (void)snprintf(written, sizeof written, "%.32s", strstr(p.out, "digest ") + 7);
    program_succeed(&p, "tasks check @/a.jsonl");
    ck_assert_ptr_nonnull(strstr(p.out, "20  power_control links=4 (optimum)"));
    ck_assert_ptr_nonnull(strstr(p.out, written));
    program_succeed(&p, "tasks export @/a.h5 --problems 20 --first 5 --split validation task.links=4 seed=9");
    program_succeed(&p, "tasks check @/a.h5 --json");
    json_t *summary = json_loads(p.out, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(summary, "digest")), written);
    ck_assert_int_eq(json_integer_value(json_object_get(summary, "problems")), 20);
    const json_t *group = json_array_get(json_object_get(summary, "groups"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(group, "size")), 4);
    json_decref(summary);
    program_fail(&p, 2, "tasks export needs a file", "tasks export");
    program_fail(&p, 2, "no such file", "tasks check @/none.h5");
    program_fail(&p, 2, "check the path", "tasks export @/none/a.jsonl");
}
END_TEST

START_TEST(tasks_export_of_a_mixture_holds_problems_of_each_part)
{
    static const char mixture[] =
        "task_mixture:\n  - power_control links=3 levels=2\n  - power_control links=4 levels=8\n";
    temporary_write(file("mix.yaml"), mixture, sizeof mixture - 1);
    program_succeed(&p, "tasks export @/a.jsonl --problems 4 --config @/mix.yaml");
    ck_assert_ptr_nonnull(strstr(p.out, "8 problems written"));
    program_succeed(&p, "tasks check @/a.jsonl");
    ck_assert_ptr_nonnull(strstr(p.out, "4  power_control links=3"));
    ck_assert_ptr_nonnull(strstr(p.out, "4  power_control links=4 levels=8"));
}
END_TEST

/* Two rows that a set of a user's channels must tell apart, and a gain that is printed as another. */
START_TEST(tasks_export_of_gains_keeps_the_rows_of_the_users_table)
{
    temporary_write(file("g.csv"), "1,0.5\n0.00001,4\n", 16);
    program_succeed(&p, "tasks export @/a.jsonl --gains @/g.csv task.levels=4");
    wz_text text = text_of("a.jsonl");
    ck_assert_ptr_nonnull(
        strstr(text.data, "\"seed\": null, \"rows\": [2, 1], \"clipped\": 1, \"numbers\": [36, 0, 27, 30]"));
    wz_text_clear(&text);
    program_succeed(&p, "tasks check @/a.jsonl");
    ck_assert_ptr_nonnull(strstr(p.out, "1 of them a user's own numbers"));
    temporary_write(file("g.csv"), "-1,0.5\n0.1,4\n", 13);
    program_fail(&p, 3, "g.csv: row 1, column 1 is -1", "tasks export @/b.jsonl --gains @/g.csv");
    ck_assert_int_eq(access(file("b.jsonl"), F_OK), -1);
    ck_assert_int_eq(access(file("b.jsonl" WZ_OUTPUT_SUFFIX), F_OK), -1);
}
END_TEST

#define CHECKPOINT "@/run/checkpoints/step-00000002.h5"

static void train(void)
{
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=2 eval_steps=0 eval_problems=4");
}

START_TEST(eval_of_a_set_equals_eval_of_the_problems_it_was_made_from)
{
    char generated[sizeof p.out];
    train();
    program_succeed(&p, "eval " CHECKPOINT " --problems 12 --best-of 3 --json");
    memcpy(generated, p.out, sizeof generated);
    program_succeed(&p, "tasks export @/a.jsonl --problems 12 --config %s", TINY);
    program_succeed(&p, "tasks export @/a.h5 --problems 12 --config %s", TINY);
    program_succeed(&p, "eval " CHECKPOINT " --problems @/a.jsonl --best-of 3 --json");
    ck_assert_str_eq(p.out, generated);
    program_succeed(&p, "eval " CHECKPOINT " --problems @/a.h5 --best-of 3 --batch 5 --json");
    ck_assert_str_eq(p.out, generated);
    program_fail(&p, 2, "leave out --split", "eval " CHECKPOINT " --problems @/a.h5 --split test");
    program_fail(&p, 2, "cannot open", "eval " CHECKPOINT " --problems 1e3");
    program_fail(&p, 2, "--problems: expected", "eval " CHECKPOINT " --problems 0");
    program_fail(&p, 2, "--problems: expected 1 to 100000000, or a file, found '-3'",
                 "eval " CHECKPOINT " --problems -3");
}
END_TEST

/* Options take turns in the file; each has its own figures, in order of first appearance. */
START_TEST(eval_of_a_set_of_several_options_gives_figures_for_each)
{
    train();
    program_succeed(&p, "tasks export @/a.jsonl --problems 2 task.links=3");
    program_succeed(&p, "tasks export @/b.jsonl --problems 3 task.links=2 task.levels=4");
    wz_text a = text_of("a.jsonl"), b = text_of("b.jsonl");
    ck_assert_int_eq(wz_text_append(&b, a.data, a.length, &err), WZ_OK);
    temporary_write(file("both.jsonl"), b.data, b.length);
    wz_text_clear(&a);
    wz_text_clear(&b);
    program_succeed(&p, "eval " CHECKPOINT " --problems @/both.jsonl");
    const char *first = strstr(p.out, "power_control links=2 levels=4: 3 problems"),
               *second = strstr(p.out, "\npower_control links=3: 2 problems");
    ck_assert_ptr_eq(first, p.out);
    ck_assert_ptr_nonnull(second);
    program_succeed(&p, "eval " CHECKPOINT " --problems @/both.jsonl --json");
    json_t *figures = json_loads(p.out, 0, NULL);
    ck_assert_int_eq((int)json_object_size(figures), 2);
    const json_t *part = json_object_get(figures, "power_control links=3");
    ck_assert_int_eq(json_integer_value(json_object_get(part, "problems")), 2);
    json_decref(figures);
}
END_TEST

START_TEST(generate_answers_each_problem_of_a_stack)
{
    unsigned char bytes[512] = "\x93NUMPY\1\0";
    static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2, 2), }";
    const double one = 1, quarter = 0.25;
    size_t length = 10 + sizeof header - 1;
    bytes[8] = sizeof header - 1;
    memcpy(bytes + 10, header, sizeof header - 1);
    for (size_t k = 0; k < 12; k++, length += sizeof one)
        memcpy(bytes + length, k % 4 == 0 || k % 4 == 3 ? &one : &quarter, sizeof one);
    train();
    temporary_write(file("g.npy"), bytes, length);
    program_succeed(&p, "generate " CHECKPOINT " --gains @/g.npy");
    ck_assert_ptr_nonnull(strstr(p.out, "problem 2\n"));
    ck_assert_ptr_null(strstr(p.out, "problem 3\n"));
    program_fail(&p, 3, "say --coefficients", "generate " CHECKPOINT " --gains %s/gains/complex.npy",
                 WZ_TEST_DATA);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("problem_set");
    TCase *sets = tcase_create("sets"), *programs = tcase_create("programs");
    tcase_add_checked_fixture(sets, set_up, tear_down);
    tcase_add_checked_fixture(programs, set_up, tear_down);
    tcase_set_timeout(sets, 300);
    tcase_set_timeout(programs, 300);
    tcase_add_test(sets, set_of_every_family_reads_back_equal_from_json_lines_and_hdf5);
    tcase_add_test(sets, set_is_the_same_bytes_when_it_is_written_again);
    tcase_add_test(sets, set_read_gives_groups_in_order_of_first_appearance);
    tcase_add_test(sets, entry_make_digests_options_and_numbers);
    tcase_add_test(sets, set_read_without_a_later_option_takes_its_default);
    tcase_add_loop_test(sets, set_read_of_a_changed_line_names_line_and_reason, 0,
                        (int)(sizeof changes / sizeof changes[0]));
    tcase_add_loop_test(sets, set_read_of_what_is_no_json_line_names_line_and_reason, 0,
                        (int)(sizeof texts / sizeof texts[0]));
    tcase_add_test(sets, set_read_of_endless_lines_is_refused);
    tcase_add_test(sets, set_read_of_a_set_behind_a_byte_order_mark_is_the_same);
    tcase_add_test(sets, set_read_of_an_empty_or_missing_file_says_so);
    tcase_add_loop_test(sets, set_read_of_a_changed_hdf5_dataset_names_group_and_reason, 0, 11);
    tcase_add_test(sets, set_read_of_lost_or_strange_parts_of_hdf5_says_so);
    tcase_add_test(sets, set_read_of_hdf5_cut_short_is_refused);
    tcase_add_test(sets, lines_next_of_any_breaks_gives_each_line);
    tcase_add_test(programs, tasks_export_and_check_agree_and_say_so);
    tcase_add_test(programs, tasks_export_of_a_mixture_holds_problems_of_each_part);
    tcase_add_test(programs, tasks_export_of_gains_keeps_the_rows_of_the_users_table);
    tcase_add_test(programs, eval_of_a_set_equals_eval_of_the_problems_it_was_made_from);
    tcase_add_test(programs, eval_of_a_set_of_several_options_gives_figures_for_each);
    tcase_add_test(programs, generate_answers_each_problem_of_a_stack);
    suite_add_tcase(suite, sets);
    suite_add_tcase(suite, programs);
    return suite;
}

int main(void)
{
    return run_suite(make_suite());
}
