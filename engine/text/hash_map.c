#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

/* Finaliser of splitmix64 (Steele et al. 2014): spreads ids that differ in few bits. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static size_t find_slot(const wz_map *map, uint64_t key)
{
    size_t slot = (size_t)mix(key) & (map->capacity - 1);
    while (map->values[slot] != WZ_NO_TOKEN && map->keys[slot] != key)
        slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

static wz_status enlarge(wz_map *map, wz_error *err)
{
    wz_map larger = {.capacity = map->capacity == 0 ? 64 : map->capacity * 2};
    void *keys = NULL, *values = NULL;
    wz_status status = wz_alloc(&keys, larger.capacity, sizeof *larger.keys, "hash map", err);
    if (status == WZ_OK)
        status = wz_alloc(&values, larger.capacity, sizeof *larger.values, "hash map", err);
    if (status != WZ_OK) {
        free(keys);
        return status;
    }
    larger.keys = keys;
    larger.values = values;
    memset(values, 0xff, larger.capacity * sizeof *larger.values);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->values[i] == WZ_NO_TOKEN)
            continue;
        size_t slot = find_slot(&larger, map->keys[i]);
        larger.keys[slot] = map->keys[i];
        larger.values[slot] = map->values[i];
        larger.count++;
    }
    wz_map_clear(map);
    *map = larger;
    return WZ_OK;
}

wz_status wz_map_put(wz_map *map, uint64_t key, uint32_t value, wz_error *err)
{
    if (map->count * 2 >= map->capacity) {
        wz_status status = enlarge(map, err);
        if (status != WZ_OK)
            return status;
    }
    size_t slot = find_slot(map, key);
    map->count += map->values[slot] == WZ_NO_TOKEN;
    map->keys[slot] = key;
    map->values[slot] = value;
    return WZ_OK;
}

uint32_t wz_map_get(const wz_map *map, uint64_t key)
{
    return map->capacity == 0 ? WZ_NO_TOKEN : map->values[find_slot(map, key)];
}

void wz_map_clear(wz_map *map)
{
    free(map->keys);
    free(map->values);
    memset(map, 0, sizeof *map);
}
