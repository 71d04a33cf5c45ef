#include "tasks/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tasks/answer_form.h"

static void append(wz_words *words, const char *bytes, size_t count)
{
    if (words->status == WZ_OK)
        words->status = wz_text_append(words->out, bytes, count, words->err);
}

void wz_word(wz_words *words, const char *word)
{
    append(words, " ", 1);
    append(words, word, strlen(word));
}

void wz_word_number(wz_words *words, int32_t number)
{
    char digits[16];
    char *const end = digits + sizeof digits;
    char *at = end;
    uint32_t left = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0)
        *--at = '-';
    *--at = ' ';
    append(words, at, (size_t)(end - at));
}

void wz_word_label(wz_words *words, size_t index)
{
    char label[3];
    wz_label(index, label);
    wz_word(words, label);
}

void wz_word_label_small(wz_words *words, size_t index)
{
    char label[3];
    wz_label_small(index, label);
    wz_word(words, label);
}

static void print_list(wz_words *words, const char *format, va_list args)
{
    char line[1024];
    const int length = vsnprintf(line, sizeof line, format, args);
    if (length < 0 || (size_t)length >= sizeof line)
        words->status =
            wz_fail(words->err, WZ_ERR_RUNTIME, "a line of a prompt is too long: %.40s...", format);
    else
        append(words, line, (size_t)length);
}

void wz_words_printf(wz_words *words, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_list(words, format, args);
    va_end(args);
}

void wz_words_ask(wz_words *words, const char *format, ...)
{
    va_list args;
    wz_words_printf(words, "Reason between <think> and </think>; then write ");
    va_start(args, format);
    print_list(words, format, args);
    va_end(args);
    wz_words_printf(words, ", between <answer> and </answer>, and nothing after that.\n<think>");
}

void wz_words_open_answer(wz_words *words)
{
    const char *tag = words->thinks ? "<think>" : "<answer>";
    append(words, tag, strlen(tag));
}
