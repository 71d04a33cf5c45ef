/* Metrics logs, the run directory, the environment record and progress lines. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/run/metrics.h"
#include "engine/run/progress.h"
#include "engine/run/rundir.h"
#include "engine/run/snapshot.h"
#include "tasks/power_control.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"

static char scratch[64];

static void make_scratch(void)
{
    strcpy(scratch, "test_run.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void remove_scratch(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    ck_assert_int_eq(system(command), 0);
}

/* scratch/name; valid until the next call but three. */
static const char *in_scratch(const char *name)
{
    static char paths[4][256];
    static size_t next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static void assert_file(const char *path, const char *expected)
{
    wz_text text = {0};
    wz_error err = {{0}};
    ck_assert_msg(wz_file_read(path, 1 << 20, &text, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(text.data != NULL ? text.data : "", expected);
    wz_text_clear(&text);
}

/* ---- metrics ---- */

static void write_row(wz_metrics *metrics, int64_t step, double loss)
{
    wz_error err = {{0}};
    wz_metrics_begin(metrics, &err);
    wz_metrics_add_integer(metrics, "step", step);
    wz_metrics_add(metrics, "loss", loss);
    wz_metrics_add(metrics, "grad_norm", 1.0 / 3.0);
    wz_metrics_add(metrics, "kl", NAN);
    ck_assert_msg(wz_metrics_end(metrics, &err) == WZ_OK, "%s", err.text);
}

START_TEST(metrics_rows_are_json_lines)
{
    wz_metrics metrics;
    wz_error err = {{0}};
    ck_assert_int_eq(wz_metrics_open(&metrics, scratch, WZ_METRICS_FILE, 0, &err), WZ_OK);
    write_row(&metrics, 1, 0.5);
    wz_metrics_begin(&metrics, &err);
    wz_metrics_add_text(&metrics, "text", "a\"\n\xff", 4);
    ck_assert_int_eq(wz_metrics_end(&metrics, &err), WZ_OK);
    wz_metrics_close(&metrics);
    wz_metrics_close(&metrics);
    assert_file(in_scratch("metrics.jsonl"),
                "{\"step\": 1, \"loss\": 0.5, \"grad_norm\": 0.3333333333333333, \"kl\": null}\n"
                "{\"text\": \"a\\\"\\n\xef\xbf\xbd\"}\n");
}
END_TEST

/* What a resumed run appends after cutting the log at the checkpoint's offset equals an uninterrupted log. */
START_TEST(metrics_open_at_offset_continues_the_log)
{
    wz_metrics metrics;
    wz_error err = {{0}};
    wz_text whole = {0};
    uint64_t offset = 0;
    uint64_t end = 0;
    ck_assert_int_eq(wz_metrics_open(&metrics, scratch, WZ_METRICS_FILE, 0, &err), WZ_OK);
    write_row(&metrics, 1, 0.5);
    ck_assert_int_eq(wz_metrics_sync(&metrics, &offset, &err), WZ_OK);
    write_row(&metrics, 2, 0.25);
    write_row(&metrics, 3, 0.125);
    ck_assert_int_eq(wz_metrics_sync(&metrics, &end, &err), WZ_OK);
    wz_metrics_close(&metrics);
    ck_assert_int_eq(wz_file_read(in_scratch("metrics.jsonl"), 1 << 20, &whole, &err), WZ_OK);
    ck_assert_uint_eq(end, whole.length);
    ck_assert_int_eq(wz_metrics_open(&metrics, scratch, WZ_METRICS_FILE, offset, &err), WZ_OK);
    write_row(&metrics, 2, 0.25);
    write_row(&metrics, 3, 0.125);
    wz_metrics_close(&metrics);
    assert_file(in_scratch("metrics.jsonl"), whole.data);
    ck_assert_int_ne(wz_metrics_open(&metrics, scratch, WZ_METRICS_FILE, end + 1, &err), WZ_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "metrics.jsonl"));
    wz_metrics_close(&metrics);
    wz_text_clear(&whole);
}
END_TEST

/* ---- run directory ---- */

START_TEST(rundir_create_writes_config_and_environment)
{
    wz_rundir rundir;
    wz_config config;
    wz_config back;
    wz_error err = {{0}};
    char path[WZ_PATH_MAX];
    wz_config_default(&config);
    config.seed = 77;
    ck_assert_int_eq(wz_rundir_create(&rundir, in_scratch("a/b/"), false, &err), WZ_OK);
    ck_assert_int_eq(wz_rundir_write_config(&rundir, &config, &err), WZ_OK);
    wz_config_default(&back);
    ck_assert_int_eq(wz_config_read_file(&back, in_scratch("a/b/config.yaml"), &err), WZ_OK);
    ck_assert_int_eq(back.seed, 77);

    const wz_backend_info backend = {.kernels = "Haswell", .threads = 2};
    const wz_environment environment = {.device = "cpu", .backend = &backend, .date = "2026-01-02"};
    ck_assert_int_eq(wz_rundir_write_environment(&rundir, &environment, &err), WZ_OK);
    json_t *json = json_load_file(in_scratch("a/b/env.json"), 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "version")), WZ_VERSION);
    ck_assert_str_eq(json_string_value(json_object_get(json, "blas_core")), "Haswell");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "threads")), 2);
    ck_assert_int_gt(json_integer_value(json_object_get(json, "memory_bytes")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "cores")), wz_cpu_count());
    json_decref(json);

    ck_assert_int_eq(wz_rundir_checkpoint_file(&rundir, 100, path, &err), WZ_OK);
    ck_assert_str_eq(path, in_scratch("a/b/checkpoints/step-00000100.h5"));
    wz_rundir_close(&rundir);
}
END_TEST

