/* As much of protocol buffers' wire format as ONNX models and TensorBoard's event files need: fields of varints,
 * floating-point numbers and bytes; on little-endian machines. */
#ifndef WZ_CORE_PROTOBUF_H
#define WZ_CORE_PROTOBUF_H

#include "engine/core/memory.h"

/* A message under construction. The first failure is kept: check `status` once, at the end. */
typedef struct wz_message {
    wz_text bytes;
    wz_status status;
    wz_error *err;
} wz_message;

void wz_message_start(wz_message *message, wz_error *err);
void wz_message_clear(wz_message *message);
void wz_message_integer(wz_message *message, unsigned field, int64_t value);
void wz_message_double(wz_message *message, unsigned field, double value);
void wz_message_float(wz_message *message, unsigned field, float value);
void wz_message_bytes(wz_message *message, unsigned field, const void *bytes, size_t count);
void wz_message_string(wz_message *message, unsigned field, const char *text);
/* Appends `inner` as a field, and empties it. */
void wz_message_message(wz_message *message, unsigned field, wz_message *inner);
/* The head of a field of `count` bytes that follow elsewhere. */
void wz_message_head(wz_message *message, unsigned field, uint64_t count);

/* A field that was read. */
typedef struct wz_field {
    unsigned number, wire; /* wire: 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value;        /* of a varint; of bytes, their count */
    const unsigned char *bytes;
} wz_field;

/* The next field of [*at, end); moves *at beyond it. false: the end, or *broken: bytes that are no message. */
bool wz_field_next(const unsigned char **at, const unsigned char *end, wz_field *out, bool *broken);

#endif
