/* libFuzzer: any bytes as a YAML file and as an override. Neither may crash, and whatever is accepted
 * must survive writing and reading back. */
#include <stdlib.h>
#include <string.h>

#include "engine/run/config_schema.h"
#include "tests/fuzz.h"

static void check_round_trip(const wz_config *config)
{
    wz_text text = {0};
    wz_text again = {0};
    wz_error err = {{0}};
    wz_config back;
    wz_config_default(&back);
    require(wz_config_write(config, &text, &err) == WZ_OK);
    require(wz_config_read_text(&back, "copy", text.data, text.length, &err) == WZ_OK);
    require(wz_config_resume_conflict(config, &back) == NULL);
    require(wz_config_write(&back, &again, &err) == WZ_OK);
    require(strcmp(text.data, again.data) == 0);
    (void)wz_config_check(config, &err);
    fuzz_accepted++;
    wz_text_clear(&text);
    wz_text_clear(&again);
}

/* A failure leaves a message, and the configuration as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wz_config config;
    wz_error err = {{0}};
    wz_config_default(&config);
    if (wz_config_read_text(&config, "fuzz.yaml", (const char *)data, size, &err) == WZ_OK)
        check_round_trip(&config);
    else
        require(err.text[0] != '\0');
    char *assignment = malloc(size + 1);
    if (assignment == NULL)
        return 0;
    if (size > 0)
        memcpy(assignment, data, size);
    assignment[size] = '\0';
    err.text[0] = '\0';
    if (wz_config_override(&config, assignment, &err) == WZ_OK)
        check_round_trip(&config);
    else
        require(err.text[0] != '\0');
    free(assignment);
    return 0;
}
