#include "tasks/decibel.h"

#include <math.h>

int32_t wz_clip_db(double db, int offset, int maximum)
{
    return (int32_t)fmin(fmax(round(db) + offset, 0.0), maximum);
}

int32_t wz_whole_db(double linear, int offset, int maximum)
{
    return linear > 0 ? wz_clip_db(10.0 * log10(linear), offset, maximum) : 0;
}

double wz_from_whole_db(int32_t number, int offset)
{
    return pow(10.0, (number - offset) / 10.0);
}
