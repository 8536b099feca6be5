/* SPDX-License-Identifier: MIT */
/*
 * hosts: see hosts.h. All work is done by the program ip of iproute2, which is
 * found in the path. It inherits the namespace of the thread that starts it; so
 * a host's own end is configured while this thread is in the host's namespace.
 */
#define _GNU_SOURCE // unshare, setns
#include "tests/chaos/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 16, LINE_MAX_SIZE = 160 };

/* Runs "ip" with words between spaces. Returns whether it succeeds. */
static bool run_ip(const char *words)
{
    char line[LINE_MAX_SIZE], *arguments[WORDS_MAX] = {NULL}, *rest = NULL;
    int status = -1, count = 0;
    pid_t pid;

    snprintf(line, sizeof(line), "ip %s", words);
    for (char *word = strtok_r(line, " ", &rest); word && count + 1 < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        execvp(arguments[0], arguments);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_network(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

const char *hosts_enter_hub(void)
{
    if (geteuid() != 0)
        return "not root";
    if (unshare(CLONE_NEWNET) != 0)
        return strerror(errno);
    if (!run_ip("link set lo up"))
        return "ip (of the package iproute2) does not run";
    if (!run_ip("link add br0 type bridge") ||
        !run_ip("addr add " HOSTS_HUB_ADDRESS "/24 dev br0") ||
        !run_ip("link set br0 up"))
        return "no bridge can be made";
    return NULL;
}

/* Configures the host's own end, from inside. */
static bool configure_inside(unsigned number, const char *address)
{
    char words[LINE_MAX_SIZE];
    bool good = run_ip("link set lo up");

    snprintf(words, sizeof(words), "addr add %s/24 dev e%u", address, number);
    good = good && run_ip(words);
    snprintf(words, sizeof(words), "link set e%u up", number);
    return good && run_ip(words);
}

/* Makes the pair of ends, one in the hub's bridge, one in the namespace. */
static bool connect_host(unsigned number, int network)
{
    char words[LINE_MAX_SIZE];
    bool good;

    snprintf(words, sizeof(words), "link add h%u type veth peer name e%u",
             number, number);
    good = run_ip(words);
    snprintf(words, sizeof(words), "link set e%u netns /proc/%ld/fd/%d", number,
             (long)getpid(), network);
    good = good && run_ip(words);
    snprintf(words, sizeof(words), "link set h%u master br0", number);
    return good && run_ip(words) && hosts_set_link(number, true);
}

int hosts_add(unsigned number, char address[HOSTS_ADDRESS_SIZE])
{
    int hub = open_network(), network = -1;
    bool good;

    snprintf(address, HOSTS_ADDRESS_SIZE, "10.77.0.%u", 10 + number);
    if (hub < 0)
        return -1;
    if (unshare(CLONE_NEWNET) == 0)
        network = open_network();
    good = network >= 0 && setns(hub, CLONE_NEWNET) == 0 &&
           connect_host(number, network) && setns(network, CLONE_NEWNET) == 0 &&
           configure_inside(number, address);
    good = setns(hub, CLONE_NEWNET) == 0 && good;
    close(hub);
    return good ? network : -1;
}

bool hosts_set_link(unsigned number, bool up)
{
    char words[LINE_MAX_SIZE];

    snprintf(words, sizeof(words), "link set h%u %s", number,
             up ? "up" : "down");
    return run_ip(words);
}
