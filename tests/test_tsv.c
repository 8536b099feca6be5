/* SPDX-License-Identifier: MIT */
/*
 * The parts of the command-line tool that need no store: the text form of
 * entries, keys as paths, octets in JSON, and the entries of files and
 * directories. The tool is a program and not in the library, so its parts are
 * included here.
 */
#include "client/tool_json.c"
#include "client/tool_path.c"
#include "client/tool_source.c"
#include "client/tool_tree.c"
#include "client/tool_tsv.c"

#include "tests/suite.h"

enum { SMALL = 8 /* octets of keys and values in readers with limits */ };

/* ---- Help ---------------------------------------------------------------- */

/* A reader of a text. */
struct reading {
    FILE *file;
    struct tsv_reader reader;
};

static struct reading reading_of(const char *text, size_t length, size_t limit)
{
    struct reading reading = {.file = tmpfile()};

    ck_assert_ptr_nonnull(reading.file);
    ck_assert_uint_eq(fwrite(text, 1, length, reading.file), length);
    rewind(reading.file);
    tsv_reader_init(&reading.reader, reading.file, limit, limit);
    return reading;
}

static void reading_close(struct reading *reading)
{
    tsv_reader_release(&reading->reader);
    fclose(reading->file);
}

static void expect_field(const struct tsv_field *field, const char *octets,
                         size_t length)
{
    ck_assert_uint_eq(field->length, length);
    ck_assert_mem_eq(field->octets, octets, length);
}

static void expect_entry(struct reading *reading, const char *key,
                         const char *value)
{
    ck_assert_int_eq(tsv_read(&reading->reader), TSV_ENTRY);
    expect_field(&reading->reader.key, key, strlen(key));
    expect_field(&reading->reader.value, value, strlen(value));
}

static void expect_problem(struct reading *reading, enum tsv_result result,
                           const char *problem)
{
    ck_assert_int_eq(tsv_read(&reading->reader), result);
    ck_assert_str_eq(reading->reader.problem, problem);
}

/* Reads one line, which has to be refused, and then an entry in the next. */
static void expect_wrong(const char *line, const char *problem)
{
    char text[128];
    int length = snprintf(text, sizeof(text), "%s\nnext\tgood\n", line);
    struct reading reading = reading_of(text, (size_t)length, 64);

    expect_problem(&reading, TSV_WRONG, problem);
    ck_assert_uint_eq(reading.reader.line, 1);
    expect_entry(&reading, "next", "good");
    ck_assert_int_eq(tsv_read(&reading.reader), TSV_END);
    reading_close(&reading);
}

/* Returns what a writer wrote, as a text that the caller frees. */
static char *written(void (*write)(FILE *, const void *, size_t),
                     const void *octets, size_t length)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    write(file, octets, length);
    fclose(file);
    return text;
}

/* ---- TSV ----------------------------------------------------------------- */

TEST(a_line_is_a_key_a_tab_and_a_value)
{
    static const char text[] = "k1\tv1\nk2\t\n\tv3\n\t\nlast\tline";
    struct reading reading = reading_of(text, sizeof(text) - 1, 64);

    expect_entry(&reading, "k1", "v1");
    expect_entry(&reading, "k2", "");
    expect_entry(&reading, "", "v3");
    expect_entry(&reading, "", "");
    expect_entry(&reading, "last", "line");
    ck_assert_uint_eq(reading.reader.line, 5);
    ck_assert_int_eq(tsv_read(&reading.reader), TSV_END);
    ck_assert_int_eq(tsv_read(&reading.reader), TSV_END);
    reading_close(&reading);
}

TEST(escapes_stand_for_octets)
{
    static const char text[] = "a\\tb\\nc\\\\d\t\\x41\\x7f\\xFf\\x00z\n";
    struct reading reading = reading_of(text, sizeof(text) - 1, 64);

    ck_assert_int_eq(tsv_read(&reading.reader), TSV_ENTRY);
    expect_field(&reading.reader.key, "a\tb\nc\\d", 7);
    expect_field(&reading.reader.value, "A\x7f\xff\0z", 5);
    reading_close(&reading);
}

TEST(all_other_octets_stand_for_themselves)
{
    static const char text[] = "\0\r \t\x01\xc3\xa9\xff\n";
    struct reading reading = reading_of(text, sizeof(text) - 1, 64);

    ck_assert_int_eq(tsv_read(&reading.reader), TSV_ENTRY);
    expect_field(&reading.reader.key, "\0\r ", 3);
    expect_field(&reading.reader.value, "\x01\xc3\xa9\xff", 4);
    reading_close(&reading);
}

