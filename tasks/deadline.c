#include "tasks/deadline.h"

#include <string.h>

#include "tasks/rows.h"

enum { OPTION_PACKETS, OPTION_SLOTS, OPTION_MAX_WEIGHT, OPTION_ON_PERCENT, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"packets", 5, 1, WZ_MAX_PACKETS, 1, "packets that wait", NULL},
    {"slots", 4, 1, WZ_MAX_DEADLINE_SLOTS, 1, "time slots; deadlines are uniform in 1 to this", NULL},
    {"max_weight", 9, 1, 99, 1, "weights are uniform in 1 to this", NULL},
    {"on_percent", 60, 5, 100, 0, "probability that a packet's channel is on in a slot, in percent", NULL},
};

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    return (size_t)values[OPTION_PACKETS] * (2 + (size_t)values[OPTION_SLOTS]);
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_deadline);
}

/* The payload of a problem's numbers. */
static wz_deadline read_packets(const wz_problem *problem)
{
    wz_deadline p = {.packets = problem->size, .slots = (size_t)problem->values[OPTION_SLOTS]};
    memcpy(p.weight, problem->numbers, p.packets * sizeof *p.weight);
    memcpy(p.deadline, problem->numbers + p.packets, p.packets * sizeof *p.deadline);
    for (size_t t = 0; t < p.slots; t++)
        for (size_t i = 0; i < p.packets; i++)
            p.sendable[t] |= (uint32_t)problem->numbers[(2 + t) * p.packets + i] << i;
    return p;
}

static void derive(wz_problem *problem)
{
    *(wz_deadline *)problem->payload = read_packets(problem);
}

static void order_packets(const wz_deadline *p, uint8_t *order)
{
    wz_rows_by_falling(p->packets, p->weight, order);
}

/* The numbers of a problem whose packet i is packet order[i] of `p`. */
static void take_packets(const wz_deadline *p, const uint8_t *order, wz_problem *problem)
{
    for (size_t i = 0; i < p->packets; i++) {
        problem->numbers[i] = p->weight[order[i]];
        problem->numbers[p->packets + i] = p->deadline[order[i]];
        for (size_t t = 0; t < p->slots; t++)
            problem->numbers[(2 + t) * p->packets + i] = (int32_t)(p->sendable[t] >> order[i] & 1);
    }
}

/* Whether some packet can be sent in time. */
static bool is_worth_something(const wz_deadline *p)
{
    uint32_t packets = 0;
    for (size_t t = 0; t < p->slots; t++)
        packets |= p->sendable[t];
    return packets != 0;
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double on = problem->values[OPTION_ON_PERCENT] / 100.0;
    const unsigned max_weight = (unsigned)problem->values[OPTION_MAX_WEIGHT];
    wz_deadline p;
    uint8_t order[WZ_MAX_PACKETS];
    (void)err;
    do {
        p = (wz_deadline){.packets = problem->size, .slots = (size_t)problem->values[OPTION_SLOTS]};
        for (size_t i = 0; i < p.packets; i++) {
            p.weight[i] = 1 + (int32_t)wz_draws_below(draws, max_weight);
            p.deadline[i] = 1 + (int32_t)wz_draws_below(draws, (unsigned)p.slots);
            for (int32_t t = 0; t < p.deadline[i]; t++)
                p.sendable[t] |= (uint32_t)(wz_draws_uniform(draws) < on) << i;
        }
    } while (!is_worth_something(&p));
    order_packets(&p, order);
    take_packets(&p, order, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    const size_t packets = problem->size, slots = (size_t)problem->values[OPTION_SLOTS];
    uint8_t order[WZ_MAX_PACKETS];
    wz_status status = wz_problem_check_range(problem, 0, packets, 1,
                                              (int32_t)problem->values[OPTION_MAX_WEIGHT], "a weight", err);
    if (status == WZ_OK)
        status = wz_problem_check_range(problem, packets, packets, 1, (int32_t)slots, "a deadline", err);
    if (status == WZ_OK)
        status = wz_problem_check_range(problem, 2 * packets, packets * slots, 0, 1,
                                        "whether a slot can send a packet", err);
    for (size_t t = 0; t < slots && status == WZ_OK; t++)
        for (size_t i = 0; i < packets; i++)
            if (problem->numbers[(2 + t) * packets + i] != 0 && problem->numbers[packets + i] <= (int32_t)t)
                return wz_fail(err, WZ_ERR_CORRUPT,
                               "deadline: slot %zu is said to send packet %zu, whose deadline is slot %d",
                               t + 1, i + 1, (int)problem->numbers[packets + i]);
    if (status != WZ_OK)
        return status;
    const wz_deadline p = read_packets(problem);
    order_packets(&p, order);
    status = wz_rows_check_order(problem, order, "packet", "packets are numbered by falling weight", err);
    if (status == WZ_OK && !is_worth_something(&p))
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "deadline: no packet can be sent in time: no answer is worth anything");
    return status;
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    const wz_deadline *p = from->payload;
    wz_deadline moved = {.packets = p->packets, .slots = p->slots};
    uint8_t again[WZ_MAX_PACKETS];
    for (size_t i = 0; i < p->packets; i++) {
        moved.weight[i] = p->weight[order[i]];
        moved.deadline[i] = p->deadline[order[i]];
        for (size_t t = 0; t < p->slots; t++)
            moved.sendable[t] |= (p->sendable[t] >> order[i] & 1) << i;
    }
    order_packets(&moved, again);
    take_packets(&moved, again, to);
    for (size_t i = 0; i < moved.packets; i++)
        to->source[i] = order[again[i]];
}

