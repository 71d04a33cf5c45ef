/* Starting a run of a sweep in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/clock.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/run/config_schema.h"
#include "engine/run/sweep_internal.h"

#define RELEASE_S 60.0 /* that a run of a sweep that was killed may take to save */

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

/* Signals that a child must neither miss nor take with the handlers of its parent. */
static void stop_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGCHLD);
}

/* In the new process. An interrupt of the sweep reaches it once, from the sweep; should that be killed, the kernel tells it
 * to save and end. */
_Noreturn static void become(const char *program, const char *const *items, int log, pid_t parent)
{
    sigset_t signals;
    const int nothing = open("/dev/null", O_RDONLY);
    stop_signals(&signals);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &signals, NULL);
    if (getppid() == parent && nothing >= 0 && dup2(nothing, 0) >= 0 && dup2(log, 1) >= 0 &&
        dup2(log, 2) >= 0)
        (void)execv(program, (char *const *)items);
    _exit(127);
}

static wz_status divide(const char *program, const command_line *line, const char *path, pid_t *process,
                        wz_error *err)
{
    sigset_t signals, before;
    const pid_t parent = getpid();
    const int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (log < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    stop_signals(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    *process = fork();
    if (*process == 0)
        become(program, line->items, log, parent);
    const int reason = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(log);
    return *process > 0 ? WZ_OK : wz_fail(err, WZ_ERR_RESOURCE, "no new process: %s", strerror(reason));
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
static wz_status await_release(const wz_sweep_run *run, wz_stop *interrupt, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    const double deadline = wz_now_s() + RELEASE_S;
    int lock = -1;
    (void)snprintf(path, sizeof path, "%s/LOCK", run->directory);
    for (;;) {
        const wz_status status = wz_lock_acquire(path, &lock, err);
        if (status == WZ_OK)
            wz_lock_release(lock);
        if (status != WZ_ERR_RUNTIME || wz_now_s() > deadline || *interrupt != 0)
            return status;
        const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
        (void)nanosleep(&moment, NULL);
    }
}

static wz_status launch(const wz_sweep *sweep, const wz_sweep_run *run, const char *program, pid_t *process,
                        wz_error *err)
{
    char asked[WZ_PATH_MAX + 32], log[WZ_PATH_MAX + 32];
    command_line line = {0};
    (void)snprintf(asked, sizeof asked, "%s/" WZ_SWEEP_CONFIG, run->directory);
    (void)snprintf(log, sizeof log, "%s/" WZ_SWEEP_LOG, run->directory);
    wz_status status = WZ_OK;
    if (run->state == WZ_SWEEP_MISSING)
        status = write_asked(sweep, run, asked, err);
    if (status == WZ_OK)
        status = compose(sweep, run, asked, &line, err);
    if (status == WZ_OK)
        status = divide(program, &line, log, process, err);
    free(line.items);
    wz_text_clear(&line.threads);
    return status;
}

wz_status wz_sweep_start_run(const wz_sweep *sweep, wz_sweep_run *run, const char *program,
                             wz_stop *interrupt, pid_t *process, wz_error *err)
{
    *process = 0;
    wz_status status = wz_directory_create(run->directory, err);
    if (status == WZ_OK)
        status = await_release(run, interrupt, err);
    if (status != WZ_OK)
        return status;
    run->state = wz_sweep_state_of(run); /* it may have gone on until it was released */
    return run->state == WZ_SWEEP_COMPLETE ? WZ_OK : launch(sweep, run, program, process, err);
}
