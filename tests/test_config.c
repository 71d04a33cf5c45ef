/* Configuration: messages with line and column, overrides, round trips, cross-key rules, resume. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/memory.h"
#include "engine/core/philox.h"
#include "engine/core/suggest.h"
#include "engine/run/config_schema.h"
#include "tests/suite.h"

static wz_status read_text(wz_config *config, const char *text, wz_error *err)
{
    return wz_config_read_text(config, "cfg.yaml", text, strlen(text), err);
}

/* Equal in every key, by the schema; bits of padding aside. */
static void assert_equal(const wz_config *a, const wz_config *b)
{
    for (size_t i = 0; i < wz_config_key_count; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        ck_assert_msg(wz_config_equal_at(a, b, &place), "%s differs", wz_config_keys[i].name);
    }
    ck_assert_mem_eq(a->task_values, b->task_values, sizeof a->task_values);
}

/* ---- reading ---- */

typedef struct bad_text {
    const char *text;
    const char *message; /* the whole of it, or its beginning when it ends in * */
} bad_text;

static const bad_text bad_texts[] = {
    {"seed: 2\nlerning_rate: 1\n",
     "cfg.yaml:2:1: unknown key 'lerning_rate' (did you mean 'learning_rate'?)"},
    {"task:\n  name: power_control\n  lnks: 3\n",
     "cfg.yaml:3:3: unknown key 'task.lnks' (did you mean 'task.links'?)"},
    {"links: 3\n", "cfg.yaml:1:1: unknown key 'links' (did you mean 'task.links'?)"},
    {"hidden_size: 3\n", "cfg.yaml:1:1: unknown key 'hidden_size' (did you mean 'model.hidden_size'?)"},
    {"wibble: 3\n", "cfg.yaml:1:1: unknown key 'wibble'; `wavezero help config` lists all keys"},
    {"wibble: [3]\n", "cfg.yaml:1:1: unknown key 'wibble'*"},
    {"wibble: {a: 3}\n", "cfg.yaml:1:1: unknown key 'wibble'*"},
    {"task:\n  name: powr_control\n", "cfg.yaml:2:9: task.name: expected one of *"},
    {"task:\n  links: 1.5\n", "cfg.yaml:2:10: task.links: expected a whole number from 2 to 64, found '1.5'"},
    {"task:\n  links: 65\n", "cfg.yaml:2:10: task.links: expected a whole number from 2 to 64, found '65'"},
    {"task:\n  snr_db: loud\n", "cfg.yaml:2:11: task.snr_db: expected a number from -20 to 40, found 'loud'"},
    {"seed: 1.5\n", "cfg.yaml:1:7: seed: expected a whole number from 0 to 9223372036854775807, found '1.5'"},
    {"seed: 9223372036854775808\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed: -1\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed: 0x10\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed: 010\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed: 12 monkeys\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed: '1'\n", "cfg.yaml:1:7: seed: expected a whole number*"},
    {"seed:\n", "cfg.yaml:1:6: seed: expected a whole number from 0 to 9223372036854775807, found no value"},
    {"seed: ~\n",
     "cfg.yaml:1:7: seed: expected a whole number from 0 to 9223372036854775807, found no value"},
    {"seed: [1]\n",
     "cfg.yaml:1:7: seed: expected a whole number from 0 to 9223372036854775807, found a list"},
    {"seed: {a: 1}\n",
     "cfg.yaml:1:7: seed: expected a whole number from 0 to 9223372036854775807, found a mapping"},
    {"reward_funcs: [ratio, headrom]\n", "cfg.yaml:1:15: reward_funcs: expected a list of ratio, headroom, "
                                         "feasible, optimum, format, found 'headrom' "
                                         "(did you mean 'headroom'?)"},
    {"reward_funcs: [ratio, [format]]\n", "cfg.yaml:1:23: a list's items must be plain values"},
    {"reward_funcs: [ratio, 'a,b']\n", "cfg.yaml:1:23: a list's item must not be empty or hold a comma"},
    {"reward_weights: [1, nan]\n",
     "cfg.yaml:1:17: reward_weights: expected a list of numbers from 0 to 1000000, found 'nan'"},
    {"task_mixture: [power_controll]\n",
     "cfg.yaml:1:15: task_mixture: no task is called 'power_controll' (did you mean 'power_control'?)"},
    {"task_mixture: [power_control link=3]\n",
     "cfg.yaml:1:15: task_mixture: power_control has no option 'link' (did you mean 'links'?)"},
    {"task_mixture: [power_control links=99]\n",
     "cfg.yaml:1:15: task_mixture: task.links: expected a whole number from 2 to 64, found '99'"},
    {"task_mixture: [power_control weight=0]\n",
     "cfg.yaml:1:15: task_mixture: power_control: weight must be a number above 0, at most 1e+06, found '0'"},
    {"task_mixture: [power_control weight=2000000]\n",
     "cfg.yaml:1:15: task_mixture: power_control: weight must be a number above 0, at most 1e+06, found "
     "'2000000'"},
    {"task_mixture: [power_control weight=0x10]\n", "cfg.yaml:1:15: task_mixture: power_control: weight must "
                                                    "be a number above 0, at most 1e+06, found '0x10'"},
    {"task_mixture: [power_control start=3.7]\n", "cfg.yaml:1:15: task_mixture: power_control: start must be "
                                                  "a whole number above 0, at most 255, found '3.7'"},
    {"task_mixture: [power_control links=3 links=4]\n",
     "cfg.yaml:1:15: task_mixture: power_control: 'links' is given twice"},
    {"task_mixture: [power_control weight=1 links=3 weight=1]\n",
     "cfg.yaml:1:15: task_mixture: power_control: 'weight' is given twice"},
    {"task_mixture: {a: 1}\n", "cfg.yaml:1:15: task_mixture: expected a list of tasks*"},
    {"epsilon: nan\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found 'nan'"},
    {"epsilon: .inf\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '.inf'"},
    {"epsilon: 0x1p-3\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '0x1p-3'"},
    {"epsilon: 1e999\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '1e999'"},
    {"epsilon: 0.2x\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '0.2x'"},
    {"epsilon: -0.1\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '-0.1'"},
    {"epsilon: 1e\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '1e'"},
    {"epsilon: .\n", "cfg.yaml:1:10: epsilon: expected a number from 0 to 100, found '.'"},
    {"leave_one_out: yes\n", "cfg.yaml:1:16: leave_one_out: expected true or false, found 'yes'"},
    {"loss_type: gpro\n",
     "cfg.yaml:1:12: loss_type: expected one of grpo, dapo, bnpo, dr_grpo, cispo, sapo, found 'gpro' "
     "(did you mean 'grpo'?)"},
    {"loss_type: 7\n",
     "cfg.yaml:1:12: loss_type: expected one of grpo, dapo, bnpo, dr_grpo, cispo, sapo, found '7'"},
    {"output_dir:\n", "cfg.yaml:1:12: output_dir: expected text of at most 511 bytes, found no value"},
    {"output_dir: \"a\\tb\"\n", "cfg.yaml:1:13: output_dir: expected text of at most 511 bytes, found 'a?b'"},
    {"output_dir: \"a\\0b\"\n", "cfg.yaml:1:13: a value must not hold a NUL character"},
    {"task: power_control\n", "cfg.yaml:1:7: task: expected a mapping of its keys, found a single value"},
    {"task: [1]\n", "cfg.yaml:1:7: task: expected a mapping of its keys, found a list"},
    {"task:\n  links: {a: 1}\n",
     "cfg.yaml:2:10: task.links: expected a whole number from 2 to 64, found a mapping"},
    {"seed: 1\nthreads: 2\nseed: 3\n", "cfg.yaml:3:1: duplicate key 'seed' (first in line 1)"},
    {"task: {links: 3}\ntask: {links: 4}\n", "cfg.yaml:2:1: duplicate key 'task' (first in line 1)"},
    {"task: {links: 3}\ntask.links: 4\n", "cfg.yaml:2:1: duplicate key 'task.links' (first in line 1)"},
    {"seed: &a 1\n", "cfg.yaml:1:7: anchors are not accepted; write each value where it is used"},
    {"task: &a\n  links: 3\n", "cfg.yaml:1:7: anchors are not accepted*"},
    {"seed: *a\n", "cfg.yaml:1:7: aliases are not accepted; write the value out"},
    {"seed: !!int 1\n", "cfg.yaml:1:7: tags are not accepted; types follow from the keys"},
    {"!!map {seed: 1}\n", "cfg.yaml:1:1: tags are not accepted*"},
    {"%TAG ! tag:x,2000:\n---\nseed: 1\n", "cfg.yaml:1:1: tag directives are not accepted"},
    {"seed: 1\n---\nseed: 2\n", "cfg.yaml:2:1: a second document; a configuration is one"},
    {"", "cfg.yaml:1:1: the file is empty; expected keys and values"},
    {"# nothing\n", "cfg.yaml:2:1: the file is empty; expected keys and values"},
    {"- seed\n", "cfg.yaml:1:1: expected a mapping of keys to values"},
    {"seed\n", "cfg.yaml:1:1: expected a mapping of keys to values"},
    {"[a]: 1\n", "cfg.yaml:1:1: a key must be a plain name"},
    {"? {a: b}\n: 1\n", "cfg.yaml:1:3: a key must be a plain name"},
    {"<<: {seed: 1}\n", "cfg.yaml:1:1: unknown key '<<'*"},
    {"seed: 1\n  threads: 2\n",
     "cfg.yaml:2:10: not valid YAML: mapping values are not allowed in this context"},
    {"seed: \"1\n", "cfg.yaml:2:1: not valid YAML: found unexpected end of stream"},
    {"\tseed: 1\n", "cfg.yaml:1:1: not valid YAML: found character that cannot start any token"},
    {"seed: 1\nthreads: \x01\n", "cfg.yaml:2:10: not valid YAML: control characters are not allowed"},
    {"seed: 1\nab: \xff\n", "cfg.yaml:2:5: not valid YAML: invalid leading UTF-8 octet"},
};

