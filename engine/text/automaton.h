/* Byte automata of the grammar's regular expressions: pattern -> tree (regex.c) -> NFA (nfa.c) -> DFA (dfa.c). */
#ifndef WZ_TEXT_AUTOMATON_H
#define WZ_TEXT_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

typedef struct wz_byte_set {
    uint64_t bits[4];
} wz_byte_set;

static inline bool wz_byte_set_has(const wz_byte_set *set, unsigned char byte)
{
    return (set->bits[byte >> 6] >> (byte & 63)) & 1;
}

typedef enum wz_nfa_kind {
    WZ_NFA_BYTES, /* reads one byte of a set, goes on to next */
    WZ_NFA_SPLIT, /* reads nothing, goes on to next and to other */
    WZ_NFA_ACCEPT
} wz_nfa_kind;

typedef struct wz_nfa_state {
    wz_nfa_kind kind;
    uint32_t next, other;
    uint32_t set; /* BYTES: index into sets */
} wz_nfa_state;

typedef struct wz_nfa {
    wz_nfa_state *states;
    size_t state_count, state_capacity;
    wz_byte_set *sets;
    size_t set_count;
    uint32_t start;
} wz_nfa;

/* Compiles a pattern; what is wrong is named with its position (bytes from the pattern's start). */
wz_status wz_nfa_create(const char *pattern, wz_nfa *out, wz_error *err);
void wz_nfa_clear(wz_nfa *nfa);

/* A sparse set of NFA states in which a closure is collected. */
typedef struct wz_nfa_set {
    uint32_t *items; /* [count] BYTES and ACCEPT states only; SPLIT states are followed, not kept */
    size_t count;
    uint32_t *stamp; /* [state_count]: seen in this round when equal to round */
    uint32_t round;
    uint32_t *stack; /* [state_count] */
} wz_nfa_set;
wz_status wz_nfa_set_init(const wz_nfa *nfa, wz_nfa_set *set, wz_error *err);
void wz_nfa_set_clear(wz_nfa_set *set);
void wz_nfa_set_empty(wz_nfa_set *set);
/* Adds a state and all it reaches without reading. */
void wz_nfa_set_add(const wz_nfa *nfa, wz_nfa_set *set, uint32_t state);

#define WZ_DFA_DEAD UINT32_MAX

typedef struct wz_dfa {
    uint8_t class_of[256]; /* bytes that no transition tells apart share a class */
    size_t class_count;
    uint32_t *next;     /* [state_count][class_count]; WZ_DFA_DEAD where no accepting state can follow */
    bool *accepts;      /* [state_count] */
    uint32_t *distance; /* [state_count] bytes of a shortest way to acceptance */
    uint8_t *toward;    /* [state_count] first byte of such a way */
    size_t state_count;
    uint32_t start; /* WZ_DFA_DEAD: the language is empty */
} wz_dfa;

wz_status wz_dfa_create(const wz_nfa *nfa, wz_dfa *out, wz_error *err);
void wz_dfa_clear(wz_dfa *dfa);

static inline uint32_t wz_dfa_step(const wz_dfa *dfa, uint32_t state, unsigned char byte)
{
    return dfa->next[state * dfa->class_count + dfa->class_of[byte]];
}

#endif
