/* op_mode.c - owner, group and mode of named paths. */
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct mode {
	struct strv paths;
	char *owner, *group;
	struct opt exact, max;
	bool required;
};

static const struct field mode_fields[] = {
    {"paths", FIELD_PATHS, offsetof(struct mode, paths), true},
    {"owner", FIELD_TEXT, offsetof(struct mode, owner), false},
    {"group", FIELD_TEXT, offsetof(struct mode, group), false},
    {"mode", FIELD_MODE, offsetof(struct mode, exact), false},
    {"max", FIELD_MODE, offsetof(struct mode, max), false},
    {"required", FIELD_BOOL, offsetof(struct mode, required), false},
    {0},
};

/* What the names mean in this tree, -1 = any, and where the last path was. */
struct ids {
	int64_t uid, gid;
	struct root_near near;
};

static void ids_release(struct ids *ids)
{
	root_near_release(&ids->near);
}

static int mode_finish(void *want, const struct yaml *at, struct err *e)
{
	const struct mode *w = want;

	if (w->exact.set && w->max.set)
		return yaml_err(at, e, "mode and max exclude each other");
	return 0;
}

static int find_ids(const struct op_run *r, const struct mode *w, struct ids *ret, struct err *e)
{
	const struct accounts *a;
	const struct account *u;
	const struct account_group *g;

	if (facts_accounts(r->facts, &a, e) != 0)
		return -1;
	u = w->owner == NULL ? NULL : accounts_user(a, w->owner);
	g = w->group == NULL ? NULL : accounts_group(a, w->group);
	if (w->owner != NULL && u == NULL)
		return err_set(e, ERR_FAIL, "there is no user %s", w->owner);
	if (w->group != NULL && g == NULL)
		return err_set(e, ERR_FAIL, "there is no group %s", w->group);
	ret->uid = u == NULL ? -1 : (int64_t)u->uid;
	ret->gid = g == NULL ? -1 : (int64_t)g->gid;
	return 0;
}

static mode_t wanted_mode(const struct mode *w, mode_t is)
{
	if (w->exact.set)
		return (mode_t)w->exact.v;
	return w->max.set ? is & (mode_t)w->max.v : is;
}

static bool owner_differs(const struct ids *ids, const struct stat *st)
{
	return (ids->uid >= 0 && st->st_uid != (uid_t)ids->uid) ||
	       (ids->gid >= 0 && st->st_gid != (gid_t)ids->gid);
}

static void look(const struct op_run *r, const struct mode *w, struct ids *ids, const char *path)
{
	mode_t is, wants;
	struct stat st;

	if (root_stat_near(r->rootfd, &ids->near, path, &st) != 1)
		return;
	if (S_ISLNK(st.st_mode)) {
		/* what a pattern happens to meet is judged where it points to */
		if (strv_has(&w->paths, path))
			strv_addf(r->found, "/%s: is a symbolic link", path);
		return;
	}
	is = st.st_mode & 07777;
	wants = wanted_mode(w, is);
	if (owner_differs(ids, &st))
		strv_addf(r->found, "/%s: belongs to %u:%u, wants %s:%s", path, st.st_uid,
			  st.st_gid, w->owner == NULL ? "any" : w->owner,
			  w->group == NULL ? "any" : w->group);
	if (r->held != NULL && is == wants && !owner_differs(ids, &st) && strv_has(&w->paths, path))
		strv_addf(r->held, "/%s: %u:%u, mode %04o", path, st.st_uid, st.st_gid, is);
	if (is != wants)
		strv_addf(r->found, "/%s: mode %04o, wants %s%04o", path, is,
			  w->exact.set ? "" : "at most ",
			  (unsigned)(w->exact.set ? w->exact.v : w->max.v));
}

static int mode_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct mode *w = want;
	struct strv paths SCOPED(strv_release) = {0};
	struct ids ids SCOPED(ids_release) = {-1, -1, ROOT_NEAR_INIT};

	if (find_ids(r, w, &ids, e) != 0 || root_globs(r->rootfd, &w->paths, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		look(r, w, &ids, paths.v[i]);
	for (size_t i = 0; w->required && i < w->paths.n; i++)
		if (!root_has(r->rootfd, w->paths.v[i]))
			strv_addf(r->found, "/%s: is not there", w->paths.v[i]);
	return 0;
}

static int mode_fix_one(const struct op_run *r, const struct mode *w, struct ids *ids,
			const char *path, struct err *e)
{
	mode_t wants;
	struct stat st;

	if (root_stat_near(r->rootfd, &ids->near, path, &st) != 1 || S_ISLNK(st.st_mode))
		return 0;
	wants = wanted_mode(w, st.st_mode & 07777);
	if (owner_differs(ids, &st)) {
		uid_t uid = ids->uid < 0 ? st.st_uid : (uid_t)ids->uid;
		gid_t gid = ids->gid < 0 ? st.st_gid : (gid_t)ids->gid;

		if (root_chown(r->rootfd, path, uid, gid, e) != 0)
			return -1;
		strv_addf(r->done, "/%s: owner set to %u:%u", path, uid, gid);
	}
	if ((st.st_mode & 07777) == wants)
		return 0;
	if (root_chmod(r->rootfd, path, wants, e) != 0)
		return -1;
	strv_addf(r->done, "/%s: mode set to %04o", path, wants);
	return 0;
}

static int mode_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct mode *w = want;
	struct strv paths SCOPED(strv_release) = {0};
	struct ids ids SCOPED(ids_release) = {-1, -1, ROOT_NEAR_INIT};

	if (find_ids(r, w, &ids, e) != 0 || root_globs(r->rootfd, &w->paths, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (mode_fix_one(r, w, &ids, paths.v[i], e) != 0)
			return -1;
	return 0;
}

const struct op_kind op_mode = {
    .name = "mode",
    .size = sizeof(struct mode),
    .fields = mode_fields,
    .finish = mode_finish,
    .check = mode_check,
    .fix = mode_fix,
};
