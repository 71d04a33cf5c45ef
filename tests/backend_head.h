/* Cases of head sample, and of what it shares with head score, for every backend. */
#ifndef WZ_TESTS_BACKEND_HEAD_H
#define WZ_TESTS_BACKEND_HEAD_H

#include <check.h>

#include "engine/backend/backend.h"

#define HEAD_REQUESTS 300 /* the most of a batch */

typedef struct head_setting {
    /* Machines 1 .. machines differ in what no result may depend on: the number or the order of threads. */
    wz_backend *(*open)(int machine);
    int machine, machines; /* the one that the cases run on; how many there are */
    int64_t requests;      /* of a batch; at least 14: every set is met */
    int64_t draws;         /* that make frequencies; 0: none */
    bool bits_only;        /* what is promised bit for bit, not which sets are kept and which tokens drawn */
} head_setting;

TCase *head_cases(const head_setting *setting);

#endif