/* On a command line a list may stand in brackets, as in a file; it has no gaps. */
START_TEST(override_of_a_list_has_brackets_or_none)
{
    static const char *const cases[][2] = {
        {"task_mixture=[power_control, deadlin]", "did you mean 'deadline'"},
        {"task_mixture=[power_control, deadline", "[power_control"},
        {"lora_target_modules=[q_prj]", "found 'q_prj' (did you mean 'q_proj'?)"},
        {"lora_target_modules=q_prj,v_proj", "did you mean 'q_proj'"},
        {"lora_target_modules=[q_proj],[v_proj]", "found 'q_proj]'"},
        {"eos_token_id=[1,x]", "'x' is no token id"},
        {"output_dir=[a]", NULL}, /* a text is what it is */
        {"task_mixture=power_control,,deadline", "an empty item: remove a comma"},
        {"task_mixture=power_control,", "an empty item"},
        {"task_mixture=,power_control", "an empty item"},
        {"reward_funcs=ratio,,format", "reward_funcs: an empty item"},
    };
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(wz_config_override(&config, cases[i][0], &err),
                         cases[i][1] != NULL ? WZ_ERR_USAGE : WZ_OK);
        ck_assert_msg(cases[i][1] == NULL || strstr(err.text, cases[i][1]) != NULL, "%s", err.text);
    }
    ck_assert_str_eq(config.output_dir, "[a]");
    ck_assert_int_eq(wz_config_override(&config, "lora_target_modules=[q_proj, v_proj]", &err), WZ_OK);
    ck_assert_str_eq(config.lora_target_modules, "q_proj, v_proj");
    ck_assert_int_eq(wz_config_override(&config, "task_mixture=[power_control links=4, deadline]", &err),
                     WZ_OK);
    ck_assert_str_eq(config.task_mixture, "power_control links=4, deadline");
    ck_assert_int_eq(wz_config_override(&config, "task_mixture=power_control links=4, deadline", &err),
                     WZ_OK);
    ck_assert_int_eq(wz_config_override(&config, "task_mixture=", &err), WZ_OK);
}
END_TEST

