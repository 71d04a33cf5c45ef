/* Lambert's W function where it is negative. */
#ifndef WZ_REWARDS_SOLVERS_LAMBERT_H
#define WZ_REWARDS_SOLVERS_LAMBERT_H

/* -W(-exp(-1 - excess)) of the principal branch, for excess >= 0: the y in (0, 1] with
 *     y - ln y = 1 + excess.
 * The argument is given as its excess because that is what the use has, and near the branch point -1/e (excess = 0) the
 * argument itself could not tell small ones apart. Halley's iteration from the expansions at both ends (Corless et
 * al. 1996, "On the Lambert W Function", sections 3 and 4); absolute error a few 1e-16. */
double wz_lambert_w(double excess);

#endif
