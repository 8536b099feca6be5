/* SPDX-License-Identifier: MIT */
/*
 * sandbox: runs a command that is not trusted, in a folder, with limits, and
 * leaves none of its processes behind.
 *
 *   sandbox --folder DIR --output FILE [--results FILE] [--writable DIR]
 *           [--seconds N] [--memory MB] [--file MB] [--processes N]
 *           [--output-max KB] [--user ID] -- COMMAND...
 *
 * Three processes: this one, an init, the command. Where the system lets it,
 * the init is the first process of namespaces of its own for processes, network
 * and IPC, so that with it all ends, and nothing is reached but what is in
 * there; otherwise all orphans come to it, and it ends them until there are
 * none. In a namespace for mounts only --writable (the folder) can be written,
 * and /dev/shm, which is the command's own and empty; so what runs as the user
 * who grades cannot change that user's files. The command's stdout and stderr
 * are a pipe that is read to the end, of which --output-max is kept. Descriptor
 * 3 of the command is another pipe, whose contents become --results: only who
 * holds that descriptor can write there.
 *
 * Limits on memory, processor time and files are each process's own, the one on
 * processes is the user's. The exit status is the command's, 128 plus its
 * signal, or 124 when it took too long.
 */
#define _GNU_SOURCE // unshare, mount_setattr
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RESULTS_FD = 3,
    RESULTS_MAX = 16 << 20,
    TOO_LONG = 124,
    CHILDREN_MAX = 65536, /* ends of orphans that are waited for */
};

struct options {
    const char *folder;
    const char *output;
    const char *results;
    const char *writable;
    long seconds;
    rlim_t memory;
    rlim_t file;
    rlim_t processes;
    size_t output_max;
    uid_t user; /* 0: stay who we are */
    char **command;
};

/* A pipe that is read into a file. */
struct stream {
    int from;
    int to;
    size_t room;
    bool cut;
};

static void __attribute__((noreturn)) give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static long milliseconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- In the sandbox -------------------------------------------------------
 */

static void limit(int resource, rlim_t value)
{
    struct rlimit limits = {value, value};

    if (value > 0 && setrlimit((__rlimit_resource_t)resource, &limits) != 0)
        give_up("setrlimit");
}

static void write_text(const char *path, const char *format, unsigned id)
{
    FILE *file = fopen(path, "w");

    if (file) {
        fprintf(file, format, id, id);
        fclose(file);
    }
}

/* A network of one's own has only a loopback, which is down. */
static void raise_loopback(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(request.ifr_name, "lo");
    if (fd >= 0) {
        ioctl(fd, SIOCSIFFLAGS, &request);
        close(fd);
    }
}

/* Lets a mount be read only, with all below it, or be written. */
static bool set_read_only(const char *path, bool read_only)
{
    struct mount_attr attributes = {
        .attr_set = read_only ? MOUNT_ATTR_RDONLY : 0,
        .attr_clr = read_only ? 0 : MOUNT_ATTR_RDONLY,
    };

    return mount_setattr(AT_FDCWD, path, read_only ? AT_RECURSIVE : 0,
                         &attributes, sizeof(attributes)) == 0;
}

/* In a namespace of mounts that is ours. Returns whether nothing but these can
 * be written. */
static bool protect_files(const char *writable)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(writable, writable, NULL, MS_BIND, NULL) == 0 &&
           mount("sandbox", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
                 "size=256m,mode=1777") == 0 &&
           set_read_only("/", true) && set_read_only(writable, false) &&
           set_read_only("/dev/shm", false);
}

/* Returns whether the next child is the first process of its own namespaces. */
static bool enter_namespaces(const struct options *options)
{
    const int kinds = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS;
    unsigned user = (unsigned)getuid();
    unsigned group = (unsigned)getgid();

    if (user == 0 ? unshare(kinds) != 0 : unshare(kinds | CLONE_NEWUSER) != 0)
        return false;
    if (user != 0) {
        write_text("/proc/self/setgroups", "deny", 0);
        write_text("/proc/self/uid_map", "%u %u 1", user);
        write_text("/proc/self/gid_map", "%u %u 1", group);
    }
    raise_loopback();
    if (!protect_files(options->writable))
        fprintf(stderr, "sandbox: files cannot be protected here (%s)\n",
                strerror(errno));
    return true;
}

static void become(uid_t user)
{
    if (user == 0)
        return;
    if (setgroups(0, NULL) != 0 || setgid((gid_t)user) != 0 ||
        setuid(user) != 0)
        give_up("setuid");
}

static void __attribute__((noreturn)) run_command(const struct options *options)
{
    become(options->user);
    if (chdir(options->folder) != 0)
        give_up(options->folder);
    setsid();
    umask(077);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CPU, (rlim_t)options->seconds);
    limit(RLIMIT_AS, options->memory);
    limit(RLIMIT_FSIZE, options->file);
    limit(RLIMIT_NPROC, options->processes);
    execvp(options->command[0], options->command);
    give_up(options->command[0]);
}

/* Ends what the command left behind, where no namespace does it. */
static void end_orphans(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++) {
        char path[64];
        long pid;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children",
                 (int)getpid());
        file = fopen(path, "r");
        if (!file)
            return;
        if (fscanf(file, "%ld", &pid) == 1)
            kill((pid_t)pid, SIGKILL);
        fclose(file);
        if (waitpid(-1, NULL, 0) < 0)
            return;
    }
}

