#include "engine/text/gbnf.h"

#include <stdbool.h>

#include "engine/text/regex.h"

typedef struct writer {
    const wz_regex *regex;
    wz_text *out;
    bool in_string; /* a string literal is open: the next single character goes into it */
    wz_error *err;
} writer;

static wz_status put(writer *w, const char *text)
{
    return wz_text_printf(w->out, w->err, "%s", text);
}

static wz_status close_string(writer *w)
{
    const bool was_open = w->in_string;
    w->in_string = false;
    return was_open ? put(w, "\"") : WZ_OK;
}

/* A character inside quotes or brackets. */
static wz_status write_character(writer *w, unsigned byte)
{
    switch (byte) {
    case '\n':
        return put(w, "\\n");
    case '\r':
        return put(w, "\\r");
    case '\t':
        return put(w, "\\t");
    case '"':
    case '\\':
    case '[':
    case ']':
        return wz_text_printf(w->out, w->err, "\\%c", (char)byte);
    default:
        /* ^ and - mean something in brackets */
        return byte >= 0x20 && byte < 0x7f && byte != '^' && byte != '-'
                   ? wz_text_printf(w->out, w->err, "%c", (char)byte)
                   : wz_text_printf(w->out, w->err, "\\x%02X", byte);
    }
}

static unsigned count_bytes(const wz_byte_set *set, unsigned *first)
{
    unsigned count = 0;
    for (unsigned b = 256; b-- > 0;)
        if (wz_byte_set_has(set, (unsigned char)b)) {
            *first = b;
            count++;
        }
    return count;
}

static wz_status write_class(writer *w, const wz_byte_set *set)
{
    wz_status status = close_string(w);
    if (status == WZ_OK)
        status = put(w, " [");
    for (unsigned b = 0; status == WZ_OK && b < 128; b++) {
        unsigned last = b;
        if (!wz_byte_set_has(set, (unsigned char)b))
            continue;
        while (last < 127 && wz_byte_set_has(set, (unsigned char)(last + 1)))
            last++;
        status = write_character(w, b);
        if (status == WZ_OK && last > b + 1)
            status = put(w, "-");
        if (status == WZ_OK && last > b)
            status = write_character(w, last);
        b = last;
    }
    return status == WZ_OK ? put(w, "]") : status;
}

static wz_status write_set(writer *w, const wz_byte_set *set)
{
    unsigned first = 0;
    const unsigned count = count_bytes(set, &first);
    if (set->bits[2] != 0 || set->bits[3] != 0)
        return wz_fail(w->err, WZ_ERR_USAGE,
                       "the answer pattern has bytes beyond ASCII, which a GBNF grammar cannot name");
    if (count != 1)
        return write_class(w, set);
    wz_status status = w->in_string ? WZ_OK : put(w, " \"");
    w->in_string = true;
    return status == WZ_OK ? write_character(w, first) : status;
}

static wz_status write_node(writer *w, uint32_t index);

static wz_status write_children(writer *w, uint32_t child, bool is_choice)
{
    wz_status status = WZ_OK;
    for (bool first = true; status == WZ_OK && child != WZ_REGEX_NONE; first = false) {
        if (is_choice && !first) {
            status = close_string(w);
            if (status == WZ_OK)
                status = put(w, " |");
        }
        if (status == WZ_OK)
            status = write_node(w, child);
        child = w->regex->nodes[child].sibling;
    }
    return status;
}

static wz_status write_count(writer *w, const wz_regex_node *node)
{
    if (node->maximum == WZ_REGEX_UNBOUNDED)
        return node->minimum == 0   ? put(w, "*")
               : node->minimum == 1 ? put(w, "+")
                                    : wz_text_printf(w->out, w->err, "{%u,}", node->minimum);
    if (node->minimum == 0 && node->maximum == 1)
        return put(w, "?");
    return node->minimum == node->maximum
               ? wz_text_printf(w->out, w->err, "{%u}", node->minimum)
               : wz_text_printf(w->out, w->err, "{%u,%u}", node->minimum, node->maximum);
}

/* In parentheses: a choice inside a sequence, and whatever is repeated. */
static wz_status write_group(writer *w, uint32_t child, bool is_choice)
{
    wz_status status = close_string(w);
    if (status == WZ_OK)
        status = put(w, " (");
    if (status == WZ_OK)
        status = write_children(w, child, is_choice);
    if (status == WZ_OK)
        status = close_string(w);
    return status == WZ_OK ? put(w, " )") : status;
}

static wz_status write_node(writer *w, uint32_t index)
{
    const wz_regex_node *node = &w->regex->nodes[index];
    wz_status status = WZ_OK;
    switch (node->kind) {
    case WZ_REGEX_BYTES:
        return write_set(w, &w->regex->sets[node->set]);
    case WZ_REGEX_SEQUENCE:
        return write_children(w, node->child, false);
    case WZ_REGEX_CHOICE:
        return w->regex->nodes[node->child].sibling == WZ_REGEX_NONE ? write_node(w, node->child)
                                                                     : write_group(w, node->child, true);
    case WZ_REGEX_REPEAT:
        status = write_group(w, node->child, false);
        return status == WZ_OK ? write_count(w, node) : status;
    }
    return status;
}

wz_status wz_gbnf_from_pattern(const char *pattern, wz_text *out, wz_error *err)
{
    wz_regex regex = {0};
    wz_status status = wz_regex_parse(pattern, &regex, err);
    writer w = {.regex = &regex, .out = out, .err = err};
    if (status == WZ_OK)
        status = put(&w, "root ::=");
    if (status == WZ_OK)
        status = write_node(&w, regex.root);
    if (status == WZ_OK)
        status = close_string(&w);
    wz_regex_clear(&regex);
    return status == WZ_OK ? put(&w, "\n") : status;
}