/* Seven parts with six options each, as scripts/configs/any-size.yaml has, and one too long to be read. */
START_TEST(override_of_a_long_mixture_is_read_or_says_its_length)
{
    static const char part[] =
        "power_control links=20 row_width=20 ceiling_db=30 snr_db=5 snr_spread_db=10 active=10 weight=3";
    char text[4096] = "task_mixture=";
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    for (int i = 0; i < 7; i++)
        strcat(strcat(text, i > 0 ? "," : ""), part);
    ck_assert_msg(wz_config_override(&config, text, &err) == WZ_OK, "%s", err.text);
    memset(text + strlen(text), ' ', sizeof text - strlen(text) - 1);
    ck_assert_int_eq(wz_config_override(&config, text, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "task_mixture: a list of") != NULL, "%s", err.text);
}
END_TEST

START_TEST(check_of_a_part_without_problems_names_its_weight)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(
        wz_config_override(&config, "task_mixture=power_control weight=1e6, deadline weight=1e-3", &err),
        WZ_OK);
    ck_assert(!wz_config_mixture_hides_task(&config));
    ck_assert_int_eq(wz_config_check(&config, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "deadline has weight 0.001 of 1e+06") != NULL, "%s", err.text);
    ck_assert_int_eq(wz_config_override(&config, "task.links=4", &err), WZ_OK);
    ck_assert(wz_config_mixture_hides_task(&config));
}
END_TEST

START_TEST(read_bad_text_says_where)
{
    wz_config config;
    wz_config before;
    wz_config_default(&config);
    before = config;
    wz_error err = {{0}};
    const bad_text *bad = &bad_texts[_i];
    ck_assert_int_eq(read_text(&config, bad->text, &err), WZ_ERR_USAGE);
    size_t length = strlen(bad->message);
    if (bad->message[length - 1] == '*')
        ck_assert_msg(strncmp(err.text, bad->message, length - 1) == 0, "%s", err.text);
    else
        ck_assert_str_eq(err.text, bad->message);
    assert_equal(&config, &before);
}
END_TEST

START_TEST(read_good_text_sets_values)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(
        read_text(&config,
                  "%YAML 1.1\n---\nseed: 9223372036854775807 # largest\noutput_dir: \"a b/\\u00e4\"\n"
                  "learning_rate: 2.5E-4\ntask:\n  snr_db: -.5\n  links: 5\n  name: power_control\n"
                  "model: {hidden_size: 128, zero_init_head: false}\nloss_type: \"grpo\"\n"
                  "curriculum.enabled: true\ninit_from: ''\n",
                  &err),
        WZ_OK);
    ck_assert_int_eq(config.seed, INT64_MAX);
    ck_assert_str_eq(config.output_dir, "a b/\xc3\xa4");
    ck_assert_double_eq(config.learning_rate, 2.5e-4);
    ck_assert_str_eq(config.task->name, "power_control");
    ck_assert_double_eq(config.task_values[0], 5.0);
    ck_assert_double_eq(config.task_values[2], -0.5);
    ck_assert_int_eq(config.model.hidden_size, 128);
    ck_assert(!config.model.zero_init_head);
    ck_assert_int_eq(config.loss_type, 0);
    ck_assert(config.curriculum_enabled);
}
END_TEST

