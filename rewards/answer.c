#include "rewards/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char open_tag[] = "<answer>", close_tag[] = "</answer>", box[] = "\\boxed{";

static bool reject(wz_verdict *verdict, wz_verdict_kind kind, const char *format, ...) WZ_PRINTF(3, 4);
static bool reject(wz_verdict *verdict, wz_verdict_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(verdict->reason, sizeof verdict->reason, format, args);
    va_end(args);
    verdict->kind = kind;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Number of places where `mark` begins; *first is the first of them. */
static size_t count_marks(const char *text, size_t length, const char *mark, const char **first)
{
    size_t count = 0, size = strlen(mark);
    const char *end = text + length;
    *first = NULL;
    while ((text = memmem(text, (size_t)(end - text), mark, size)) != NULL) {
        if (count++ == 0)
            *first = text;
        text += size;
    }
    return count;
}

/* Up to 16 bytes of a text, printable, for a message. */
typedef struct quoted {
    char text[16 * 4 + 4];
} quoted;

static quoted quote(const char *text, size_t length)
{
    quoted out;
    size_t used = 0;
    for (size_t i = 0; i < length && i < 16; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c <= '~')
            out.text[used++] = (char)c;
        else
            used += (size_t)snprintf(out.text + used, sizeof out.text - used, "\\x%02x", c);
    }
    (void)snprintf(out.text + used, sizeof out.text - used, "%s", length > 16 ? "..." : "");
    return out;
}

/* What may follow the answer: nothing in a compact frame, characters of `allowed` in a full one. */
static bool check_end(const char *rest, const char *end, const char *allowed, wz_verdict *verdict)
{
    for (const char *c = rest; c < end; c++)
        if (*c == '\0' || strchr(allowed, *c) == NULL)
            return reject(verdict, WZ_VERDICT_TRAILING_TEXT, "text after the answer: \"%s\"",
                          quote(c, (size_t)(end - c)).text);
    return true;
}

static bool find_boxed(const char *completion, size_t length, wz_answer *out, wz_verdict *verdict)
{
    const char *first, *end = completion + length;
    size_t boxes = count_marks(completion, length, box, &first);
    if (boxes == 0)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "no %s in the completion", open_tag);
    if (boxes > 1)
        return reject(verdict, WZ_VERDICT_MANY_ANSWERS, "%zu answers: %s appears %zu times", boxes, box,
                      boxes);
    out->text = first + strlen(box);
    const char *close = memchr(out->text, '}', (size_t)(end - out->text));
    if (close == NULL)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "%s is not closed", box);
    out->length = (size_t)(close - out->text);
    return check_end(close + 1, end, " \t\r\n$.)]\\", verdict); /* the end of a formula or sentence */
}

/* Whether a box, if it is closed, says the same as the answer but for blanks at its ends. */
static bool says_same(const char *boxed, const char *end, const wz_answer *answer)
{
    const char *text = answer->text, *close = memchr(boxed, '}', (size_t)(end - boxed));
    size_t length = answer->length, size = close == NULL ? 0 : (size_t)(close - boxed);
    for (; length > 0 && is_space(*text); text++)
        length--;
    for (; size > 0 && is_space(*boxed); boxed++)
        size--;
    while (length > 0 && is_space(text[length - 1]))
        length--;
    while (size > 0 && is_space(boxed[size - 1]))
        size--;
    return close == NULL || (size == length && memcmp(text, boxed, size) == 0);
}

/* A box beside the tag that says something else is another answer. */
static bool check_boxes(const char *completion, size_t length, const wz_answer *answer, wz_verdict *verdict)
{
    const char *end = completion + length, *at = completion;
    while ((at = memmem(at, (size_t)(end - at), box, strlen(box))) != NULL) {
        const bool inside = at >= answer->text && at < answer->text + answer->length;
        at += strlen(box);
        if (!inside && !says_same(at, end, answer))
            return reject(verdict, WZ_VERDICT_MANY_ANSWERS, "%s holds another answer than %s", box, open_tag);
    }
    return true;
}

