/* NumPy's .npy files (NEP 1, numpy.lib.format): "\x93NUMPY", version, length of the header, a Python dictionary
 *     {'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }
 * padded with blanks, and the elements. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/gains_internal.h"

typedef struct npy_header {
    wz_raw_array array;
    char kind; /* 'f', 'i', 'u', 'c' */
    size_t element_bytes;
    bool is_swapped;
    size_t data; /* where the elements begin */
} npy_header;

typedef struct npy_reader {
    const char *name, *at, *end;
} npy_reader;

static wz_status complain(const npy_reader *r, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: not a NumPy array: %s", r->name, what);
}

/* ---- the dictionary ---- */

static bool skip_to(npy_reader *r, char wanted)
{
    while (r->at < r->end && isspace((unsigned char)*r->at))
        r->at++;
    if (r->at == r->end || *r->at != wanted)
        return false;
    r->at++;
    return true;
}

/* A quoted string of 1 to 15 characters without escapes. */
static bool read_string(npy_reader *r, char out[16])
{
    size_t length = 0;
    const bool is_double = skip_to(r, '"');
    if (!is_double && !skip_to(r, '\''))
        return false;
    while (r->at < r->end && *r->at != (is_double ? '"' : '\'')) {
        if (length == 15 || *r->at == '\\')
            return false;
        out[length++] = *r->at++;
    }
    out[length] = '\0';
    return length > 0 && r->at++ < r->end;
}

static bool read_word(npy_reader *r, const char *word)
{
    const size_t length = strlen(word);
    while (r->at < r->end && isspace((unsigned char)*r->at))
        r->at++;
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* A size of at most 2^40: what is larger no file holds. */
static bool read_size(npy_reader *r, size_t *out)
{
    size_t digits = 0;
    *out = 0;
    while (r->at < r->end && isspace((unsigned char)*r->at))
        r->at++;
    for (; r->at < r->end && isdigit((unsigned char)*r->at) && digits < 13; digits++)
        *out = *out * 10 + (size_t)(*r->at++ - '0');
    (void)read_word(r, "L"); /* Python 2 */
    return digits > 0 && digits < 13;
}

static wz_status read_shape(npy_reader *r, npy_header *header, wz_error *err)
{
    wz_raw_array *array = &header->array;
    if (!skip_to(r, '('))
        return complain(r, "its shape is no tuple", err);
    while (!skip_to(r, ')')) {
        if (array->rank == WZ_GAINS_RANK_MAX)
            return complain(r, "its shape has more than 32 dimensions", err);
        if (!read_size(r, &array->shape[array->rank++]))
            return complain(r, "a size in its shape is no possible one", err);
        if (!skip_to(r, ',') && (r->at == r->end || *r->at != ')'))
            return complain(r, "its shape is no tuple", err);
    }
    return WZ_OK;
}

static wz_status read_type(npy_reader *r, npy_header *header, wz_error *err)
{
    char text[16];
    if (skip_to(r, '['))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: an array of records; save one array of numbers", r->name);
    if (!read_string(r, text))
        return complain(r, "its type cannot be read", err);
    const size_t bytes = strlen(text) > 2 ? strtoul(text + 2, NULL, 10) : 0;
    header->kind = text[1];
    header->element_bytes = bytes;
    header->is_swapped = text[0] == '>';
    if (text[1] == 'O')
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: an array of pickled Python objects, which are not read: save an array of numbers "
                       "(numpy.asarray(gains, dtype=float))",
                       r->name);
    const bool is_real = text[1] == 'f' && (bytes == 2 || bytes == 4 || bytes == 8);
    const bool is_integer =
        (text[1] == 'i' || text[1] == 'u') && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    header->array.is_complex = text[1] == 'c' && (bytes == 8 || bytes == 16);
    if (strchr("<>|=", text[0]) == NULL || (!is_real && !is_integer && !header->array.is_complex) ||
        text[2 + strspn(text + 2, "0123456789")] != '\0')
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s: numbers of type '%s'; float16, float32, float64, integers and complex ones are read "
            "(numpy.asarray(gains, dtype=float))",
            r->name, text);
    return WZ_OK;
}

static wz_status read_order(npy_reader *r, npy_header *header, wz_error *err)
{
    header->array.order = read_word(r, "True") ? WZ_COLUMN_MAJOR : WZ_ROW_MAJOR;
    return header->array.order == WZ_COLUMN_MAJOR || read_word(r, "False")
               ? WZ_OK
               : complain(r, "its fortran_order is neither True nor False", err);
}

