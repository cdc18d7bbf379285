/* harden-rows.h - breakages of a hardened tree as data. For each row a tree is hardened and broken
 * in one way: exactly the row's control fails, a fix mends it, and nothing else changes its mind.
 */
#ifndef TESTS_UNIT_HARDEN_ROWS_H
#define TESTS_UNIT_HARDEN_ROWS_H

#include "harden-debian.h"

#include <sys/xattr.h>

#define PROFILE "recipes/profiles/pa-dss-3.2.yaml"

enum how {
	WRITE,   /* path with text, mode 0644 */
	APPEND,  /* text to path */
	EDIT,    /* the first `text` of path becomes `to` */
	CHMOD,   /* path to the octal mode in text */
	CHOWN,   /* path to the user in text */
	REMOVE,  /* path */
	LINK,    /* path to text */
	MAKEDIR, /* path, with the octal mode in text */
	CAP,     /* path gets a file capability */
	RELINK,  /* path, which is there, to text */
	FIFO,    /* path is a pipe */
	OTHER,   /* what the bench says */
};

/* What a fix must not do by itself. */
enum { FIXED, NOT_FIXED };

struct row {
	const char *id;
	enum how how;
	const char *path, *text, *to;
	int outcome;
};

/* The rows of a test program, and the tree that they break. */
struct bench {
	const char *name;
	const struct row *rows;
	size_t n;
	void (*make)(const struct rootfs *t);
	const char *target;                                           /* of the recipe */
	const char *profile_path;                                     /* NULL = PROFILE */
	void (*other)(const struct rootfs *t, const struct row *row); /* of OTHER */
	struct harden_profile *profile;
	struct debian_recipe made;
};

static struct bench *bench;

/* Hardened once; each row breaks a copy of it. */
static struct rootfs hardened;

static inline void harden(const struct rootfs *t)
{
	struct harden_report r = apply(bench->profile, t, &bench->made.r);

	harden_report_release(&r);
}

static inline int bench_set_up(void **state)
{
	(void)state;
	bench->profile = load(bench->profile_path == NULL ? PROFILE : bench->profile_path);
	debian_recipe_init(&bench->made);
	bench->made.r.target = (char *)(uintptr_t)bench->target;
	hardened = rootfs_make();
	bench->make(&hardened);
	harden(&hardened);
	return 0;
}

static inline int bench_tear_down(void **state)
{
	(void)state;
	rootfs_drop(&hardened);
	harden_profile_free(bench->profile);
	debian_recipe_release(&bench->made);
	return 0;
}

static inline void expect_failed(const struct rootfs *t, const char *ids)
{
	struct harden_report r = check(bench->profile, t, &bench->made.r);
	char *got = failed(&r);

	if (strcmp(got, ids) != 0)
		for (size_t i = 0; i < r.n; i++)
			if (r.v[i].status == HARDEN_FAIL)
				print_error("%s: %s\n", r.v[i].id, r.v[i].detail);
	assert_string_equal(got, ids);
	free(got);
	harden_report_release(&r);
}

static inline void mutate(const struct rootfs *t, const struct row *row)
{
	/* CAP_NET_RAW, effective and permitted, revision 2 (capabilities(7)) */
	static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
	char *full SCOPED(mem_freep) = fs_join(t->path, row->path);
	char *dir SCOPED(mem_freep) = fs_dirname(row->path);
	struct err e = ERR_INIT;
	int rc = fs_mkdirs(t->fd, dir, 0755, &e);

	if (row->how == WRITE) {
		bool is_sudoers = strncmp(row->path, "etc/sudoers.d/", 14) == 0;

		put(t, row->path, row->text, is_sudoers ? 0440 : 0600);
	}
	if (row->how == APPEND)
		append(t, row->path, row->text);
	if (row->how == EDIT)
		edit(t, row->path, row->text, row->to);
	if (row->how == CHMOD)
		rc = fchmodat(t->fd, row->path, (mode_t)strtoul(row->text, NULL, 8), 0);
	if (row->how == CHOWN)
		rc = fchownat(t->fd, row->path, (uid_t)strtoul(row->text, NULL, 10), (gid_t)-1, 0);
	if (row->how == REMOVE)
		rc = fs_rmtree(t->fd, row->path, &e);
	if (row->how == LINK)
		rc = symlinkat(row->text, t->fd, row->path);
	if (row->how == MAKEDIR)
		rc = fs_mkdirs(t->fd, row->path, 0755, &e) ||
		     fchmodat(t->fd, row->path, (mode_t)strtoul(row->text, NULL, 8), 0);
	if (row->how == RELINK)
		rc = unlinkat(t->fd, row->path, 0) || symlinkat(row->text, t->fd, row->path);
	if (row->how == FIFO)
		rc = mkfifoat(t->fd, row->path, 0600);
	if (row->how == CAP)
		rc = setxattr(full, "security.capability", cap, sizeof(cap), 0);
	assert_int_equal(rc, 0);
}

