/* `wavezero bench`: training steps against the machine's sgemm rate; decoding against its memory; shared prompts against
 * copies. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/file.h"
#include "engine/run/benchmark.h"
#include "engine/run/benchmark_decode.h"
#include "engine/run/benchmark_sharing.h"
#include "engine/run/benchmark_tasks.h"

const char wz_bench_details[] =
    "Times whole training steps (rollout, verification, update) of a configuration and compares them with\n"
    "plain sgemm calls at the model's own shapes. Without CONFIG: five links, on/off, 4 layers x 128.\n\n"
    "  --steps N              timed steps (default 20), after two of warm-up\n"
    "  --dump-tokens FILE     write the first step's token ids instead, for other implementations\n"
    "  --json                 one JSON object\n\n"
    "  --tasks                what problems, references and verdicts cost in every family, alone and as a "
    "share of\n"
    "                         a training step of the default model; with task.name=NAME of that one only\n"
    "    --problems N         a round (default 200)\n\n"
    "Two other measurements take the configuration's model only, with random weights and made-up tokens:\n\n"
    "  --decode               tokens per second of many sequences at a given context, from the whole "
    "vocabulary\n"
    "                         and from 8 tokens of an answer grammar; the bytes a step must read, and their "
    "share\n"
    "                         of the rate at which this device reads memory, measured in the same run\n"
    "    --sequences N        (default 256), each with a prompt of its own\n"
    "    --context N          keys that a row attends to, on average over the steps (default 512)\n"
    "    --tokens N           drawn for each sequence (default 32: the first, and 31 timed steps)\n\n"
    "  --sharing              prefill and training (forward and backward pass) of the same completions with "
    "each\n"
    "                         prompt once per group and with a copy for every completion, side by side\n"
    "    --sequences N        completions (default 256), in groups of num_generations\n"
    "    --prompt N           tokens of a prompt (default 64)\n"
    "    --completion N       tokens of a completion (default 16), each one of 8; of the whole vocabulary "
    "with\n"
    "                         answer_grammar=false\n\n"
    "  Of these two, --steps is the number of timed rounds (default 5), after one of warm-up. A large "
    "shape:\n"
    "  wavezero bench --decode scripts/configs/qwen2.5-0.5b-shape.yaml device=cuda\n";

static const char *const standard[] = {"task.links=5",
                                       "model.hidden_size=128",
                                       "model.head_dim=32",
                                       "model.intermediate_size=344",
                                       "model.num_hidden_layers=4",
                                       "generation_batch_size=1024",
                                       "num_generations=16"};

typedef struct bench_options {
    int64_t steps, sequences, context, tokens, prompt, completion, problems; /* 0: the default */
    const char *tokens_file;
    bool decode, sharing, tasks, json, help;
    FILE *log;
} bench_options;

static wz_status read_options(bench_options *o, int argc, const char **argv, wz_arguments *rest,
                              wz_error *err)
{
    const wz_option options[] = {
        {"--steps", WZ_OPTION_INTEGER, &o->steps, 1, 1e6, "N", "timed steps"},
        {"--dump-tokens", WZ_OPTION_PATH, &o->tokens_file, 0, 0, "FILE", "write token ids"},
        {"--decode", WZ_OPTION_FLAG, &o->decode, 0, 0, NULL, "decoding"},
        {"--sharing", WZ_OPTION_FLAG, &o->sharing, 0, 0, NULL, "shared prompts"},
        {"--tasks", WZ_OPTION_FLAG, &o->tasks, 0, 0, NULL, "families of problems"},
        {"--problems", WZ_OPTION_INTEGER, &o->problems, 1, 1e6, "N", "problems a round"},
        {"--sequences", WZ_OPTION_INTEGER, &o->sequences, 1, 1e6, "N", "sequences at once"},
        {"--context", WZ_OPTION_INTEGER, &o->context, 1, 1e6, "N", "keys per row"},
        {"--tokens", WZ_OPTION_INTEGER, &o->tokens, 2, 1e5, "N", "tokens drawn per sequence"},
        {"--prompt", WZ_OPTION_INTEGER, &o->prompt, 1, 1e6, "N", "tokens of a prompt"},
        {"--completion", WZ_OPTION_INTEGER, &o->completion, 1, 1e5, "N", "tokens of a completion"},
        {"--json", WZ_OPTION_FLAG, &o->json, 0, 0, NULL, "one JSON object"}};
    const wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, rest, &o->help, err);
    if (status != WZ_OK)
        return status;
    if (o->decode + o->sharing + o->tasks + (o->tokens_file != NULL) > 1)
        return wz_fail(err, WZ_ERR_USAGE, "--decode, --sharing, --tasks and --dump-tokens: one at a time");
    if (o->problems != 0 && !o->tasks)
        return wz_fail(err, WZ_ERR_USAGE, "--problems goes with --tasks");
    if (o->sequences != 0 && !o->decode && !o->sharing)
        return wz_fail(err, WZ_ERR_USAGE, "--sequences goes with --decode or --sharing");
    if ((o->context != 0 || o->tokens != 0) && !o->decode)
        return wz_fail(err, WZ_ERR_USAGE, "--context and --tokens go with --decode");
    if ((o->prompt != 0 || o->completion != 0) && !o->sharing)
        return wz_fail(err, WZ_ERR_USAGE, "--prompt and --completion go with --sharing");
    return WZ_OK;
}

