/* Syntax tree of a grammar pattern (regex.c), from which nfa.c builds the automaton. */
#ifndef WZ_TEXT_REGEX_H
#define WZ_TEXT_REGEX_H

#include "engine/text/automaton.h"

#define WZ_REGEX_UNBOUNDED UINT32_MAX
#define WZ_REGEX_NONE UINT32_MAX

typedef enum wz_regex_kind {
    WZ_REGEX_BYTES,    /* one byte of a set */
    WZ_REGEX_SEQUENCE, /* the children one after the other */
    WZ_REGEX_CHOICE,   /* one of the children, at least one */
    WZ_REGEX_REPEAT    /* the only child, minimum to maximum times */
} wz_regex_kind;

typedef struct wz_regex_node {
    wz_regex_kind kind;
    uint32_t child;            /* first child, or WZ_REGEX_NONE */
    uint32_t sibling;          /* next child of the same parent, or WZ_REGEX_NONE */
    uint32_t set;              /* BYTES: index into sets */
    uint32_t minimum, maximum; /* REPEAT; maximum may be WZ_REGEX_UNBOUNDED */
} wz_regex_node;

typedef struct wz_regex {
    wz_regex_node *nodes;
    size_t node_count, node_capacity;
    wz_byte_set *sets; /* no two equal */
    size_t set_count, set_capacity;
    uint32_t root;
} wz_regex;

/* Parses a pattern; what is wrong is named with its position (bytes from the pattern's start). */
wz_status wz_regex_parse(const char *pattern, wz_regex *out, wz_error *err);
void wz_regex_clear(wz_regex *regex);

#endif
