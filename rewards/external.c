#include "rewards/external.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/clock.h"
#include "engine/core/json.h"
#include "tasks/task_json.h"

#define LINE_LIMIT (1u << 20) /* bytes of an answer */
#define SLICE_S 0.1           /* a signal may reach another thread: waiting looks at the flag this often */
#define GRACE_S 2.0           /* what an answer may still take when the run is to stop */

static struct {
    char command[512];
    double seconds;
    pid_t process; /* 0: none */
    int to, from;
    wz_verifier verifier;
    wz_text input; /* bytes that came after the last answer's line */
    int64_t asked; /* id of the last question */
    wz_stop *interrupt;
} child = {.to = -1, .from = -1};

void wz_external_watch(wz_stop *interrupt)
{
    child.interrupt = interrupt;
}

/* ---- the process ---- */

void wz_external_stop(void)
{
    if (child.process == 0)
        return;
    (void)close(child.to); /* the end of its input */
    for (int i = 0; i < 20 && waitpid(child.process, NULL, WNOHANG) == 0; i++) {
        const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
        (void)nanosleep(&moment, NULL);
    }
    (void)kill(-child.process, SIGKILL);
    (void)waitpid(child.process, NULL, 0);
    (void)close(child.from);
    wz_text_clear(&child.input);
    child.process = 0;
    child.to = child.from = -1;
}

/* How the process ended, if it did. */
static wz_status fail_ended(wz_error *err)
{
    int status = 0;
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000}; /* its output closed first */
    (void)nanosleep(&moment, NULL);
    if (waitpid(child.process, &status, WNOHANG) != child.process)
        return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: '%s' closed its output", child.command);
    if (WIFSIGNALED(status))
        return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: '%s' was ended by signal %d", child.command,
                       WTERMSIG(status));
    return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: '%s' ended with status %d", child.command,
                   WEXITSTATUS(status));
}

/* A simple command takes the shell's place: how it ends is then known. Behind "A=1" the shell sees to that itself. */
static bool is_simple(const char *command)
{
    const char *word = command + strspn(command, " \t");
    return strpbrk(command, ";|&<>()`\n") == NULL && memchr(word, '=', strcspn(word, " \t")) == NULL;
}

