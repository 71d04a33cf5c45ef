#include "tasks/csv.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"

#define CSV_LIMIT ((size_t)64 << 20) /* bytes */
#define FIELD_MAX 64                 /* characters of one number */

typedef struct csv_reader {
    const char *name, *at, *end, *line_start;
    size_t line;
    wz_table *table;
    size_t capacity;
    locale_t plain; /* the "C" locale */
} csv_reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static wz_status complain(const csv_reader *r, const char *where, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu:%zu: %s", r->name, r->line,
                   (size_t)(where - r->line_start) + 1, what);
}

/* One number between separators. */
static wz_status read_field(csv_reader *r, double *value, wz_error *err)
{
    char field[FIELD_MAX + 1];
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
    const char *start = r->at;
    while (r->at < r->end && *r->at != ',' && *r->at != '\n')
        r->at++;
    const char *last = r->at;
    while (last > start && is_blank(last[-1]))
        last--;
    const size_t size = (size_t)(last - start);
    if (size == 0)
        return complain(r, start, "an empty field where a number is expected", err);
    if (memchr(start, ';', size) != NULL)
        return complain(r, start, "a semicolon: columns are separated by commas", err);
    if (size > FIELD_MAX)
        return complain(r, start, "not a plain decimal number", err);
    memcpy(field, start, size);
    field[size] = '\0';
    if (strspn(field, "+-.0123456789eE") < size)
        return complain(r, start, "not a plain decimal number", err);
    char *rest = NULL;
    *value = strtod_l(field, &rest, r->plain);
    if (*rest != '\0')
        return complain(r, start, "not a plain decimal number", err);
    if (!isfinite(*value))
        return complain(r, start, "the number is too large", err);
    return WZ_OK;
}

static wz_status read_row(csv_reader *r, wz_error *err)
{
    size_t columns = 0;
    for (;;) {
        double value = 0.0;
        void *data = r->table->data;
        wz_status status = read_field(r, &value, err);
        if (status != WZ_OK)
            return status;
        const size_t place = r->table->rows * r->table->columns + columns;
        status = wz_grow(&data, &r->capacity, place + 1, sizeof(double), "a CSV table", err);
        r->table->data = data;
        if (status != WZ_OK)
            return status;
        r->table->data[place] = value;
        columns++;
        if (r->at == r->end || *r->at == '\n')
            break;
        r->at++; /* the comma */
    }
    if (r->table->rows > 0 && columns != r->table->columns)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu: %zu numbers where the rows above have %zu", r->name,
                       r->line, columns, r->table->columns);
    r->table->columns = columns;
    r->table->rows++;
    return WZ_OK;
}

static bool is_skipped(const csv_reader *r)
{
    const char *c = r->at;
    while (c < r->end && is_blank(*c))
        c++;
    return c == r->end || *c == '\n' || *c == '#';
}

wz_status wz_csv_parse(const char *name, const char *text, size_t length, wz_table *out, wz_error *err)
{
    static const char mark[] = WZ_BYTE_ORDER_MARK;
    csv_reader r = {.name = name, .at = text, .end = text + length, .table = out};
    if (length >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
        r.at += strlen(mark);
    wz_status status = WZ_OK;
    memset(out, 0, sizeof *out);
    r.plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (r.plain == (locale_t)0)
        return wz_fail(err, WZ_ERR_RESOURCE, "%s: out of memory for the C locale", name);
    while (status == WZ_OK && r.at < r.end) {
        r.line++;
        r.line_start = r.at;
        if (is_skipped(&r))
            while (r.at < r.end && *r.at != '\n')
                r.at++;
        else
            status = read_row(&r, err);
        if (r.at < r.end)
            r.at++; /* the line break */
    }
    freelocale(r.plain);
    if (status == WZ_OK && out->rows == 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: no numbers in the file", name);
    if (status != WZ_OK) {
        free(out->data);
        memset(out, 0, sizeof *out);
    }
    return status;
}

wz_status wz_csv_read(const char *path, wz_table *out, wz_error *err)
{
    wz_text text = {0};
    memset(out, 0, sizeof *out);
    wz_status status = wz_file_read(path, CSV_LIMIT, &text, err);
    if (status == WZ_OK)
        status = wz_csv_parse(path, text.data == NULL ? "" : text.data, text.length, out, err);
    wz_text_clear(&text);
    return status;
}
