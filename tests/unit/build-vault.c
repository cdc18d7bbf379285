/* Secrets: what is read, what is hidden, what is found in a tree. And how much a tree may hold. */
#include "build/disk.h"
#include "build/vault.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/posmedia-vault.XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static void put(const char *path, const void *p, size_t n)
{
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, parent, 0755, &e), 0);
	assert_int_equal(fs_put_path(path, p, n, 0600, &e), 0);
}

/* A recipe whose one step wants the secrets a, b and c. */
static int load(struct vault *v, struct err *e, const char *word, const char *other)
{
	struct recipe_step st = {.name = (char *)(uintptr_t) "s", .pos = {"r.yaml", 3, 4}};
	const struct recipe r = {.steps = &st, .steps_n = 1, .file = (char *)(uintptr_t) "r.yaml"};
	struct strv given SCOPED(strv_release) = {0};
	int rc;

	strv_add(&st.secrets, "a");
	strv_add(&st.secrets, "b");
	strv_add(&st.secrets, "c");
	strv_add(&given, word);
	if (other != NULL)
		strv_add(&given, other);
	rc = vault_load(&given, &r, v, e);
	if (rc == 0)
		rc = vault_check(v, &st, e);
	strv_release(&st.secrets);
	return rc;
}

static void refused(const char *word, const char *other, const char *want)
{
	struct vault v SCOPED(vault_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(load(&v, &e, word, other), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_string_equal(e.msg, want);
}

static void only_what_is_wanted_and_readable(void **state)
{
	(void)state;
	put("key", "tulip-0123\n", 11);
	put("empty", "", 0);
	refused("a", NULL, "--secret: wants NAME=FILE");
	refused("a=", NULL, "--secret: wants NAME=FILE");
	refused("=key", NULL, "--secret: wants NAME=FILE");
	refused("d=key", NULL, "--secret d: no step of r.yaml wants it");
	refused("a=key", "a=key", "--secret a: given twice");
	refused("a=none", NULL, "--secret a: none: No such file or directory");
	refused("a=/", NULL, "--secret a: /: Is a directory");
	refused("a=empty", NULL, "--secret a: empty: is empty");
	refused("a=/dev/zero", NULL, "--secret a: /dev/zero: has more than 64 KiB");
	refused("a=key", "b=key", "r.yaml:3:4: step s wants the secret \"c\", which was not given");
}

#define LINE1 "MIIEvQIBADANBgkqhkiG9w0B"
#define LINE2 "AQEFAASCBKcwggSjAgEAAoIB"

static void load_three(struct vault *v)
{
	struct recipe_step st = {.name = NULL};
	const struct recipe r = {.steps = &st, .steps_n = 1};
	struct strv given SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	put("key", "tulip-0123\n", 11);
	put("pem", "-----BEGIN KEY-----\n" LINE1 "\n" LINE2 "\n-----END KEY-----\n", 20 + 50 + 18);
	put("pin", "1234\n", 5);
	strv_add(&st.secrets, "a");
	strv_add(&st.secrets, "b");
	strv_add(&st.secrets, "c");
	strv_add(&given, "a=key");
	strv_add(&given, "b=pem");
	strv_add(&given, "c=pin");
	assert_int_equal(vault_load(&given, &r, v, &e), 0);
	assert_int_equal(vault_check(v, &st, &e), 0);
	strv_release(&st.secrets);
}

static const struct {
	const char *text, *shown;
} rows[] = {
    {"", ""},
    {"nothing here", "nothing here"},
    {"tulip-0123", "***"},
    {"a tulip-0123 tulip-0123b", "a *** ***b"},
    {"tulip-012 tulip-tulip-0123", "tulip-012 tulip-***"},
    {"pin 1234", "pin 1234"},
    {"-----BEGIN KEY-----\n" LINE2, "-----BEGIN KEY-----\n***"},
    {"-----BEGIN KEY-----\n" LINE1 "\n" LINE2 "\n-----END KEY-----",
     "-----BEGIN KEY-----\n***\n***\n-----END KEY-----"}, /* each line as soon as it is whole */
    {"x tulip-01", "x tulip-01"},
    {LINE2 " tulip-0123", "*** ***"},
};

static void shows(const struct vault *v, const char *text, size_t piece, const char *want)
{
	struct buf held SCOPED(buf_release) = BUF_INIT(10000);
	struct buf out SCOPED(buf_release) = BUF_INIT(10000);
	size_t n = strlen(text), done;

	for (size_t at = 0; at < n; at += piece) {
		buf_add(&held, text + at, n - at < piece ? n - at : piece);
		done = vault_hide(v, held.data, held.len, false, &out);
		memmove(held.data, held.data + done, held.len - done);
		buf_cut(&held, held.len - done);
	}
	(void)vault_hide(v, held.data, held.len, true, &out);
	assert_string_equal(out.data, want);
}

static void hidden_in_any_pieces(void **state)
{
	struct vault v SCOPED(vault_release) = {0};

	(void)state;
	load_three(&v);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece < 12; piece++)
			shows(&v, rows[i].text, piece, rows[i].shown);
}

/* Of a secret of lines, at a terminal; a short one is no sign of it in a tree. */
static void short_lines_are_hidden_too(void **state)
{
	static const char text[] = "[default]\n" LINE1 "\nkey=tulip\nx=1\n";
	struct recipe_step st = {.name = NULL};
	const struct recipe r = {.steps = &st, .steps_n = 1};
	struct vault v SCOPED(vault_release) = {0};
	struct strv given SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	put("lines", text, sizeof(text) - 1);
	strv_add(&st.secrets, "a");
	strv_add(&given, "a=lines");
	assert_int_equal(vault_load(&given, &r, &v, &e), 0);
	strv_release(&st.secrets);
	for (size_t piece = 1; piece < 80; piece++)
		shows(&v, "[default]\r\n" LINE1 "\r\nkey=tulip\r\nx=1\r\n", piece,
		      "***\r\n***\r\n***\r\nx=1\r\n");
	put("short/conf", "[default]\nkey=tulip\n", 20);
	assert_int_equal(vault_scan(&v, "short", &e), 0);
	put("short/conf", text, sizeof(text) - 1);
	assert_int_equal(vault_scan(&v, "short", &e), -1);
}

/* A prompt must not be held back without need. */
static void nothing_is_held_back_that_is_no_beginning(void **state)
{
	struct vault v SCOPED(vault_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(100);

	(void)state;
	load_three(&v);
	assert_int_equal(vault_hide(&v, "Name: ", 6, false, &out), 6);
	assert_int_equal(vault_hide(&v, "a tul", 5, false, &out), 2);
}

static void found_in_contents_names_and_links(void **state)
{
	struct vault v SCOPED(vault_release) = {0};
	char *big SCOPED(mem_freep) = mem_zalloc(600000);
	struct err e = ERR_INIT;

	(void)state;
	load_three(&v);
	put("tree/a/pin", "1234", 4);
	put("tree/a/half", "tulip-012", 9);
	assert_int_equal(vault_scan(&v, "tree", &e), 0);
	/* across the border of what is read at once */
	for (size_t at = 262144 - 12; at < 262144 + 3; at += 2) {
		memset(big, 'x', 600000);
		memcpy(big + at, "tulip-0123", 10);
		put("tree/a/big", big, 600000);
		assert_int_equal(vault_scan(&v, "tree", &e), -1);
		assert_string_equal(e.msg, "the secret a is in /a/big");
		assert_int_equal(e.kind, ERR_VERIFY);
	}
	put("tree/a/big", LINE1, sizeof(LINE1) - 1);
	assert_int_equal(vault_scan(&v, "tree", &e), -1);
	assert_string_equal(e.msg, "the secret b is in /a/big");
	assert_int_equal(unlink("tree/a/big"), 0);
	assert_int_equal(symlink("/x/tulip-0123/y", "tree/link"), 0);
	assert_int_equal(vault_scan(&v, "tree", &e), -1);
	assert_string_equal(e.msg, "the secret a is in /link");
	assert_int_equal(unlink("tree/link"), 0);
	assert_int_equal(mkdir("tree/x-tulip-0123", 0755), 0);
	assert_int_equal(vault_scan(&v, "tree", &e), -1);
	assert_string_equal(e.msg, "the secret a is in the name of /***");
	assert_int_equal(rmdir("tree/x-tulip-0123"), 0);
	assert_int_equal(mkfifo("tree/pipe", 0644), 0); /* is not waited for */
	assert_int_equal(vault_scan(&v, "tree", &e), 0);
}

static void found_in_urls_and_files(void **state)
{
	static const char *const with[] = {"http://h/tulip-0123", "http://h/?k=tulip%2D0123&x",
					   "http://h/%74%75%6c%69%70-012%33",
					   "http://h/%00%74ulip-0123%"};
	static const char *const without[] = {"", "http://h/tulip-012", "http://h/tulip-012%3",
					      "http://h/tulip-0%%3123", "%"};
	struct vault v SCOPED(vault_release) = {0}, none = {0};
	const struct needle *nd = NULL;
	struct err e = ERR_INIT;

	(void)state;
	load_three(&v);
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
		nd = vault_spot_url(&v, with[i]);
		assert_non_null(nd);
		assert_string_equal(nd->name, "a");
	}
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		assert_null(vault_spot_url(&v, without[i]));
	put("body", "it was tulip-0123.", 18);
	for (int given = 1; given >= 0; given--) {
		int fd SCOPED(fd_closep) = open("body", O_RDONLY | O_CLOEXEC);

		assert_int_equal(vault_spot_file(given ? &v : &none, fd, "body", &nd, &e), 0);
		assert_int_equal(nd != NULL, given);
	}
}

static void a_tree_has_a_limit(void **state)
{
	char *bytes SCOPED(mem_freep) = mem_zalloc(1 << 20);
	struct err e = ERR_INIT;
	struct disk d;

	(void)state;
	memset(bytes, 'x', 1 << 20);
	put("upper/sub/one", bytes, 1 << 20);
	disk_init(&d, "upper", 2 << 20);
	assert_int_equal(disk_look(&d, &e), 0);
	assert_true(d.used >= 1 << 20 && d.used < 2 << 20);
	put("upper/sub/two", bytes, 1 << 20);
	assert_int_equal(disk_count(&d, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_string_equal(e.msg, "wrote more than 2.1 MB");
	assert_int_equal(truncate("upper/sub/two", 0), 0);
	assert_int_equal(truncate("upper/sub/one", 0), 0);
	for (int i = 0; i < 600; i++) {
		char *name SCOPED(mem_freep) = mem_format("upper/%d", i);

		int fd = open(name, O_WRONLY | O_CREAT, 0644); /* an entry costs something too */

		assert_true(fd >= 0);
		(void)close(fd);
	}
	assert_int_equal(disk_count(&d, &e), -1);
}

static void what_is_left_counts_all_directories(void **state)
{
	char *bytes SCOPED(mem_freep) = mem_zalloc(1 << 20);
	struct err e = ERR_INIT;
	uint64_t left, entries;
	struct disk d;

	(void)state;
	memset(bytes, 'x', 1 << 20);
	put("three/upper/one", bytes, 1 << 20);
	put("three/ask/two", bytes, 1 << 20);
	put("three/own/0/three", bytes, 1 << 20);
	disk_init(&d, "three/upper", 4 << 20);
	d.also[0] = "three/ask";
	d.also[1] = "three/own";
	assert_int_equal(disk_left(&d, &left, &entries, &e), 0);
	assert_true(left > 900 << 10 && left < 1 << 20);
	assert_int_equal(entries, left / 4096 + 1);
	d.max = d.used; /* none is what 0 says elsewhere */
	assert_int_equal(disk_left(&d, &left, &entries, &e), 0);
	assert_int_equal(left, 1);
	assert_int_equal(entries, 1);
	d.max--;
	assert_int_equal(disk_left(&d, &left, &entries, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_is_wanted_and_readable),
	    cmocka_unit_test(hidden_in_any_pieces),
	    cmocka_unit_test(short_lines_are_hidden_too),
	    cmocka_unit_test(nothing_is_held_back_that_is_no_beginning),
	    cmocka_unit_test(found_in_contents_names_and_links),
	    cmocka_unit_test(found_in_urls_and_files),
	    cmocka_unit_test(a_tree_has_a_limit),
	    cmocka_unit_test(what_is_left_counts_all_directories),
	};

	return cmocka_run_group_tests_name("build-vault", tests, setup, teardown);
}
