/* After PKWARE's APPNOTE 6.3: local headers (4.3.7), central directory (4.3.12), its end (4.3.16). Sizes are those of the
 * directory; every place is checked against the archive's length before it is read. */
#include "tasks/zip.h"

#include <string.h>
#include <zlib.h>

#define END_BYTES 22u
#define ENTRY_BYTES 46u
#define LOCAL_BYTES 30u
#define DEFLATE_MOST 1032u /* times a deflated stream can grow at most */

static uint32_t read16(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

static uint32_t read32(const unsigned char *at)
{
    return read16(at) | read16(at + 2) << 16;
}

static wz_status complain(const wz_zip *zip, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s", zip->path, what);
}

wz_status wz_zip_open(const char *path, const unsigned char *bytes, size_t length, wz_zip *out, wz_error *err)
{
    *out = (wz_zip){.path = path, .bytes = bytes, .length = length};
    const size_t farthest = END_BYTES + 65535u; /* a comment may follow */
    size_t back = END_BYTES;
    while (back <= length && back <= farthest && memcmp(bytes + length - back, "PK\5\6", 4) != 0)
        back++;
    if (back > length || back > farthest)
        return complain(out, "not a zip archive: it has no directory; the file may be cut short", err);
    const unsigned char *end = bytes + length - back;
    out->members = read16(end + 10);
    out->directory_bytes = read32(end + 12);
    out->directory = read32(end + 16);
    if (out->members == 0xffff || out->directory == 0xffffffff)
        return complain(out, "a zip64 archive: archives below 4 GiB are read", err);
    if (out->directory > length - back || out->directory_bytes > length - back - out->directory)
        return complain(out, "not a zip archive: its directory does not lie in the file", err);
    return WZ_OK;
}

/* Where the member's data begin: behind its local header, whose name and extra field have lengths of their own. */
static wz_status find_data(const wz_zip *zip, size_t local, wz_zip_member *member, wz_error *err)
{
    if (local > zip->length || zip->length - local < LOCAL_BYTES ||
        memcmp(zip->bytes + local, "PK\3\4", 4) != 0)
        return complain(zip, "a member of the archive does not lie in the file", err);
    const size_t start =
        local + LOCAL_BYTES + read16(zip->bytes + local + 26) + read16(zip->bytes + local + 28);
    if (start > zip->length || zip->length - start < member->packed)
        return complain(zip, "a member of the archive is cut short", err);
    member->data = zip->bytes + start;
    return WZ_OK;
}

wz_status wz_zip_next(const wz_zip *zip, size_t *at, wz_zip_member *out, wz_error *err)
{
    const unsigned char *entry = zip->bytes + zip->directory + *at;
    const size_t left = zip->directory_bytes - *at;
    if (left < ENTRY_BYTES || memcmp(entry, "PK\1\2", 4) != 0)
        return complain(zip, "the archive's directory is damaged", err);
    const size_t name = read16(entry + 28),
                 bytes = ENTRY_BYTES + name + read16(entry + 30) + read16(entry + 32);
    if (bytes > left)
        return complain(zip, "the archive's directory is damaged", err);
    *out = (wz_zip_member){.name = (const char *)entry + ENTRY_BYTES,
                           .name_length = name,
                           .method = read16(entry + 10),
                           .crc = read32(entry + 16),
                           .packed = read32(entry + 20),
                           .size = read32(entry + 24)};
    *at += bytes;
    if ((read16(entry + 8) & 1) != 0)
        return complain(zip, "a member of the archive is encrypted", err);
    if (out->method != 0 && out->method != 8)
        return complain(zip, "a member of the archive is neither stored nor deflated", err);
    if (out->size == 0xffffffff || out->packed == 0xffffffff)
        return complain(zip, "a zip64 archive: members below 4 GiB are read", err);
    if (out->method == 0 ? out->size != out->packed : out->size / DEFLATE_MOST > out->packed)
        return complain(zip, "a member of the archive is stated to hold more than it can", err);
    return find_data(zip, read32(entry + 42), out, err);
}

/* The stream must end where all its bytes are asked for, and give no fewer than are asked for. */
static bool inflate_member(const wz_zip_member *member, size_t count, unsigned char *out)
{
    z_stream stream = {.next_in = (unsigned char *)member->data, .avail_in = (uInt)member->packed};
    stream.next_out = out;
    stream.avail_out = (uInt)count;
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    const int result = inflate(&stream, Z_FINISH);
    const bool done = stream.avail_out == 0 && (result == Z_STREAM_END || count < member->size);
    (void)inflateEnd(&stream);
    return done;
}

wz_status wz_zip_unpack(const wz_zip *zip, const wz_zip_member *member, size_t count, unsigned char *out,
                        wz_error *err)
{
    if (count > member->size)
        return complain(zip, "a member of the archive is cut short", err);
    if (member->method == 0)
        memcpy(out, member->data, count);
    else if (!inflate_member(member, count, out))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: member '%.*s' of the archive is damaged: it does not unpack",
                       zip->path, (int)(member->name_length < 64 ? member->name_length : 64), member->name);
    if (count == member->size && crc32_z(0, out, count) != member->crc)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: member '%.*s' of the archive is damaged: its checksum differs", zip->path,
                       (int)(member->name_length < 64 ? member->name_length : 64), member->name);
    return WZ_OK;
}
