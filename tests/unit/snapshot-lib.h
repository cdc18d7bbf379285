/* snapshot-lib.h - a repository beside a source and a target, for the tests of snapshot/. */
#ifndef UNIT_SNAPSHOT_LIB_H
#define UNIT_SNAPSHOT_LIB_H

#include "apply-lib.h"
#include "snapshot/seal.h"
#include "snapshot/snapshot.h"

#define SECRET "a secret of some length"

/* A repository whose secret costs nothing to guess: it is opened a thousand times. */
static inline void cheap_repo(const struct bed *b)
{
	const struct key_from secret = {SECRET, NULL, strlen(SECRET), 0};
	const struct key_cost cost = {16, 1, 1};
	struct buf text SCOPED(buf_release) = BUF_INIT(16 << 10);
	struct err e = ERR_INIT;

	if (mkdirat(b->top, "repo", 0700) != 0)
		return; /* it is there */
	assert_int_equal(seal_key_new(&secret, &cost, &text, &e), 0);
	put_at(b->top, "repo/format.json", text.data, text.len, 0);
}

static inline struct snapshot_repo *open_repo(const struct bed *b, enum snapshot_use use)
{
	char *where SCOPED(mem_freep) = mem_format("dir:%s/repo", b->dir);
	struct snapshot_at at = {.where = where, .secret = SECRET, .secret_n = strlen(SECRET)};
	struct snapshot_repo *r = NULL;
	struct err e = ERR_INIT;

	at.use = use;
	if (use == SNAPSHOT_WRITE)
		cheap_repo(b);
	if (snapshot_repo_open(&at, &r, &e) != 0)
		fail_msg("%s", e.msg);
	return r;
}

static inline int try_make(const struct bed *b, const struct snapshot_opts *o,
			   struct snapshot_result *ret, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	struct snapshot_opts own = *o;

	own.shop = own.shop != NULL ? own.shop : "";
	own.env = own.env != NULL ? own.env : "";
	own.source = own.source != NULL ? own.source : "dir:src";
	return snapshot_make(r, b->src, &own, ret, e);
}

static inline struct snapshot_result make_with(const struct bed *b, const struct snapshot_opts *o)
{
	struct snapshot_result s = {0};
	struct err e = ERR_INIT;

	if (try_make(b, o, &s, &e) != 0)
		fail_msg("%s", e.msg);
	return s;
}

/* Makes one, and gives its id, which the caller owns. */
static inline char *make_one(const struct bed *b)
{
	struct snapshot_result s SCOPED(snapshot_result_release) =
	    make_with(b, &(struct snapshot_opts){0});

	return mem_strdup(s.info.id);
}

/* Makes the target what a snapshot is. */
static inline int try_restore(const struct bed *b, const char *id, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_READ);
	struct snapshot *s SCOPED(snapshot_closep) = NULL;
	const struct apply_opts o = {.threads = 3};
	struct apply_result res;

	if (snapshot_open(r, id, &s, e) != 0)
		return -1;
	return apply_tree(snapshot_manifest(s), snapshot_content(s), b->dst, &o, &res, e);
}

static inline void restore(const struct bed *b, const char *id)
{
	struct err e = ERR_INIT;

	if (try_restore(b, id, &e) != 0)
		fail_msg("%s", e.msg);
}

static inline struct snapshot_verified verify_with(const struct bed *b, bool read)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_READ);
	const struct snapshot_check how = {.read = read};
	struct snapshot_verified v = {0};
	struct err e = ERR_INIT;

	if (snapshot_verify(r, &how, &v, &e) != 0)
		fail_msg("%s", e.msg);
	return v;
}

static inline void is_whole(const struct bed *b)
{
	struct snapshot_verified v SCOPED(snapshot_verified_release) = verify_with(b, true);

	for (size_t i = 0; i < v.faults.n; i++)
		(void)fprintf(stderr, "%s\n", v.faults.v[i]);
	assert_int_equal(v.faults.n + v.lost.n, 0);
}

static inline struct snapshot_infos listed(const struct bed *b)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_READ);
	struct snapshot_infos l = {0};
	struct err e = ERR_INIT;

	if (snapshot_list(r, &l, &e) != 0)
		fail_msg("%s", e.msg);
	return l;
}

/* "FOLDER/NAME" of all objects of a folder. */
static inline void objects_of(const struct bed *b, const char *folder, struct strv *ret)
{
	char *path SCOPED(mem_freep) = mem_format("repo/%s", folder);
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	if (fs_list(b->top, path, &names, &e) != 0)
		return; /* there is none */
	for (size_t i = 0; i < names.n; i++)
		strv_addf(ret, "%s/%s", folder, names.v[i]);
}

static inline void empty(int d)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(fs_list(d, ".", &names, &e), 0);
	for (size_t i = 0; i < names.n; i++)
		assert_int_equal(fs_rmtree(d, names.v[i], &e), 0);
}

/* A little of everything: files of rows in rows, of holes, of nothing; links; a directory of many;
 * awkward names. */
static inline void make_tree(int d)
{
	put_bytes(d, "large", 5000001, 1);
	set_size(d, "sparse", 3 << 20);
	put_bytes(d, "grid", SNAPSHOT_GRID * 65, 2);
	put_bytes(d, "short", SNAPSHOT_GRID - 1, 3);
	put_text(d, "empty", "");
	make_dir(d, "many");
	for (unsigned i = 0; i < 100; i++) {
		char *name SCOPED(mem_freep) = mem_format("many/%u\n\xff .tar", i);

		put_bytes(d, name, 100 + i, 100 + i);
	}
	assert_int_equal(linkat(d, "short", d, "many/link", 0), 0);
	assert_int_equal(symlinkat("many", d, "symlink"), 0);
	assert_int_equal(mkfifoat(d, "fifo", 0600), 0);
	assert_int_equal(fchmodat(d, "short", 04711, 0), 0);
	set_time(d, "many", 1000000000, 5);
	set_time(d, ".", 1000000000, 7);
}

#endif