static inline void breaks_one_and_mends_it(void **state)
{
	const struct row *row = *state;
	struct rootfs t = rootfs_make();

	rootfs_copy(&hardened, &t);
	if (row->how == OTHER)
		bench->other(&t, row);
	else
		mutate(&t, row);
	/* what the mutation of SSH-06 includes */
	if (strcmp(row->id, "SSH-06") == 0)
		put(&t, "etc/ssh/x/a.conf", "AllowTcpForwarding yes\n", 0600);
	expect_failed(&t, row->id);
	harden(&t);
	expect_failed(&t, row->outcome == FIXED ? "" : row->id);
	rootfs_drop(&t);
}

static inline void hardens_a_fresh_tree(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;

	(void)state;
	bench->make(&t);
	r = check(bench->profile, &t, &bench->made.r);
	assert_true(r.count[HARDEN_FAIL] > 40);
	harden_report_release(&r);
	harden(&t);
	expect_failed(&t, "");
	rootfs_drop(&t);
}

static inline void changes_nothing_the_second_time(void **state)
{
	struct rootfs t = rootfs_make();
	struct harden_report r;
	struct digest once, twice;

	(void)state;
	bench->make(&t);
	harden(&t);
	once = rootfs_digest(&t);
	r = apply(bench->profile, &t, &bench->made.r);
	twice = rootfs_digest(&t);
	for (size_t i = 0; i < r.n; i++)
		if (r.v[i].fixed != NULL)
			fail_msg("%s: %s", r.v[i].id, r.v[i].fixed);
	assert_true(digest_equal(&once, &twice));
	harden_report_release(&r);
	rootfs_drop(&t);
}

/* A row's id is the control it is about, and after a blank those that fail along with it. */
static inline bool is_about(const struct row *row, const char *id)
{
	size_t n = strlen(id);

	return strncmp(row->id, id, n) == 0 && (row->id[n] == '\0' || row->id[n] == ' ');
}

/* Whether a row breaks the control. */
static inline bool has_row(const char *id)
{
	for (size_t k = 0; k < bench->n; k++)
		if (is_about(&bench->rows[k], id))
			return true;
	return false;
}

/* The tests that every such program has, `more` of its own, and one a row. */
static inline int bench_run(struct bench *b, const struct CMUnitTest *more, size_t more_n)
{
	static const struct CMUnitTest first[] = {
	    cmocka_unit_test(hardens_a_fresh_tree),
	    cmocka_unit_test(changes_nothing_the_second_time),
	};
	size_t n = 2;
	struct CMUnitTest *tests = mem_zalloc((n + more_n + b->n) * sizeof(*tests));
	int rc;

	bench = b;
	memcpy(tests, first, sizeof(first));
	memcpy(tests + n, more, more_n * sizeof(*more));
	n += more_n;
	for (size_t i = 0; i < b->n; i++)
		tests[n++] = (struct CMUnitTest){
		    .name = mem_format("%s: %s", b->rows[i].id, b->rows[i].path),
		    .test_func = breaks_one_and_mends_it,
		    .initial_state = (void *)(uintptr_t)&b->rows[i],
		};
	rc = _cmocka_run_group_tests(b->name, tests, n, bench_set_up, bench_tear_down);
	for (size_t i = n - b->n; i < n; i++)
		free((void *)(uintptr_t)tests[i].name);
	free(tests);
	return rc;
}

#endif
