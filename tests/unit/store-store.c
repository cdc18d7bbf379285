#include "store/store.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	struct store *s;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err e = ERR_INIT;

	memcpy(f->dir, "/tmp/posmedia-store.XXXXXX", 27);
	if (mkdtemp(f->dir) == NULL || store_open(f->dir, &f->s, &e) != 0)
		return -1;
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

static size_t names_in(const struct fixture *f, const char *dir)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(store_fd(f->s), dir, &names, &e), 0);
	return names.n;
}

static void bytes_come_back(void **state)
{
	struct fixture *f = *state;
	struct buf b SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;
	struct digest d, want = digest_of("hello", 5);
	uint64_t size = 0;

	assert_int_equal(store_put_bytes(f->s, "hello", 5, &d, &e), 0);
	assert_true(digest_equal(&d, &want));
	assert_true(store_has(f->s, &d, &size));
	assert_int_equal(size, 5);
	assert_int_equal(store_read(f->s, &d, &b, &e), 0);
	assert_string_equal(b.data, "hello");
	assert_int_equal(names_in(f, "tmp"), 0);
}

static void twice_is_once(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(store_put_bytes(f->s, "x", 1, &d, &e), 0);
	assert_int_equal(store_put_bytes(f->s, "x", 1, &d, &e), 0);
	assert_int_equal(names_in(f, "blobs/sha256"), 1);
	assert_int_equal(names_in(f, "tmp"), 0);
}

static void wrong_digest_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct store_put *p = NULL;
	struct err e = ERR_INIT;
	struct digest want = digest_of("other", 5);
	struct sink to;

	assert_int_equal(store_put_begin(f->s, &p, &e), 0);
	to = store_put_sink(p);
	assert_int_equal(sink_write(&to, "bytes", 5, &e), 0);
	assert_int_equal(store_put_commit(p, &want, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	store_put_free(p);
	assert_int_equal(names_in(f, "blobs/sha256"), 0);
	assert_int_equal(names_in(f, "tmp"), 0);
}

static void an_aborted_put_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_put *p = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(store_put_begin(f->s, &p, &e), 0);
	store_put_free(p);
	assert_int_equal(names_in(f, "tmp"), 0);
	store_put_free(NULL);
}

static void damage_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct buf b SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;
	struct digest d;
	char *path SCOPED(mem_freep) = NULL;

	assert_int_equal(store_put_bytes(f->s, "hello", 5, &d, &e), 0);
	path = store_blob_path(f->s, &d);
	assert_int_equal(fs_put_path(path, "hellO", 5, 0644, &e), 0);
	assert_int_equal(store_read(f->s, &d, &b, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
}

static void absent_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of("nobody", 6);
	struct err e = ERR_INIT;
	int fd = -1;

	assert_false(store_has(f->s, &d, NULL));
	assert_int_equal(store_get(f->s, &d, &fd, &e), -1);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(e.msg, digest_hex(&d).s));
}

