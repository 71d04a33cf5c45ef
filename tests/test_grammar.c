/* The answer grammar against PCRE2 (which strings match) and against the tokenizer (which token paths). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tests/suite.h"
#include "tests/text_fixtures.h"

#include "engine/core/philox.h"
#include "engine/text/grammar.h"

/* ---- PCRE2 as the judge, byte by byte ---- */

static pcre2_code *oracle_create(const char *pattern)
{
    char anchored[512];
    int code = 0;
    PCRE2_SIZE offset = 0;
    snprintf(anchored, sizeof anchored, "\\A(?:%s)\\z", pattern);
    pcre2_code *oracle = pcre2_compile((PCRE2_SPTR)anchored, PCRE2_ZERO_TERMINATED, 0, &code, &offset, NULL);
    ck_assert_msg(oracle != NULL, "PCRE2 does not compile '%s'", anchored);
    return oracle;
}

static bool oracle_matches(const pcre2_code *oracle, const char *text, size_t length)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int code = pcre2_match(oracle, (PCRE2_SPTR)text, length, 0, 0, data, NULL);
    pcre2_match_data_free(data);
    return code >= 0;
}

static uint32_t draw(uint32_t round, uint32_t index)
{
    wz_draw_key key = {.seed = 11, .step = round, .problem = index, .purpose = WZ_PURPOSE_TOOL};
    uint32_t words[4];
    wz_draw_words(&key, 0, words);
    return words[0];
}

static const char *const match_patterns[] = {
    "",
    "a",
    "a|b|",
    "(ab|a)(c|bc)?",
    "( [01]){3}</answer>",
    "( ([0-9]|[1-9][0-9]|100)){2}",
    "[^a]*b+",
    "(a*)*b{2,3}",
    "a{0}b{1,}c{0,2}",
    "((a|b){2}|(ab){1,3})c?",
    "[a-c]{2}[^a-c]",
    "\\[a\\]\\x61\\n?|\\\\[\\]a\\-]",
    "(a?){4}a{4}",
    "(|a)+b",
    "[^\\n]{2}",
};

START_TEST(match_random_strings_agrees_with_pcre2)
{
    static const char alphabet[] = "aaabbc 01259</answer>[]\\-\n";
    const char *pattern = match_patterns[_i];
    pcre2_code *oracle = oracle_create(pattern);
    for (uint32_t round = 0; round < 4000; round++) {
        char text[16];
        size_t length = draw(round, 0) % 9;
        for (uint32_t i = 0; i < length; i++)
            text[i] = round % 7 == 6
                          ? (char)(unsigned char)draw(round, 1 + i)
                          : alphabet[draw(round, 1 + i) % (round % 2 == 0 ? 6 : sizeof alphabet - 1)];
        bool matches = false;
        CHECK_OK(wz_grammar_match(pattern, text, length, &matches, err));
        ASSERT_EACH(matches == oracle_matches(oracle, text, length), "'%s' and '%.*s'", pattern, (int)length,
                    text);
    }
    pcre2_code_free(oracle);
}
END_TEST

/* ---- every path of small languages ---- */

static const struct {
    const char *pattern, *alphabet;
    size_t size; /* longest string in bytes; number of strings where no alphabet is given */
} languages[] = {
    {"( [01]){3}</answer>", NULL, 8},
    {" ([0-9]|[1-9][0-9]|100)", " 0123456789", 4},
    {"( ([0-9]|1[0-2])){2}", NULL, 169},
    {"( A| a)( B| b)( BL| bl)</answer>", NULL, 8},
    {"[0-9]{1,4}", "0123456789", 4},
    {"(a|ab|abc)(d|cd|bcd)?", "abcd", 6},
    {"[ a]{0,6}", " a", 6},
    {"[ \n]{1,5}x?", " \nx", 6},
    {"[ \r\n.]{0,4}", " \r\n.", 4},
    {"('s|'t|'re|'S|'r){1,2}", "'streS", 6},
    {"[a'rl]{0,4}", "a'rl", 4},
    {"(<|/|x|>|y){0,5}", "</xy>", 5},
    {"[A-C]{1,3}( [A-C]{1,2})?", "ABC ", 6},
    {"(the|power|noise| the| power| noise){1,2}", NULL, 42},
    {"1(,|, )2(\\.5)?(</answer>|<)?", NULL, 12},
    {"(\\xc3\\xa9){0,2}a?", NULL, 6},
    {"\\xc3?\\xa9{0,2}", NULL, 6},
    {"(\\xe2\\x82\\xac|\\xe2|x){0,2}", NULL, 13},
};

