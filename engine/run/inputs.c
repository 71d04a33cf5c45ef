/* What a run reads must not be what it writes or deletes. */
#include <stdio.h>
#include <string.h>

#include "engine/run/base.h"
#include "engine/run/train.h"

static wz_status check(const wz_config *config, const char *key, const char *file, wz_error *err)
{
    if (file[0] == '\0')
        return WZ_OK;
    const wz_status status = wz_rundir_check_input(config->output_dir, file, err);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "%s: ", key);
}

/* The base of the adapters that init_from may hold. What cannot be opened is told by who reads it. */
static wz_status check_base(const wz_config *config, wz_error *err)
{
    wz_checkpoint *adapters = NULL, *base = NULL;
    char file[WZ_BASE_PATH_MAX], digest[33];
    wz_status status = WZ_OK;
    if (config->init_from[0] == '\0' || wz_checkpoint_open(config->init_from, &adapters, NULL) != WZ_OK)
        return WZ_OK;
    if (wz_checkpoint_has_text(adapters, WZ_BASE_TEXT) &&
        wz_base_open(adapters, &base, file, digest, NULL) == WZ_OK)
        status = check(config, "init_from", wz_checkpoint_path(base), err);
    wz_checkpoint_close(base);
    wz_checkpoint_close(adapters);
    return status;
}

/* Words of the shell's command that name files: its program and scripts. */
static wz_status check_command(const wz_config *config, wz_error *err)
{
    static const char ends[] = " \t\n'\"<>|&;()";
    char word[sizeof config->verifier_command];
    wz_status status = WZ_OK;
    for (const char *at = config->verifier_command; status == WZ_OK && *at != '\0';) {
        const size_t length = strcspn(at, ends);
        (void)snprintf(word, sizeof word, "%.*s", (int)length, at);
        status = check(config, "verifier_command", word, err);
        at += length + (at[length] != '\0');
    }
    return status;
}

wz_status wz_run_check_inputs(const wz_config *config, const char *config_file, wz_error *err)
{
    const struct {
        const char *key, *file;
    } inputs[] = {{"the configuration", config_file},
                  {"init_from", config->init_from},
                  {"tokenizer_file", config->tokenizer_file},
                  {"train_set", config->train_set},
                  {"sft_file", config->sft_file},
                  {"task_library", config->task_library}};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof inputs / sizeof inputs[0]; i++)
        status = check(config, inputs[i].key, inputs[i].file, err);
    if (status == WZ_OK)
        status = check_base(config, err);
    return status == WZ_OK ? check_command(config, err) : status;
}
