/* SPDX-License-Identifier: MIT */
/*
 * fuzz_flags: command lines and addresses. The input is words, each ended by a
 * zero octet. All together are a command line with flags of every kind; each
 * alone is an address and a description of faults.
 *
 * A command line is taken or refused with the status that says so, and numbers
 * are within their limits afterwards. An address that is taken apart and put
 * together again is the same.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/address.h"
#include "rpc/faults.h"
#include "rpc/program.h"
#include "tests/fuzz/fuzz.h"

enum {
    INPUT_MAX = 1024,
    WORDS_MAX = 24,
    NUMBER_MIN = 3,
    NUMBER_MAX = 60000,
    SIZE_MAX_OCTETS = 1 << 30,
};

struct values {
    const char *text;
    uint32_t number;
    size_t size;
    bool flag;
    struct program_runtime runtime;
};

static void read_address(const char *word)
{
    struct address address, same;
    struct address_parts parts;
    struct endpoint endpoint;

    if (address_init(&address, word, strlen(word)) < 0)
        return;
    address_is_dialable(&address);
    if (address_split(&address, &parts) < 0)
        return;
    if (parts.kind == ADDRESS_INET) {
        if (address_with_port(&address, parts.port, &same) < 0 ||
            !address_equal(&address, &same))
            abort();
    }
    if (parts.kind == ADDRESS_UNIX || parts.bracketed) /* no name to look up */
        address_resolve(&address, true, 0, &endpoint);
}

static void read_faults(const char *word)
{
    struct faults faults;
    const char *reason = NULL;

    if (faults_parse(word, &faults, &reason) < 0) {
        if (reason == NULL)
            abort();
        return;
    }
    for (int i = 0; i < 4; i++) {
        struct fate fate = faults_draw(&faults);

        if (fate.copies > 2)
            abort();
    }
}

static void read_line(int argc, char **argv)
{
    struct values values = {.number = NUMBER_MIN, .size = 1};
    const struct program_option options[] = {
        PROGRAM_TEXT_OPTION("text", "T", "a text", &values.text),
        PROGRAM_U32_OPTION("number", "N", "a number", &values.number,
                           NUMBER_MIN, NUMBER_MAX),
        PROGRAM_SIZE_OPTION("size", "N", "octets", &values.size, 1,
                            SIZE_MAX_OCTETS),
        PROGRAM_FLAG_OPTION("flag", "a flag", &values.flag),
        PROGRAM_RUNTIME_OPTIONS(&values.runtime),
    };
    const struct program program = {"fuzz",
                                    "[X]",
                                    "Nothing.",
                                    options,
                                    sizeof(options) / sizeof(options[0]),
                                    0,
                                    1};
    struct rpc_config config = rpc_config_default();
    struct program_log log;
    struct address address;
    int operand = 0;
    int status = program_parse(&program, argc, argv, &operand);

    if (status == PROGRAM_GO_ON) {
        if (values.number < NUMBER_MIN || values.number > NUMBER_MAX ||
            values.size < 1 || values.size > SIZE_MAX_OCTETS || operand < 1 ||
            operand > argc)
            abort();
        program_log_init(&log);
        program_configure(&program, &values.runtime, &log, &config);
        program_address(&program, "text", values.text, &address);
    } else if (status != PROGRAM_USAGE && status != 0) {
        abort();
    }
}

/* What the parser says is of no interest. */
static void read_line_silently(int argc, char **argv)
{
    FILE *loud_out = stdout, *loud_error = stderr;
    FILE *silence = fopen("/dev/null", "w");

    assert(silence != NULL);
    stdout = stderr = silence;
    read_line(argc, argv);
    stdout = loud_out;
    stderr = loud_error;
    fclose(silence);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
    static char name[] = "fuzz";
    char *argv[WORDS_MAX + 2] = {name};
    int argc = 1;
    char *text;

    if (length > INPUT_MAX)
        return 0;
    text = calloc(1, length + 1);
    assert(text != NULL);
    if (length > 0)
        memcpy(text, octets, length);
    for (size_t at = 0; at < length && argc <= WORDS_MAX;
         at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    for (int i = 1; i < argc; i++) {
        read_address(argv[i]);
        read_faults(argv[i]);
    }
    read_line_silently(argc, argv);
    free(text);
    return 0;
}