static void restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored)
{
    const wz_deadline *p = reordered->payload;
    for (size_t t = 0; t < p->slots; t++)
        restored[t] = decision[t] == 0 ? 0 : reordered->source[decision[t] - 1] + 1u;
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const wz_deadline *p = problem->payload;
    wz_words_printf(words, " packet weight deadline");
    for (size_t i = 0; i < p->packets; i++) {
        wz_word_label(words, i);
        wz_word_number(words, p->weight[i]);
        wz_word_label_small(words, (size_t)p->deadline[i] - 1);
    }
    wz_word(words, "slot");
    for (size_t t = 0; t < p->slots; t++) {
        wz_word_label_small(words, t);
        for (size_t i = 0; i < p->packets; i++)
            if (p->sendable[t] >> i & 1)
                wz_word_label(words, i);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const wz_deadline *p = problem->payload;
    char label[3];
    wz_label(p->packets - 1, label);
    wz_words_printf(
        words,
        "%zu packets, A to %s, wait to be sent over radio channels in time slots 1 to %zu. Each takes one "
        "slot, has a weight and a deadline, and is for a user of its own, whose channel is on in some slots "
        "only. Slots up to the deadline in which the packet's channel is on:\n",
        p->packets, label, p->slots);
    for (size_t i = 0; i < p->packets; i++) {
        const char *before = " on in slots ";
        wz_label(i, label);
        wz_words_printf(words, "Packet %s: weight %d, deadline slot %d,", label, (int)p->weight[i],
                        (int)p->deadline[i]);
        for (size_t t = 0; t < p->slots; t++)
            if (p->sendable[t] >> i & 1) {
                wz_words_printf(words, "%s%zu", before, t + 1);
                before = ", ";
            }
        wz_words_printf(words, "%s\n", before[0] == ',' ? "" : " on in none");
    }
    wz_words_printf(
        words, "A slot sends at most one packet. A packet is sent at most once, not after its deadline, and "
               "only in a slot in which its channel is on. Choose what each slot sends so that the sum of "
               "the weights of the packets sent is largest.\n");
    wz_words_ask(
        words,
        "for each of the slots 1 to %zu, in order, the label of the packet it sends or the word none, "
        "separated by single spaces",
        p->slots);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    const wz_deadline *p = problem->payload;
    wz_form_add(out, WZ_SLOT_LABEL_OR_NONE, (unsigned)p->packets + 1, p->slots);
}

const wz_task wz_task_deadline = {
    .name = "deadline",
    .title = "Deadline scheduling: which packet each time slot sends before its deadline",
    .text_version = 1,
    .stream = 3,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_PACKETS,
    .number_count = number_count,
    .payload_bytes = payload_bytes,
    .draw = draw,
    .check_numbers = check_numbers,
    .derive = derive,
    .reorder = reorder,
    .restore = restore,
    .print_compact = print_compact,
    .print_full = print_full,
    .answer_form = answer_form,
};