/* In the new process. */
_Noreturn static void become(int in, int out, pid_t parent, const char *line)
{
    (void)setpgid(0, 0); /* an interrupt of the program is not one of the verifier's */
    (void)signal(SIGPIPE, SIG_DFL);
    /* The kernel ends it with the thread that started it, which is the program's first and lives as long as that. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(in, 0) >= 0 && dup2(out, 1) >= 0)
        (void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static wz_status launch(wz_error *err)
{
    int down[2], up[2];
    char line[sizeof child.command + 8];
    const pid_t parent = getpid();
    (void)snprintf(line, sizeof line, "%s%s", is_simple(child.command) ? "exec " : "", child.command);
    if (pipe2(down, O_CLOEXEC) != 0)
        return wz_fail(err, WZ_ERR_RESOURCE, "verifier_command: no pipe: %s", strerror(errno));
    if (pipe2(up, O_CLOEXEC) != 0) {
        (void)close(down[0]);
        (void)close(down[1]);
        return wz_fail(err, WZ_ERR_RESOURCE, "verifier_command: no pipe: %s", strerror(errno));
    }
    (void)fflush(NULL);
    const pid_t process = fork();
    if (process == 0)
        become(down[0], up[1], parent, line);
    (void)close(down[0]);
    (void)close(up[1]);
    child.to = down[1];
    child.from = up[0];
    if (process < 0) {
        (void)close(child.to);
        (void)close(child.from);
        return wz_fail(err, WZ_ERR_RESOURCE, "verifier_command: no new process: %s", strerror(errno));
    }
    (void)setpgid(process, process);
    (void)fcntl(child.to, F_SETFL, O_NONBLOCK);
    (void)fcntl(child.from, F_SETFL, O_NONBLOCK);
    child.process = process;
    return WZ_OK;
}

static bool is_to_stop(void)
{
    return child.interrupt != NULL && *child.interrupt != 0;
}

/* Waits until a descriptor is ready, not beyond the deadline. */
static wz_status await(int descriptor, short events, double deadline, wz_error *err)
{
    double stop = INFINITY;
    for (;;) {
        const double now = wz_now_s();
        if (is_to_stop())
            stop = fmin(stop, now + GRACE_S);
        const double left = fmin(deadline, stop) - now;
        struct pollfd entry = {.fd = descriptor, .events = events};
        const int ready = left > 0 ? poll(&entry, 1, (int)(fmin(left, SLICE_S) * 1e3) + 1) : 0;
        if (ready > 0)
            return WZ_OK;
        if (ready < 0 && errno != EINTR)
            return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: waiting: %s", strerror(errno));
        if (left <= 0 && stop < deadline)
            return wz_fail(err, WZ_ERR_RUNTIME,
                           "verifier_command: '%s' owed an answer for %g more seconds when the program was "
                           "asked to stop; `wavezero resume` goes on from the run's newest checkpoint",
                           child.command, GRACE_S);
        if (left <= 0)
            return wz_fail(err, WZ_ERR_RUNTIME,
                           "verifier_command: '%s' did not answer within %g seconds (verifier_timeout_s)",
                           child.command, child.seconds);
    }
}

/* Output that nobody asked for would be taken for the next answer. */
static wz_status check_silence(wz_error *err)
{
    char bytes[256];
    const ssize_t count = read(child.from, bytes, sizeof bytes);
    if (count == 0)
        return fail_ended(err);
    wz_status status = count > 0 ? wz_text_append(&child.input, bytes, (size_t)count, err) : WZ_OK;
    if (status != WZ_OK || child.input.length == 0)
        return status;
    char shown[61];
    (void)snprintf(shown, sizeof shown, "%s", child.input.data);
    for (char *c = shown; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "verifier_command: '%s' wrote more than it was asked for: %s (one line for each question; "
                   "messages belong on standard error)",
                   child.command, shown);
}

static wz_status send_line(const wz_text *line, double deadline, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t sent = 0; status == WZ_OK && sent < line->length;) {
        const ssize_t count = write(child.to, line->data + sent, line->length - sent);
        if (count >= 0)
            sent += (size_t)count;
        else if (errno == EAGAIN)
            status = await(child.to, POLLOUT, deadline, err);
        else if (errno != EINTR)
            status = fail_ended(err); /* EPIPE */
    }
    return status;
}

/* The next line is the first *length bytes of child.input. */
static wz_status receive_line(double deadline, size_t *length, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t searched = 0; status == WZ_OK;) {
        const char *end = child.input.length > searched
                              ? memchr(child.input.data + searched, '\n', child.input.length - searched)
                              : NULL;
        if (end != NULL) {
            *length = (size_t)(end - child.input.data);
            return WZ_OK;
        }
        searched = child.input.length;
        if (searched > LINE_LIMIT)
            return wz_fail(err, WZ_ERR_CORRUPT, "verifier_command: '%s' answered with a line above %u bytes",
                           child.command, LINE_LIMIT);
        char bytes[4096];
        const ssize_t count = read(child.from, bytes, sizeof bytes);
        if (count > 0)
            status = wz_text_append(&child.input, bytes, (size_t)count, err);
        else if (count == 0)
            status = fail_ended(err);
        else if (errno == EAGAIN)
            status = await(child.from, POLLIN, deadline, err);
        else if (errno != EINTR)
            status = wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: reading: %s", strerror(errno));
    }
    return status;
}

static wz_status fail_answer(const json_t *answer, const char *why, wz_error *err)
{
    char *shown = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
    const wz_status status = wz_fail(err, WZ_ERR_CORRUPT, "verifier_command: '%s' answered %.200s: %s",
                                     child.command, shown != NULL ? shown : "", why);
    free(shown);
    return status;
}

