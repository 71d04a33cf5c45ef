#include "engine/run/sweep_stats.h"

#include <math.h>

#define PI 3.14159265358979323846

wz_moments wz_moments_of(const double *values, size_t count)
{
    wz_moments m = {.mean = 0.0};
    double squares = 0.0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i])) {
            m.mean += values[i];
            m.count++;
        }
    m.mean = m.count > 0 ? m.mean / (double)m.count : NAN;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            squares += (values[i] - m.mean) * (values[i] - m.mean);
    m.deviation = m.count > 1 ? sqrt(squares / (double)(m.count - 1)) : NAN;
    return m;
}

/* With theta = atan(t / sqrt(degrees)), P(|T| <= t) is a finite sum of sines and cosines (Abramowitz and Stegun 1964, 26.7.3
 * and 26.7.4):
 *   odd degrees     (2 / pi) (theta + sin theta (cos theta + (2/3) cos^3 theta + (2 4)/(3 5) cos^5 theta + ...)),
 *   even degrees    sin theta (1 + (1/2) cos^2 theta + (1 3)/(2 4) cos^4 theta + ...),
 * both up to the power degrees - 2. */
double wz_student_two_sided(double t, size_t degrees)
{
    const double theta = atan(fabs(t) / sqrt((double)degrees)), cosine = cos(theta);
    const size_t first = degrees % 2; /* power of the first term; 0: an even one */
    double term = first == 1 ? cosine : 1.0, sum = 0.0;
    for (size_t power = first; power + 2 <= degrees; power += 2) {
        sum += term;
        term *= cosine * cosine * (double)(power + 1) / (double)(power + 2);
    }
    sum *= sin(theta);
    const double inside = first == 1 ? 2.0 / PI * (theta + sum) : sum;
    return isnan(t) ? NAN : fmax(0.0, 1.0 - inside);
}

wz_paired wz_paired_test(const double *a, const double *b, size_t count)
{
    wz_paired result = {.difference = 0.0, .p_value = NAN};
    double squares = 0.0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(a[i] - b[i])) {
            result.difference += a[i] - b[i];
            result.count++;
        }
    result.difference = result.count > 0 ? result.difference / (double)result.count : NAN;
    for (size_t i = 0; i < count; i++)
        if (!isnan(a[i] - b[i]))
            squares += pow(a[i] - b[i] - result.difference, 2.0);
    if (result.count < 2 || !(squares > 0.0))
        return result;
    const double n = (double)result.count;
    result.p_value =
        wz_student_two_sided(result.difference / sqrt(squares / (n - 1.0) / n), result.count - 1);
    return result;
}
