#include "tasks/ofdma.h"

#include <math.h>
#include <string.h>

#include "tasks/own_gains.h"
#include "tasks/rows.h"

enum {
    OPTION_USERS,
    OPTION_BLOCKS,
    OPTION_OBJECTIVE,
    OPTION_MINIMUM_SHARE,
    OPTION_SNR_LOW_DB,
    OPTION_SNR_HIGH_DB,
    OPTION_COUNT
};

static const char *const objectives[] = {"sum_rate", "proportional_fair", NULL};

static const wz_task_option options[OPTION_COUNT] = {
    {"users", 3, 2, WZ_MAX_BLOCK_USERS, 1, "users that share the blocks", NULL},
    {"blocks", 6, 2, WZ_MAX_BLOCKS, 1, "resource blocks", NULL},
    {"objective", 0, 0, 1, 1, "sum of the users' rates, or their geometric mean", objectives},
    {"minimum_share", 0.6, 0, 1, 0, "of the largest rate that all users can have: each user's minimum", NULL},
    {"snr_low_db", 0, -20, 40, 0, "smallest mean signal-to-noise ratio of a user, in dB", NULL},
    {"snr_high_db", 20, -20, 40, 0, "largest mean signal-to-noise ratio of a user, in dB", NULL},
};

#define MAX_RATES (WZ_MAX_BLOCKS * WZ_MAX_BLOCK_USERS)

static wz_status check(const double *values, wz_error *err)
{
    if (values[OPTION_BLOCKS] < values[OPTION_USERS])
        return wz_fail(err, WZ_ERR_USAGE, "task.blocks = %g is less than task.users = %g: not all could send",
                       values[OPTION_BLOCKS], values[OPTION_USERS]);
    if (values[OPTION_SNR_LOW_DB] > values[OPTION_SNR_HIGH_DB])
        return wz_fail(err, WZ_ERR_USAGE, "task.snr_low_db = %g is above task.snr_high_db = %g",
                       values[OPTION_SNR_LOW_DB], values[OPTION_SNR_HIGH_DB]);
    return WZ_OK;
}

/* ---- building a problem ---- */

static size_t blocks_of(const wz_problem *problem)
{
    return (size_t)problem->values[OPTION_BLOCKS];
}

static size_t number_count(const double *values)
{
    return 1 + (size_t)values[OPTION_USERS] * (size_t)values[OPTION_BLOCKS];
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_ofdma);
}

static void derive(wz_problem *problem)
{
    wz_ofdma *p = problem->payload;
    *p = (wz_ofdma){.users = problem->size,
                    .blocks = blocks_of(problem),
                    .objective = (wz_ofdma_objective)problem->values[OPTION_OBJECTIVE],
                    .minimum = problem->numbers[0],
                    .rate = problem->numbers + 1};
}

/* What users and blocks are numbered by. */
static void find_keys(size_t users, size_t blocks, const int32_t *rate, int32_t *sum, int32_t *best)
{
    memset(sum, 0, users * sizeof *sum);
    for (size_t b = 0; b < blocks; b++) {
        best[b] = 0;
        for (size_t k = 0; k < users; k++) {
            const int32_t one = rate[b * users + k];
            sum[k] += one;
            best[b] = one > best[b] ? one : best[b];
        }
    }
}

static int32_t minimum_of(const wz_problem *problem)
{
    unsigned owner[WZ_MAX_BLOCKS];
    const int32_t most = wz_max_min_rate(problem->size, blocks_of(problem), problem->numbers + 1, owner);
    return (int32_t)floor(problem->values[OPTION_MINIMUM_SHARE] * most + 1e-9);
}

/* Numbers users and blocks of a table (blocks, users) of rates, and states the minimum. */
static void take_rates(const int32_t *rate, wz_problem *problem)
{
    const size_t users = problem->size, blocks = blocks_of(problem);
    int32_t sum[WZ_MAX_BLOCK_USERS], best[WZ_MAX_BLOCKS];
    uint8_t order[WZ_MAX_BLOCKS];
    find_keys(users, blocks, rate, sum, best);
    wz_rows_by_falling(users, sum, problem->source);
    wz_rows_by_falling(blocks, best, order);
    for (size_t b = 0; b < blocks; b++)
        for (size_t k = 0; k < users; k++)
            problem->numbers[1 + b * users + k] = rate[order[b] * users + problem->source[k]];
    problem->numbers[0] = minimum_of(problem);
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double low = problem->values[OPTION_SNR_LOW_DB], high = problem->values[OPTION_SNR_HIGH_DB];
    const size_t users = problem->size, blocks = blocks_of(problem);
    int32_t rate[MAX_RATES] = {0};
    (void)err;
    for (size_t k = 0; k < users; k++) {
        const double mean = pow(10, (low + (high - low) * wz_draws_uniform(draws)) / 10);
        for (size_t b = 0; b < blocks; b++) {
            const double tenths = round(10 * log2(1 + mean * wz_draws_exponential(draws)));
            rate[b * users + k] = (int32_t)fmin(fmax(tenths, 1), WZ_BLOCK_RATE_MAX);
        }
    }
    take_rates(rate, problem);
    return WZ_OK;
}

