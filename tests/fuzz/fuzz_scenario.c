/* SPDX-License-Identifier: MIT */
/*
 * fuzz_scenario: scripts for the imagined world. A script that makes no sense
 * is refused with its line; one that makes sense may fail, never crash, and the
 * store in it breaks no invariant: that would be a finding about the roles.
 *
 * Scripts that let much time pass are not tried: they are only slow.
 */
#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/scenario.h"
#include "tests/fuzz/fuzz.h"

enum {
    SCRIPT_MAX = 1500, /* octets */
    DIGITS_MAX = 3,    /* of a number */
    FAILURE_SIZE = 512,
};

static bool is_slow(const char *text)
{
    size_t digits = 0;

    for (; *text != '\0'; text++) {
        digits = isdigit((unsigned char)*text) ? digits + 1 : 0;
        if (digits > DIGITS_MAX || (digits > 1 && text[1] == 's'))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    char failure[FAILURE_SIZE] = "";
    char *text;

    if (length > SCRIPT_MAX)
        return 0;
    text = malloc(length + 1);
    assert(text != NULL);
    if (length > 0)
        memcpy(text, octets, length);
    text[length] = '\0';
    if (!is_slow(text) &&
        !scenario_play("script", text, failure, sizeof(failure)) &&
        strncmp(failure, "script:", 7) != 0)
        abort();
    free(text);
    return 0;
}
