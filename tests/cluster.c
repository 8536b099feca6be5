/* SPDX-License-Identifier: MIT */
/*
 * cluster: see cluster.h. Three parts: the janitor, processes, and a store made
 * of them. The links are in link.c.
 *
 * The pipe to the janitor has no close-on-exec flag on purpose: every child
 * holds its writing end, so that the end of the pipe means that all are gone,
 * and the directory can be removed for good.
 */
#define _GNU_SOURCE // the flags of pipe2, setns
#include "tests/cluster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/link.h"
#include "tests/time_scale.h"

enum {
    DEFAULT_PING_MS = 40,
    RESEND_MS = 50, /* of servers, stretched like the pings */
    DEFAULT_DEAD_PINGS = 5,
    RETRY_MS = 200,      /* of clients: the library's own */
    CALL_MS = 5000,      /* of clients: the library's own */
    POLL_MS = 4,         /* between two questions */
    ASK_MS = 1000,       /* deadline of one question */
    TAIL_SIZE = 3000,    /* octets of a log that the janitor prints */
    LOG_SIZE = 64 << 20, /* octets of a log that are read at the most */
    STATUS_SIGNALLED = 128,
};

static const char JANITOR_LEAVE = 'l'; /* all is cleaned up */

struct cluster {
    struct cluster_options options;
    char directory[CLUSTER_PATH_SIZE / 2];
    const char *build;
    int network; /* of processes that are added */
    int janitor_pipe;
    pid_t janitor;
    pthread_mutex_t family; /* held to start, kill or bury a child, for the
                               sake of cluster_abandon */
    struct process *processes[CLUSTER_PROCESSES_MAX];
    unsigned process_count;
    unsigned server_count;
    struct process *view_service;
    struct pbkv *observer; /* asks; NULL until it is needed */
    unsigned client_count; /* opened by cluster_open */
    struct link *links[CLUSTER_LINKS_MAX];
    unsigned link_count;
};

/* Ends the test: the system is in no state to go on. */
static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("cluster: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        give_up("no memory");
    return memory;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(allocate(size), text, size);
}

/* Copies a text into room of size octets, where it must fit. */
static void put_text(char *room, size_t size, const char *text)
{
    if (strlen(text) >= size)
        give_up("too long: %s", text);
    memcpy(room, text, strlen(text) + 1);
}

static void rest(void)
{
    struct timespec pause = {0, POLL_MS * 1000000L};

    nanosleep(&pause, NULL);
}

uint64_t cluster_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t cluster_stretch(uint32_t ms)
{
    return time_scaled(ms);
}

static bool directory_is_kept(void)
{
    const char *keep = getenv("CLUSTER_KEEP");

    return keep && strcmp(keep, "1") == 0;
}

/* ---- Janitor ------------------------------------------------------------ */

/* Calls visit for every file of the directory. */
static void visit_files(const char *directory,
                        void (*visit)(int directory_fd, const char *file))
{
    DIR *stream = opendir(directory);
    struct dirent *entry;

    if (!stream)
        return;
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(dirfd(stream), entry->d_name);
    closedir(stream);
}

static void remove_file(int directory_fd, const char *file)
{
    if (unlinkat(directory_fd, file, 0) != 0)
        unlinkat(directory_fd, file, AT_REMOVEDIR); /* if it is empty */
}

static void remove_directory(const char *directory)
{
    if (directory_is_kept()) {
        fprintf(stderr, "cluster: kept %s\n", directory);
        return;
    }
    visit_files(directory, remove_file);
    if (rmdir(directory) != 0)
        fprintf(stderr, "cluster: %s: %s\n", directory, strerror(errno));
}

static bool is_log(const char *file)
{
    size_t length = strlen(file);

    return length >= 4 && strcmp(file + length - 4, ".log") == 0;
}

