/* Cutting a text into pieces, inside which merges happen.
 *
 * A text that may still go on (final = false) is matched with PCRE2_PARTIAL_HARD: a complete match is
 * then reported only if the search never looked at the end, so no continuation can change it. That is
 * what lets the answer grammar know, byte by byte, which boundaries are certain. */
#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Unicode's White_Space property. PCRE2's own \s also takes U+180E, which the `tokenizers` package does not. */
static const char white_space[] =
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

/* Copies a pattern with \s (everywhere) and \S (outside classes) spelled out. */
static wz_status expand_white_space(const char *pattern, wz_text *out, wz_error *err)
{
    bool in_class = false;
    wz_status status = wz_text_append(out, "", 0, err);
    for (const char *at = pattern; *at != '\0' && status == WZ_OK; at++) {
        if (*at == '\\' && (at[1] == 's' || (at[1] == 'S' && !in_class))) {
            const char *open = in_class ? "" : at[1] == 's' ? "[" : "[^";
            status = wz_text_printf(out, err, "%s%s%s", open, white_space, in_class ? "" : "]");
            at++;
        } else if (*at == '\\' && at[1] != '\0') {
            status = wz_text_append(out, at, 2, err);
            at++;
        } else {
            if (*at == '[' && !in_class)
                in_class = true;
            else if (*at == ']')
                in_class = false;
            status = wz_text_append(out, at, 1, err);
        }
    }
    return status;
}

/* In the regular expressions of the `tokenizers` package, ^ and $ are of lines, which end in \n alone. */
static wz_status compile(wz_pretokenizer *step, const wz_text *expanded, wz_error *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR message[128] = {0};
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL || pcre2_set_newline(context, PCRE2_NEWLINE_LF) != 0) {
        pcre2_compile_context_free(context);
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a pre-tokenizer pattern");
    }
    step->code = pcre2_compile((PCRE2_SPTR)expanded->data, expanded->length,
                               PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code,
                               &offset, context);
    pcre2_compile_context_free(context);
    if (step->code != NULL)
        return WZ_OK;
    pcre2_get_error_message(code, message, sizeof message);
    return wz_fail(err, WZ_ERR_CORRUPT, "pre-tokenizer pattern '%.200s' cannot be compiled: %s",
                   step->pattern, (const char *)message);
}

wz_status wz_pretokenizer_init_regex(wz_pretokenizer *step, const char *pattern, wz_error *err)
{
    wz_text expanded = {0};
    uint32_t behind = 0;
    memset(step, 0, sizeof *step);
    step->kind = WZ_PRE_REGEX;
    wz_status status = expand_white_space(pattern, &expanded, err);
    if (status == WZ_OK && (step->pattern = strdup(pattern)) == NULL)
        status = wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a pre-tokenizer pattern");
    if (status == WZ_OK)
        status = compile(step, &expanded, err);
    if (status == WZ_OK)
        pcre2_pattern_info(step->code, PCRE2_INFO_MAXLOOKBEHIND, &behind);
    if (behind > 0)
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "pre-tokenizer pattern '%.200s' looks behind (lookbehind, \\b or ^), which is not "
                         "supported",
                         pattern);
    /* Without a just-in-time compiler the interpreter gives the same matches, more slowly. */
    if (status == WZ_OK)
        (void)pcre2_jit_compile(step->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
    wz_text_clear(&expanded);
    if (status != WZ_OK)
        wz_pretokenizer_clear(step);
    return status;
}

void wz_pretokenizer_clear(wz_pretokenizer *step)
{
    pcre2_code_free(step->code);
    free(step->pattern);
    memset(step, 0, sizeof *step);
}

/* One walk: which steps, and who takes the pieces. */
typedef struct walk {
    const wz_tokenizer *tokenizer;
    pcre2_match_data *match;
    wz_piece_function function;
    void *user;
    bool stop;
    wz_error *err;
} walk;

static wz_status cut(walk *w, size_t step, const char *text, size_t length, bool final);

static wz_status fail_match(const wz_pretokenizer *step, int code, wz_error *err)
{
    PCRE2_UCHAR message[128] = {0};
    pcre2_get_error_message(code, message, sizeof message);
    return wz_fail(err, WZ_ERR_RUNTIME, "pre-tokenizer pattern '%.200s' gave up on a text: %s", step->pattern,
                   (const char *)message);
}

