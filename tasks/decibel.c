#include "tasks/decibel.h"

#include <math.h>

int32_t wz_whole_db(double linear, int offset, int maximum)
{
    const double above = linear > 0 ? round(10.0 * log10(linear)) + offset : 0.0;
    return (int32_t)fmin(fmax(above, 0.0), maximum);
}

double wz_from_whole_db(int32_t number, int offset)
{
    return pow(10.0, (number - offset) / 10.0);
}
