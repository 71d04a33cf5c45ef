/* Problems with the policy's and the best decision beside each other: a table of gains as a heat map where the family has
 * one, else the texts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/page_internal.h"

enum { CELL = 30, MARGIN = 26, BAR = 26 };

/* How a problem's numbers stand in rows and columns. */
typedef struct layout {
    size_t rows, columns, first; /* first: number of the table's corner */
    bool marks; /* an answer chooses a column for each row; else it is a number for each column */
} layout;

/* False: no table. Families are told apart by their numbers and their answers alone. */
static bool find_layout(const wz_problem *problem, const wz_answer_form *form, layout *out)
{
    const size_t n = form->count, numbers = problem->number_count;
    const bool labels = form->slots[0].kind == WZ_SLOT_LABEL;
    *out = (layout){.rows = n, .columns = labels ? form->slots[0].choices : n, .marks = labels};
    for (size_t i = 1; i < n; i++)
        if (form->slots[i].kind != form->slots[0].kind || form->slots[i].choices != form->slots[0].choices)
            return false;
    if (n < 2 || n > 24 || out->columns > 24 || form->slots[0].kind == WZ_SLOT_LABEL_OR_NONE)
        return false;
    if (numbers == out->rows * out->columns)
        return true;
    out->first = 1; /* ofdma: a requirement comes first */
    return labels && numbers == 1 + out->rows * out->columns;
}

