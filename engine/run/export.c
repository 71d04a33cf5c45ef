#include "engine/run/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/core/output.h"
#include "engine/run/portable.h"
#include "engine/text/gbnf.h"

static const char answer_end[] = "</answer>"; /* of every answer pattern */

/* Beside weights, tables and tokenizer, generously. Of a tensor: its name and shape, in ONNX the nodes that use it, and padding up to
 * the next page. Of the folder: card, configurations, grammar, and what is lost in the last block of each of a dozen files. */
#define SPARE_BYTES_PER_TENSOR (6u << 10)
#define SPARE_BYTES (256u << 10)
#define MADE_MAX 32 /* names of files that formats make */

uint64_t wz_export_bytes(const wz_export *request)
{
    uint64_t sum = 0;
    const wz_model *model = request->policy->model;
    const bool adapters = request->format->is_adapters;
    const size_t end = adapters ? model->adapter_params : model->param_count;
    for (size_t i = adapters ? 0 : model->adapter_params; i < end; i++) {
        const wz_param *param = &model->params[i];
        size_t bytes = 0;
        if (param->rank == 1)
            bytes = (size_t)param->count * sizeof(float);
        else if ((size_t)param->shape[1] % wz_number_block(request->type) != 0 ||
                 !wz_number_bytes(request->type, (size_t)param->count, &bytes))
            bytes = (size_t)param->count * 2; /* f16: its rows fill no blocks */
        sum += bytes;
    }
    return sum;
}

bool wz_export_thinks(const wz_export *r)
{
    return wz_thinking_on(&r->policy->thinking) || r->config->prompt_style == WZ_PROMPT_FULL;
}

bool wz_export_closes(const wz_export *r)
{
    const int64_t id = wz_tokenizer_find(r->policy->tokenizer, answer_end, sizeof answer_end - 1);
    for (size_t i = 0; i < r->policy->end_token_count; i++)
        if (id == (int64_t)r->policy->end_tokens[i])
            return true;
    return false;
}

/* A tokenizer takes no more than twice what its JSON does: GGUF's lists have 12 bytes for each entry beside its text, and JSON has
 * half of that. */
wz_status wz_export_need(const wz_export *r, uint64_t *bytes, wz_error *err)
{
    const wz_model *model = r->policy->model;
    wz_text tokenizer = {0};
    const wz_status status = wz_tokenizer_write_json(r->policy->tokenizer, &tokenizer, err);
    *bytes = wz_export_bytes(r) + 2 * ((uint64_t)tokenizer.length + r->policy->origin.length) +
             (uint64_t)model->param_count * SPARE_BYTES_PER_TENSOR + SPARE_BYTES;
    if (r->format->table_bytes != NULL)
        *bytes += r->format->table_bytes(&model->config);
    wz_text_clear(&tokenizer);
    return status;
}

static wz_status check_space(const wz_export *r, wz_error *err)
{
    uint64_t available = 0, need = 0;
    wz_status status = wz_export_need(r, &need, err);
    if (status == WZ_OK)
        status = wz_disk_free(r->folder, &available, err);
    if (status == WZ_OK && available < need)
        status = wz_fail(err, WZ_ERR_RESOURCE,
                         "%s: the export needs %.1f MB but the disk has %.1f MB free: free some space or "
                         "write elsewhere",
                         r->folder, (double)need / 1e6, (double)available / 1e6);
    return status;
}

static wz_status check_request(const wz_export *r, wz_error *err)
{
    if ((r->format->types >> r->type & 1u) == 0)
        return wz_fail(err, WZ_ERR_USAGE, "--format %s has no type %s; see `wavezero help export`",
                       r->format->name, wz_number_type_names[r->type]);
    if (r->format->is_adapters && wz_model_adapter_count(r->policy->model) == 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s: --format %s writes low-rank adapters, and this checkpoint has none: train with "
                       "lora_rank, or export the whole policy with --format %s",
                       r->checkpoint, r->format->name, strcmp(r->format->name, "peft") == 0 ? "hf" : "gguf");
    if (r->grammar && wz_export_thinks(r))
        return wz_fail(err, WZ_ERR_USAGE,
                       "--grammar writes the grammar of answers, and this policy thinks before it answers: a "
                       "runtime would keep it from that; export without --grammar");
    wz_status status = wz_output_check_input(r->folder, r->checkpoint, err);
    if (status == WZ_OK && r->policy->base_file[0] != '\0')
        status = wz_output_check_input(r->folder, r->policy->base_file, err);
    return status;
}

