#include "engine/core/protobuf.h"

#include <string.h>

void wz_message_start(wz_message *message, wz_error *err)
{
    *message = (wz_message){.status = WZ_OK, .err = err};
}

void wz_message_clear(wz_message *message)
{
    wz_text_clear(&message->bytes);
}

static void append(wz_message *m, const void *bytes, size_t count)
{
    if (m->status == WZ_OK)
        m->status = wz_text_append(&m->bytes, bytes, count, m->err);
}

static void append_varint(wz_message *m, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    do {
        bytes[count] = (unsigned char)((value & 127u) | (value > 127 ? 128u : 0u));
        value >>= 7;
        count++;
    } while (value > 0);
    append(m, bytes, count);
}

void wz_message_integer(wz_message *m, unsigned field, int64_t value)
{
    append_varint(m, (uint64_t)field << 3);
    append_varint(m, (uint64_t)value);
}

void wz_message_double(wz_message *m, unsigned field, double value)
{
    append_varint(m, (uint64_t)field << 3 | 1);
    append(m, &value, sizeof value);
}

void wz_message_float(wz_message *m, unsigned field, float value)
{
    append_varint(m, (uint64_t)field << 3 | 5);
    append(m, &value, sizeof value);
}

void wz_message_head(wz_message *m, unsigned field, uint64_t count)
{
    append_varint(m, (uint64_t)field << 3 | 2);
    append_varint(m, count);
}

void wz_message_bytes(wz_message *m, unsigned field, const void *bytes, size_t count)
{
    wz_message_head(m, field, count);
    append(m, bytes, count);
}

void wz_message_string(wz_message *m, unsigned field, const char *text)
{
    wz_message_bytes(m, field, text, strlen(text));
}

void wz_message_message(wz_message *m, unsigned field, wz_message *inner)
{
    if (m->status == WZ_OK)
        m->status = inner->status;
    wz_message_bytes(m, field, inner->bytes.data != NULL ? inner->bytes.data : "", inner->bytes.length);
    inner->bytes.length = 0;
}

/* ---- reading ---- */

static bool take_varint(const unsigned char **at, const unsigned char *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const unsigned char byte = *(*at)++;
        *out |= (uint64_t)(byte & 127u) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

bool wz_field_next(const unsigned char **at, const unsigned char *end, wz_field *out, bool *broken)
{
    uint64_t tag = 0;
    *broken = false;
    if (*at == end)
        return false;
    *broken = true;
    if (!take_varint(at, end, &tag) || tag >> 3 == 0 || tag >> 3 > 1u << 29)
        return false;
    *out = (wz_field){.number = (unsigned)(tag >> 3), .wire = (unsigned)(tag & 7)};
    if (out->wire == 0) {
        *broken = !take_varint(at, end, &out->value);
        return !*broken;
    }
    if (out->wire == 2 && !take_varint(at, end, &out->value))
        return false;
    if (out->wire == 1 || out->wire == 5)
        out->value = out->wire == 1 ? 8 : 4;
    else if (out->wire != 2)
        return false;
    if (out->value > (uint64_t)(end - *at))
        return false;
    out->bytes = *at;
    *at += out->value;
    *broken = false;
    return true;
}