bool wz_answer_find(wz_prompt_style style, const char *completion, size_t length, wz_answer *out,
                    wz_verdict *verdict)
{
    const bool compact = style == WZ_PROMPT_COMPACT; /* there the prompt holds the opening tag */
    const char *open, *close;
    if (length == 0)
        completion = ""; /* no bytes may come as a null pointer */
    size_t opened = count_marks(completion, length, open_tag, &open);
    size_t closed = count_marks(completion, length, close_tag, &close);
    if (opened > (compact ? 0 : 1))
        return reject(verdict, WZ_VERDICT_MANY_ANSWERS, "%s appears %zu times%s", open_tag, opened,
                      compact ? " after the prompt's own" : "");
    if (closed > 1)
        return reject(verdict, WZ_VERDICT_MANY_ANSWERS, "%s appears %zu times", close_tag, closed);
    if (!compact && opened == 0 && closed == 0)
        return find_boxed(completion, length, out, verdict);
    if (!compact && opened == 0)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "%s without %s", close_tag, open_tag);
    const char *start = compact ? completion : open + strlen(open_tag);
    if (closed == 0)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "the answer is not closed by %s", close_tag);
    if (close < start)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "%s stands before %s", close_tag, open_tag);
    out->text = start;
    out->length = (size_t)(close - start);
    return check_end(close + strlen(close_tag), completion + length, compact ? "" : " \t\r\n", verdict) &&
           (compact || check_boxes(completion, length, out, verdict));
}

bool wz_answer_skip_thinking(wz_prompt_style style, const char **completion, size_t *length,
                             wz_verdict *verdict)
{
    static const char close_think[] = "</think>";
    const size_t open_length = sizeof open_tag - 1;
    const char *end = *completion + *length;
    const char *at = *length == 0 ? NULL : memmem(*completion, *length, close_think, sizeof close_think - 1);
    if (at == NULL)
        return reject(verdict, WZ_VERDICT_NO_ANSWER, "the thinking is not closed by %s", close_think);
    at += sizeof close_think - 1;
    if (style == WZ_PROMPT_COMPACT) {
        if ((size_t)(end - at) < open_length || memcmp(at, open_tag, open_length) != 0)
            return reject(verdict, WZ_VERDICT_NO_ANSWER, "%s is not followed by %s", close_think, open_tag);
        at += open_length;
    }
    *completion = at;
    *length = (size_t)(end - at);
    return true;
}

/* The next number's bytes from *at on, and *at after them and their separator. False at the end. In a full
 * frame a comma promises a number, so "1, 0," ends in an empty one. */
static bool next_number(wz_prompt_style style, const char **at, const char *end, bool *promised,
                        wz_answer *out)
{
    const char *c = *at;
    if (style == WZ_PROMPT_COMPACT) { /* " 1": the space belongs to the number */
        if (c == end)
            return false;
        out->text = c++;
        while (c < end && *c != ' ')
            c++;
        out->length = (size_t)(c - out->text);
        *at = c;
        return true;
    }
    while (c < end && is_space(*c))
        c++;
    if (c == end && !*promised)
        return false;
    out->text = c;
    while (c < end && !is_space(*c) && *c != ',')
        c++;
    out->length = (size_t)(c - out->text);
    while (c < end && is_space(*c))
        c++;
    *promised = c < end && *c == ',';
    *at = *promised ? c + 1 : c;
    return true;
}

