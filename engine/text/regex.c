/* The grammar's regular expressions: recursive descent to a syntax tree. */
#include "engine/text/regex.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer_internal.h"

#define MAX_DEPTH 100    /* nested groups */
#define MAX_REPEAT 10000 /* counts in braces */

typedef struct parser {
    const char *pattern;
    size_t at;
    int depth;
    wz_regex *tree;
    wz_error *err;
} parser;

static wz_status fail_at(const parser *p, size_t at, const char *what)
{
    return wz_fail(p->err, WZ_ERR_USAGE, "grammar pattern '%.200s', position %zu: %s", p->pattern, at, what);
}

static char peek(const parser *p)
{
    return p->pattern[p->at];
}

/* ---- tree ---- */

static wz_status add_node(parser *p, wz_regex_node value, uint32_t *out)
{
    void *nodes = p->tree->nodes;
    wz_status status =
        wz_grow(&nodes, &p->tree->node_capacity, p->tree->node_count + 1, sizeof value, "pattern", p->err);
    p->tree->nodes = nodes;
    if (status != WZ_OK)
        return status;
    *out = (uint32_t)p->tree->node_count;
    p->tree->nodes[p->tree->node_count++] = value;
    return WZ_OK;
}

static wz_status add_bytes(parser *p, const wz_byte_set *set, uint32_t *out)
{
    wz_regex *tree = p->tree;
    uint32_t index = 0;
    while (index < tree->set_count && memcmp(&tree->sets[index], set, sizeof *set) != 0)
        index++;
    if (index == tree->set_count) {
        void *sets = tree->sets;
        wz_status status =
            wz_grow(&sets, &tree->set_capacity, tree->set_count + 1, sizeof *set, "pattern", p->err);
        tree->sets = sets;
        if (status != WZ_OK)
            return status;
        tree->sets[tree->set_count++] = *set;
    }
    return add_node(
        p,
        (wz_regex_node){
            .kind = WZ_REGEX_BYTES, .child = WZ_REGEX_NONE, .sibling = WZ_REGEX_NONE, .set = index},
        out);
}

