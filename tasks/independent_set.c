#include "tasks/independent_set.h"

#include "tasks/rows.h"

enum { OPTION_LINKS, OPTION_DISTANCE, OPTION_MAX_WEIGHT, OPTION_COUNT };

static const wz_task_option options[OPTION_COUNT] = {
    {"links", 8, 2, WZ_MAX_CONFLICT_LINKS, 1, "links in the unit square", NULL},
    {"distance", 0.3, 0, 1.5, 0, "links closer than this conflict; the square's side is 1", NULL},
    {"max_weight", 20, 1, 99, 1, "weights are uniform in 1 to this", NULL},
};

/* ---- building a problem ---- */

static size_t number_count(const double *values)
{
    const size_t links = (size_t)values[OPTION_LINKS];
    return links + links * (links - 1) / 2;
}

static size_t payload_bytes(const double *values)
{
    (void)values;
    return sizeof(wz_conflict_links);
}

/* The payload of a problem's numbers. */
static wz_conflict_links read_links(const wz_problem *problem)
{
    wz_conflict_links p = {.links = problem->size};
    const int32_t *conflict = problem->numbers + p.links;
    for (size_t i = 0; i < p.links; i++) {
        p.weight[i] = problem->numbers[i];
        for (size_t j = i + 1; j < p.links; j++) {
            const uint64_t bit = (uint64_t)*conflict++;
            p.conflicting[i] |= bit << j;
            p.conflicting[j] |= bit << i;
            p.conflicts += bit;
        }
    }
    return p;
}

static void derive(wz_problem *problem)
{
    *(wz_conflict_links *)problem->payload = read_links(problem);
}

/* Scores that differ do so by 1 / (64 * 63) at least, so by 16 in these units; equal ones are rounded alike. */
static void order_links(const wz_conflict_links *p, uint8_t *order)
{
    int32_t key[WZ_MAX_CONFLICT_LINKS] = {0};
    for (size_t i = 0; i < p->links; i++)
        key[i] = p->weight[i] * 65536 / (1 + __builtin_popcountll(p->conflicting[i]));
    wz_rows_by_falling(p->links, key, order);
}

/* The numbers of a problem whose link i is link order[i] of `links`. */
static void take_links(const wz_conflict_links *links, const uint8_t *order, wz_problem *problem)
{
    int32_t *conflict = problem->numbers + links->links;
    for (size_t i = 0; i < links->links; i++) {
        problem->numbers[i] = links->weight[order[i]];
        for (size_t j = i + 1; j < links->links; j++)
            *conflict++ = (int32_t)(links->conflicting[order[i]] >> order[j] & 1);
    }
}

static wz_status draw(wz_problem *problem, wz_draws *draws, wz_error *err)
{
    const double distance = problem->values[OPTION_DISTANCE];
    const unsigned max_weight = (unsigned)problem->values[OPTION_MAX_WEIGHT];
    double x[WZ_MAX_CONFLICT_LINKS], y[WZ_MAX_CONFLICT_LINKS];
    wz_conflict_links links = {.links = problem->size};
    uint8_t order[WZ_MAX_CONFLICT_LINKS];
    (void)err;
    for (size_t i = 0; i < links.links; i++) {
        links.weight[i] = 1 + (int32_t)wz_draws_below(draws, max_weight);
        x[i] = wz_draws_uniform(draws);
        y[i] = wz_draws_uniform(draws);
        for (size_t j = 0; j < i; j++) {
            const double dx = x[i] - x[j], dy = y[i] - y[j];
            const uint64_t bit = dx * dx + dy * dy < distance * distance;
            links.conflicting[i] |= bit << j;
            links.conflicting[j] |= bit << i;
        }
    }
    order_links(&links, order);
    take_links(&links, order, problem);
    return WZ_OK;
}

static wz_status check_numbers(const wz_problem *problem, wz_error *err)
{
    const size_t links = problem->size;
    uint8_t order[WZ_MAX_CONFLICT_LINKS];
    wz_status status = wz_problem_check_range(problem, 0, links, 1,
                                              (int32_t)problem->values[OPTION_MAX_WEIGHT], "a weight", err);
    if (status == WZ_OK)
        status = wz_problem_check_range(problem, links, problem->number_count - links, 0, 1,
                                        "whether two links conflict", err);
    if (status != WZ_OK)
        return status;
    const wz_conflict_links p = read_links(problem);
    order_links(&p, order);
    return wz_rows_check_order(problem, order, "link",
                               "links are numbered by falling weight / (1 + conflicts)", err);
}

static void reorder(const wz_problem *from, const uint8_t *order, wz_problem *to)
{
    const wz_conflict_links *p = from->payload;
    wz_conflict_links moved = {.links = p->links};
    uint8_t again[WZ_MAX_CONFLICT_LINKS];
    for (size_t i = 0; i < p->links; i++) {
        moved.weight[i] = p->weight[order[i]];
        for (size_t j = 0; j < p->links; j++)
            moved.conflicting[i] |= (p->conflicting[order[i]] >> order[j] & 1) << j;
    }
    order_links(&moved, again);
    take_links(&moved, again, to);
    for (size_t i = 0; i < p->links; i++)
        to->source[i] = order[again[i]];
}

/* ---- text ---- */

static void print_compact(const wz_problem *problem, wz_words *words)
{
    const wz_conflict_links *p = problem->payload;
    wz_words_printf(words, " link weight conflict");
    for (size_t i = 0; i < p->links; i++) {
        wz_word_label_small(words, i);
        wz_word_number(words, p->weight[i]);
        for (size_t j = 0; j < p->links; j++)
            if (p->conflicting[i] >> j & 1)
                wz_word_label(words, j);
    }
    wz_words_open_answer(words);
}

static void print_full(const wz_problem *problem, wz_words *words)
{
    const wz_conflict_links *p = problem->payload;
    char label[3];
    wz_label(p->links - 1, label);
    wz_words_printf(
        words,
        "%zu radio links, A to %s, want to transmit in the same time slot. Each has a weight, and some "
        "pairs of links conflict: they are so close that they cannot transmit together.\n",
        p->links, label);
    for (size_t i = 0; i < p->links; i++) {
        bool first = true;
        wz_label(i, label);
        wz_words_printf(words, "Link %s: weight %d, conflicts with", label, (int)p->weight[i]);
        for (size_t j = 0; j < p->links; j++)
            if (p->conflicting[i] >> j & 1) {
                wz_label(j, label);
                wz_words_printf(words, "%s %s", first ? "" : ",", label);
                first = false;
            }
        wz_words_printf(words, "%s\n", first ? " none" : "");
    }
    wz_words_printf(words, "Choose the links that transmit so that no two of them conflict and the sum of "
                           "their weights is largest.\n");
    wz_words_ask(
        words,
        "for each of the %zu links, in order, 1 if it transmits and 0 if not, separated by single spaces",
        p->links);
}

static void answer_form(const wz_problem *problem, wz_answer_form *out)
{
    wz_form_add_switches(out, problem->size);
}

const wz_task wz_task_independent_set = {
    .name = "independent_set",
    .title = "Conflict-free links: the links of largest weight that do not disturb each other",
    .text_version = 1,
    .stream = 2,
    .options = options,
    .option_count = OPTION_COUNT,
    .size_option = OPTION_LINKS,
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
