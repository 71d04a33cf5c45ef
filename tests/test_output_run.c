/* The commands that write files, stopped by a signal or killed anywhere, sent to places that take no file or to their own input, and
 * on disks that are nearly full. */
#include <sys/stat.h>

#include "engine/core/folder.h"
#include "engine/core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

#define MODEL WZ_TEST_DATA "/hf/qwen3"

static program p;

static void make_place(void)
{
    program_create(&p);
    program_succeed(&p, "import " MODEL " -o @/model.h5");
    program_succeed(&p, "tasks export @/set.jsonl --problems 3");
}

static void make_run(void)
{
    program_succeed(&p, "train " TINY " max_steps=1 eval_steps=0 eval_problems=4 output_dir=@/run");
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* %s: the output. */
#define EXPORT(format) "export @/model.h5 --format " format " --overwrite -o %s"
static const struct {
    const char *command, *output;
    int stride; /* of the calls that are tried */
} writers[] = {
    {"import " MODEL " --overwrite -o %s", "a.h5", 3},
    {EXPORT("hf") " --eval-problems 0", "folder", 9},
    {"export @/run/checkpoints/step-00000001.h5 --format gguf --overwrite -o %s --eval-problems 4", "folder",
     9},
    {EXPORT("onnx") " --eval-problems 0", "folder", 9},
    {EXPORT("safetensors") " --eval-problems 0", "folder", 9},
    {"tasks export %s --problems 3", "a.jsonl", 1},
    {"tasks export %s --problems 3", "set.h5", 1},
    {"tasks import @/set.jsonl @/set.jsonl -o %s", "a.jsonl", 1},
};
enum { WRITERS = sizeof writers / sizeof writers[0] };

/* The writer's command, with its output in the test's directory, or at another path. */
static const char *command_of(int i, const char *path)
{
    static char text[600];
    char own[128];
    (void)snprintf(own, sizeof own, "@/%s", writers[i].output);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof text, writers[i].command, path != NULL ? path : own);
#pragma GCC diagnostic pop
    return text;
}

static bool exists(const char *name, const char *end)
{
    struct stat info;
    char path[128];
    (void)snprintf(path, sizeof path, "%s%s", name, end);
    return lstat(temporary_path(&p.where, path), &info) == 0;
}

static void remove_output(const char *name)
{
    wz_error err = {.text = ""};
    const char *path = temporary_path(&p.where, name);
    if (wz_path_is_directory(path))
        ck_assert_msg(wz_folder_remove(path, &err) == WZ_OK, "%s", err.text);
    else
        (void)unlink(path);
}

/* Digest of a file, or of all files of a folder. */
static void digest_output(const char *name, char hex[WZ_DIGEST_HEX])
{
    wz_error err = {.text = ""};
    wz_text all = {0};
    wz_names names;
    const char *path = temporary_path(&p.where, name);
    if (!wz_path_is_directory(path)) {
        ck_assert_msg(wz_digest_file(path, hex, &err) == WZ_OK, "%s", err.text);
        return;
    }
    ck_assert_int_eq(wz_folder_list(path, &names, &err), WZ_OK);
    for (size_t i = 0; i < names.count; i++) {
        char file[600];
        (void)snprintf(file, sizeof file, "%s/%s/%s", p.where.directory, name, names.items[i]);
        ck_assert_msg(wz_digest_file(file, hex, &err) == WZ_OK, "%s", err.text);
        ck_assert_int_eq(wz_text_printf(&all, &err, "%s %s\n", hex, names.items[i]), WZ_OK);
    }
    wz_digest_bytes(all.data, all.length, hex);
    wz_text_clear(&all);
    wz_names_clear(&names);
}

/* What the command writes if nobody disturbs it. */
static void write_once(int i, char digest[WZ_DIGEST_HEX])
{
    if (strstr(writers[i].command, "@/run/") != NULL)
        make_run();
    program_succeed(&p, "%s", command_of(i, NULL));
    digest_output(writers[i].output, digest);
}

/* Runs the command until its n-th call of a family: there the process gets a signal, or is killed. False: there was no such call. */
static bool run_until(const char *call, int n, const char *how, const char *command, int *status)
{
    char at[32], kind[40], mark[128];
    char *environment[] = {
        kind, at, mark, (char *)how, "LD_PRELOAD=" WZ_FAULT_PRELOAD, "ASAN_OPTIONS=verify_asan_link_order=0",
        NULL};
    (void)snprintf(kind, sizeof kind, "WZ_FAULT_CALL=%s", call);
    (void)snprintf(at, sizeof at, "WZ_FAULT_AT=%d", n);
    (void)snprintf(mark, sizeof mark, "WZ_FAULT_MARK=%s/mark", p.where.directory);
    (void)unlink(temporary_path(&p.where, "mark"));
    p.environment = environment;
    *status = program_run(&p, "%s", command);
    p.environment = NULL;
    return wz_path_exists(temporary_path(&p.where, "mark"));
}

