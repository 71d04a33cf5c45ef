/* The ops of the table as the harness calls them; defined beside their formulas in backend_ops_*.c. */
#ifndef WZ_TESTS_BACKEND_OPS_H
#define WZ_TESTS_BACKEND_OPS_H

#include "tests/backend_case.h"

/* A field of the working type, as is its gradient. */
static inline field working(const shape *s, field f)
{
    f.type = f.gradient_type = s->type;
    return f;
}

extern const op_kind op_embedding, op_rmsnorm, op_linear, op_qk_norm, op_rope, op_swiglu;
extern const op_kind op_pairs; /* where the backend supports low-rank pairs */
extern const op_kind op_attention;
extern const op_kind op_head_score, op_head_allowed;

#endif
