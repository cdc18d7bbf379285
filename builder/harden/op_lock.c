/* op_lock.c - the installed packages are those of the lock, in its versions. */
#include "harden/op.h"

#include "base/map.h"
#include "harden/dpkgdb.h"
#include "package/rpmdb.h"
#include "recipe/lock.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Where an image keeps the lock that it was made from (posmedia-reproducible.7). */
#define LOCK_PATH "usr/share/posmedia/recipe.lock"

enum { LOCK_FILE_MAX = 64 << 20 };

struct lock_want {
	char *path;
};

static const struct field lock_fields[] = {
    {"path", FIELD_PATH, offsetof(struct lock_want, path), false},
    {0},
};

static const struct lock *given(const struct op_run *r)
{
	return r->c->image != NULL ? r->c->image->lock : NULL;
}

static const char *path_of(const struct lock_want *w)
{
	return w->path != NULL ? w->path : LOCK_PATH;
}

static const char *lock_lacks(const struct op_run *r, const void *want)
{
	const struct lock_want *w = want;

	if (given(r) != NULL)
		return given(r)->packages_n > 0 ? NULL : "the lock names no packages";
	return root_has(r->rootfd, path_of(w)) ? NULL
					       : "there is no lock to compare the packages with";
}

/* Name to version; both owned. */
static int installed(int rootfd, struct map *ret, struct err *e)
{
	struct dpkgdb debs SCOPED(dpkgdb_release) = {0};
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	if (dpkgdb_read(rootfd, &debs, e) != 0)
		return -1;
	for (size_t i = 0; i < debs.n; i++)
		free(map_put(ret, debs.v[i].name, STEAL(debs.v[i].version)));
	if (rpmdb_read(rootfd, RPMDB_NAMES, &db, e) != 0)
		return -1;
	for (size_t i = 0; i < db.n; i++)
		/* the keys of vendors are packages to rpm alone */
		if (strcmp(db.v[i].name, "gpg-pubkey") != 0)
			free(map_put(ret, db.v[i].name, STEAL(db.v[i].version)));
	return 0;
}

static void compare(const struct lock *l, const struct map *have, struct strv *found)
{
	const char **names SCOPED(mem_freep) = map_keys(have);

	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];
		const char *version = map_get(have, p->name);

		if (!map_has(have, p->name))
			strv_addf(found, "package %s %s of the lock is not installed", p->name,
				  p->version);
		else if (version == NULL || strcmp(version, p->version) != 0)
			strv_addf(found, "package %s is %s, the lock has %s", p->name,
				  version != NULL ? version : "of no version", p->version);
	}
	for (size_t i = 0; i < have->n; i++)
		if (lock_find(l, names[i]) == NULL)
			strv_addf(found, "package %s is not in the lock", names[i]);
}

static int with_lock(const struct op_run *r, const struct lock *l, struct err *e)
{
	struct map have = {0};
	int rc = installed(r->rootfd, &have, e);

	if (rc == 0)
		compare(l, &have, r->found);
	if (rc == 0 && r->held != NULL)
		strv_addf(r->held, "%zu packages, as in the lock", have.n);
	map_release(&have, free);
	return rc;
}

static int lock_op_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct lock_want *w = want;
	struct buf text SCOPED(buf_release) = BUF_INIT(LOCK_FILE_MAX);
	struct lock *l = NULL;
	int rc;

	if (given(r) != NULL)
		return with_lock(r, given(r), e);
	if (root_read(r->rootfd, path_of(w), &text, NULL, e) != 0 ||
	    lock_parse(path_of(w), &text, &l, e) != 0)
		return -1;
	rc = with_lock(r, l, e);
	lock_free(l);
	return rc;
}

const struct op_kind op_lock = {
    .name = "lock",
    .of_image = true,
    .size = sizeof(struct lock_want),
    .fields = lock_fields,
    .lacks = lock_lacks,
    .check = lock_op_check,
};
