/* SPDX-License-Identifier: MIT */
/*
 * The command-line tool with real servers: every command and every exit status,
 * values of all octets, what is refused, and what happens on a signal, on a
 * full disk and during a failover.
 *
 * Commands are lines for the shell, as a user types them, with pbkv in PATH and
 * PBKV_VIEW set. They run in a directory of the test's own; what they write is
 * in its files "out" and "err".
 */
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster.h"
#include "tests/suite.h"

enum {
    COMMAND_SIZE = 2048,
    STATUS_OK = 0,
    STATUS_NEGATIVE = 1,
    STATUS_USAGE = 2,
    STATUS_UNAVAILABLE = 3,
};

/* A store, and a directory to work in. */
struct desk {
    struct cluster *cluster;
    struct process *servers[3];
    char directory[CLUSTER_PATH_SIZE];
    FILE *janitor; /* removes the directory when the test ends, however */
};

/* ---- Help ---------------------------------------------------------------- */

static void set_path(void)
{
    const char *build = getenv("PBKV_BUILD");
    char here[512], path[COMMAND_SIZE];

    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    if (build)
        snprintf(path, sizeof(path), "%s:%s", build, getenv("PATH"));
    else
        snprintf(path, sizeof(path), "%s/build/debug:%s", here, getenv("PATH"));
    setenv("PATH", path, 1);
}

static void make_directory(struct desk *desk)
{
    char command[COMMAND_SIZE];

    cluster_path(desk->cluster, "desk", desk->directory);
    ck_assert_int_eq(mkdir(desk->directory, 0755), 0);
    snprintf(command, sizeof(command),
             "exec setsid sh -c 'cat; test \"$CLUSTER_KEEP\" || rm -rf %s'",
             desk->directory);
    desk->janitor = popen(command, "we");
    ck_assert_ptr_nonnull(desk->janitor);
}

static struct desk desk_with(const struct cluster_options *options,
                             unsigned servers)
{
    struct desk desk = {.cluster = cluster_new(options)};

    make_directory(&desk);
    if (servers > 0)
        ck_assert(cluster_form(desk.cluster, desk.servers, servers));
    else
        ck_assert_ptr_nonnull(cluster_add_view_service(desk.cluster));
    set_path();
    setenv("PBKV_VIEW", cluster_view_address(desk.cluster), 1);
    return desk;
}

static struct desk desk_new(unsigned servers)
{
    static const struct cluster_options usual = {0};

    return desk_with(&usual, servers);
}

static void desk_free(struct desk *desk)
{
    ck_assert_int_eq(pclose(desk->janitor), 0);
    cluster_free(desk->cluster);
}

/* Runs a line of shell. Returns its exit status. */
static int __attribute__((format(printf, 2, 3)))
shell(const struct desk *desk, const char *format, ...)
{
    char line[COMMAND_SIZE], command[2 * COMMAND_SIZE];
    va_list arguments;
    int status;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    snprintf(command, sizeof(command),
             "cd '%s' && { %s\n} >out 2>err </dev/null", desk->directory, line);
    status = system(command);
    ck_assert_msg(WIFEXITED(status), "%s", line);
    return WEXITSTATUS(status);
}

/* Returns a file of the desk as a text, which the caller frees. */
static char *contents(const struct desk *desk, const char *name)
{
    char path[CLUSTER_PATH_SIZE + 32];
    char *text = NULL;
    size_t size = 0, got;
    char part[4096];
    FILE *in, *out = open_memstream(&text, &size);

    snprintf(path, sizeof(path), "%s/%s", desk->directory, name);
    in = fopen(path, "rb");
    ck_assert_msg(in, "%s", path);
    while ((got = fread(part, 1, sizeof(part), in)) > 0)
        fwrite(part, 1, got, out);
    fclose(in);
    fclose(out);
    return text;
}

static void expect_text(const struct desk *desk, const char *name,
                        const char *text)
{
    char *found = contents(desk, name);

    ck_assert_str_eq(found, text);
    free(found);
}

static void expect_part(const struct desk *desk, const char *name,
                        const char *part)
{
    char *found = contents(desk, name);

    ck_assert_msg(strstr(found, part), "no \"%s\" in %s: %s", part, name,
                  found);
    free(found);
}

/* Runs a line that has to end well; tells what it said when it does not. */
static void expect_ok(const struct desk *desk, const char *line)
{
    int status = shell(desk, "%s", line);
    char *errors = contents(desk, "err");

    ck_assert_msg(status == STATUS_OK, "%d from %s: %s", status, line, errors);
    free(errors);
}

/* ---- Values -------------------------------------------------------------- */

TEST(what_is_put_can_be_got)
{
    struct desk desk = desk_new(2);

    expect_ok(&desk, "pbkv put color blue");
    expect_ok(&desk, "pbkv get color");
    expect_text(&desk, "out", "blue");
    expect_ok(&desk, "pbkv get --newline color");
    expect_text(&desk, "out", "blue\n");
    expect_ok(&desk, "pbkv append color -green; pbkv append fresh start");
    expect_ok(&desk, "pbkv get color; pbkv get fresh");
    expect_text(&desk, "out", "blue-greenstart");
    expect_ok(&desk, "pbkv put color ''; pbkv get color --newline");
    expect_text(&desk, "out", "\n");
    expect_text(&desk, "err", "");
    desk_free(&desk);
}

