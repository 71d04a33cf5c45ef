#include "engine/run/markup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

static void put(wz_markup *m, const char *bytes, size_t length)
{
    if (m->status == WZ_OK)
        m->status = wz_text_append(&m->text, bytes, length, m->err);
}

void wz_markup_raw(wz_markup *m, const char *markup)
{
    put(m, markup, strlen(markup));
}

void wz_markup_print(wz_markup *m, const char *format, ...)
{
    char line[2048];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    wz_markup_raw(m, line);
}

static const char *entity_of(utf8proc_int32_t c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default: /* XML 1.0, production 2 */
        return c < 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0xfffe || c == 0xffff ? "\xef\xbf\xbd"
                                                                                           : NULL;
    }
}

void wz_markup_bytes(wz_markup *m, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t c = -1;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)bytes + i, (utf8proc_ssize_t)(length - i), &c);
        const char *entity = entity_of(step > 0 ? c : -1);
        step = step > 0 ? step : 1;
        if (entity != NULL)
            wz_markup_raw(m, entity);
        else
            put(m, bytes + i, (size_t)step);
        i += (size_t)step;
    }
}

void wz_markup_text(wz_markup *m, const char *text)
{
    wz_markup_bytes(m, text, strlen(text));
}

void wz_markup_element(wz_markup *m, const char *tag, const char *text)
{
    wz_markup_print(m, "<%s>", tag);
    wz_markup_text(m, text);
    wz_markup_print(m, "</%s>", tag);
}