typedef struct enumeration {
    wz_grammar_set *set;
    const wz_tokenizer *tokenizer;
    const char *name, *pattern;
    const pcre2_code *oracle;
    wz_ids path;
    size_t strings;
} enumeration;

static void check_string(enumeration *e)
{
    wz_text text = {0};
    wz_ids ids = {0};
    CHECK_OK(wz_tokenizer_decode(e->tokenizer, e->path.data, e->path.length, false, &text, err));
    CHECK_OK(wz_tokenizer_encode(e->tokenizer, text.data, text.length, false, &ids, err));
    ASSERT_EACH(ids.length == e->path.length &&
                    (ids.length == 0 || memcmp(ids.data, e->path.data, ids.length * sizeof *ids.data) == 0),
                "%s, '%s': the path of '%s' (%zu tokens) is not its encoding (%zu tokens)", e->name,
                e->pattern, text.data, e->path.length, ids.length);
    ASSERT_EACH(oracle_matches(e->oracle, text.data, text.length), "%s, '%s': '%s' is not of the language",
                e->name, e->pattern, text.data);
    wz_text_clear(&text);
    wz_ids_clear(&ids);
    e->strings++;
}

static void walk_all(enumeration *e, wz_grammar_state state)
{
    wz_mask mask;
    CHECK_OK(wz_grammar_mask(e->set, state, &mask, err));
    bool accepts = wz_grammar_accepts(e->set, state);
    ASSERT_EACH(accepts || mask.count > 0, "%s, '%s': a dead end after %zu tokens", e->name, e->pattern,
                e->path.length);
    if (accepts)
        check_string(e);
    for (uint32_t i = 0; i < mask.count; i++) {
        wz_grammar_state next = 0;
        CHECK_OK(wz_grammar_step(e->set, state, mask.tokens[i], &next, err));
        CHECK_OK(wz_ids_append(&e->path, &mask.tokens[i], 1, err));
        walk_all(e, next);
        e->path.length--;
    }
}

/* Number of strings of the language, by trying every string over its alphabet. */
static size_t count_strings(const pcre2_code *oracle, const char *alphabet, size_t longest)
{
    char text[16];
    size_t digits[16] = {0}, letters = strlen(alphabet), count = 0;
    for (size_t length = 0; length <= longest; length++) {
        memset(digits, 0, sizeof digits);
        for (size_t carry = 0; carry == 0;) {
            for (size_t i = 0; i < length; i++)
                text[i] = alphabet[digits[i]];
            count += oracle_matches(oracle, text, length);
            carry = 1;
            for (size_t i = 0; i < length && carry == 1; i++) {
                digits[i] = (digits[i] + 1) % letters;
                carry = digits[i] == 0;
            }
        }
    }
    return count;
}

/* All paths are encodings of strings of the language, hence no two paths give one string; as many paths as
 * strings, hence every string has its path. */