TEST(a_key_that_was_never_written_is_not_found)
{
    struct desk desk = desk_new(1);

    ck_assert_int_eq(shell(&desk, "pbkv get nothing"), STATUS_NEGATIVE);
    expect_text(&desk, "out", "");
    expect_part(&desk, "err", "never written");
    desk_free(&desk);
}

TEST(values_come_from_files_and_standard_input_with_all_octets)
{
    struct desk desk = desk_new(2);

    expect_ok(&desk, "i=0; while [ $i -lt 256 ]; do"
                     " printf \"\\\\$(printf %03o $i)\"; i=$((i + 1)); done"
                     " >all; test $(wc -c <all) = 256");
    expect_ok(&desk, "pbkv put k - <all; pbkv get k | cmp - all");
    expect_ok(&desk, "pbkv put f --file all; pbkv get f | cmp - all");
    expect_ok(&desk, "pbkv append f --file all; pbkv append --file=all f;"
                     "cat all all all >thrice;"
                     "pbkv get f | cmp - thrice");
    expect_ok(&desk, "pbkv put e --file /dev/null; pbkv get e | cmp - "
                     "/dev/null");
    ck_assert_int_eq(shell(&desk, "pbkv put k --file nothing"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "nothing: No such file");
    ck_assert_int_eq(shell(&desk, "pbkv put k --file /"), STATUS_NEGATIVE);
    expect_ok(&desk, "pbkv get k | cmp - all");
    desk_free(&desk);
}

TEST(values_that_look_like_flags_are_values)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "pbkv put k --quiet; pbkv get k");
    expect_text(&desk, "out", "--quiet");
    expect_ok(&desk, "pbkv put k -5 --quiet; pbkv get k");
    expect_text(&desk, "out", "-5");
    expect_ok(&desk, "pbkv put -- --k --; pbkv get -- --k");
    expect_text(&desk, "out", "--");
    expect_ok(&desk, "pbkv put '' nameless; pbkv get ''");
    expect_text(&desk, "out", "nameless");
    desk_free(&desk);
}

TEST(what_is_too_large_is_refused_and_changes_nothing)
{
    struct desk desk = desk_new(2);

    expect_ok(&desk, "pbkv put k old");
    ck_assert_int_eq(
        shell(&desk, "head -c %d /dev/zero | pbkv put k -", PBKV_VALUE_MAX + 1),
        STATUS_NEGATIVE);
    expect_part(&desk, "err", "too large");
    ck_assert_int_eq(shell(&desk, "pbkv put k --file /dev/zero"),
                     STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "head -c %d /dev/zero | pbkv append k -",
                           PBKV_VALUE_MAX - 2),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "too large");
    expect_ok(&desk, "pbkv get k");
    expect_text(&desk, "out", "old");
    ck_assert_int_eq(shell(&desk,
                           "pbkv put $(head -c %d /dev/zero | tr '\\0' x) v",
                           PBKV_KEY_MAX + 1),
                     STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk,
                           "head -c %d /dev/zero >most; pbkv put k --file most"
                           " && pbkv get k | cmp - most",
                           PBKV_VALUE_MAX),
                     STATUS_OK);
    desk_free(&desk);
}

/* ---- The command line ---------------------------------------------------- */

TEST(wrong_usage_is_said_and_changes_nothing)
{
    static const char *const lines[] = {
        "pbkv",
        "pbkv frobnicate",
        "pbkv --frobnicate get k",
        "pbkv get",
        "pbkv get k l",
        "pbkv get k --frobnicate",
        "pbkv put k",
        "pbkv put k v w",
        "pbkv put k v --file f",
        "pbkv put k -- v",
        "pbkv view now",
        "pbkv dump --file a --dir b",
        "pbkv load",
        "pbkv load a b",
        "pbkv load --in-flight 0 a",
        "pbkv history --clients 0",
        "pbkv history --ops many",
        "pbkv --deadline 0 get k",
        "pbkv --deadline get k",
        "pbkv --view nowhere get k",
        "pbkv --view 127.0.0.1:0 get k",
        "pbkv --view 127.0.0.1:99999 get k",
        "pbkv --view '' get k",
        "pbkv echo --to nowhere hello",
        "pbkv --log-level loud get k",
        "pbkv --faults drop=2 get k",
        "unset PBKV_VIEW; pbkv get k",
    };
    struct desk desk = desk_new(1);

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int status = shell(&desk, "%s", lines[i]);

        ck_assert_msg(status == STATUS_USAGE, "%d from: %s", status, lines[i]);
        expect_text(&desk, "out", "");
        expect_part(&desk, "err", "pbkv");
    }
    ck_assert_int_eq(shell(&desk, "pbkv get k"), STATUS_NEGATIVE);
    desk_free(&desk);
}