/* --- signals --- */

/* Either nothing was written, which is said, or all was, since the signal came too late; never a part. Before the command takes
 * signals, there is nothing yet. */
static void assert_stopped(int i, int status, const char *digest, const char *what)
{
    const char *output = writers[i].output;
    char said[200], found[WZ_DIGEST_HEX];
    ck_assert_msg(!exists(output, WZ_OUTPUT_SUFFIX), "%s: its temporary is left", what);
    if (status == 0) {
        digest_output(output, found);
        ck_assert_msg(strcmp(found, digest) == 0, "%s: not what it is without a signal", what);
        return;
    }
    ck_assert_msg(!exists(output, ""), "%s: exit %d, and written", what, status);
    if (status == 1000 + SIGTERM)
        return;
    (void)snprintf(said, sizeof said, "interrupted: nothing was written to %s/%s\n", p.where.directory,
                   output);
    ck_assert_msg(status == 128 + SIGTERM, "%s: exit %d: %s", what, status, p.log);
    ck_assert_msg(program_message(&p) != NULL && strcmp(program_message(&p), said) == 0, "%s: %s", what,
                  p.log);
}

START_TEST(a_signal_leaves_nothing_and_is_told)
{
    static const char *const calls[] = {"open", "write"};
    char digest[WZ_DIGEST_HEX], what[64];
    int status = 0, told = 0;
    write_once(_i, digest);
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        bool fired = true;
        for (int n = 1 + _i % writers[_i].stride; fired; n += writers[_i].stride) {
            remove_output(writers[_i].output);
            fired = run_until(calls[c], n, "WZ_FAULT_SIGNAL=15", command_of(_i, NULL), &status);
            (void)snprintf(what, sizeof what, "%s, %s %d", writers[_i].output, calls[c], n);
            assert_stopped(_i, status, digest, what);
            told += status == 128 + SIGTERM;
        }
    }
    ck_assert_int_gt(told, 0);
}
END_TEST

/* An earlier output stays as it was. */
START_TEST(a_signal_keeps_what_is_there)
{
    char before[WZ_DIGEST_HEX], after[WZ_DIGEST_HEX];
    int status = 0, told = 0;
    bool fired = true;
    write_once(_i, before);
    for (int n = 1 + _i % writers[_i].stride; fired; n += writers[_i].stride) {
        fired = run_until("open", n, "WZ_FAULT_SIGNAL=2", command_of(_i, NULL), &status);
        ck_assert_msg(status == 0 || status == 128 + SIGINT || status == 1000 + SIGINT, "exit %d: %s", status,
                      p.log);
        told += status == 128 + SIGINT;
        digest_output(writers[_i].output, after);
        ck_assert_str_eq(before, after);
        ck_assert(!exists(writers[_i].output, WZ_OUTPUT_SUFFIX));
    }
    ck_assert_int_gt(told, 0);
}
END_TEST

/* --- kill -9 --- */

/* The second attempt needs no help, and ends as if there had been no first. */
START_TEST(a_killed_writer_is_followed_by_a_whole_output)
{
    static const char *const calls[] = {"open", "write", "fsync", "rename"};
    char digest[WZ_DIGEST_HEX], found[WZ_DIGEST_HEX];
    int status = 0, left = 0;
    write_once(_i, digest);
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        bool fired = true;
        for (int n = 1 + _i % writers[_i].stride; fired; n += c == 0 ? 13 : 4) {
            remove_output(writers[_i].output);
            fired = run_until(calls[c], n, "WZ_FAULT_KILL=1", command_of(_i, NULL), &status);
            ck_assert_msg(status == 0 || status == 1000 + SIGKILL, "exit %d: %s", status, p.log);
            left += exists(writers[_i].output, WZ_OUTPUT_SUFFIX);
            program_succeed(&p, "%s", command_of(_i, NULL));
            digest_output(writers[_i].output, found);
            ck_assert_str_eq(found, digest);
            ck_assert(!exists(writers[_i].output, WZ_OUTPUT_SUFFIX));
        }
    }
    ck_assert_int_gt(left, 0);
}
END_TEST

/* --- places --- */

/* Nobody makes files in /sys, root neither. */
START_TEST(a_place_that_takes_no_file_exits_2_for_every_command)
{
    char path[64];
    if (!wz_path_is_directory("/sys"))
        return;
    make_run();
    for (int i = 0; i < WRITERS; i++) {
        (void)snprintf(path, sizeof path, "/sys/%s", writers[i].output);
        program_fail(&p, 2, path, "%s", command_of(i, path));
        ck_assert_msg(strstr(p.log, WZ_OUTPUT_SUFFIX) == NULL, "%s", p.log);
    }
    program_fail(&p, 2, "/sys/run", "train " TINY " output_dir=/sys/run");
    program_fail(&p, 2, "/sys/page.html", "report @/run --no-eval -o /sys/page.html");
    ck_assert_msg(strstr(p.log, WZ_OUTPUT_SUFFIX) == NULL, "%s", p.log);
}
END_TEST