TEST(a_wrong_line_is_named_and_does_not_disturb_the_next)
{
    expect_wrong("", "the line has no TAB");
    expect_wrong("no tab", "the line has no TAB");
    expect_wrong("a\tb\tc", "the line has a second TAB");
    expect_wrong("a\t\\y", "the line has an unknown escape");
    expect_wrong("a\t\\", "the line has an unknown escape");
    expect_wrong("a\t\\x", "the line has an unknown escape");
    expect_wrong("a\t\\x4", "the line has an unknown escape");
    expect_wrong("a\t\\x4g more", "the line has an unknown escape");
    expect_wrong("\\q\tb", "the line has an unknown escape");
}

TEST(an_escape_cut_short_by_the_end_of_the_file_is_wrong)
{
    struct reading reading = reading_of("a\t\\x4", 5, 64);

    expect_problem(&reading, TSV_WRONG, "the line has an unknown escape");
    ck_assert_int_eq(tsv_read(&reading.reader), TSV_END);
    reading_close(&reading);
}

TEST(what_is_over_the_limits_is_refused_and_skipped)
{
    static const char text[] = "12345678\tabcdefgh\n"
                               "123456789\tv\n"
                               "k\tabcdefghi\n"
                               "k\tabcdefg\\x41\\x42\n"
                               "next\tgood\n";
    struct reading reading = reading_of(text, sizeof(text) - 1, SMALL);

    expect_entry(&reading, "12345678", "abcdefgh");
    expect_problem(&reading, TSV_TOO_LARGE, "the key is too large");
    expect_problem(&reading, TSV_TOO_LARGE, "the value is too large");
    expect_problem(&reading, TSV_TOO_LARGE, "the value is too large");
    expect_entry(&reading, "next", "good");
    reading_close(&reading);
}

TEST(a_directory_is_not_read_as_lines)
{
    struct tsv_reader reader;
    FILE *file = fopen("/", "rb");

    ck_assert_ptr_nonnull(file);
    tsv_reader_init(&reader, file, SMALL, SMALL);
    ck_assert_int_eq(tsv_read(&reader), TSV_FAILED);
    ck_assert_int_eq(errno, EISDIR);
    tsv_reader_release(&reader);
    fclose(file);
}

TEST(the_writer_escapes_control_characters_and_the_backslash)
{
    char *text = written(tsv_write_field, "a\tb\nc\\d\0\x1b\x7f\xc3\xa9 ", 13);

    ck_assert_str_eq(text, "a\\tb\\nc\\\\d\\x00\\x1b\\x7f\xc3\xa9 ");
    free(text);
}

TEST(every_octet_survives_writing_and_reading)
{
    struct tsv_reader reader;
    FILE *file = tmpfile();
    char all[256];

    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    tsv_write(file, all, sizeof(all), all + 7, sizeof(all) - 7);
    rewind(file);
    tsv_reader_init(&reader, file, sizeof(all), sizeof(all));
    ck_assert_int_eq(tsv_read(&reader), TSV_ENTRY);
    expect_field(&reader.key, all, sizeof(all));
    expect_field(&reader.value, all + 7, sizeof(all) - 7);
    ck_assert_int_eq(tsv_read(&reader), TSV_END);
    tsv_reader_release(&reader);
    fclose(file);
}

TEST(random_entries_survive_writing_and_reading)
{
    enum { ENTRIES = 500, SIZE = 40 };
    struct tsv_reader reader;
    uint32_t random = 12345;
    uint8_t octets[ENTRIES][2 * SIZE];
    size_t lengths[ENTRIES][2];
    FILE *file = tmpfile();

    for (unsigned i = 0; i < ENTRIES; i++) {
        for (unsigned j = 0; j < 2 * SIZE; j++) {
            random = random * 1664525 + 1013904223;
            octets[i][j] = (uint8_t) "\t\n\\x0a\0z"[random >> 29];
        }
        lengths[i][0] = random >> 8 & 31;
        lengths[i][1] = random >> 16 & 31;
        tsv_write(file, octets[i], lengths[i][0], octets[i] + SIZE,
                  lengths[i][1]);
    }
    rewind(file);
    tsv_reader_init(&reader, file, SIZE, SIZE);
    for (unsigned i = 0; i < ENTRIES; i++) {
        ck_assert_int_eq(tsv_read(&reader), TSV_ENTRY);
        expect_field(&reader.key, (char *)octets[i], lengths[i][0]);
        expect_field(&reader.value, (char *)octets[i] + SIZE, lengths[i][1]);
    }
    ck_assert_int_eq(tsv_read(&reader), TSV_END);
    tsv_reader_release(&reader);
    fclose(file);
}

TEST(json_escapes_all_but_printable_ascii)
{
    char *text = written(json_write_octets, "a\"\\\n\0\x7f\xe9~", 8);

    ck_assert_str_eq(text, "\"a\\\"\\\\\\u000a\\u0000\\u007f\\u00e9~\"");
    free(text);
}

/* ---- Paths --------------------------------------------------------------- */

