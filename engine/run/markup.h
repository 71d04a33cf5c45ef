/* XHTML as text: what comes from files is escaped, the first failure stays. */
#ifndef WZ_RUN_MARKUP_H
#define WZ_RUN_MARKUP_H

#include "engine/core/memory.h"

typedef struct wz_markup {
    wz_text text;
    wz_status status;
    wz_error *err;
} wz_markup;

/* Our own markup, as it is. */
void wz_markup_raw(wz_markup *m, const char *markup);
/* Our own markup with numbers, or with texts that are ours. */
void wz_markup_print(wz_markup *m, const char *format, ...) WZ_PRINTF(2, 3);
/* Any text: <, >, &, " and ' become entities, bytes that are no UTF-8 or that XML forbids become U+FFFD. */
void wz_markup_bytes(wz_markup *m, const char *bytes, size_t length);
void wz_markup_text(wz_markup *m, const char *text);
/* <tag>text</tag> */
void wz_markup_element(wz_markup *m, const char *tag, const char *text);

#endif