START_TEST(rundir_locked_by_another_is_refused)
{
    wz_rundir first;
    wz_rundir second;
    wz_error err = {{0}};
    ck_assert_int_eq(wz_rundir_create(&first, in_scratch("run"), false, &err), WZ_OK);
    ck_assert_int_ne(wz_rundir_open(&second, in_scratch("run"), &err), WZ_OK);
    ck_assert_ptr_nonnull(strstr(err.text, "run/LOCK"));
    wz_rundir_close(&second);
    wz_rundir_close(&first);
    ck_assert_int_eq(wz_rundir_open(&second, in_scratch("run"), &err), WZ_OK);
    wz_rundir_close(&second);
    ck_assert_int_eq(wz_rundir_open(&second, in_scratch("none"), &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "is no run directory"));
}
END_TEST

START_TEST(rundir_with_checkpoints_is_kept_unless_told)
{
    wz_rundir rundir;
    wz_error err = {{0}};
    const char *run = in_scratch("run");
    ck_assert_int_eq(wz_rundir_create(&rundir, run, false, &err), WZ_OK);
    ck_assert(!wz_rundir_has_checkpoints(run));
    char path[WZ_PATH_MAX];
    ck_assert_int_eq(wz_rundir_checkpoint_file(&rundir, 7, path, &err), WZ_OK);
    ck_assert_int_eq(wz_file_replace(path, "x", 1, &err), WZ_OK);
    ck_assert_int_eq(wz_file_replace(in_scratch("run/checkpoints/notes.txt"), "x", 1, &err), WZ_OK);
    wz_rundir_close(&rundir);
    ck_assert(wz_rundir_has_checkpoints(run));
    ck_assert_int_eq(wz_rundir_create(&rundir, run, false, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "wavezero resume"));
    ck_assert(wz_path_exists(path));
    ck_assert_int_eq(wz_rundir_create(&rundir, run, true, &err), WZ_OK);
    ck_assert(!wz_path_exists(path));
    ck_assert(wz_path_exists(in_scratch("run/checkpoints/notes.txt")));
    wz_rundir_close(&rundir);
    ck_assert_int_eq(wz_rundir_create(&rundir, "", false, &err), WZ_ERR_USAGE);
}
END_TEST

/* ---- progress ---- */

START_TEST(format_duration_known_values_match)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0s"},         {59.4, "59s"}, {187, "3m07s"}, {7500, "2h05m"},
                 {356400, "4d03h"}, {NAN, "-"},    {-1, "-"},      {INFINITY, "-"}};
    char out[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        wz_format_duration(cases[i].seconds, out);
        ck_assert_str_eq(out, cases[i].text);
    }
}
END_TEST

/* 50 of 100 steps done, 20 of them here in 40 s: 2 s a step, 100 s to go. */
START_TEST(progress_render_states_speed_and_time_left)
{
    wz_progress progress;
    wz_progress_style style = {.is_terminal = true, .columns = 120};
    char line[256];
    wz_progress_start(&progress, NULL, &style, "step", 30, 100, 1000.0);
    wz_progress_render(&progress, 50, "score", 0.9312, "entropy 0.4", 1040.0, line, sizeof line);
    ck_assert_str_eq(
        line, "[============>           ] step 50/100  50%  score 0.9312  2 s/step  ETA 1m40s  entropy 0.4");
    wz_progress_render(&progress, 30, "score", NAN, NULL, 1000.0, line, sizeof line);
    ck_assert_str_eq(line, "[=======>                ] step 30/100  30%");
    style.columns = 20;
    wz_progress_start(&progress, NULL, &style, "step", 30, 100, 1000.0);
    wz_progress_render(&progress, 50, "score", 0.9312, NULL, 1040.0, line, sizeof line);
    ck_assert_str_eq(line, "step 50/100  50%  s");
}
END_TEST

