/* tests/data/loss_cases.json, which make_loss_fixtures.py writes and describes. */
#ifndef WZ_TESTS_LOSS_FIXTURE_H
#define WZ_TESTS_LOSS_FIXTURE_H

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MAX_TOKENS 256
#define MAX_COMPLETIONS 32

static json_t *fixture;

static inline void load_fixture(void)
{
    json_error_t error;
    fixture = json_load_file(WZ_TEST_DATA "/loss_cases.json", 0, &error);
    ck_assert_msg(fixture != NULL, "%s", error.text);
}

static inline void drop_fixture(void)
{
    json_decref(fixture);
}

static inline double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static inline bool is_text(const json_t *object, const char *key, const char *text)
{
    return strcmp(json_string_value(json_object_get(object, key)), text) == 0;
}

static inline double item(const json_t *object, const char *key, size_t i)
{
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

/* The fixture is in double, our sums and exp too: only the derivatives are rounded to float (6e-8 relative). */
static inline void assert_close(double value, double expected, double tolerance, const char *name,
                                const char *what)
{
    ck_assert_msg(fabs(value - expected) <= tolerance * fmax(fabs(expected), 1e-3),
                  "%s: %s is %.12g, not %.12g", name, what, value, expected);
}

#endif
