/* Channels of hexagonal cells: IMAC (Sun et al. 2018), and 3GPP TR 38.901 UMi street canyon and UMa.
 *
 * Geometry. Cells are regular hexagons of circumradius radius_m with a base station in the centre, numbered from the middle
 * outwards, ring by ring (neighbours are sqrt(3) radius_m apart). Link i belongs to cell i mod cells; its user lies uniformly in
 * that cell, at least the least distance below from the base station. All users share one channel.
 *
 * IMAC is uplink: the transmitter of link j is its user, the receiver of link i its base station.
 *     gain = (200 / d)^3 10^(N(0, 8) / 10) Exp(1), d >= radius_m / 100, in units of the noise at full power
 * UMi and UMa are downlink: the transmitter of link j is its base station, the receiver of link i its user.
 *     gain in dB = power_dbm - loss - N(0, sigma) - (-174 + 10 lg(bandwidth in Hz) + noise_figure_db) + 10 lg Exp(1)
 * each path is in line of sight or not with the probability of its distance; antennas are isotropic, base stations 10 m (UMi) or
 * 25 m (UMa) high, users outdoors and 1.5 m high, at least 10 m (UMi) or 35 m (UMa) away. sigma is 4 dB in line of sight, else
 * 7.82 dB (UMi) or 6 dB (UMa). Links of one cell share the paths of their base station. */
#ifndef WZ_TASKS_CHANNEL_CELLS_H
#define WZ_TASKS_CHANNEL_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "tasks/draws.h"

typedef enum wz_cell_model { WZ_CELLS_IMAC, WZ_CELLS_UMI, WZ_CELLS_UMA } wz_cell_model;

typedef struct wz_cells {
    wz_cell_model model;
    size_t links; /* <= WZ_MAX_LINKS */
    size_t cells; /* 1..links */
    double radius_m;
    double carrier_ghz, power_dbm, bandwidth_mhz, noise_figure_db; /* of UMi and UMa */
} wz_cells;

/* Least distance of a user from its base station. radius_m must be at least twice that. */
double wz_cells_least_m(wz_cell_model model, double radius_m);
/* Centre of a cell: 0 in the middle, 1..6 around it, and so on. */
void wz_cells_centre(size_t cell, double radius_m, double *x, double *y);
/* Path loss of TR 38.901, table 7.4.1-1, in dB, at a distance on the ground and a carrier of 0.5..100 GHz; and the probability
 * of line of sight, table 7.4.2-1, of an outdoor user. model: UMi or UMa. */
double wz_cells_loss_db(wz_cell_model model, bool line_of_sight, double distance_m, double carrier_ghz);
double wz_cells_line_of_sight(wz_cell_model model, double distance_m);
/* -174 + 10 lg(bandwidth in Hz) + noise figure. */
double wz_cells_noise_dbm(double bandwidth_mhz, double noise_figure_db);

/* gain (links, links): [i][j] from transmitter j to receiver i, linear, in units of the noise power at full power. */
void wz_cells_draw(const wz_cells *layout, wz_draws *draws, double *gain);

#endif
