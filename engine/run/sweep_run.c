/* The processes of a sweep. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/clock.h"
#include "engine/core/file.h"
#include "engine/run/config_schema.h"
#include "engine/run/history.h"
#include "engine/run/metrics.h"
#include "engine/run/sweep.h"

#define TAIL_BYTES 16384 /* of a file whose end is read */
#define SHOWN_LINES 5    /* of the log of a run that failed */
#define LOOK_S 0.5       /* between looks at how far the runs are */
#define PLAIN_LINE_S 60.0
#define RELEASE_S 60.0 /* that a run of a sweep that was killed may take to save */

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

/* ---- starting ---- */

/* What a child is told. */
typedef struct command_line {
    const char **items; /* (capacity), NULL at the end */
    size_t count, capacity;
    wz_text threads;
} command_line;

static wz_status put(command_line *line, const char *item, wz_error *err)
{
    void *grown = line->items;
    const wz_status status =
        wz_grow(&grown, &line->capacity, line->count + 2, sizeof *line->items, "a command line", err);
    line->items = grown;
    if (status != WZ_OK)
        return status;
    line->items[line->count++] = item;
    line->items[line->count] = NULL;
    return WZ_OK;
}

/* Those of the assignments that a resumed run may take. */
static wz_status put_free_keys(command_line *line, const wz_text *assignments, wz_error *err)
{
    wz_status status = WZ_OK;
    for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(assignments, at)) != NULL;)
        for (size_t k = 0; status == WZ_OK && k < wz_config_key_count; k++) {
            const wz_config_key *key = &wz_config_keys[k];
            const size_t length = key->type == WZ_KEY_HEADING ? 0 : strlen(key->name);
            if (length > 0 && key->resume_may_change && strncmp(at, key->name, length) == 0 &&
                at[length] == '=')
                status = put(line, at, err);
        }
    return status;
}

static wz_status compose(const wz_sweep *sweep, const wz_sweep_run *run, const char *asked,
                         command_line *line, wz_error *err)
{
    wz_config config;
    const bool resumes = run->state == WZ_SWEEP_PARTIAL;
    wz_status status = wz_sweep_config(sweep, run, &config, err);
    if (status == WZ_OK)
        status = put(line, "wavezero", err);
    if (status == WZ_OK)
        status = put(line, resumes ? "resume" : "train", err);
    if (status == WZ_OK)
        status = put(line, resumes ? run->directory : asked, err);
    if (status != WZ_OK || !resumes)
        return status;
    status = put_free_keys(line, &sweep->grid.fixed, err);
    if (status == WZ_OK)
        status = put_free_keys(line, &sweep->grid.points[run->point].assignments, err);
    if (status == WZ_OK)
        status = wz_text_printf(&line->threads, err, "threads=%lld", (long long)config.threads);
    return status == WZ_OK ? put(line, line->threads.data, err) : status;
}

/* In the new process. An interrupt of the sweep reaches it once, from the sweep; should that be killed, the kernel tells it
 * to save and end. */
_Noreturn static void become(const char *program, const char *const *items, int log, pid_t parent,
                             const sigset_t *mask)
{
    const int nothing = open("/dev/null", O_RDONLY);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    if (getppid() == parent && nothing >= 0 && dup2(nothing, 0) >= 0 && dup2(log, 1) >= 0 &&
        dup2(log, 2) >= 0)
        (void)execv(program, (char *const *)items);
    _exit(127);
}

/* The run's configuration as it was asked for, once. */
static wz_status write_asked(const wz_sweep *sweep, const wz_sweep_run *run, const char *path, wz_error *err)
{
    wz_config config;
    wz_text text = {0};
    wz_status status = wz_sweep_config(sweep, run, &config, err);
    if (status == WZ_OK)
        status = wz_config_write(&config, &text, err);
    if (status == WZ_OK)
        status = wz_file_replace(path, text.data, text.length, err);
    wz_text_clear(&text);
    return status;
}

