/* SPDX-License-Identifier: MIT */
/*
 * cluster: the real programs as children of a test. A cluster is a temporary
 * directory and the processes that were started in it: a view service, servers,
 * whatever else. The programs are those in the directory that the environment
 * names as PBKV_BUILD.
 *
 * Addresses are Unix sockets in the directory, or loopback ports that the
 * system chooses. A process that is started again gets the same address and a
 * new log, so it is the next life of the same server.
 *
 * Nothing outlives the test, however it ends. Children die with the thread that
 * started them (start them from the main thread). A janitor, a child in a
 * session of its own, waits on a pipe that the test and all its children hold
 * open; when all of them are gone without cluster_free, the test has failed:
 * then the janitor prints the ends of the logs and removes the directory.
 * CLUSTER_KEEP=1 in the environment keeps directories and says where.
 *
 * To wait is to ask again and again until something is so, with a deadline.
 * Deadlines, and the timers of programs and clients, are stretched by the time
 * scale (time_scale.h). Trouble with the system, such as fork refused, ends the
 * test with a message; everything that a test may want to assert is a return
 * value. Only the thread that made a cluster may use it, except where a comment
 * says so.
 */
#ifndef TESTS_CLUSTER_H
#define TESTS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/pbkv.h"

enum {
    CLUSTER_PATH_SIZE = 96,     /* octets of a path in a cluster's directory */
    CLUSTER_NAME_SIZE = 32,     /* octets of a process's name and its zero */
    CLUSTER_PROCESSES_MAX = 16, /* processes of a cluster */
    CLUSTER_LINKS_MAX = 8,      /* links of a cluster */
    CLUSTER_ARGUMENTS_MAX = 32, /* arguments of a process */
    CLUSTER_WAIT_MS = 8000,     /* deadline of waiting for the expected */
};

struct cluster;
struct link;

struct cluster_options {
    bool tcp;            /* loopback ports; otherwise Unix sockets */
    bool trace;          /* every life of every process that listens, and
                            every client, writes a trace */
    unsigned ping_ms;    /* 0: 40 */
    unsigned dead_pings; /* 0: 5 */
    const char *faults;  /* --faults of every server; NULL: none. Borrowed for
                            the life of the cluster. */
};

/* A program, running or not. Belongs to the cluster. Read only. */
struct process {
    struct cluster *cluster;
    char name[CLUSTER_NAME_SIZE];
    char address[PBKV_ADDRESS_SIZE]; /* where others reach it; empty: none */
    char listen[PBKV_ADDRESS_SIZE];  /* where it listens; empty: nowhere */
    char log[CLUSTER_PATH_SIZE];     /* stdout and stderr of its newest life */
    int network;                     /* descriptor of the network namespace
                                        that it lives in; -1: ours */
    pid_t pid;                       /* 0: not running */
    unsigned life;                   /* how often it was started */
    int ended;                       /* wait status of the last life */
    int argument_count;
    char *arguments[CLUSTER_ARGUMENTS_MAX + 1]; /* the program first */
};

/* Makes a temporary directory and its janitor. Call it before starting threads.
 * The caller frees the cluster. */
struct cluster *cluster_new(const struct cluster_options *options);

/* Kills what runs, removes the directory and frees all. The test has passed:
 * nothing is printed. */
void cluster_free(struct cluster *cluster);

/* Does what cluster_free does for processes and files and ends this process
 * with a status, from any thread: for a thread that waits for signals. */
void __attribute__((noreturn))
cluster_abandon(struct cluster *cluster, int status);

/* Writes the path of a file in the cluster's directory, and returns path. */
char *cluster_path(const struct cluster *cluster, const char *file,
                   char path[CLUSTER_PATH_SIZE]);

/* Returns milliseconds, stretched by the time scale. */
uint32_t cluster_stretch(uint32_t ms);

/* ---- Processes ---------------------------------------------------------- */

/*
 * Adds a process and starts it. The program is the name of one in PBKV_BUILD
 * or, beginning with a slash, its path; the arguments, up to a NULL, come after
 * it and are copied. The address in "--listen ADDR" and "--advertise ADDR"
 * become listen and address. Does not wait for anything.
 */
struct process *process_start(struct cluster *cluster, const char *program,
                              const char *name, const char *const *arguments);

/* Makes the processes that are added from now on live in a network namespace,
 * whose descriptor is borrowed; -1: in ours. */
void cluster_set_network(struct cluster *cluster, int network);

