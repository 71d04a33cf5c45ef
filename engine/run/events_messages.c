/* TensorBoard's event messages, each in the frame of a TFRecord. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/crc32c.h"
#include "engine/core/protobuf.h"
#include "engine/run/events.h"

/* Numbers of fields. */
enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION_LOG = 7
};
enum { SESSION_LOG_STATUS = 1, SESSION_LOG_START = 1 };
enum { SUMMARY_VALUE = 1 };
enum { VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_TENSOR = 8, VALUE_METADATA = 9 };
enum { METADATA_PLUGIN = 1, PLUGIN_NAME = 1, METADATA_DATA_CLASS = 4, DATA_CLASS_TENSOR = 2 };
enum { TENSOR_DTYPE = 1, TENSOR_SHAPE = 2, TENSOR_STRING = 8, SHAPE_DIM = 2, DIM_SIZE = 1, DT_STRING = 7 };

/* `inner` as a field of m; ends it. */
static void put_last(wz_message *m, unsigned field, wz_message *inner)
{
    wz_message_message(m, field, inner);
    wz_message_clear(inner);
}

static wz_message begin_event(double wall_s, int64_t step, wz_error *err)
{
    wz_message event = {.err = err};
    wz_message_double(&event, EVENT_WALL_TIME, wall_s);
    if (step != 0)
        wz_message_integer(&event, EVENT_STEP, step);
    return event;
}

static uint32_t masked(const void *bytes, size_t length)
{
    const uint32_t crc = wz_crc32c(bytes, length);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* Ends the event; its frame goes to out: length, its checksum, the message, its checksum. */
static wz_status frame(wz_message *event, wz_text *out, wz_error *err)
{
    const uint64_t length = event->bytes.length;
    const uint32_t head = masked(&length, sizeof length),
                   body = masked(event->bytes.data, event->bytes.length);
    wz_text framed = {0};
    wz_status status = event->status;
    if (status == WZ_OK)
        status = wz_text_append(&framed, (const char *)&length, sizeof length, err);
    if (status == WZ_OK)
        status = wz_text_append(&framed, (const char *)&head, sizeof head, err);
    if (status == WZ_OK)
        status = wz_text_append(&framed, event->bytes.data, event->bytes.length, err);
    if (status == WZ_OK)
        status = wz_text_append(&framed, (const char *)&body, sizeof body, err);
    if (status == WZ_OK)
        status = wz_text_append(out, framed.data, framed.length, err);
    wz_message_clear(event);
    wz_text_clear(&framed);
    return status;
}

wz_status wz_event_version(double wall_s, wz_text *out, wz_error *err)
{
    static const char version[] = "brain.Event:2";
    wz_message event = begin_event(wall_s, 0, err);
    wz_message_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    return frame(&event, out, err);
}

wz_status wz_event_start(double wall_s, int64_t step, wz_text *out, wz_error *err)
{
    wz_message event = begin_event(wall_s, step, err), session = {.err = err};
    wz_message_integer(&session, SESSION_LOG_STATUS, SESSION_LOG_START);
    put_last(&event, EVENT_SESSION_LOG, &session);
    return frame(&event, out, err);
}

static void put_scalar(wz_message *summary, const char *tag, double number)
{
    wz_message value = {.err = summary->err};
    if (!isfinite(number))
        return;
    wz_message_bytes(&value, VALUE_TAG, tag, strlen(tag));
    wz_message_float(&value, VALUE_SIMPLE, (float)number);
    put_last(summary, SUMMARY_VALUE, &value);
}

static void put_figure(wz_message *summary, const wz_figure *figure)
{
    char name[sizeof figure->name + 24];
    if (figure->kind != WZ_FIGURE_LIST) {
        put_scalar(summary, figure->name, figure->value);
        return;
    }
    for (size_t i = 0; i < figure->count; i++) {
        (void)snprintf(name, sizeof name, "%s/%zu", figure->name, i + 1);
        put_scalar(summary, name, figure->list[i]);
    }
}

wz_status wz_event_row(double wall_s, const wz_row *row, wz_text *out, wz_error *err)
{
    wz_message event = begin_event(wall_s, row->step, err), summary = {.err = err};
    for (size_t i = 0; i < row->count; i++)
        put_figure(&summary, &row->figures[i]);
    put_last(&event, EVENT_SUMMARY, &summary);
    return frame(&event, out, err);
}

wz_status wz_event_text(double wall_s, int64_t step, const char *tag, const char *text, size_t length,
                        wz_text *out, wz_error *err)
{
    wz_message event = begin_event(wall_s, step, err), summary = {.err = err}, value = {.err = err},
               metadata = {.err = err}, plugin = {.err = err}, tensor = {.err = err}, shape = {.err = err},
               dim = {.err = err};
    wz_message_bytes(&plugin, PLUGIN_NAME, "text", 4);
    put_last(&metadata, METADATA_PLUGIN, &plugin);
    wz_message_integer(&metadata, METADATA_DATA_CLASS, DATA_CLASS_TENSOR);
    wz_message_integer(&dim, DIM_SIZE, 1);
    put_last(&shape, SHAPE_DIM, &dim);
    wz_message_integer(&tensor, TENSOR_DTYPE, DT_STRING);
    put_last(&tensor, TENSOR_SHAPE, &shape);
    wz_message_bytes(&tensor, TENSOR_STRING, text, length);
    wz_message_bytes(&value, VALUE_TAG, tag, strlen(tag));
    put_last(&value, VALUE_TENSOR, &tensor);
    put_last(&value, VALUE_METADATA, &metadata);
    put_last(&summary, SUMMARY_VALUE, &value);
    put_last(&event, EVENT_SUMMARY, &summary);
    return frame(&event, out, err);
}
