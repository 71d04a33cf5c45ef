/* `wavezero inspect FILE`: what a checkpoint holds, after every digest in it was checked. */
#include <stdio.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/json.h"

const char wz_inspect_details[] = "Checks every digest in the file, then shows its step, the digest of its "
                                  "weights (equal exactly when all\n"
                                  "weights are), its tensors, its texts and its configuration.\n\n"
                                  "  --json                 one JSON object\n";

/* Elements of the weights (the parameters), and bytes of all tensors. */
typedef struct counts {
    uint64_t parameters, bytes;
} counts;

static uint64_t element_count(const wz_checkpoint_tensor *tensor)
{
    uint64_t count = 1;
    for (size_t i = 0; i < tensor->rank; ++i)
        count *= tensor->shape[i];
    return count;
}

static counts count_elements(const wz_checkpoint *checkpoint)
{
    counts sum = {0};
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *tensor = wz_checkpoint_tensor_info(checkpoint, i);
        size_t bytes = 0;
        sum.bytes += wz_number_bytes(tensor->type, (size_t)element_count(tensor), &bytes) ? bytes : 0;
        sum.parameters += strcmp(tensor->group, "weights") == 0 ? element_count(tensor) : 0;
    }
    return sum;
}

static wz_status write_json(wz_checkpoint *checkpoint, const char *path, const char *digest,
                            const wz_text *config, wz_text *out, wz_error *err)
{
    wz_json json;
    counts sum = count_elements(checkpoint);
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_key(&json, "file");
    wz_json_bytes(&json, path, strlen(path));
    wz_json_field_integer(&json, "step", wz_checkpoint_step(checkpoint));
    wz_json_field_string(&json, "weights_digest", digest);
    wz_json_field_integer(&json, "parameters", (int64_t)sum.parameters);
    wz_json_key(&json, "tensors");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); ++i) {
        const wz_checkpoint_tensor *tensor = wz_checkpoint_tensor_info(checkpoint, i);
        wz_json_begin_object(&json);
        wz_json_field_string(&json, "group", tensor->group);
        wz_json_field_string(&json, "name", tensor->name);
        wz_json_field_string(&json, "type", wz_number_type_names[tensor->type]);
        wz_json_key(&json, "shape");
        wz_json_begin_array(&json);
        for (size_t j = 0; j < tensor->rank; ++j)
            wz_json_integer(&json, (int64_t)tensor->shape[j]);
        wz_json_end_array(&json);
        wz_json_end_object(&json);
    }
    wz_json_end_array(&json);
    if (config->length > 0) {
        wz_json_key(&json, "config");
        wz_json_bytes(&json, config->data, config->length);
    }
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_tensor(const wz_checkpoint_tensor *tensor, wz_text *out, wz_error *err)
{
    char shape[WZ_CHECKPOINT_MAX_RANK * 24] = "";
    for (size_t i = 0; i < tensor->rank; ++i) {
        size_t used = strlen(shape);
        (void)snprintf(shape + used, sizeof shape - used, "%s%zu", i > 0 ? " x " : "", tensor->shape[i]);
    }
    return wz_text_printf(out, err, "  %-8s %-52s %s%s\n", tensor->group, tensor->name, shape,
                          tensor->type == WZ_NUMBER_F16    ? " f16"
                          : tensor->type == WZ_NUMBER_BF16 ? " bf16"
                                                           : "");
}

static wz_status write_summary(wz_checkpoint *checkpoint, const char *path, const char *digest,
                               const wz_text *config, wz_text *out, wz_error *err)
{
    counts sum = count_elements(checkpoint);
    size_t tensors = wz_checkpoint_tensor_count(checkpoint);
    wz_status status =
        wz_text_printf(out, err,
                       "file            %s\nstep            %lld\nweights_digest  %s\nparameters      %llu\n"
                       "tensors         %zu (%.1f MB)\n",
                       path, (long long)wz_checkpoint_step(checkpoint), digest,
                       (unsigned long long)sum.parameters, tensors, (double)sum.bytes / 1e6);
    for (size_t i = 0; i < tensors && status == WZ_OK; ++i)
        status = write_tensor(wz_checkpoint_tensor_info(checkpoint, i), out, err);
    if (status == WZ_OK && config->length > 0)
        status = wz_text_printf(out, err, "\nconfiguration\n%s", config->data);
    return status;
}

static wz_status describe(wz_checkpoint *checkpoint, const char *path, bool json, wz_text *out, wz_error *err)
{
    char digest[33];
    wz_text config = {0};
    wz_status status = wz_checkpoint_verify(checkpoint, err);
    if (status == WZ_OK)
        status = wz_checkpoint_weights_digest(checkpoint, digest, err);
    if (status == WZ_OK && wz_checkpoint_has_text(checkpoint, "config"))
        status = wz_checkpoint_read_text(checkpoint, "config", &config, err);
    if (status == WZ_OK)
        status = json ? write_json(checkpoint, path, digest, &config, out, err)
                      : write_summary(checkpoint, path, digest, &config, out, err);
    wz_text_clear(&config);
    return status;
}

wz_status wz_cmd_inspect(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                         wz_error *err)
{
    bool help = false;
    bool json = false;
    wz_arguments rest;
    wz_text text = {0};
    wz_checkpoint *checkpoint = NULL;
    const wz_option options[] = {{"--json", WZ_OPTION_FLAG, &json, 0, 0, NULL, "one JSON object"}};
    wz_status status = wz_options_parse(options, 1, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, 1, self->usage, err);
    if (status == WZ_OK)
        status = wz_checkpoint_open(rest.items[0], &checkpoint, err);
    if (status != WZ_OK)
        return status;
    status = describe(checkpoint, rest.items[0], json, &text, err);
    wz_checkpoint_close(checkpoint);
    return wz_cli_print(cli, &text, status, err);
}