/* A run whose sweep was killed may still be saving. */
static wz_status await_release(const crew *c, const wz_sweep_run *run, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    const double deadline = wz_now_s() + RELEASE_S;
    int lock = -1;
    (void)snprintf(path, sizeof path, "%s/LOCK", run->directory);
    for (;;) {
        const wz_status status = wz_lock_acquire(path, &lock, err);
        if (status == WZ_OK)
            wz_lock_release(lock);
        if (status != WZ_ERR_RUNTIME || wz_now_s() > deadline || *c->io->interrupt != 0)
            return status;
        const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
        (void)nanosleep(&moment, NULL);
    }
}

static wz_status launch(crew *c, slot *s, wz_sweep_run *run, const sigset_t *mask, wz_error *err)
{
    char asked[WZ_PATH_MAX + 32], path[WZ_PATH_MAX + 32];
    command_line line = {0};
    (void)snprintf(asked, sizeof asked, "%s/" WZ_SWEEP_CONFIG, run->directory);
    (void)snprintf(path, sizeof path, "%s/" WZ_SWEEP_LOG, run->directory);
    wz_status status = WZ_OK;
    if (run->state == WZ_SWEEP_MISSING)
        status = write_asked(c->sweep, run, asked, err);
    if (status == WZ_OK)
        status = compose(c->sweep, run, asked, &line, err);
    const int log = status == WZ_OK ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (status == WZ_OK && log < 0)
        status = wz_fail(err, WZ_ERR_RESOURCE, "cannot open %s: %s", path, strerror(errno));
    const pid_t parent = getpid();
    const pid_t process = status == WZ_OK ? fork() : 0;
    if (status == WZ_OK && process == 0)
        become(c->program, line.items, log, parent, mask);
    if (status == WZ_OK && process < 0)
        status = wz_fail(err, WZ_ERR_RESOURCE, "no new process for %s: %s", run->name, strerror(errno));
    if (log >= 0)
        (void)close(log);
    free(line.items);
    wz_text_clear(&line.threads);
    if (status == WZ_OK)
        *s = (slot){.run = run, .process = process, .started_s = wz_now_s()};
    return status;
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
static wz_status start(crew *c, slot *s, wz_sweep_run *run, const sigset_t *mask, wz_error *err)
{
    if (run->state == WZ_SWEEP_COMPLETE)
        return WZ_OK;
    wz_status status = wz_directory_create(run->directory, err);
    if (status == WZ_OK)
        status = await_release(c, run, err);
    if (status != WZ_OK)
        return status;
    run->state = wz_sweep_state_of(run); /* it may have gone on until it was released */
    if (run->state != WZ_SWEEP_COMPLETE)
        return launch(c, s, run, mask, err);
    complete(c, run, 0.0);
    return WZ_OK;
}

/* Fills the free slots. A run that cannot be started has failed. */
static void start_more(crew *c, const sigset_t *mask)
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
        const bool is_started = start(c, &c->slots[i], run, mask, &err) == WZ_OK;
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
static void attend(crew *c, const sigset_t *child, const sigset_t *mask)
{
    const struct timespec moment = {.tv_nsec = (long)(LOOK_S * 1e9)};
    size_t running = 0;
    double shown_s = -INFINITY;
    do {
        pass_on(c);
        if (c->stopped_by == 0)
            start_more(c, mask);
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

wz_status wz_sweep_train(wz_sweep *sweep, const char *program, const wz_run_io *io, int *signal,
                         wz_error *err)
{
    crew c = {.sweep = sweep, .program = program, .io = io};
    sigset_t child, mask;
    void *slots = NULL;
    *signal = 0;
    wz_status status = wz_alloc(&slots, (size_t)sweep->jobs, sizeof *c.slots, "a sweep's processes", err);
    if (status != WZ_OK)
        return status;
    c.slots = slots;
    begin(&c);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, &mask);
    attend(&c, &child, &mask);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    wz_progress_clear(&c.progress);
    free(slots);
    *signal = c.stopped_by;
    return WZ_OK;
}
