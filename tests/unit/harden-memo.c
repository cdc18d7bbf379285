/* Files that need not be looked into again: only what is the same in every respect. */
#include "harden-lib.h"
#include "harden/memo.h"
#include "harden/secrets.h"
#include <unistd.h>

static struct stat stat_of(const struct rootfs *t, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(t->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void only_the_same_file_is_known(void **state)
{
	struct rootfs t = rootfs_make();
	struct memo *m = memo_new();
	struct stat st, other;

	(void)state;
	put(&t, "etc/a", "a", 0600);
	st = stat_of(&t, "etc/a");
	assert_false(memo_has(m, "etc/a", &st));
	memo_add(m, "etc/a", &st);
	assert_true(memo_has(m, "etc/a", &st));
	assert_false(memo_has(m, "etc/b", &st));
	for (int i = 0; i < 5; i++) {
		other = st;
		other.st_ino += i == 0;
		other.st_size += i == 1;
		other.st_mtim.tv_nsec ^= i == 2;
		other.st_ctim.tv_nsec ^= i == 3;
		other.st_mode ^= i == 4 ? 0100 : 0;
		assert_false(memo_has(m, "etc/a", &other));
	}
	memo_free(m);
	memo_free(NULL);
	rootfs_drop(&t);
}

static void a_saved_one_is_read_only_whole(void **state)
{
	struct rootfs t = rootfs_make();
	char *path SCOPED(mem_freep) = fs_join(t.path, "memo");
	struct memo *m = memo_new();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	put(&t, "etc/a", "a", 0600);
	st = stat_of(&t, "etc/a");
	memo_load(m, path); /* there is none */
	memo_add(m, "etc/a", &st);
	assert_int_equal(memo_save(m, path, &e), 0);
	memo_free(m);
	m = memo_new();
	memo_load(m, path);
	assert_true(memo_has(m, "etc/a", &st));
	memo_free(m);
	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	/* another program, another sum, another file */
	for (size_t i = 0; i < b.len; i += 9) {
		b.data[i] ^= 1;
		assert_int_equal(fs_put_path(path, b.data, b.len, 0600, &e), 0);
		m = memo_new();
		memo_load(m, path);
		assert_false(memo_has(m, "etc/a", &st));
		memo_free(m);
		b.data[i] ^= 1;
	}
	rootfs_drop(&t);
}

static size_t found(const struct rootfs *t, struct memo *m)
{
	struct facts *f SCOPED(facts_freep) = facts_new(t->fd);
	struct secrets s SCOPED(secrets_release) = {0};
	struct err e = ERR_INIT;

	facts_use_memo(f, m);
	assert_int_equal(secrets_find(t->fd, f, SECRET_ALL, &s, &e), 0);
	return s.n;
}

/* What had no secret and was written again is looked into; what has one is never remembered. */
static void a_secret_that_comes_later_is_found(void **state)
{
	static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
				  "-----END PRIVATE KEY-----\n";
	struct rootfs t = rootfs_make();
	struct memo *m = memo_new();

	(void)state;
	put(&t, "srv/file", "nothing that anybody would want to keep to himself, really\n", 0644);
	assert_int_equal(found(&t, m), 0);
	put(&t, "srv/file", key, 0644);
	assert_int_equal(found(&t, m), 1);
	assert_int_equal(found(&t, m), 1);
	memo_free(m);
	rootfs_drop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_the_same_file_is_known),
	    cmocka_unit_test(a_saved_one_is_read_only_whole),
	    cmocka_unit_test(a_secret_that_comes_later_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
