#include "harden/accounts.h"

#include "base/num.h"
#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 100000 };

/* The fields of each row of a colon file go to fn. */
static int each_row(int rootfd, const char *path, size_t fields,
		    int (*fn)(struct accounts *, const struct strv *), struct accounts *a,
		    struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	if (lines.n > ROWS_MAX)
		return err_set(e, ERR_FAIL, "%s: more than %d rows", path, ROWS_MAX);
	for (size_t i = 0; i < lines.n; i++) {
		struct strv f SCOPED(strv_release) = {0};

		if (lines.v[i][0] == '\0')
			continue;
		line_fields(lines.v[i], ':', &f);
		if (f.n != fields || f.v[0][0] == '\0' || fn(a, &f) != 0)
			return err_set(e, ERR_FAIL, "%s:%zu: damaged row", path, i + 1);
	}
	return 0;
}

static int take_user(struct accounts *a, const struct strv *f)
{
	uint64_t uid, gid;

	if (num_u64(f->v[2], UINT32_MAX, &uid) != 0 || num_u64(f->v[3], UINT32_MAX, &gid) != 0)
		return -1;
	a->v = mem_resize(a->v, a->n + 1, sizeof(*a->v));
	a->v[a->n++] = (struct account){
	    .name = mem_strdup(f->v[0]),
	    .pw = mem_strdup(f->v[1]),
	    .uid = (uint32_t)uid,
	    .gid = (uint32_t)gid,
	    .home = mem_strdup(f->v[5]),
	    .shell = mem_strdup(f->v[6]),
	};
	return 0;
}

static int take_group(struct accounts *a, const struct strv *f)
{
	struct account_group g = {0};
	uint64_t gid;

	if (num_u64(f->v[2], UINT32_MAX, &gid) != 0)
		return -1;
	g.name = mem_strdup(f->v[0]);
	g.gid = (uint32_t)gid;
	if (f->v[3][0] != '\0')
		line_fields(f->v[3], ',', &g.members);
	a->groups = mem_resize(a->groups, a->groups_n + 1, sizeof(*a->groups));
	a->groups[a->groups_n++] = g;
	return 0;
}

static int take_shadow(struct accounts *a, const struct strv *f)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].hash == NULL && strcmp(a->v[i].name, f->v[0]) == 0)
			a->v[i].hash = mem_strdup(f->v[1]);
	return 0;
}

int accounts_load(int rootfd, struct accounts *ret, struct err *e)
{
	if (each_row(rootfd, "etc/passwd", 7, take_user, ret, e) != 0 ||
	    each_row(rootfd, "etc/group", 4, take_group, ret, e) != 0)
		return -1;
	return each_row(rootfd, "etc/shadow", 9, take_shadow, ret, e);
}

void accounts_release(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].name);
		free(a->v[i].home);
		free(a->v[i].shell);
		free(a->v[i].pw);
		free(a->v[i].hash);
	}
	for (size_t i = 0; i < a->groups_n; i++) {
		free(a->groups[i].name);
		strv_release(&a->groups[i].members);
	}
	free(a->v);
	free(a->groups);
	*a = (struct accounts){0};
}

bool account_hash_usable(const char *hash)
{
	return hash[0] != '\0' && hash[0] != '!' && hash[0] != '*';
}

static void replace_field(struct strv *lines, size_t i, const struct strv *f, size_t at,
			  const char *val)
{
	struct buf row SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t k = 0; k < f->n; k++)
		buf_addf(&row, "%s%s", k == 0 ? "" : ":", k == at ? val : f->v[k]);
	lines_replace(lines, i, row.data);
}

int account_set(int rootfd, const char *path, const char *name, size_t at, const char *val,
		struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	bool seen = false;

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct strv f SCOPED(strv_release) = {0};

		line_fields(lines.v[i], ':', &f);
		if (strcmp(f.v[0], name) != 0)
			continue;
		if (at >= f.n)
			return err_set(e, ERR_FAIL, "%s:%zu: damaged row", path, i + 1);
		replace_field(&lines, i, &f, at, val);
		seen = true;
	}
	if (!seen)
		return err_set(e, ERR_FAIL, "%s: no row for %s", path, name);
	return lines_write(rootfd, path, &lines, 0600, e);
}

const struct account *accounts_user(const struct accounts *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, name) == 0)
			return &a->v[i];
	return NULL;
}

const struct account *accounts_uid(const struct accounts *a, uint32_t uid)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].uid == uid)
			return &a->v[i];
	return NULL;
}

const struct account_group *accounts_group(const struct accounts *a, const char *name)
{
	for (size_t i = 0; i < a->groups_n; i++)
		if (strcmp(a->groups[i].name, name) == 0)
			return &a->groups[i];
	return NULL;
}

const struct account_group *accounts_gid(const struct accounts *a, uint32_t gid)
{
	for (size_t i = 0; i < a->groups_n; i++)
		if (a->groups[i].gid == gid)
			return &a->groups[i];
	return NULL;
}
