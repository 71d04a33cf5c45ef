/* What an export says of a policy, and the grammar beside it: the card's claims hold, and llama.cpp can follow the grammar. */
#include <check.h>

#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/run/export.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static int64_t eval_problems; /* of the cards */

static void setup(void)
{
    temporary_create(&where);
}

static void teardown(void)
{
    temporary_remove(&where);
}

static wz_status export_as(const char *format, int64_t step, bool grammar)
{
    static char folder[256];
    const wz_byte_count nobody = {.add = NULL};
    (void)snprintf(folder, sizeof folder, "%s/out", where.directory);
    const wz_export request = {.policy = f.policy,
                               .config = &f.config,
                               .checkpoint = "runs/x.h5",
                               .step = step,
                               .environment = "",
                               .format = wz_model_format_find(format),
                               .type = WZ_NUMBER_F32,
                               .folder = folder,
                               .overwrite = true,
                               .grammar = grammar,
                               .eval_problems = eval_problems,
                               .name = "",
                               .license = ""};
    return wz_export_run(&request, &nobody, &f.err);
}

static wz_status export_at(int64_t step, bool grammar)
{
    return export_as("hf", step, grammar);
}

static bool says(const char *file, const char *text)
{
    wz_text content = {0};
    char name[64];
    (void)snprintf(name, sizeof name, "out/%s", file);
    OK(wz_file_read(temporary_path(&where, name), 1 << 20, &content, &f.err));
    const bool found = strstr(content.data, text) != NULL;
    wz_text_clear(&content);
    return found;
}

/* What the card says was done to the weights, by steps, supervised steps and where they came from. */
static const struct {
    const char *keys;
    int64_t step;
    const char *said, *unsaid;
} histories[] = {
    {"", 5,
     "from random weights for 5 steps; answers were scored by a verifier against a reference optimum, and "
     "no demonstrations were used.",
     "supervised"},
    {"sft_steps=3", 5,
     "for 2 steps; answers were scored by a verifier against a reference optimum, and 3 steps "
     "before these were supervised, by the answers of reference solvers.",
     "no demonstrations"},
    {"sft_steps=3 sft_file=pairs.jsonl", 2,
     "trained by supervised learning with Wavezero from random weights for 2 steps, by completions from a "
     "file.",
     "reinforcement"},
    {"seed=2", 5, "from base.h5 for 5 steps", "random weights"},
    {"", 0, "; random weights, of which Wavezero has trained nothing.", "reinforcement learning"},
};

START_TEST(the_card_tells_how_it_was_trained)
{
    make_policy(histories[_i].keys);
    if (f.config.seed == 2) /* as a run from a checkpoint says; here none is read */
        (void)snprintf(f.config.init_from, sizeof f.config.init_from, "base.h5");
    OK(export_at(histories[_i].step, false));
    ck_assert(says("README.md", histories[_i].said));
    ck_assert(!says("README.md", histories[_i].unsaid));
    drop_policy();
}
END_TEST

/* Of large files they are made while these are written. */
START_TEST(the_checksums_are_those_of_the_files)
{
    static const char *const formats[] = {"hf", "gguf", "onnx", "safetensors"};
    wz_text sums = {0}, expected = {0};
    wz_names names;
    char path[512], hex[WZ_DIGEST_HEX];
    make_policy("");
    OK(export_as(formats[_i], 5, true));
    OK(wz_file_read(temporary_path(&where, "out/" WZ_CHECKSUMS_FILE), 1 << 20, &sums, &f.err));
    OK(wz_folder_list(temporary_path(&where, "out"), &names, &f.err));
    ck_assert_uint_gt(names.count, 3);
    for (size_t i = 0; i < names.count; i++) {
        (void)snprintf(path, sizeof path, "%s/out/%s", where.directory, names.items[i]);
        OK(wz_digest_file(path, hex, &f.err));
        if (strcmp(names.items[i], WZ_CHECKSUMS_FILE) != 0)
            OK(wz_text_printf(&expected, &f.err, "%s  %s\n", hex, names.items[i]));
    }
    ck_assert_str_eq(sums.data, expected.data);
    wz_names_clear(&names);
    wz_text_clear(&sums);
    wz_text_clear(&expected);
    drop_policy();
}
END_TEST

/* The card's figures are of greedy answers, so that is what runtimes are told to do. */
START_TEST(a_policy_of_ours_decodes_greedily)
{
    make_policy("");
    OK(export_at(5, false));
    ck_assert(says("generation_config.json", "\"do_sample\": false"));
    drop_policy();
}
END_TEST

