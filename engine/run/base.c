#include "engine/run/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/core/json.h"

wz_status wz_base_write(const wz_policy *policy, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "file", policy->base_file);
    wz_json_field_string(&json, "weights", policy->base_digest);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status read_text(wz_checkpoint *adapters, char file[WZ_BASE_PATH_MAX], char digest[33],
                           wz_error *err)
{
    wz_text text = {0};
    json_t *base = NULL;
    const char *name = NULL, *weights = NULL, *path = wz_checkpoint_path(adapters);
    wz_status status = wz_checkpoint_read_text(adapters, WZ_BASE_TEXT, &text, err);
    if (status == WZ_OK)
        status = wz_json_parse(path, text.data, text.length, &base, err);
    if (status == WZ_OK)
        status = wz_json_get_string(base, path, "file", &name, err);
    if (status == WZ_OK)
        status = wz_json_get_string(base, path, "weights", &weights, err);
    if (status == WZ_OK && (name[0] == '\0' || strlen(name) >= WZ_BASE_PATH_MAX || strlen(weights) != 32))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: text 'base' names no file with a digest", path);
    if (status == WZ_OK) {
        (void)snprintf(file, WZ_BASE_PATH_MAX, "%s", name);
        (void)snprintf(digest, 33, "%s", weights);
    }
    json_decref(base);
    wz_text_clear(&text);
    return status;
}

/* The place of `file` beside a checkpoint. */
static wz_status beside(const char *checkpoint, const char *file, wz_text *out, wz_error *err)
{
    const char *end = strrchr(checkpoint, '/'), *name = strrchr(file, '/');
    const int length = end == NULL ? 0 : (int)(end - checkpoint) + 1;
    return wz_text_printf(out, err, "%.*s%s", length, checkpoint, name == NULL ? file : name + 1);
}

static wz_status check_digest(wz_checkpoint *base, const char *adapters, const char *digest, wz_error *err)
{
    char has[33];
    const wz_status status = wz_checkpoint_weights_digest(base, has, err);
    if (status != WZ_OK || strcmp(has, digest) == 0)
        return status;
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "%s: its adapters stand on other weights than those of %s (digest %s, not %s): put the "
                   "base they were trained on there, or beside them",
                   adapters, wz_checkpoint_path(base), has, digest);
}

wz_status wz_base_open(wz_checkpoint *adapters, wz_checkpoint **out, char file[WZ_BASE_PATH_MAX],
                       char digest[33], wz_error *err)
{
    const char *path = wz_checkpoint_path(adapters);
    wz_text near = {0};
    *out = NULL;
    wz_status status = read_text(adapters, file, digest, err);
    if (status == WZ_OK)
        status = beside(path, file, &near, err);
    if (status == WZ_OK) {
        const char *place = file[0] == '/' && wz_path_exists(file) ? file : near.data;
        status = wz_path_exists(place)
                     ? wz_checkpoint_open(place, out, err)
                     : wz_fail(err, WZ_ERR_USAGE,
                               "%s: the base of its adapters is neither at %s nor beside them as %s: put "
                               "the checkpoint there whose weights have the digest %s",
                               path, file, near.data, digest);
    }
    if (status == WZ_OK)
        status = check_digest(*out, path, digest, err);
    wz_text_clear(&near);
    if (status != WZ_OK) {
        wz_checkpoint_close(*out);
        *out = NULL;
    }
    return status;
}

wz_status wz_base_set(wz_policy *policy, wz_checkpoint *base, wz_error *err)
{
    char *full = realpath(wz_checkpoint_path(base), NULL);
    if (full == NULL || strlen(full) >= sizeof policy->base_file) {
        free(full);
        return wz_fail(err, WZ_ERR_USAGE, "%s: its full path cannot be found, or is too long",
                       wz_checkpoint_path(base));
    }
    (void)snprintf(policy->base_file, sizeof policy->base_file, "%s", full);
    free(full);
    return wz_checkpoint_weights_digest(base, policy->base_digest, err);
}

wz_status wz_base_keep(wz_policy *policy, const wz_rundir *directory, const wz_config *config,
                       const wz_snapshot *state, const char *environment, wz_error *err)
{
    char path[WZ_PATH_MAX];
    wz_checkpoint *base = NULL;
    if (wz_model_adapter_count(policy->model) == 0 || policy->base_file[0] != '\0')
        return WZ_OK;
    wz_model model = wz_model_without_adapters(policy->model);
    wz_policy plain = *policy;
    wz_config plain_config = *config;
    plain.model = &model;
    plain_config.model.lora.rank = 0;
    plain_config.model.frozen_dtype = WZ_F32;
    wz_status status = wz_rundir_file(directory, "checkpoints/" WZ_BASE_NAME, path, err);
    if (status == WZ_OK)
        status = wz_snapshot_write(path, state, &plain, &plain_config, environment, false, err);
    if (status == WZ_OK)
        status = wz_checkpoint_open(path, &base, err);
    if (status == WZ_OK)
        status = wz_checkpoint_weights_digest(base, policy->base_digest, err);
    if (status == WZ_OK)
        (void)snprintf(policy->base_file, sizeof policy->base_file, "%s", WZ_BASE_NAME);
    wz_checkpoint_close(base);
    return status;
}