static void copy_model(const char *folder)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
    wz_error err = {.text = ""};
    ck_assert_int_eq(mkdir(temporary_path(&p.where, folder), 0777), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[600];
        wz_text bytes = {0};
        (void)snprintf(path, sizeof path, MODEL "/%s", files[i]);
        ck_assert_msg(wz_file_read(path, 1 << 26, &bytes, &err) == WZ_OK, "%s", err.text);
        (void)snprintf(path, sizeof path, "%s/%s/%s", p.where.directory, folder, files[i]);
        temporary_write(path, bytes.data, bytes.length);
        wz_text_clear(&bytes);
    }
}

/* What would be lost is named, and is there afterwards. */
START_TEST(no_command_writes_over_its_own_input)
{
    static const char *const commands[] = {
        "import @/model -o @/model/model.safetensors --overwrite",
        "import @/model -o @/link.h5 --overwrite",
        "import @/model -o @/hard.h5 --overwrite",
        "import @/earlier/model.gguf -o @/earlier/model.gguf --overwrite",
        "import @/model -o @/model --overwrite",
        "export @/earlier/model.h5 --format hf --overwrite --eval-problems 0 -o @/earlier",
        "export @/earlier/model.h5 --format hf --overwrite --eval-problems 0 -o @/earlier/model.h5",
        "export @/linked.h5 --format hf --overwrite --eval-problems 0 -o @/earlier/",
        "tasks import @/set.jsonl -o @/set.jsonl",
        "tasks import @/set.jsonl -o @/sets",
        "tasks export @/set.jsonl --gains @/set.jsonl",
        "report @/run --no-eval -o @/run/metrics.jsonl",
        "report @/run --no-eval -o @/run/checkpoints/step-00000001.h5",
        "report @/run --no-eval -o @/run/tb/events.out.tfevents.00000001.wavezero",
        "report @/run --no-eval -o @/run/LOCK",
    };
    static const char *const kept[] = {"model",           "earlier", "set.jsonl", "run/metrics.jsonl",
                                       "run/checkpoints", "run/tb",  "run/LOCK"};
    enum { KEPT = sizeof kept / sizeof kept[0] };
    char before[KEPT][WZ_DIGEST_HEX], after[WZ_DIGEST_HEX];
    copy_model("model");
    make_run();
    program_succeed(&p, "export @/model.h5 --format gguf --eval-problems 0 -o @/earlier");
    program_succeed(&p, "import @/model -o @/earlier/model.h5");
    char name[128];
    (void)snprintf(name, sizeof name, "%s/hard.h5", p.where.directory);
    ck_assert_int_eq(symlink("model/model.safetensors", temporary_path(&p.where, "link.h5")), 0);
    ck_assert_int_eq(link(temporary_path(&p.where, "model/model.safetensors"), name), 0);
    ck_assert_int_eq(symlink("earlier/model.h5", temporary_path(&p.where, "linked.h5")), 0);
    ck_assert_int_eq(symlink("set.jsonl", temporary_path(&p.where, "sets")), 0);
    for (size_t i = 0; i < KEPT; i++)
        digest_output(kept[i], before[i]);
    for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
        program_fail(&p, 2, "which it is made from: write elsewhere", "%s", commands[c]);
        for (size_t i = 0; i < KEPT; i++) {
            digest_output(kept[i], after);
            ck_assert_msg(strcmp(before[i], after) == 0, "%s: changed %s", commands[c], kept[i]);
        }
    }
    program_succeed(&p, "import @/model -o @/model/a.h5"); /* beside its input, once and again */
    program_succeed(&p, "import @/model -o @/model/a.h5 --overwrite");
}
END_TEST

/* It is told before any work is done: nothing is there to be read. */
START_TEST(an_output_without_a_name_is_refused_at_once)
{
    static const char *const commands[] = {
        "export @/missing.h5 --format hf -o", "export @/missing.h5 --output",    "import @/missing -o",
        "import @/missing --output",          "tasks import @/missing.jsonl -o", "report @/missing --output"};
    for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
        const char *option = strrchr(commands[c], ' ') + 1;
        char message[64];
        (void)snprintf(message, sizeof message, "%s: the name is empty", option);
        program_fail(&p, 2, message, "%s=", commands[c]);
    }
}
END_TEST

/* --- folders that an export finds --- */

