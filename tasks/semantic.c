#include "tasks/semantic.h"

#include <math.h>
#include <string.h>

#include "tasks/own_gains.h"
#include "tasks/rows.h"

enum {
    OPTION_USERS,
    OPTION_SPARE_CHANNELS,
    OPTION_MAX_SYMBOLS,
    OPTION_MINIMUM_ACCURACY,
    OPTION_SNR_DB,
    OPTION_COUNT
};

static const wz_task_option options[OPTION_COUNT] = {
    {"users", 4, 2, WZ_MAX_SEMANTIC_USERS, 1, "users that send text", NULL},
    {"spare_channels", 0, 0, WZ_MAX_SEMANTIC_CHANNELS - WZ_MAX_SEMANTIC_USERS, 1,
     "channels beyond one for each user", NULL},
    {"max_symbols", 8, 1, WZ_MAX_SYMBOLS, 1, "most channel symbols of a word", NULL},
    {"minimum_accuracy", 80, 0, 90, 1, "least probability that a word is understood, in percent", NULL},
    {"snr_db", 5, 0, 20, 0, "mean signal-to-noise ratio of a user on a channel, in dB", NULL},
};

/* exp(-(s + 10 log10 k - 4) / 2) is a product of what the SNR and what k says: tables cost one exponential an entry. */
static double snr_factor(double snr_db)
{
    return exp((4.0 - snr_db) / 2.0);
}

static double symbols_factor(unsigned symbols)
{
    return exp(-5.0 * log10(symbols));
}

double wz_semantic_accuracy(unsigned symbols, double snr_db)
{
    return 1.0 / (1.0 + snr_factor(snr_db) * symbols_factor(symbols));
}

double wz_semantic_snr_db(const wz_problem *problem, size_t user, size_t channel)
{
    const wz_semantic *p = problem->payload;
    return problem->numbers[user * p->channels + channel] - WZ_SEMANTIC_DB_OFFSET;
}

/* ---- building a problem ---- */

static size_t channels_of(const double *values)
{
    return (size_t)values[OPTION_USERS] + (size_t)values[OPTION_SPARE_CHANNELS];
}

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_USERS] * channels_of(values);
}

static size_t payload_bytes(const double *values)
{
    return sizeof(wz_semantic) + number_count(values) * (sizeof(double) + 1);
}

/* The best k of each user on each channel of a printed table, and its rate; as in the payload. */
static void best_symbols(const wz_problem *problem, const int32_t *printed, double *rate, uint8_t *symbols)
{
    const unsigned most = (unsigned)problem->values[OPTION_MAX_SYMBOLS];
    const double least = problem->values[OPTION_MINIMUM_ACCURACY] - WZ_ACCURACY_TOLERANCE;
    double factor[WZ_MAX_SYMBOLS + 1] = {0};
    for (unsigned k = 1; k <= most; k++)
        factor[k] = symbols_factor(k);
    for (size_t entry = 0; entry < problem->number_count; entry++) {
        const double snr = snr_factor(printed[entry] - WZ_SEMANTIC_DB_OFFSET);
        rate[entry] = 0;
        symbols[entry] = 0;
        for (unsigned k = 1; k <= most; k++) {
            const double accuracy = 1.0 / (1.0 + snr * factor[k]);
            if (100.0 * accuracy >= least && accuracy / k > rate[entry]) {
                rate[entry] = accuracy / k;
                symbols[entry] = (uint8_t)k;
            }
        }
    }
}

static void derive(wz_problem *problem)
{
    wz_semantic *p = problem->payload;
    p->users = problem->size;
    p->channels = channels_of(problem->values);
    p->max_symbols = (unsigned)problem->values[OPTION_MAX_SYMBOLS];
    p->minimum = problem->values[OPTION_MINIMUM_ACCURACY];
    p->rate = (double *)(p + 1);
    p->symbols = (uint8_t *)(p->rate + problem->number_count);
    best_symbols(problem, problem->numbers, p->rate, p->symbols);
}

/* The order of users by a printed table; false if nothing can be sent on it. */
static bool order_users(const wz_problem *problem, const int32_t *printed, uint8_t *order)
{
    int32_t rounded[WZ_MAX_SEMANTIC_PAIRS];
    double rate[WZ_MAX_SEMANTIC_PAIRS];
    uint8_t symbols[WZ_MAX_SEMANTIC_PAIRS];
    bool worth = false;
    best_symbols(problem, printed, rate, symbols);
    for (size_t entry = 0; entry < problem->number_count; entry++) {
        worth |= symbols[entry] > 0;
        rounded[entry] = (int32_t)round(1e4 * rate[entry]);
    }
    wz_rows_by_regret(problem->size, channels_of(problem->values), rounded, order);
    return worth;
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const size_t channels = channels_of(problem->values);
    int32_t printed[WZ_MAX_SEMANTIC_PAIRS];
    uint8_t order[WZ_MAX_SEMANTIC_USERS];
    (void)err;
    do
        for (size_t entry = 0; entry < problem->number_count; entry++) {
            const double snr_db = problem->values[OPTION_SNR_DB] + 10.0 * log10(wz_draws_exponential(draws));
            printed[entry] =
                (int32_t)fmin(fmax(round(snr_db) + WZ_SEMANTIC_DB_OFFSET, 0), WZ_SEMANTIC_DB_MAX);
        }
    while (!order_users(problem, printed, order));
    wz_rows_take(problem->size, channels, printed, order, problem->numbers);
    return WZ_OK;
}