/* plain: the defaults as they are, not those of the standard benchmark. */
static wz_status read_config(const wz_arguments *rest, bool plain, wz_config *config, wz_error *err)
{
    wz_status status = WZ_OK;
    wz_config_default(config);
    for (size_t i = 0; !plain && status == WZ_OK && i < sizeof standard / sizeof standard[0]; i++)
        status = wz_config_override(config, standard[i], err);
    for (size_t i = 0; status == WZ_OK && i < rest->count; i++)
        status = strchr(rest->items[i], '=') != NULL ? wz_config_override(config, rest->items[i], err)
                                                     : wz_config_read_file(config, rest->items[i], err);
    return status;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static wz_status bench_steps(const bench_options *o, const wz_config *config, wz_text *text, wz_error *err)
{
    wz_benchmark benchmark;
    const wz_status status = wz_benchmark_run(config, or_default(o->steps, 20), o->log, &benchmark, err);
    if (status != WZ_OK)
        return status;
    return o->json ? wz_benchmark_write_json(&benchmark, text, err)
                   : wz_benchmark_write_table(&benchmark, text, err);
}

static wz_status bench_decode(const bench_options *o, const wz_config *config, wz_text *text, wz_error *err)
{
    wz_decode_benchmark benchmark;
    const wz_decode_lengths lengths = {or_default(o->sequences, 256), or_default(o->context, 512),
                                       or_default(o->tokens, 32)};
    const wz_status status =
        wz_decode_benchmark_run(config, &lengths, or_default(o->steps, 5), o->log, &benchmark, err);
    return status == WZ_OK ? wz_decode_benchmark_write(&benchmark, o->json, text, err) : status;
}

static wz_status bench_sharing(const bench_options *o, const wz_config *config, wz_text *text, wz_error *err)
{
    wz_sharing_benchmark benchmark;
    const int64_t sequences = or_default(o->sequences, 256), group = config->num_generations;
    if (sequences % group != 0)
        return wz_fail(err, WZ_ERR_USAGE, "--sequences (%lld) must be a multiple of num_generations (%lld)",
                       (long long)sequences, (long long)group);
    const wz_bench_lengths lengths = {sequences / group, group, or_default(o->prompt, 64),
                                      or_default(o->completion, 16)};
    const wz_status status =
        wz_sharing_benchmark_run(config, &lengths, or_default(o->steps, 5), o->log, &benchmark, err);
    return status == WZ_OK ? wz_sharing_benchmark_write(&benchmark, o->json, text, err) : status;
}

static wz_status bench_tasks(const bench_options *o, const wz_config *config, const wz_arguments *rest,
                             wz_text *text, wz_error *err)
{
    wz_task_benchmark *benchmarks = NULL;
    size_t count = 0;
    bool all = true;
    for (size_t i = 0; i < rest->count; i++)
        all = all && strncmp(rest->items[i], "task.", 5) != 0;
    wz_status status =
        wz_task_benchmark_run(config, all, or_default(o->problems, 200), o->log, &benchmarks, &count, err);
    if (status == WZ_OK)
        status = wz_task_benchmark_write(benchmarks, count, o->json, text, err);
    free(benchmarks);
    return status;
}

static wz_status dump_tokens(const bench_options *o, const wz_config *config, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_benchmark_tokens(config, o->log, &text, err);
    if (status == WZ_OK)
        status = wz_file_replace(o->tokens_file, text.data, text.length, err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_cmd_bench(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bench_options o = {.log = cli->log};
    wz_arguments rest;
    wz_config config;
    wz_text text = {0};
    wz_status status = read_options(&o, argc, argv, &rest, err);
    if (status == WZ_OK && o.help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = read_config(&rest, o.tasks, &config, err);
    if (status != WZ_OK)
        return status;
    if (o.tokens_file != NULL)
        return dump_tokens(&o, &config, err);
    status = o.decode    ? bench_decode(&o, &config, &text, err)
             : o.sharing ? bench_sharing(&o, &config, &text, err)
             : o.tasks   ? bench_tasks(&o, &config, &rest, &text, err)
                         : bench_steps(&o, &config, &text, err);
    if (status == WZ_OK && o.json)
        status = wz_text_append(&text, "\n", 1, err);
    return wz_cli_print(cli, &text, status, err);
}
