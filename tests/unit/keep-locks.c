/* Locks that a store remembers: the last of each recipe keep their packages. */
#include "keep/keep.h"
#include "package/archive.h"
#include "recipe/lock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HEX1 "1111111111111111111111111111111111111111111111111111111111111111"

struct fixture {
	char dir[64];
	struct store *s;
	struct strv none;
	struct keep_opts o;
};

static struct digest of(const char *text)
{
	return digest_of(text, strlen(text));
}

static bool has(const struct fixture *f, const char *text)
{
	struct digest d = of(text);

	return store_has(f->s, &d, NULL);
}

static bool there(const struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(store_fd(f->s), path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void write_file(const struct fixture *f, const char *text, const char *path)
{
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(full, text, strlen(text), 0644, &e), 0);
}

/* The lock of tests/fixtures, naming the package of that content. */
static void write_lock(const char *path, const char *name)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct digest package = of(name);
	struct err e = ERR_INIT;
	char *at;

	assert_int_equal(fs_get(AT_FDCWD, "tests/fixtures/locks/small.lock", &b, &e), 0);
	while ((at = strstr(b.data, HEX1)) != NULL)
		memcpy(at, digest_hex(&package).s, DIGEST_HEX);
	assert_int_equal(fs_put_path(path, b.data, b.len, 0644, &e), 0);
}

/* Where the store remembers a lock; under: the keys of its repositories. */
static char *remembered_path(const char *name, const char *under)
{
	struct digest d = of(name), k = of(under);

	return mem_format(ARCHIVE_LOCKS "/%s-%s.lock", digest_hex(&d).s, digest_hex(&k).s);
}

static void add_remembered(struct fixture *f, const char *name, const char *under, long s)
{
	char *path SCOPED(mem_freep) = remembered_path(name, under);
	char *full SCOPED(mem_freep) = fs_join(f->dir, path);
	struct timespec t[2] = {{.tv_sec = 1000000 + s}, {.tv_sec = 1000000 + s}};
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(fs_mkdirs(store_fd(f->s), ARCHIVE_LOCKS, 0755, &e), 0);
	assert_int_equal(store_put_bytes(f->s, name, strlen(name), &d, &e), 0);
	write_lock(full, name);
	assert_int_equal(utimensat(store_fd(f->s), path, t, 0), 0);
}

static bool is_remembered(const struct fixture *f, const char *name, const char *under)
{
	char *path SCOPED(mem_freep) = remembered_path(name, under);

	return there(f, path);
}

static size_t names_in(const struct fixture *f, const char *dir)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(store_fd(f->s), dir, &names, &e), 0);
	return names.n;
}

static int gc(struct fixture *f, struct err *e)
{
	struct keep_list l SCOPED(keep_release) = {0};

	return keep_scan(f->s, &f->o, &l, e) == 0 ? keep_remove(f->s, &l, e) : -1;
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-locks.XXXXXX", 27);
	if (mkdtemp(f->dir) == NULL || store_open(f->dir, &f->s, &e) != 0)
		return -1;
	f->o = (struct keep_opts){&f->none, &f->none, 1, 2};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	store_free(f->s);
	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

static void the_last_locks_of_a_recipe_keep_their_packages(void **state)
{
	struct fixture *f = *state;
	char *broken SCOPED(mem_freep) = remembered_path("broken", "keys");
	char *layout SCOPED(mem_freep) = mem_format(ARCHIVE_LOCKS "/%s", HEX1);
	struct err e = ERR_INIT;

	add_remembered(f, "first", "keys", 1);
	add_remembered(f, "second", "keys", 3);
	add_remembered(f, "third", "keys", 2);
	add_remembered(f, "others", "other keys", 1);
	write_file(f, "no lock", broken);
	write_file(f, "", layout);
	assert_int_equal(gc(f, &e), 0);
	assert_false(has(f, "first") || is_remembered(f, "first", "keys"));
	assert_true(has(f, "second") && is_remembered(f, "second", "keys"));
	assert_true(has(f, "third") && is_remembered(f, "third", "keys"));
	assert_true(has(f, "others") && is_remembered(f, "others", "other keys"));
	assert_false(there(f, broken));
	f->o.remembered = 0;
	assert_int_equal(gc(f, &e), 0);
	assert_false(has(f, "second") || has(f, "third") || has(f, "others"));
	assert_int_equal(names_in(f, ARCHIVE_LOCKS), 1);
	assert_true(there(f, layout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
	    the_last_locks_of_a_recipe_keep_their_packages, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