/* Starts a process again, with the same arguments and address. It must have
 * ended. */
void process_restart(struct process *process);

/* Waits until the newest life says that it listens, and notes the port that it
 * was given. Returns false when it ends instead, or at a deadline. */
bool process_is_ready(struct process *process);

/* Sends a signal to the process; SIGKILL also waits for the end. */
void process_signal(struct process *process, int signal);

/* Waits for the process to end, at most ms milliseconds. Returns its exit
 * status, 128 plus the signal that ended it, or -1 at the deadline. */
int process_wait(struct process *process, uint32_t ms);

/* Returns the log of the newest life so far, which the caller frees. */
char *process_log(const struct process *process);

/* Waits until the log of the newest life contains text. Returns false when the
 * process has ended without, or at a deadline of ms milliseconds. */
bool process_says(struct process *process, const char *text, uint32_t ms);

/* ---- A store ------------------------------------------------------------ */

/* Adds the view service "view" with its state file "view.state", starts it and
 * waits until it listens. Returns NULL when it does not. */
struct process *cluster_add_view_service(struct cluster *cluster);

/* Adds a server "s1", "s2", … that pings the view service, with more arguments,
 * up to a NULL (or NULL: none); starts it and waits until it listens. Returns
 * NULL when it does not. A second --view in the arguments is the one in force.
 */
struct process *cluster_add_server(struct cluster *cluster,
                                   const char *const *more);

/* Adds a view service and count servers, and waits until servers[0] is primary
 * and servers[1] (if there is one) its backup. Returns false when that does not
 * come true. */
bool cluster_form(struct cluster *cluster, struct process **servers,
                  unsigned count);

/* Returns the view service, and its address. */
struct process *cluster_view_service(const struct cluster *cluster);
const char *cluster_view_address(const struct cluster *cluster);

/* Opens a client of the store at view_address (NULL: the cluster's) with the
 * library's defaults, stretched, and, if the cluster traces, a trace. The
 * caller closes it. */
struct pbkv *cluster_open(struct cluster *cluster, const char *view_address);

/* ---- Waiting ------------------------------------------------------------ */

typedef bool (*cluster_condition)(void *context);

/* Asks until condition(context) is true or ms milliseconds (stretched) have
 * passed. Returns the last answer. */
bool cluster_wait(uint32_t ms, cluster_condition condition, void *context);

/* Stores the current view in *view. Returns false when the view service does
 * not answer. */
bool cluster_view(struct cluster *cluster, struct pbkv_view *view);

/* Waits until the view has the newest lives of these processes as primary and
 * backup (NULL: no backup), and the primary has acknowledged it: so the backup
 * has its state. Stores the view if view is not NULL. */
bool cluster_settles(struct cluster *cluster, const struct process *primary,
                     const struct process *backup, struct pbkv_view *view);

/* Waits until both have applied the same operations and have the same digest.
 */
bool cluster_agree(struct cluster *cluster, const struct process *one,
                   const struct process *other);

/* Asks a process about itself. Returns NULL when it does not answer in a
 * second; the caller frees the answer with pbkv_inspection_free. */
struct pbkv_inspection *cluster_inspect(struct cluster *cluster,
                                        const struct process *process);

/* Closes the handle that the harness asks with, and its trace. It is opened
 * again when it is needed. */
void cluster_hush(struct cluster *cluster);

/* Returns the value of a named counter, 0 when there is none. */
uint64_t inspection_count(const struct pbkv_inspection *inspection,
                          const char *name);

/* Returns the counter of a process that answers; 0 when it does not. */
uint64_t process_count(struct process *process, const char *name);

/* Returns milliseconds since some moment in the past. */
uint64_t cluster_now_ms(void);

/* ---- Links -------------------------------------------------------------- */

/*
 * Adds an address (a Unix socket) that leads to target. While the link is cut,
 * nothing passes and nobody is told, as in a network that falls apart: what was
 * under way arrives late, when the link is joined again. A thread of its own
 * carries the octets. The target need not be there yet.
 */
struct link *cluster_add_link(struct cluster *cluster, const char *target);

/* Returns the address of the link's near end. */
const char *link_address(const struct link *link);

/* Cuts a link for everybody. Nothing passes once it has returned. */
void link_cut(struct link *link);

/* Cuts a link for one process, whose connections the link tells from others by
 * the process's number. */
void link_cut_for(struct link *link, pid_t pid);

/* Joins a link for everybody. */
void link_join(struct link *link);

#endif
