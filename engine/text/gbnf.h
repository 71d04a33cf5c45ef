/* Answer patterns as GBNF, the grammars of llama.cpp. */
#ifndef WZ_TEXT_GBNF_H
#define WZ_TEXT_GBNF_H

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* Appends a grammar whose `root` has exactly the strings of a pattern (engine/text/grammar.h). Bytes beyond ASCII, which
 * GBNF has no name for, are WZ_ERR_USAGE. */
wz_status wz_gbnf_from_pattern(const char *pattern, wz_text *out, wz_error *err);

#endif
