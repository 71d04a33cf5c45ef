/* `wavezero doctor`: what this machine and this build are, and whether they work. */
#include <cblas.h>
#include <hdf5.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "cuda/cuda.h"
#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/file.h"
#include "engine/core/json.h"
#include "engine/core/philox.h"
#include "engine/run/config.h"
#include "engine/run/environment.h"
#include "rewards/verifier.h"

const char wz_doctor_details[] =
    "Prints processor, memory, disk and libraries, then runs a check of each part that training needs.\n"
    "Exit status 1 if a check fails.\n\n"
    "  --json                 one JSON object\n";

#define MAX_FACTS 24

typedef struct doctor_report {
    char name[MAX_FACTS][24];
    char value[MAX_FACTS][400];
    bool is_check[MAX_FACTS]; /* a self check; value is its failure, or "" */
    size_t count;
} doctor_report;

static void add(doctor_report *report, const char *name, const char *format, ...) WZ_PRINTF(3, 4);

static void add(doctor_report *report, const char *name, const char *format, ...)
{
    if (report->count == MAX_FACTS)
        return;
    va_list args;
    va_start(args, format);
    (void)snprintf(report->name[report->count], sizeof report->name[0], "%s", name);
    (void)vsnprintf(report->value[report->count], sizeof report->value[0], format, args);
    va_end(args);
    report->count++;
}

static void add_check(doctor_report *report, const char *name, const char *failure)
{
    if (report->count < MAX_FACTS)
        report->is_check[report->count] = true;
    add(report, name, "%s", failure);
}

/* ---- facts ---- */

static const char *vector_units(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return "AVX-512";
    if (__builtin_cpu_supports("avx2"))
        return __builtin_cpu_supports("fma") ? "AVX2, FMA" : "AVX2";
    return "SSE2";
#else
    return "not examined on this processor";
#endif
}

static void add_machine(doctor_report *report)
{
    wz_text cpu = {0};
    uint64_t total = 0;
    uint64_t available = 0;
    uint64_t disk = 0;
    (void)wz_cpu_model(&cpu, NULL);
    wz_memory_size(&total, &available);
    add(report, "cpu", "%s", cpu.data != NULL ? cpu.data : "unknown");
    add(report, "cores", "%lld", (long long)wz_cpu_count());
    add(report, "vector_units", "%s", vector_units());
    add(report, "memory", "%.1f GB, %.1f GB available", (double)total / 1e9, (double)available / 1e9);
    if (wz_disk_free(".", &disk, NULL) == WZ_OK)
        add(report, "disk", "%.1f GB free here", (double)disk / 1e9);
    wz_text_clear(&cpu);
}

static void add_libraries(doctor_report *report, const wz_cli *cli)
{
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;
    add(report, "openblas", "%s", openblas_get_config());
    add(report, "blas_core", "%s", openblas_get_corename());
    if (cli->openblas_coretype == NULL)
        add(report, "openblas_coretype", "not set: OpenBLAS chooses the kernel itself");
    else
        add(report, "openblas_coretype", "%s%s", cli->openblas_coretype,
            cli->own_coretype ? ": set by wavezero, since OpenBLAS does not know this processor" : "");
    if (H5get_libversion(&major, &minor, &release) >= 0)
        add(report, "hdf5", "%u.%u.%u", major, minor, release);
    add(report, "yaml", "%s", yaml_get_version_string());
}

/* ---- checks ---- */

/* Random123's known answer for a zero counter and key. */
static const char *check_random(void)
{
    static const uint32_t expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const uint32_t counter[4] = {0};
    const uint32_t key[2] = {0};
    uint32_t words[4];
    wz_philox4x32(counter, key, words);
    return memcmp(words, expected, sizeof words) == 0 ? ""
                                                      : "Philox4x32-10 misses its published known answer";
}

/* Whole numbers that float32 sums exactly in any order: c = a b^T must be exact. */
enum { N = 48 };
typedef struct product {
    float a[N * N], b[N * N], c[N * N];
} product;

static void make_product(product *p)
{
    for (int i = 0; i < N * N; ++i) {
        p->a[i] = (float)(i * 7 % 11 - 5);
        p->b[i] = (float)(i * 5 % 13 - 6);
        p->c[i] = NAN;
    }
}

