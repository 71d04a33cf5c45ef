/* Dispatch only: find the command, run it, report. Adding a command adds a file and a row. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/core/suggest.h"

const wz_command wz_commands[] = {
    {"train", "train a policy", "wavezero train CONFIG [--overwrite] [key=value ...]", wz_train_details,
     wz_cmd_train},
    {"resume", "go on with a run that stopped", "wavezero resume RUN [--extend] [key=value ...]",
     wz_resume_details, wz_cmd_resume},
    {"sweep", "train a grid of variants and seeds, and compare them in a table",
     "wavezero sweep CONFIG key=a,b,c [seed=0..2] [options]", wz_sweep_details, wz_cmd_sweep},
    {"eval", "held-out score against the optimum and baselines",
     "wavezero eval CHECKPOINT | --compare A B [options] [key=value ...]", wz_eval_details, wz_cmd_eval},
    {"generate", "show prompts, completions and verdicts, or answer a problem of your own",
     "wavezero generate CHECKPOINT [options] [key=value ...]", wz_generate_details, wz_cmd_generate},
    {"tasks",
     "list problem families, print problems, write problem sets, measure baselines and published figures",
     "wavezero tasks [list | print | baselines | published | export FILE | import FILE.. -o SET | check "
     "FILE] "
     "[options] [key=value ...]",
     wz_tasks_details, wz_cmd_tasks},
    {"import", "make a checkpoint of a pretrained model", "wavezero import PATH [options] [key=value ...]",
     wz_import_details, wz_cmd_import},
    {"export", "write a policy for llama.cpp, ONNX Runtime or transformers",
     "wavezero export CHECKPOINT --format NAME [options] [key=value ...]", wz_export_details, wz_cmd_export},
    {"report", "write a run, or a comparison of runs, as an HTML page",
     "wavezero report RUN [RUN ...] [-o FILE] [--no-eval] [key=value ...]", wz_report_details, wz_cmd_report},
    {"inspect", "look inside a checkpoint", "wavezero inspect FILE [--json]", wz_inspect_details,
     wz_cmd_inspect},
    {"bench", "time training steps against the machine's sgemm rate",
     "wavezero bench [CONFIG] [options] [key=value ...]", wz_bench_details, wz_cmd_bench},
    {"doctor", "check this machine and this build", "wavezero doctor [--json]", wz_doctor_details,
     wz_cmd_doctor},
    {"help", "explain a command, or the configuration", "wavezero help [COMMAND | config [--markdown]]",
     wz_help_details, wz_cmd_help},
    {"version", "print the version", "wavezero version", NULL, wz_cmd_version},
};
const size_t wz_command_count = sizeof wz_commands / sizeof wz_commands[0];

const wz_command *wz_command_find(const char *name, const char **suggestion)
{
    wz_suggestion nearest = {0};
    for (size_t i = 0; i < wz_command_count; ++i) {
        if (strcmp(wz_commands[i].name, name) == 0)
            return &wz_commands[i];
        wz_suggest(&nearest, name, wz_commands[i].name);
    }
    if (suggestion != NULL)
        *suggestion = nearest.best;
    return NULL;
}

static wz_status write_failed(wz_error *err)
{
    const bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return wz_fail(err, is_full ? WZ_ERR_RESOURCE : WZ_ERR_RUNTIME, "cannot write the results: %s",
                   strerror(errno));
}

wz_status wz_cli_print(const wz_cli *cli, wz_text *text, wz_status status, wz_error *err)
{
    if (status == WZ_OK && text->length > 0 && fwrite(text->data, 1, text->length, cli->out) != text->length)
        status = write_failed(err);
    wz_text_clear(text);
    return status;
}

/* 0: unknown. A terminal of few lines counts as a narrow one: there is no room for more than a line of progress. */
static int terminal_columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    const bool is_low = size.ws_row > 0 && size.ws_row < 8;
    return is_low && size.ws_col >= WZ_PANEL_COLUMNS ? WZ_PANEL_COLUMNS - 1 : size.ws_col;
}

/* Whether the locale that the environment names writes UTF-8. */
static bool has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

/* Set beside OPENBLAS_CORETYPE by the process that becomes this one. */
#define OWN_CORETYPE "WAVEZERO_OWN_CORETYPE"

/* OpenBLAS chooses its kernels while it is loaded, for processors it knows by number; on one newer than itself (0.3.21 on an
 * Emerald Rapids) it takes those of 2004, a third as fast. Then the program starts once more and names better ones. Where that
 * fails it goes on as it is. */
static void take_better_kernels(char **argv)
{
    const char *core = getenv("OPENBLAS_CORETYPE") == NULL ? wz_backend_cpu_better_core() : NULL;
    if (core == NULL || setenv("OPENBLAS_CORETYPE", core, 1) != 0 || setenv(OWN_CORETYPE, "1", 1) != 0)
        return;
    (void)execv("/proc/self/exe", argv);
    (void)unsetenv("OPENBLAS_CORETYPE");
    (void)unsetenv(OWN_CORETYPE);
}

static wz_cli describe_process(void)
{
    wz_cli cli = {.out = stdout,
                  .log = stderr,
                  .openblas_coretype = getenv("OPENBLAS_CORETYPE"),
                  .own_coretype = getenv(OWN_CORETYPE) != NULL};
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    cli.progress.is_terminal = isatty(STDERR_FILENO) == 1 && !dumb;
    cli.progress.color = cli.progress.is_terminal && (no_color == NULL || no_color[0] == '\0');
    cli.progress.utf8 = has_utf8();
    if (cli.progress.is_terminal) {
        cli.progress.measure = terminal_columns;
        cli.progress.columns = terminal_columns();
    }
    return cli;
}

/* `wavezero --version` and `--help` are the commands of those names. */
static const char *command_name(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return "help";
    return strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
}

static wz_status dispatch(const wz_cli *cli, int argc, char **argv, wz_error *err)
{
    const char *name = command_name(argc, argv);
    const char *nearest = NULL;
    const wz_command *command = wz_command_find(name, &nearest);
    if (command == NULL && nearest != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "unknown command '%.64s' (did you mean '%s'?)", name, nearest);
    if (command == NULL)
        return wz_fail(err, WZ_ERR_USAGE, "unknown command '%.64s'; `wavezero help` lists the commands",
                       name);
    return command->run(cli, command, argc > 2 ? argc - 2 : 0, (const char **)argv + (argc > 2 ? 2 : argc),
                        err);
}

int main(int argc, char **argv)
{
    wz_error err = {{0}};
    take_better_kernels(argv);
    /* Steps allocate and free blocks of some MiB over and over: keep them, rather than return them to the kernel and take
     * page faults for them again. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    (void)signal(SIGXFSZ,
                 SIG_IGN); /* a file size limit is then an error of write(), with a message and a remedy */
    const wz_cli cli = describe_process();
    wz_status status = dispatch(&cli, argc, argv, &err);
    if (fflush(stdout) != 0 && status == WZ_OK)
        status = write_failed(&err);
    if (status != WZ_OK && err.text[0] != '\0')
        (void)fprintf(stderr, "wavezero: error: %s\n", err.text);
    else if (status > WZ_OK && status <= WZ_ERR_DEVICE) /* a task library's, say */
        (void)fprintf(stderr, "wavezero: error: something failed with status %d and no message\n",
                      (int)status);
    return (int)status;
}
