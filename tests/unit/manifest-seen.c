/* Digests that were computed before. */
#include "manifest-lib.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

static const char name[] = "seen";

struct fixture {
	struct scratch tree, at;
	struct manifest_names *names;
};

enum { TESTS = 5 };
static struct fixture fixtures[TESTS];
static char *mapped; /* file b of the last one */

static char *map(const struct fixture *f, const char *path)
{
	int fd = openat(f->tree.fd, path, O_RDWR | O_CLOEXEC);
	char *p = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	(void)close(fd);
	return p;
}

/* All at once: what was written within the last two seconds is not believed next time. */
static int begin(void **state)
{
	(void)state;
	for (size_t i = 0; i < TESTS; i++) {
		fixtures[i] = (struct fixture){
		    .tree = scratch_make(), .at = scratch_make(), .names = names()};
		put(&fixtures[i].tree, "a", "aaa", 0644);
		put(&fixtures[i].tree, "b", "bbb", 0644);
	}
	mapped = map(&fixtures[TESTS - 1], "b");
	mapped[0] = 'm';
	(void)sleep(3);
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)munmap(mapped, 3);
	for (size_t i = 0; i < TESTS; i++) {
		manifest_names_free(fixtures[i].names);
		scratch_drop(&fixtures[i].tree);
		scratch_drop(&fixtures[i].at);
	}
	return 0;
}

/* Makes the manifest by what is remembered in the file; returns for how many that was. */
static uint64_t again(const struct fixture *f, struct digest *ret_root)
{
	struct manifest_opts o = {.names = f->names};
	struct err e = ERR_INIT;
	struct manifest m;
	uint64_t n;

	assert_int_equal(manifest_seen_load(f->at.fd, name, &o.seen, &e), 0);
	m = make_with(f->tree.fd, &o);
	assert_int_equal(manifest_seen_save(o.seen, f->at.fd, name, &e), 0);
	*ret_root = manifest_root(&m);
	n = m.remembered;
	manifest_seen_free(o.seen);
	manifest_release(&m);
	return n;
}

static void change(const struct fixture *f, const char *path)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	int fd = openat(f->tree.fd, path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "X", 1, 1), 1);
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
}

static void only_what_did_not_change_is_believed(void **state)
{
	const struct fixture *f = &fixtures[0];
	struct digest first, second, plain;
	struct manifest m;

	(void)state;
	assert_int_equal(again(f, &first), 0);
	assert_int_equal(again(f, &second), 2);
	assert_true(digest_equal(&first, &second));
	/* the same size and mtime: ctime gives it away */
	change(f, "b");
	assert_int_equal(again(f, &second), 1);
	assert_false(digest_equal(&first, &second));
	m = make_of(f->tree.fd);
	plain = manifest_root(&m);
	assert_true(digest_equal(&plain, &second));
	manifest_release(&m);
	/* b is new, and may change within its tick of the clock: it was not kept */
	assert_int_equal(again(f, &second), 1);
	assert_true(digest_equal(&plain, &second));
}

static void a_damaged_file_is_an_empty_one(void **state)
{
	const struct fixture *f = &fixtures[1];
	struct digest root, want;
	int fd;

	(void)state;
	assert_int_equal(again(f, &want), 0);
	assert_int_equal(again(f, &root), 2);
	fd = openat(f->at.fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\x5a", 1, 8 + 60), 1);
	assert_int_equal(again(f, &root), 0);
	assert_true(digest_equal(&root, &want));
	(void)close(fd);
	fd = openat(f->at.fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(again(f, &root), 0);
	assert_int_equal(again(f, &root), 2);
	(void)close(fd);
	/* one that others may write says nothing */
	assert_int_equal(fchmodat(f->at.fd, name, 0622, 0), 0);
	assert_int_equal(again(f, &root), 0);
	assert_int_equal(again(f, &root), 2);
	assert_int_equal(fchownat(f->at.fd, name, 1001, 0, 0), 0);
	assert_int_equal(again(f, &root), 0);
}

static void what_is_gone_is_forgotten(void **state)
{
	const struct fixture *f = &fixtures[2];
	struct digest root;
	struct stat two, one;

	(void)state;
	assert_int_equal(again(f, &root), 0);
	assert_int_equal(fstatat(f->at.fd, name, &two, 0), 0);
	assert_int_equal(unlinkat(f->tree.fd, "a", 0), 0);
	assert_int_equal(again(f, &root), 1);
	assert_int_equal(fstatat(f->at.fd, name, &one, 0), 0);
	assert_int_equal(two.st_size - one.st_size, one.st_size - 8 - 32);
}

/* A page that is dirty can be stored to without a trace: it must not be when it is read. */
static void a_store_to_a_mapped_file_is_seen(void **state)
{
	const struct fixture *f = &fixtures[TESTS - 1];
	struct digest before, after;
	struct statfs fs;

	(void)state;
	assert_int_equal(fstatfs(f->tree.fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC)
		skip();
	assert_int_equal(again(f, &before), 0);
	assert_int_equal(again(f, &before), 2);
	mapped[1] = 'M';
	assert_int_equal(again(f, &after), 1);
	assert_false(digest_equal(&before, &after));
}

/* Adds what the making left unread. */
static void note_all(const struct fixture *f, const struct manifest *m, struct manifest_seen *s)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct digest d = digest_of("aaa", 3);
		struct stat st;

		if (m->v[i].type != MANIFEST_FILE)
			continue;
		assert_true(m->v[i].unread);
		assert_int_equal(fstatat(f->tree.fd, m->v[i].path, &st, 0), 0);
		manifest_seen_note(s, &st, &d);
	}
}

static void what_is_read_later_is_believed_as_well(void **state)
{
	const struct fixture *f = &fixtures[3];
	struct manifest_opts o = {.names = f->names, .later = true};
	struct digest root;
	struct err e = ERR_INIT;
	struct manifest m;

	(void)state;
	assert_int_equal(manifest_seen_load(f->at.fd, name, &o.seen, &e), 0);
	change(f, "b");
	m = make_with(f->tree.fd, &o);
	assert_int_equal(m.remembered, 0);
	note_all(f, &m, o.seen);
	manifest_release(&m);
	assert_int_equal(manifest_seen_save(o.seen, f->at.fd, name, &e), 0);
	manifest_seen_free(o.seen);
	/* b was written just then */
	assert_int_equal(again(f, &root), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_did_not_change_is_believed),
	    cmocka_unit_test(a_damaged_file_is_an_empty_one),
	    cmocka_unit_test(what_is_gone_is_forgotten),
	    cmocka_unit_test(what_is_read_later_is_believed_as_well),
	    cmocka_unit_test(a_store_to_a_mapped_file_is_seen),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