static bool is_exact(const product *p)
{
    bool exact = true;
    for (int i = 0; i < N; ++i) {
        for (int j = 0; j < N; ++j) {
            float sum = 0.0F;
            for (int k = 0; k < N; ++k)
                sum += p->a[i * N + k] * p->b[j * N + k];
            exact = exact && p->c[i * N + j] == sum;
        }
    }
    return exact;
}

static const char *check_product(void)
{
    product p;
    make_product(&p);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1.0F, p.a, N, p.b, N, 0.0F, p.c, N);
    return is_exact(&p) ? "" : "OpenBLAS gives a wrong product: choose another kernel by OPENBLAS_CORETYPE";
}

/* The product's place on a GPU, with room for copies of a and b in another working type. */
typedef struct gpu_product {
    product p;
    float a[N * N], b[N * N];
} gpu_product;

/* The same product on a GPU, in its working type: bf16 has these whole numbers, too. */
static wz_status check_gpu_product(wz_backend *gpu, wz_error *err)
{
    product p;
    void *block = NULL;
    make_product(&p);
    wz_status status = gpu->ops->alloc(gpu, sizeof(gpu_product), "doctor", &block, err);
    if (status != WZ_OK)
        return status;
    gpu_product *there = block;
    wz_linear linear = {.weight = {there->p.b, N, N, N, WZ_F32}};
    wz_tensor a = {there->p.a, N, N, N, WZ_F32};
    gpu->ops->upload(gpu, there, &p, sizeof p);
    if (gpu->working_type != WZ_F32) {
        const wz_tensor copy = {there->a, N, N, N, gpu->working_type};
        gpu->ops->convert(gpu, copy, a);
        a = copy;
        gpu->ops->prepare(gpu, there->b, &linear);
        linear.prepared = there->b;
    }
    gpu->ops->linear_forward(gpu, (wz_tensor){there->p.c, N, N, N, WZ_F32}, a, &linear, (wz_tensor){0});
    gpu->ops->download(gpu, &p, there, sizeof p);
    status = gpu->ops->sync(gpu, err);
    gpu->ops->release(gpu, block);
    if (status == WZ_OK && !is_exact(&p))
        status =
            wz_fail(err, WZ_ERR_DEVICE, "a wrong product: update the driver and cuBLAS, or use device: cpu");
    return status;
}

static void add_gpu_facts(doctor_report *report, const wz_backend *gpu)
{
    wz_backend_info info;
    char versions[160];
    gpu->ops->describe(gpu, &info);
    add(report, "gpu", "%s", info.gpu);
    add(report, "gpu_memory", "%.1f GB, %.1f GB free", (double)info.memory / 1e9,
        (double)info.memory_free / 1e9);
    wz_describe_cuda(&info, versions, sizeof versions);
    add(report, "cuda", "%s", versions);
}

/* The GPU that `device: auto` takes, in either precision, or why it takes none. */
static void add_gpu(doctor_report *report)
{
    static const char *const names[] = {"gpu product, fp32", "gpu product, bf16"};
    static const wz_cuda_options options[] = {{.precision = WZ_F32, .exact = true},
                                              {.precision = WZ_BF16, .exact = true}};
    for (int i = 0; i < 2; ++i) {
        wz_backend *gpu = NULL;
        wz_error err = {{0}};
        const wz_status status = wz_backend_cuda_create(&options[i], &gpu, &err);
        if (status != WZ_OK && i == 0) {
            add(report, "gpu", "none: %s", err.text);
            return;
        }
        if (i == 0)
            add_gpu_facts(report, gpu);
        if (status == WZ_OK)
            (void)check_gpu_product(gpu, &err);
        if (gpu != NULL)
            gpu->ops->destroy(gpu);
        add_check(report, names[i], err.text);
    }
}

