/* Running the program from a test, and comparing what two runs left behind. */
#ifndef WZ_TESTS_PROGRAM_H
#define WZ_TESTS_PROGRAM_H

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "tests/temporary.h"

/* A run on the device that is tested. The emulator's has less of everything. */
#if defined(WZ_TEST_EMULATED)
#define TINY                                                                                                 \
    WZ_TEST_DATA "/config/tiny.yaml device=cuda generation_batch_size=16 eval_problems=4 max_steps=2 "       \
                 "log_completions_steps=1"
#define TINY_STEPS 2
#elif defined(WZ_TEST_CUDA)
#define TINY WZ_TEST_DATA "/config/tiny.yaml device=cuda"
#define TINY_STEPS 12
#else
#define TINY WZ_TEST_DATA "/config/tiny.yaml"
#define TINY_STEPS 12
#endif
#define MAX_ARGUMENTS 20

/* One directory for everything a test makes; the program's two streams go to files in it. */
typedef struct program {
    temporary where;
    char arguments[4096]; /* one string, cut at blanks */
    char **environment;   /* NULL: the test's own; entries are put on top of it */
    rlim_t file_limit;    /* RLIMIT_FSIZE in bytes; 0: none */
    double peak;          /* MiB that the last run's process held at most */
    char out[1 << 16], log[1 << 14];
} program;

static inline void program_create(program *p)
{
    memset(p, 0, sizeof *p);
    temporary_create(&p->where);
}

static inline void program_destroy(const program *p)
{
    temporary_remove(&p->where);
}

static inline void program_read(program *p, const char *name, char *text, size_t size)
{
    wz_text read = {0};
    wz_error err = {{0}};
    ck_assert_msg(wz_file_read(temporary_path(&p->where, name), 1 << 24, &read, &err) == WZ_OK, "%s",
                  err.text);
    (void)snprintf(text, size, "%s", read.data == NULL ? "" : read.data);
    wz_text_clear(&read);
}

/* In the child: streams, limits and environment as the test asked, then the program. Never returns. */
static inline void program_exec(program *p, const char *out, const char *log)
{
    char *list[MAX_ARGUMENTS + 2] = {(char *)WZ_PROGRAM};
    char *rest = NULL;
    size_t count = 1;
    int streams[2] = {open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666),
                      open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666)};
    if (streams[0] < 0 || streams[1] < 0 || dup2(streams[0], 1) < 0 || dup2(streams[1], 2) < 0)
        _exit(99);
    for (char *at = strtok_r(p->arguments, " ", &rest); at != NULL && count <= MAX_ARGUMENTS;
         at = strtok_r(NULL, " ", &rest))
        list[count++] = at;
    for (char **entry = p->environment; entry != NULL && *entry != NULL; ++entry)
        (void)putenv(*entry);
    if (p->file_limit > 0) {
        const struct rlimit limit = {p->file_limit, p->file_limit};
        (void)signal(SIGXFSZ, SIG_IGN); /* a write then fails with EFBIG */
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    (void)execv(WZ_PROGRAM, list);
    _exit(99);
}

/* Starts `wavezero ARGUMENTS`; "@" stands for the test's directory. */
static inline pid_t program_start(program *p, const char *format, va_list list)
{
    char text[4096], out[128], log[128];
    size_t used = 0;
    (void)vsnprintf(text, sizeof text, format, list);
    for (const char *at = text; *at != '\0'; ++at) {
        int length = *at == '@'
                         ? snprintf(p->arguments + used, sizeof p->arguments - used, "%s", p->where.directory)
                         : snprintf(p->arguments + used, sizeof p->arguments - used, "%c", *at);
        used += (size_t)length;
        ck_assert_uint_lt(used, sizeof p->arguments);
    }
    (void)snprintf(out, sizeof out, "%s/out", p->where.directory);
    (void)snprintf(log, sizeof log, "%s/log", p->where.directory);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        program_exec(p, out, log);
    return child;
}