#define FROM_RUN "export @/run/checkpoints/step-00000001.h5 --eval-problems 0 -o @/folder --format "
static const char *const makers[] = {
    FROM_RUN "hf",          FROM_RUN "gguf --grammar", FROM_RUN "onnx --grammar",
    FROM_RUN "safetensors", FROM_RUN "peft",           FROM_RUN "gguf-lora"};
enum { MAKERS = sizeof makers / sizeof makers[0] };

static void move(const char *from, const char *to)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", p.where.directory, from);
    ck_assert_int_eq(rename(path, temporary_path(&p.where, to)), 0);
}

/* Every file of every format is known for ours: a foreign one, and no other, keeps an export from being replaced, whole or as a
 * killed writer leaves it before its checksums. */
START_TEST(an_export_is_replaced_unless_it_holds_something_else)
{
    program_succeed(&p,
                    "train " TINY " max_steps=1 eval_steps=0 eval_problems=4 lora_rank=2 output_dir=@/run");
    program_succeed(&p, "%s", makers[_i]);
    temporary_write(temporary_path(&p.where, "folder/thesis.tex"), "x", 1);
    program_fail(&p, 2, "'thesis.tex'", "%s --overwrite", makers[_i]);
    ck_assert(exists("folder/thesis.tex", "") && exists("folder/README.md", ""));
    temporary_write(temporary_path(&p.where, "folder/checksums.xxh128"), "", 0);
    move("folder", "folder" WZ_OUTPUT_SUFFIX);
    program_fail(&p, 2, "'thesis.tex'", "%s", makers[_i]);
    ck_assert(exists("folder" WZ_OUTPUT_SUFFIX "/thesis.tex", ""));
    ck_assert(exists("folder" WZ_OUTPUT_SUFFIX "/README.md", ""));
    ck_assert_int_eq(unlink(temporary_path(&p.where, "folder" WZ_OUTPUT_SUFFIX "/thesis.tex")), 0);
    program_succeed(&p, "%s", makers[_i]);
    program_succeed(&p, "%s --overwrite", makers[_i]);
    ck_assert(exists("folder", "") && !exists("folder", WZ_OUTPUT_SUFFIX));
}
END_TEST

/* --- nearly full disks --- */

static uint64_t bytes_in(const char *folder)
{
    wz_error err = {.text = ""};
    wz_names names;
    uint64_t sum = 0;
    ck_assert_int_eq(wz_folder_list(temporary_path(&p.where, folder), &names, &err), WZ_OK);
    for (size_t i = 0; i < names.count; i++) {
        struct stat info;
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%s/%s", p.where.directory, folder, names.items[i]);
        ck_assert_int_eq(stat(path, &info), 0);
        sum += (uint64_t)info.st_size;
    }
    wz_names_clear(&names);
    return sum;
}

/* A small export asks for little more than it takes, and one that does not fit is refused before it begins. */
START_TEST(an_export_asks_for_the_space_it_takes)
{
    static const char *const formats[] = {"hf", "gguf", "onnx", "safetensors"};
    char free_bytes[64];
    char *environment[] = {free_bytes, "LD_PRELOAD=" WZ_FAULT_PRELOAD,
                           "ASAN_OPTIONS=verify_asan_link_order=0", NULL};
    program_succeed(&p, "export @/model.h5 --format %s --eval-problems 0 -o @/folder", formats[_i]);
    const uint64_t taken = bytes_in("folder");
    p.environment = environment;
    (void)snprintf(free_bytes, sizeof free_bytes, "WZ_FAULT_FREE=%llu", (unsigned long long)taken);
    program_fail(&p, 5, "free some space", "export @/model.h5 --format %s --eval-problems 0 -o @/again",
                 formats[_i]);
    ck_assert(!exists("again", "") && !exists("again", WZ_OUTPUT_SUFFIX));
    (void)snprintf(free_bytes, sizeof free_bytes, "WZ_FAULT_FREE=%llu",
                   (unsigned long long)taken * 2 + (1u << 20));
    program_succeed(&p, "export @/model.h5 --format %s --eval-problems 0 -o @/again", formats[_i]);
    p.environment = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output_run");
    TCase *tests = tcase_create("output_run");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, a_signal_leaves_nothing_and_is_told, 0, WRITERS);
    tcase_add_loop_test(tests, a_signal_keeps_what_is_there, 0, WRITERS);
    tcase_add_loop_test(tests, a_killed_writer_is_followed_by_a_whole_output, 0, WRITERS);
    tcase_add_test(tests, a_place_that_takes_no_file_exits_2_for_every_command);
    tcase_add_test(tests, no_command_writes_over_its_own_input);
    tcase_add_test(tests, an_output_without_a_name_is_refused_at_once);
    tcase_add_loop_test(tests, an_export_is_replaced_unless_it_holds_something_else, 0, MAKERS);
    tcase_add_loop_test(tests, an_export_asks_for_the_space_it_takes, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