START_TEST(mask_every_path_of_small_language_is_the_encoding)
{
    size_t language = (size_t)_i / FIXTURES;
    const char *pattern = languages[language].pattern;
    wz_tokenizer *tokenizer = fixture_tokenizer(fixture_names[_i % FIXTURES]);
    wz_grammar_set *set = NULL;
    wz_grammar_state start = 0;
    CHECK_OK(wz_grammar_set_create(tokenizer, &set, err));
    CHECK_OK(wz_grammar_compile(set, pattern, &start, err));
    pcre2_code *oracle = oracle_create(pattern);
    enumeration e = {.set = set,
                     .tokenizer = tokenizer,
                     .name = fixture_names[_i % FIXTURES],
                     .pattern = pattern,
                     .oracle = oracle};
    walk_all(&e, start);
    size_t expected = languages[language].size;
    if (languages[language].alphabet != NULL)
        expected = count_strings(oracle, languages[language].alphabet, expected);
    ck_assert_msg(e.strings == expected, "%s, '%s': %zu paths for %zu strings", e.name, pattern, e.strings,
                  expected);
    pcre2_code_free(oracle);
    wz_ids_clear(&e.path);
    wz_grammar_set_destroy(set);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* ---- large languages ---- */

static const char *const large[] = {
    "( [01]){20}</answer>",
    "( ([0-9]|[1-9][0-9]|100)){10}</answer>",
    "[^<]{0,40}</think>",
    "[a-zA-Z' ]{0,30}\n?",
    "[0-9]{1,3}(\\.[0-9]{1,4})?( dB|%)?(, -?[0-9]+)*",
    " *(the |a )?[a-z]+( [a-z]+){2,5}\\.\n{0,3} *",
    "[ \t\n]*x[ \r\n]*</answer>",
    "[^a]*",
    "( A| a)( B| b)( C| c)( D| d)( E| e)( F| f)( G| g)( H| h)( I| i)( J| j)( AA| aa)( BL| bl)</answer>",
};
#define LARGE (sizeof large / sizeof *large)

typedef struct fixture {
    wz_tokenizer *tokenizer;
    wz_grammar_set *set;
    wz_grammar_state start;
} fixture;

static fixture make_fixture(const char *name, const char *pattern)
{
    fixture f = {.tokenizer = fixture_tokenizer(name)};
    CHECK_OK(wz_grammar_set_create(f.tokenizer, &f.set, err));
    CHECK_OK(wz_grammar_compile(f.set, pattern, &f.start, err));
    return f;
}

static void clear_fixture(fixture *f)
{
    wz_grammar_set_destroy(f->set);
    wz_tokenizer_destroy(f->tokenizer);
}

/* Soundness: whatever is sampled is an encoding, and a state without tokens accepts. */
START_TEST(step_random_walks_end_in_the_encoding_of_a_string_of_the_language)
{
    const char *pattern = large[(size_t)_i / FIXTURES], *name = fixture_names[_i % FIXTURES];
    fixture f = make_fixture(name, pattern);
    pcre2_code *oracle = oracle_create(pattern);
    enumeration e = {
        .set = f.set, .tokenizer = f.tokenizer, .name = name, .pattern = pattern, .oracle = oracle};
    for (uint32_t round = 0; round < 5; round++) {
        wz_grammar_state state = f.start;
        e.path.length = 0;
        for (uint32_t i = 0;; i++) {
            wz_mask mask;
            if (wz_grammar_accepts(f.set, state) && (i > 20 || draw(round, 2 * i) % 8 == 0))
                break;
            CHECK_OK(wz_grammar_mask(f.set, state, &mask, err));
            if (mask.count == 0)
                break;
            uint32_t token = mask.tokens[draw(round, 2 * i + 1) % mask.count];
            CHECK_OK(wz_grammar_step(f.set, state, token, &state, err));
            CHECK_OK(wz_ids_append(&e.path, &token, 1, err));
            if (i > 200)
                break; /* an endless language may lead away from its accepting states */
        }
        ck_assert(wz_grammar_accepts(f.set, state) || e.path.length > 200);
        if (wz_grammar_accepts(f.set, state))
            check_string(&e);
    }
    pcre2_code_free(oracle);
    wz_ids_clear(&e.path);
    clear_fixture(&f);
}
END_TEST

/* Appends a random string built from a template: each `#` a digit, `@` a letter or two, `~` white space,
 * `?` any byte but '<' and 'a', `{..}` a part that is there every second time. */
static size_t random_string(const char *template, uint32_t round, char *out, size_t room)
{
    size_t length = 0;
    uint32_t draws = 0;
    bool skip = false;
    for (const char *c = template; *c != '\0' && length + 2 < room; c++) {
        uint32_t value = draw(round, draws++);
        if (*c == '{')
            skip = value % 2 == 0;
        else if (*c == '}')
            skip = false;
        else if (skip)
            continue;
        else if (*c == '#')
            out[length++] = (char)('0' + value % 10);
        else if (*c == '@')
            for (uint32_t i = 0; i <= value / 100 % 2; i++)
                out[length++] = "theanoisrlxqk"[(value >> (8 * i)) % 13];
        else if (*c == '~')
            out[length++] = " \n  "[value % 4];
        else if (*c == '?')
            out[length++] = "xyz .;'\"09\n\t(>/\xc3\xa9\xe2\x82\xac\xff"[value % 19];
        else
            out[length++] = *c;
    }
    return length;
}

static const char *const templates[LARGE] = {
    " 0 1{ 1} 0{ 0} 1 1 0 1 0{ 1} 0 1 1 1 0 0 1 0{ 0} 1{ 0} 1{ 1}</answer>",
    " #{#} #{#}{0} # # #{#} 100 # # #{#} #{#}</answer>",
    "???{???}??{????}{??@??@}</think>",
    "@{@'@}{ @}{@@}{@'s}{   @@}{ '@}{\n}",
    "#{#}{.#{#}}{ dB}{, -###{##}}{, ####}{, #}",
    "{  }{the }{a }@@ @{@@} @@@{ @}{ @@}.{\n\n}{  }",
    "{~}{~~}x{\n}{ \n }{  }</answer>",
    "??{????}?{??}{???}??{?????}{ 9 }?",
    " A b{ C}{ c} D e f{ G}{ g} h I{ J}{ j}{ AA}{ aa} BL</answer>",
};

/* Completeness: the encoding of every string of the language can be walked to an accepting state. */
START_TEST(step_encoding_of_random_string_is_admitted)
{
    const char *pattern = large[(size_t)_i / FIXTURES];
    fixture f = make_fixture(fixture_names[_i % FIXTURES], pattern);
    pcre2_code *oracle = oracle_create(pattern);
    size_t strings = 0;
    for (uint32_t round = 0; round < 2000 && strings < 25; round++) {
        char text[256];
        size_t length = random_string(templates[(size_t)_i / FIXTURES], round, text, sizeof text);
        if (!oracle_matches(oracle, text, length))
            continue;
        strings++;
        wz_ids ids = {0};
        wz_grammar_state state = f.start;
        CHECK_OK(wz_tokenizer_encode(f.tokenizer, text, length, false, &ids, err));
        for (size_t i = 0; i < ids.length; i++) {
            wz_error problem = {{0}};
            ASSERT_EACH(wz_grammar_step(f.set, state, ids.data[i], &state, &problem) == WZ_OK,
                        "%s, '%s': token %zu of '%.*s' is refused: %s", fixture_names[_i % FIXTURES], pattern,
                        i, (int)length, text, problem.text);
        }
        ASSERT_EACH(wz_grammar_accepts(f.set, state), "'%s' does not accept after '%.*s'", pattern,
                    (int)length, text);
        wz_ids_clear(&ids);
    }
    ck_assert_uint_ge(strings, 20);
    pcre2_code_free(oracle);
    clear_fixture(&f);
}
END_TEST

/* ---- masks and states ---- */

START_TEST(mask_of_power_control_answer_is_one_token_a_link)
{
    fixture f = make_fixture("builtin", "( [01]){5}</answer>");
    wz_grammar_state state = f.start;
    wz_mask mask, first, again;
    CHECK_OK(wz_grammar_mask(f.set, state, &first, err));
    for (uint32_t link = 0; link < 5; link++) {
        CHECK_OK(wz_grammar_mask(f.set, state, &mask, err));
        ck_assert_uint_eq(mask.id, first.id); /* equal sets share an id */
        ck_assert_uint_eq(mask.count, 2);
        ck_assert_uint_eq(mask.tokens[0], 262);
        ck_assert_uint_eq(mask.tokens[1], 263);
        ck_assert(!wz_grammar_accepts(f.set, state));
        CHECK_OK(wz_grammar_step(f.set, state, 262 + link % 2, &state, err));
    }
    CHECK_OK(wz_grammar_mask(f.set, state, &mask, err));
    ck_assert_uint_eq(mask.count, 1);
    ck_assert_uint_eq(mask.tokens[0], 261);
    CHECK_OK(wz_grammar_step(f.set, state, 261, &state, err));
    CHECK_OK(wz_grammar_mask(f.set, state, &mask, err));
    ck_assert_uint_eq(mask.count, 0);
    ck_assert(wz_grammar_accepts(f.set, state));
    ck_assert_uint_eq(wz_grammar_mask_count(f.set), 3);
    wz_grammar_mask_by_id(f.set, first.id, &again);
    ck_assert_ptr_eq(again.tokens, first.tokens);
    wz_grammar_mask_by_id(f.set, 0, &again);
    ck_assert_uint_eq(again.count, 0);
    clear_fixture(&f);
}
END_TEST

START_TEST(compile_same_pattern_twice_gives_the_same_state)
{
    fixture f = make_fixture("builtin", "( [01]){5}</answer>");
    wz_grammar_state other = 0, again = 0;
    wz_mask a, b;
    CHECK_OK(wz_grammar_compile(f.set, "( [01]){6}</answer>", &other, err));
    CHECK_OK(wz_grammar_compile(f.set, "( [01]){5}</answer>", &again, err));
    ck_assert_uint_eq(again, f.start);
    ck_assert_uint_ne(other, f.start);
    CHECK_OK(wz_grammar_mask(f.set, f.start, &a, err));
    CHECK_OK(wz_grammar_mask(f.set, other, &b, err));
    ck_assert_uint_eq(a.id, b.id);
    clear_fixture(&f);
}
END_TEST

START_TEST(step_inadmissible_token_fails)
{
    fixture f = make_fixture("builtin", "( [01]){5}</answer>");
    wz_grammar_state next = 0;
    wz_error problem = {{0}};
    ck_assert_int_eq(wz_grammar_step(f.set, f.start, ' ', &next, &problem), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(problem.text, "not admissible"));
    ck_assert_int_eq(wz_grammar_step(f.set, f.start, 4000000, &next, &problem), WZ_ERR_RUNTIME);
    ck_assert_int_eq(wz_grammar_step(f.set, 4000000, 262, &next, &problem), WZ_ERR_RUNTIME);
    clear_fixture(&f);
}
END_TEST

/* Outside ASCII a character is one unit of the pattern. */
START_TEST(match_repeated_multibyte_character_repeats_all_its_bytes)
{
    bool matches = false;
    CHECK_OK(wz_grammar_match("\xc3\xa9{2}", "\xc3\xa9\xc3\xa9", 4, &matches, err));
    ck_assert(matches);
    CHECK_OK(wz_grammar_match("\xc3\xa9{2}", "\xc3\xa9\xa9", 3, &matches, err));
    ck_assert(!matches);
}
END_TEST

/* ---- patterns outside the dialect ---- */

static const struct {
    const char *pattern, *message;
} bad_patterns[] = {
    {"(ab", "position 0: a group without"},
    {"ab)", "position 2: a closing parenthesis"},
    {"a[bc", "position 1: a class without"},
    {"[]", "position 0: an empty class"},
    {"a[z-a]", "position 2: a range"},
    {"[\\d-9]", "position 1: a range"},
    {"*a", "position 0: a repetition with nothing"},
    {"a|+", "position 2: a repetition with nothing"},
    {"a**", "position 2: a repetition of a repetition"},
    {"a+?", "position 2: a repetition of a repetition"},
    {"a{2", "position 1: a repetition is written"},
    {"a{,2}", "position 2: a repetition is written"},
    {"a{3,2}", "position 1: a repetition whose upper"},
    {"a{99999}", "position 2: a repetition count"},
    {"a.b", "position 1: '.'"},
    {"^a$", "position 0: the whole completion"},
    {"a\\", "position 1: a backslash"},
    {"a\\w", "position 1: unknown escape"},
    {"\\x4", "position 0: \\x needs"},
    {"[\xc3\xa9]", "position 1: classes are of single bytes"},
    {"[[:alpha:]]", "position 1: named classes"},
    {"a\xff", "position 1: the pattern is not valid UTF-8"},
    {"(?:a)", "position 0: groups with (?"},
    {"a}", "position 1: a closing bracket"},
    {"(a{10000}){10000}", "multiply to too much"},
    {"(a|b)*a(a|b){30}", "automaton states"},
    {"[^\\x00-\\xff]", "matches nothing"},
};

START_TEST(compile_malformed_pattern_names_the_position)
{
    wz_tokenizer *tokenizer = fixture_tokenizer("builtin");
    wz_grammar_set *set = NULL;
    wz_grammar_state start = 0;
    wz_error problem = {{0}};
    CHECK_OK(wz_grammar_set_create(tokenizer, &set, err));
    ck_assert_int_eq(wz_grammar_compile(set, bad_patterns[_i].pattern, &start, &problem), WZ_ERR_USAGE);
    ck_assert_msg(strstr(problem.text, bad_patterns[_i].message) != NULL, "'%s' does not say '%s'",
                  problem.text, bad_patterns[_i].message);
    wz_grammar_set_destroy(set);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

START_TEST(compile_deeply_nested_groups_fails)
{
    char pattern[1024];
    bool matches = false;
    wz_error problem = {{0}};
    memset(pattern, '(', 500);
    memset(pattern + 500, ')', 500);
    pattern[1000] = '\0';
    ck_assert_int_eq(wz_grammar_match(pattern, "", 0, &matches, &problem), WZ_ERR_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grammar");
    TCase *match = tcase_create("match"), *paths = tcase_create("paths"), *bad = tcase_create("bad");
    tcase_set_timeout(match, 120);
    tcase_set_timeout(paths, 120);
    tcase_add_loop_test(match, match_random_strings_agrees_with_pcre2, 0,
                        (int)(sizeof match_patterns / sizeof *match_patterns));
    tcase_add_test(match, match_repeated_multibyte_character_repeats_all_its_bytes);
    tcase_add_loop_test(paths, mask_every_path_of_small_language_is_the_encoding, 0,
                        (int)(sizeof languages / sizeof *languages) * FIXTURES);
    tcase_add_loop_test(paths, step_random_walks_end_in_the_encoding_of_a_string_of_the_language, 0,
                        (int)LARGE * FIXTURES);
    tcase_add_loop_test(paths, step_encoding_of_random_string_is_admitted, 0, (int)LARGE * FIXTURES);
    tcase_add_test(paths, mask_of_power_control_answer_is_one_token_a_link);
    tcase_add_test(paths, compile_same_pattern_twice_gives_the_same_state);
    tcase_add_test(paths, step_inadmissible_token_fails);
    tcase_add_loop_test(bad, compile_malformed_pattern_names_the_position, 0,
                        (int)(sizeof bad_patterns / sizeof *bad_patterns));
    tcase_add_test(bad, compile_deeply_nested_groups_fails);
    suite_add_tcase(suite, match);
    suite_add_tcase(suite, paths);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
