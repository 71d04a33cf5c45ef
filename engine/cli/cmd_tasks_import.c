/* `wavezero tasks import`: problem sets of either kind and users' own channels become one problem set. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cmd_tasks.h"
#include "engine/cli/interrupt.h"
#include "engine/core/output.h"
#include "engine/run/problem_set.h"
#include "tasks/gains.h"

typedef struct importer {
    const wz_tasks_request *request;
    wz_set_writer *writer;
    int64_t count;
} importer;

wz_status wz_tasks_add_gains(const wz_tasks_request *request, const char *path, wz_set_writer *writer,
                             int64_t *added, wz_error *err)
{
    const wz_config *config = &request->config;
    wz_problem *problems = NULL;
    size_t count = 0;
    wz_status status = wz_gains_problems(config->task, config->task_values, path, request->coefficients,
                                         &problems, &count, err);
    for (size_t i = 0; i < count; i++) {
        wz_set_entry entry = {0};
        if (status == WZ_OK)
            status = wz_stop_check(request->stop, err);
        if (status == WZ_OK)
            status =
                wz_config_check_given(config, request->overrides, request->override_count, &problems[i], err);
        if (status == WZ_OK)
            status = wz_set_entry_make(&problems[i], WZ_SET_NO_SEED, (wz_prompt_style)config->prompt_style,
                                       &entry, err);
        if (status == WZ_OK)
            status = wz_set_writer_add(writer, &entry, err);
        *added += status == WZ_OK;
        wz_set_entry_clear(&entry);
        wz_problem_clear(&problems[i]);
    }
    free(problems);
    return status;
}

/* Every problem is made anew and compared with what the file says of it. */
static wz_status import_set(importer *m, const char *path, wz_error *err)
{
    wz_set_reader *reader = NULL;
    const int64_t before = m->count;
    bool done = false;
    wz_status status = wz_set_reader_create(path, &reader, err);
    while (status == WZ_OK && !done) {
        wz_set_entry entry = {0};
        status = wz_stop_check(m->request->stop, err);
        if (status == WZ_OK)
            status = wz_set_reader_next(reader, &entry, &done, err);
        if (status == WZ_OK && !done) {
            status = wz_set_writer_add(m->writer, &entry, err);
            m->count++;
            wz_set_entry_clear(&entry);
        }
    }
    wz_set_reader_destroy(reader);
    if (status == WZ_OK && m->count == before)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: no problem in it", path);
    return status;
}

static wz_status import_file(importer *m, const char *path, wz_error *err)
{
    bool is_set = false;
    wz_status status = wz_problem_set_recognise(path, &is_set, err);
    if (status != WZ_OK)
        return status;
    return is_set ? import_set(m, path, err)
                  : wz_tasks_add_gains(m->request, path, m->writer, &m->count, err);
}

wz_status wz_tasks_check_output(const wz_tasks_request *request, const char *output, const char *path,
                                wz_error *err)
{
    wz_text file = {0};
    const char *name = path != NULL ? strstr(path, ":/") : NULL;
    wz_status status = WZ_OK;
    if (request->config_file != NULL)
        status = wz_output_check_input(output, request->config_file, err);
    if (status == WZ_OK && path != NULL)
        status = wz_output_check_input(output, path, err);
    if (status == WZ_OK && name != NULL)
        status = wz_text_append(&file, path, (size_t)(name - path), err);
    if (status == WZ_OK && name != NULL)
        status = wz_output_check_input(output, file.data, err);
    wz_text_clear(&file);
    return status;
}

wz_status wz_tasks_import(const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    char digest[WZ_DIGEST_HEX] = "";
    importer m = {.request = request};
    if (request->output == NULL)
        return wz_fail(err, WZ_ERR_USAGE, "tasks import needs -o FILE, the problem set to write");
    wz_status status = WZ_OK;
    for (size_t f = 0; status == WZ_OK && f < request->file_count; f++)
        status = wz_tasks_check_output(request, request->output, request->files[f], err);
    if (status == WZ_OK)
        status = wz_set_writer_create(request->output, &m.writer, err);
    for (size_t f = 0; status == WZ_OK && f < request->file_count; f++)
        status = import_file(&m, request->files[f], err);
    if (status == WZ_OK)
        status = wz_set_writer_finish(m.writer, digest, err);
    wz_set_writer_destroy(m.writer);
    if (status != WZ_OK)
        return wz_interrupt_explain(status, "nothing was written to", request->output, err);
    return wz_text_printf(out, err,
                          request->json ? "{\"problems\": %lld, \"digest\": \"%s\"}\n"
                                        : "%lld problems verified and written, digest %s\n",
                          (long long)m.count, digest);
}