/* Row i, column j: the signal-to-noise ratio of user i on channel j, linear. source: each user's row. */
static wz_status import(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err)
{
    const wz_own_gains gains = {rows, columns, data};
    static const char shape[] = "one row per user and one column per channel, at least as many as users";
    double own[OPTION_COUNT];
    int32_t printed[WZ_MAX_SEMANTIC_PAIRS];
    if (columns < rows || columns > WZ_MAX_SEMANTIC_CHANNELS)
        return wz_own_refuse_shape(&wz_task_semantic, &gains, shape, err);
    memcpy(own, values, sizeof own);
    own[OPTION_USERS] = (double)rows;
    own[OPTION_SPARE_CHANNELS] = (double)(columns - rows);
    wz_status status = wz_own_open(&wz_task_semantic, own, &gains, shape, index, out, err);
    if (status != WZ_OK)
        return status;
    for (size_t entry = 0; entry < out->number_count; entry++)
        printed[entry] = wz_own_db(out, data[entry], WZ_SEMANTIC_DB_OFFSET, WZ_SEMANTIC_DB_MAX);
    (void)order_users(out, printed, out->source);
    wz_rows_take(rows, columns, printed, out->source, out->numbers);
    return wz_own_close(out, out->number_count, "-10..30 dB", err);
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    uint8_t order[WZ_MAX_SEMANTIC_USERS];
    wz_status status =
        wz_problem_check_range(problem, 0, problem->number_count, 0, WZ_SEMANTIC_DB_MAX, "an SNR", err);
    if (status != WZ_OK)
        return status;
    const bool worth = order_users(problem, problem->numbers, order);
    status = wz_rows_check_order(
        problem, order, "user",
        "users are numbered by falling difference between the semantic rates of their best and "
        "second best channel, then by falling best rate",
        err);
    if (status == WZ_OK && !worth)
        status = wz_fail(
            err, WZ_ERR_CORRUPT,
            "semantic: no user reaches the minimum accuracy on any channel: no answer is worth anything");
    return status;
}

/* Users number themselves, by what channels cannot change; the parts that change places are the channels, the first of
 * them if there are more than users. */
static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    const wz_semantic *p = from->payload;
    for (size_t i = 0; i < p->users; i++)
        for (size_t j = 0; j < p->channels; j++)
            to->numbers[i * p->channels + j] = from->numbers[i * p->channels + (j < p->users ? order[j] : j)];
    for (size_t j = 0; j < p->users; j++)
        to->source[j] = order[j];
}

static void restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored)
{
    for (size_t i = 0; i < reordered->size; i++) {
        const unsigned channel = decision[2 * i];
        restored[2 * i] = channel < reordered->size ? reordered->source[channel] : channel;
        restored[2 * i + 1] = decision[2 * i + 1];
    }
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const wz_semantic *p = problem->payload;
    wz_words_printf(words, " user channel SNR dB plus %d symbol %u minimum %d", WZ_SEMANTIC_DB_OFFSET,
                    p->max_symbols, (int)p->minimum);
    for (size_t i = 0; i < p->users; i++)
        wz_word_row_by_falling(words, i, p->channels, problem->numbers + i * p->channels);
    wz_words_open_answer(words);
}

static void print_full_table(const wz_problem *problem, const wz_semantic *p, wz_words *words)
{
    char label[3];
    for (size_t i = 0; i < p->users; i++) {
        wz_words_printf(words, "User %zu:", i + 1);
        for (size_t j = 0; j < p->channels; j++) {
            wz_label(j, label);
            wz_words_printf(words, "%s %s %d", j == 0 ? "" : ",", label,
                            (int)wz_semantic_snr_db(problem, i, j));
        }
        wz_words_printf(words, "\n");
    }
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const wz_semantic *p = problem->payload;
    char label[3];
    wz_label(p->channels - 1, label);
    wz_words_printf(
        words,
        "%zu users, numbered 1 to %zu, send text over %zu channels, A to %s, with a semantic encoder. The "
        "signal-to-noise ratio s of each user on each channel, in dB:\n",
        p->users, p->users, p->channels, label);
    print_full_table(problem, p, words);
    wz_words_printf(
        words,
        "Each user gets exactly one channel, no channel is given to two users, and each user chooses the "
        "number k of channel symbols that a word takes, 1 to %u. A word is then understood with probability "
        "a = 1 / (1 + exp(-(s + 10 log10(k) - 4) / 2)), a synthetic accuracy curve. a must be at least "
        "%d / 100, or k must be 0: the user keeps its channel, but sends nothing. The semantic rate of a "
        "user is a / k words per symbol, and 0 if k is 0. Maximise the sum of the semantic rates.\n",
        p->max_symbols, (int)p->minimum);
    wz_words_ask(
        words,
        "for each of the %zu users, in order, its channel's label and its k, all separated by single spaces",
        p->users);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    const wz_semantic *p = problem->payload;
    for (size_t i = 0; i < p->users; i++) {
        wz_form_add(out, WZ_SLOT_LABEL, (unsigned)p->channels, 1);
        wz_form_add(out, WZ_SLOT_NUMBER, p->max_symbols + 1, 1);
    }
}

const wz_task wz_task_semantic = {
    .name = "semantic",
    .title = "Semantic channel assignment (synthetic accuracy curve): channels and symbols per word",
    .text_version = 1,
    .stream = 12,
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
