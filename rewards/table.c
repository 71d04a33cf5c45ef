/* The table of verifiers, and names. */
#include <assert.h>
#include <string.h>

#include "rewards/assignment.h"
#include "rewards/beam_hopping.h"
#include "rewards/d2d.h"
#include "rewards/deadline.h"
#include "rewards/energy_efficiency.h"
#include "rewards/independent_set.h"
#include "rewards/isac.h"
#include "rewards/max_min.h"
#include "rewards/ofdma.h"
#include "rewards/offloading.h"
#include "rewards/power_control.h"
#include "rewards/semantic.h"
#include "rewards/verifier.h"
#include "rewards/water_filling.h"

/* clang-format off */
const wz_verifier *const wz_verifiers[] = {
    &wz_verifier_power_control,
    &wz_verifier_assignment,
    &wz_verifier_independent_set,
    &wz_verifier_deadline,
    &wz_verifier_water_filling,
    &wz_verifier_d2d,
    &wz_verifier_max_min,
    &wz_verifier_ofdma,
    &wz_verifier_offloading,
    &wz_verifier_isac,
    &wz_verifier_beam_hopping,
    &wz_verifier_semantic,
    &wz_verifier_energy_efficiency,
    NULL,
};
/* clang-format on */

static const wz_verifier *added[WZ_MAX_ADDED_VERIFIERS];
static size_t added_count;

void wz_verifier_add(const wz_verifier *verifier)
{
    assert(added_count < WZ_MAX_ADDED_VERIFIERS);
    added[added_count++] = verifier;
}

const wz_verifier *wz_verifier_find(const char *task)
{
    for (size_t i = added_count; i-- > 0;)
        if (strcmp(added[i]->task, task) == 0)
            return added[i];
    for (const wz_verifier *const *verifier = wz_verifiers; *verifier != NULL; verifier++)
        if (strcmp((*verifier)->task, task) == 0)
            return *verifier;
    return NULL;
}

const char *wz_verdict_kind_name(wz_verdict_kind kind)
{
    switch (kind) {
    case WZ_VERDICT_FEASIBLE:
        return "feasible";
    case WZ_VERDICT_NO_ANSWER:
        return "no_answer";
    case WZ_VERDICT_MANY_ANSWERS:
        return "many_answers";
    case WZ_VERDICT_BAD_NUMBER:
        return "bad_number";
    case WZ_VERDICT_WRONG_LENGTH:
        return "wrong_length";
    case WZ_VERDICT_OUT_OF_RANGE:
        return "out_of_range";
    case WZ_VERDICT_TRAILING_TEXT:
        return "trailing_text";
    case WZ_VERDICT_INFEASIBLE:
        return "infeasible";
    }
    return "unknown";
}

const char *wz_reference_kind_name(wz_reference_kind kind)
{
    switch (kind) {
    case WZ_REFERENCE_OPTIMUM:
        return "optimum";
    case WZ_REFERENCE_UPPER_BOUND:
        return "upper bound";
    case WZ_REFERENCE_BEST_KNOWN:
        return "best known";
    }
    return "unknown";
}
