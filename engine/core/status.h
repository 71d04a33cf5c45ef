/* Status codes and error text.
 *
 * Every fallible function returns a wz_status and writes one message (what, where, what to do) into the
 * caller's wz_error. The numeric value of a status is the program's exit status. */
#ifndef WZ_CORE_STATUS_H
#define WZ_CORE_STATUS_H

typedef enum wz_status {
    WZ_OK = 0,
    WZ_ERR_RUNTIME = 1,  /* anything that has no code of its own, e.g. a failing write */
    WZ_ERR_USAGE = 2,    /* command line or configuration */
    WZ_ERR_CORRUPT = 3,  /* input data that cannot be what it claims to be */
    WZ_ERR_DIVERGED = 4, /* non-finite numbers in training */
    WZ_ERR_RESOURCE = 5, /* out of memory or disk space */
    WZ_ERR_DEVICE = 6    /* an accelerator is missing or failed */
} wz_status;

typedef struct wz_error {
    char text[1024]; /* always terminated; empty while nothing failed */
} wz_error;

#if defined(__GNUC__)
#define WZ_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#else
#define WZ_PRINTF(format_index, first_arg)
#endif

/* Writes the formatted message into err (which may be NULL) and returns status, so that a failing
 * function reads `return wz_fail(err, WZ_ERR_CORRUPT, "...")`. */
wz_status wz_fail(wz_error *err, wz_status status, const char *format, ...) WZ_PRINTF(3, 4);

/* Puts a prefix ("reading x.yaml: ") before the message that is already there; returns status. */
wz_status wz_fail_prefix(wz_error *err, wz_status status, const char *format, ...) WZ_PRINTF(3, 4);

/* Says `to`, which is no longer, wherever the message that is already there says `from`: of work on a temporary file, that of the
 * one that was asked for. Returns status. */
wz_status wz_fail_renamed(wz_error *err, wz_status status, const char *from, const char *to);

#endif