static void adopts_only_what_is_right(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of("abc", 3), other = digest_of("abd", 3);
	char *path SCOPED(mem_freep) = store_partial_path(f->s, &d);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, "abc", 3, 0600, &e), 0);
	assert_int_equal(store_adopt(f->s, path, &other, 3, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(access(path, F_OK), -1);

	assert_int_equal(fs_put_path(path, "abc", 3, 0600, &e), 0);
	assert_int_equal(store_adopt(f->s, path, &d, 4, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);

	assert_int_equal(fs_put_path(path, "abc", 3, 0600, &e), 0);
	assert_int_equal(store_adopt(f->s, path, &d, 0, &e), 0);
	assert_true(store_has(f->s, &d, NULL));
	assert_int_equal(access(path, F_OK), -1);
}

static void adopts_the_right_ones_of_many(void **state)
{
	enum { N = 5, BAD = 2, GONE = 3 };
	struct fixture *f = *state;
	struct store_file v[N];
	char *paths[N];
	struct err e = ERR_INIT;

	for (int i = 0; i < N; i++) {
		char text[] = {'a', (char)('0' + i)};
		const char *bytes = i == BAD ? "xx" : text;

		v[i] = (struct store_file){.want = digest_of(text, 2), .size = 2};
		paths[i] = store_partial_path(f->s, &v[i].want);
		v[i].path = paths[i];
		if (i != GONE)
			assert_int_equal(fs_put_path(paths[i], bytes, 2, 0600, &e), 0);
	}
	assert_int_equal(store_adopt_all(f->s, v, N, &e), 0);
	for (int i = 0; i < N; i++) {
		bool good = i != BAD && i != GONE;

		assert_int_equal(v[i].rc, good ? 0 : -1);
		assert_int_equal(store_has(f->s, &v[i].want, NULL), good);
		assert_int_equal(access(paths[i], F_OK), -1);
		free(paths[i]);
	}
	assert_int_equal(v[BAD].err.kind, ERR_VERIFY);
	assert_int_equal(v[GONE].err.kind, ERR_FAIL);
}

static void a_symlink_is_no_blob(void **state)
{
	struct fixture *f = *state;
	struct digest d = digest_of("secret", 6);
	char *path SCOPED(mem_freep) = store_blob_path(f->s, &d);
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_false(store_has(f->s, &d, NULL));
	assert_int_equal(store_get(f->s, &d, &fd, &e), -1);
}

static void scratch_of_the_dead_is_swept(void **state)
{
	struct fixture *f = *state;
	char *mine SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;
	pid_t pid;

	assert_int_equal(store_scratch(f->s, "build", &mine, &e), 0);
	pid = fork();
	if (pid == 0) {
		char *path = NULL;

		_exit(store_scratch(f->s, "build", &path, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(names_in(f, "tmp"), 2);
	assert_int_equal(store_sweep(f->s, &e), 0);
	assert_int_equal(names_in(f, "tmp"), 1);
	assert_int_equal(access(mine, F_OK), 0);
	assert_int_equal(store_scratch_drop(f->s, mine, &e), 0);
	assert_int_equal(names_in(f, "tmp"), 0);
}

/* As long as the directory is there, and not for ever; says so when there are some. */
static void make_files(int dir, int said)
{
	enum { FILES = 5000, SOME = 1000 };

	for (int i = 0, fd = 0; i < FILES && fd >= 0; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
		(void)close(fd);
		(void)usleep(100);
		if (i == SOME)
			(void)!write(said, "", 1);
	}
}

/* What a killed process had started dies with it, but not at once. */
static void scratch_of_the_dying_is_swept(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int said[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	if (pid == 0) {
		char *path = NULL;

		if (store_scratch(f->s, "build", &path, &e) != 0 || fork() != 0)
			_exit(0);
		make_files(open(path, O_RDONLY | O_DIRECTORY), said[1]);
		_exit(0);
	}
	(void)close(said[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(said[0], &byte, 1), 1);
	assert_int_equal(store_sweep(f->s, &e), 0);
	assert_int_equal(names_in(f, "tmp"), 0);
	(void)close(said[0]);
}

static void a_file_is_no_store(void **state)
{
	struct fixture *f = *state;
	char *path SCOPED(mem_freep) = fs_join(f->dir, "file");
	struct store *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, "", 0, 0644, &e), 0);
	assert_int_equal(store_open(path, &s, &e), -1);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bytes_come_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(twice_is_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_digest_is_not_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_aborted_put_leaves_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
	    cmocka_unit_test_setup_teardown(absent_is_an_error, setup, teardown),
	    cmocka_unit_test_setup_teardown(adopts_only_what_is_right, setup, teardown),
	    cmocka_unit_test_setup_teardown(adopts_the_right_ones_of_many, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_symlink_is_no_blob, setup, teardown),
	    cmocka_unit_test_setup_teardown(scratch_of_the_dead_is_swept, setup, teardown),
	    cmocka_unit_test_setup_teardown(scratch_of_the_dying_is_swept, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_file_is_no_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
