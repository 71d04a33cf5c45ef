#include "tasks/answer_form.h"

#include <stdio.h>
#include <string.h>

void wz_label(size_t index, char out[3])
{
    size_t used = 0;
    if (index >= 26)
        out[used++] = (char)('A' + index / 26 - 1);
    out[used++] = (char)('A' + index % 26);
    out[used] = '\0';
}

void wz_label_small(size_t index, char out[3])
{
    wz_label(index, out);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)(*c - 'A' + 'a');
}

void wz_form_add(wz_answer_form *form, wz_slot_kind kind, unsigned choices, size_t count)
{
    for (size_t i = 0; i < count && form->count < WZ_MAX_SLOTS; i++)
        form->slots[form->count++] = (wz_answer_slot){.kind = kind, .choices = choices};
}

void wz_form_add_switches(wz_answer_form *form, size_t count)
{
    for (size_t i = 0; i < count && form->count < WZ_MAX_SLOTS; i++)
        form->slots[form->count++] =
            (wz_answer_slot){.kind = WZ_SLOT_SWITCH, .choices = 2, .label = (unsigned)i};
}

wz_form_word wz_form_write(const wz_answer_slot *slot, wz_prompt_style style, unsigned value)
{
    wz_form_word word = {{0}};
    const bool none = slot->kind == WZ_SLOT_LABEL_OR_NONE;
    if (slot->kind == WZ_SLOT_NUMBER || (slot->kind == WZ_SLOT_SWITCH && style == WZ_PROMPT_FULL))
        (void)snprintf(word.text, sizeof word.text, "%u", value % 1000);
    else if (slot->kind == WZ_SLOT_SWITCH && value == 0)
        wz_label_small(slot->label, word.text);
    else if (slot->kind == WZ_SLOT_SWITCH)
        wz_label(slot->label, word.text);
    else if (none && value == 0)
        memcpy(word.text, "none", sizeof "none");
    else
        wz_label(value - none, word.text);
    return word;
}

/* ---- patterns ---- */

/* Numbers low..high, both of `digits` digits, leading zeros included. */
static wz_status write_digits(unsigned low, unsigned high, unsigned digits, wz_text *out, wz_error *err)
{
    static const unsigned powers[] = {1, 10, 100, 1000};
    const unsigned unit = powers[digits - 1], first = low / unit, last = high / unit;
    if (digits == 1)
        return wz_text_printf(out, err, "[%u-%u]", low, high);
    if (first == last) {
        wz_status status = wz_text_printf(out, err, "%u", first);
        return status == WZ_OK ? write_digits(low % unit, high % unit, digits - 1, out, err) : status;
    }
    /* high is no whole row of tens: the rows below it, and it */
    const bool whole = high % unit == unit - 1;
    const unsigned rows = whole ? last : last - 1;
    wz_status status = wz_text_printf(out, err, "(");
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "[%u-%u]", first, rows);
    for (unsigned i = 1; i < digits && status == WZ_OK; i++)
        status = wz_text_printf(out, err, "[0-9]");
    if (status == WZ_OK && !whole) {
        status = wz_text_printf(out, err, "|%u", last);
        if (status == WZ_OK)
            status = write_digits(0, high % unit, digits - 1, out, err);
    }
    return status == WZ_OK ? wz_text_printf(out, err, ")") : status;
}

/* 0 .. last, last <= 999, without leading zeros. */
static wz_status write_number(unsigned last, wz_text *out, wz_error *err)
{
    if (last < 10)
        return write_digits(0, last, 1, out, err);
    wz_status status = wz_text_printf(out, err, "([0-9]|");
    if (status == WZ_OK && last < 100)
        status = write_digits(10, last, 2, out, err);
    else if (status == WZ_OK) {
        status = wz_text_printf(out, err, "[1-9][0-9]|");
        if (status == WZ_OK)
            status = write_digits(100, last, 3, out, err);
    }
    return status == WZ_OK ? wz_text_printf(out, err, ")") : status;
}

static wz_status write_labels(unsigned count, bool none, wz_text *out, wz_error *err)
{
    char label[3];
    wz_status status = wz_text_printf(out, err, none ? "(none" : "(");
    for (unsigned i = 0; i < count && status == WZ_OK; i++) {
        wz_label(i, label);
        status = wz_text_printf(out, err, "%s%s", i > 0 || none ? "|" : "", label);
    }
    return status == WZ_OK ? wz_text_printf(out, err, ")") : status;
}

static wz_status write_slot(const wz_answer_slot *slot, wz_prompt_style style, wz_text *out, wz_error *err)
{
    switch (slot->kind) {
    case WZ_SLOT_LABEL:
    case WZ_SLOT_LABEL_OR_NONE: {
        const bool none = slot->kind == WZ_SLOT_LABEL_OR_NONE;
        return write_labels(slot->choices - none, none, out, err);
    }
    case WZ_SLOT_SWITCH:
        if (style == WZ_PROMPT_COMPACT)
            return wz_text_printf(out, err, "(%s|%s)", wz_form_write(slot, style, 1).text,
                                  wz_form_write(slot, style, 0).text);
        break;
    case WZ_SLOT_NUMBER:
        break;
    }
    return write_number(slot->choices - 1, out, err);
}

static bool same_slot(const wz_answer_slot *a, const wz_answer_slot *b, wz_prompt_style style)
{
    return a->kind == b->kind && a->choices == b->choices &&
           (a->kind != WZ_SLOT_SWITCH || style == WZ_PROMPT_FULL);
}

/* "( [0-7]){3}</answer>": what follows "<answer>". */
wz_status wz_form_pattern(const wz_answer_form *form, wz_prompt_style style, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0, after; i < form->count && status == WZ_OK; i = after) {
        after = i + 1;
        while (after < form->count && same_slot(&form->slots[i], &form->slots[after], style))
            after++;
        status = wz_text_printf(out, err, "( ");
        if (status == WZ_OK)
            status = write_slot(&form->slots[i], style, out, err);
        if (status == WZ_OK)
            status = after == i + 1 ? wz_text_printf(out, err, ")")
                                    : wz_text_printf(out, err, "){%zu}", after - i);
    }
    return status == WZ_OK ? wz_text_printf(out, err, "</answer>") : status;
}

wz_status wz_form_print(const wz_answer_form *form, wz_prompt_style style, const unsigned *decision,
                        wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < form->count && status == WZ_OK; i++)
        status = wz_text_printf(out, err, " %s", wz_form_write(&form->slots[i], style, decision[i]).text);
    return status;
}