TEST(plain_relative_paths_are_accepted)
{
    static const char *const good[] = {"a",    "a/b/c",    ".hidden", "...",
                                       "a..",  "..a/b",    "-x",      " ",
                                       "a\nb", "\xff\xfe", "a\\b",    "a:b"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_ptr_null(path_refuse(good[i], strlen(good[i])));
}

TEST(paths_that_could_lead_elsewhere_are_refused)
{
    static const char *const bad[] = {
        "",    "/",   "/a",    "..",   "../a", "a/..", "a/../b", ".",
        "./a", "a/.", "a/./b", "a//b", "a/",   "//",   "a/../.."};
    char long_name[NAME_MAX + 2];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(path_refuse(bad[i], strlen(bad[i])), "%s", bad[i]);
    ck_assert_ptr_nonnull(path_refuse("a\0b", 3));
    memset(long_name, 'x', sizeof(long_name));
    ck_assert_ptr_null(path_refuse(long_name, NAME_MAX));
    ck_assert_ptr_nonnull(path_refuse(long_name, NAME_MAX + 1));
}

/* A directory of a test's own. */
struct folder {
    char path[64];
    int fd;
};

static struct folder folder_new(void)
{
    struct folder folder;

    snprintf(folder.path, sizeof(folder.path), "/tmp/pbkv-tsv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder.path));
    folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(folder.fd, 0);
    return folder;
}

static void folder_remove(struct folder *folder)
{
    char command[96];

    close(folder->fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder->path);
    ck_assert_int_eq(system(command), 0);
}

static void folder_write(const struct folder *folder, const char *name,
                         const char *text)
{
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

TEST(missing_directories_are_made_on_the_way)
{
    struct folder folder = folder_new();
    const char *name;
    int parent = path_open_parent(folder.fd, "a/b/c", &name);

    ck_assert_int_ge(parent, 0);
    ck_assert_str_eq(name, "c");
    close(parent);
    ck_assert_int_eq(faccessat(folder.fd, "a/b", X_OK, 0), 0);
    ck_assert_int_ne(faccessat(folder.fd, "a/b/c", F_OK, 0), 0);
    folder_remove(&folder);
}

TEST(no_link_and_no_file_is_a_directory_on_the_way)
{
    struct folder folder = folder_new();
    const char *name;

    folder_write(&folder, "file", "");
    ck_assert_int_eq(mkdirat(folder.fd, "a", 0755), 0);
    ck_assert_int_eq(symlinkat("/tmp", folder.fd, "a/link"), 0);
    ck_assert_int_lt(path_open_parent(folder.fd, "a/link/x", &name), 0);
    ck_assert_int_lt(path_open_parent(folder.fd, "a/link/b/x", &name), 0);
    ck_assert_int_eq(path_open_parent(folder.fd, "file/x", &name), -ENOTDIR);
    folder_remove(&folder);
}

/* ---- Sources ------------------------------------------------------------- */

static struct source *source_in(const struct folder *folder, const char *name,
                                const char *excludes, bool last_only)
{
    struct source *source;
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    ck_assert_int_eq(source_open(path, excludes, last_only, &source), 0);
    return source;
}

static void expect_item(struct source *source, const char *key,
                        const char *value)
{
    struct item item;

    ck_assert_int_eq(source_next(source, &item), SOURCE_ITEM);
    ck_assert_uint_eq(item.key_length, strlen(key));
    ck_assert_mem_eq(item.key, key, item.key_length);
    ck_assert_uint_eq(item.value_length, strlen(value));
    ck_assert_mem_eq(item.value, value, item.value_length);
    item_release(&item);
}

static void expect_refused(struct source *source, const char *name,
                           const char *reason)
{
    struct item item;

    ck_assert_int_eq(source_next(source, &item), SOURCE_REFUSED);
    ck_assert_str_eq(source_name(source), name);
    ck_assert_str_eq(source_reason(source), reason);
}

static void expect_end(struct source *source)
{
    struct item item;

    ck_assert_int_eq(source_next(source, &item), SOURCE_END);
    source_close(source);
}

TEST(a_directory_gives_its_files_in_the_order_of_their_paths)
{
    struct folder folder = folder_new();
    struct source *source;

    ck_assert_int_eq(mkdirat(folder.fd, "b", 0755), 0);
    ck_assert_int_eq(mkdirat(folder.fd, "b/empty", 0755), 0);
    ck_assert_int_eq(mkdirat(folder.fd, "skip", 0755), 0);
    folder_write(&folder, "b/z", "1");
    folder_write(&folder, "b/A", "2");
    folder_write(&folder, "b.c", "");
    folder_write(&folder, "a", "3");
    folder_write(&folder, "skip/x", "4");
    folder_write(&folder, "b/skip", "5");
    ck_assert_int_eq(symlinkat("a", folder.fd, "link"), 0);
    ck_assert_int_eq(symlinkat("b", folder.fd, "folder-link"), 0);
    ck_assert_int_eq(mkfifoat(folder.fd, "pipe", 0644), 0);
    source = source_in(&folder, "", "no,skip", false);
    ck_assert_uint_eq(source_total(source), 4);
    ck_assert_str_eq(source_unit(source), "files");
    expect_item(source, "a", "3");
    expect_item(source, "b.c", "");
    expect_item(source, "b/A", "2");
    expect_item(source, "b/z", "1");
    expect_end(source);
    folder_remove(&folder);
}

TEST(a_file_that_is_too_large_is_refused_by_name)
{
    struct folder folder = folder_new();
    struct source *source;
    struct item item;

    folder_write(&folder, "exact", "");
    folder_write(&folder, "large", "");
    folder_write(&folder, "small", "s");
    ck_assert_int_eq(truncate(strcat(folder.path, "/exact"), PBKV_VALUE_MAX),
                     0);
    *strrchr(folder.path, '/') = '\0';
    ck_assert_int_eq(
        truncate(strcat(folder.path, "/large"), PBKV_VALUE_MAX + 1), 0);
    *strrchr(folder.path, '/') = '\0';
    source = source_in(&folder, "", NULL, false);
    ck_assert_int_eq(source_next(source, &item), SOURCE_ITEM);
    ck_assert_uint_eq(item.value_length, PBKV_VALUE_MAX);
    item_release(&item);
    expect_refused(source, "large", "the file is too large");
    expect_item(source, "small", "s");
    expect_end(source);
    folder_remove(&folder);
}

TEST(a_file_that_is_gone_is_refused_by_name)
{
    struct folder folder = folder_new();
    struct source *source;

    folder_write(&folder, "a", "1");
    folder_write(&folder, "b", "2");
    source = source_in(&folder, "", NULL, false);
    ck_assert_int_eq(unlinkat(folder.fd, "a", 0), 0);
    expect_refused(source, "a", "No such file or directory");
    expect_item(source, "b", "2");
    expect_end(source);
    folder_remove(&folder);
}

TEST(a_file_gives_its_lines_and_names_the_wrong_ones)
{
    struct folder folder = folder_new();
    struct source *source;

    folder_write(&folder, "f.tsv", "a\t1\nwrong\na\t2\n");
    source = source_in(&folder, "f.tsv", NULL, false);
    ck_assert_uint_eq(source_total(source), 3);
    ck_assert_str_eq(source_unit(source), "lines");
    expect_item(source, "a", "1");
    expect_refused(source, "line 2", "the line has no TAB");
    expect_item(source, "a", "2");
    expect_end(source);
    folder_remove(&folder);
}

TEST(of_lines_with_the_same_key_the_last_can_be_had_alone)
{
    struct folder folder = folder_new();
    struct source *source;

    folder_write(&folder, "f.tsv", "a\t1\nb\t2\n\t3\na\t4\n\t5\n");
    source = source_in(&folder, "f.tsv", NULL, true);
    expect_item(source, "b", "2");
    expect_item(source, "a", "4");
    expect_item(source, "", "5");
    expect_end(source);
    folder_remove(&folder);
}

TEST(what_is_not_there_cannot_be_opened)
{
    struct source *source;

    ck_assert_int_eq(source_open("/nonexistent/f", NULL, false, &source),
                     -ENOENT);
    ck_assert_ptr_null(source);
}

SUITE("tsv", CASE(a_line_is_a_key_a_tab_and_a_value),
      CASE(escapes_stand_for_octets),
      CASE(all_other_octets_stand_for_themselves),
      CASE(a_wrong_line_is_named_and_does_not_disturb_the_next),
      CASE(an_escape_cut_short_by_the_end_of_the_file_is_wrong),
      CASE(what_is_over_the_limits_is_refused_and_skipped),
      CASE(a_directory_is_not_read_as_lines),
      CASE(the_writer_escapes_control_characters_and_the_backslash),
      CASE(every_octet_survives_writing_and_reading),
      CASE(random_entries_survive_writing_and_reading),
      CASE(json_escapes_all_but_printable_ascii),
      CASE(plain_relative_paths_are_accepted),
      CASE(paths_that_could_lead_elsewhere_are_refused),
      CASE(missing_directories_are_made_on_the_way),
      CASE(no_link_and_no_file_is_a_directory_on_the_way),
      CASE(a_directory_gives_its_files_in_the_order_of_their_paths),
      CASE(a_file_that_is_too_large_is_refused_by_name),
      CASE(a_file_that_is_gone_is_refused_by_name),
      CASE(a_file_gives_its_lines_and_names_the_wrong_ones),
      CASE(of_lines_with_the_same_key_the_last_can_be_had_alone),
      CASE(what_is_not_there_cannot_be_opened))