/* The init: starts the command and takes in orphans until the command ends. */
static void __attribute__((noreturn)) run_init(const struct options *options)
{
    pid_t command;
    pid_t ended;
    int status = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    command = fork();
    if (command == 0)
        run_command(options);
    if (command < 0)
        give_up("fork");
    close(RESULTS_FD);
    do
        ended = waitpid(-1, &status, 0);
    while (ended != command && (ended > 0 || errno == EINTR));
    if (getpid() != 1)
        end_orphans();
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- Outside --------------------------------------------------------------
 */

/* Reads what there is; returns false at the end. */
static bool copy_some(struct stream *stream)
{
    char octets[65536];
    ssize_t got = read(stream->from, octets, sizeof(octets));
    size_t kept = got > 0 ? (size_t)got : 0;

    if (kept > stream->room) {
        kept = stream->room;
        stream->cut = true;
    }
    if (kept > 0 && write(stream->to, octets, kept) < 0)
        give_up("write");
    stream->room -= kept;
    return got > 0;
}

static struct stream stream_to(const char *path, size_t room, int *inner)
{
    int ends[2];
    struct stream stream = {.room = room};

    stream.to =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (stream.to < 0 || pipe2(ends, O_CLOEXEC) != 0)
        give_up(path);
    stream.from = ends[0];
    *inner = ends[1];
    return stream;
}

/* Copies both pipes until they end or time is up; returns whether it was. */
static bool copy_all(struct stream streams[2], long seconds)
{
    long deadline = milliseconds() + seconds * 1000;
    struct pollfd polls[2] = {{.fd = streams[0].from, .events = POLLIN},
                              {.fd = streams[1].from, .events = POLLIN}};

    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        long left = deadline - milliseconds();

        if (left <= 0)
            return false;
        if (poll(polls, 2, (int)left) < 0 && errno != EINTR)
            give_up("poll");
        for (int i = 0; i < 2; i++) {
            if (polls[i].fd >= 0 && polls[i].revents != 0 &&
                !copy_some(&streams[i]))
                polls[i].fd = -1;
        }
    }
    return true;
}

static pid_t start_init(const struct options *options, int output, int results)
{
    pid_t pid;

    if (!enter_namespaces(options))
        fprintf(stderr,
                "sandbox: no namespaces here; processes are ended one by one, "
                "the network is open, and files are not protected\n");
    pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    if (results == RESULTS_FD)
        fcntl(results, F_SETFD, 0);
    else if (dup2(results, RESULTS_FD) < 0)
        _exit(EXIT_FAILURE);
    run_init(options);
}

static int run(const struct options *options)
{
    struct stream streams[2];
    int inner[2];
    int status;
    bool in_time;
    pid_t init;
    int nothing = open("/dev/null", O_RDONLY);

    dup2(nothing, STDIN_FILENO);
    streams[0] = stream_to(options->output, options->output_max, &inner[0]);
    streams[1] = stream_to(options->results, RESULTS_MAX, &inner[1]);
    init = start_init(options, inner[0], inner[1]);
    if (init < 0)
        give_up("fork");
    close(inner[0]);
    close(inner[1]);
    in_time = copy_all(streams, options->seconds);
    if (!in_time)
        kill(init, SIGKILL);
    while (waitpid(init, &status, 0) < 0 && errno == EINTR)
        continue;
    if (streams[0].cut)
        dprintf(streams[0].to, "\n[more output was cut]\n");
    if (!in_time) {
        dprintf(streams[0].to, "\n[ended after %ld s]\n", options->seconds);
        return TOO_LONG;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool parse(struct options *options, int argc, char **argv)
{
    static const struct option flags[] = {
        {"folder", required_argument, NULL, 'd'},
        {"output", required_argument, NULL, 'o'},
        {"results", required_argument, NULL, 'r'},
        {"writable", required_argument, NULL, 'w'},
        {"seconds", required_argument, NULL, 's'},
        {"memory", required_argument, NULL, 'm'},
        {"file", required_argument, NULL, 'f'},
        {"processes", required_argument, NULL, 'p'},
        {"output-max", required_argument, NULL, 'x'},
        {"user", required_argument, NULL, 'u'},
        {NULL, 0, NULL, 0},
    };
    int flag;

    while ((flag = getopt_long(argc, argv, "+", flags, NULL)) != -1) {
        switch (flag) {
        case 'd': options->folder = optarg; break;
        case 'o': options->output = optarg; break;
        case 'r': options->results = optarg; break;
        case 'w': options->writable = optarg; break;
        case 's': options->seconds = strtol(optarg, NULL, 10); break;
        case 'm': options->memory = strtoul(optarg, NULL, 10) << 20; break;
        case 'f': options->file = strtoul(optarg, NULL, 10) << 20; break;
        case 'p': options->processes = strtoul(optarg, NULL, 10); break;
        case 'x': options->output_max = strtoul(optarg, NULL, 10) << 10; break;
        case 'u': options->user = (uid_t)strtoul(optarg, NULL, 10); break;
        default: return false;
        }
    }
    options->command = argv + optind;
    if (!options->writable)
        options->writable = options->folder;
    return optind < argc && options->folder && options->output &&
           options->seconds > 0;
}

int main(int argc, char **argv)
{
    struct options options = {
        .seconds = 600, .results = "/dev/null", .output_max = 1 << 20};

    if (!parse(&options, argc, argv)) {
        fprintf(stderr, "usage: sandbox --folder DIR --output FILE [--results "
                        "FILE] [--writable DIR] [--seconds N] [--memory MB] "
                        "[--file MB] [--processes N] [--output-max KB] "
                        "[--user ID] -- COMMAND...\n");
        return EXIT_FAILURE;
    }
    return run(&options);
}