TEST(every_command_has_help_and_a_version)
{
    struct desk desk = desk_new(0);

    expect_ok(&desk, "pbkv --help");
    expect_part(&desk, "out", "Exit status");
    expect_ok(&desk, "pbkv --version");
    expect_part(&desk, "out", PBKV_VERSION);
    expect_ok(&desk, "for c in put get append view status load verify compare"
                     " dump echo history; do unset PBKV_VIEW;"
                     " pbkv $c --help | grep '^usage: pbkv' || exit 9;"
                     " pbkv $c --help | grep -q -- --deadline || exit 9; done");
    expect_text(&desk, "err", "");
    desk_free(&desk);
}

TEST(without_an_answer_the_outcome_is_unknown)
{
    struct desk desk = desk_new(0);

    ck_assert_int_eq(shell(&desk, "pbkv --deadline 200 put k v"),
                     STATUS_UNAVAILABLE);
    expect_text(&desk, "err",
                "pbkv put: no primary answers: the view service knows none yet;"
                " the outcome is unknown\n");
    ck_assert_int_eq(shell(&desk, "pbkv --deadline 200 append k v"),
                     STATUS_UNAVAILABLE);
    ck_assert_int_eq(shell(&desk, "pbkv --deadline 200 get k"),
                     STATUS_UNAVAILABLE);
    expect_text(&desk, "err",
                "pbkv get: no primary answers: the view service knows none "
                "yet\n");
    ck_assert_int_eq(shell(&desk, "pbkv --deadline 200 dump"),
                     STATUS_UNAVAILABLE);
    ck_assert_int_eq(shell(&desk, "pbkv history --ops 3 --deadline 200"),
                     STATUS_UNAVAILABLE);
    expect_ok(&desk, "pbkv view && pbkv status && pbkv echo");
    ck_assert_int_eq(
        shell(&desk, "pbkv --view unix:$PWD/nobody --deadline 200 view"),
        STATUS_UNAVAILABLE);
    ck_assert_int_eq(
        shell(&desk, "pbkv --view unix:$PWD/nobody --deadline 200 status"),
        STATUS_UNAVAILABLE);
    ck_assert_int_eq(
        shell(&desk, "pbkv echo --to unix:$PWD/nobody --deadline 200"),
        STATUS_UNAVAILABLE);
    expect_part(&desk, "err", "nobody before the deadline\n");
    ck_assert_int_eq(
        shell(&desk, "pbkv --view unix:$PWD/nobody --deadline 200 get k"),
        STATUS_UNAVAILABLE);
    expect_part(&desk, "err", "nobody does not answer\n");
    desk_free(&desk);
}

TEST(an_address_that_is_none_is_named)
{
    struct desk desk = desk_new(0);

    ck_assert_int_eq(shell(&desk, "pbkv --view 127.0.0.1 get k"), STATUS_USAGE);
    expect_part(&desk, "err", "--view: '127.0.0.1' is not an address\n");
    ck_assert_int_eq(shell(&desk, "PBKV_VIEW=here pbkv get k"), STATUS_USAGE);
    expect_part(&desk, "err", "PBKV_VIEW: 'here' is not an address\n");
    ck_assert_int_eq(shell(&desk, "pbkv echo --to there"), STATUS_USAGE);
    expect_part(&desk, "err", "--to: 'there' is not an address\n");
    desk_free(&desk);
}

TEST(a_server_is_not_taken_for_a_view_service)
{
    static const char *const commands[] = {"view", "status"};
    struct desk desk = desk_new(1);

    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(shell(&desk, "pbkv --deadline 200 --view %s %s",
                               desk.servers[0]->address, commands[i]),
                         STATUS_NEGATIVE);
        expect_part(&desk, "err",
                    " is not a view service but a server (primary)\n");
    }
    desk_free(&desk);
}

TEST(standard_output_that_cannot_be_written_is_said)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "head -c 500000 /dev/zero | pbkv put big -");
    ck_assert_int_eq(shell(&desk, "pbkv get big >/dev/full"), STATUS_NEGATIVE);
    expect_part(&desk, "err", "cannot write");
    ck_assert_int_eq(shell(&desk, "pbkv dump >/dev/full"), STATUS_NEGATIVE);
    expect_text(&desk, "err",
                "pbkv dump: cannot write: No space left on device\n");
    ck_assert_int_eq(shell(&desk, "pbkv view >/dev/full"), STATUS_NEGATIVE);
    expect_part(&desk, "err", "cannot write");
    expect_ok(&desk, "{ pbkv dump; echo $? >status; } | head -c 1 >/dev/null");
    expect_text(&desk, "status", "1\n");
    expect_text(&desk, "err", "");
    desk_free(&desk);
}