START_TEST(read_text_too_long_is_refused)
{
    size_t size = ((size_t)1 << 20) + 1;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    memset(text, '\n', size);
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(wz_config_read_text(&config, "cfg.yaml", text, size, &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "cfg.yaml: 1048577 bytes are too many for a configuration (at most 1048576)");
    /* A mebibyte of opening brackets, and of keys: refused at once (check's limit is 4 s a case). */
    memset(text, '[', size - 1);
    ck_assert_int_eq(wz_config_read_text(&config, "cfg.yaml", text, size - 1, &err), WZ_ERR_USAGE);
    memset(text, '{', size - 1);
    ck_assert_int_eq(wz_config_read_text(&config, "cfg.yaml", text, size - 1, &err), WZ_ERR_USAGE);
    memcpy(text, "seed: ", 6);
    memset(text + 6, '[', size - 7);
    ck_assert_int_eq(wz_config_read_text(&config, "cfg.yaml", text, size - 1, &err), WZ_ERR_USAGE);
    size_t used = 0;
    for (int i = 0; used + 32 < size; ++i)
        used += (size_t)snprintf(text + used, size - used, "k%d: 1\n", i);
    ck_assert_int_eq(wz_config_read_text(&config, "cfg.yaml", text, used, &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "cfg.yaml:513:1: too many keys for a configuration");
    free(text);
}
END_TEST

START_TEST(read_file_missing_names_it)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(wz_config_read_file(&config, "no/such/file.yaml", &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "no/such/file.yaml"));
    ck_assert_int_eq(wz_config_read_file(&config, WZ_TEST_DATA "/config/small.yaml", &err), WZ_OK);
    ck_assert_int_eq(config.max_steps, 12);
    ck_assert_int_eq(wz_config_read_file(&config, WZ_TEST_DATA "/config/typo.yaml", &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, WZ_TEST_DATA "/config/typo.yaml:4:3: unknown key 'model.hiden_size' "
                                            "(did you mean 'model.hidden_size'?)");
}
END_TEST

/* ---- overrides ---- */

START_TEST(override_sets_one_key)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(wz_config_override(&config, "model.num_hidden_layers=4", &err), WZ_OK);
    ck_assert_int_eq(config.model.num_hidden_layers, 4);
    ck_assert_int_eq(wz_config_override(&config, "output_dir=runs/a=b", &err), WZ_OK);
    ck_assert_str_eq(config.output_dir, "runs/a=b");
    ck_assert_int_eq(wz_config_override(&config, "tokenizer_file=", &err), WZ_OK);
    ck_assert_int_eq(wz_config_override(&config, "task.links=7", &err), WZ_OK);
    /* Naming the present family again keeps its options. */
    ck_assert_int_eq(wz_config_override(&config, "task.name=power_control", &err), WZ_OK);
    ck_assert_double_eq(config.task_values[0], 7.0);
}
END_TEST

START_TEST(override_bad_is_refused)
{
    static const struct {
        const char *assignment, *message;
    } cases[] = {
        {"lerning_rate=1",
         "override 'lerning_rate=1': unknown key 'lerning_rate' (did you mean 'learning_rate'?)"},
        {"seed", "override 'seed': expected key=value"},
        {"=1", "override '=1': expected key=value"},
        {"seed=", "override 'seed=': seed: expected a whole number from 0 to 9223372036854775807, found ''"},
        {"seed= 1",
         "override 'seed= 1': seed: expected a whole number from 0 to 9223372036854775807, found ' 1'"},
        {"model=1", "override 'model=1': 'model' is a section; set one of its keys, as in model.key=value"},
        {"output_dir=\xff", "override 'output_dir=\xff': output_dir: expected text of at most 511 bytes, "
                            "found '\xff'"},
        {"answer_grammar=True", "override 'answer_grammar=True': answer_grammar: expected true or false, "
                                "found 'True'"},
    };
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        ck_assert_int_eq(wz_config_override(&config, cases[i].assignment, &err), WZ_ERR_USAGE);
        ck_assert_str_eq(err.text, cases[i].message);
    }
}
END_TEST

/* ---- writing ---- */