/* Matches are pieces, and so is what lies between them (behaviour "Isolated"). */
static wz_status cut_regex(walk *w, size_t step, const char *text, size_t length, bool final)
{
    const wz_pretokenizer *p = &w->tokenizer->steps[step];
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | (final ? 0 : PCRE2_PARTIAL_HARD);
    wz_status status = WZ_OK;
    for (size_t at = 0; at < length && status == WZ_OK && !w->stop;) {
        int code = pcre2_match(p->code, (PCRE2_SPTR)text, length, at, options, w->match, NULL);
        if (code == PCRE2_ERROR_PARTIAL || (code == PCRE2_ERROR_NOMATCH && !final))
            return WZ_OK;
        if (code == PCRE2_ERROR_NOMATCH)
            return cut(w, step + 1, text + at, length - at, true);
        if (code < 0)
            return fail_match(p, code, w->err);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(w->match);
        size_t start = range[0], end = range[1];
        if (start < at || end <= start || end > length) /* \K can do this */
            return wz_fail(w->err, WZ_ERR_CORRUPT, "pre-tokenizer pattern '%.200s' matches backwards",
                           p->pattern);
        if (start > at)
            status = cut(w, step + 1, text + at, start - at, true);
        if (status == WZ_OK && !w->stop)
            status = cut(w, step + 1, text + start, end - start, true);
        at = end;
    }
    return status;
}

static bool is_number(uint32_t codepoint)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
           category == UTF8PROC_CATEGORY_NO;
}

/* Digits alone or in runs, and the text between them. The text after the last digit may go on. */
static wz_status cut_digits(walk *w, size_t step, const char *text, size_t length, bool final)
{
    bool individual = w->tokenizer->steps[step].individual_digits;
    bool run_is_number = false;
    size_t start = 0;
    wz_status status = WZ_OK;
    for (size_t at = 0; at < length && status == WZ_OK && !w->stop;) {
        uint32_t codepoint = 0;
        int used = wz_utf8_character(text + at, length - at, &codepoint);
        bool number = is_number(codepoint);
        if (at > start && (number != run_is_number || (number && individual))) {
            status = cut(w, step + 1, text + start, at - start, true);
            start = at;
        }
        run_is_number = number;
        at += used > 0 ? (size_t)used : 1;
    }
    if (status != WZ_OK || w->stop || start == length)
        return status;
    if (final || (run_is_number && individual))
        return cut(w, step + 1, text + start, length - start, true);
    return run_is_number ? WZ_OK : cut(w, step + 1, text + start, length - start, false);
}

/* Applies the steps from number `step` on to one piece of the steps before. */
static wz_status cut(walk *w, size_t step, const char *text, size_t length, bool final)
{
    if (w->stop || length == 0)
        return WZ_OK;
    if (step < w->tokenizer->step_count)
        return w->tokenizer->steps[step].kind == WZ_PRE_REGEX ? cut_regex(w, step, text, length, final)
                                                              : cut_digits(w, step, text, length, final);
    return final ? w->function(w->user, text, length, &w->stop, w->err) : WZ_OK;
}

wz_status wz_tokenizer_pieces(const wz_tokenizer *tokenizer, const char *text, size_t length, bool final,
                              wz_piece_function function, void *user, wz_error *err)
{
    walk w = {.tokenizer = tokenizer, .function = function, .user = user, .err = err};
    w.match = pcre2_match_data_create(1, NULL);
    if (w.match == NULL)
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for matching a pre-tokenizer pattern");
    wz_status status = WZ_OK;
    size_t start = 0, at = 0;
    while (at < length && status == WZ_OK && !w.stop) {
        uint32_t codepoint = 0;
        int used = wz_utf8_character(text + at, length - at, &codepoint);
        if (used > 0) {
            at += (size_t)used;
            continue;
        }
        bool cut_off = used < 0 && !final; /* the rest of this character may still come */
        status = cut(&w, 0, text + start, at - start, !cut_off);
        if (cut_off) {
            start = length;
            break;
        }
        if (status == WZ_OK && !w.stop)
            status = function(user, text + at, 1, &w.stop, err);
        start = ++at;
    }
    if (status == WZ_OK && !w.stop && start < length)
        status = cut(&w, 0, text + start, length - start, final);
    pcre2_match_data_free(w.match);
    return status;
}
