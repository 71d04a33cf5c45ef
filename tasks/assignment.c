#include "tasks/assignment.h"

#include <math.h>
#include <string.h>

#include "tasks/own_gains.h"
#include "tasks/rows.h"

enum { OPTION_USERS, OPTION_SNR_DB, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"users", 4, 2, WZ_MAX_USERS, 1, "users, and as many blocks", NULL},
    {"snr_db", 10, -10, 30, 0, "mean signal-to-noise ratio of a user on a block, in dB", NULL},
};

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_USERS] * (size_t)values[OPTION_USERS];
}

static size_t payload_bytes(const double *values)
{
    return sizeof(wz_assignment) + number_count(values) * sizeof(double);
}

static void derive(wz_problem *problem)
{
    wz_assignment *p = problem->payload;
    p->users = problem->size;
    p->rate = (double *)(p + 1);
    for (size_t entry = 0; entry < problem->number_count; entry++)
        p->rate[entry] = problem->numbers[entry];
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double snr = pow(10.0, problem->values[OPTION_SNR_DB] / 10.0);
    const size_t users = problem->size;
    int32_t printed[WZ_MAX_USERS * WZ_MAX_USERS], largest = 0;
    uint8_t order[WZ_MAX_USERS];
    (void)err;
    while (largest == 0)
        for (size_t entry = 0; entry < problem->number_count; entry++) {
            printed[entry] = (int32_t)round(10.0 * log2(1.0 + snr * wz_draws_exponential(draws)));
            largest = printed[entry] > largest ? printed[entry] : largest;
        }
    wz_rows_by_regret(users, users, printed, order);
    wz_rows_take(users, users, printed, order, problem->numbers);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    uint8_t order[WZ_MAX_USERS];
    wz_status status =
        wz_problem_check_range(problem, 0, problem->number_count, 0, WZ_MAX_TENTHS, "a rate", err);
    if (status != WZ_OK)
        return status;
    wz_rows_by_regret(problem->size, problem->size, problem->numbers, order);
    status = wz_rows_check_order(problem, order, "user",
                                 "users are numbered by falling difference between best and second best "
                                 "rate, then by falling best rate",
                                 err);
    int32_t largest = 0;
    for (size_t entry = 0; entry < problem->number_count; entry++)
        largest = problem->numbers[entry] > largest ? problem->numbers[entry] : largest;
    if (status == WZ_OK && largest == 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "assignment: all rates are 0: no answer is worth anything");
    return status;
}

/* Users number themselves, by what blocks cannot change; the parts that change places are the blocks. */
static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    const size_t users = from->size;
    for (size_t i = 0; i < users; i++)
        for (size_t j = 0; j < users; j++)
            to->numbers[i * users + j] = from->numbers[i * users + order[j]];
    for (size_t j = 0; j < users; j++)
        to->source[j] = order[j];
}

static void restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored)
{
    for (size_t i = 0; i < reordered->size; i++)
        restored[i] = reordered->source[decision[i]];
}

/* Row i, column j: the signal-to-noise ratio of user i on block j, linear. source: each user's row. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    static const char shape[] = "square, one row per user and one column per block";
    double own[OPTION_COUNT];
    int32_t printed[WZ_MAX_USERS * WZ_MAX_USERS];
    if (rows != columns)
        return wz_own_refuse_shape(&wz_task_assignment, &gains, shape, err);
    memcpy(own, values, sizeof own);
    own[OPTION_USERS] = (double)rows;
    wz_status status = wz_own_open(&wz_task_assignment, own, &gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t entry = 0; entry < out->number_count; entry++)
        printed[entry] = wz_own_tenths(out, data[entry], 0, WZ_MAX_TENTHS);
    wz_rows_by_regret(rows, rows, printed, out->source);
    wz_rows_take(rows, rows, printed, out->source, out->numbers);
    return wz_own_close(out, out->number_count, "rates up to 20 bit/s/Hz", err);
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    wz_words_printf(words, " user block rate");
    for (size_t i = 0; i < problem->size; i++)
        wz_word_row_by_falling(words, i, problem->size, problem->numbers + i * problem->size);
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const size_t users = problem->size;
    char label[3];
    wz_label(users - 1, label);
    wz_words_printf(
        words,
        "%zu users, numbered 1 to %zu, are to be served on %zu resource blocks, A to %s. The rate "
        "of each user on each block, in bit/s/Hz:\n",
        users, users, users, label);
    for (size_t i = 0; i < users; i++) {
        wz_words_printf(words, "User %zu:", i + 1);
        for (size_t j = 0; j < users; j++) {
            const int32_t tenths = problem->numbers[i * users + j];
            wz_label(j, label);
            wz_words_printf(words, "%s %s %d.%d", j == 0 ? "" : ",", label, (int)(tenths / 10),
                            (int)(tenths % 10));
        }
        wz_words_printf(words, "\n");
    }
    wz_words_printf(words, "Each user gets exactly one block, and no block is given to two users. Choose the "
                           "assignment that maximises the sum of the users' rates.\n");
    wz_words_ask(words, "the %zu block labels in the order of the users, separated by single spaces", users);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add(out, WZ_SLOT_LABEL, (unsigned)problem->size, problem->size);
}

const wz_task wz_task_assignment = {
    .name = "assignment",
    .title = "User-to-block assignment: a block for each user that maximises the sum rate",
    .text_version = 1,
    .stream = 1,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_USERS,
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