TEST(a_trace_that_cannot_be_written_is_said)
{
    struct desk desk = desk_new(1);

    ck_assert_int_eq(shell(&desk, "pbkv --trace no/such/file get k"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "No such file");
    expect_ok(&desk, "pbkv --trace t put k v; tracecheck t");
    desk_free(&desk);
}

/* ---- Observation --------------------------------------------------------- */

TEST(view_and_echo_tell_who_is_there)
{
    struct desk desk = desk_new(2);
    char line[256];

    expect_ok(&desk, "pbkv view");
    snprintf(line, sizeof(line), "primary  %s incarnation",
             desk.servers[0]->address);
    expect_part(&desk, "out", line);
    snprintf(line, sizeof(line), "backup   %s incarnation",
             desk.servers[1]->address);
    expect_part(&desk, "out", line);
    expect_ok(&desk, "pbkv echo 'are you there?'");
    expect_text(&desk, "out", "are you there?\n");
    ck_assert_int_eq(
        shell(&desk, "pbkv echo --to %s you", desk.servers[1]->address),
        STATUS_OK);
    expect_text(&desk, "out", "you\n");
    desk_free(&desk);
}

static json_t *run_json(const struct desk *desk, const char *line)
{
    json_error_t error;
    json_t *value;
    char *text;

    expect_ok(desk, line);
    text = contents(desk, "out");
    value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(value, "%s: %s", error.text, text);
    free(text);
    return value;
}

/* Returns a text in an element of the status's list of servers. */
static const char *server_text(const json_t *status, size_t index,
                               const char *name)
{
    const json_t *servers = json_object_get(status, "servers");

    return json_string_value(
        json_object_get(json_array_get(servers, index), name));
}

/* Returns the index of the server with this role, or fails. */
static size_t server_with(const json_t *status, const char *role)
{
    size_t count = json_array_size(json_object_get(status, "servers"));

    for (size_t i = 0; i < count; i++) {
        const char *its = server_text(status, i, "role");

        if (its && strcmp(its, role) == 0)
            return i;
    }
    ck_abort_msg("no server is %s", role);
    return 0;
}

static bool has_an_idle_server(void *context)
{
    return shell(context, "pbkv status | grep ' idle '") == 0;
}

TEST(status_tells_how_every_server_is)
{
    struct desk desk = desk_new(3);
    json_t *status, *view;
    const char *digest;

    expect_ok(&desk, "pbkv put a 123; pbkv put bc 45");
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, has_an_idle_server, &desk));
    ck_assert(cluster_agree(desk.cluster, desk.servers[0], desk.servers[1]));
    status = run_json(&desk, "pbkv status --json --verbose");
    digest = server_text(status, server_with(status, "primary"), "digest");
    ck_assert_uint_eq(strlen(digest), 2 * PBKV_DIGEST_SIZE);
    ck_assert_str_eq(
        digest, server_text(status, server_with(status, "backup"), "digest"));
    ck_assert_str_eq(server_text(status, server_with(status, "idle"), "name"),
                     "s3");
    view = json_object_get(json_array_get(json_object_get(status, "servers"),
                                          server_with(status, "primary")),
                           "bytes");
    ck_assert_int_eq(json_integer_value(view), 8);
    json_decref(status);
    expect_ok(&desk, "pbkv status --verbose");
    expect_part(&desk, "out", " primary ");
    expect_part(&desk, "out", " backup ");
    expect_part(&desk, "out", " idle ");
    expect_part(&desk, "out", "\nprimary s1");
    expect_part(&desk, "out", "\ns3       unix:");
    desk_free(&desk);
}

TEST(a_server_that_does_not_answer_is_silent)
{
    static const struct cluster_options patient = {.dead_pings = 1000};
    struct desk desk = desk_with(&patient, 3);
    json_t *status;

    ck_assert(cluster_wait(CLUSTER_WAIT_MS, has_an_idle_server, &desk));
    process_signal(desk.servers[2], SIGSTOP);
    expect_ok(&desk, "pbkv status");
    expect_part(&desk, "out", " silent ");
    status = run_json(&desk, "pbkv status --json");
    ck_assert_uint_eq(json_array_size(json_object_get(status, "servers")), 3);
    server_with(status, "primary");
    server_with(status, "backup");
    json_decref(status);
    process_signal(desk.servers[2], SIGCONT);
    desk_free(&desk);
}

TEST(a_view_without_servers_is_view_0)
{
    struct desk desk = desk_new(0);
    json_t *view = run_json(&desk, "pbkv view --json");

    ck_assert_int_eq(json_integer_value(json_object_get(view, "number")), 0);
    ck_assert(json_is_null(json_object_get(view, "primary")));
    json_decref(view);
    expect_ok(&desk, "pbkv view");
    expect_part(&desk, "out", "primary  none\nbackup   none\n");
    desk_free(&desk);
}

/* ---- Load, verify, dump -------------------------------------------------- */

/* Makes a tree of files with names and contents of all kinds. */
static void make_tree(const struct desk *desk)
{
    expect_ok(desk,
              "mkdir -p tree/a/b/c tree/empty tree/skip;"
              "printf one >tree/1; : >tree/a/empty-file;"
              "printf 'tab\\there' >\"$(printf 'tree/a/tab\\tname')\";"
              "printf 'x\\ny\\n' >\"$(printf 'tree/a/line\\nfeed')\";"
              "printf 'b\\\\s' >'tree/a/back\\slash';"
              "printf 'latin' >\"$(printf 'tree/a/\\351\\377')\";"
              "printf q >'tree/a/b/\"quote'\\''s $x *?'; printf d >tree/-dash;"
              "printf h >tree/.hidden; head -c 900000 /dev/urandom >tree/a/big;"
              "printf deep >tree/a/b/c/deep; printf s >tree/skip/s;"
              "ln -s 1 tree/link; ln -s / tree/root-link; mkfifo tree/pipe");
}