/* Plain digits, no leading zero; values above `ceiling` are returned as ceiling + 1. */
static bool read_digits(const char *text, size_t length, unsigned ceiling, unsigned *value)
{
    unsigned result = 0;
    if (length == 0 || (length > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (result <= ceiling)
            result = result * 10 + (unsigned)(text[i] - '0');
    }
    *value = result > ceiling ? ceiling + 1 : result;
    return true;
}

/* What a word that stands for no value of its slot should have been. */
static bool reject_word(const wz_answer_slot *slot, size_t place, const wz_answer *word, bool compact,
                        wz_verdict *verdict)
{
    const quoted said = quote(word->text, word->length);
    const char *after = compact ? " after one space" : "";
    char last[3];
    if (slot->kind == WZ_SLOT_SWITCH && compact)
        return reject(verdict, WZ_VERDICT_BAD_NUMBER, "word %zu, \"%s\", is neither %s nor %s%s", place,
                      said.text, wz_form_write(slot, WZ_PROMPT_COMPACT, 1).text,
                      wz_form_write(slot, WZ_PROMPT_COMPACT, 0).text, after);
    if (slot->kind == WZ_SLOT_NUMBER || slot->kind == WZ_SLOT_SWITCH)
        return reject(verdict, WZ_VERDICT_BAD_NUMBER, "number %zu, \"%s\", is not a plain decimal integer%s",
                      place, said.text, after);
    const bool none = slot->kind == WZ_SLOT_LABEL_OR_NONE;
    wz_label(slot->choices - none - 1, last);
    return reject(verdict, WZ_VERDICT_BAD_NUMBER, "word %zu, \"%s\", is not a label from A to %s%s%s", place,
                  said.text, last, none ? " or none" : "", after);
}

/* The value of a word (without the space of a compact one); a number beyond the slot's gives `choices`. */
static bool read_word(const wz_answer_slot *slot, wz_prompt_style style, const char *text, size_t length,
                      unsigned *value)
{
    if (slot->kind == WZ_SLOT_NUMBER || (slot->kind == WZ_SLOT_SWITCH && style == WZ_PROMPT_FULL))
        return read_digits(text, length, slot->choices - 1, value);
    for (unsigned v = 0; v < slot->choices; v++) {
        const wz_form_word word = wz_form_write(slot, style, v);
        if (strlen(word.text) == length && memcmp(word.text, text, length) == 0) {
            *value = v;
            return true;
        }
    }
    return false;
}

bool wz_answer_read(const wz_answer_form *form, wz_prompt_style style, const wz_answer *answer,
                    unsigned *values, wz_verdict *verdict)
{
    const char *at = answer->text, *end = answer->text + answer->length;
    const bool compact = style == WZ_PROMPT_COMPACT;
    wz_answer word, beyond = {0};
    size_t found = 0, beyond_place = 0;
    bool promised = false;
    while (next_number(style, &at, end, &promised, &word)) {
        const wz_answer_slot *slot = &form->slots[found < form->count ? found : form->count - 1];
        const bool is_number = slot->kind == WZ_SLOT_NUMBER || (slot->kind == WZ_SLOT_SWITCH && !compact);
        unsigned value = 0;
        found++;
        if (found > form->count && !is_number)
            continue; /* one too many, whatever it says */
        if ((compact && word.text[0] != ' ') ||
            !read_word(slot, style, word.text + compact, word.length - compact, &value))
            return reject_word(slot, found, &word, compact, verdict);
        if (value >= slot->choices && beyond_place == 0) {
            beyond_place = found;
            beyond = word;
        }
        if (found <= form->count)
            values[found - 1] = value;
    }
    if (found != form->count)
        return reject(verdict, WZ_VERDICT_WRONG_LENGTH, "%zu %s where %zu are asked", found,
                      form->slots[0].kind == WZ_SLOT_NUMBER || !compact ? "numbers" : "words", form->count);
    if (beyond_place != 0)
        return reject(verdict, WZ_VERDICT_OUT_OF_RANGE, "number %zu, %s, is outside 0..%u", beyond_place,
                      quote(beyond.text, beyond.length).text, form->slots[beyond_place - 1].choices - 1);
    return true;
}
