/* op_units.c - systemd units enabled, disabled or masked, by their links alone. */
#include "harden/op.h"
#include "harden/unit_links.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct units {
	struct strv enabled, disabled, masked;
	char *start; /* what default.target is */
};

static const struct field units_fields[] = {
    {"enabled", FIELD_LIST, offsetof(struct units, enabled), false},
    {"disabled", FIELD_LIST, offsetof(struct units, disabled), false},
    {"masked", FIELD_LIST, offsetof(struct units, masked), false},
    {"default", FIELD_TEXT, offsetof(struct units, start), false},
    {0},
};

/* Where the unit's file is; NULL when it is not there. The caller owns it. */
static char *unit_file(const struct op_run *r, const char *unit)
{
	static const char *const dirs[] = {"etc/systemd/system", "usr/local/lib/systemd/system",
					   "usr/lib/systemd/system"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s", dirs[i], unit);
		struct stat st;

		if (root_stat(r->rootfd, path, false, &st) == 1)
			return STEAL(path);
	}
	return NULL;
}

static bool is_masked(const struct op_run *r, const char *unit)
{
	char *path SCOPED(mem_freep) = mem_format("etc/systemd/system/%s", unit);
	char target[64];
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(r->rootfd, path, &name);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);
	struct stat st;

	if (n > 0)
		target[n] = '\0';
	if (n > 0 && strcmp(target, "/dev/null") == 0)
		return true;
	return n < 0 && root_stat(r->rootfd, path, false, &st) == 1 && S_ISREG(st.st_mode) &&
	       st.st_size == 0;
}

/* The target that default.target leads to; NULL when to none. The caller owns it. */
static char *start_target(const struct op_run *r)
{
	static const char *const links[] = {"etc/systemd/system/default.target",
					    "usr/lib/systemd/system/default.target"};

	for (int i = 0; i < 2; i++) {
		char target[256];
		const char *name, *slash;
		int fd SCOPED(fd_closep) = root_parent(r->rootfd, links[i], &name);
		ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		slash = strrchr(target, '/');
		return mem_strdup(slash == NULL ? target : slash + 1);
	}
	return NULL;
}

static void look_start(const struct op_run *r, const struct units *w)
{
	char *is SCOPED(mem_freep) = w->start == NULL ? NULL : start_target(r);

	if (w->start == NULL || (is != NULL && strcmp(is, w->start) == 0))
		return;
	strv_addf(r->found, "default.target is %s, wants %s", is == NULL ? "nothing" : is,
		  w->start);
}

static int look_disabled(const struct op_run *r, const char *unit, const struct strv *pulled,
			 const struct strv *where, struct err *e)
{
	struct strv links SCOPED(strv_release) = {0};

	if (unit_links(r->rootfd, unit, &links, e) != 0)
		return -1;
	if (is_masked(r, unit))
		return 0;
	if (links.n > 0)
		strv_addf(r->found, "unit %s is enabled", unit);
	for (size_t i = 0; i < pulled->n; i++)
		if (strcmp(pulled->v[i], unit) == 0)
			strv_addf(r->found, "unit %s is enabled by /%s", unit, where->v[i]);
	return 0;
}

static int look_all_disabled(const struct op_run *r, const struct strv *units, struct err *e)
{
	struct strv pulled SCOPED(strv_release) = {0}, where SCOPED(strv_release) = {0};

	if (units->n > 0 && unit_pulled(r->rootfd, &pulled, &where, e) != 0)
		return -1;
	for (size_t i = 0; i < units->n; i++)
		if (look_disabled(r, units->v[i], &pulled, &where, e) != 0)
			return -1;
	return 0;
}

static int units_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct units *w = want;

	for (size_t i = 0; i < w->enabled.n; i++) {
		struct strv links SCOPED(strv_release) = {0};

		if (unit_links(r->rootfd, w->enabled.v[i], &links, e) != 0)
			return -1;
		if (links.n == 0 || is_masked(r, w->enabled.v[i]))
			strv_addf(r->found, "unit %s is not enabled", w->enabled.v[i]);
	}
	if (look_all_disabled(r, &w->disabled, e) != 0)
		return -1;
	for (size_t i = 0; i < w->masked.n; i++) {
		char *file SCOPED(mem_freep) = unit_file(r, w->masked.v[i]);

		if (file != NULL && !is_masked(r, w->masked.v[i]))
			strv_addf(r->found, "unit %s is not masked", w->masked.v[i]);
	}
	look_start(r, w);
	return 0;
}