static wz_status write_in(const char *folder, const char *name, const wz_text *text, wz_error *err)
{
    wz_text path = {0};
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, name);
    if (status == WZ_OK)
        status = wz_file_replace(path.data, text->data, text->length, err);
    wz_text_clear(&path);
    return status;
}

/* Of the problems that the policy was trained on last: a mixture's first task. */
static wz_status write_grammar(const wz_export *r, const char *folder, wz_error *err)
{
    wz_problem problem = {0};
    wz_text pattern = {0}, grammar = {0};
    wz_status status = wz_problem_generate(r->config->task, r->config->task_values, (uint64_t)r->config->seed,
                                           WZ_SPLIT_TEST, 0, &problem, err);
    if (status == WZ_OK)
        status = wz_problem_answer_pattern(&problem, (wz_prompt_style)r->config->prompt_style, &pattern, err);
    const size_t tail = sizeof answer_end - 1;
    if (status == WZ_OK && wz_export_closes(r) && pattern.length > tail &&
        strcmp(pattern.data + pattern.length - tail, answer_end) == 0)
        pattern.data[pattern.length - tail] = '\0';
    if (status == WZ_OK)
        status = wz_gbnf_from_pattern(pattern.data, &grammar, err);
    if (status == WZ_OK)
        status = write_in(folder, WZ_GRAMMAR_FILE, &grammar, err);
    wz_problem_clear(&problem);
    wz_text_clear(&pattern);
    wz_text_clear(&grammar);
    return status;
}

static wz_status write_card(const wz_export *r, const wz_portable *model, const char *folder, wz_error *err)
{
    wz_text card = {0};
    wz_status status = wz_export_card(r, model, &card, err);
    if (status == WZ_OK)
        status = write_in(folder, WZ_CARD_FILE, &card, err);
    wz_text_clear(&card);
    return status;
}

/* The digests of files that were told while they were written; of others there may be, they are made afterwards. */
typedef struct told_digests {
    const wz_byte_count *bytes; /* who is told of the bytes */
    struct {
        char name[64], digest[WZ_DIGEST_HEX];
    } files[4];
    size_t count;
} told_digests;

static void take_bytes(void *user, uint64_t count)
{
    const told_digests *told = user;
    if (told->bytes != NULL && told->bytes->add != NULL)
        told->bytes->add(told->bytes->user, count);
}

static void take_digest(void *user, const char *path, const char digest[WZ_DIGEST_HEX])
{
    told_digests *told = user;
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    if (told->count == sizeof told->files / sizeof told->files[0] ||
        strlen(name) >= sizeof told->files[0].name)
        return;
    memcpy(told->files[told->count].name, name, strlen(name) + 1);
    memcpy(told->files[told->count++].digest, digest, WZ_DIGEST_HEX);
}

static wz_status find_digest(const told_digests *told, const char *name, const char *path,
                             char hex[WZ_DIGEST_HEX], wz_error *err)
{
    for (size_t i = 0; i < told->count; i++)
        if (strcmp(told->files[i].name, name) == 0) {
            memcpy(hex, told->files[i].digest, WZ_DIGEST_HEX);
            return WZ_OK;
        }
    return wz_digest_file(path, hex, err);
}

/* "<digest>  <name>" for each file, as `xxhsum -H2` prints it. */
static wz_status write_checksums(const char *folder, const told_digests *told, wz_error *err)
{
    wz_names names;
    wz_text sums = {0}, path = {0};
    char hex[WZ_DIGEST_HEX];
    wz_status status = wz_folder_list(folder, &names, err);
    for (size_t i = 0; status == WZ_OK && i < names.count; i++) {
        if (strcmp(names.items[i], WZ_CHECKSUMS_FILE) == 0) /* the folder's mark so far */
            continue;
        path.length = 0;
        status = wz_text_printf(&path, err, "%s/%s", folder, names.items[i]);
        if (status == WZ_OK)
            status = find_digest(told, names.items[i], path.data, hex, err);
        if (status == WZ_OK)
            status = wz_text_printf(&sums, err, "%s  %s\n", hex, names.items[i]);
    }
    wz_names_clear(&names);
    if (status == WZ_OK)
        status = write_in(folder, WZ_CHECKSUMS_FILE, &sums, err);
    wz_text_clear(&sums);
    wz_text_clear(&path);
    return status;
}

