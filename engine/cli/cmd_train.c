/* `wavezero train CONFIG` and `wavezero resume RUN`. */
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/options.h"
#include "engine/run/train.h"
#include "rewards/external.h"

const char wz_train_details[] =
    "Trains a policy as the YAML file CONFIG says and makes a run directory (output_dir). Any key can be\n"
    "given again as key=value; `wavezero help config` lists the keys.\n\n"
    "  --overwrite            delete the checkpoints of an earlier run in the same directory\n";

const char wz_resume_details[] =
    "Goes on from the newest checkpoint that verifies and ends with the same bytes as a run that never\n"
    "stopped. Only device, precision, threads, memory_limit_gb, gradient_checkpointing, logging and saving "
    "keys may\n"
    "be changed.\n\n"
    "  --extend               allow a larger max_steps\n";

/* A verifier's process looks at the flag, too. */
static wz_stop *catch_signals(void)
{
    wz_stop *flag = wz_interrupt_catch();
    wz_external_watch(flag);
    return flag;
}

static wz_status finish(wz_status status, int number)
{
    return status == WZ_OK && number != 0 ? WZ_STATUS_SIGNAL(number) : status;
}

wz_status wz_cmd_train(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool overwrite = false, help = false;
    const wz_option options[] = {
        {"--overwrite", WZ_OPTION_FLAG, &overwrite, 0, 0, NULL, "delete the checkpoints of an earlier run"}};
    wz_arguments rest;
    wz_config config;
    int number = 0;
    wz_status status = wz_options_parse(options, 1, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status != WZ_OK)
        return status;
    wz_config_default(&config);
    status = wz_config_load(&config, rest.items[0], rest.items + 1, rest.count - 1, err);
    if (status != WZ_OK)
        return status;
    const wz_run_io io = {cli->log, cli->progress, catch_signals()};
    status = wz_run_train(&config, rest.items[0], overwrite, &io, &number, err);
    return finish(status, number);
}

wz_status wz_cmd_resume(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool extend = false, help = false;
    const wz_option options[] = {
        {"--extend", WZ_OPTION_FLAG, &extend, 0, 0, NULL, "allow a larger max_steps"}};
    wz_arguments rest;
    int number = 0;
    wz_status status = wz_options_parse(options, 1, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status != WZ_OK)
        return status;
    const wz_run_io io = {cli->log, cli->progress, catch_signals()};
    status = wz_run_resume(rest.items[0], rest.items + 1, rest.count - 1, extend, &io, &number, err);
    return finish(status, number);
}