/* What an answer of any kind must have. */
static wz_status check_answer(const json_t *answer, wz_error *err)
{
    if (!json_is_object(answer))
        return fail_answer(answer, "an object is expected", err);
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (error != NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: '%s' says: %.400s", child.command, error);
    const json_t *id = json_object_get(answer, "id");
    char expected[96];
    if (json_is_number(id) && json_number_value(id) == (double)child.asked)
        return WZ_OK;
    (void)snprintf(expected, sizeof expected, "\"id\" must be the question's, %lld", (long long)child.asked);
    return fail_answer(answer, expected, err);
}

/* Sends a question and parses the answer. */
static wz_status ask(wz_text *question, json_t **answer, wz_error *err)
{
    size_t length = 0;
    if (child.process == 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "verifier_command: '%s' is not running", child.command);
    const double deadline = wz_now_s() + child.seconds;
    wz_status status = wz_text_append(question, "\n", 1, err);
    if (status == WZ_OK)
        status = check_silence(err);
    if (status == WZ_OK)
        status = send_line(question, deadline, err);
    if (status == WZ_OK)
        status = receive_line(deadline, &length, err);
    if (status != WZ_OK) {
        wz_external_stop();
        return status;
    }
    status = wz_json_parse("verifier_command's answer", child.input.data, length, answer, err);
    child.input.length -= length + 1;
    memmove(child.input.data, child.input.data + length + 1, child.input.length);
    return status == WZ_OK ? check_answer(*answer, err) : status;
}

/* ---- questions ---- */

/* The question up to what it asks about; decision NULL: none. */
static wz_status write_question(const char *what, const wz_problem *problem, const unsigned *decision,
                                const char *effort, wz_text *out, wz_error *err)
{
    wz_answer_form form = {0};
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "id", ++child.asked);
    wz_json_field_string(&json, "ask", what);
    wz_json_field_string(&json, "task", problem->task->name);
    wz_json_key(&json, "options");
    wz_task_json_options(&json, problem->task, problem->values);
    wz_json_field_integer(&json, "index", problem->index);
    wz_json_field_string(&json, "split", wz_split_name(problem->split));
    wz_json_key(&json, "numbers");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < problem->number_count; i++)
        wz_json_integer(&json, problem->numbers[i]);
    wz_json_end_array(&json);
    if (effort != NULL)
        wz_json_field_string(&json, "effort", effort);
    if (decision != NULL) {
        problem->task->answer_form(problem, &form);
        wz_json_key(&json, "decision");
        wz_json_begin_array(&json);
        for (size_t i = 0; i < form.count; i++)
            wz_json_integer(&json, decision[i]);
        wz_json_end_array(&json);
    }
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

/* ---- answers ---- */

static bool is_between(const json_t *value, double low, double high)
{
    const double number = json_is_number(value) ? json_number_value(value) : NAN;
    return number >= low && number <= high;
}

static wz_status take_judgement(const json_t *answer, wz_outcome *out, wz_error *err)
{
    const json_t *objective = json_object_get(answer, "objective"),
                 *infeasible = json_object_get(answer, "infeasible"),
                 *violation = json_object_get(answer, "violation"),
                 *shortfall = json_object_get(answer, "shortfall");
    if ((objective == NULL) == (infeasible == NULL))
        return fail_answer(answer, "either \"objective\" or \"infeasible\" is expected", err);
    if (objective != NULL) {
        if (!is_between(objective, 0, 1e300))
            return fail_answer(answer, "the objective must be a finite number of at least 0", err);
        out->objective = json_number_value(objective);
        return WZ_OK;
    }
    if (!json_is_string(infeasible) || json_string_length(infeasible) == 0)
        return fail_answer(answer, "\"infeasible\" must name the constraint", err);
    if (!is_between(violation, WZ_FEASIBILITY_TOLERANCE, 1e300))
        return fail_answer(answer, "\"violation\" must be a number above 1e-6", err);
    if (shortfall != NULL && !is_between(shortfall, 1e-12, 1))
        return fail_answer(answer, "\"shortfall\" must lie in (0, 1]", err);
    wz_outcome_violate(out, json_number_value(violation),
                       shortfall != NULL ? json_number_value(shortfall) : 1, "%s",
                       json_string_value(infeasible));
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    wz_text question = {0};
    json_t *answer = NULL;
    wz_status status = write_question("judge", problem, decision, NULL, &question, err);
    if (status == WZ_OK)
        status = ask(&question, &answer, err);
    if (status == WZ_OK)
        status = take_judgement(answer, out, err);
    json_decref(answer);
    wz_text_clear(&question);
    return status;
}