static void assert_round_trip(const wz_config *config)
{
    wz_text text = {0};
    wz_text again = {0};
    wz_error err = {{0}};
    wz_config back;
    wz_config_default(&back);
    ck_assert_int_eq(wz_config_write(config, &text, &err), WZ_OK);
    ck_assert_msg(wz_config_read_text(&back, "copy", text.data, text.length, &err) == WZ_OK, "%s\n%s",
                  err.text, text.data);
    assert_equal(config, &back);
    ck_assert_int_eq(wz_config_write(&back, &again, &err), WZ_OK);
    ck_assert_str_eq(text.data, again.data);
    wz_text_clear(&text);
    wz_text_clear(&again);
}

START_TEST(write_default_reads_back_equal)
{
    wz_config config;
    wz_config_default(&config);
    assert_round_trip(&config);
    wz_error err = {{0}};
    ck_assert_msg(wz_config_check(&config, &err) == WZ_OK, "%s", err.text);
}
END_TEST

/* Text that YAML would read as something else, or refuse, unless it is quoted and escaped. */
START_TEST(write_awkward_text_reads_back_equal)
{
    static const char *const values[] = {
        "",
        "~",
        "null",
        "true",
        "12",
        "a: b # c",
        "\"quoted\" \\back",
        "'single'",
        "- list",
        "&anchor",
        "*alias",
        "!tag",
        " blanks ",
        "\xc3\xa4\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbf\xf0\x9f\x93\xa1",
        "\xc2\x80",
        "%dir",
        "@at",
        "`tick`",
        "a,b",
        "[x]",
        "{y}",
        "|",
        ">",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        wz_config config;
        wz_config_default(&config);
        strcpy(config.output_dir, values[i]);
        assert_round_trip(&config);
    }
    wz_config config;
    wz_config_default(&config);
    memset(config.init_from, '"', WZ_PATH_MAX - 1);
    assert_round_trip(&config);
}
END_TEST

static uint64_t draw64(uint32_t seed, uint32_t index)
{
    uint32_t words[4];
    wz_draw_key key = {.seed = seed, .problem = index, .purpose = WZ_PURPOSE_TOOL};
    wz_draw_words(&key, 0, words);
    return (uint64_t)words[0] << 32 | words[1];
}

/* Any value within the range of every key. */
static void randomise(wz_config *config, uint32_t seed)
{
    for (uint32_t i = 0; i < wz_config_key_count; ++i) {
        const wz_config_key *key = &wz_config_keys[i];
        uint64_t draw = draw64(seed, i);
        double unit = (double)(draw >> 11) * 0x1p-53;
        char *field = (char *)config + key->offset;
        if (key->type == WZ_KEY_INTEGER) {
            uint64_t span = (uint64_t)key->integer_max - (uint64_t)key->integer_min;
            *(int64_t *)field =
                (int64_t)((uint64_t)key->integer_min + (span == UINT64_MAX ? draw : draw % (span + 1)));
        } else if (key->type == WZ_KEY_REAL) {
            *(double *)field = key->real_min + unit * (key->real_max - key->real_min);
        } else if (key->type == WZ_KEY_BOOLEAN) {
            *(bool *)field = (draw & 1) != 0;
        } else if (key->type == WZ_KEY_ENUM) {
            int count = 0;
            while (key->names[count] != NULL)
                ++count;
            *(int *)field = (int)(draw % (uint64_t)count);
        } else if (key->type == WZ_KEY_TEXT && key->check_item == NULL) { /* any text will do */
            size_t length = (size_t)(draw % (WZ_PATH_MAX - 1));
            for (size_t j = 0; j < length; ++j)
                field[j] = (char)(0x20 + draw64(seed + 1000, (uint32_t)(i * WZ_PATH_MAX + j)) % 95);
            field[length] = '\0';
        }
    }
    for (uint32_t i = 0; i < config->task->option_count; ++i) {
        const wz_task_option *option = &config->task->options[i];
        double value = option->minimum +
                       (double)(draw64(seed, 9000 + i) >> 11) * 0x1p-53 * (option->maximum - option->minimum);
        config->task_values[i] = option->is_integer ? floor(value) : value;
    }
}