static int put_link(const struct op_run *r, const char *dir, const char *unit, const char *target,
		    struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, unit);
	char *tmp SCOPED(mem_freep) = mem_format(".%s.posmedia", unit);
	char *probe SCOPED(mem_freep) = mem_format("%s/%s", dir, tmp);
	struct buf none SCOPED(buf_release) = BUF_INIT(1);
	const char *name;
	int fd SCOPED(fd_closep) = -1;

	/* writing the temporary file makes the directories on the way */
	if (root_write(r->rootfd, probe, &none, 0644, e) != 0)
		return -1;
	fd = root_parent(r->rootfd, path, &name);
	if (fd < 0 || unlinkat(fd, tmp, 0) != 0 || symlinkat(target, fd, tmp) != 0 ||
	    renameat(fd, tmp, fd, name) != 0)
		return err_sys(e, "/%s: make link", path);
	return 0;
}

static int drop_links(const struct op_run *r, const char *unit, struct err *e)
{
	struct strv links SCOPED(strv_release) = {0};

	if (unit_links(r->rootfd, unit, &links, e) != 0)
		return -1;
	for (size_t i = 0; i < links.n; i++) {
		if (root_remove(r->rootfd, links.v[i], e) != 0)
			return -1;
		strv_addf(r->done, "/%s: removed", links.v[i]);
	}
	return 0;
}

static int enable(const struct op_run *r, const char *unit, struct err *e)
{
	char *file SCOPED(mem_freep) = NULL, *target SCOPED(mem_freep) = NULL;
	struct strv links SCOPED(strv_release) = {0};

	if (unit_links(r->rootfd, unit, &links, e) != 0)
		return -1;
	if (is_masked(r, unit)) {
		char *mask SCOPED(mem_freep) = mem_format("etc/systemd/system/%s", unit);

		if (root_remove(r->rootfd, mask, e) != 0)
			return -1;
		strv_addf(r->done, "unit %s unmasked", unit);
	}
	if (links.n > 0)
		return 0;
	file = unit_file(r, unit);
	if (file == NULL)
		return err_set(e, ERR_FAIL, "there is no unit %s", unit);
	target = mem_format("/%s", file);
	strv_addf(r->done, "unit %s enabled", unit);
	return put_link(r, "etc/systemd/system/multi-user.target.wants", unit, target, e);
}

static int set_start(const struct op_run *r, const struct units *w, struct err *e)
{
	char *is SCOPED(mem_freep) = w->start == NULL ? NULL : start_target(r);
	char *target SCOPED(mem_freep) = NULL;

	if (w->start == NULL || (is != NULL && strcmp(is, w->start) == 0))
		return 0;
	target = mem_format("/usr/lib/systemd/system/%s", w->start);
	strv_addf(r->done, "default.target set to %s", w->start);
	return put_link(r, "etc/systemd/system", "default.target", target, e);
}

static int units_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct units *w = want;

	for (size_t i = 0; i < w->enabled.n; i++)
		if (enable(r, w->enabled.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < w->disabled.n; i++)
		if (drop_links(r, w->disabled.v[i], e) != 0)
			return -1;
	for (size_t i = 0; i < w->masked.n; i++) {
		char *file SCOPED(mem_freep) = unit_file(r, w->masked.v[i]);

		if (file == NULL || is_masked(r, w->masked.v[i]))
			continue;
		if (put_link(r, "etc/systemd/system", w->masked.v[i], "/dev/null", e) != 0)
			return -1;
		strv_addf(r->done, "unit %s masked", w->masked.v[i]);
	}
	return set_start(r, w, e);
}

static char *units_contradicts(const void *a, const void *b)
{
	const struct units *one = a, *other = b;
	const struct units *pairs[2][2] = {{one, other}, {other, one}};

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < pairs[i][0]->enabled.n; k++) {
			const char *unit = pairs[i][0]->enabled.v[k];

			if (strv_has(&pairs[i][1]->disabled, unit) ||
			    strv_has(&pairs[i][1]->masked, unit))
				return mem_format("%s cannot be enabled and not", unit);
		}
	return NULL;
}

const struct op_kind op_units = {
    .name = "units",
    .size = sizeof(struct units),
    .fields = units_fields,
    .check = units_check,
    .contradicts = units_contradicts,
    .fix = units_fix,
};
