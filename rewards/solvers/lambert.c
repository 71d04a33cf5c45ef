#include "rewards/solvers/lambert.h"

#include <math.h>

double wz_lambert_w(double excess)
{
    const double s = sqrt(2 * excess), q = exp(-1 - excess);
    double y = excess < 0.7 ? 1 - s * (1 - s * (1.0 / 3 - s * (1.0 / 36 + s * (1.0 / 270 + s / 4320))))
                            : q * (1 + q * (1 + q * (1.5 + q * 8 / 3)));
    if (s < 5e-3 || q < 1e-17) /* the expansions are exact: their next terms are s^6 / 17010 and 125/24 q^5 */
        return y;
    for (int i = 0; i < 8; i++) {
        /* f = y - ln y - 1 - excess, f' = 1 - 1/y, f'' = 1/y^2: y -= 2 f f' / (2 f'^2 - f f'') */
        const double f = y - log(y) - 1 - excess;
        const double change = 2 * f * y * (y - 1) / (2 * (y - 1) * (y - 1) - f);
        y -= change;
        if (fabs(change) <= 1e-5 * y * (1 - y)) /* the next one would be of its third power */
            break;
    }
    return y;
}