/* A file image in memory, written and read back. */
static const char *check_hdf5(void)
{
    const hsize_t size = 64;
    double values[64];
    double back[64] = {0};
    for (int i = 0; i < 64; ++i)
        values[i] = sqrt((double)i);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    (void)H5Pset_fapl_core(access, 1 << 16, false);
    hid_t file = H5Fcreate("doctor.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hid_t space = H5Screate_simple(1, &size, NULL);
    hid_t set = H5Dcreate2(file, "values", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool good = H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0 &&
                H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0;
    for (int i = 0; i < 64; ++i)
        good = good && values[i] == back[i];
    (void)H5Dclose(set);
    (void)H5Sclose(space);
    (void)H5Fclose(file);
    (void)H5Pclose(access);
    return good ? "" : "HDF5 does not read back what it wrote: checkpoints would fail";
}

/* One problem of every family, with its reference; no baseline that obeys the reference's rules beats it. */
static wz_status check_tasks(wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; wz_tasks[i] != NULL && status == WZ_OK; ++i) {
        double values[WZ_TASK_MAX_OPTIONS] = {0};
        wz_problem problem = {0};
        wz_reference reference = {0};
        const wz_verifier *verifier = wz_verifier_find(wz_tasks[i]->name);
        wz_task_default_values(wz_tasks[i], values);
        status = wz_problem_generate(wz_tasks[i], values, 1, WZ_SPLIT_TEST, 0, &problem, err);
        if (status == WZ_OK && verifier == NULL)
            status = wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", wz_tasks[i]->name);
        if (status == WZ_OK && verifier != NULL)
            status = wz_reference_find(verifier, &problem, WZ_EFFORT_EVALUATION, NULL, &reference, err);
        if (status == WZ_OK && reference.best_trivial > reference.objective * (1.0 + 1e-9))
            status = wz_fail(err, WZ_ERR_RUNTIME, "task %s: a trivial policy beats the reference",
                             wz_tasks[i]->name);
        wz_problem_clear(&problem);
    }
    return status;
}

static void add_checks(doctor_report *report)
{
    wz_config config;
    wz_text text = {0};
    wz_error err = {{0}};
    add_check(report, "random numbers", check_random());
    add_check(report, "matrix product", check_product());
    add_check(report, "checkpoint library", check_hdf5());
    (void)check_tasks(&err);
    add_check(report, "tasks and verifiers", err.text);
    err.text[0] = '\0';
    wz_config_default(&config);
    if (wz_config_write(&config, &text, &err) == WZ_OK &&
        wz_config_read_text(&config, "default", text.data, text.length, &err) == WZ_OK)
        (void)wz_config_check(&config, &err);
    add_check(report, "configuration", err.text);
    wz_text_clear(&text);
}

/* ---- output ---- */

static wz_status write_text(const doctor_report *report, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < report->count && status == WZ_OK; ++i) {
        const char *value = report->value[i];
        if (report->is_check[i])
            status = wz_text_printf(out, err, "check: %-19s %s%s\n", report->name[i],
                                    value[0] == '\0' ? "ok" : "FAILED: ", value);
        else
            status = wz_text_printf(out, err, "%-26s %s\n", report->name[i], value);
    }
    return status;
}

static wz_status write_json(const doctor_report *report, bool healthy, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_boolean(&json, "healthy", healthy);
    for (size_t i = 0; i < report->count; ++i)
        if (!report->is_check[i])
            wz_json_field_string(&json, report->name[i], report->value[i]);
    wz_json_key(&json, "checks");
    wz_json_begin_object(&json);
    for (size_t i = 0; i < report->count; ++i)
        if (report->is_check[i])
            wz_json_field_string(&json, report->name[i],
                                 report->value[i][0] == '\0' ? "ok" : report->value[i]);
    wz_json_end_object(&json);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_cmd_doctor(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool help = false;
    bool json = false;
    bool healthy = true;
    wz_arguments rest;
    wz_text text = {0};
    doctor_report found = {.count = 0};
    const wz_option options[] = {{"--json", WZ_OPTION_FLAG, &json, 0, 0, NULL, "one JSON object"}};
    wz_status status = wz_options_parse(options, 1, argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 0, 0, self->usage, err);
    if (status != WZ_OK)
        return status;
    (void)H5dont_atexit();
    add(&found, "version", "%s", WZ_VERSION);
    add(&found, "commit", "%s", wz_build_commit()[0] != '\0' ? wz_build_commit() : "unknown");
    add(&found, "compiler", "%s", wz_build_compiler());
    add_machine(&found);
    add_libraries(&found, cli);
    add_gpu(&found);
    add_checks(&found);
    for (size_t i = 0; i < found.count; ++i)
        healthy = healthy && (!found.is_check[i] || found.value[i][0] == '\0');
    status = json ? write_json(&found, healthy, &text, err) : write_text(&found, &text, err);
    status = wz_cli_print(cli, &text, status, err);
    return status == WZ_OK && !healthy ? wz_fail(err, WZ_ERR_RUNTIME, "a self check failed") : status;
}