/* From the palest to the strongest of a scale that is even to the eye (viridis, five of its colours). */
static void color_of(double share, int rgb[3])
{
    static const int anchors[5][3] = {
        {68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
    const double at = fmin(fmax(share, 0.0), 1.0) * 4.0;
    const int low = at >= 4.0 ? 3 : (int)at;
    for (int i = 0; i < 3; i++)
        rgb[i] = (int)lround(anchors[low][i] + (at - low) * (anchors[low + 1][i] - anchors[low][i]));
}

static void write_cells(wz_markup *m, const wz_problem *problem, const layout *l)
{
    int32_t low = INT32_MAX, high = INT32_MIN;
    const int32_t *numbers = problem->numbers + l->first;
    for (size_t i = 0; i < l->rows * l->columns; i++) {
        low = numbers[i] < low ? numbers[i] : low;
        high = numbers[i] > high ? numbers[i] : high;
    }
    for (size_t i = 0; i < l->rows; i++)
        for (size_t j = 0; j < l->columns; j++) {
            const int32_t number = numbers[i * l->columns + j];
            const double share = high > low ? (double)(number - low) / (double)(high - low) : 1.0;
            const double x = MARGIN + CELL * (double)j, y = MARGIN + CELL * (double)i;
            int rgb[3];
            color_of(share, rgb);
            wz_markup_print(m,
                            "<rect class=\"cell\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" "
                            "fill=\"rgb(%d,%d,%d)\"/><text class=\"n\" style=\"fill:%s\" x=\"%.0f\" "
                            "y=\"%.0f\">%d</text>\n",
                            x, y, CELL, CELL, rgb[0], rgb[1], rgb[2], share > 0.6 ? "#111" : "#fff",
                            x + CELL / 2.0, y + CELL / 2.0 + 3.5, (int)number);
        }
}

static void write_labels(wz_markup *m, const layout *l)
{
    char label[3];
    for (size_t i = 0; i < l->rows; i++) {
        wz_label_small(i, label);
        wz_markup_print(m, "<text class=\"m\" x=\"%d\" y=\"%.0f\">%s</text>", MARGIN - 12,
                        MARGIN + CELL * ((double)i + 0.5) + 4, label);
    }
    for (size_t j = 0; j < l->columns; j++) {
        wz_label(j, label);
        wz_markup_print(m, "<text class=\"m\" x=\"%.0f\" y=\"%d\">%s</text>",
                        MARGIN + CELL * ((double)j + 0.5), MARGIN - 8, label);
    }
    wz_markup_raw(m, "\n");
}

/* A choice of a column for each row: frames around cells. */
static void write_marks(wz_markup *m, const layout *l, const unsigned *decision, const char *class, int inset)
{
    for (size_t i = 0; i < l->rows; i++)
        if (decision[i] < l->columns)
            wz_markup_print(
                m, "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n", class,
                MARGIN + CELL * (double)decision[i] + inset, MARGIN + CELL * (double)i + inset,
                CELL - 2 * inset, CELL - 2 * inset);
}

/* A number for each column: bars of its share of the largest, below the table. */
static void write_levels(wz_markup *m, const layout *l, const wz_answer_form *form, const unsigned *decision,
                         const char *class, double top)
{
    for (size_t j = 0; j < l->columns; j++) {
        const unsigned choices = form->slots[j].choices;
        const double share = choices > 1 ? (double)decision[j] / (double)(choices - 1) : 1.0;
        const double x = MARGIN + CELL * (double)j + 3.0, height = (BAR - 2) * share;
        wz_markup_print(m,
                        "<rect class=\"empty\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>"
                        "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>",
                        x, top, CELL - 6, BAR - 2, class, x, top + BAR - 2 - height, CELL - 6, height);
        if (choices > 2)
            wz_markup_print(m, "<text class=\"n\" x=\"%.1f\" y=\"%.1f\">%u</text>", x + CELL / 2.0 - 3.0,
                            top + BAR + 8, decision[j]);
        wz_markup_raw(m, "\n");
    }
}

/* decision NULL: the policy's answer could not be read. */
static void write_picture(wz_markup *m, const wz_problem *problem, const layout *l,
                          const wz_answer_form *form, const unsigned *decision, const unsigned *best)
{
    const int bars = l->marks ? 0 : 2 * (BAR + 16) + 6;
    const int width = (int)l->columns * CELL + MARGIN + 4, height = MARGIN + CELL * (int)l->rows + 6 + bars;
    wz_markup_print(
        m, "<svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx\" role=\"img\" aria-label=\"problem %u\">\n",
        width, height, 3 * width / 2, (unsigned)problem->index);
    write_labels(m, l);
    write_cells(m, problem, l);
    const double top = MARGIN + CELL * (double)l->rows + 6.0;
    if (l->marks) {
        write_marks(m, l, best, "rim2", 2);
        if (decision != NULL)
            write_marks(m, l, decision, "rim", 6);
    } else {
        if (decision != NULL)
            write_levels(m, l, form, decision, "own", top);
        write_levels(m, l, form, best, "best", top + BAR + 16.0);
    }
    wz_markup_raw(m, "</svg>\n");
}

static void write_texts(wz_markup *m, const wz_batch *batch, int64_t g, const wz_answer_form *form)
{
    wz_text text = {0};
    wz_status status = wz_problem_print(&batch->problems[g], batch->style, &text, m->err);
    wz_markup_raw(m, "<p class=\"note text\">");
    if (status == WZ_OK)
        wz_markup_bytes(m, text.data, text.length);
    wz_markup_raw(m, "</p><table class=\"left\"><tr><td class=\"s0\">policy</td><td>");
    const wz_text *completion = &batch->completions[g * batch->generations];
    wz_markup_bytes(m, completion->data != NULL ? completion->data : "", completion->length);
    wz_markup_raw(m, "</td></tr><tr><td>best known</td><td>");
    text.length = 0;
    if (status == WZ_OK)
        status = wz_form_print(form, batch->style, batch->best + g * WZ_MAX_SLOTS, &text, m->err);
    if (status == WZ_OK)
        wz_markup_bytes(m, text.data, text.length);
    else
        m->status = status;
    wz_markup_raw(m, "</td></tr></table>\n");
    wz_text_clear(&text);
}

static void write_sample(wz_markup *m, const wz_batch *batch, int64_t g)
{
    const wz_problem *problem = &batch->problems[g];
    const wz_verdict *verdict = &batch->verdicts[g * batch->generations];
    const unsigned *best = batch->best + g * WZ_MAX_SLOTS;
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_answer_form form = {0};
    wz_verdict unused = {0};
    layout l;
    problem->task->answer_form(problem, &form);
    const bool is_read = wz_batch_read_decision(batch, g * batch->generations, decision, &unused);
    wz_markup_print(m, "<figure><figcaption><b>problem %u</b> <span>ratio %.4f%s<br/>objective %.4g, %s %.4g",
                    (unsigned)problem->index, verdict->ratio, verdict->is_optimum ? " (optimal)" : "",
                    verdict->objective, wz_reference_kind_name(batch->references[g].kind),
                    verdict->reference);
    if (verdict->kind != WZ_VERDICT_FEASIBLE) {
        wz_markup_raw(m, "; ");
        wz_markup_text(m, wz_verdict_kind_name(verdict->kind));
        wz_markup_raw(m, ": ");
        wz_markup_text(m, verdict->reason);
    }
    wz_markup_raw(m, "</span></figcaption>\n");
    if (find_layout(problem, &form, &l)) {
        wz_markup_raw(m, "<p class=\"legend\"><span class=\"s0\">policy</span> <span class=\"s2\">best "
                         "known</span></p>\n");
        write_picture(m, problem, &l, &form, is_read ? decision : NULL, best);
    } else
        write_texts(m, batch, g, &form);
    wz_markup_raw(m, "</figure>\n");
}

void wz_page_explain_samples(wz_markup *m)
{
    wz_markup_raw(m,
                  "<p class=\"note\">The first of the test split, and at the end "
                  "the two of the largest "
                  "gaps. "
                  "Cells are the numbers of the prompt (gains in dB, rates, ...): a row for each receiver or "
                  "user, a column for each transmitter, channel or block; yellow is large. Below a table of "
                  "gains: what "
                  "each transmitter is told to send. In a table of choices: a frame around each row's "
                  "choice.</p>\n");
}

void wz_page_samples(wz_markup *m, const wz_batch *batch)
{
    wz_markup_raw(m, "<div class=\"grid samples\">\n");
    for (int64_t g = 0; g < batch->groups; g++)
        write_sample(m, batch, g);
    wz_markup_raw(m, "</div>\n");
}
