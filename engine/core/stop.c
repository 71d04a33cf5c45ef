#include "engine/core/stop.h"

#include <stddef.h>

wz_status wz_stop_check(wz_stop *stop, wz_error *err)
{
    const int number = stop != NULL ? *stop : 0;
    return number == 0 ? WZ_OK : wz_fail(err, WZ_STATUS_SIGNAL(number), "interrupted");
}
