/* Gains as prompts state them: whole decibels above a floor. */
#ifndef WZ_TASKS_DECIBEL_H
#define WZ_TASKS_DECIBEL_H

#include <stdint.h>

/* clip(round(10 log10 linear) + offset, 0, maximum); 0 for a gain of nothing. linear: >= 0. */
int32_t wz_whole_db(double linear, int offset, int maximum);
/* clip(round(db) + offset, 0, maximum). */
int32_t wz_clip_db(double db, int offset, int maximum);
/* The gain such a number stands for: 10^((number - offset) / 10), linear. */
double wz_from_whole_db(int32_t number, int offset);

#endif
