/* Weights that an export copies from the checkpoint, without a model in memory, against those of the model. */
#include <check.h>
#include <string.h>

#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

static void digest_file(const char *name, char digest[WZ_DIGEST_HEX])
{
    wz_error err = {.text = ""};
    ck_assert_msg(wz_digest_file(temporary_path(&p.where, name), digest, &err) == WZ_OK, "%s", err.text);
}

static void digest_weights(const char *name, char digest[WZ_DIGEST_HEX])
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    ck_assert_msg(wz_checkpoint_open(temporary_path(&p.where, name), &checkpoint, &err) == WZ_OK, "%s",
                  err.text);
    ck_assert_msg(wz_checkpoint_weights_digest(checkpoint, digest, &err) == WZ_OK, "%s", err.text);
    wz_checkpoint_close(checkpoint);
}

static const struct {
    const char *format, *type, *file;
} exports[] = {{"hf", "f32", "model.safetensors"},
               {"hf", "bf16", "model.safetensors"},
               {"gguf", "f32", "model.gguf"},
               {"gguf", "q8_0", "model.gguf"},
               {"onnx", "f16", "model.onnx"}};

/* An evaluation asks for the model in memory; what is written is the same. */
START_TEST(export_from_checkpoint_and_from_model_write_the_same)
{
    char from_checkpoint[WZ_DIGEST_HEX], from_model[WZ_DIGEST_HEX], name[64];
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=1 eval_steps=0 eval_problems=4");
    for (size_t i = 0; i < sizeof exports / sizeof exports[0]; i++) {
        program_succeed(&p,
                        "export @/run/checkpoints/step-00000001.h5 --format %s --type %s --eval-problems 0 "
                        "--overwrite -o @/copied",
                        exports[i].format, exports[i].type);
        program_succeed(&p,
                        "export @/run/checkpoints/step-00000001.h5 --format %s --type %s --eval-problems 2 "
                        "--overwrite -o @/evaluated",
                        exports[i].format, exports[i].type);
        (void)snprintf(name, sizeof name, "copied/%s", exports[i].file);
        digest_file(name, from_checkpoint);
        (void)snprintf(name, sizeof name, "evaluated/%s", exports[i].file);
        digest_file(name, from_model);
        ck_assert_msg(strcmp(from_checkpoint, from_model) == 0, "%s %s", exports[i].format, exports[i].type);
    }
}
END_TEST

/* bf16 passes through import, export and import as it is; and the same folder gives the same checkpoint. */
START_TEST(import_export_import_keeps_every_bit)
{
    char first[WZ_DIGEST_HEX], second[WZ_DIGEST_HEX];
    program_succeed(&p, "import " WZ_TEST_DATA "/hf/%s -o @/a.h5", _i == 0 ? "qwen3" : "llama_tied");
    program_succeed(&p, "import " WZ_TEST_DATA "/hf/%s -o @/again.h5", _i == 0 ? "qwen3" : "llama_tied");
    digest_file("a.h5", first);
    digest_file("again.h5", second);
    ck_assert_str_eq(first, second);
    program_succeed(&p, "export @/a.h5 --format hf --type bf16 --eval-problems 0 -o @/folder");
    program_succeed(&p, "import @/folder -o @/b.h5");
    digest_weights("a.h5", first);
    digest_weights("b.h5", second);
    ck_assert_str_eq(first, second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copying");
    TCase *tests = tcase_create("copying");
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, export_from_checkpoint_and_from_model_write_the_same);
    tcase_add_loop_test(tests, import_export_import_keeps_every_bit, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
