/* Event files that TensorBoard reads, without TensorFlow: TFRecord frames around Event messages in protobuf's wire format.
 *
 * A frame is  u64 length | u32 masked CRC-32C of it | message | u32 masked CRC-32C of the message, little-endian, where
 * mask(c) = ((c >> 15) | (c << 17)) + 0xa282ead8 (tensorflow/core/lib/io/record_writer.cc, lib/hash/crc32c.h).
 * Messages: tensorflow/core/util/event.proto and framework/summary.proto. */
#ifndef WZ_RUN_EVENTS_H
#define WZ_RUN_EVENTS_H

#include "engine/core/file.h"
#include "engine/run/row.h"

#define WZ_EVENTS_DIRECTORY "tb"

/* ---- messages, appended to a text as frames ---- */

wz_status wz_event_version(double wall_s, wz_text *out, wz_error *err);
/* SessionLog START: a reader forgets what it read of steps from this one on. */
wz_status wz_event_start(double wall_s, int64_t step, wz_text *out, wz_error *err);
/* Every finite figure of a row as a scalar; lists as NAME/1, NAME/2, ... */
wz_status wz_event_row(double wall_s, const wz_row *row, wz_text *out, wz_error *err);
/* Markdown for the Text tab. */
wz_status wz_event_text(double wall_s, int64_t step, const char *tag, const char *text, size_t length,
                        wz_text *out, wz_error *err);

/* ---- a run's files: one for each process that trained it ---- */

typedef struct wz_events {
    wz_log log;
    int64_t number; /* of the file */
    wz_text frame;
} wz_events;

/* Whether a name is that of a run's event file. */
bool wz_events_is_file(const char *name);

/* Where a checkpoint found them. */
typedef struct wz_events_mark {
    int64_t file; /* 0: none yet */
    uint64_t bytes;
} wz_events_mark;

/* Opens run_dir/tb/events.out.tfevents.NUMBER.wavezero with a number that was never used there, so that a TensorBoard that
 * is reading does not find other bytes behind its place. What older files hold beyond `mark` belongs to steps that are
 * trained again: the marked file is cut, later ones are deleted. Files that are gone are not missed. step: steps done. */
wz_status wz_events_open(wz_events *events, const char *run_dir, const wz_events_mark *mark, int64_t step,
                         wz_error *err);
wz_status wz_events_add_row(wz_events *events, const wz_row *row, wz_error *err);
wz_status wz_events_add_text(wz_events *events, int64_t step, const char *tag, const char *text,
                             size_t length, wz_error *err);
wz_status wz_events_sync(wz_events *events, wz_events_mark *mark, wz_error *err);
void wz_events_close(wz_events *events);

#endif
