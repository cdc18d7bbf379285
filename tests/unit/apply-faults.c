/* apply_tree when something goes wrong: the error says what and where, and the next run goes on. */
#include "apply-lib.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };

/* The content of the source, until it misbehaves with the file `name`. */
enum fault { NO_OPEN, EIO_IN_THE_MIDDLE, ENDS_EARLY, GOES_ON, WRONG_BYTE };
struct bad_content {
	struct apply_content good;
	const struct manifest *want;
	const char *name;
	enum fault fault;
	bool living;
	void (*meanwhile)(const struct bed *b); /* when the file is first read */
	const struct bed *bed;
};
struct bad_handle {
	struct bad_content *c;
	void *good;
	bool bad;
};

static int bad_open(void *ctx, size_t i, void **ret, struct err *e)
{
	struct bad_content *c = ctx;
	struct bad_handle *h;
	bool bad = c->name != NULL && strcmp(c->want->v[i].path, c->name) == 0;
	void *good = NULL;

	if (bad && c->fault == NO_OPEN && c->meanwhile == NULL)
		return err_set(e, ERR_REMOTE, "gone");
	if (c->good.open(c->good.ctx, i, &good, e) != 0)
		return -1;
	h = mem_zalloc(sizeof(*h));
	*h = (struct bad_handle){c, good, bad};
	*ret = h;
	return 0;
}

static int bad_read(void *handle, uint64_t at, void *p, size_t n, size_t *ret_n, struct err *e)
{
	struct bad_handle *h = handle;
	struct bad_content *c = h->c;
	uint8_t *byte = p;

	if (c->good.read(h->good, at, p, n, ret_n, e) != 0)
		return -1;
	if (!h->bad)
		return 0;
	if (c->meanwhile != NULL && at == 0)
		c->meanwhile(c->bed);
	if (c->meanwhile != NULL)
		return 0;
	if (c->fault == EIO_IN_THE_MIDDLE && at > 0) {
		errno = EIO;
		return err_sys(e, "read");
	}
	if (c->fault == ENDS_EARLY && at > 0)
		*ret_n = *ret_n / 2;
	if (c->fault == GOES_ON && *ret_n == 0)
		*ret_n = n;
	if (c->fault == WRONG_BYTE && at > 0 && *ret_n > 0)
		byte[0] ^= 1;
	return 0;
}

static void bad_close(void *ctx, void *handle)
{
	struct bad_content *c = ctx;
	struct bad_handle *h = handle;

	c->good.close(c->good.ctx, h->good);
	free(h);
}

/* Applies from such a content, with a memory. */
static int run_bad(const struct bed *b, struct bad_content *c, struct err *e)
{
	struct manifest want SCOPED(manifest_release) = manifest_of(b->src);
	struct apply_content content = {
	    .open = bad_open, .read = bad_read, .close = bad_close, .ctx = c, .living = c->living};
	struct apply_opts o = {0};
	struct apply_result r;
	struct err ignored = ERR_INIT;
	int rc;

	c->want = &want;
	c->bed = b;
	assert_int_equal(apply_memory_load(b->top, "memory", &o.memory, &ignored), 0);
	assert_int_equal(apply_content_of_dir(b->src, &want, &c->good, &ignored), 0);
	rc = apply_tree(&want, &content, b->dst, &o, &r, e);
	assert_int_equal(apply_memory_save(o.memory, b->top, "memory", &ignored), 0);
	apply_memory_free(o.memory);
	apply_content_free(&c->good);
	return rc;
}

static void some_files(const struct bed *b, unsigned seed)
{
	put_bytes(b->src, "bad", 3 * MIB, seed);
	put_bytes(b->src, "big", 2 * MIB, seed + 1);
	put_text(b->src, "small", seed == 1 ? "one" : "two");
	set_time(b->src, "small", 1000000000, 0);
}

static void a_content_that_lies(void **state)
{
	static const enum err_kind kinds[] = {ERR_REMOTE, ERR_FAIL, ERR_VERIFY, ERR_VERIFY,
					      ERR_VERIFY};
	const struct bed *b = *state;

	for (unsigned i = 0; i < 2 * (WRONG_BYTE + 1); i++) {
		enum fault f = (enum fault)(i / 2);
		struct bad_content c = {.name = "bad", .fault = f, .living = i % 2 == 1};
		struct err e = ERR_INIT;

		some_files(b, 1);
		(void)applies(b, true);
		some_files(b, 2);
		assert_int_equal(run_bad(b, &c, &e), -1);
		assert_int_equal(e.kind, c.living && f >= ENDS_EARLY ? ERR_BUSY : kinds[f]);
		assert_int_equal(strncmp(e.msg, "bad: ", 5), 0);
		(void)applies(b, true);
	}
}

static void shrink(const struct bed *b)
{
	set_size(b->src, "bad", MIB);
}

static void grow(const struct bed *b)
{
	set_size(b->src, "bad", 4 * MIB);
}