static void set_byte(wz_byte_set *set, unsigned char byte)
{
    set->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

static wz_status add_byte(parser *p, unsigned char byte, uint32_t *out)
{
    wz_byte_set set = {{0}};
    set_byte(&set, byte);
    return add_bytes(p, &set, out);
}

/* ---- parsing ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* After the backslash: one byte, or the class \d. */
static wz_status parse_escape(parser *p, wz_byte_set *set, int *single)
{
    char c = peek(p);
    size_t at = p->at - 1;
    if (c == '\0')
        return fail_at(p, at, "a backslash ends the pattern");
    p->at++;
    *single = (unsigned char)c;
    if (c == 'n' || c == 't' || c == 'r') {
        *single = c == 'n' ? '\n' : c == 't' ? '\t' : '\r';
    } else if (c == 'd') {
        *single = -1;
        for (int digit = '0'; digit <= '9'; digit++)
            set_byte(set, (unsigned char)digit);
    } else if (c == 'x') {
        int high = hex_digit(peek(p)), low = high < 0 ? -1 : hex_digit(p->pattern[p->at + 1]);
        if (low < 0)
            return fail_at(p, at, "\\x needs two hexadecimal digits");
        p->at += 2;
        *single = high * 16 + low;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (unsigned char)c >= 0x80) {
        return fail_at(p, at, "unknown escape; known are \\n \\t \\r \\d \\xHH and \\ before punctuation");
    }
    if (*single >= 0)
        set_byte(set, (unsigned char)*single);
    return WZ_OK;
}

/* One member of a class: a byte (*single >= 0) or \d. */
static wz_status parse_class_member(parser *p, wz_byte_set *set, int *single)
{
    unsigned char c = (unsigned char)peek(p);
    if (c >= 0x80)
        return fail_at(p, p->at,
                       "classes are of single bytes; write characters beyond ASCII as an alternation");
    if (c == '[' &&
        (p->pattern[p->at + 1] == ':' || p->pattern[p->at + 1] == '.' || p->pattern[p->at + 1] == '='))
        return fail_at(p, p->at, "named classes are not in the dialect; list the bytes");
    p->at++;
    if (c == '\\')
        return parse_escape(p, set, single);
    *single = c;
    set_byte(set, c);
    return WZ_OK;
}

/* After '['. A ']' that is meant literally is escaped. */
static wz_status parse_class(parser *p, uint32_t *out)
{
    size_t open = p->at - 1;
    wz_byte_set set = {{0}};
    bool negated = peek(p) == '^';
    p->at += negated;
    if (peek(p) == ']')
        return fail_at(p, open, "an empty class; write \\] for a bracket");
    while (peek(p) != ']') {
        int low = -1, high = -1;
        size_t at = p->at;
        if (peek(p) == '\0')
            return fail_at(p, open, "a class without its closing bracket");
        wz_status status = parse_class_member(p, &set, &low);
        if (status != WZ_OK)
            return status;
        if (peek(p) != '-' || p->pattern[p->at + 1] == ']' || p->pattern[p->at + 1] == '\0')
            continue;
        p->at++;
        status = parse_class_member(p, &set, &high);
        if (status != WZ_OK)
            return status;
        if (low < 0 || high < low)
            return fail_at(p, at, "a range whose end is before its start");
        for (int byte = low; byte <= high; byte++)
            set_byte(&set, (unsigned char)byte);
    }
    p->at++;
    for (size_t i = 0; i < 4 && negated; i++)
        set.bits[i] = ~set.bits[i];
    return add_bytes(p, &set, out);
}

static wz_status parse_choice(parser *p, uint32_t *out);

/* A character beyond ASCII is the sequence of its bytes. */
static wz_status parse_literal(parser *p, uint32_t *out)
{
    uint32_t codepoint = 0;
    int length = wz_utf8_character(p->pattern + p->at, strlen(p->pattern + p->at), &codepoint);
    if (length <= 0)
        return fail_at(p, p->at, "the pattern is not valid UTF-8 here; write the byte as \\xHH");
    if (length == 1)
        return add_byte(p, (unsigned char)p->pattern[p->at++], out);
    wz_status status = add_node(
        p, (wz_regex_node){.kind = WZ_REGEX_SEQUENCE, .child = WZ_REGEX_NONE, .sibling = WZ_REGEX_NONE}, out);
    for (int i = length - 1; i >= 0 && status == WZ_OK; i--) {
        uint32_t byte = WZ_REGEX_NONE;
        status = add_byte(p, (unsigned char)p->pattern[p->at + (size_t)i], &byte);
        if (status == WZ_OK) {
            p->tree->nodes[byte].sibling = p->tree->nodes[*out].child;
            p->tree->nodes[*out].child = byte;
        }
    }
    p->at += (size_t)length;
    return status;
}

static wz_status parse_group(parser *p, uint32_t *out)
{
    size_t open = p->at - 1;
    if (peek(p) == '?')
        return fail_at(p, open, "groups with (? are not in the dialect; plain groups never capture");
    if (++p->depth > MAX_DEPTH)
        return fail_at(p, open, "groups are nested too deeply");
    wz_status status = parse_choice(p, out);
    if (status != WZ_OK)
        return status;
    if (peek(p) != ')')
        return fail_at(p, open, "a group without its closing parenthesis");
    p->at++;
    p->depth--;
    return WZ_OK;
}

static wz_status parse_atom(parser *p, uint32_t *out)
{
    wz_byte_set set = {{0}};
    int single = -1;
    switch (peek(p)) {
    case '(':
        p->at++;
        return parse_group(p, out);
    case '[':
        p->at++;
        return parse_class(p, out);
    case '\\': {
        p->at++;
        wz_status status = parse_escape(p, &set, &single);
        return status == WZ_OK ? add_bytes(p, &set, out) : status;
    }
    case '.':
        return fail_at(p, p->at,
                       "'.' is not in the dialect; write \\. for a dot or [^\\n] for any byte of a line");
    case '^':
    case '$':
        return fail_at(p, p->at,
                       "the whole completion always matches; write \\^ or \\$ for the character itself");
    case '*':
    case '+':
    case '?':
    case '{':
        return fail_at(p, p->at, "a repetition with nothing before it");
    case '}':
    case ']':
        return fail_at(p, p->at, "a closing bracket that was not opened; escape it with a backslash");
    default:
        return parse_literal(p, out);
    }
}

static wz_status parse_count(parser *p, uint32_t *out)
{
    size_t at = p->at;
    uint32_t value = 0;
    while (peek(p) >= '0' && peek(p) <= '9') {
        value = value * 10 + (uint32_t)(p->pattern[p->at++] - '0');
        if (value > MAX_REPEAT)
            return fail_at(p, at, "a repetition count over 10000");
    }
    *out = value;
    return p->at > at ? WZ_OK : fail_at(p, at, "a repetition is written {n}, {n,} or {n,m}");
}

/* Reads a quantifier if there is one. */
static wz_status parse_quantifier(parser *p, uint32_t *minimum, uint32_t *maximum, bool *found)
{
    size_t at = p->at;
    char c = peek(p);
    *found = c == '*' || c == '+' || c == '?' || c == '{';
    *minimum = c == '+';
    *maximum = c == '?' ? 1 : WZ_REGEX_UNBOUNDED;
    if (!*found)
        return WZ_OK;
    p->at++;
    if (c != '{')
        return WZ_OK;
    wz_status status = parse_count(p, minimum);
    *maximum = *minimum;
    if (status == WZ_OK && peek(p) == ',') {
        p->at++;
        *maximum = WZ_REGEX_UNBOUNDED;
        if (peek(p) != '}')
            status = parse_count(p, maximum);
    }
    if (status != WZ_OK)
        return status;
    if (peek(p) != '}')
        return fail_at(p, at, "a repetition is written {n}, {n,} or {n,m}");
    p->at++;
    return *maximum < *minimum ? fail_at(p, at, "a repetition whose upper count is below its lower count")
                               : WZ_OK;
}

static wz_status parse_sequence(parser *p, uint32_t *out)
{
    uint32_t last = WZ_REGEX_NONE;
    wz_status status = add_node(
        p, (wz_regex_node){.kind = WZ_REGEX_SEQUENCE, .child = WZ_REGEX_NONE, .sibling = WZ_REGEX_NONE}, out);
    while (status == WZ_OK && peek(p) != '\0' && peek(p) != '|' && peek(p) != ')') {
        uint32_t item = WZ_REGEX_NONE, minimum = 0, maximum = 0;
        bool repeated = false;
        status = parse_atom(p, &item);
        if (status == WZ_OK)
            status = parse_quantifier(p, &minimum, &maximum, &repeated);
        if (status == WZ_OK && repeated) {
            status = add_node(p,
                              (wz_regex_node){.kind = WZ_REGEX_REPEAT,
                                              .child = item,
                                              .sibling = WZ_REGEX_NONE,
                                              .minimum = minimum,
                                              .maximum = maximum},
                              &item);
            if (status == WZ_OK && (peek(p) == '*' || peek(p) == '+' || peek(p) == '?' || peek(p) == '{'))
                status = fail_at(p, p->at,
                                 "a repetition of a repetition; lazy and possessive forms mean nothing here");
        }
        if (status != WZ_OK)
            return status;
        if (last == WZ_REGEX_NONE)
            p->tree->nodes[*out].child = item;
        else
            p->tree->nodes[last].sibling = item;
        last = item;
    }
    return status;
}

static wz_status parse_choice(parser *p, uint32_t *out)
{
    uint32_t last = WZ_REGEX_NONE;
    wz_status status = add_node(
        p, (wz_regex_node){.kind = WZ_REGEX_CHOICE, .child = WZ_REGEX_NONE, .sibling = WZ_REGEX_NONE}, out);
    while (status == WZ_OK) {
        uint32_t item = WZ_REGEX_NONE;
        status = parse_sequence(p, &item);
        if (status != WZ_OK)
            return status;
        if (last == WZ_REGEX_NONE)
            p->tree->nodes[*out].child = item;
        else
            p->tree->nodes[last].sibling = item;
        last = item;
        if (peek(p) != '|')
            break;
        p->at++;
    }
    return status;
}

wz_status wz_regex_parse(const char *pattern, wz_regex *out, wz_error *err)
{
    memset(out, 0, sizeof *out);
    parser p = {.pattern = pattern, .tree = out, .err = err};
    wz_status status = parse_choice(&p, &out->root);
    if (status == WZ_OK && peek(&p) == ')')
        status = fail_at(&p, p.at, "a closing parenthesis that was not opened; escape it with a backslash");
    if (status != WZ_OK)
        wz_regex_clear(out);
    return status;
}

void wz_regex_clear(wz_regex *regex)
{
    free(regex->nodes);
    free(regex->sets);
    memset(regex, 0, sizeof *regex);
}
