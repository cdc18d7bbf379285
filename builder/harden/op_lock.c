/* op_lock.c - the installed packages are those of the lock, in its versions. */
#include "harden/op.h"

#include "base/map.h"
#include "form/deb822.h"
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

static void take_dpkg(const struct buf *text, struct map *ret)
{
	struct deb822 rest = {.p = text->data, .n = text->len}, stanza;

	while (deb822_next(&rest, &stanza) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&stanza, "Package");
		char *status SCOPED(mem_freep) = deb822_field(&stanza, "Status");

		/* status.d files carry no Status field: being there is being installed */
		if (name != NULL && (status == NULL || strstr(status, " installed") != NULL))
			free(map_put(ret, name, deb822_field(&stanza, "Version")));
	}
}

/* Name to version; both owned. */
static int installed(int rootfd, struct map *ret, struct err *e)
{
	struct strv paths SCOPED(strv_release) = {0};
	struct rpmdb db SCOPED(rpmdb_release) = {0};

	strv_add(&paths, "var/lib/dpkg/status");
	if (root_glob(rootfd, "var/lib/dpkg/status.d/*", &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

		if (root_read(rootfd, paths.v[i], &text, NULL, e) != 0)
			return -1;
		take_dpkg(&text, ret);
	}
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
