/* SPDX-License-Identifier: MIT */
/*
 * program: see program.h. The flags are parsed by hand, because getopt_long is
 * neither in POSIX nor able to say which word it did not like.
 */
#include "rpc/program.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "rpc/address.h"

enum { HELP_COLUMN = 26 };

int program_refuse(const struct program *program, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry '%s --help'.\n", program->name);
    return PROGRAM_USAGE;
}

int program_address(const struct program *program, const char *flag,
                    const char *text, struct address *address)
{
    struct address_parts parts;

    if (text == NULL)
        return program_refuse(program, "--%s is required", flag);
    if (address_init(address, text, strlen(text)) < 0 ||
        address_split(address, &parts) < 0)
        return program_refuse(program, "--%s: '%s' is not an address", flag,
                              text);
    return PROGRAM_GO_ON;
}

int program_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int program_serve(const struct program *program,
                  const struct rpc_config *config, struct node *node,
                  void (*begin)(struct node *node,
                                const struct address *address))
{
    struct rpc *rpc;
    struct peer self;
    const char *reason;
    int result;

    /* With fewer descriptors than connections, accepting pauses instead. */
    (void)program_raise_descriptors();
    result = rpc_new(config, node, &rpc, &reason);
    if (result < 0) {
        fprintf(stderr, "%s: %s: %s: %s\n", program->name, config->listen,
                reason, strerror(-result));
        node_release(node);
        return PROGRAM_FAILED;
    }
    self = rpc_self(rpc);
    if (begin != NULL)
        begin(node, &self.address);
    result = rpc_stop_on_signals(rpc);
    if (result == 0)
        result = rpc_run(rpc);
    rpc_free(rpc);
    if (result == 0)
        return 0;
    fprintf(stderr, "%s: stopped: %s\n", program->name,
            result == -ECANCELED ? "the last event was fatal"
                                 : strerror(-result));
    return PROGRAM_FAILED;
}

/* ---- Help --------------------------------------------------------------- */

static void print_option(const char *name, const char *argument,
                         const char *help)
{
    int width = printf("  --%s%s%s", name, argument != NULL ? " " : "",
                       argument != NULL ? argument : "");

    if (width >= HELP_COLUMN)
        printf("\n%*s%s\n", HELP_COLUMN, "", help);
    else
        printf("%*s%s\n", HELP_COLUMN - width, "", help);
}

static int print_help(const struct program *program)
{
    printf("usage: %s [OPTION]...%s%s\n\n%s\n\n", program->name,
           program->operands[0] != '\0' ? " " : "", program->operands,
           program->purpose);
    for (size_t i = 0; i < program->option_count; i++)
        print_option(program->options[i].name, program->options[i].argument,
                     program->options[i].help);
    print_option("help", NULL, "print this text");
    print_option("version", NULL, "print the version");
    return 0;
}

/* ---- Values ------------------------------------------------------------- */

/* Reads a decimal number and moves text behind it. */
static bool parse_number(const char **text, uint64_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return at != *text && (*text = at) != NULL;
}

