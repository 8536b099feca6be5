/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: the scripts in tests/scenarios (sim/scenario.h tells their words),
 * each played as a test of its own, and the interpreter itself. The first line
 * of a script names the rule or the bug that it is about. Rules K1 to K4, on
 * stamps, have no scripts: an imagined world has no frames to stamp; they are
 * proved by test_clocks and test_trace.
 *
 *     test_scenarios [WORD]    only scripts whose name contains the word
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/scenario.h"
#include "tests/suite.h"

enum { FAILURE_MAX = 1024, SCRIPTS_MAX = 256, SCRIPT_OCTETS_MAX = 65536 };

static const char folder[] = "tests/scenarios";

struct scripts {
    size_t count;
    char *names[SCRIPTS_MAX];
};

/* ---- The interpreter ---- */

struct sample {
    const char *script;
    const char *failure; /* NULL: none */
};

static const struct sample samples[] = {
    {"", NULL},
    {"# nothing\n\n  # more of it\n", NULL},
    {"servers s1\nstart s1\nuntil view 1 primary s1 no backup", NULL},
    {"dance", "x:1: 'dance' is no statement: it begins with no known word"},
    {"\nservers s1 s1",
     "x:2: 'servers s1 s1' is no statement: a name is taken, "
     "too long or not printable, or there are too many"},
    {"clients \xe6", "x:1: 'clients \xe6' is no statement: a name is taken, "
                     "too long or not printable, or there are too many"},
    {"run 3601s", "x:1: 'run 3601s' is no statement: it takes a time such as "
                  "500ms or 2s"},
    {"start s1", "x:1: 'start s1' is no statement: it takes servers that have "
                 "not started"},
    {"expect joy", "x:1: 'expect joy' is no statement: it is no condition"},
    {"expect view 2 primary s1 no backup",
     "x:1: expected 'expect view 2 primary s1 no backup'; there is: view 0 "
     "primary none backup none"},
    {"servers s1\nstart s1\n\nuntil role s1 backup",
     "x:4: expected 'until role s1 backup'; there is: primary"},
    {"clients c1\nc1: get x within 100ms -> 1",
     "x:2: expected 'c1: get x within 100ms -> 1'; there is: TIMEOUT"},
    {"clients c1\nc1: get x ...\nc1: get x -> 1",
     "x:3: 'c1: get x -> 1' is no statement: what was begun before has not "
     "ended"},
    {"clients c1\nc1: sing x -> 1",
     "x:2: 'c1: sing x -> 1' is no statement: a client can get K, put K V and "
     "append K V"},
    {"servers s1 s2\nstart s1\ndrop next 2 chunk s1 -> s2\nrun 1s",
     "x:3: no such message has been sent, or too few"},
    {"servers s1\nstart s1\nuntil role s1 primary\nexpect event view.adopted "
     "at "
     "s1\nexpect 2 view.adopted at s1",
     "x:5: 'expect 2 view.adopted at s1' is no statement: it is no condition"},
    {"release", "x:1: expected 'release'; there is: nothing is held"},
};

static void a_failure_names_the_line_and_what_there_is(int number)
{
    const struct sample *sample = &samples[number];
    char failure[FAILURE_MAX] = "";
    bool good = scenario_play("x", sample->script, failure, sizeof(failure));

    ck_assert(good == (sample->failure == NULL));
    ck_assert_str_eq(failure, sample->failure ? sample->failure : "");
}

/* ---- The scripts ---- */

static char *read_script(const char *name)
{
    char path[512];
    char *text = calloc(1, SCRIPT_OCTETS_MAX);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "r");
    ck_assert_msg(file && text, "%s: %s", path, strerror(errno));
    ck_assert_uint_lt(fread(text, 1, SCRIPT_OCTETS_MAX, file),
                      SCRIPT_OCTETS_MAX);
    fclose(file);
    return text;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists all scripts by their names, in order. */
static void list_scripts(struct scripts *scripts)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        const char *end = strrchr(entry->d_name, '.');

        if (!end || strcmp(end, ".txt") != 0)
            continue;
        assert(scripts->count < SCRIPTS_MAX);
        scripts->names[scripts->count] = strdup(entry->d_name);
        scripts->count += scripts->names[scripts->count] != NULL;
    }
    if (directory)
        closedir(directory);
    qsort(scripts->names, scripts->count, sizeof(scripts->names[0]), by_name);
}

static void free_scripts(struct scripts *scripts)
{
    for (size_t i = 0; i < scripts->count; i++)
        free(scripts->names[i]);
}

/* Plays the script at this place in the list of all. */
static void the_script_plays(int number)
{
    struct scripts scripts = {0};
    char failure[FAILURE_MAX] = "";
    char *text;

    list_scripts(&scripts);
    ck_assert_uint_lt((size_t)number, scripts.count);
    text = read_script(scripts.names[number]);
    ck_assert_msg(strncmp(text, "# ", 2) == 0,
                  "%s: the first line does not say what it is about",
                  scripts.names[number]);
    ck_assert_msg(
        scenario_play(scripts.names[number], text, failure, sizeof(failure)),
        "%s/%s", folder, failure);
    free(text);
    free_scripts(&scripts);
}

/* ---- The program ---- */

/* Adds a test with a number as a TCase of its own. */
static void add_test(Suite *suite, const TTest *test, int number)
{
    TCase *tcase = tcase_create(test->name);

    tcase_set_timeout(tcase, SUITE_LIMIT_S);
    _tcase_add_test(tcase, test, 0, 0, number, number + 1);
    suite_add_tcase(suite, tcase);
}

static int run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int ran;
    int failed;

    check_set_max_msg_size(SUITE_MESSAGE_MAX);
    srunner_run_all(runner, CK_ENV);
    ran = srunner_ntests_run(runner);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const TTest sample_test = {
        "a_failure_names_the_line_and_what_there_is",
        a_failure_names_the_line_and_what_there_is, __FILE__, __LINE__};
    const char *wanted = argc > 1 ? argv[1] : "";
    const char *tree = getenv("PBKV_TREE");
    Suite *suite = suite_create("scenarios");
    struct scripts scripts = {0};
    TTest tests[SCRIPTS_MAX];
    int status;

    if (tree && chdir(tree) < 0) {
        perror(tree);
        return EXIT_FAILURE;
    }
    list_scripts(&scripts);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (strstr(sample_test.name, wanted))
            add_test(suite, &sample_test, (int)i);
    }
    for (size_t i = 0; i < scripts.count; i++) {
        tests[i] = (TTest){scripts.names[i], the_script_plays, folder, 1};
        if (strstr(scripts.names[i], wanted))
            add_test(suite, &tests[i], (int)i);
    }
    status = scripts.count > 0 ? run(suite) : EXIT_FAILURE;
    free_scripts(&scripts);
    return status;
}