static void print_tail(int directory_fd, const char *file)
{
    char tail[TAIL_SIZE];
    ssize_t got;
    int fd;

    if (!is_log(file))
        return;
    fd = openat(directory_fd, file, O_RDONLY);
    if (fd < 0)
        return;
    if (lseek(fd, -TAIL_SIZE, SEEK_END) < 0)
        lseek(fd, 0, SEEK_SET);
    got = read(fd, tail, sizeof(tail));
    fprintf(stderr, "---- the end of %s\n", file);
    if (got > 0)
        fwrite(tail, 1, (size_t)got, stderr);
    close(fd);
}

/* What UBSan said of a program, in the words that tests/reports.sh reads. */
static void print_report(int directory_fd, const char *file)
{
    size_t size = 0;
    char *line = NULL;
    FILE *log;
    int fd;

    if (!is_log(file))
        return;
    fd = openat(directory_fd, file, O_RDONLY | O_CLOEXEC);
    log = fd < 0 ? NULL : fdopen(fd, "r");
    while (log && getline(&line, &size, log) > 0)
        if (strstr(line, "runtime error: "))
            fprintf(stderr, "%s: %s", file, line);
    free(line);
    if (log)
        fclose(log);
}

/* The janitor needs no more of the cluster than its directory. */
static void __attribute__((noreturn))
janitor_run(struct cluster *cluster, int pipe_fd)
{
    char directory[sizeof(cluster->directory)];
    char octet = 0;
    ssize_t got;

    memcpy(directory, cluster->directory, sizeof(directory));
    free(cluster);
    setpgid(0, 0);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    do
        got = read(pipe_fd, &octet, 1);
    while (got < 0 && errno == EINTR);
    if (got > 0 && octet == JANITOR_LEAVE)
        _exit(0);
    fprintf(stderr, "cluster: the test ended early\n");
    visit_files(directory, print_tail);
    remove_directory(directory);
    fflush(stderr);
    _exit(0);
}

static void janitor_start(struct cluster *cluster)
{
    int ends[2];

    if (pipe2(ends, 0) != 0)
        give_up("pipe: %s", strerror(errno));
    fflush(NULL);
    cluster->janitor = fork();
    if (cluster->janitor < 0)
        give_up("fork: %s", strerror(errno));
    if (cluster->janitor == 0) {
        close(ends[1]);
        janitor_run(cluster, ends[0]);
    }
    /* Both sides do it: whoever ends our group must not end the janitor, even
     * if it has not run yet. */
    setpgid(cluster->janitor, cluster->janitor);
    close(ends[0]);
    cluster->janitor_pipe = ends[1];
}

static void janitor_dismiss(struct cluster *cluster)
{
    if (write(cluster->janitor_pipe, &JANITOR_LEAVE, 1) != 1)
        give_up("the janitor is gone");
    close(cluster->janitor_pipe);
    waitpid(cluster->janitor, NULL, 0);
}

/* ---- Cluster ------------------------------------------------------------ */

struct cluster *cluster_new(const struct cluster_options *options)
{
    struct cluster *cluster = allocate(sizeof(*cluster));
    const char *parent = getenv("TMPDIR");

    cluster->options = *options;
    cluster->network = -1;
    pthread_mutex_init(&cluster->family, NULL);
    if (cluster->options.ping_ms == 0)
        cluster->options.ping_ms = DEFAULT_PING_MS;
    if (cluster->options.dead_pings == 0)
        cluster->options.dead_pings = DEFAULT_DEAD_PINGS;
    cluster->build = getenv("PBKV_BUILD");
    if (!cluster->build)
        cluster->build = "build/debug";
    if (!parent || strlen(parent) > sizeof(cluster->directory) - 16)
        parent = "/tmp";
    snprintf(cluster->directory, sizeof(cluster->directory), "%s/pbkv-XXXXXX",
             parent);
    if (!mkdtemp(cluster->directory))
        give_up("%s: %s", cluster->directory, strerror(errno));
    janitor_start(cluster);
    return cluster;
}

