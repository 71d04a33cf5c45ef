/* `wavezero report RUN [RUN ...]`: what a run did, as one HTML page. */
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "engine/run/config.h"
#include "engine/run/events.h"
#include "engine/run/page.h"

const char wz_report_details[] =
    "Writes one HTML file that stands by itself: curves, alarms, comparison with baselines, gaps, sample\n"
    "problems, configuration, environment. It needs no network and holds no scripts. With several runs: a\n"
    "comparison; runs that differ in their seeds alone are drawn as their mean and range.\n\n"
    "  -o FILE                where to (default: RUN/report.html; - is standard output)\n"
    "  --no-eval              leave out what needs the best checkpoint to answer problems: gaps and samples\n"
    "  --problems N           problems it answers (default 500, of the test split; so many of each part of a "
    "mixture)\n"
    "\n"
    "Keys of the machine may be given for that as key=value (threads=2, task_library=...). What `wavezero "
    "eval\n"
    "RUN/checkpoints/best.h5 --grid ... --json > RUN/grid.json` found is shown, too.\n";

/* Takes `-o FILE` out of the arguments, which wz_options_parse knows as --output FILE. */
static void rename_short_option(int argc, const char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = "--output";
}

/* Arguments with a "=" are overrides, the others runs. Overrides move behind the runs; returns how many runs there are. */
static size_t part_arguments(const char **items, size_t count)
{
    size_t runs = 0;
    for (size_t i = 0; i < count; i++)
        if (strchr(items[i], '=') == NULL) {
            const char *run = items[i];
            memmove(items + runs + 1, items + runs, (i - runs) * sizeof *items);
            items[runs++] = run;
        }
    return runs;
}

/* A page does not take the place of what it shows, nor of another file of a run. */
static wz_status check_output(const char *output, const char **runs, size_t count, wz_error *err)
{
    static const char *const folders[] = {"", "checkpoints", WZ_EVENTS_DIRECTORY};
    enum { FOLDERS = sizeof folders / sizeof folders[0] };
    wz_text path = {0};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < count * FOLDERS; i++) {
        path.length = 0;
        status = wz_text_printf(&path, err, "%s/%s", runs[i / FOLDERS], folders[i % FOLDERS]);
        if (status == WZ_OK)
            status = wz_output_check_folder(output, path.data, ".html", err);
    }
    wz_text_clear(&path);
    return status;
}

wz_status wz_cmd_report(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool help = false, no_evaluation = false;
    const char *output = NULL;
    int64_t problems = 500;
    const wz_option options[] = {
        {"--output", WZ_OPTION_PATH, &output, 0, 0, "FILE", "where to"},
        {"--no-eval", WZ_OPTION_FLAG, &no_evaluation, 0, 0, NULL, "without gaps and samples"},
        {"--problems", WZ_OPTION_INTEGER, &problems, 6, 1e6, "N", "problems to evaluate on"}};
    wz_arguments rest;
    wz_text page = {0};
    char path[WZ_PATH_MAX + 32];
    rename_short_option(argc, argv);
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof *options, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status != WZ_OK)
        return status;
    const size_t runs = part_arguments(argv, rest.count);
    if (runs == 0 || runs > WZ_PAGE_RUNS)
        return wz_fail(err, WZ_ERR_USAGE, "report takes 1 to %d runs; usage: %s", WZ_PAGE_RUNS, self->usage);
    const wz_page_options o = {.log = cli->log,
                               .evaluates = !no_evaluation,
                               .problems = problems,
                               .overrides = argv + runs,
                               .override_count = rest.count - runs};
    const bool is_printed = output != NULL && strcmp(output, "-") == 0;
    if (output != NULL && !is_printed)
        status = check_output(output, argv, runs, err);
    if (status == WZ_OK)
        status = wz_page_write(argv, runs, &o, &page, err);
    if (is_printed)
        return wz_cli_print(cli, &page, status, err);
    (void)snprintf(path, sizeof path, "%s/report.html", argv[0]);
    if (status == WZ_OK)
        status = wz_file_replace(output != NULL ? output : path, page.data, page.length, err);
    if (status == WZ_OK)
        (void)fprintf(cli->log, "%s\n", output != NULL ? output : path);
    wz_text_clear(&page);
    return status;
}
