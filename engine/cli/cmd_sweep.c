/* `wavezero sweep CONFIG`: a grid of runs, and the table of what they reached. */
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/options.h"
#include "engine/run/page.h"
#include "engine/run/sweep_result.h"

const char wz_sweep_details[] =
    "Trains CONFIG once for each point of a grid and each seed, and prints one table. The same command again "
    "goes\n"
    "on where it stopped: complete runs stay, others resume from their checkpoints, missing ones start.\n\n"
    "  key=a,b,c              values to try; several such keys: all combinations, in the order given\n"
    "  key=0..3               whole numbers; also mixed with values, as in 0..3,8\n"
    "  key=value              the same for every point\n"
    "  key=\"a, b\"             one value that holds commas; reward_funcs=[ratio, format],[headroom]: two "
    "lists\n"
    "                         (within the shell's own quotes: 'key=\"a, b\"')\n"
    "  seed=0..2              every point is run with each of them\n"
    "  --set \"NAME: k=v k=v\"  keys that change together; several such sets take each other's place, like a "
    "key's values\n"
    "  --one-at-a-time        not all combinations: the configuration's own point (`baseline`), then each "
    "value and\n"
    "                         each set alone\n"
    "  --output-dir DIR       where to (default: the configuration's output_dir with -sweep behind it)\n"
    "  --jobs N               runs at once, each in a process of its own (default 1); they share the cores "
    "where\n"
    "                         threads is 0\n"
    "  --metric NAME          one more column: the last value of a metric in metrics.jsonl; may be given "
    "again\n"
    "  --dry-run              start and write nothing: list the runs, how far they are, and the table so "
    "far\n"
    "  --json                 the table as JSON\n\n"
    "DIR holds a run directory for each run (its log in log.txt), sweep.csv (a line for each run) and "
    "sweep.json. Keys\n"
    "and every run's whole configuration are checked before anything starts; equal points are run once. A "
    "run that\n"
    "fails is reported with the end of its log, the others go on, and the exit status is 1. On SIGINT or "
    "SIGTERM the\n"
    "runs save before all ends.\n";

static void announce(const wz_cli *cli, const wz_sweep *sweep)
{
    size_t states[WZ_SWEEP_COMPLETE + 1] = {0};
    for (size_t r = 0; r < sweep->run_count; r++)
        states[sweep->runs[r].state]++;
    (void)fprintf(cli->log,
                  "%zu runs (%zu point%s x %zu seed%s) in %s: %zu complete, %zu to resume, %zu to start; "
                  "%lld at a time\n",
                  sweep->run_count, sweep->grid.count, sweep->grid.count == 1 ? "" : "s", sweep->seeds,
                  sweep->seeds == 1 ? "" : "s", sweep->directory, states[WZ_SWEEP_COMPLETE],
                  states[WZ_SWEEP_PARTIAL], states[WZ_SWEEP_MISSING], (long long)sweep->jobs);
}

static void list_runs(const wz_cli *cli, const wz_sweep *sweep)
{
    static const char *const states[] = {"to start", "to resume", "complete"};
    for (size_t r = 0; r < sweep->run_count; r++)
        (void)fprintf(cli->log, "%s: %s\n", sweep->runs[r].name, states[sweep->runs[r].state]);
}

static wz_status print_result(const wz_cli *cli, const wz_sweep *sweep, const wz_option_texts *metrics,
                              bool json, bool saves, wz_error *err)
{
    wz_sweep_result result;
    wz_text text = {0};
    wz_status status = wz_sweep_measure(sweep, metrics->items, metrics->count, cli->log, &result, err);
    if (status == WZ_OK && saves)
        status = wz_sweep_save_result(&result, err);
    if (status == WZ_OK)
        status = json ? wz_sweep_write_json(&result, &text, err) : wz_sweep_write_table(&result, &text, err);
    if (status == WZ_OK && result.complete == sweep->run_count && sweep->run_count <= WZ_PAGE_RUNS)
        (void)fprintf(cli->log, "curves side by side: wavezero report \"%s\"/*/ -o \"%s\"/report.html\n",
                      sweep->directory, sweep->directory);
    wz_sweep_result_clear(&result);
    return wz_cli_print(cli, &text, status, err);
}

static wz_status fail_of_runs(const wz_sweep *sweep, wz_error *err)
{
    size_t failed = 0;
    for (size_t r = 0; r < sweep->run_count; r++)
        failed += sweep->runs[r].failed;
    return failed == 0
               ? WZ_OK
               : wz_fail(err, WZ_ERR_RUNTIME, "%zu of %zu runs failed; the same command tries them again",
                         failed, sweep->run_count);
}

static wz_status run_sweep(const wz_cli *cli, wz_sweep *sweep, const wz_option_texts *metrics, bool json,
                           wz_error *err)
{
    int number = 0;
    const wz_run_io io = {cli->log, cli->progress, wz_interrupt_catch()};
    wz_status status = wz_sweep_open(sweep, err);
    if (status != WZ_OK)
        return status;
    announce(cli, sweep);
    status = wz_sweep_train(sweep, "/proc/self/exe", &io, &number, err);
    if (status != WZ_OK || number != 0)
        return status != WZ_OK ? status : WZ_STATUS_SIGNAL(number);
    status = print_result(cli, sweep, metrics, json, true, err);
    return status == WZ_OK ? fail_of_runs(sweep, err) : status;
}

static wz_status show_plan(const wz_cli *cli, wz_sweep *sweep, const wz_option_texts *metrics, bool json,
                           wz_error *err)
{
    const wz_status status = wz_sweep_look(sweep, err);
    if (status != WZ_OK)
        return status;
    list_runs(cli, sweep);
    announce(cli, sweep);
    return print_result(cli, sweep, metrics, json, false, err);
}

wz_status wz_cmd_sweep(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool help = false, json = false, dry_run = false, one_at_a_time = false;
    const char *directory = NULL;
    int64_t jobs = 1;
    wz_option_texts sets = {.count = 0}, metrics = {.count = 0};
    const wz_option options[] = {
        {"--set", WZ_OPTION_TEXTS, &sets, 0, 0, "\"NAME: key=value ...\"", "keys that change together"},
        {"--one-at-a-time", WZ_OPTION_FLAG, &one_at_a_time, 0, 0, NULL, "each value alone"},
        {"--output-dir", WZ_OPTION_PATH, &directory, 0, 0, "DIR", "where to"},
        {"--jobs", WZ_OPTION_INTEGER, &jobs, 1, 1024, "N", "runs at once"},
        {"--metric", WZ_OPTION_TEXTS, &metrics, 0, 0, "NAME", "one more column"},
        {"--dry-run", WZ_OPTION_FLAG, &dry_run, 0, 0, NULL, "start nothing"},
        {"--json", WZ_OPTION_FLAG, &json, 0, 0, NULL, "for machines"}};
    wz_arguments rest;
    wz_sweep sweep;
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof *options, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status != WZ_OK)
        return status;
    const wz_sweep_request request = {.arguments = rest.items + 1,
                                      .argument_count = rest.count - 1,
                                      .sets = sets.items,
                                      .set_count = sets.count,
                                      .one_at_a_time = one_at_a_time};
    status = wz_sweep_plan(rest.items[0], &request, directory, jobs, cli->log, &sweep, err);
    if (status == WZ_OK)
        status = dry_run ? show_plan(cli, &sweep, &metrics, json, err)
                         : run_sweep(cli, &sweep, &metrics, json, err);
    wz_sweep_close(&sweep);
    return status;
}
