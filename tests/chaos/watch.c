/* SPDX-License-Identifier: MIT */
/*
 * watch: see watch.h. Views are read from the log of the view service, as in
 * "... view.changed view N primary ADDRESS/LIFE backup ADDRESS/LIFE", so that
 * watching needs no answer of anybody.
 */
#include "tests/chaos/watch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_INTERRUPTED = 130 };

uint64_t watch_now_ms(const struct watch *watch)
{
    return cluster_now_ms() - watch->began_ms;
}

void watch_tell(const struct watch *watch, const char *format, ...)
{
    va_list arguments;

    printf("%9.3f s  ", (double)watch_now_ms(watch) / 1000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* ---- Ctrl-C ------------------------------------------------------------- */

static void list_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

static void *await_signal(void *argument)
{
    struct watch *watch = argument;
    sigset_t wanted;
    int signal;

    list_signals(&wanted);
    sigwait(&wanted, &signal);
    pthread_mutex_lock(&watch->ending);
    fprintf(stderr, "\ninterrupted: stopping everything\n");
    cluster_abandon(field_cluster(watch->field), STATUS_INTERRUPTED);
}

void watch_begin(struct watch *watch, struct field *field)
{
    pthread_t thread;
    sigset_t blocked;

    *watch = (struct watch){.field = field,
                            .began_ms = cluster_now_ms(),
                            .ending = PTHREAD_MUTEX_INITIALIZER};
    signal(SIGPIPE, SIG_IGN);
    list_signals(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (pthread_create(&thread, NULL, await_signal, watch) != 0)
        abort();
    pthread_detach(thread);
}

void watch_end(struct watch *watch)
{
    pthread_mutex_lock(&watch->ending);
}

/* ---- Views -------------------------------------------------------------- */

/* Returns the name of the server whose address comes after a word. */
static const char *server_after(const struct watch *watch, const char *line,
                                const char *word)
{
    char address[PBKV_ADDRESS_SIZE] = "";
    const char *at = strstr(line, word);
    const struct process *server;
    size_t length;

    if (!at)
        return "?";
    at += strlen(word);
    length = strcspn(at, " \n");
    while (length > 0 && at[length - 1] != '/')
        length--; /* the incarnation is behind the last slash */
    if (length > 0 && length <= sizeof(address))
        memcpy(address, at, length - 1);
    server = field_server_at(watch->field, address);
    return server ? server->name : "none";
}

static void print_view(struct watch *watch, const char *line)
{
    const char *number = strstr(line, "view.changed view ");

    if (!number)
        return;
    watch->views++;
    watch_tell(watch, "    view %-4lu primary %-5s backup %s",
               strtoul(number + strlen("view.changed view "), NULL, 10),
               server_after(watch, line, " primary "),
               server_after(watch, line, " backup "));
}

void watch_views(struct watch *watch)
{
    const struct process *view_service = field_view_service(watch->field);
    char *log = process_log(view_service), *line, *end;

    if (watch->life != view_service->life) {
        watch->life = view_service->life;
        watch->read = 0;
    }
    if (strlen(log) >= watch->read)
        for (line = log + watch->read; (end = strchr(line, '\n'));
             line = end + 1) {
            *end = '\0';
            print_view(watch, line);
            watch->read = (size_t)(end + 1 - log);
        }
    free(log);
}
