#include "tasks/offloading.h"

#include <math.h>

#include "tasks/decibel.h"
#include "tasks/rows.h"

enum { OPTION_USERS, OPTION_HEAVY_WEIGHT, OPTION_NEAREST_M, OPTION_STEP_M, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"users", 5, 2, WZ_MAX_EDGE_USERS, 1, "users that share the edge server", NULL},
    {"heavy_weight", 1.5, 1, 3, 0, "weight of every second user's rate, in steps of 0.1; the others have 1",
     NULL},
    {"nearest_m", 2.5, 1, 10, 0, "distance of the nearest user, in metres", NULL},
    {"step_m", 0.3, 0, 2, 0, "distance from each user to the next farther one, in metres", NULL},
};

#define PI 3.14159265358979323846
#define HARVESTED_W (0.7 * 3.0) /* u P */
#define CYCLES_PER_BIT 100.0    /* phi */
#define CAPACITANCE 1e-26       /* k */
#define NOISE_W 1e-10           /* N0 */
#define BANDWIDTH_HZ 2e6
#define OVERHEAD 1.1 /* v */

static int32_t heavy_tenths(const double *values)
{
    return (int32_t)lround(10 * values[OPTION_HEAVY_WEIGHT]);
}

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    return 2 * (size_t)values[OPTION_USERS];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_offloading);
}

static void derive(wz_problem *problem)
{
    wz_offloading *p = problem->payload;
    p->users = problem->size;
    for (int heavy = 0; heavy < WZ_EDGE_WEIGHTS; heavy++) {
        const double weight = heavy ? heavy_tenths(problem->values) / 10.0 : 1;
        p->scale[heavy] = weight * BANDWIDTH_HZ / (OVERHEAD * log(2.0)) / 1e6;
    }
    for (size_t i = 0; i < p->users; i++) {
        const double gain = wz_from_whole_db(problem->numbers[2 * i], WZ_EDGE_GAIN_DB_OFFSET);
        const int32_t weight = problem->numbers[2 * i + 1];
        p->local[i] = weight / 10.0 * cbrt(HARVESTED_W) / CYCLES_PER_BIT * cbrt(gain / CAPACITANCE) / 1e6;
        p->snr[i] = HARVESTED_W * gain * gain / NOISE_W;
        p->heavy[i] = weight != 10;
    }
}

/* What users are numbered by: gain, then weight. */
static int32_t key_of(const int32_t *user)
{
    return 1000 * user[0] + user[1];
}

/* Numbers users (pairs of gain and weight) by falling key. */
static void number_users(const int32_t *pairs, wz_problem *problem)
{
    int32_t key[WZ_MAX_EDGE_USERS];
    for (size_t i = 0; i < problem->size; i++)
        key[i] = key_of(pairs + 2 * i);
    wz_rows_by_falling(problem->size, key, problem->source);
    for (size_t i = 0; i < problem->size; i++) {
        problem->numbers[2 * i] = pairs[2 * problem->source[i]];
        problem->numbers[2 * i + 1] = pairs[2 * problem->source[i] + 1];
    }
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double *values = problem->values, wavelength_m = 299792458.0 / 915e6;
    int32_t pairs[2 * WZ_MAX_EDGE_USERS] = {0};
    (void)err;
    for (size_t i = 0; i < problem->size; i++) {
        const double distance_m = values[OPTION_NEAREST_M] + values[OPTION_STEP_M] * (double)i,
                     mean = 3 * pow(wavelength_m / (4 * PI * distance_m), 2.8),
                     gain_db = 10 * log10(mean * wz_draws_exponential(draws));
        pairs[2 * i] = wz_clip_db(gain_db, WZ_EDGE_GAIN_DB_OFFSET, WZ_EDGE_GAIN_DB_MAX);
        pairs[2 * i + 1] = i % 2 == 0 ? 10 : heavy_tenths(values);
    }
    number_users(pairs, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    const int32_t *numbers = problem->numbers, heavy = heavy_tenths(problem->values);
    for (size_t i = 0; i < problem->size; i++) {
        wz_status status = wz_problem_check_range(problem, 2 * i, 1, 0, WZ_EDGE_GAIN_DB_MAX, "a gain", err);
        if (status != WZ_OK)
            return status;
        if (numbers[2 * i + 1] != 10 && numbers[2 * i + 1] != heavy)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "offloading: number %zu, a weight in tenths, is %d; it must be 10 or %d",
                           2 * i + 2, (int)numbers[2 * i + 1], (int)heavy);
        if (i > 0 && key_of(numbers + 2 * i) > key_of(numbers + 2 * i - 2))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "offloading: user %zu has a larger gain, or at the same gain a larger weight, "
                           "than the one before it; users are numbered by falling gain, then weight",
                           i + 1);
    }
    return WZ_OK;
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    int32_t pairs[2 * WZ_MAX_EDGE_USERS] = {0};
    for (size_t i = 0; i < from->size; i++) {
        pairs[2 * i] = from->numbers[2 * order[i]];
        pairs[2 * i + 1] = from->numbers[2 * order[i] + 1];
    }
    number_users(pairs, to);
    for (size_t i = 0; i < from->size; i++)
        to->source[i] = order[to->source[i]];
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " edge task user %zu dB plus %d 0 to %d weight %d", problem->size,
                    WZ_EDGE_GAIN_DB_OFFSET, WZ_EDGE_GAIN_DB_MAX, (int)heavy_tenths(problem->values));
    for (size_t i = 0; i < problem->size; i++) {
        wz_word_label_small(words, i);
        wz_word_number(words, problem->numbers[2 * i]);
        wz_word_number(words, problem->numbers[2 * i + 1]);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    char label[3];
    wz_label(problem->size - 1, label);
    wz_words_printf(
        words,
        "%zu wireless devices, A to %s, are powered by radio and share an edge server. In a frame of length "
        "1 the server first transmits energy for a time a. Each device then computes its task either "
        "itself or at the server. A device of weight w and channel power gain h that computes itself "
        "contributes w (2.1)^(1/3) / 100 (h a / 1e-26)^(1/3) bit/s; one that offloads sends alone for a "
        "time t of its own and contributes w 2e6 / (1.1 ln 2) t ln(1 + 2.1e10 h^2 a / t) bit/s. The times "
        "a and all t add up to at most 1, and are chosen in the best way once it is known who offloads.\n",
        problem->size, label);
    for (size_t i = 0; i < problem->size; i++) {
        wz_label(i, label);
        wz_words_printf(words, "Device %s: gain %d dB, weight %d.%d\n", label,
                        (int)problem->numbers[2 * i] - WZ_EDGE_GAIN_DB_OFFSET,
                        (int)problem->numbers[2 * i + 1] / 10, (int)problem->numbers[2 * i + 1] % 10);
    }
    wz_words_printf(words, "Choose who offloads so that the sum of all contributions is largest.\n");
    wz_words_ask(words,
                 "%zu digits in the order of the devices, 1 for a device that offloads and 0 for one that "
                 "computes itself, separated by single spaces",
                 problem->size);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add_switches(out, problem->size);
}

const wz_task wz_task_offloading = {
    .name = "offloading",
    .title = "edge offloading: who computes at the edge, so that the weighted computation rate is largest",
    .text_version = 1,
    .stream = 9,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_USERS,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .reorder = reorder,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