TEST(a_directory_survives_load_verify_and_dump)
{
    struct desk desk = desk_new(2);

    make_tree(&desk);
    expect_ok(&desk, "pbkv load --exclude skip,nothing tree");
    expect_part(&desk, "out", "loaded 11 files, ");
    expect_part(&desk, "out", "0 refused, 0 unknown");
    expect_ok(&desk, "pbkv verify --exclude skip tree");
    expect_part(&desk, "out", "verified 11 files, ");
    expect_ok(&desk, "pbkv compare tree --exclude skip --quiet");
    expect_text(&desk, "out", "");
    ck_assert_int_eq(shell(&desk, "pbkv get skip/s"), STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "pbkv get link"), STATUS_NEGATIVE);
    expect_ok(&desk, "pbkv dump --dir copy --quiet");
    expect_text(&desk, "err", "");
    expect_ok(&desk, "cd tree; rm -r skip empty link root-link pipe; cd ..;"
                     "diff -r tree copy");
    expect_ok(&desk, "pbkv dump --dir copy; diff -r tree copy; ls -A copy");
    expect_text(&desk, "out", "-dash\n.hidden\n1\na\n");
    desk_free(&desk);
}

TEST(a_dump_loaded_elsewhere_is_the_same_store)
{
    struct desk one = desk_new(1), other;

    make_tree(&one);
    expect_ok(&one, "pbkv load tree --quiet; pbkv put '' nameless;"
                    "pbkv put odd ''; printf 'a\\000b' | pbkv put zero -;"
                    "pbkv dump --file first.tsv; pbkv dump | cmp - first.tsv;"
                    "grep -q '^\tnameless$' first.tsv;"
                    "grep -q '^zero\ta\\\\x00b$' first.tsv");
    other = desk_new(2);
    ck_assert_int_eq(shell(&other,
                           "pbkv load --in-flight 1 - <%s/first.tsv;"
                           "pbkv dump >second.tsv; cmp %s/first.tsv second.tsv",
                           one.directory, one.directory),
                     STATUS_OK);
    ck_assert_int_eq(shell(&other, "pbkv verify %s/first.tsv", one.directory),
                     STATUS_OK);
    desk_free(&other);
    desk_free(&one);
}

TEST(what_cannot_be_loaded_is_named_and_the_rest_is_loaded)
{
    struct desk desk = desk_new(1);

    ck_assert_int_eq(shell(&desk,
                           "mkdir d; head -c %d /dev/zero >d/large; echo >d/ok;"
                           "pbkv load d",
                           PBKV_VALUE_MAX + 1),
                     STATUS_NEGATIVE);
    expect_text(&desk, "err",
                "pbkv load: refused large: the file is too large\n");
    expect_part(&desk, "out", "loaded 1 files");
    expect_part(&desk, "out", "1 refused");
    ck_assert_int_eq(shell(&desk, "pbkv verify d"), STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "printf 'a\\t1\\nb\\nc\\t\\\\q\\nd\\t4' |"
                                  " pbkv load -"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "refused line 2: the line has no TAB");
    expect_part(&desk, "err", "refused line 3: the line has an unknown escape");
    expect_part(&desk, "out", "loaded 2 lines");
    ck_assert_int_eq(shell(&desk, "yes | head -n 25 | pbkv load -"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "refused line 10: ");
    expect_part(&desk, "err", "\npbkv load: refused 15 more\n");
    expect_part(&desk, "out", "25 refused");
    expect_ok(&desk, "pbkv get a; pbkv get d");
    expect_text(&desk, "out", "14");
    ck_assert_int_eq(shell(&desk, "pbkv load nothing"), STATUS_NEGATIVE);
    expect_part(&desk, "err", "cannot read nothing: No such file");
    desk_free(&desk);
}

TEST(verify_names_what_is_missing_and_what_differs)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "printf 'a\\t1\\nb\\t2\\nc\\\\n\\t3\\nd\\t4\\n' >f.tsv;"
                     "pbkv load f.tsv; pbkv put b 3; pbkv put d 44");
    ck_assert_int_eq(
        shell(&desk, "echo 'e\t5' >>f.tsv; pbkv verify f.tsv | sort"),
        STATUS_OK);
    expect_part(&desk, "out", "differs b\ndiffers d\nmissing e\nverified 2");
    ck_assert_int_eq(shell(&desk, "pbkv verify f.tsv --quiet"),
                     STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "cat f.tsv | pbkv verify -"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "read twice");
    desk_free(&desk);
}

TEST(of_lines_with_the_same_key_the_last_one_counts)
{
    struct desk desk = desk_new(2);

    expect_ok(&desk, "i=0; while [ $i -lt 3000 ]; do"
                     " printf 'k%d\\t%d\\n' $((i % 3)) $i; i=$((i + 1));"
                     " done >f.tsv; pbkv load f.tsv --quiet;"
                     "pbkv get k0 --newline; pbkv get k1 --newline;"
                     "pbkv get k2 --newline");
    expect_text(&desk, "out", "2997\n2998\n2999\n");
    expect_ok(&desk, "pbkv verify f.tsv");
    desk_free(&desk);
}