static void process_free(struct process *process)
{
    for (int i = 0; i < process->argument_count; i++)
        free(process->arguments[i]);
    free(process);
}

void cluster_free(struct cluster *cluster)
{
    cluster_hush(cluster);
    for (unsigned i = 0; i < cluster->process_count; i++)
        if (cluster->processes[i]->pid != 0)
            process_signal(cluster->processes[i], SIGKILL);
    for (unsigned i = 0; i < cluster->link_count; i++)
        link_free(cluster->links[i]);
    for (unsigned i = 0; i < cluster->process_count; i++)
        process_free(cluster->processes[i]);
    visit_files(cluster->directory, print_report);
    remove_directory(cluster->directory);
    janitor_dismiss(cluster);
    pthread_mutex_destroy(&cluster->family);
    free(cluster);
}

void cluster_abandon(struct cluster *cluster, int status)
{
    pthread_mutex_lock(&cluster->family); /* for good: no more children */
    for (unsigned i = 0; i < cluster->process_count; i++) {
        pid_t pid = cluster->processes[i]->pid;

        if (pid != 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
    remove_directory(cluster->directory);
    janitor_dismiss(cluster);
    _exit(status);
}

char *cluster_path(const struct cluster *cluster, const char *file,
                   char path[CLUSTER_PATH_SIZE])
{
    int length =
        snprintf(path, CLUSTER_PATH_SIZE, "%s/%s", cluster->directory, file);

    if (length < 0 || length >= CLUSTER_PATH_SIZE)
        give_up("too long: %s", file);
    return path;
}

/* Writes the address of a Unix socket in the directory. */
static void local_address(const struct cluster *cluster, const char *name,
                          char address[PBKV_ADDRESS_SIZE])
{
    snprintf(address, PBKV_ADDRESS_SIZE, "unix:%s/%s.sock", cluster->directory,
             name);
}

/* ---- Processes ---------------------------------------------------------- */

static void add_argument(struct process *process, const char *argument)
{
    if (process->argument_count == CLUSTER_ARGUMENTS_MAX)
        give_up("too many arguments");
    process->arguments[process->argument_count++] = copy_text(argument);
}

static void child_run(const struct process *process, char **arguments,
                      pid_t parent)
{
    sigset_t none;
    int null_fd = open("/dev/null", O_RDONLY);
    int log_fd = open(process->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || null_fd < 0 || log_fd < 0)
        _exit(127);
    if (process->network >= 0 && setns(process->network, CLONE_NEWNET) != 0)
        _exit(127);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null_fd, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    close(null_fd);
    close(log_fd);
    execv(arguments[0], arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/* Starts the next life. */
static void launch(struct process *process)
{
    char *arguments[CLUSTER_ARGUMENTS_MAX + 3] = {NULL};
    char file[CLUSTER_NAME_SIZE + 16], trace[CLUSTER_PATH_SIZE];
    pid_t parent = getpid();
    int count = process->argument_count;

    process->life++;
    snprintf(file, sizeof(file), "%s-%u.log", process->name, process->life);
    cluster_path(process->cluster, file, process->log);
    memcpy(arguments, process->arguments, (size_t)count * sizeof(char *));
    if (process->cluster->options.trace && process->listen[0] != '\0') {
        snprintf(file, sizeof(file), "%s-%u.trace", process->name,
                 process->life);
        arguments[count] = copy_text("--trace");
        arguments[count + 1] = cluster_path(process->cluster, file, trace);
    }
    pthread_mutex_lock(&process->cluster->family);
    process->pid = fork();
    if (process->pid < 0)
        give_up("fork: %s", strerror(errno));
    if (process->pid == 0)
        child_run(process, arguments, parent);
    pthread_mutex_unlock(&process->cluster->family);
    free(arguments[count]);
}

struct process *process_start(struct cluster *cluster, const char *program,
                              const char *name, const char *const *arguments)
{
    struct process *process = allocate(sizeof(*process));
    char path[4096];

    if (cluster->process_count == CLUSTER_PROCESSES_MAX)
        give_up("too many processes");
    process->cluster = cluster;
    process->network = cluster->network;
    put_text(process->name, sizeof(process->name), name);
    snprintf(path, sizeof(path), "%s%s%s",
             program[0] == '/' ? "" : cluster->build,
             program[0] == '/' ? "" : "/", program);
    add_argument(process, path);
    for (int i = 0; arguments[i]; i++) {
        add_argument(process, arguments[i]);
        if (i > 0 && strcmp(arguments[i - 1], "--listen") == 0)
            put_text(process->listen, PBKV_ADDRESS_SIZE, arguments[i]);
        if (i > 0 && strcmp(arguments[i - 1], "--advertise") == 0)
            put_text(process->address, PBKV_ADDRESS_SIZE, arguments[i]);
    }
    if (process->address[0] == '\0')
        put_text(process->address, PBKV_ADDRESS_SIZE, process->listen);
    pthread_mutex_lock(&cluster->family);
    cluster->processes[cluster->process_count++] = process;
    pthread_mutex_unlock(&cluster->family);
    launch(process);
    return process;
}

void cluster_set_network(struct cluster *cluster, int network)
{
    cluster->network = network;
}

void process_restart(struct process *process)
{
    if (process->pid != 0)
        give_up("%s still runs", process->name);
    launch(process);
}

/* Notes the end of the process, if it has ended. */
static bool process_has_ended(struct process *process)
{
    pthread_mutex_lock(&process->cluster->family);
    if (process->pid != 0 &&
        waitpid(process->pid, &process->ended, WNOHANG) == process->pid)
        process->pid = 0;
    pthread_mutex_unlock(&process->cluster->family);
    return process->pid == 0;
}

void process_signal(struct process *process, int signal)
{
    int status;

    pthread_mutex_lock(&process->cluster->family);
    if (process->pid == 0 && signal == SIGKILL) {
        pthread_mutex_unlock(&process->cluster->family);
        return; /* already gone is what is wanted */
    }
    if (process->pid == 0 || kill(process->pid, signal) != 0)
        give_up("%s does not run", process->name);
    if (signal == SIGKILL) {
        waitpid(process->pid, &process->ended, 0);
        process->pid = 0;
    } else if (signal == SIGSTOP) {
        waitpid(process->pid, &status, WUNTRACED);
    }
    pthread_mutex_unlock(&process->cluster->family);
}

static bool condition_ended(void *context)
{
    return process_has_ended(context);
}

int process_wait(struct process *process, uint32_t ms)
{
    if (!cluster_wait(ms, condition_ended, process))
        return -1;
    if (WIFSIGNALED(process->ended))
        return STATUS_SIGNALLED + WTERMSIG(process->ended);
    return WEXITSTATUS(process->ended);
}

char *process_log(const struct process *process)
{
    int fd = open(process->log, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    size_t wanted = size < 0 ? 0 : size > LOG_SIZE ? LOG_SIZE : (size_t)size;
    char *text = allocate(wanted + 1);

    if (fd >= 0) {
        ssize_t got = pread(fd, text, wanted, 0);

        text[got < 0 ? 0 : got] = '\0';
        close(fd);
    }
    return text;
}

/* Returns whether the log of the newest life contains text. */
static bool log_contains(const struct process *process, const char *text)
{
    char *log = process_log(process);
    bool found = strstr(log, text) != NULL;

    free(log);
    return found;
}

struct saying {
    struct process *process;
    const char *text;
};

static bool condition_says_or_ended(void *context)
{
    struct saying *saying = context;

    return process_has_ended(saying->process) ||
           log_contains(saying->process, saying->text);
}

bool process_says(struct process *process, const char *text, uint32_t ms)
{
    struct saying saying = {process, text};

    cluster_wait(ms, condition_says_or_ended, &saying);
    return log_contains(process, text);
}

/* Replaces port 0 by the port that the log tells, everywhere. */
static bool note_port(struct process *process, const char *ready)
{
    static const char host[] = "127.0.0.1:";
    const char *found = strstr(ready, host);
    char address[PBKV_ADDRESS_SIZE];
    unsigned long port;

    if (!found)
        return false;
    port = strtoul(found + strlen(host), NULL, 10);
    snprintf(address, sizeof(address), "%s%lu", host, port);
    for (int i = 0; i < process->argument_count; i++)
        if (strcmp(process->arguments[i], process->listen) == 0) {
            free(process->arguments[i]);
            process->arguments[i] = copy_text(address);
        }
    if (strcmp(process->address, process->listen) == 0)
        put_text(process->address, PBKV_ADDRESS_SIZE, address);
    put_text(process->listen, PBKV_ADDRESS_SIZE, address);
    return port != 0;
}

static bool has_port_zero(const char *address)
{
    size_t length = strlen(address);

    return strncmp(address, "unix:", 5) != 0 && length > 2 &&
           strcmp(address + length - 2, ":0") == 0;
}

static bool condition_listens(void *context)
{
    struct process *process = context;

    return process_has_ended(process) || log_contains(process, "listen.ready");
}

bool process_is_ready(struct process *process)
{
    bool ready;
    char *log;

    if (!cluster_wait(CLUSTER_WAIT_MS, condition_listens, process))
        return false;
    log = process_log(process);
    const char *line = strstr(log, "listen.ready");
    ready = line && strchr(line, '\n') &&
            (!has_port_zero(process->listen) || note_port(process, line));
    free(log);
    return ready && !process_has_ended(process);
}

/* ---- A store ------------------------------------------------------------ */

/* Writes where a new process listens. */
static void new_address(struct cluster *cluster, const char *name,
                        char address[PBKV_ADDRESS_SIZE])
{
    if (cluster->options.tcp)
        put_text(address, PBKV_ADDRESS_SIZE, "127.0.0.1:0");
    else
        local_address(cluster, name, address);
}

static const char *write_number(char room[16], unsigned number)
{
    snprintf(room, 16, "%u", number);
    return room;
}

struct process *cluster_add_view_service(struct cluster *cluster)
{
    char address[PBKV_ADDRESS_SIZE], state[CLUSTER_PATH_SIZE];
    char ping[16], dead[16];

    new_address(cluster, "view", address);
    const char *arguments[] = {
        "--listen",
        address,
        "--state",
        cluster_path(cluster, "view.state", state),
        "--ping-ms",
        write_number(ping, cluster_stretch(cluster->options.ping_ms)),
        "--dead-pings",
        write_number(dead, cluster->options.dead_pings),
        NULL};
    struct process *process =
        process_start(cluster, "viewservice", "view", arguments);

    cluster->view_service = process;
    return process_is_ready(process) ? process : NULL;
}

struct process *cluster_view_service(const struct cluster *cluster)
{
    return cluster->view_service;
}

const char *cluster_view_address(const struct cluster *cluster)
{
    return cluster->view_service->address;
}

/* Adds a server like others, and does not wait for it. */
static struct process *start_server(struct cluster *cluster,
                                    const char *const *more)
{
    const char *arguments[CLUSTER_ARGUMENTS_MAX] = {NULL};
    char address[PBKV_ADDRESS_SIZE], name[16], ping[16], resend[16];
    int count = 0;

    snprintf(name, sizeof(name), "s%u", ++cluster->server_count);
    new_address(cluster, name, address);
    arguments[count++] = "--listen";
    arguments[count++] = address;
    arguments[count++] = "--name";
    arguments[count++] = name;
    arguments[count++] = "--ping-ms";
    arguments[count++] =
        write_number(ping, cluster_stretch(cluster->options.ping_ms));
    arguments[count++] = "--resend-ms";
    arguments[count++] = write_number(resend, cluster_stretch(RESEND_MS));
    if (cluster->options.faults) {
        arguments[count++] = "--faults";
        arguments[count++] = cluster->options.faults;
    }
    if (!more || strcmp(more[0], "--view") != 0) {
        arguments[count++] = "--view";
        arguments[count++] = cluster_view_address(cluster);
    }
    for (int i = 0; more && more[i] && count + 1 < CLUSTER_ARGUMENTS_MAX; i++)
        arguments[count++] = more[i];
    return process_start(cluster, "pbserver", name, arguments);
}

struct process *cluster_add_server(struct cluster *cluster,
                                   const char *const *more)
{
    struct process *process = start_server(cluster, more);

    return process_is_ready(process) ? process : NULL;
}

bool cluster_form(struct cluster *cluster, struct process **servers,
                  unsigned count)
{
    if (!cluster_add_view_service(cluster))
        return false;
    for (unsigned i = 0; i < count; i++) {
        servers[i] = cluster_add_server(cluster, NULL);
        if (!servers[i] ||
            (i < 2 && !cluster_settles(cluster, servers[0],
                                       i > 0 ? servers[1] : NULL, NULL)))
            return false;
    }
    return true;
}

struct pbkv *cluster_open(struct cluster *cluster, const char *view_address)
{
    struct pbkv_options options = {0};
    char name[16], file[32], trace[CLUSTER_PATH_SIZE];
    struct pbkv *handle;

    snprintf(name, sizeof(name), "client%u", ++cluster->client_count);
    snprintf(file, sizeof(file), "%s.trace", name);
    options.view_service =
        view_address ? view_address : cluster_view_address(cluster);
    options.name = name;
    options.retry_ms = cluster_stretch(RETRY_MS);
    options.deadline_ms = cluster_stretch(CALL_MS);
    if (cluster->options.trace)
        options.trace_path = cluster_path(cluster, file, trace);
    if (pbkv_open(&options, &handle) != PBKV_OK)
        give_up("pbkv_open failed");
    return handle;
}

/* ---- Waiting ------------------------------------------------------------ */

bool cluster_wait(uint32_t ms, cluster_condition condition, void *context)
{
    uint64_t end = cluster_now_ms() + cluster_stretch(ms);

    while (!condition(context)) {
        if (cluster_now_ms() >= end)
            return false;
        rest();
    }
    return true;
}

/* Returns the handle that the harness asks with. */
static struct pbkv *observer(struct cluster *cluster)
{
    struct pbkv_options options = {0};
    char trace[CLUSTER_PATH_SIZE];

    if (cluster->observer)
        return cluster->observer;
    options.view_service = cluster_view_address(cluster);
    options.name = "observer";
    options.retry_ms = cluster_stretch(50);
    if (cluster->options.trace)
        options.trace_path = cluster_path(cluster, "observer.trace", trace);
    if (pbkv_open(&options, &cluster->observer) != PBKV_OK)
        give_up("pbkv_open failed");
    return cluster->observer;
}

void cluster_hush(struct cluster *cluster)
{
    pbkv_close(cluster->observer);
    cluster->observer = NULL;
}

bool cluster_view(struct cluster *cluster, struct pbkv_view *view)
{
    return pbkv_view(observer(cluster), cluster_stretch(ASK_MS), view) ==
           PBKV_OK;
}

struct pbkv_inspection *cluster_inspect(struct cluster *cluster,
                                        const struct process *process)
{
    struct pbkv_inspection *inspection = NULL;

    pbkv_inspect(observer(cluster), process->listen, cluster_stretch(ASK_MS),
                 &inspection);
    return inspection;
}

uint64_t inspection_count(const struct pbkv_inspection *inspection,
                          const char *name)
{
    for (size_t i = 0; i < inspection->counter_count; i++)
        if (strcmp(inspection->counters[i].name, name) == 0)
            return inspection->counters[i].value;
    return 0;
}

uint64_t process_count(struct process *process, const char *name)
{
    struct pbkv_inspection *inspection =
        cluster_inspect(process->cluster, process);
    uint64_t value = inspection ? inspection_count(inspection, name) : 0;

    pbkv_inspection_free(inspection);
    return value;
}

/* Returns whether the peer is the newest life of the process; of NULL, whether
 * the peer is absent. */
static bool is_peer(struct cluster *cluster, const struct process *process,
                    const struct pbkv_peer *peer)
{
    struct pbkv_inspection *inspection;
    bool same;

    if (!process)
        return peer->address[0] == '\0';
    if (strcmp(peer->address, process->address) != 0)
        return false;
    inspection = cluster_inspect(cluster, process);
    same = inspection && inspection->incarnation == peer->incarnation;
    pbkv_inspection_free(inspection);
    return same;
}

static bool is_acknowledged(const struct pbkv_inspection *inspection)
{
    const struct pbkv_peer *primary = &inspection->view.primary;

    for (size_t i = 0; i < inspection->server_count; i++) {
        const struct pbkv_server_seen *seen = &inspection->servers[i];

        if (strcmp(seen->peer.address, primary->address) == 0 &&
            seen->peer.incarnation == primary->incarnation)
            return seen->view == inspection->view.number;
    }
    return false;
}

struct settling {
    struct cluster *cluster;
    const struct process *primary;
    const struct process *backup;
    struct pbkv_view view;
};

static bool condition_settled(void *context)
{
    struct settling *settling = context;
    struct cluster *cluster = settling->cluster;
    struct pbkv_inspection *inspection =
        cluster_inspect(cluster, cluster->view_service);
    bool settled = inspection && is_acknowledged(inspection);

    if (inspection)
        settling->view = inspection->view;
    settled = settled &&
              is_peer(cluster, settling->primary, &settling->view.primary) &&
              is_peer(cluster, settling->backup, &settling->view.backup);
    pbkv_inspection_free(inspection);
    return settled;
}

bool cluster_settles(struct cluster *cluster, const struct process *primary,
                     const struct process *backup, struct pbkv_view *view)
{
    struct settling settling = {cluster, primary, backup, {0}};
    bool settled = cluster_wait(CLUSTER_WAIT_MS, condition_settled, &settling);

    if (view)
        *view = settling.view;
    return settled;
}

struct agreement {
    struct cluster *cluster;
    const struct process *one;
    const struct process *other;
};

static bool condition_agreed(void *context)
{
    struct agreement *pair = context;
    struct pbkv_inspection *one = cluster_inspect(pair->cluster, pair->one);
    struct pbkv_inspection *other = cluster_inspect(pair->cluster, pair->other);
    bool agreed = one && other && one->has_digest && other->has_digest &&
                  one->applied == other->applied && one->keys == other->keys &&
                  one->bytes == other->bytes &&
                  memcmp(one->digest, other->digest, PBKV_DIGEST_SIZE) == 0;

    pbkv_inspection_free(one);
    pbkv_inspection_free(other);
    return agreed;
}

bool cluster_agree(struct cluster *cluster, const struct process *one,
                   const struct process *other)
{
    struct agreement pair = {cluster, one, other};

    return cluster_wait(CLUSTER_WAIT_MS, condition_agreed, &pair);
}

/* ---- Links -------------------------------------------------------------- */

struct link *cluster_add_link(struct cluster *cluster, const char *target)
{
    char name[16], near[PBKV_ADDRESS_SIZE];
    struct link *added;

    if (cluster->link_count == CLUSTER_LINKS_MAX)
        give_up("too many links");
    snprintf(name, sizeof(name), "link%u", cluster->link_count + 1);
    local_address(cluster, name, near);
    added = link_new(near, target);
    if (!added)
        give_up("link %s: %s", near, strerror(errno));
    cluster->links[cluster->link_count++] = added;
    return added;
}
