#include "rewards/solvers/integer_program.h"

#include <glpk.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* One solution under way: what GLPK's hooks are given. */
typedef struct attempt {
    const wz_integer_program *program;
    size_t nodes_left;
    double *x;
    wz_program_end end;
    int returned;
    char said[160]; /* GLPK's reason to give up */
    jmp_buf gave_up;
} attempt;

/* Everything that GLPK would write comes here; 1: it is not written. */
static int listen(void *info, const char *text)
{
    attempt *a = info;
    if (strncmp(text, "Error detected in file", strlen("Error detected in file")) !=
        0) { /* after the reason */
        (void)snprintf(a->said, sizeof a->said, "%s", text);
        a->said[strcspn(a->said, "\n")] = '\0';
    }
    return 1;
}

/* GLPK's errors end here instead of in abort. */
static void give_up(void *info)
{
    attempt *a = info;
    longjmp(a->gave_up, 1);
}

static void count_nodes(glp_tree *tree, void *info)
{
    attempt *a = info;
    if (glp_ios_reason(tree) != GLP_ISELECT)
        return;
    if (a->nodes_left == 0)
        glp_ios_terminate(tree);
    else
        a->nodes_left--;
}

static int bound_kind(double low, double high)
{
    if (isinf(low))
        return isinf(high) ? GLP_FR : GLP_UP;
    if (isinf(high))
        return GLP_LO;
    return low == high ? GLP_FX : GLP_DB;
}

static glp_prob *state(const wz_integer_program *program)
{
    glp_prob *problem = glp_create_prob();
    glp_set_obj_dir(problem, GLP_MAX);
    glp_add_rows(problem, (int)program->rows);
    glp_add_cols(problem, (int)program->columns);
    for (size_t i = 0; i < program->rows; i++)
        glp_set_row_bnds(problem, (int)i + 1, bound_kind(program->row_low[i], program->row_high[i]),
                         program->row_low[i], program->row_high[i]);
    for (size_t j = 0; j < program->columns; j++) {
        glp_set_col_bnds(problem, (int)j + 1, bound_kind(0, program->high[j]), 0, program->high[j]);
        glp_set_obj_coef(problem, (int)j + 1, program->cost[j]);
        glp_set_col_kind(problem, (int)j + 1, program->whole[j] ? GLP_IV : GLP_CV);
    }
    int *row = glp_alloc((int)program->entries + 1, sizeof *row),
        *column = glp_alloc((int)program->entries + 1, sizeof *column);
    double *value = glp_alloc((int)program->entries + 1, sizeof *value);
    for (size_t e = 0; e < program->entries; e++) { /* GLPK counts from 1 */
        row[e + 1] = program->entry[e].row + 1;
        column[e + 1] = program->entry[e].column + 1;
        value[e + 1] = program->entry[e].value;
    }
    glp_load_matrix(problem, (int)program->entries, row, column, value);
    glp_free(row);
    glp_free(column);
    glp_free(value);
    return problem;
}

static void take_solution(glp_prob *problem, attempt *a)
{
    const int status = glp_mip_status(problem);
    a->end = status == GLP_OPT    ? WZ_PROGRAM_OPTIMUM
             : status == GLP_FEAS ? WZ_PROGRAM_FEASIBLE
                                  : WZ_PROGRAM_NOTHING;
    for (size_t j = 0; j < a->program->columns; j++) {
        const double value = a->end == WZ_PROGRAM_NOTHING ? 0 : glp_mip_col_val(problem, (int)j + 1);
        a->x[j] = a->program->whole[j] ? round(value) : value;
    }
}

/* False if GLPK gave up. What it has allocated is freed with its environment. */
static bool run(attempt *a)
{
    glp_iocp control;
    if (setjmp(a->gave_up) != 0)
        return false;
    glp_term_hook(listen, a);
    glp_error_hook(give_up, a);
    glp_prob *problem = state(a->program);
    glp_init_iocp(&control);
    control.msg_lev = GLP_MSG_OFF;
    control.presolve = GLP_ON;
    control.gmi_cuts = control.mir_cuts =
        GLP_ON; /* without, the programmes here need up to 100 times the nodes */
    control.cb_func = count_nodes;
    control.cb_info = a;
    a->returned = glp_intopt(problem, &control);
    take_solution(problem, a);
    return true;
}

wz_status wz_integer_program_solve(const wz_integer_program *program, size_t most_nodes, double *x,
                                   wz_program_end *end, wz_error *err)
{
    attempt a = {.program = program, .nodes_left = most_nodes, .x = x};
    const bool ended = run(&a);
    (void)glp_free_env();
    *end = a.end;
    if (!ended)
        return wz_fail(err, WZ_ERR_RUNTIME, "GLPK gave up: %s", a.said);
    if (a.returned == GLP_ENOPFS || (a.returned == 0 && a.end == WZ_PROGRAM_NOTHING))
        return wz_fail(err, WZ_ERR_RUNTIME, "GLPK: no solution meets the constraints");
    if (a.returned == GLP_ENODFS)
        return wz_fail(err, WZ_ERR_RUNTIME, "GLPK: the objective has no upper bound");
    if (a.returned != 0 && a.returned != GLP_ESTOP)
        return wz_fail(err, WZ_ERR_RUNTIME, "GLPK's branch and cut failed with code %d", a.returned);
    return WZ_OK;
}