static void rewrite(const struct bed *b)
{
	struct stat st = stat_of(b->src, "bad");

	put_at(b->src, "bad", "x", 1, 2 * MIB);
	set_time(b->src, "bad", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* Written over where it was read already: the digest is right, and the file is not what it was. */
static void rewrite_behind(const struct bed *b)
{
	put_at(b->src, "bad", "x", 1, 5);
}

static void a_source_that_changes(void **state)
{
	static void (*const changes[])(const struct bed *b) = {shrink, grow, rewrite,
							       rewrite_behind};
	const struct bed *b = *state;

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct bad_content c = {.name = "bad", .living = true, .meanwhile = changes[i]};
		struct err e = ERR_INIT;

		some_files(b, 1);
		set_size(b->src, "bad", 3 * MIB);
		(void)applies(b, true);
		some_files(b, 2);
		assert_int_equal(run_bad(b, &c, &e), -1);
		assert_int_equal(e.kind, ERR_BUSY);
		assert_int_equal(strncmp(e.msg, "bad: ", 5), 0);
		assert_true(e.hint[0] != '\0');
		(void)applies(b, true);
	}
}

/* Between the making of the manifest and the reading. */
static void a_source_that_changed_before(void **state)
{
	const struct bed *b = *state;

	for (unsigned i = 0; i < 5; i++) {
		struct manifest want SCOPED(manifest_release) = {0};
		struct apply_content c = {0};
		struct apply_opts o = {0};
		struct apply_result r;
		struct err e = ERR_INIT;

		some_files(b, 1);
		(void)applies(b, true);
		some_files(b, 2 + i);
		want = manifest_of(b->src);
		assert_int_equal(apply_content_of_dir(b->src, &want, &c, &e), 0);
		if (i == 1)
			shrink(b);
		else if (i == 2)
			rewrite(b);
		else
			assert_int_equal(unlinkat(b->src, "bad", 0), 0);
		if (i == 3)
			assert_int_equal(symlinkat("big", b->src, "bad"), 0);
		if (i == 4)
			assert_int_equal(mkfifoat(b->src, "bad", 0600), 0);
		assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), -1);
		assert_int_equal(e.kind, ERR_BUSY);
		assert_int_equal(strncmp(e.msg, "bad: ", 5), 0);
		apply_content_free(&c);
		if (i >= 3)
			assert_int_equal(unlinkat(b->src, "bad", 0), 0);
		some_files(b, 1);
		(void)applies(b, true);
	}
}

/* In a process that has a target of 8 MiB; that becomes larger. */
static int fill_up(const struct bed *b)
{
	char *at SCOPED(mem_freep) = mem_format("%s/dst", b->dir);
	struct bed here = *b;
	struct run run = {.memory = true};

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", at, "tmpfs", 0, "size=8m") != 0)
		return 77;
	here.dst = opened(AT_FDCWD, at);
	if (run_apply(&here, &run) == 0)
		return 1;
	if (run.e.sys != ENOSPC || run.e.hint[0] == '\0' || strstr(run.e.msg, "file") == NULL)
		return 2;
	if (mount("none", at, "tmpfs", MS_REMOUNT, "size=40m") != 0)
		return 3;
	(void)applies(&here, true);
	return 0;
}

static void a_full_disk(void **state)
{
	const struct bed *b = *state;
	int status = 0;
	pid_t pid;

	for (unsigned i = 0; i < 8; i++) {
		char *name SCOPED(mem_freep) = mem_format("file %u", i);

		put_bytes(b->src, name, 2 * MIB, i);
	}
	pid = fork();
	if (pid == 0)
		_exit(fill_up(b));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int count_calls(void *ctx, size_t i, void **ret, struct err *e)
{
	(void)i;
	(void)e;
	(void)ret;
	(*(unsigned *)ctx)++;
	return err_set(e, ERR_FAIL, "not to be read");
}

/* Manifests that no tree has, from a hand or a stranger. */
static void a_manifest_that_is_no_tree(void **state)
{
	static char root[] = "", a[] = "a", b_[] = "b", ab[] = "a/b", up[] = "../x", none[] = "c";
	static char user[] = "0";
	const struct bed *b = *state;
	const struct manifest_entry dir = {.path = root, .user = user, .group = user, .mode = 0755};
	const struct manifest_entry file = {
	    .path = a, .type = MANIFEST_FILE, .user = user, .group = user, .mode = 0644};
	struct manifest_entry bad[7][3] = {0};
	struct apply_result r;
	unsigned calls = 0;
	const struct apply_content c = {.open = count_calls, .ctx = &calls};
	const struct apply_opts o = {0};

	for (unsigned i = 0; i < 7; i++) {
		bad[i][0] = dir;
		bad[i][1] = bad[i][2] = file;
		bad[i][2].path = b_;
	}
	bad[0][0].type = MANIFEST_FILE; /* no directory to begin with */
	bad[1][2].path = a;             /* twice */
	bad[2][2].path = ab;            /* below a file */
	bad[3][1].path = up;            /* out of the tree */
	bad[4][2].same_as = none;       /* another name of nothing */
	bad[5][1].same_as = b_;         /* of a later one */
	bad[6][1].user = NULL;
	put_text(b->dst, "stays", "x");
	for (unsigned i = 0; i < 7; i++) {
		const struct manifest want = {.v = bad[i], .n = 3};
		struct err e = ERR_INIT;

		assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		(void)stat_of(b->dst, "stays");
	}
	assert_int_equal(calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_content_that_lies, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_source_that_changes, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_source_that_changed_before, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_full_disk, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_manifest_that_is_no_tree, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
