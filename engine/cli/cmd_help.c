/* `wavezero help` and `wavezero version`. */
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/run/config.h"
#include "engine/run/environment.h"

const char wz_help_details[] = "  COMMAND      usage and options of a command\n"
                               "  config       every configuration key: default, meaning, accepted values\n"
                               "  --markdown   the same as Markdown tables\n";

wz_status wz_command_help(const wz_cli *cli, const wz_command *command, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_text_printf(&text, err, "usage: %s\n\n%s\n", command->usage, command->summary);
    if (status == WZ_OK && command->details != NULL)
        status = wz_text_printf(&text, err, "\n%s", command->details);
    return wz_cli_print(cli, &text, status, err);
}

static wz_status print_overview(const wz_cli *cli, wz_error *err)
{
    wz_text text = {0};
    wz_status status =
        wz_text_printf(&text, err,
                       "Wavezero trains small language models on wireless problems by GRPO.\n\n"
                       "usage: wavezero COMMAND [arguments]\n\ncommands:\n");
    for (size_t i = 0; i < wz_command_count && status == WZ_OK; ++i)
        status = wz_text_printf(&text, err, "  %-10s %s\n", wz_commands[i].name, wz_commands[i].summary);
    if (status == WZ_OK)
        status = wz_text_printf(&text, err,
                                "\n`wavezero help COMMAND` explains one; `wavezero help config` lists all "
                                "configuration keys.\nExit status: 0 done, 1 runtime error, 2 usage or "
                                "configuration, 3 corrupt input, 4 diverged,\n5 out of a resource, 6 device, "
                                "130/143 on SIGINT/SIGTERM.\n");
    return wz_cli_print(cli, &text, status, err);
}

wz_status wz_cmd_help(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool help = false;
    bool markdown = false;
    wz_arguments rest;
    const wz_option options[] = {{"--markdown", WZ_OPTION_FLAG, &markdown, 0, 0, NULL, "tables in Markdown"}};
    wz_status status = wz_options_parse(options, 1, argc, argv, &rest, &help, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 0, 1, self->usage, err);
    if (status != WZ_OK)
        return status;
    if (rest.count == 0)
        return help ? wz_command_help(cli, self, err) : print_overview(cli, err);
    if (strcmp(rest.items[0], "config") == 0) {
        wz_text text = {0};
        status = wz_config_reference(markdown, &text, err);
        return wz_cli_print(cli, &text, status, err);
    }
    const char *nearest = NULL;
    const wz_command *command = wz_command_find(rest.items[0], &nearest);
    if (command != NULL)
        return wz_command_help(cli, command, err);
    return wz_fail(err, WZ_ERR_USAGE, "no help on '%.64s'%s%s%s", rest.items[0],
                   nearest != NULL ? " (did you mean '" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "'?)" : "; `wavezero help` lists the commands");
}

wz_status wz_cmd_version(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                         wz_error *err)
{
    wz_text text = {0};
    if (argc > 0)
        return wz_fail(err, WZ_ERR_USAGE, "unexpected argument '%.64s'; usage: %s", argv[0], self->usage);
    const char *commit = wz_build_commit();
    wz_status status = wz_text_printf(&text, err, "wavezero %s%s%s%s\n", WZ_VERSION,
                                      commit[0] != '\0' ? " (" : "", commit, commit[0] != '\0' ? ")" : "");
    return wz_cli_print(cli, &text, status, err);
}