/* A list is a YAML sequence, or one text with commas; it is written as the one and reads back. */
START_TEST(lists_are_sequences_or_comma_separated)
{
    static const char *const texts[] = {
        "task_mixture: [power_control links=5 weight=2.5, power_control  links=8 levels=4 start=4]\n"
        "reward_funcs: [headroom, format]\nreward_weights: [1, 1e-1]\ncurriculum.start: 2\n",
        "task_mixture:\n  - power_control links=5 weight=2.5\n  - \"power_control  links=8 levels=4 "
        "start=4\"\n"
        "reward_funcs: headroom , format\nreward_weights: 1,1e-1\ncurriculum.start: 2\n"};
    for (size_t i = 0; i < 2; ++i) {
        wz_config config;
        wz_mixture mixture;
        wz_error err = {{0}};
        wz_config_default(&config);
        ck_assert_msg(read_text(&config, texts[i], &err) == WZ_OK, "%s", err.text);
        ck_assert_str_eq(config.reward_funcs, "headroom, format");
        ck_assert_str_eq(config.reward_weights, "1, 1e-1");
        ck_assert_int_eq(wz_config_check(&config, &err), WZ_OK);
        ck_assert_int_eq(wz_config_mixture(&config, &mixture, &err), WZ_OK);
        ck_assert_uint_eq(mixture.count, 2);
        ck_assert_str_eq(mixture.parts[0].name, "power_control");
        ck_assert_str_eq(mixture.parts[1].name, "power_control_2");
        ck_assert(mixture.parts[0].weight == 2.5 && mixture.parts[1].weight == 1.0);
        ck_assert(mixture.parts[0].values[0] == 5 && mixture.parts[0].values[1] == 2);
        ck_assert(mixture.parts[1].values[0] == 8 && mixture.parts[1].values[1] == 4);
        ck_assert(mixture.parts[0].first == 2 && mixture.parts[1].first == 4);
        assert_round_trip(&config);
        ck_assert_int_eq(wz_config_override(&config, "task_mixture=", &err), WZ_OK);
        ck_assert_int_eq(wz_config_mixture(&config, &mixture, &err), WZ_OK);
        ck_assert(mixture.count == 1 && mixture.parts[0].values[0] == 3); /* the task's default */
    }
}
END_TEST

START_TEST(write_random_reads_back_equal)
{
    for (uint32_t seed = 0; seed < 300; ++seed) {
        wz_config config;
        wz_config_default(&config);
        randomise(&config, seed);
        assert_round_trip(&config);
    }
}
END_TEST

START_TEST(reference_names_every_key)
{
    wz_text plain = {0};
    wz_text markdown = {0};
    wz_error err = {{0}};
    ck_assert_int_eq(wz_config_reference(false, &plain, &err), WZ_OK);
    ck_assert_int_eq(wz_config_reference(true, &markdown, &err), WZ_OK);
    for (size_t i = 0; i < wz_config_key_count; ++i) {
        ck_assert_ptr_nonnull(strstr(plain.data, wz_config_keys[i].name));
        ck_assert_ptr_nonnull(strstr(markdown.data, wz_config_keys[i].name));
    }
    ck_assert_ptr_nonnull(strstr(plain.data, "task.snr_db: 0\n"));
    wz_text_clear(&plain);
    wz_text_clear(&markdown);
}
END_TEST

/* ---- whole-configuration checks ---- */

