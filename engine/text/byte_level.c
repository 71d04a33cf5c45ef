/* GPT-2's alphabet: the 188 printable Latin-1 characters stand for their own byte, and the other 68
 * bytes, in order, for U+0100, U+0101, ... (Radford et al. 2019, `bytes_to_unicode`). */
#include "engine/text/tokenizer_internal.h"

#include <utf8proc.h>

static bool is_printable(uint32_t byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
}

/* Ranges of bytes that have no printable character, in order: 0..0x20, 0x7f..0xa0, 0xad. */
static uint32_t spell_byte(uint32_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100 + byte;
    return byte <= 0xa0 ? 0x100 + 0x21 + (byte - 0x7f) : 0x100 + 0x43;
}

static int read_character(uint32_t codepoint)
{
    if (codepoint < 0x100)
        return is_printable(codepoint) ? (int)codepoint : -1;
    uint32_t index = codepoint - 0x100;
    if (index <= 0x20)
        return (int)index;
    if (index <= 0x42)
        return (int)(index - 0x21 + 0x7f);
    return index == 0x43 ? 0xad : -1;
}

wz_status wz_byte_level_spell(const char *bytes, size_t length, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < length && status == WZ_OK;) {
        char part[128];
        size_t used = 0;
        for (; i < length && used + 4 <= sizeof part; i++)
            used += (size_t)utf8proc_encode_char((utf8proc_int32_t)spell_byte((unsigned char)bytes[i]),
                                                 (utf8proc_uint8_t *)part + used);
        status = wz_text_append(out, part, used, err);
    }
    return status;
}

wz_status wz_byte_level_read(const char *text, size_t length, wz_text *out, bool *known, wz_error *err)
{
    size_t before = out->length;
    *known = true;
    for (size_t i = 0; i < length;) {
        char part[64];
        size_t count = 0;
        for (; i < length && count < sizeof part; count++) {
            uint32_t codepoint = 0;
            int used = wz_utf8_character(text + i, length - i, &codepoint);
            int byte = used > 0 ? read_character(codepoint) : -1;
            if (byte < 0) {
                out->length = before;
                *known = false;
                return WZ_OK;
            }
            part[count] = (char)(unsigned char)byte;
            i += (size_t)used;
        }
        wz_status status = wz_text_append(out, part, count, err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}

/* Well-formed sequences by table 3-7 of the Unicode standard. */
int wz_utf8_character(const char *text, size_t length, uint32_t *codepoint)
{
    if (length == 0)
        return -1;
    unsigned char first = (unsigned char)text[0];
    if (first < 0x80) {
        *codepoint = first;
        return 1;
    }
    if (first < 0xc2 || first > 0xf4)
        return 0;
    int need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t value = first & (0xffu >> (need + 1));
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= length)
            return -1;
        unsigned char next = (unsigned char)text[i];
        unsigned char low = 0x80, high = 0xbf;
        if (i == 1) {
            low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
            high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        }
        if (next < low || next > high)
            return 0;
        value = value << 6 | (next & 0x3fu);
    }
    *codepoint = value;
    return need;
}