/* Waits; the exit status, or 1000 + the signal that ended it. */
static inline int program_wait(program *p, pid_t child)
{
    int status = 0;
    struct rusage use;
    ck_assert_int_eq(wait4(child, &status, 0, &use), child);
    p->peak = (double)use.ru_maxrss / 1024.0;
    program_read(p, "out", p->out, sizeof p->out);
    program_read(p, "log", p->log, sizeof p->log);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int WZ_PRINTF(2, 3) program_run(program *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    pid_t child = program_start(p, format, list);
    va_end(list);
    return program_wait(p, child);
}

static inline pid_t WZ_PRINTF(2, 3) program_begin(program *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    pid_t child = program_start(p, format, list);
    va_end(list);
    return child;
}

/* The last run's results as JSON. */
static inline json_t *program_json(const program *p)
{
    json_error_t error;
    json_t *json = json_loads(p->out, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json != NULL, "%s: %s", error.text, p->out);
    return json;
}

/* The number json[outer], or json[outer][inner]. */
static inline double program_number(const json_t *json, const char *outer, const char *inner)
{
    const json_t *value = json_object_get(json, outer);
    if (inner != NULL)
        value = json_object_get(value, inner);
    ck_assert_msg(json_is_number(value), "no %s.%s", outer, inner != NULL ? inner : "");
    return json_number_value(value);
}

/* A run that must succeed. */
#define program_succeed(p, ...)                                                                              \
    do {                                                                                                     \
        int program_status = program_run(p, __VA_ARGS__);                                                    \
        ck_assert_msg(program_status == 0, "exit %d: %s", program_status, (p)->log);                         \
    } while (0)

/* A run that must fail with this status and one line that holds `text`. Progress may stand before it. */
#define program_fail(p, status, text, ...)                                                                   \
    do {                                                                                                     \
        int program_status = program_run(p, __VA_ARGS__);                                                    \
        ck_assert_msg(program_status == (status), "exit %d, not %d: %s", program_status, status, (p)->log);  \
        ck_assert_msg(program_message(p) != NULL, "not one message at the end: %s", (p)->log);               \
        ck_assert_msg(strstr(program_message(p), text) != NULL, "no '%s' in: %s", text, (p)->log);           \
    } while (0)

/* The message, if it is there once and is the last line. */
static inline const char *program_message(const program *p)
{
    static const char start[] = "wavezero: error: ";
    const char *at = strstr(p->log, start), *end = at == NULL ? NULL : strchr(at, '\n');
    return end != NULL && end[1] == '\0' && strstr(at + 1, start) == NULL ? at + sizeof start - 1 : NULL;
}

/* Until the run has saved this step; then SIGKILL. */
static inline void program_kill_at(program *p, pid_t child, const char *run, int step)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoints/step-%08d.h5", run, step);
    for (int i = 0; i < 20000 && !wz_path_exists(temporary_path(&p->where, path)); ++i)
        (void)usleep(500);
    (void)kill(child, SIGKILL);
    (void)program_wait(p, child);
    ck_assert(wz_path_exists(temporary_path(&p->where, path)));
}

/* ---- what a run left ---- */