START_TEST(check_bad_combination_says_how_to_mend_it)
{
    static const struct {
        const char *set[3];
        const char *message; /* a part of it */
    } cases[] = {
        {{"generation_batch_size=1004"},
         "generation_batch_size (1004) must be a multiple of num_generations (8): use 1000"},
        {{"generation_batch_size=4"}, "use 8"},
        {{"per_device_train_batch_size=12"},
         "per_device_train_batch_size (12) must be a multiple of num_generations (8)"},
        {{"num_generations=1"}, "training compares at least 2 completions"},
        {{"model.tie_word_embeddings=true"}, "model.zero_init_head needs an untied head"},
        {{"model.head_dim=15"}, "model.head_dim is 15; it must be even"},
        {{"model.num_key_value_heads=3"}, "must be a multiple of model.num_key_value_heads (3)"},
        {{"model.model_type=qwen3"}, "model.model_type qwen3 needs model.use_qk_norm: true"},
        {{"model.model_type=qwen2"}, "model.model_type qwen2 needs model.attention_bias: true"},
        {{"model.attention_bias=true"}, "model.model_type llama needs model.attention_bias: false"},
        {{"model.rope_scaling_factor=0.5"}, "must be 0 (no scaling) or at least 1"},
        {{"model.rope_scaling_factor=8", "model.rope_low_freq_factor=4"},
         "model.rope_high_freq_factor (4) must be"},
        {{"max_completion_length=2048"}, "leaves no room for a prompt"},
        {{"output_dir="}, "output_dir is empty"},
        {{"init_from=a.h5", "tokenizer_file=b.json"}, "both set"},
        {{"system_prompt=Be brief"}, "chat_template: none has no place for it"},
        {{"answer_grammar=false", "grammar_coef=0.1"}, "grammar_coef is 0.1"},
        {{"grammar_coef=0.1", "grammar_generations=17"}, "grammar_generations (17)"},
        {{"reward_funcs="}, "reward_funcs lists 0 functions"},
        {{"reward_funcs=ratio,format", "reward_weights=1"},
         "reward_weights lists 1 numbers for 2 reward_funcs"},
        {{"task_mixture=power_control start=4"}, "start=4 lies outside 2 to 3"},
        {{"task_mixture=power_control,power_control", "generation_batch_size=8"},
         "but a step has 1 problems"},
        {{"curriculum.enabled=true", "curriculum.start=4"}, "curriculum.start (4) is above task.links (3)"},
        {{"curriculum.enabled=true", "curriculum.start=1"},
         "curriculum.start (1) is below the least task.links (2)"},
        {{"loss_type=cispo", "epsilon_high=0.28"}, "give at least 1, as 5, or 0 for 5"},
        {{"loss_type=cispo", "delta=2"}, "delta bounds a clipped ratio, and loss_type cispo does not clip"},
        {{"loss_type=sapo", "dual_clip=3"}, "dual_clip bounds a clipped ratio, and loss_type sapo"},
        {{"delta=1.2"}, "delta (1.2) must lie above 1 + epsilon_high (1.2)"},
        {{"dual_clip=1"}, "dual_clip (1) must be above 1"},
        {{"delta=4", "dual_clip=3"}, "delta and dual_clip are both set"},
        {{"sync_ref_model=true"}, "sync_ref_model is true, but beta is 0"},
        {{"use_bias_correction_kl=true"}, "use_bias_correction_kl is true, but beta is 0"},
        {{"entropy_schedule_span=stage"}, "there is none: set curriculum.enabled: true"},
        {{"curriculum.enabled=true", "entropy_schedule_span=stage", "use_adaptive_entropy=true"},
         "set entropy_schedule_span: run"},
        {{"use_adaptive_entropy=true", "entropy_coef_max=0.05"}, "entropy_coef (0.1)"},
        {{"steps_per_generation=3", "gradient_accumulation_steps=2"},
         "steps_per_generation (3) must be a multiple of gradient_accumulation_steps (2)"},
        {{"gradient_accumulation_steps=2", "steps_per_generation=6"},
         "(3) updates cannot share the 128 problems"},
        {{"steps_per_generation=2", "per_device_train_batch_size=48"}, "must divide the 512 completions"},
        {{"loss_type=bnpo", "gradient_accumulation_steps=3"},
         "each of the 3 slices of a rollout is a micro-batch"},
        {{"eval_ema=true"}, "eval_ema is true, but ema_decay is 0"},
        {{"model.tie_word_embeddings=true", "model.zero_init_head=false", "head_learning_rate_ratio=2"},
         "set embedding_learning_rate_ratio"},
        {{"weight_decay_embeddings=true"}, "but weight_decay is 0"},
        {{"num_train_epochs=2"}, "problems that are generated have no epochs"},
        {{"train_set=a.jsonl", "curriculum.enabled=true"}, "those of train_set are as they are"},
        {{"train_set=a.jsonl", "dynamic_sampling=true"}, "train_set shows each once an epoch"},
        {{"train_set=a.jsonl", "num_train_epochs=2", "replay_fraction=0.5"},
         "with replay_fraction nobody knows"},
        {{"train_set=a.jsonl", "num_train_epochs=2", "success_max=0.9"},
         "with success_min and success_max nobody"},
        {{"replay_fraction=0.003"}, "replay_fraction (0.003) of the 128 problems of a step is not one"},
        {{"replay_fraction=0.5", "success_min=0.6", "success_max=0.4"}, "success_min (0.6) is above"},
        {{"success_max=0.9"}, "bound problems that come again, and none does"},
        {{"headroom_min=0.6", "headroom_max=0.4"}, "headroom_min (0.6) is above headroom_max (0.4)"},
        {{"curriculum.stages=links=2"}, "curriculum.stages is set, but curriculum.enabled is false"},
        {{"curriculum.enabled=true", "curriculum.stages=links=2,linx=3"},
         "stage 2: power_control has no option 'linx'"},
        {{"curriculum.enabled=true", "curriculum.stages=links=2 links=3"}, "'links' is given twice"},
        {{"curriculum.enabled=true", "curriculum.stages=links=65"}, "stage 1: task.links: expected"},
        {{"curriculum.enabled=true", "curriculum.stages=weight=0"}, "written TASK.weight=W"},
        {{"curriculum.enabled=true", "curriculum.stages=power_control.weight=0"},
         "no task has a weight above 0"},
        {{"curriculum.enabled=true", "curriculum.stages=ofdma.weight=1"},
         "no task of the run is called 'ofdma'"},
        {{"curriculum.enabled=true", "curriculum.stages=threshold=1.5"},
         "a threshold is a number from 0 to 1"},
        {{"curriculum.enabled=true", "curriculum.stages=min_steps=-1"}, "steps are a whole number from 0 on"},
        {{"curriculum.enabled=true", "curriculum.stages=links=2", "task_mixture=power_control start=2"},
         "start=2 is a first size, but curriculum.stages says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        wz_config config;
        wz_error err = {{0}};
        wz_config_default(&config);
        for (size_t j = 0; j < 3 && cases[i].set[j] != NULL; ++j)
            ck_assert_msg(wz_config_override(&config, cases[i].set[j], &err) == WZ_OK, "%s", err.text);
        ck_assert_int_eq(wz_config_check(&config, &err), WZ_ERR_USAGE);
        ck_assert_msg(strstr(err.text, cases[i].message) != NULL, "%zu: %s", i, err.text);
    }
}
END_TEST

START_TEST(check_out_of_range_field_is_refused)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    config.learning_rate = NAN;
    ck_assert_int_eq(wz_config_check(&config, &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "learning_rate: expected a number from 0 to 1, found 'nan'");
    wz_config_default(&config);
    config.task_values[0] = 2.5;
    ck_assert_int_eq(wz_config_check(&config, &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "task.links: expected a whole number from 2 to 64, found '2.5'");
    wz_config_default(&config);
    config.loss_type = 9;
    ck_assert_int_eq(wz_config_check(&config, &err), WZ_ERR_USAGE);
    wz_config_default(&config);
    config.max_steps = 0; /* only to save the initial weights: one completion is enough */
    config.num_generations = 1;
    ck_assert_int_eq(wz_config_check(&config, &err), WZ_OK);
}
END_TEST

START_TEST(model_config_check_names_the_zero_size)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    ck_assert_int_eq(wz_model_config_check(&config.model, &err), WZ_ERR_USAGE);
    ck_assert_str_eq(err.text, "model.vocab_size is 0; it must be at least 1");
    config.model.vocab_size = 1500;
    ck_assert_int_eq(wz_model_config_check(&config.model, &err), WZ_OK);
    ck_assert_str_eq(wz_model_type_names[WZ_MODEL_QWEN3], "qwen3");
}
END_TEST

/* ---- resume ---- */

START_TEST(resume_conflict_names_the_first_fixed_key)
{
    static const char *const allowed[] = {"threads=3",         "device=cpu",
                                          "precision=bf16",    "output_dir=x",
                                          "save_steps=7",      "save_total_limit=9",
                                          "logging_steps=2",   "log_completions_steps=0",
                                          "memory_limit_gb=2", "gradient_checkpointing=true"};
    static const struct {
        const char *assignment, *key;
    } fixed[] = {{"seed=2", "seed"},
                 {"max_steps=601", "max_steps"},
                 {"task.links=4", "links"},
                 {"model.hidden_size=65", "model.hidden_size"},
                 {"loss_type=grpo", "loss_type"},
                 {"curriculum.enabled=true", "curriculum.enabled"},
                 {"learning_rate=0.5", "learning_rate"}};
    wz_config saved;
    wz_config now;
    wz_error err = {{0}};
    wz_config_default(&saved);
    now = saved;
    ck_assert_ptr_null(wz_config_resume_conflict(&saved, &now));
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; ++i)
        ck_assert_int_eq(wz_config_override(&now, allowed[i], &err), WZ_OK);
    ck_assert_ptr_null(wz_config_resume_conflict(&saved, &now));
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; ++i) {
        now = saved;
        ck_assert_int_eq(wz_config_override(&now, fixed[i].assignment, &err), WZ_OK);
        const char *conflict = wz_config_resume_conflict(&saved, &now);
        ck_assert_ptr_nonnull(conflict);
        ck_assert_str_eq(conflict, fixed[i].key);
    }
}
END_TEST

