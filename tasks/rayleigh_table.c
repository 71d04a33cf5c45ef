#include "tasks/rayleigh_table.h"

#include "tasks/decibel.h"

void wz_rayleigh_table_draw(wz_problem *problem, wz_draws *draws, double direct, double cross)
{
    int32_t printed[WZ_RAYLEIGH_MAX_LINKS * WZ_RAYLEIGH_MAX_LINKS] = {0};
    for (size_t i = 0; i < problem->size; i++)
        for (size_t j = 0; j < problem->size; j++)
            printed[i * problem->size + j] =
                wz_whole_db((i == j ? direct : cross) * wz_draws_exponential(draws), WZ_RAYLEIGH_DB_OFFSET,
                            WZ_RAYLEIGH_DB_MAX);
    wz_link_table_number(printed, false, problem);
}

wz_status wz_rayleigh_table_import(const wz_task *task, const double *values, const wz_own_gains *gains,
                                   uint32_t index, wz_problem *out, wz_error *err)
{
    return wz_link_table_import(task, values, gains, WZ_RAYLEIGH_DB_OFFSET, WZ_RAYLEIGH_DB_MAX, false, index,
                                out, err);
}

wz_status wz_rayleigh_table_check(const wz_problem *problem, wz_error *err)
{
    return wz_link_table_check(problem, WZ_RAYLEIGH_DB_MAX, false, err);
}

void wz_rayleigh_table_gain(const wz_problem *problem, double *gain)
{
    for (size_t entry = 0; entry < problem->size * problem->size; entry++)
        gain[entry] = wz_from_whole_db(problem->numbers[entry], WZ_RAYLEIGH_DB_OFFSET);
}

void wz_rayleigh_table_write(wz_words *words, const wz_problem *problem)
{
    wz_words_printf(words, " dB plus %d 0 to %d", WZ_RAYLEIGH_DB_OFFSET, WZ_RAYLEIGH_DB_MAX);
    wz_link_table_write(words, problem);
}

void wz_rayleigh_table_write_full(wz_words *words, const wz_problem *problem)
{
    wz_link_table_write_channel(words, problem, WZ_RAYLEIGH_DB_OFFSET);
}
