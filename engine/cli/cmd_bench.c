/* `wavezero bench`: training steps against the machine's sgemm rate. */
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/file.h"
#include "engine/run/benchmark.h"

const char wz_bench_details[] =
    "Times whole training steps (rollout, verification, update) of a configuration and compares them with\n"
    "plain sgemm calls at the model's own shapes. Without CONFIG: five links, on/off, 4 layers x 128.\n\n"
    "  --steps N              timed steps (default 20), after two of warm-up\n"
    "  --dump-tokens FILE     write the first step's token ids instead, for other implementations\n"
    "  --json                 one JSON object\n";

static const char *const standard[] = {"task.links=5",
                                       "model.hidden_size=128",
                                       "model.head_dim=32",
                                       "model.intermediate_size=344",
                                       "model.num_hidden_layers=4",
                                       "generation_batch_size=1024",
                                       "num_generations=16"};

wz_status wz_cmd_bench(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    int64_t steps = 20;
    const char *tokens_file = NULL;
    bool json = false, help = false;
    const wz_option options[] = {
        {"--steps", WZ_OPTION_INTEGER, &steps, 1, 1e6, "N", "timed steps"},
        {"--dump-tokens", WZ_OPTION_TEXT, &tokens_file, 0, 0, "FILE", "write token ids"},
        {"--json", WZ_OPTION_FLAG, &json, 0, 0, NULL, "one JSON object"}};
    wz_arguments rest;
    wz_config config;
    wz_benchmark benchmark;
    wz_text text = {0};
    wz_status status = wz_options_parse(options, 3, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    wz_config_default(&config);
    for (size_t i = 0; status == WZ_OK && i < sizeof standard / sizeof standard[0]; i++)
        status = wz_config_override(&config, standard[i], err);
    for (size_t i = 0; status == WZ_OK && i < rest.count; i++)
        status = strchr(rest.items[i], '=') != NULL ? wz_config_override(&config, rest.items[i], err)
                                                    : wz_config_read_file(&config, rest.items[i], err);
    if (status == WZ_OK && tokens_file != NULL) {
        status = wz_benchmark_tokens(&config, cli->log, &text, err);
        if (status == WZ_OK)
            status = wz_file_replace(tokens_file, text.data, text.length, err);
        wz_text_clear(&text);
        return status;
    }
    if (status == WZ_OK)
        status = wz_benchmark_run(&config, steps, cli->log, &benchmark, err);
    if (status == WZ_OK)
        status = json ? wz_benchmark_write_json(&benchmark, &text, err)
                      : wz_benchmark_write_table(&benchmark, &text, err);
    if (status == WZ_OK && json)
        status = wz_text_append(&text, "\n", 1, err);
    return wz_cli_print(cli, &text, status, err);
}