static wz_status read_dictionary(npy_reader *r, npy_header *header, wz_error *err)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    wz_status (*const read[])(npy_reader *, npy_header *, wz_error *) = {read_type, read_order, read_shape};
    unsigned seen = 0;
    if (!skip_to(r, '{'))
        return complain(r, "its header is no dictionary", err);
    while (!skip_to(r, '}')) {
        char key[16] = "";
        size_t k = 0;
        if (!read_string(r, key) || !skip_to(r, ':'))
            return complain(r, "its header is no dictionary", err);
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || (seen & (1u << k)) != 0)
            return complain(r, "its header has a key that does not belong there, or one twice", err);
        seen |= 1u << k;
        wz_status status = read[k](r, header, err);
        if (status != WZ_OK)
            return status;
        if (!skip_to(r, ',') && (r->at == r->end || *r->at != '}'))
            return complain(r, "its header is no dictionary", err);
    }
    return seen == 7 ? WZ_OK : complain(r, "its header lacks descr, fortran_order or shape", err);
}

/* ---- the file ---- */

static wz_status read_header(const char *name, const unsigned char *bytes, size_t length, npy_header *out,
                             wz_error *err)
{
    npy_reader r = {.name = name};
    *out = (npy_header){.array = {.name = name}};
    if (length < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return complain(&r, "it does not begin with NumPy's mark", err);
    const bool is_long = bytes[6] >= 2;
    const size_t start = is_long ? 12 : 10;
    if (bytes[6] < 1 || bytes[6] > 3 || length < start)
        return complain(&r, "its format version is none of 1.0, 2.0 and 3.0", err);
    size_t header = bytes[8] | (size_t)bytes[9] << 8;
    if (is_long)
        header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (header > length - start || header > WZ_NPY_HEAD - start)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s: not a NumPy array: its header is stated to have %zu bytes, more than there are or "
            "than a header has",
            name, header);
    r.at = (const char *)bytes + start;
    r.end = r.at + header;
    out->data = start + header;
    wz_status status = read_dictionary(&r, out, err);
    while (status == WZ_OK && r.at < r.end)
        if (!isspace((unsigned char)*r.at++))
            return complain(&r, "its header goes on behind the dictionary", err);
    return status;
}

wz_status wz_npy_measure(const char *name, const unsigned char *head, size_t length, bool coefficients,
                         size_t *bytes, wz_error *err)
{
    npy_header header;
    size_t count = 0;
    *bytes = 0;
    wz_status status = read_header(name, head, length, &header, err);
    if (status == WZ_OK)
        status = wz_gains_measure(&header.array, coefficients, &count, err);
    *bytes = header.data + count * header.element_bytes;
    return status;
}

/* A number of `bytes` bytes, least significant first. */
static uint64_t read_bits(const unsigned char *from, size_t bytes, bool is_swapped)
{
    uint64_t bits = 0;
    for (size_t b = 0; b < bytes; b++)
        bits |= (uint64_t)from[is_swapped ? bytes - 1 - b : b] << (8 * b);
    return bits;
}

/* IEEE 754 binary16: 1, 5 and 10 bits. */
static double read_half(unsigned bits)
{
    const int exponent = (int)(bits >> 10 & 31u), fraction = (int)(bits & 1023u);
    const double size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 != 0 ? -size : size;
}

static double read_number(char kind, const unsigned char *from, size_t bytes, bool is_swapped)
{
    const uint64_t bits = read_bits(from, bytes, is_swapped);
    if (kind == 'u')
        return (double)bits;
    if (kind == 'i') { /* the sign's bit stands for its negative */
        const uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
        return (double)(int64_t)((bits ^ sign) - sign);
    }
    if (bytes == 2)
        return read_half((unsigned)bits);
    if (bytes == 4) {
        const uint32_t low = (uint32_t)bits;
        float value = 0;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

wz_status wz_npy_parse(const char *name, const unsigned char *bytes, size_t length, bool coefficients,
                       wz_gains *out, wz_error *err)
{
    npy_header header;
    size_t count = 0;
    void *block = NULL;
    *out = (wz_gains){0};
    wz_status status = read_header(name, bytes, length, &header, err);
    if (status == WZ_OK)
        status = wz_gains_measure(&header.array, coefficients, &count, err);
    if (status != WZ_OK)
        return status;
    if (length - header.data != count * header.element_bytes)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: %zu bytes of numbers where its header asks for %zu: the file is %s", name,
                       length - header.data, count * header.element_bytes,
                       length - header.data < count * header.element_bytes ? "cut short" : "too long");
    const size_t parts = header.array.is_complex ? 2 : 1, width = header.element_bytes / parts;
    status = wz_alloc(&block, count * parts, sizeof(double), "an array", err);
    if (status != WZ_OK)
        return status;
    double *values = block;
    for (size_t k = 0; k < count * parts; k++)
        values[k] = read_number(header.kind == 'c' ? 'f' : header.kind, bytes + header.data + k * width,
                                width, header.is_swapped);
    status = wz_gains_arrange(&header.array, coefficients, values, out, err);
    free(block);
    return status;
}
