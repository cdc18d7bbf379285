/* rebuild/cause: what two contents tell about why they are not the same. */
#include "rebuild/again.h"

#include "sys/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define TIME   "the time of the build"
#define RANDOM "random: a key, a seed or an id"
#define ORDER  "the same lines in another order: not sorted"

static const struct row {
	const char *path, *was, *is, *cause;
} texts[] = {
    {"etc/ssh/ssh_host_rsa_key", "a", "b", "a host key made during the build"},
    {"etc/ssl/private/ssl-cert-snakeoil.key", "a", "b", "a certificate made during the build"},
    {"etc/machine-id", "a", "b", "a machine id made during the build"},
    {"var/lib/systemd/random-seed", "a", "b", "a random seed"},
    {"var/lib/systemd/credential.secret", "a", "b", "a secret made during the build"},
    {"var/cache/ldconfig/aux-cache", "a", "b", "inodes and times of the libraries"},
    {"usr/lib/x.pyc", "a", "b",
     "Python bytecode with the time of its source: SOURCE_DATE_EPOCH was unset"},
    {"var/log/apt/history", "a", "b", "a log"},
    {"opt/app/install.log", "a", "b", "a log"},
    {"run/app.pid", "1", "2", "a process id"},
    {"x", "b\na\nc\n", "c\nb\na\n", ORDER},
    {"x", "a\nb", "b\na", ORDER},
    {"x", "a\na\nb\n", "a\nb\nb\n", "unknown"},
    {"x", "built on 2026-11-24\n", "built on 2026-11-25\n", TIME},
    {"x", "at 18:01:59.", "at 18:02:00.", TIME},
    {"x", "t=2026-11-24T18:01:59Z", "t=2026-11-24T18:02:00Z", TIME},
    {"x", "version 1.2", "version 1.3", "unknown"},
    {"x", "n=1000000001", "n=1000000002", "unknown"},
    {"x", "id d0f7a1b2c3d4e5f60718", "id 10f7a1b2c3d4e5f60718", RANDOM},
    {"x", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "1ba7b810-9dad-11d1-80b4-00c04fd430c8", RANDOM},
    {"x", "a short word", "a other word", "unknown"},
    {"x", "by ada\n", "by bob\n", "the name of who ran the build"},
    {"etc/shadow", "root:*:20000:", "root:*:20001:", "the day of a password's change, or a salt"},
};

static char *cause(const char *path, unsigned kinds, const struct buf *x, const struct buf *y)
{
	struct rebuild_opts o = {0};
	struct again a = {.o = &o};
	struct tree_entry was = {.mode = S_IFREG | 0644}, is = {.mode = S_IFREG | 0644};
	struct pair p = {
	    .a = &a, .path = path, .kinds = kinds, .was = &was, .is = &is, .x = *x, .y = *y};
	char *got;

	strv_add(&a.words, "bob");
	strv_add(&a.meanings, "the name of who ran the build");
	got = cause_of(&p);
	strv_release(&a.words);
	strv_release(&a.meanings);
	return got;
}

static void says(const char *path, const struct buf *x, const struct buf *y, const char *want)
{
	char *got SCOPED(mem_freep) = cause(path, REBUILD_CONTENT, x, y);

	if (strcmp(got, want) != 0)
		fail_msg("%s, \"%s\" and \"%s\": %s, not %s", path, x->data, y->data, got, want);
}

static void contents_by_name_and_look(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf x SCOPED(buf_release) = BUF_INIT(4096);
		struct buf y SCOPED(buf_release) = BUF_INIT(4096);

		buf_addf(&x, "%s", texts[i].was);
		buf_addf(&y, "%s", texts[i].is);
		says(texts[i].path, &x, &y, texts[i].cause);
	}
}

static void seconds_of_these_days(void **state)
{
	struct buf x SCOPED(buf_release) = BUF_INIT(4096), y SCOPED(buf_release) = BUF_INIT(4096);
	long long now = clock_epoch_s();

	(void)state;
	buf_addf(&x, "t=%lld\n", now - 60);
	buf_addf(&y, "t=%lld\n", now);
	says("x", &x, &y, TIME);
	x.len = y.len = 0;
	buf_addf(&x, "{\"ms\":%lld123}", now - 60);
	buf_addf(&y, "{\"ms\":%lld456}", now);
	says("x", &x, &y, TIME);
}

