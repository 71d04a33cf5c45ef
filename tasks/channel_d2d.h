/* Device-to-device channels in a square field (Cui, Shen, Yu 2019, "Spatial Deep Learning for Wireless Scheduling", section V;
 * path loss after ITU-R P.1411 as there).
 *
 * Transmitters lie uniformly in the field. The receiver of each lies at a uniform distance from min_distance_m to
 * max_distance_m in a uniform direction, drawn again if outside the field; all receivers are drawn again while any lies within
 * 1 m of any transmitter. Power received from transmitter j at receiver i, d metres away, in dB above the noise power:
 *     40 dBm - loss(d) + 2.5 dB [i = j] - noise - shadowing_db N(0,1) + 10 log10 Exp(1) (Rayleigh fading, if asked for)
 * where the noise is -169 dBm/Hz over 5 MHz and 2.5 dB the gain of antennas that point at each other. */
#ifndef WZ_TASKS_CHANNEL_D2D_H
#define WZ_TASKS_CHANNEL_D2D_H

#include <stdbool.h>

#include "engine/core/status.h"
#include "tasks/draws.h"
#include "tasks/link_table.h" /* WZ_MAX_LINKS */

#define WZ_D2D_BANDWIDTH_MHZ 5.0

typedef struct wz_d2d_field {
    size_t links; /* <= WZ_MAX_LINKS */
    double field_m, min_distance_m, max_distance_m;
    double shadowing_db; /* standard deviation; 0: none */
    bool rayleigh;
} wz_d2d_field;

/* Loss of the median path of d > 0 metres in dB: carrier 2.4 GHz, both antennas 1.5 m high, wavelength lambda.
 *     |20 log10(lambda^2 / (8 pi h^2))| + 6 + 20 log10(d / R) (1 + [d > R]),    R = 4 h^2 / lambda */
double wz_d2d_loss_db(double distance_m);

/* Draws a field: power_db (links, links), [i][j] from transmitter j at receiver i, in dB above the noise. Fails if the receivers
 * of so dense a field find no place. */
wz_status wz_d2d_draw(const wz_d2d_field *field, wz_draws *draws, double *power_db, wz_error *err);

#endif
