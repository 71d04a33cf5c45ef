#include "tasks/channel_cells.h"

#include <math.h>

#include "tasks/link_table.h" /* WZ_MAX_LINKS */

static const double root3 = 1.7320508075688772;
static const double user_height_m = 1.5;
static const double light_m_per_s = 3e8; /* as TR 38.901 has it */

/* What the two models of TR 38.901 differ in. */
typedef struct scenario {
    double site_height_m, least_m;
    double near_db, near_slope, far_db,
        beyond_slope; /* in line of sight, before and beyond the break point */
    double blocked_db, blocked_slope, blocked_carrier_slope, blocked_height;
    double sight_m; /* how fast line of sight is lost */
    double sigma_db, blocked_sigma_db;
} scenario;

static const scenario street_canyon = {10, 10, 32.4, 21, 32.4, 9.5, 22.4, 35.3, 21.3, 0.3, 36, 4, 7.82};
static const scenario urban_macro = {25, 35, 28, 22, 28, 9, 13.54, 39.08, 20, 0.6, 63, 4, 6};

static const scenario *scenario_of(wz_cell_model model)
{
    return model == WZ_CELLS_UMI ? &street_canyon : &urban_macro;
}

double wz_cells_least_m(wz_cell_model model, double radius_m)
{
    return model == WZ_CELLS_IMAC ? radius_m / 100 : scenario_of(model)->least_m;
}

/* PL1 = near + slope lg d3D + 20 lg fc up to the break point d'BP = 4 (hBS - 1) (hUT - 1) fc / c, beyond it
 * PL2 = far + 40 lg d3D + 20 lg fc - beyond lg(d'BP^2 + (hBS - hUT)^2). */
static double sight_loss_db(const scenario *s, double distance_m, double path_m, double carrier_ghz)
{
    const double breakpoint_m =
                     4 * (s->site_height_m - 1) * (user_height_m - 1) * carrier_ghz * 1e9 / light_m_per_s,
                 drop_m = s->site_height_m - user_height_m;
    if (distance_m <= breakpoint_m)
        return s->near_db + s->near_slope * log10(path_m) + 20 * log10(carrier_ghz);
    return s->far_db + 40 * log10(path_m) + 20 * log10(carrier_ghz) -
           s->beyond_slope * log10(breakpoint_m * breakpoint_m + drop_m * drop_m);
}

double wz_cells_loss_db(wz_cell_model model, bool line_of_sight, double distance_m, double carrier_ghz)
{
    const scenario *s = scenario_of(model);
    const double path_m = hypot(distance_m, s->site_height_m - user_height_m),
                 sight_db = sight_loss_db(s, distance_m, path_m, carrier_ghz);
    if (line_of_sight)
        return sight_db;
    return fmax(sight_db, s->blocked_db + s->blocked_slope * log10(path_m) +
                              s->blocked_carrier_slope * log10(carrier_ghz) -
                              s->blocked_height * (user_height_m - 1.5));
}

double wz_cells_line_of_sight(wz_cell_model model, double distance_m)
{
    if (distance_m <= 18)
        return 1;
    return 18 / distance_m + exp(-distance_m / scenario_of(model)->sight_m) * (1 - 18 / distance_m);
}

double wz_cells_noise_dbm(double bandwidth_mhz, double noise_figure_db)
{
    return -174 + 10 * log10(bandwidth_mhz * 1e6) + noise_figure_db;
}

/* Ring r has 6 r cells: from r steps along one axis, r steps in each of the six directions. */
void wz_cells_centre(size_t cell, double radius_m, double *x, double *y)
{
    static const int step[6][2] = {{-1, 1}, {-1, 0}, {0, -1}, {1, -1}, {1, 0}, {0, 1}};
    size_t ring = 0, first = 0; /* cell of the ring */
    while (cell > 0 && cell >= first + (ring > 0 ? 6 * ring : 1)) {
        first += ring > 0 ? 6 * ring : 1;
        ring++;
    }
    double q = (double)ring, r = 0; /* along axes 60 degrees apart */
    for (size_t taken = 0; taken < cell - first; taken++) {
        const int *side = step[taken / ring];
        q += side[0];
        r += side[1];
    }
    *x = root3 * radius_m * (q + r / 2);
    *y = root3 * radius_m * (root3 / 2) * r;
}

typedef struct point {
    double x, y;
} point;

/* Uniform in a hexagon whose corners point up and down (neighbours lie along x), but not next to the centre. */
static point draw_user(const wz_cells *layout, size_t cell, wz_draws *draws)
{
    const double radius_m = layout->radius_m, least_m = wz_cells_least_m(layout->model, radius_m);
    point centre, off;
    do {
        off.x = radius_m * root3 / 2 * (2 * wz_draws_uniform(draws) - 1);
        off.y = radius_m * (2 * wz_draws_uniform(draws) - 1);
    } while (fabs(off.y) + fabs(off.x) / root3 > radius_m || hypot(off.x, off.y) < least_m);
    wz_cells_centre(cell, radius_m, &centre.x, &centre.y);
    return (point){centre.x + off.x, centre.y + off.y};
}

/* Gain of the path between a base station and a user. Loss and shadowing are in dB, N(0, sigma) has either sign. */
static double draw_path(const wz_cells *layout, double distance_m, wz_draws *draws)
{
    double db;
    if (layout->model == WZ_CELLS_IMAC) {
        db = 30 * log10(200 / distance_m) + 8 * wz_draws_normal(draws);
    } else {
        const scenario *s = scenario_of(layout->model);
        const bool sight = wz_draws_uniform(draws) < wz_cells_line_of_sight(layout->model, distance_m);
        db = layout->power_dbm - wz_cells_loss_db(layout->model, sight, distance_m, layout->carrier_ghz) -
             (sight ? s->sigma_db : s->blocked_sigma_db) * wz_draws_normal(draws) -
             wz_cells_noise_dbm(layout->bandwidth_mhz, layout->noise_figure_db);
    }
    return pow(10, db / 10) * wz_draws_exponential(draws);
}

void wz_cells_draw(const wz_cells *layout, wz_draws *draws, double *gain)
{
    const size_t links = layout->links, cells = layout->cells;
    point user[WZ_MAX_LINKS];
    for (size_t i = 0; i < links; i++)
        user[i] = draw_user(layout, i % cells, draws);
    for (size_t i = 0; i < links; i++)
        for (size_t c = 0; c < cells; c++) {
            point site;
            wz_cells_centre(c, layout->radius_m, &site.x, &site.y);
            const double path = draw_path(layout, hypot(user[i].x - site.x, user[i].y - site.y), draws);
            for (size_t k = c; k < links; k += cells) /* links of that cell */
                gain[layout->model == WZ_CELLS_IMAC ? k * links + i : i * links + k] = path;
        }
}