TEST(a_dump_writes_nothing_outside_its_directory)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "mkdir outside out-of-reach copy; ln -s ../outside"
                     " copy/link; ln -s ../outside/target copy/file;"
                     "echo keep >outside/target;"
                     "for k in ../evil \"$PWD/outside/abs\" a/../../evil ''"
                     " link/evil a//b ./c d/ fine/e file; do"
                     " pbkv put \"$k\" evil; done");
    ck_assert_int_eq(shell(&desk, "pbkv dump --dir copy"), STATUS_NEGATIVE);
    expect_part(&desk, "err", "refused ../evil: a '..' in a path");
    expect_part(&desk, "err", "refused : an empty path");
    expect_part(&desk, "err", "refused link/evil: ");
    expect_ok(&desk, "test ! -e evil; ls outside; cat outside/target;"
                     "find copy -type f | sort");
    expect_text(&desk, "out", "target\nkeep\ncopy/file\ncopy/fine/e\n");
    desk_free(&desk);
}

TEST(a_dump_takes_the_place_of_a_file_and_leaves_no_other)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "pbkv put k v; mkdir d; echo old >d/f; ln -s f d/l;"
                     "pbkv dump --file d/l; cat d/f; ls -A d; test -L d/l");
    expect_text(&desk, "out", "k\tv\nf\nl\n");
    expect_ok(&desk, "pbkv dump --file /dev/null; test -c /dev/null");
    ck_assert_int_eq(shell(&desk, "pbkv dump --file d"), STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "pbkv dump --file no/f"), STATUS_NEGATIVE);
    ck_assert_int_eq(shell(&desk, "pbkv dump --file /dev/full"),
                     STATUS_NEGATIVE);
    expect_part(&desk, "err", "No space left");
    desk_free(&desk);
}

/* No terminal: at most a line a second, so none for a short load. */
TEST(progress_is_silent_for_short_work_and_when_quiet)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "printf 'k\\tv\\n' | pbkv load -");
    expect_text(&desk, "err", "");
    expect_part(&desk, "out", "loaded 1 lines, 2 octets (2 B) in ");
    expect_ok(&desk, "printf 'k\\tv\\n' | pbkv load - --quiet");
    expect_text(&desk, "err", "");
    expect_text(&desk, "out", "");
    desk_free(&desk);
}

/* ---- Trouble on the way -------------------------------------------------- */

static bool view_has_moved(void *context)
{
    struct desk *desk = context;
    struct pbkv_view view;

    return cluster_view(desk->cluster, &view) &&
           strcmp(view.primary.address, desk->servers[1]->address) == 0;
}

struct amount {
    struct desk *desk;
    uint64_t keys;
};

static bool primary_has_keys(void *context)
{
    const struct amount *amount = context;
    struct pbkv_inspection *about =
        cluster_inspect(amount->desk->cluster, amount->desk->servers[0]);
    bool enough = about && about->keys >= amount->keys;

    pbkv_inspection_free(about);
    return enough;
}

/* C2, P4: a put that was lost is sent again, and none is lost. */
TEST(a_load_goes_on_over_a_failover)
{
    struct desk desk = desk_new(3);
    struct amount some = {&desk, 2000};
    char path[CLUSTER_PATH_SIZE + 8];
    const char *arguments[] = {"load", "--in-flight", "16", path, NULL};
    struct process *load;

    snprintf(path, sizeof(path), "%s/f.tsv", desk.directory);
    expect_ok(&desk, "awk 'BEGIN { for (i = 0; i < 60000; i++)"
                     " printf \"key-%d\\tvalue-%d-%d\\n\", i, i, i * i }'"
                     " >f.tsv");
    load = process_start(desk.cluster, "pbkv", "load", arguments);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, primary_has_keys, &some));
    process_signal(desk.servers[0], SIGKILL);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, view_has_moved, &desk));
    ck_assert_int_eq(process_wait(load, cluster_stretch(30000)), STATUS_OK);
    ck_assert(process_says(load, "loaded 60000 lines", 0));
    expect_ok(&desk, "pbkv verify f.tsv");
    expect_part(&desk, "out", "verified 60000 lines");
    desk_free(&desk);
}

TEST(a_load_without_servers_counts_what_is_unknown)
{
    struct desk desk = desk_new(2);

    process_signal(desk.servers[0], SIGKILL);
    process_signal(desk.servers[1], SIGKILL);
    expect_ok(&desk, "i=0; while [ $i -lt 9 ]; do printf 'k%d\\tv\\n' $i;"
                     " i=$((i + 1)); done >f.tsv");
    ck_assert_int_eq(
        shell(&desk, "pbkv load --deadline 300 --in-flight 4 f.tsv"),
        STATUS_UNAVAILABLE);
    expect_part(&desk, "out", "loaded 0 lines");
    expect_part(&desk, "out", "4 unknown, the rest not tried");
    expect_part(&desk, "err", "unknown");
    ck_assert_int_eq(shell(&desk, "pbkv verify --deadline 300 f.tsv"),
                     STATUS_UNAVAILABLE);
    desk_free(&desk);
}

/* Returns whether the desk's directory has files of these names. */
static bool desk_has(const struct desk *desk, const char *names)
{
    return shell(desk, "ls -d %s", names) == 0;
}

static bool has_temporary_file(void *context)
{
    return desk_has(context, ".pbkv-*");
}

