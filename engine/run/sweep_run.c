/* The processes of a sweep. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/clock.h"
#include "engine/core/file.h"
#include "engine/run/history.h"
#include "engine/run/metrics.h"
#include "engine/run/sweep_internal.h"

#define TAIL_BYTES 16384 /* of a file whose end is read */
#define SHOWN_LINES 5    /* of the log of a run that failed */
#define LOOK_S 0.5       /* between looks at how far the runs are */
#define PLAIN_LINE_S 60.0

typedef struct slot {
    wz_sweep_run *run; /* NULL: free */
    pid_t process;
    double started_s;
} slot;

typedef struct crew {
    wz_sweep *sweep;
    const char *program;
    const wz_run_io *io;
    slot *slots; /* (jobs) */
    size_t next; /* run to look at */
    wz_progress progress;
    size_t complete, failed;
    int stopped_by; /* signal; 0: none */
} crew;

/* ---- what a run has written ---- */

/* The last bytes of a file, as text; "" where there are none. */
static void read_tail(const char *path, char out[TAIL_BYTES + 1])
{
    struct stat info;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    if (file >= 0 && fstat(file, &info) == 0 && info.st_size > 0) {
        length = info.st_size < TAIL_BYTES ? (size_t)info.st_size : TAIL_BYTES;
        if (wz_file_read_at(file, path, (uint64_t)info.st_size - length, out, length, NULL) != WZ_OK)
            length = 0;
    }
    out[length] = '\0';
    if (file >= 0)
        (void)close(file);
}

/* The step of the last row of metrics. */
static void follow(wz_sweep_run *run)
{
    char path[WZ_PATH_MAX + 32], tail[TAIL_BYTES + 1];
    (void)snprintf(path, sizeof path, "%s/" WZ_METRICS_FILE, run->directory);
    read_tail(path, tail);
    static const char start[] = "{\"step\": ";
    for (const char *at = tail; (at = strstr(at, start)) != NULL;) {
        at += strlen(start);
        const int64_t step = strtoll(at, NULL, 10);
        run->step = step < run->max_steps ? step : run->max_steps;
    }
}

/* The last lines of a text, indented, as messages. */
static void print_end(wz_progress *progress, char *text)
{
    char line[1024];
    char *at = text + strlen(text);
    while (at > text && at[-1] == '\n')
        *--at = '\0';
    for (int lines = 0; at > text && (lines += at[-1] == '\n') < SHOWN_LINES;)
        at--;
    char *rest = NULL;
    for (char *piece = strtok_r(at, "\n", &rest); piece != NULL; piece = strtok_r(NULL, "\n", &rest)) {
        (void)snprintf(line, sizeof line, "    %.1000s", piece);
        wz_progress_message(progress, line);
    }
}

/* ---- the end of a run ---- */

static void complete(crew *c, wz_sweep_run *run, double seconds)
{
    char path[WZ_PATH_MAX + 32], duration[32], line[WZ_PATH_MAX];
    wz_history history;
    (void)snprintf(path, sizeof path, "%s/" WZ_METRICS_FILE, run->directory);
    const bool is_read = wz_history_read(path, &history, NULL) == WZ_OK;
    const double score = is_read ? wz_history_last(&history, "eval_objective_ratio") : NAN;
    if (is_read)
        wz_history_clear(&history);
    run->state = WZ_SWEEP_COMPLETE;
    run->step = run->max_steps;
    c->complete++;
    wz_format_duration(seconds, duration);
    (void)snprintf(line, sizeof line, "%s: held-out objective ratio %.4f, %s (%zu of %zu runs complete)",
                   run->name, score, duration, c->complete, c->sweep->run_count);
    wz_progress_message(&c->progress, line);
}

static void fail(crew *c, wz_sweep_run *run, int status)
{
    char path[WZ_PATH_MAX + 32], tail[TAIL_BYTES + 1], line[2 * WZ_PATH_MAX];
    run->failed = true;
    c->failed++;
    (void)snprintf(path, sizeof path, "%s/" WZ_SWEEP_LOG, run->directory);
    (void)snprintf(line, sizeof line, "%s: failed, %s %d; the end of %s:", run->name,
                   WIFSIGNALED(status) ? "signal" : "exit status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), path);
    wz_progress_message(&c->progress, line);
    read_tail(path, tail);
    print_end(&c->progress, tail);
}

static void finish(crew *c, slot *s, int status)
{
    wz_sweep_run *run = s->run;
    const bool was_stopped =
        c->stopped_by != 0 && ((WIFEXITED(status) && WEXITSTATUS(status) == 128 + c->stopped_by) ||
                               (WIFSIGNALED(status) && WTERMSIG(status) == c->stopped_by));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        complete(c, run, wz_now_s() - s->started_s);
    } else if (!was_stopped) {
        fail(c, run, status);
    }
    s->run = NULL;
}

