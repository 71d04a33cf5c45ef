#include "engine/cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/suggest.h"

#define MAX_OPTIONS 64 /* of one command; one bit each says whether it was given */

/* The option whose name is the argument's text before '='. */
static const wz_option *find_option(const wz_option *options, size_t count, const char *argument)
{
    size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < count; ++i)
        if (strlen(options[i].name) == length && strncmp(options[i].name, argument, length) == 0)
            return &options[i];
    return NULL;
}

static wz_status fail_unknown(const wz_option *options, size_t count, const char *argument, wz_error *err)
{
    char name[64];
    wz_suggestion suggestion = {0};
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    for (size_t i = 0; i < count; ++i)
        wz_suggest(&suggestion, name, options[i].name);
    if (suggestion.best != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "unknown option '%s' (did you mean '%s'?)", name, suggestion.best);
    return wz_fail(err, WZ_ERR_USAGE, "unknown option '%s'; --help lists the options", name);
}

/* Decimal numbers only: strtod and strtoll would also take blanks, hexadecimal, nan and inf. */
static wz_status set_number(const wz_option *option, const char *text, wz_error *err)
{
    bool integer = option->type == WZ_OPTION_INTEGER;
    char *end = NULL;
    size_t length = strlen(text);
    bool valid = length > 0 && strspn(text, integer ? "+-0123456789" : "+-.eE0123456789") == length;
    errno = 0;
    long long whole = integer ? strtoll(text, &end, 10) : 0;
    double value = integer ? (double)whole : strtod(text, &end);
    if (!valid || *end != '\0' || errno != 0 || !(value >= option->minimum && value <= option->maximum))
        return wz_fail(err, WZ_ERR_USAGE, "%s: expected a %s from %.15g to %.15g, found '%.64s'",
                       option->name, integer ? "whole number" : "number", option->minimum, option->maximum,
                       text);
    if (integer)
        *(int64_t *)option->target = whole;
    else
        *(double *)option->target = value;
    return WZ_OK;
}

static wz_status add_text(const wz_option *option, const char *text, wz_error *err)
{
    wz_option_texts *texts = option->target;
    const size_t most = sizeof texts->items / sizeof texts->items[0];
    if (texts->count == most)
        return wz_fail(err, WZ_ERR_USAGE, "%s can be given at most %zu times", option->name, most);
    texts->items[texts->count++] = text;
    return WZ_OK;
}

/* Sets one option from argv[*at], taking argv[*at + 1] too when the value stands there. */
static wz_status set_option(const wz_option *option, int argc, const char **argv, int *at, wz_error *err)
{
    const char *equals = strchr(argv[*at], '=');
    if (option->type == WZ_OPTION_FLAG) {
        if (equals != NULL)
            return wz_fail(err, WZ_ERR_USAGE, "%s takes no value, found '%.64s'", option->name, equals + 1);
        *(bool *)option->target = true;
        return WZ_OK;
    }
    if (equals == NULL && *at + 1 >= argc)
        return wz_fail(err, WZ_ERR_USAGE, "%s needs a value: %s %s", option->name, option->name,
                       option->metavar != NULL ? option->metavar : "VALUE");
    const char *text = equals != NULL ? equals + 1 : argv[++*at];
    if (option->type == WZ_OPTION_TEXTS)
        return add_text(option, text, err);
    if (option->type != WZ_OPTION_TEXT && option->type != WZ_OPTION_PATH)
        return set_number(option, text, err);
    if (option->type == WZ_OPTION_PATH && text[0] == '\0')
        return wz_fail(err, WZ_ERR_USAGE, "%s: the name is empty", option->name);
    *(const char **)option->target = text;
    return WZ_OK;
}

wz_status wz_options_parse(const wz_option *options, size_t count, int argc, const char **argv,
                           wz_arguments *rest, bool *help, wz_error *err)
{
    int kept = 0;
    bool ended = false;
    uint64_t given = 0;
    if (count > MAX_OPTIONS)
        return wz_fail(err, WZ_ERR_RUNTIME, "a command may have at most %d options", MAX_OPTIONS);
    for (int at = 0; at < argc; ++at) {
        const char *argument = argv[at];
        if (ended || argument[0] != '-' || argument[1] == '\0') {
            argv[kept++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            ended = true;
            continue;
        }
        const wz_option *option = find_option(options, count, argument);
        if (option == NULL && help != NULL &&
            (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            *help = true;
            continue;
        }
        if (option == NULL)
            return fail_unknown(options, count, argument, err);
        uint64_t bit = (uint64_t)1 << (option - options);
        if ((given & bit) != 0 && option->type != WZ_OPTION_TEXTS)
            return wz_fail(err, WZ_ERR_USAGE, "%s is given twice", option->name);
        given |= bit;
        wz_status status = set_option(option, argc, argv, &at, err);
        if (status != WZ_OK)
            return status;
    }
    rest->items = argv;
    rest->count = (size_t)kept;
    return WZ_OK;
}

wz_status wz_arguments_check(const wz_arguments *rest, size_t least, size_t most, const char *usage,
                             wz_error *err)
{
    if (rest->count < least)
        return wz_fail(err, WZ_ERR_USAGE, "an argument is missing; usage: %s", usage);
    if (rest->count > most)
        return wz_fail(err, WZ_ERR_USAGE, "unexpected argument '%.64s'; usage: %s", rest->items[most], usage);
    return WZ_OK;
}

wz_status wz_options_help(const wz_option *options, size_t count, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < count && status == WZ_OK; ++i) {
        char left[48];
        const char *metavar = options[i].metavar != NULL ? options[i].metavar : "";
        (void)snprintf(left, sizeof left, "%s%s%s", options[i].name, metavar[0] != '\0' ? " " : "", metavar);
        status = wz_text_printf(out, err, "  %-22s %s\n", left, options[i].help);
    }
    return status;
}

wz_status wz_split_parse(const char *text, wz_split *split, wz_error *err)
{
    wz_suggestion nearest = {0};
    for (int i = 0; i < 3; ++i) {
        wz_suggest(&nearest, text, wz_split_name((wz_split)i));
        if (strcmp(text, wz_split_name((wz_split)i)) == 0) {
            *split = (wz_split)i;
            return WZ_OK;
        }
    }
    return wz_fail(err, WZ_ERR_USAGE, "--split: expected train, validation or test, found '%.64s'%s%s%s",
                   text, nearest.best != NULL ? " (did you mean '" : "",
                   nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
}