/* A command that waits for servers that are not there is stopped. */
static void expect_stop(struct desk *desk, int signal, const char *command,
                        const char *file)
{
    const char *arguments[] = {command, "--file", file, NULL};
    struct process *tool =
        process_start(desk->cluster, "pbkv", command, arguments);

    ck_assert(cluster_wait(CLUSTER_WAIT_MS, has_temporary_file, desk));
    process_signal(tool, signal);
    ck_assert_int_eq(process_wait(tool, cluster_stretch(5000)), 128 + signal);
    ck_assert(!desk_has(desk, ".pbkv-*"));
    ck_assert(!desk_has(desk, "half"));
}

TEST(a_signal_leaves_no_half_written_file)
{
    struct desk desk = desk_new(0);
    char path[CLUSTER_PATH_SIZE + 8];

    snprintf(path, sizeof(path), "%s/half", desk.directory);
    expect_stop(&desk, SIGINT, "dump", path);
    expect_stop(&desk, SIGTERM, "history", path);
    desk_free(&desk);
}

TEST(a_signal_stops_a_load_which_says_how_far_it_came)
{
    struct desk desk = desk_new(2);
    struct amount some = {&desk, 100};
    char path[CLUSTER_PATH_SIZE + 8];
    const char *arguments[] = {"load", "--in-flight", "1", path, NULL};
    struct process *load;

    snprintf(path, sizeof(path), "%s/f.tsv", desk.directory);
    expect_ok(&desk, "awk 'BEGIN { for (i = 0; i < 200000; i++)"
                     " printf \"%d\\tv\\n\", i }' >f.tsv");
    load = process_start(desk.cluster, "pbkv", "load", arguments);
    ck_assert(cluster_wait(CLUSTER_WAIT_MS, primary_has_keys, &some));
    process_signal(load, SIGINT);
    ck_assert_int_eq(process_wait(load, cluster_stretch(5000)), 128 + SIGINT);
    ck_assert(process_says(load, "the rest not tried", 0));
    desk_free(&desk);
}

/* ---- History ------------------------------------------------------------- */

enum { PROCESSES_MAX = 4096 };

/* What the checker of a record knows. */
struct record {
    json_int_t time;
    bool busy[PROCESSES_MAX];
    bool dead[PROCESSES_MAX];
    char invoked[PROCESSES_MAX][128]; /* f and key */
    unsigned invocations;
    unsigned oks;
    unsigned infos;
    json_t *values; /* that were put or appended */
};

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    ck_assert_msg(text, "no %s", name);
    return text;
}

static void check_invocation(struct record *record, const json_t *line,
                             json_int_t process)
{
    const json_t *value = json_object_get(line, "value");

    ck_assert(!record->busy[process] && !record->dead[process]);
    record->busy[process] = true;
    record->invocations++;
    snprintf(record->invoked[process], sizeof(record->invoked[0]), "%s %s",
             text_of(line, "f"), text_of(line, "key"));
    if (strcmp(text_of(line, "f"), "get") == 0) {
        ck_assert(json_is_null(value));
        return;
    }
    ck_assert_ptr_null(
        json_object_get(record->values, json_string_value(value)));
    json_object_set_new(record->values, json_string_value(value), json_true());
}

static void check_completion(struct record *record, const json_t *line,
                             json_int_t process)
{
    const char *type = text_of(line, "type");
    char call[128];

    snprintf(call, sizeof(call), "%s %s", text_of(line, "f"),
             text_of(line, "key"));
    ck_assert(record->busy[process]);
    ck_assert_str_eq(call, record->invoked[process]);
    record->busy[process] = false;
    if (strcmp(type, "info") == 0) {
        ck_assert_str_ne(text_of(line, "f"), "get");
        record->dead[process] = true;
        record->infos++;
    } else if (strcmp(type, "ok") == 0) {
        record->oks++;
    } else {
        ck_assert_str_eq(type, "fail");
    }
}

static void check_line(struct record *record, const char *text)
{
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_int_t process, time;

    ck_assert_msg(line, "%s", text);
    ck_assert_uint_eq(json_object_size(line), 6);
    process = json_integer_value(json_object_get(line, "process"));
    time = json_integer_value(json_object_get(line, "time"));
    ck_assert(process >= 0 && process < PROCESSES_MAX);
    ck_assert_int_ge(time, record->time);
    record->time = time;
    if (strcmp(text_of(line, "type"), "invoke") == 0)
        check_invocation(record, line, process);
    else
        check_completion(record, line, process);
    json_decref(line);
}

/* Checks a record of the desk and counts what is in it. */
static struct record check_record(const struct desk *desk, const char *name)
{
    struct record record = {.values = json_object()};
    char *text = contents(desk, name);
    char *rest = text;

    for (char *end; (end = strchr(rest, '\n')); rest = end + 1) {
        *end = '\0';
        check_line(&record, rest);
    }
    ck_assert_str_eq(rest, "");
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        ck_assert(!record.busy[i]);
    json_decref(record.values);
    free(text);
    return record;
}

