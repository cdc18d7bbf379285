/* op_link.c - one symbolic link and where it leads; all of them and whether they lead out of the
 * tree; and entries that no image has: devices, pipes, sockets. */
#include "harden/op.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct link {
	char *path, *set;
	struct strv to; /* patterns */
};

static const struct field link_fields[] = {
    {"path", FIELD_PATH, offsetof(struct link, path), true},
    {"to", FIELD_PATHS, offsetof(struct link, to), true},
    {"set", FIELD_PATH, offsetof(struct link, set), false},
    {0},
};

/* Where the link at path says that it leads; NULL when it is none. The caller owns it. */
static char *target_of(int rootfd, const char *path)
{
	char target[PATH_MAX];
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target));

	return n < 0 || n == sizeof(target) ? NULL : mem_strndup(target, (size_t)n);
}

/* Drops the last component; false when there is none. */
static bool up(struct strv *parts)
{
	if (parts->n == 0)
		return false;
	parts->n--;
	free(parts->v[parts->n]);
	parts->v[parts->n] = NULL;
	return true;
}

/* The path, from the top of the tree, that a link in the directory of `path` names, by the letter:
 * other links on the way are not asked. NULL: it climbs out of the tree. The caller owns it. */
static char *resolve(const char *path, const char *target)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(2 * PATH_MAX);
	struct strv parts SCOPED(strv_release) = {0};
	const char *slash = strrchr(path, '/');

	if (target[0] != '/' && slash != NULL)
		buf_addf(&b, "%.*s/", (int)(slash - path), path);
	buf_addf(&b, "%s", target);
	for (const char *p = b.data; *p != '\0';) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0 && !up(&parts) && target[0] != '/')
			return NULL;
		if (n > 0 && strncmp(p, ".", n) != 0 && strncmp(p, "..", n) != 0)
			strv_take(&parts, mem_strndup(p, n));
		p += n + (p[n] == '/');
	}
	buf_cut(&b, 0);
	for (size_t i = 0; i < parts.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? "/" : "", parts.v[i]);
	return buf_take(&b);
}

static int link_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct link *w = want;
	char *target SCOPED(mem_freep) = target_of(r->rootfd, w->path);
	char *at SCOPED(mem_freep) = target == NULL ? NULL : resolve(w->path, target);

	(void)e;
	if (target == NULL) {
		strv_addf(r->found, "/%s: is no link", w->path);
		return 0;
	}
	for (size_t i = 0; at != NULL && i < w->to.n; i++)
		if (root_match(w->to.v[i], at) && root_has(r->rootfd, at)) {
			if (r->held != NULL)
				strv_addf(r->held, "/%s: leads to /%s", w->path, at);
			return 0;
		}
	strv_addf(r->found, "/%s: leads to %s", w->path, target);
	return 0;
}

static int link_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct link *w = want;
	char *target SCOPED(mem_freep) = mem_format("/%s", w->set == NULL ? "" : w->set);
	char *tmp SCOPED(mem_freep) = mem_format("%s.posmedia", w->path);
	const char *name, *tmp_name = strrchr(tmp, '/') == NULL ? tmp : strrchr(tmp, '/') + 1;
	int fd SCOPED(fd_closep) = -1;

	if (w->set == NULL || !root_has(r->rootfd, w->set))
		return 0;
	fd = root_parent(r->rootfd, w->path, &name);
	if (fd < 0 || symlinkat(target, fd, tmp_name) != 0 || renameat(fd, tmp_name, fd, name) != 0)
		return err_sys(e, "/%s: make link", w->path);
	strv_addf(r->done, "/%s: leads to %s", w->path, target);
	return 0;
}

const struct op_kind op_link = {
    .name = "link",
    .size = sizeof(struct link),
    .fields = link_fields,
    .check = link_check,
    .fix = link_fix,
};

struct links {
	struct strv allow;
};

static const struct field links_fields[] = {
    {"allow", FIELD_PATHS, offsetof(struct links, allow), false},
    {0},
};

static bool is_allowed(const struct strv *patterns, const char *path)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (root_match(patterns->v[i], path))
			return true;
	return false;
}

/* What the kernel mounts at run time, and so is empty in an image. */
static bool is_virtual(const char *path)
{
	static const char *const tops[] = {"dev", "proc", "run", "sys", "tmp"};
	size_t n = strcspn(path, "/");

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (strlen(tops[i]) == n && strncmp(path, tops[i], n) == 0)
			return true;
	return n == 0;
}

/* An absolute link is fine as long as the image has that place: one to the build machine's
 * /work/... has not. */
static void look_at_link(const struct op_run *r, const struct facts_file *f)
{
	char *target SCOPED(mem_freep) = target_of(r->rootfd, f->path);
	char *at SCOPED(mem_freep) = target == NULL ? NULL : resolve(f->path, target);
	char *top SCOPED(mem_freep) = NULL;
	struct stat st;

	if (target == NULL)
		return;
	if (at != NULL && (target[0] != '/' || is_virtual(at)))
		return;
	if (at != NULL) {
		top = mem_strndup(at, strcspn(at, "/"));
		if (root_stat(r->rootfd, top, false, &st) == 1)
			return;
	}
	facts_found(r->facts, f->path);
	strv_addf(r->found, "/%s: leads out of the tree, to %s", f->path, target);
}

static int links_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct links *w = want;
	const struct facts_files *files;

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *f = &files->v[i];

		if (S_ISLNK(f->st.st_mode) && !f->clean && !is_allowed(&w->allow, f->path))
			look_at_link(r, f);
	}
	return 0;
}

const struct op_kind op_links = {
    .name = "links",
    .whole_tree = true,
    .size = sizeof(struct links),
    .fields = links_fields,
    .check = links_check,
};

static const char *special(mode_t m)
{
	if (S_ISCHR(m) || S_ISBLK(m))
		return "a device";
	if (S_ISFIFO(m))
		return "a pipe";
	return S_ISSOCK(m) ? "a socket" : NULL;
}

static int special_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct links *w = want;
	const struct facts_files *files;

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const char *what = special(files->v[i].st.st_mode);

		if (what != NULL && !is_allowed(&w->allow, files->v[i].path))
			strv_addf(r->found, "/%s: is %s", files->v[i].path, what);
	}
	return 0;
}

static int special_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct links *w = want;
	const struct facts_files *files;

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const char *path = files->v[i].path;

		if (special(files->v[i].st.st_mode) == NULL || is_allowed(&w->allow, path))
			continue;
		if (root_remove(r->rootfd, path, e) != 0)
			return -1;
		strv_addf(r->done, "/%s: removed", path);
	}
	return 0;
}

const struct op_kind op_special_files = {
    .name = "special-files",
    .whole_tree = true,
    .size = sizeof(struct links),
    .fields = links_fields,
    .check = special_check,
    .fix = special_fix,
};