START_TEST(progress_piped_prints_plain_lines_at_intervals)
{
    wz_progress progress;
    const wz_progress_style style = {.interval_s = 5.0, .color = true};
    FILE *stream = tmpfile();
    char text[512] = "";
    ck_assert_ptr_nonnull(stream);
    wz_progress_start(&progress, stream, &style, "step", 0, 10, 0.0);
    for (int step = 1; step <= 10; ++step) /* a step a second: lines at 1 s and 6 s, and the end */
        wz_progress_update(&progress, step, "score", NAN, NULL, step);
    wz_progress_message(&progress, "saved");
    wz_progress_finish(&progress, 10, "score", 0.5, NULL, 10.0);
    rewind(stream);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, stream), 0);
    ck_assert_str_eq(text, "step 1/10  10%  1 s/step  ETA 9s\nstep 6/10  60%  1 s/step  ETA 4s\nsaved\n"
                           "step 10/10 100%  score 0.5000  1 s/step  ETA 0s\n");
    (void)fclose(stream);
}
END_TEST

START_TEST(progress_terminal_redraws_in_place)
{
    wz_progress progress;
    wz_progress_style style = {.is_terminal = true, .columns = 40};
    FILE *stream = tmpfile();
    char text[1024] = "";
    ck_assert_ptr_nonnull(stream);
    wz_progress_start(&progress, stream, &style, "step", 0, 10, 0.0);
    wz_progress_update(&progress, 1, "score", NAN, NULL, 1.0);
    wz_progress_update(&progress, 2, "score", NAN, NULL, 1.05); /* within a tenth of a second: not drawn */
    wz_progress_finish(&progress, 10, "score", NAN, NULL, 10.0);
    rewind(stream);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, stream), 0);
    ck_assert_ptr_null(strchr(text, 0x1b)); /* no colour asked for */
    ck_assert_ptr_null(strstr(text, "2/10"));
    ck_assert_int_eq(text[0], '\r');
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
    (void)fclose(stream);
}
END_TEST

START_TEST(checkpoint_of_another_text_version_is_not_used_but_may_start_a_run)
{
    wz_task older = wz_task_power_control;
    older.text_version--;
    char learned[64];
    (void)snprintf(learned, sizeof learned, "learned version %d of power_control's text", older.text_version);
    const wz_snapshot state = {.best_score = -1.0, .parts = 1};
    make_policy("");
    char path[128], start[160];
    (void)snprintf(path, sizeof path, "%s/old.h5", scratch);
    (void)snprintf(start, sizeof start, "init_from=%s", path);
    for (int i = 0; i < 2; i++) {
        wz_config written = f.config, config;
        wz_backend *backend = NULL;
        wz_policy *policy = NULL;
        written.task = i == 0 ? &wz_task_power_control : &older;
        OK(wz_snapshot_write(path, &state, f.policy, &written, "{}", false, &f.err));
        const wz_status status =
            wz_load_for_inference(path, NULL, 0, stderr, &config, &backend, &policy, &f.err);
        ck_assert_int_eq(status, i == 0 ? WZ_OK : WZ_ERR_USAGE);
        ck_assert(i == 0 || strstr(f.err.text, learned) != NULL);
        wz_policy_destroy(policy);
        if (backend != NULL)
            backend->ops->destroy(backend);
    }
    drop_policy();
    make_policy(start);
    drop_policy();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run");
    TCase *files = tcase_create("files");
    TCase *progress = tcase_create("progress");
    tcase_add_checked_fixture(files, make_scratch, remove_scratch);
    tcase_add_test(files, metrics_rows_are_json_lines);
    tcase_add_test(files, metrics_open_at_offset_continues_the_log);
    tcase_add_test(files, rundir_create_writes_config_and_environment);
    tcase_add_test(files, rundir_locked_by_another_is_refused);
    tcase_add_test(files, rundir_with_checkpoints_is_kept_unless_told);
    tcase_add_test(files, checkpoint_of_another_text_version_is_not_used_but_may_start_a_run);
    tcase_add_test(progress, format_duration_known_values_match);
    tcase_add_test(progress, progress_render_states_speed_and_time_left);
    tcase_add_test(progress, progress_piped_prints_plain_lines_at_intervals);
    tcase_add_test(progress, progress_terminal_redraws_in_place);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, progress);
    return run_suite(suite);
}