static void bytes(struct buf *b, const char *before, uint32_t little, const char *after)
{
	uint8_t v[4] = {(uint8_t)little, (uint8_t)(little >> 8), (uint8_t)(little >> 16),
			(uint8_t)(little >> 24)};

	buf_add(b, before, strlen(before) + 1);
	buf_add(b, v, sizeof(v));
	buf_add(b, after, strlen(after));
}

static void a_time_in_binary(void **state)
{
	struct buf x SCOPED(buf_release) = BUF_INIT(4096), y SCOPED(buf_release) = BUF_INIT(4096);
	uint32_t now = (uint32_t)clock_epoch_s();

	(void)state;
	bytes(&x, "db", now - 1000, "rest");
	bytes(&y, "db", now, "rest");
	says("x", &x, &y, TIME);
}

static void random_bytes(void **state)
{
	struct buf x SCOPED(buf_release) = BUF_INIT(4096), y SCOPED(buf_release) = BUF_INIT(4096);
	uint32_t v = 12345;

	(void)state;
	buf_add(&x, "\0\0", 2);
	buf_add(&y, "\0\0", 2);
	for (int i = 0; i < 64; i++) {
		char a, b;

		v = v * 1664525 + 1013904223;
		a = (char)(v >> 24);
		b = (char)(a ^ (char)(1 + (v >> 16 & 126)));
		buf_add(&x, &a, 1);
		buf_add(&y, &b, 1);
	}
	says("x", &x, &y, RANDOM);
}

static void a_gzip_header(void **state)
{
	struct buf x SCOPED(buf_release) = BUF_INIT(4096), y SCOPED(buf_release) = BUF_INIT(4096);

	(void)state;
	buf_add(&x, "\x1f\x8b\x08\0\1\0\0\0\0\3....", 14);
	buf_add(&y, "\x1f\x8b\x08\0\2\0\0\0\0\3....", 14);
	says("usr/share/x.gz", &x, &y, "name or time in a gzip header (gzip -n leaves it out)");
}

static void metadata(void **state)
{
	static const struct {
		unsigned kinds;
		mode_t was, is;
		const char *cause;
	} rows[] = {
	    {REBUILD_MODE, 0644, 0600, "the umask of the build"},
	    {REBUILD_MODE, 0755, 0700, "the umask of the build"},
	    {REBUILD_MODE, 04755, 0755, "what was there when it was made"},
	    {REBUILD_OWNER, 0644, 0644, "who ran the build"},
	    {REBUILD_MTIME, 0644, 0644, "the time it was written"},
	    {REBUILD_XATTRS, 0644, 0644, "what the file system keeps of attributes"},
	    {REBUILD_ONLY_IS, 0, 0644,
	     "made in one of the builds only: by time, chance or machine"},
	};
	struct buf none SCOPED(buf_release) = BUF_INIT(16);
	struct rebuild_opts o = {0};
	struct again a = {.o = &o};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tree_entry was = {.mode = S_IFREG | rows[i].was};
		struct tree_entry is = {.mode = S_IFREG | rows[i].is};
		struct pair p = {.a = &a,
				 .path = "x",
				 .kinds = rows[i].kinds,
				 .was = &was,
				 .is = &is,
				 .x = none,
				 .y = none};
		char *got SCOPED(mem_freep) = cause_of(&p);

		assert_string_equal(got, rows[i].cause);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contents_by_name_and_look),
	    cmocka_unit_test(seconds_of_these_days),
	    cmocka_unit_test(a_time_in_binary),
	    cmocka_unit_test(random_bytes),
	    cmocka_unit_test(a_gzip_header),
	    cmocka_unit_test(metadata),
	};

	return cmocka_run_group_tests_name("rebuild-cause", tests, NULL, NULL);
}
