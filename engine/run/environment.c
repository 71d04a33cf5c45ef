#include "engine/run/environment.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file.h"

#ifndef WZ_GIT_COMMIT
#define WZ_GIT_COMMIT ""
#endif

#define PROC_LIMIT ((size_t)8 << 20) /* /proc/cpuinfo has about 1.5 KB a processor */

const char *wz_build_commit(void)
{
    return WZ_GIT_COMMIT;
}

const char *wz_build_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

/* The text after "key ... :" in a file of such lines, up to the line's end; NULL: no such line. */
static const char *find_field(const char *text, const char *key, size_t *length)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, strlen(key)) == 0) {
            const char *value = line + strcspn(line, ":\n");
            value += strspn(value, ": \t");
            *length = strcspn(value, "\n");
            return value;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return NULL;
}

wz_status wz_cpu_model(wz_text *out, wz_error *err)
{
    wz_text text = {0};
    size_t length = 0;
    const char *model = NULL;
    if (wz_file_read("/proc/cpuinfo", PROC_LIMIT, &text, NULL) == WZ_OK)
        model = find_field(text.data, "model name", &length);
    wz_status status = model != NULL && length > 0 ? wz_text_append(out, model, length, err)
                                                   : wz_text_printf(out, err, "unknown");
    wz_text_clear(&text);
    return status;
}

int64_t wz_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? count : 1;
}

static uint64_t meminfo(const char *text, const char *key)
{
    size_t length = 0;
    const char *value = text == NULL ? NULL : find_field(text, key, &length);
    return value == NULL ? 0 : (uint64_t)strtoull(value, NULL, 10) * 1024;
}

void wz_memory_size(uint64_t *total, uint64_t *available)
{
    wz_text text = {0};
    (void)wz_file_read("/proc/meminfo", PROC_LIMIT, &text, NULL);
    *total = meminfo(text.data, "MemTotal");
    *available = meminfo(text.data, "MemAvailable");
    wz_text_clear(&text);
}

uint64_t wz_memory_resident(void)
{
    char line[128], *at = line; /* pages: of the address space, then resident */
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL)
        return 0;
    if (fgets(line, sizeof line, statm) == NULL)
        line[0] = '\0';
    (void)fclose(statm);
    (void)strtoull(at, &at, 10);
    return strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void optional_string(wz_json *json, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        wz_json_field_string(json, key, value);
}

/* A CUDA version as people write it. */
static void version_string(wz_json *json, const char *key, int version)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%d.%d", version / 1000, version % 1000 / 10);
    wz_json_field_string(json, key, text);
}

void wz_describe_cuda(const wz_backend_info *info, char *out, size_t size)
{
    (void)snprintf(out, size, "driver for CUDA %d.%d, runtime %d.%d, %s", info->driver / 1000,
                   info->driver % 1000 / 10, info->runtime / 1000, info->runtime % 1000 / 10, info->kernels);
}

/* Lines of text as an array. */
static void write_lines(wz_json *json, const char *key, const char *text)
{
    wz_json_key(json, key);
    wz_json_begin_array(json);
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        wz_json_bytes(json, text, length);
        text += length + (text[length] == '\n');
    }
    wz_json_end_array(json);
}

static void write_backend(wz_json *json, const wz_backend_info *info)
{
    if (info->gpu == NULL) {
        wz_json_field_string(json, "blas_core", info->kernels);
        wz_json_field_integer(json, "threads", info->threads);
        return;
    }
    wz_json_field_string(json, "gpu", info->gpu);
    wz_json_field_integer(json, "gpu_memory_bytes", (int64_t)info->memory);
    version_string(json, "cuda_driver", info->driver);
    version_string(json, "cuda_runtime", info->runtime);
    wz_json_field_string(json, "kernels", info->kernels);
    if (info->algorithms != NULL)
        write_lines(json, "algorithms", info->algorithms);
}

/* Whether a line with the same shape has another algorithm. */
static bool differs_in(const char *text, const char *line)
{
    const char *colon = strchr(line, ':');
    const size_t shape = colon != NULL ? (size_t)(colon - line) + 1 : strlen(line);
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        if (length > shape && memcmp(text, line, shape) == 0)
            return strlen(line) != length || memcmp(text, line, length) != 0;
        text += length + (text[length] == '\n');
    }
    return false;
}

bool wz_environment_algorithms_differ(const char *json, size_t length, const char *now)
{
    json_t *environment = NULL;
    bool differ = false;
    size_t i;
    const json_t *line;
    if (now == NULL || wz_json_parse("env", json, length, &environment, NULL) != WZ_OK)
        return false;
    json_array_foreach(json_object_get(environment, "algorithms"), i, line) differ =
        differ || (json_is_string(line) && differs_in(now, json_string_value(line)));
    json_decref(environment);
    return differ;
}

wz_status wz_environment_write_json(const wz_environment *environment, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_text cpu = {0};
    char hostname[256] = "";
    uint64_t total = 0;
    uint64_t available = 0;
    wz_status status = wz_cpu_model(&cpu, err);
    if (status != WZ_OK)
        return status;
    wz_memory_size(&total, &available);
    if (gethostname(hostname, sizeof hostname - 1) != 0)
        hostname[0] = '\0';
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "version", WZ_VERSION);
    optional_string(&json, "git_commit", wz_build_commit());
    wz_json_field_string(&json, "compiler", wz_build_compiler());
    optional_string(&json, "device", environment->device);
    optional_string(&json, "precision", environment->precision);
    if (environment->backend != NULL)
        write_backend(&json, environment->backend);
    wz_json_key(&json, "cpu");
    wz_json_bytes(&json, cpu.data, cpu.length);
    wz_json_field_integer(&json, "cores", wz_cpu_count());
    wz_json_field_integer(&json, "memory_bytes", (int64_t)total);
    optional_string(&json, "hostname", hostname);
    optional_string(&json, "date", environment->date);
    wz_json_end_object(&json);
    wz_text_clear(&cpu);
    return wz_json_finish(&json);
}
