/* SPDX-License-Identifier: MIT */
/*
 * viewservice: the view service as a program. The role decides (view_server.h),
 * the runtime feeds it (rpc/rpc.h); what is left here is the command line and
 * the state file (rule V11).
 *
 * There may be one view service for a state file, or two could decide different
 * views. So the file FILE.lock next to it is locked first and until the process
 * ends, however it ends. It is not removed: between removing and creating it,
 * two processes could hold locks on two files of that name. The state file
 * itself cannot be locked, because each new record is a new file.
 *
 * A state file that cannot be read, in part or at all, ends the program before
 * it listens. To go on without it would be to start from view 0 while a primary
 * serves; whether that is right, only an operator can know, who then removes
 * it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/memory.h"
#include "rpc/program.h"
#include "rpc/rpc.h"
#include "viewservice/view_record.h"
#include "viewservice/view_server.h"

struct arguments {
    const char *listen;
    const char *state;
    const char *name;
    struct program_runtime runtime;
    struct view_server_config server;
};

enum { OPTIONS_MAX = 9 };

static const struct arguments defaults = {
    .name = "vs",
    .server = {.ping_ms = 100, .dead_pings = 5},
};

/* Fills in the table of flags and returns how many there are. */
static size_t list_options(struct arguments *arguments,
                           struct program_option options[OPTIONS_MAX])
{
    const struct program_option list[] = {
        PROGRAM_TEXT_OPTION("listen", "ADDR",
                            "host:port, [v6]:port or unix:/path (required)",
                            &arguments->listen),
        PROGRAM_TEXT_OPTION("state", "FILE",
                            "file that remembers the view (required)",
                            &arguments->state),
        PROGRAM_U32_OPTION("ping-ms", "MS",
                           "length of a ping cycle; as the servers have it "
                           "(100)",
                           &arguments->server.ping_ms, 1, 60000),
        PROGRAM_U32_OPTION(
            "dead-pings", "N", "cycles without a ping that mean death (5)",
            &arguments->server.dead_pings, VIEW_SERVER_DEAD_PINGS_MIN, 1000000),
        PROGRAM_TEXT_OPTION("name", "NAME", "name in logs and traces (vs)",
                            &arguments->name),
        PROGRAM_RUNTIME_OPTIONS(&arguments->runtime),
    };

    memcpy(options, list, sizeof(list));
    return sizeof(list) / sizeof(list[0]);
}

/* Makes the runtime's configuration from the arguments. */
static int configure(const struct program *program,
                     const struct arguments *arguments, struct program_log *log,
                     struct rpc_config *config)
{
    int status = program_address(program, "listen", arguments->listen,
                                 &config->self.address);

    if (status != PROGRAM_GO_ON)
        return status;
    if (arguments->state == NULL)
        return program_refuse(program, "--state is required");
    if (arguments->state[0] == '\0')
        return program_refuse(program, "--state: '' is not a file");
    config->self.incarnation = rpc_new_incarnation();
    config->name = arguments->name;
    config->listen = arguments->listen;
    config->persist_path = arguments->state;
    return program_configure(program, &arguments->runtime, log, config);
}

static int fail(const char *subject, const char *reason)
{
    fprintf(stderr, "viewservice: %s: %s\n", subject, reason);
    return PROGRAM_FAILED;
}

/* Opens the lock file at path and locks it for the life of this process, which
 * never closes it. Returns 0 or a negative errno; -EAGAIN: another has it. */
static int lock_file(const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int error;

    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETLK, &whole) == 0)
        return 0;
    error = errno == EACCES ? EAGAIN : errno; /* POSIX allows either */
    close(fd);
    return -error;
}

/* Makes this process the only view service with this state file. */
static int lock_state(const char *state)
{
    static const char suffix[] = ".lock";
    size_t length;
    char *path;
    int status = PROGRAM_GO_ON;
    int error;

    assert(state != NULL);
    length = strlen(state);
    path = memory_new(length + sizeof(suffix));
    memcpy(path, state, length);
    memcpy(path + length, suffix, sizeof(suffix));
    error = lock_file(path);
    if (error == -EAGAIN)
        status = fail(state, "another view service uses this state file");
    else if (error < 0)
        status = fail(path, strerror(-error));
    free(path);
    return status;
}

/* Reads the record that an earlier life left (V11). A missing file leaves
 * *found false; any other trouble is a reason not to start. */
static int read_state(const char *state, struct view_record *record,
                      bool *found)
{
    struct bytes *octets;
    const char *reason;
    int error = rpc_read_record(state, &octets);

    *found = false;
    if (error < 0)
        return fail(state, error == -EINVAL ? "it is not a regular file"
                                            : strerror(-error));
    if (octets == NULL)
        return PROGRAM_GO_ON;
    error = view_record_decode(octets->data, octets->length, record, &reason);
    bytes_release(octets);
    if (error < 0)
        return fail(state, reason);
    *found = true;
    return PROGRAM_GO_ON;
}

/* Takes the state file and serves the view that is in it. */
static int run(const struct program *program, const struct arguments *arguments,
               const struct rpc_config *config)
{
    struct view_record record;
    bool found;
    int status = lock_state(arguments->state);

    if (status == PROGRAM_GO_ON)
        status = read_state(arguments->state, &record, &found);
    if (status != PROGRAM_GO_ON)
        return status;
    return program_serve(
        program, config,
        view_server_new(&arguments->server, found ? &record : NULL), NULL);
}

int main(int argc, char **argv)
{
    struct arguments arguments = defaults;
    struct program_option options[OPTIONS_MAX];
    struct program program = {
        .name = "viewservice",
        .operands = "",
        .purpose = "Watches the servers and decides which of them is primary "
                   "and which is backup.",
        .options = options,
    };
    struct program_log log;
    struct rpc_config config = rpc_config_default();
    int operand;
    int status;

    program.option_count = list_options(&arguments, options);
    program_log_init(&log);
    status = program_parse(&program, argc, argv, &operand);
    if (status == PROGRAM_GO_ON)
        status = configure(&program, &arguments, &log, &config);
    if (status == PROGRAM_GO_ON)
        status = run(&program, &arguments, &config);
    program_log_close(&log);
    return status;
}
