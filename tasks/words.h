/* Writing prompts word by word. The first failure sticks, so that a family checks once, at the end. */
#ifndef WZ_TASKS_WORDS_H
#define WZ_TASKS_WORDS_H

#include <stdbool.h>

#include "engine/core/memory.h"

typedef struct wz_words {
    wz_text *out;
    wz_error *err;
    wz_status status;
    bool thinks; /* the completion reasons before it answers, in compact prompts too */
} wz_words;

/* A space and a word; a space and a whole number; a space and a label, in capitals or small letters
 * (tasks/answer_form.h). In compact prompts each is one token of the built-in vocabulary: numbers 0..999, the words listed
 * in engine/text/builtin_vocab.c. */
void wz_word(wz_words *words, const char *word);
void wz_word_number(wz_words *words, int32_t number);
void wz_word_label(wz_words *words, size_t index);
void wz_word_label_small(wz_words *words, size_t index);
/* Text as it is. */
void wz_words_printf(wz_words *words, const char *format, ...) WZ_PRINTF(2, 3);
/* The last lines of a full prompt: to reason, then to write the answer ("the 4 levels in the order of the links, as
 * integers separated by single spaces") between the tags; and the opening of the reasoning. */
void wz_words_ask(wz_words *words, const char *format, ...) WZ_PRINTF(2, 3);
/* The end of a compact prompt: "<answer>", or "<think>" where the completion thinks first. */
void wz_words_open_answer(wz_words *words);

#endif
