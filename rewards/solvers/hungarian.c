#include "rewards/solvers/hungarian.h"

#include <math.h>
#include <stdbool.h>

#define NONE WZ_HUNGARIAN_MAX

/* The state in costs -value: cost[i][j] - u[i] - v[j] >= 0, and 0 for assigned pairs. Column `columns` is a guest that
 * the row to be added stands in until it has one of its own. */
typedef struct assignment {
    size_t rows, columns;
    const double *value;
    double u[WZ_HUNGARIAN_MAX], v[WZ_HUNGARIAN_MAX + 1];
    size_t row_of[WZ_HUNGARIAN_MAX + 1]; /* NONE: free */
} assignment;

/* One tree of shortest alternating paths, from the guest column. */
typedef struct search {
    double distance[WZ_HUNGARIAN_MAX]; /* reduced cost from the tree to a column */
    size_t before[WZ_HUNGARIAN_MAX];   /* the tree's column that a column is reached from */
    bool in_tree[WZ_HUNGARIAN_MAX + 1];
} search;

/* Distances by way of a column that joined the tree; the nearest column outside it. */
static size_t extend(const assignment *a, search *s, size_t column)
{
    const size_t row = a->row_of[column];
    size_t nearest = NONE;
    s->in_tree[column] = true;
    for (size_t j = 0; j < a->columns; j++) {
        if (s->in_tree[j])
            continue;
        const double reduced = -a->value[row * a->columns + j] - a->u[row] - a->v[j];
        if (reduced < s->distance[j]) {
            s->distance[j] = reduced;
            s->before[j] = column;
        }
        if (nearest == NONE || s->distance[j] < s->distance[nearest])
            nearest = j;
    }
    return nearest;
}

/* Makes the pair that leads to the nearest column tight. */
static void move_prices(assignment *a, search *s, double by)
{
    for (size_t j = 0; j <= a->columns; j++) {
        if (s->in_tree[j]) {
            a->u[a->row_of[j]] += by;
            a->v[j] -= by;
        } else if (j < a->columns)
            s->distance[j] -= by;
    }
}

static void add_row(assignment *a, size_t row)
{
    const size_t guest = a->columns;
    search s = {.in_tree = {false}};
    size_t column = guest;
    for (size_t j = 0; j < a->columns; j++)
        s.distance[j] = INFINITY;
    a->row_of[guest] = row;
    do {
        const size_t next = extend(a, &s, column);
        move_prices(a, &s, s.distance[next]);
        column = next;
    } while (a->row_of[column] != NONE);
    while (column != guest) { /* each row along the path moves on by one column */
        a->row_of[column] = a->row_of[s.before[column]];
        column = s.before[column];
    }
}

double wz_hungarian(size_t rows, size_t columns, const double *value, unsigned *column_of_row,
                    double *row_price, double *column_price)
{
    assignment a = {.rows = rows, .columns = columns, .value = value};
    double sum = 0;
    for (size_t j = 0; j <= columns; j++)
        a.row_of[j] = NONE;
    for (size_t i = 0; i < rows; i++) {
        a.v[columns] = 0;
        add_row(&a, i);
    }
    for (size_t j = 0; j < columns; j++)
        if (a.row_of[j] != NONE)
            column_of_row[a.row_of[j]] = (unsigned)j;
    for (size_t i = 0; i < rows; i++) {
        sum += value[i * columns + column_of_row[i]];
        if (row_price != NULL)
            row_price[i] = -a.u[i];
    }
    for (size_t j = 0; j < columns && column_price != NULL; j++)
        column_price[j] = -a.v[j];
    return sum;
}
