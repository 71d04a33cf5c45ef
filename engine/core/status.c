#include "engine/core/status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

wz_status wz_fail(wz_error *err, wz_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return status;
}

wz_status wz_fail_prefix(wz_error *err, wz_status status, const char *format, ...)
{
    if (err != NULL) {
        char old[sizeof err->text];
        memcpy(old, err->text, sizeof old);
        old[sizeof old - 1] = '\0';
        va_list args;
        va_start(args, format);
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
            (void)snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", old);
    }
    return status;
}

wz_status wz_fail_renamed(wz_error *err, wz_status status, const char *from, const char *to)
{
    const size_t old = strlen(from), new = strlen(to);
    assert(old > 0 && new <= old);
    for (char *at = err != NULL ? strstr(err->text, from) : NULL; at != NULL; at = strstr(at + new, from)) {
        memmove(at + new, at + old, strlen(at + old) + 1);
        for (size_t i = 0; i < new; i++)
            at[i] = to[i];
    }
    return status;
}