/* Row k, column b: the signal-to-noise ratio of user k on block b, linear. source: each user's row. Blocks are numbered by
 * falling rate of their best user. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    static const char shape[] = "one row per user and one column per block, at least as many as users";
    double own[OPTION_COUNT];
    int32_t rate[MAX_RATES] = {0};
    if (columns < rows || columns > WZ_MAX_BLOCKS)
        return wz_own_refuse_shape(&wz_task_ofdma, &gains, shape, err);
    memcpy(own, values, sizeof own);
    own[OPTION_USERS] = (double)rows;
    own[OPTION_BLOCKS] = (double)columns;
    wz_status status = wz_own_open(&wz_task_ofdma, own, &gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t k = 0; k < rows; k++)
        for (size_t b = 0; b < columns; b++)
            rate[b * rows + k] = wz_own_tenths(out, data[k * columns + b], 1, WZ_BLOCK_RATE_MAX);
    take_rates(rate, out);
    return wz_own_close(out, rows * columns, "rates of 0.1 to 19.9 bit/s/Hz", err);
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    const size_t users = problem->size, blocks = blocks_of(problem);
    int32_t sum[WZ_MAX_BLOCK_USERS], best[WZ_MAX_BLOCKS];
    wz_status status =
        wz_problem_check_range(problem, 1, users * blocks, 1, WZ_BLOCK_RATE_MAX, "a rate in tenths", err);
    if (status != WZ_OK)
        return status;
    find_keys(users, blocks, problem->numbers + 1, sum, best);
    for (size_t k = 1; k < users; k++)
        if (sum[k] > sum[k - 1])
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "ofdma: user %zu has a larger sum of rates than the one before it; users are "
                           "numbered by falling sum",
                           k + 1);
    for (size_t b = 1; b < blocks; b++)
        if (best[b] > best[b - 1])
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "ofdma: block %zu has a larger best rate than the one before it; blocks are "
                           "numbered by falling best rate",
                           b + 1);
    const int32_t minimum = minimum_of(problem);
    if (problem->numbers[0] != minimum)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "ofdma: number 1, the minimum rate in tenths, is %d; with these rates and "
                       "minimum_share %g it is %d",
                       (int)problem->numbers[0], problem->values[OPTION_MINIMUM_SHARE], (int)minimum);
    return WZ_OK;
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    const size_t users = from->size, blocks = blocks_of(from);
    int32_t rate[MAX_RATES] = {0};
    for (size_t b = 0; b < blocks; b++)
        for (size_t k = 0; k < users; k++)
            rate[b * users + k] = from->numbers[1 + b * users + order[k]];
    take_rates(rate, to);
    for (size_t k = 0; k < users; k++)
        to->source[k] = order[to->source[k]];
}

/* Blocks keep their places: their numbering knows no users. */
static void restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored)
{
    for (size_t b = 0; b < blocks_of(reordered); b++)
        restored[b] = reordered->source[decision[b]];
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const wz_ofdma *p = problem->payload;
    wz_words_printf(words, " block %zu user %zu %s rate minimum %d", p->blocks, p->users,
                    p->objective == WZ_OFDMA_SUM_RATE ? "sum" : "per user", (int)p->minimum);
    for (size_t b = 0; b < p->blocks; b++)
        wz_word_row_by_falling(words, b, p->users, problem->numbers + 1 + b * p->users);
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const wz_ofdma *p = problem->payload;
    char label[3];
    wz_label(p->users - 1, label);
    wz_words_printf(words,
                    "A base station has %zu resource blocks for %zu users, A to %s, and gives each block to "
                    "one of them. Rates of the users on each block, in bit/s/Hz:\n",
                    p->blocks, p->users, label);
    for (size_t b = 0; b < p->blocks; b++) {
        wz_words_printf(words, "Block %zu:", b + 1);
        for (size_t k = 0; k < p->users; k++) {
            const int32_t tenths = problem->numbers[1 + b * p->users + k];
            wz_label(k, label);
            wz_words_printf(words, "%s %s %d.%d", k == 0 ? "" : ",", label, (int)tenths / 10,
                            (int)tenths % 10);
        }
        wz_words_printf(words, "\n");
    }
    wz_words_printf(words,
                    "A user's rate is the sum of its rates on the blocks it is given, and must be at least "
                    "%d.%d bit/s/Hz. Assign the blocks so that the %s of the users' rates is largest.\n",
                    (int)p->minimum / 10, (int)p->minimum % 10,
                    p->objective == WZ_OFDMA_SUM_RATE ? "sum" : "geometric mean");
    wz_words_ask(words,
                 "the letters of the %zu blocks' users in the order of the blocks, separated by single "
                 "spaces",
                 p->blocks);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_LABEL, (unsigned)problem->size, blocks_of(problem));
}

const wz_task wz_task_ofdma = {
    .name = "ofdma",
    .title = "OFDMA: resource blocks to users with minimum rates, for the sum rate or proportional fairness",
    .text_version = 1,
    .stream = 8,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_USERS,
    .check = check,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .import = import,
    .reorder = reorder,
    .restore = restore,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
