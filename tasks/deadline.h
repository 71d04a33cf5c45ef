/* Deadline scheduling: packets wait for their users' channels, which come and go; decide which packet each time slot sends
 * so that the total weight of the packets sent in time is largest.
 *
 * The problem, exactly. N packets of one slot's length each, for N users, with weight uniform in 1..max_weight and deadline
 * uniform in 1..slots: a packet may be sent in slots 1 to its deadline. The channel of a packet is on in each slot with
 * probability on_percent / 100, independent, and known beforehand. What it does after the packet's deadline is of no use
 * and no part of the problem. Problems in which nothing can be sent in time are drawn again.
 * Packets are numbered by falling weight; equal ones keep the order they came in.
 * The problem's numbers are the N weights, the N deadlines, and slot by slot for each packet 1 if it can be sent in that
 * slot (its channel is on, its deadline has not passed) and 0 if not.
 * An answer is, for each slot, a packet or none. No packet may be sent twice, after its deadline, or while its channel is
 * off.
 *
 * Compact prompts. First a row for each packet: its label, its weight, its deadline. Slots are called by small letters, so
 * that times and weights have no words in common. Then a row for each slot: its letter and the packets that can be sent:
 *     " packet weight deadline A 9 b B 9 c C 5 a D 2 c slot a A C D b A B c D<answer>"
 * Compact answers: the slots' packets in order, " C A D</answer>" or " C A none</answer>". */
#ifndef WZ_TASKS_DEADLINE_H
#define WZ_TASKS_DEADLINE_H

#include "tasks/task.h"

#define WZ_MAX_PACKETS 32
#define WZ_MAX_DEADLINE_SLOTS 24

/* The payload of a deadline problem. Times are slots, from 1. */
typedef struct wz_deadline {
    size_t packets, slots;
    int32_t weight[WZ_MAX_PACKETS];
    int32_t deadline[WZ_MAX_PACKETS];
    uint32_t sendable[WZ_MAX_DEADLINE_SLOTS]; /* sendable[t - 1], bit i: slot t can send packet i */
} wz_deadline;

extern const wz_task wz_task_deadline;

#endif
