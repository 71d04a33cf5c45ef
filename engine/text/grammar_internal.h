/* The token automaton: nodes are (automaton state, tokens since the last certain piece end). */
#ifndef WZ_TEXT_GRAMMAR_INTERNAL_H
#define WZ_TEXT_GRAMMAR_INTERNAL_H

#include "engine/text/automaton.h"
#include "engine/text/encoding_path.h"
#include "engine/text/grammar.h"

/* ---- the vocabulary as a tree of bytes (token_trie.c) ---- */
typedef struct wz_trie_node {
    uint32_t token;   /* whose bytes end here, or WZ_NO_TOKEN */
    uint32_t child;   /* first child, 0: none */
    uint32_t sibling; /* next child of the parent, 0: none */
    uint8_t byte;
} wz_trie_node;

typedef struct wz_trie {
    wz_trie_node *nodes; /* nodes[0] is the root */
    size_t count, capacity;
} wz_trie;
wz_status wz_trie_create(const wz_tokenizer *tokenizer, wz_trie *out, wz_error *err);
void wz_trie_clear(wz_trie *trie);

/* A token that keeps the automaton on a way to acceptance, and the state it leads to. */
typedef struct wz_move {
    uint32_t token, state;
} wz_move;
typedef struct wz_moves {
    wz_move *data;
    size_t count, capacity;
} wz_moves;
wz_status wz_trie_moves(const wz_trie *trie, const wz_dfa *dfa, uint32_t state, wz_moves *out, wz_error *err);

/* ---- the set ---- */
typedef enum wz_life {
    WZ_LIFE_UNKNOWN,
    WZ_LIFE_VISITING, /* on the way of the search that is under way */
    WZ_LIFE_ALIVE,    /* a string of the language has its encoding through here */
    WZ_LIFE_DEAD
} wz_life;

typedef struct wz_node {
    uint32_t pattern, state; /* index into patterns, state of its automaton */
    size_t path_start;       /* into path_tokens */
    uint32_t path_count;
    uint32_t mask;  /* 0: not asked for yet */
    uint32_t older; /* node with the same hash */
    uint8_t life;   /* wz_life */
    bool cut, accepts;
} wz_node;

typedef struct wz_pattern {
    char *text;
    wz_dfa dfa;
    uint32_t start; /* node */
} wz_pattern;

struct wz_grammar_set {
    const wz_tokenizer *tokenizer;
    wz_trie trie;
    wz_pattern *patterns;
    size_t pattern_count, pattern_capacity;
    wz_node *nodes;
    size_t node_count, node_capacity;
    wz_ids path_tokens;
    wz_map node_of_hash;
    wz_map step_of; /* node << 32 | token -> node */
    wz_mask *masks; /* [mask_count], number id at masks[id - 1] */
    size_t mask_count, mask_capacity;
    wz_map mask_of_hash;
    uint32_t *older_mask; /* [mask_count] mask with the same hash, 0: none */
    size_t older_mask_capacity;
    bool every_text_encodes; /* no normaliser, no byte without a token */
};

/* The node of an automaton state and a path; *out = WZ_NO_TOKEN when no encoding begins like this. */
wz_status wz_grammar_node(wz_grammar_set *set, uint32_t pattern, uint32_t state, const wz_path *path,
                          uint32_t *out, wz_error *err);
/* Whether an accepted string's encoding runs through the node. */
wz_status wz_grammar_is_alive(wz_grammar_set *set, uint32_t node, bool *alive, wz_error *err);
/* Fills the node's mask. */
wz_status wz_grammar_make_mask(wz_grammar_set *set, uint32_t node, wz_error *err);
/* The path of a node: borrowed, until nodes are added. */
wz_path wz_grammar_node_path(const wz_grammar_set *set, const wz_node *node);
/* The path of a node with one more token, in scratch. */
wz_status wz_grammar_extend(const wz_grammar_set *set, uint32_t node, uint32_t token, wz_ids *scratch,
                            wz_path *out, wz_error *err);

#endif