/* What is written: the policy, under the name and licence that were asked for. */
static wz_status describe(const wz_export *r, wz_portable *out, wz_error *err)
{
    const wz_status status = r->weights != NULL ? wz_portable_from_checkpoint(r->policy, r->weights, out, err)
                                                : wz_portable_from_policy(r->policy, out, err);
    if (status != WZ_OK)
        return status;
    if (r->name[0] != '\0')
        (void)snprintf(out->name, sizeof out->name, "%s", r->name);
    if (r->license[0] != '\0')
        (void)snprintf(out->license, sizeof out->license, "%s", r->license);
    return WZ_OK;
}

/* The files of every format: an unfinished folder may be of another one. */
static wz_status name_files(const char *names[MADE_MAX], wz_error *err)
{
    size_t count = 0;
    names[count++] = WZ_CARD_FILE;
    names[count++] = WZ_GRAMMAR_FILE;
    for (size_t f = 0; wz_model_formats[f] != NULL; f++)
        for (size_t i = 0; wz_model_formats[f]->files[i] != NULL; i++) {
            if (count + 1 == MADE_MAX)
                return wz_fail(err, WZ_ERR_RUNTIME, "formats make more than %d files", MADE_MAX - 1);
            names[count++] = wz_model_formats[f]->files[i];
        }
    names[count] = NULL;
    return WZ_OK;
}

wz_status wz_export_run(const wz_export *r, const wz_byte_count *bytes, wz_error *err)
{
    wz_portable model;
    const char *names[MADE_MAX];
    const wz_folder_kind kind = {.mark = WZ_CHECKSUMS_FILE, .names = names};
    wz_folder folder = {.lock = -1};
    told_digests told = {.bytes = bytes};
    const wz_byte_count listener = {
        .add = take_bytes, .written = take_digest, .user = &told, .stop = r->stop};
    wz_portable_init(&model);
    wz_status status = check_request(r, err);
    if (status == WZ_OK)
        status = name_files(names, err);
    if (status == WZ_OK)
        status = wz_folder_begin(r->folder, r->overwrite, &kind, &folder, err);
    if (status != WZ_OK)
        goto done;
    status = check_space(r, err);
    if (status == WZ_OK)
        status = describe(r, &model, err);
    if (status == WZ_OK)
        status = r->format->write(&model, r->type, folder.path.data, &listener, err);
    if (status == WZ_OK && r->grammar)
        status = write_grammar(r, folder.path.data, err);
    if (status == WZ_OK)
        status = write_card(r, &model, folder.path.data, err);
    if (status == WZ_OK)
        status = write_checksums(folder.path.data, &told, err);
    if (status == WZ_OK)
        status = wz_stop_check(r->stop, err);
    if (status == WZ_OK) {
        status = wz_folder_commit(&folder, r->folder, err);
    } else {
        (void)wz_fail_renamed(err, status, folder.path.data, r->folder);
        wz_folder_abandon(&folder);
    }
done:
    wz_portable_clear(&model);
    return status;
}

static wz_status verify_answers(const wz_export *r, wz_portable *back, int64_t problems, wz_verification *out,
                                wz_error *err)
{
    wz_config config = *r->config;
    wz_policy *policy = NULL;
    wz_status status = wz_policy_from_portable(back, &config, r->policy->model->backend, &policy, err);
    if (status == WZ_OK)
        status = wz_verify_answers(r->policy, policy, r->config, problems, out, err);
    wz_policy_destroy(policy);
    return status;
}

wz_status wz_export_verify(const wz_export *r, int64_t problems, wz_verification *out, wz_error *err)
{
    wz_portable meant, back;
    memset(out, 0, sizeof *out);
    out->least_margin = NAN; /* until answers part */
    wz_portable_init(&meant);
    wz_portable_init(&back);
    wz_status status = wz_portable_from_policy(r->policy, &meant, err);
    if (status == WZ_OK)
        status = r->format->open(r->folder, &back, err);
    if (status == WZ_OK)
        status = (r->format->is_adapters ? wz_verify_adapters : wz_verify_tensors)(&meant, &back, r->folder,
                                                                                   out, err);
    if (status == WZ_OK)
        status = wz_stop_check(r->stop, err);
    if (status == WZ_OK && back.tokenizer != NULL && problems > 0)
        status = verify_answers(r, &back, problems, out, err);
    if (status == WZ_OK)
        status = wz_stop_check(r->stop, err);
    wz_portable_clear(&meant);
    wz_portable_clear(&back);
    return status;
}