static wz_status take_decision(const json_t *answer, const wz_problem *problem, unsigned *decision,
                               wz_error *err)
{
    const json_t *list = json_object_get(answer, "decision");
    wz_answer_form form = {0};
    problem->task->answer_form(problem, &form);
    if (json_array_size(list) != form.count)
        return fail_answer(answer, "\"decision\" must hold a number for each of the answer's", err);
    for (size_t i = 0; i < form.count; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value) || !is_between(value, 0, form.slots[i].choices - 1))
            return fail_answer(answer, "a number of the decision is out of range", err);
        decision[i] = (unsigned)json_integer_value(value);
    }
    return WZ_OK;
}

/* The decision is judged anew by the caller; what the process says of it must agree. */
static wz_status take_reference(const json_t *answer, const wz_problem *problem, unsigned *decision,
                                wz_reference *out, wz_error *err)
{
    const char *kind = json_string_value(json_object_get(answer, "kind"));
    const json_t *objective = json_object_get(answer, "objective");
    wz_outcome outcome = {.feasible = true};
    if (kind == NULL || (strcmp(kind, "optimum") != 0 && strcmp(kind, "best known") != 0))
        return fail_answer(answer, "\"kind\" must be \"optimum\" or \"best known\"", err);
    if (!is_between(objective, 1e-300, 1e300))
        return fail_answer(answer, "the reference's objective must be a positive number", err);
    out->kind = kind[0] == 'o' ? WZ_REFERENCE_OPTIMUM : WZ_REFERENCE_BEST_KNOWN;
    wz_status status = take_decision(answer, problem, decision, err);
    if (status == WZ_OK)
        status = judge(problem, decision, &outcome, err);
    const double said = json_number_value(objective);
    if (status == WZ_OK && fabs(outcome.objective - said) > 1e-9 * said)
        status = fail_answer(answer, "its own judgement of that decision is another", err);
    return status;
}

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    wz_text question = {0};
    json_t *answer = NULL;
    wz_status status = write_question(
        "reference", problem, NULL, effort == WZ_EFFORT_TRAINING ? "training" : "evaluation", &question, err);
    if (status == WZ_OK)
        status = ask(&question, &answer, err);
    if (status == WZ_OK)
        status = take_reference(answer, problem, decision, out, err);
    json_decref(answer);
    wz_text_clear(&question);
    return status;
}

wz_status wz_external_start(const char *task, const char *command, double seconds, wz_error *err)
{
    const wz_verifier *own = wz_verifier_find(task);
    if (own == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", task);
    if (child.command[0] != '\0' &&
        (strcmp(child.command, command) != 0 || strcmp(child.verifier.task, task) != 0))
        return wz_fail(err, WZ_ERR_USAGE, "verifier_command: '%s' already scores %s", child.command,
                       child.verifier.task);
    if (child.process != 0)
        return WZ_OK;
    const bool first = child.command[0] == '\0';
    (void)snprintf(child.command, sizeof child.command, "%s", command);
    child.seconds = seconds;
    if (first) {
        child.verifier = *own;
        child.verifier.judge = judge;
        child.verifier.solve = solve;
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a process that ended is told by the write's result */
    const wz_status status = launch(err);
    if (status == WZ_OK && first) {
        wz_verifier_add(&child.verifier);
        (void)atexit(wz_external_stop);
    }
    return status;
}