/* ---- suggestions: distances by hand (kitten -> sitting is Levenshtein's textbook example) ---- */

START_TEST(edit_distance_known_pairs_match)
{
    ck_assert_uint_eq(wz_edit_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(wz_edit_distance("", "abc"), 3);
    ck_assert_uint_eq(wz_edit_distance("abc", "acb"), 1);
    ck_assert_uint_eq(wz_edit_distance("ca", "abc"), 3); /* string alignment; free Damerau says 2 */
    ck_assert_uint_eq(wz_edit_distance("same", "same"), 0);
    wz_suggestion suggestion = {0};
    wz_suggest(&suggestion, "trian", "resume");
    ck_assert_ptr_null(suggestion.best);
    wz_suggest(&suggestion, "trian", "train");
    ck_assert_str_eq(suggestion.best, "train");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 60); /* check's 4 s are not enough on a loaded machine */
    tcase_add_loop_test(tests, read_bad_text_says_where, 0, (int)(sizeof bad_texts / sizeof bad_texts[0]));
    tcase_add_test(tests, override_of_a_list_has_brackets_or_none);
    tcase_add_test(tests, override_of_a_long_mixture_is_read_or_says_its_length);
    tcase_add_test(tests, check_of_a_part_without_problems_names_its_weight);
    tcase_add_test(tests, read_good_text_sets_values);
    tcase_add_test(tests, lists_are_sequences_or_comma_separated);
    tcase_add_test(tests, read_text_too_long_is_refused);
    tcase_add_test(tests, read_file_missing_names_it);
    tcase_add_test(tests, override_sets_one_key);
    tcase_add_test(tests, override_bad_is_refused);
    tcase_add_test(tests, write_default_reads_back_equal);
    tcase_add_test(tests, write_awkward_text_reads_back_equal);
    tcase_add_test(tests, write_random_reads_back_equal);
    tcase_add_test(tests, reference_names_every_key);
    tcase_add_test(tests, check_bad_combination_says_how_to_mend_it);
    tcase_add_test(tests, check_out_of_range_field_is_refused);
    tcase_add_test(tests, model_config_check_names_the_zero_size);
    tcase_add_test(tests, resume_conflict_names_the_first_fixed_key);
    tcase_add_test(tests, edit_distance_known_pairs_match);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