/* llama.cpp's grammars admit end tokens where they are complete, and nowhere else: </answer> is one here. */
START_TEST(the_grammar_leaves_an_end_token_out)
{
    make_policy("");
    OK(export_at(5, true));
    ck_assert(says("answer.gbnf", "root ::= ( \" \" [0-7] ){4}\n"));
    ck_assert(!says("answer.gbnf", "answer>"));
    ck_assert(says("README.md", "the closing `</answer>` is left out"));
    drop_policy();
}
END_TEST

/* Qwen's vocabulary has no such token: the tag is text, and the grammar has it. */
START_TEST(the_grammar_keeps_a_tag_that_is_text)
{
    make_policy("tokenizer_file=" WZ_TEST_DATA "/tokenizer_qwen2.json eos_token_id=650");
    OK(export_at(5, true));
    ck_assert(says("answer.gbnf", "root ::= ( \" \" [0-7] ){4} \"</answer>\"\n"));
    drop_policy();
}
END_TEST

/* A full prompt ends with <think>: a grammar of the answer alone would forbid the thoughts that it asks for. */
START_TEST(completions_that_think_have_no_answer_grammar)
{
    make_policy("prompt_style=full answer_grammar=false");
    ck_assert_int_eq(export_at(5, true), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(f.err.text, "thinks before it answers"));
    OK(export_at(5, false));
    ck_assert(says("README.md", "The completion thinks and closes that with `</think>`"));
    drop_policy();
}
END_TEST

/* Llama 3's tokenizer begins every text with a token: doubled or missing, the policy reads another prompt. */
START_TEST(the_card_says_who_writes_the_begin_token)
{
    make_policy("tokenizer_file=" WZ_TEST_DATA "/tokenizer_llama3.json eos_token_id=677");
    OK(export_at(5, false));
    ck_assert(says("README.md", "The tokenizer puts <|begin_of_text|> before it"));
    ck_assert(says("README.md", "update_options(add_special_tokens=\"true\")"));
    drop_policy();
    make_policy("");
    OK(export_at(5, false));
    ck_assert(!says("README.md", "The tokenizer puts"));
    drop_policy();
}
END_TEST

/* The built-in vocabulary with a token added three ids behind its last: what stands for nothing could be drawn freely, so nothing
 * is, and the card says why. */
START_TEST(a_card_of_unused_ids_measures_nothing_freely)
{
    static const char key[] = "\"added_tokens\":";
    wz_tokenizer *builtin = NULL;
    wz_text json = {0}, holed = {0};
    char overrides[600], missing[80];
    OK(wz_tokenizer_create_builtin(&builtin, &f.err));
    const int tokens = (int)wz_tokenizer_vocab_size(builtin);
    OK(wz_tokenizer_write_json(builtin, &json, &f.err));
    wz_tokenizer_destroy(builtin);
    const char *at = strstr(json.data, key);
    ck_assert_ptr_nonnull(at);
    at = strchr(at, '[') + 1;
    OK(wz_text_printf(&holed, &f.err, "%.*s{\"id\":%d,\"content\":\"<|far|>\",\"special\":true},%s",
                      (int)(at - json.data), json.data, tokens + 3, at));
    OK(wz_file_replace(temporary_path(&where, "holed.json"), holed.data, holed.length, &f.err));
    (void)snprintf(overrides, sizeof overrides, "model.vocab_size=2000 tokenizer_file=%s",
                   temporary_path(&where, "holed.json"));
    make_policy(overrides);
    eval_problems = 5;
    OK(export_at(5, false));
    eval_problems = 0;
    (void)snprintf(missing, sizeof missing,
                   "Decoding freely was not measured: the tokenizer has no token with id %d", tokens);
    ck_assert(says("README.md", "5 problems of the test split"));
    ck_assert(says("README.md", missing));
    ck_assert(says("README.md", "Whether it keeps to it decoding freely was not measured."));
    ck_assert(!says("README.md", "Decoding freely it"));
    wz_text_clear(&json);
    wz_text_clear(&holed);
    drop_policy();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("export");
    TCase *all = tcase_create("export");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, the_card_tells_how_it_was_trained, 0,
                        (int)(sizeof histories / sizeof histories[0]));
    tcase_add_loop_test(all, the_checksums_are_those_of_the_files, 0, 4);
    tcase_add_test(all, a_policy_of_ours_decodes_greedily);
    tcase_add_test(all, the_grammar_leaves_an_end_token_out);
    tcase_add_test(all, the_grammar_keeps_a_tag_that_is_text);
    tcase_add_test(all, completions_that_think_have_no_answer_grammar);
    tcase_add_test(all, the_card_says_who_writes_the_begin_token);
    tcase_add_test(all, a_card_of_unused_ids_measures_nothing_freely);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