static bool parse_unit(const char *text, uint64_t *value)
{
    static const char units[] = "KMG";
    const char *unit;
    unsigned shift;

    if (*text == '\0')
        return true;
    unit = strchr(units, *text);
    if (unit == NULL || text[1] != '\0')
        return false;
    shift = 10 * (unsigned)(unit - units + 1);
    if (*value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}

static uint64_t greatest(const struct program_option *option)
{
    if (option->maximum != 0)
        return option->maximum;
    return option->kind == PROGRAM_U32 ? UINT32_MAX : SIZE_MAX;
}

static int refuse_number(const struct program *program,
                         const struct program_option *option, const char *word)
{
    return program_refuse(
        program, "--%s takes %s from %llu to %llu, not '%s'", option->name,
        option->kind == PROGRAM_U32 ? "a number" : "a number of octets",
        (unsigned long long)option->minimum,
        (unsigned long long)greatest(option), word);
}

static int set_number(const struct program *program,
                      const struct program_option *option, const char *word)
{
    const char *rest = word;
    uint64_t value = 0;
    bool good = parse_number(&rest, &value);

    if (good && option->kind == PROGRAM_SIZE)
        good = parse_unit(rest, &value);
    else if (*rest != '\0')
        good = false;
    if (!good || value < option->minimum || value > greatest(option))
        return refuse_number(program, option, word);
    if (option->kind == PROGRAM_U32)
        *option->value.number = (uint32_t)value;
    else
        *option->value.size = (size_t)value;
    return PROGRAM_GO_ON;
}

static int set_value(const struct program *program,
                     const struct program_option *option, const char *word)
{
    if (option->kind != PROGRAM_TEXT)
        return set_number(program, option, word);
    *option->value.text = word;
    return PROGRAM_GO_ON;
}

/* ---- The command line --------------------------------------------------- */

/* Finds the option whose name is the first length octets of word. */
static const struct program_option *find_option(const struct program *program,
                                                const char *word, size_t length)
{
    for (size_t i = 0; i < program->option_count; i++) {
        const struct program_option *option = &program->options[i];

        if (strlen(option->name) == length &&
            memcmp(option->name, word, length) == 0)
            return option;
    }
    return NULL;
}

static int parse_flag(const struct program *program,
                      const struct program_option *option, const char *value)
{
    if (value != NULL)
        return program_refuse(program, "--%s takes no value, but got '%s'",
                              option->name, value);
    *option->value.flag = true;
    return PROGRAM_GO_ON;
}

/* Reads the option at argv[*index] and moves the index to its last word. */
static int parse_option(const struct program *program, char **argv, int *index)
{
    const char *word = argv[*index] + 2;
    size_t length = strcspn(word, "=");
    const char *value = word[length] == '=' ? word + length + 1 : NULL;
    const struct program_option *option = find_option(program, word, length);

    if (option == NULL)
        return program_refuse(program, "unknown option '%s'", argv[*index]);
    if (option->kind == PROGRAM_FLAG)
        return parse_flag(program, option, value);
    if (value == NULL)
        value = argv[++*index];
    if (value == NULL)
        return program_refuse(program, "--%s needs a value", option->name);
    return set_value(program, option, value);
}

static int check_operands(const struct program *program, int argc, char **argv,
                          int first)
{
    int count = argc - first;

    if (count < program->operands_min)
        return program_refuse(program, "expected %s after '%s'",
                              program->operands, argv[argc - 1]);
    if (program->operands_max >= 0 && count > program->operands_max)
        return program_refuse(program, "unexpected '%s'",
                              argv[first + program->operands_max]);
    return PROGRAM_GO_ON;
}

int program_parse(const struct program *program, int argc, char **argv,
                  int *operand)
{
    int at = 1;
    int status = PROGRAM_GO_ON;

    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--help") == 0)
            return print_help(program);
        if (strcmp(argv[at], "--version") == 0) {
            printf("%s %s\n", program->name, PBKV_VERSION);
            return 0;
        }
        if (argv[at][1] != '-')
            return program_refuse(program, "unknown option '%s'", argv[at]);
        if (argv[at][2] == '\0') {
            at++;
            break;
        }
        status = parse_option(program, argv, &at);
        if (status != PROGRAM_GO_ON)
            return status;
    }
    *operand = at;
    return check_operands(program, argc, argv, at);
}

/* ---- Flags of every runtime --------------------------------------------- */

static bool parse_level(const char *text, struct rpc_config *config)
{
    static const char *const names[] = {"debug", "info", "warn"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            config->log_level = (enum log_level)i;
            return true;
        }
    }
    if (strcmp(text, "none") != 0)
        return false;
    config->log_level = LOG_LEVEL_FATAL;
    config->on_log = NULL;
    return true;
}

int program_configure(const struct program *program,
                      const struct program_runtime *runtime,
                      struct program_log *log, struct rpc_config *config)
{
    const char *reason = NULL;

    config->on_log = program_log_line;
    config->context = log;
    config->trace_path = runtime->trace;
    config->trace_limit = runtime->trace_max;
    if (runtime->log_level != NULL && !parse_level(runtime->log_level, config))
        return program_refuse(
            program, "--log-level takes debug, info, warn or none, not '%s'",
            runtime->log_level);
    if (runtime->faults != NULL &&
        faults_parse(runtime->faults, &config->faults, &reason) < 0)
        return program_refuse(program, "%s: '%s'", reason, runtime->faults);
    return PROGRAM_GO_ON;
}
