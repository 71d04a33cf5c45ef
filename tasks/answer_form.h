/* What answers look like: a decision is a fixed number of whole numbers, each written as one word.
 *
 * The same form gives the grammar that a policy decodes under and the reader of its completions, so that the two cannot
 * disagree. Compact answers are written " A b C</answer>", each word after exactly one space; in full prompts numbers
 * stand for switches, and words may be separated by white space or single commas. */
#ifndef WZ_TASKS_ANSWER_FORM_H
#define WZ_TASKS_ANSWER_FORM_H

#include "engine/core/memory.h"

typedef enum wz_prompt_style {
    WZ_PROMPT_COMPACT, /* for the built-in vocabulary: one token per number, a fixed short frame */
    WZ_PROMPT_FULL     /* full sentences with units, for pretrained models */
} wz_prompt_style;

#define WZ_MAX_LABELS 64 /* labels in the built-in vocabulary */
#define WZ_MAX_SLOTS 128 /* numbers of a decision */

typedef enum wz_slot_kind {
    WZ_SLOT_NUMBER,       /* 0 .. choices-1, choices <= 1000, in decimal */
    WZ_SLOT_SWITCH,       /* 0: the label in small letters, 1: in capitals; in full prompts "0" and "1" */
    WZ_SLOT_LABEL,        /* label 0 .. choices-1, in capitals, choices <= WZ_MAX_LABELS */
    WZ_SLOT_LABEL_OR_NONE /* 0: the word "none"; v: label v-1 */
} wz_slot_kind;

typedef struct wz_answer_slot {
    wz_slot_kind kind;
    unsigned choices; /* values are 0 .. choices-1; 2 for a switch */
    unsigned label;   /* of a switch */
} wz_answer_slot;

typedef struct wz_answer_form {
    size_t count; /* <= WZ_MAX_SLOTS */
    wz_answer_slot slots[WZ_MAX_SLOTS];
} wz_answer_form;

/* Appends one slot, or `count` alike. */
void wz_form_add(wz_answer_form *form, wz_slot_kind kind, unsigned choices, size_t count);
/* Appends `count` switches, of labels 0 .. count-1. */
void wz_form_add_switches(wz_answer_form *form, size_t count);

/* The word of a value of a slot, without the space before it. */
typedef struct wz_form_word {
    char text[8];
} wz_form_word;
wz_form_word wz_form_write(const wz_answer_slot *slot, wz_prompt_style style, unsigned value);

/* Appends the regular expression (engine/text/grammar.h dialect) of the answer and its closing tag. */
wz_status wz_form_pattern(const wz_answer_form *form, wz_prompt_style style, wz_text *out, wz_error *err);
/* Appends a decision as it stands between "<answer>" and the closing tag: each word after a space. */
wz_status wz_form_print(const wz_answer_form *form, wz_prompt_style style, const unsigned *decision,
                        wz_text *out, wz_error *err);

/* Label of a link, user, channel, ..: "A".."Z", then "AA", "AB", ...; index < WZ_MAX_LABELS. Writes a terminated string.
 */
void wz_label(size_t index, char out[3]);
/* The same in small letters: "a".."z", "aa", ... */
void wz_label_small(size_t index, char out[3]);

#endif
