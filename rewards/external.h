/* A verifier in a process of its own, for models in MATLAB, Python or anything that reads and writes lines.
 *
 * The command is started once, by /bin/sh, and asked on its standard input, one JSON object a line; for each it writes one
 * JSON object, one line, to its standard output and flushes. What it writes to standard error goes where the program's
 * does. It should end when its input ends, and is killed when the program ends without a word.
 *
 * Each question has an id, a whole number that its answer repeats; a second line for a question, or one that nobody asked
 * for, ends the command: otherwise all later scores would be those of other answers.
 *
 *     {"id": 12, "ask": "judge", "task": "power_control", "options": {"links": 3, ...}, "index": 7, "split": "train",
 *      "numbers": [40, 33, ...], "decision": [1, 0, 1]}
 *   answered by {"id": 12, "objective": 2.5}, a finite number of at least 0,
 *            or {"id": 12, "infeasible": "power of link 2", "violation": 0.3, "shortfall": 0.1}: the constraint, by how much in its
 *               unit, and as a share in (0, 1] for shaping (1 if left out).
 *
 *     {"id": 13, "ask": "reference", ... "effort": "training"} (or "evaluation"), without a decision,
 *   answered by {"id": 13, "objective": 3.1, "kind": "optimum", "decision": [1, 0, 0]}: kind "optimum" or "best known". The decision
 *               is judged as any other, and must be worth the objective to 1e-9.
 *
 *   {"error": "what went wrong"}, which needs no id, ends the command with that message.
 *
 * Numbers, decisions and options are those of the family, which still makes and prints the problems, reads the answers,
 * and has its own baselines, whose decisions are judged by the process, too. (Baselines without a decision of the answer's
 * form keep their own objective.) */
#ifndef WZ_REWARDS_EXTERNAL_H
#define WZ_REWARDS_EXTERNAL_H

#include "engine/core/stop.h"
#include "rewards/verifier.h"

/* To be called by a thread that lives as long as the program. Starts the process and puts it in the place of the task's verifier, for the rest of this process; seconds: what it may
 * take to answer. Only one, and only once; the same again changes nothing. Errors: WZ_ERR_USAGE if there is another. */
wz_status wz_external_start(const char *task, const char *command, double seconds, wz_error *err);

/* A flag that a signal's handler sets: from then on a question waits two seconds at most. NULL: none. */
void wz_external_watch(wz_stop *interrupt);

/* Ends the process, if there is one: closes its input, waits a moment, kills it. */
void wz_external_stop(void);

#endif