/* Digest of every tensor of a checkpoint: weights and optimiser moments. */
static inline void digest_tensors(const char *path, char hex[WZ_DIGEST_HEX])
{
    wz_error err = {{0}};
    wz_checkpoint *checkpoint = NULL;
    wz_digest *digest = NULL;
    ck_assert_msg(wz_checkpoint_open(path, &checkpoint, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_checkpoint_verify(checkpoint, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(wz_digest_create(&digest, &err), WZ_OK);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *tensor = wz_checkpoint_tensor_info(checkpoint, i);
        size_t count = 1;
        for (size_t d = 0; d < tensor->rank; ++d)
            count *= tensor->shape[d];
        float *data = malloc(count * sizeof *data);
        ck_assert_ptr_nonnull(data);
        ck_assert_int_eq(wz_checkpoint_read(checkpoint, tensor->group, tensor->name, data, count, &err),
                         WZ_OK);
        wz_digest_add(digest, tensor->group, strlen(tensor->group));
        wz_digest_add(digest, tensor->name, strlen(tensor->name));
        wz_digest_add(digest, data, count * sizeof *data);
        free(data);
    }
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    wz_checkpoint_close(checkpoint);
}

/* Rows of a .jsonl file without the fields that tell time and memory, which alone may differ. */
static inline void read_rows(const char *path, wz_text *rows)
{
    static const char *const timing[] = {"step_time", "verify_time", "tokens_per_second/rollout",
                                         "tokens_per_second/train", "memory/resident_gb"};
    wz_text text = {0};
    wz_error err = {{0}};
    ck_assert_msg(wz_file_read(path, 1 << 24, &text, &err) == WZ_OK, "%s", err.text);
    char *rest = NULL;
    for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(row != NULL, "%s: not a row: %s", path, line);
        for (size_t i = 0; i < sizeof timing / sizeof timing[0]; ++i)
            (void)json_object_del(row, timing[i]);
        char *dumped = json_dumps(row, 0);
        ck_assert_int_eq(wz_text_printf(rows, &err, "%s\n", dumped), WZ_OK);
        free(dumped);
        json_decref(row);
    }
    wz_text_clear(&text);
}

/* Rows of a run's metrics that have this number, and the largest of them; 0: none has it. */
static inline size_t metrics_with(program *p, const char *run, const char *key, double *largest)
{
    char file[64], *rest = NULL;
    wz_text rows = {0};
    size_t count = 0;
    (void)snprintf(file, sizeof file, "%s/metrics.jsonl", run);
    read_rows(temporary_path(&p->where, file), &rows);
    for (char *line = strtok_r(rows.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *number = json_object_get(row, key);
        if (json_is_number(number) && (count++ == 0 || json_number_value(number) > *largest))
            *largest = json_number_value(number);
        json_decref(row);
    }
    wz_text_clear(&rows);
    return count;
}
/* Of sampler's and trainer's log-probabilities, as a metric. */
#define METRIC_GAP "sampling/sampling_logp_difference/max"

static inline void assert_same_rows(program *p, const char *a, const char *b, const char *file)
{
    char path[600];
    wz_text rows[2] = {{0}, {0}};
    const char *const runs[2] = {a, b};
    for (int i = 0; i < 2; ++i) {
        (void)snprintf(path, sizeof path, "%s/%s/%s", p->where.directory, runs[i], file);
        read_rows(path, &rows[i]);
    }
    ck_assert_uint_gt(rows[0].length, 0);
    ck_assert_msg(strcmp(rows[0].data, rows[1].data) == 0, "%s of %s and %s differ:\n%s\n%s", file, a, b,
                  rows[0].data, rows[1].data);
    wz_text_clear(&rows[0]);
    wz_text_clear(&rows[1]);
}

/* Weights and moments of the last checkpoint of two runs. */
static inline void assert_same_tensors(program *p, const char *a, const char *b, int step)
{
    char path[600], digests[2][WZ_DIGEST_HEX];
    const char *const runs[2] = {a, b};
    for (int i = 0; i < 2; ++i) {
        (void)snprintf(path, sizeof path, "%s/%s/checkpoints/step-%08d.h5", p->where.directory, runs[i],
                       step);
        digest_tensors(path, digests[i]);
    }
    ck_assert_msg(strcmp(digests[0], digests[1]) == 0, "%s and %s: weights or moments differ", a, b);
}

static inline void assert_same_run(program *p, const char *a, const char *b, int step)
{
    assert_same_tensors(p, a, b, step);
    assert_same_rows(p, a, b, "metrics.jsonl");
    assert_same_rows(p, a, b, "completions.jsonl");
}

#endif
