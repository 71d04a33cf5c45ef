#include "tasks/channel_d2d.h"

#include <math.h>

static const double pi = 3.14159265358979323846;
static const double wavelength_m = 2.998e8 / 2.4e9;
static const double height_m = 1.5;
static const double antenna_gain_db = 2.5;
static const double power_dbm = 40;
static const double noise_dbm_per_hz = -169;
static const double closest_m = 1;

enum {
    RECEIVER_TRIES = 1000, /* of all receivers, before the transmitters are drawn again */
    FIELD_TRIES = 100
};

typedef struct place {
    double x, y;
} place;

static double distance(place a, place b)
{
    return hypot(a.x - b.x, a.y - b.y);
}

double wz_d2d_loss_db(double distance_m)
{
    const double breakpoint_m = 4 * height_m * height_m / wavelength_m,
                 loss_there_db =
                     fabs(20 * log10(wavelength_m * wavelength_m / (8 * pi * height_m * height_m))),
                 slope = distance_m > breakpoint_m ? 40 : 20;
    return loss_there_db + 6 + slope * log10(distance_m / breakpoint_m);
}

static place draw_receiver(const wz_d2d_field *field, place transmitter, wz_draws *draws)
{
    place at;
    do {
        const double d = field->min_distance_m +
                         (field->max_distance_m - field->min_distance_m) * wz_draws_uniform(draws),
                     angle = 2 * pi * wz_draws_uniform(draws);
        at = (place){transmitter.x + d * cos(angle), transmitter.y + d * sin(angle)};
    } while (at.x < 0 || at.y < 0 || at.x > field->field_m || at.y > field->field_m);
    return at;
}

/* Whether any receiver lies closer to any transmitter than the path loss model reaches. Its own may be as near as the options
 * say. */
static bool too_close(size_t links, const place *transmitter, const place *receiver)
{
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++)
            if (i != j && distance(receiver[i], transmitter[j]) < closest_m)
                return true;
    return false;
}

static bool place_links(const wz_d2d_field *field, wz_draws *draws, place *transmitter, place *receiver)
{
    for (int attempt = 0; attempt < FIELD_TRIES; attempt++) {
        for (size_t j = 0; j < field->links; j++) {
            transmitter[j].x = field->field_m * wz_draws_uniform(draws);
            transmitter[j].y = field->field_m * wz_draws_uniform(draws);
        }
        for (int again = 0; again < RECEIVER_TRIES; again++) {
            for (size_t i = 0; i < field->links; i++)
                receiver[i] = draw_receiver(field, transmitter[i], draws);
            if (!too_close(field->links, transmitter, receiver))
                return true;
        }
    }
    return false;
}

wz_status wz_d2d_draw(const wz_d2d_field *field, wz_draws *draws, double *power_db, wz_error *err)
{
    const size_t links = field->links;
    const double noise_dbm = noise_dbm_per_hz + 10 * log10(WZ_D2D_BANDWIDTH_MHZ * 1e6);
    place transmitter[WZ_MAX_LINKS], receiver[WZ_MAX_LINKS];
    if (!place_links(field, draws, transmitter, receiver))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%zu links in a field of %g m: no places were found that keep receivers %g m from the "
                       "transmitters; use a larger field",
                       links, field->field_m, closest_m);
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++) {
            double db = power_dbm - wz_d2d_loss_db(distance(receiver[i], transmitter[j])) - noise_dbm;
            db += i == j ? antenna_gain_db : 0;
            db -= field->shadowing_db > 0 ? field->shadowing_db * wz_draws_normal(draws) : 0;
            db += field->rayleigh ? 10 * log10(wz_draws_exponential(draws)) : 0;
            power_db[i * links + j] = db;
        }
    return WZ_OK;
}