TEST(a_history_has_every_invocation_and_its_end)
{
    struct desk desk = desk_new(2);
    struct record record;

    expect_ok(&desk, "pbkv history --clients 8 --ops 2000 --keys 3 --seed 7");
    expect_part(&desk, "err", "2000 operations, 2000 ok, 0 failed, 0 unknown");
    record = check_record(&desk, "out");
    ck_assert_uint_eq(record.invocations, 2000);
    ck_assert_uint_eq(record.oks, 2000);
    expect_ok(&desk, "pbkv history --ops 50 --prefix other --file h --quiet");
    expect_text(&desk, "err", "");
    ck_assert_uint_eq(check_record(&desk, "h").invocations, 50);
    desk_free(&desk);
}

/* C2: an update without an answer has an unknown outcome. */
TEST(a_process_with_an_unknown_outcome_does_nothing_more)
{
    struct desk desk = desk_new(2);
    struct record record;

    expect_ok(&desk, "pbkv history --clients 6 --ops 120 --deadline 60"
                     " --faults drop=0.4,seed=5");
    record = check_record(&desk, "out");
    ck_assert_uint_eq(record.invocations, 120);
    ck_assert_uint_gt(record.infos, 0);
    ck_assert_uint_gt(record.oks, 0);
    desk_free(&desk);
}

TEST(the_same_seed_makes_the_same_calls)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "for i in 1 2 3; do pbkv history --clients 1 --ops 100"
                     " --seed $((i / 2)) --prefix run$i- --quiet |"
                     " grep invoke | sed 's/,\"time.*//; s/run[0-9]//' >$i;"
                     " done; cmp 2 3; ! cmp -s 1 2; wc -l <3 | tr -d ' '");
    expect_text(&desk, "out", "100\n");
    desk_free(&desk);
}

TEST(a_get_records_octets_that_are_no_text)
{
    struct desk desk = desk_new(1);

    expect_ok(&desk, "printf '\\351\"\\000' | pbkv put k1 -; pbkv history"
                     " --clients 1 --keys 1 --ops 1 --seed 0");
    for (unsigned seed = 1; seed < 50; seed++) {
        char *text = contents(&desk, "out");
        bool found = strstr(text, "\"value\":\"\\u00e9\\\"\\u0000");

        free(text);
        if (found)
            break;
        ck_assert_uint_lt(seed, 49);
        ck_assert_int_eq(
            shell(&desk,
                  "printf '\\351\"\\000' | pbkv put k1 -; pbkv history"
                  " --clients 1 --keys 1 --ops 1 --seed %u",
                  seed),
            STATUS_OK);
    }
    desk_free(&desk);
}

SUITE("tool", CASE_LIMIT(what_is_put_can_be_got, 30),
      CASE_LIMIT(a_key_that_was_never_written_is_not_found, 30),
      CASE_LIMIT(values_come_from_files_and_standard_input_with_all_octets, 30),
      CASE_LIMIT(values_that_look_like_flags_are_values, 30),
      CASE_LIMIT(what_is_too_large_is_refused_and_changes_nothing, 30),
      CASE_LIMIT(wrong_usage_is_said_and_changes_nothing, 30),
      CASE_LIMIT(every_command_has_help_and_a_version, 30),
      CASE_LIMIT(without_an_answer_the_outcome_is_unknown, 30),
      CASE_LIMIT(an_address_that_is_none_is_named, 30),
      CASE_LIMIT(a_server_is_not_taken_for_a_view_service, 30),
      CASE_LIMIT(standard_output_that_cannot_be_written_is_said, 30),
      CASE_LIMIT(a_trace_that_cannot_be_written_is_said, 30),
      CASE_LIMIT(view_and_echo_tell_who_is_there, 30),
      CASE_LIMIT(status_tells_how_every_server_is, 30),
      CASE_LIMIT(a_server_that_does_not_answer_is_silent, 30),
      CASE_LIMIT(a_view_without_servers_is_view_0, 30),
      CASE_LIMIT(a_directory_survives_load_verify_and_dump, 30),
      CASE_LIMIT(a_dump_loaded_elsewhere_is_the_same_store, 30),
      CASE_LIMIT(what_cannot_be_loaded_is_named_and_the_rest_is_loaded, 30),
      CASE_LIMIT(verify_names_what_is_missing_and_what_differs, 30),
      CASE_LIMIT(of_lines_with_the_same_key_the_last_one_counts, 30),
      CASE_LIMIT(a_dump_writes_nothing_outside_its_directory, 30),
      CASE_LIMIT(a_dump_takes_the_place_of_a_file_and_leaves_no_other, 30),
      CASE_LIMIT(progress_is_silent_for_short_work_and_when_quiet, 30),
      CASE_LIMIT(a_load_goes_on_over_a_failover, 60),
      CASE_LIMIT(a_load_without_servers_counts_what_is_unknown, 30),
      CASE_LIMIT(a_signal_leaves_no_half_written_file, 30),
      CASE_LIMIT(a_signal_stops_a_load_which_says_how_far_it_came, 30),
      CASE_LIMIT(a_history_has_every_invocation_and_its_end, 30),
      CASE_LIMIT(a_process_with_an_unknown_outcome_does_nothing_more, 60),
      CASE_LIMIT(the_same_seed_makes_the_same_calls, 30),
      CASE_LIMIT(a_get_records_octets_that_are_no_text, 30))