/* How many still run, after those that ended were taken leave of. */
static size_t collect(crew *c)
{
    size_t running = 0;
    for (int64_t i = 0; i < c->sweep->jobs; i++) {
        slot *s = &c->slots[i];
        int status = 0;
        if (s->run != NULL && waitpid(s->process, &status, WNOHANG) == s->process)
            finish(c, s, status);
        running += s->run != NULL;
    }
    return running;
}

/* Starts a run in a free slot, unless it is complete. */
static wz_status start(crew *c, slot *s, wz_sweep_run *run, wz_error *err)
{
    pid_t process = 0;
    if (run->state == WZ_SWEEP_COMPLETE)
        return WZ_OK;
    const wz_status status = wz_sweep_start_run(c->sweep, run, c->program, c->io->interrupt, &process, err);
    if (status == WZ_OK && process > 0)
        *s = (slot){.run = run, .process = process, .started_s = wz_now_s()};
    else if (status == WZ_OK)
        complete(c, run, 0.0);
    return status;
}

/* Fills the free slots. A run that cannot be started has failed. */
static void start_more(crew *c)
{
    wz_sweep *sweep = c->sweep;
    wz_error err = {{0}};
    char line[sizeof err.text + WZ_PATH_MAX];
    for (int64_t i = 0; i < sweep->jobs && c->next < sweep->run_count;) {
        wz_sweep_run *run = &sweep->runs[c->next];
        if (c->slots[i].run != NULL) {
            i++;
            continue;
        }
        const bool is_started = start(c, &c->slots[i], run, &err) == WZ_OK;
        if (!is_started && *c->io->interrupt != 0)
            return;
        c->next++;
        if (is_started)
            continue;
        run->failed = true;
        c->failed++;
        (void)snprintf(line, sizeof line, "%s: not started: %s", run->name, err.text);
        wz_progress_message(&c->progress, line);
    }
}

static void pass_on(crew *c)
{
    const int number = (int)*c->io->interrupt;
    if (number == 0 || c->stopped_by != 0)
        return;
    c->stopped_by = number;
    for (int64_t i = 0; i < c->sweep->jobs; i++)
        if (c->slots[i].run != NULL)
            (void)kill(c->slots[i].process, number);
    wz_progress_message(&c->progress, "the runs save and end; the same command goes on with them");
}

/* ---- the sweep ---- */

static int64_t steps_done(const crew *c)
{
    int64_t done = 0;
    for (size_t r = 0; r < c->sweep->run_count; r++)
        done += c->sweep->runs[r].step;
    return done;
}

static void show(crew *c, size_t running)
{
    char note[96], failed[32] = "";
    for (int64_t i = 0; i < c->sweep->jobs; i++)
        if (c->slots[i].run != NULL)
            follow(c->slots[i].run);
    if (c->failed > 0)
        (void)snprintf(failed, sizeof failed, ", %zu failed", c->failed);
    (void)snprintf(note, sizeof note, "%zu of %zu runs complete, %zu running%s", c->complete,
                   c->sweep->run_count, running, failed);
    wz_progress_update(&c->progress, steps_done(c), NULL, NAN, note, wz_now_s());
}

/* Until all have ended: SIGCHLD, which is blocked, wakes it, and so does an interrupt. */
static void attend(crew *c, const sigset_t *child)
{
    const struct timespec moment = {.tv_nsec = (long)(LOOK_S * 1e9)};
    size_t running = 0;
    double shown_s = -INFINITY;
    do {
        pass_on(c);
        if (c->stopped_by == 0)
            start_more(c);
        running = collect(c);
        if (wz_now_s() - shown_s >= LOOK_S) {
            show(c, running);
            shown_s = wz_now_s();
        }
        if (running > 0)
            (void)sigtimedwait(child, NULL, &moment);
    } while (running > 0 || (c->stopped_by == 0 && c->next < c->sweep->run_count));
}

static void begin(crew *c)
{
    int64_t total = 0;
    wz_progress_style style = c->io->progress;
    style.interval_s = PLAIN_LINE_S;
    for (size_t r = 0; r < c->sweep->run_count; r++) {
        wz_sweep_run *run = &c->sweep->runs[r];
        total += run->max_steps;
        c->complete += run->state == WZ_SWEEP_COMPLETE;
        if (run->state == WZ_SWEEP_PARTIAL)
            follow(run);
    }
    wz_progress_start(&c->progress, c->io->log, &style, "step", steps_done(c), total, wz_now_s());
}

wz_status wz_sweep_train(wz_sweep *sweep, const char *program, const wz_run_io *io, int *number,
                         wz_error *err)
{
    crew c = {.sweep = sweep, .program = program, .io = io};
    sigset_t child, mask;
    void *slots = NULL;
    *number = 0;
    wz_status status = wz_alloc(&slots, (size_t)sweep->jobs, sizeof *c.slots, "a sweep's processes", err);
    if (status != WZ_OK)
        return status;
    c.slots = slots;
    begin(&c);
    (void)signal(SIGCHLD, SIG_DFL); /* where a parent ignores it, no process could be waited for */
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, &mask);
    attend(&c, &child);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    wz_progress_clear(&c.progress);
    free(slots);
    *number = c.stopped_by;
    return WZ_OK;
}
