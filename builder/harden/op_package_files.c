/* op_package_files.c - what packages brought is as they brought it, and nothing lies beside it that
 * neither they nor the recipe did. */
#include "harden/brought.h"

#include "base/map.h"
#include "form/digest.h"
#include "form/md5.h"
#include "package/package.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of its lists: what is not clean there makes all of it be looked at again. */
#define LISTS "var/lib/dpkg/info/"

struct package_files {
	struct strv paths;    /* directories that are packages' own */
	struct strv allow;    /* patterns: what programs generate there */
	struct strv left_out; /* patterns: what an image may lack */
};

static const struct field package_files_fields[] = {
    {"paths", FIELD_PATHS, offsetof(struct package_files, paths), true},
    {"allow", FIELD_PATHS, offsetof(struct package_files, allow), false},
    {"left-out", FIELD_PATHS, offsetof(struct package_files, left_out), false},
    {0},
};

enum verdict { SAME, OTHER, UNREAD };

/* A file with a digest to compare with. */
struct item {
	size_t i; /* in the list of files */
	const char *path, *sum;
	enum verdict is;
};

struct look {
	const struct op_run *r;
	const struct package_files *w;
	const struct facts_files *files;
	struct map owned, sums;
	struct strv names;
	struct brought brought;
	struct map seen; /* paths of sums that the tree has */
	struct item *items;
	size_t items_n;
};

static void look_release(struct look *k)
{
	map_release(&k->owned, NULL);
	map_release(&k->sums, free);
	map_release(&k->seen, NULL);
	strv_release(&k->names);
	brought_release(&k->brought);
	free(k->items);
}

static bool matches(const struct strv *patterns, const char *path)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (root_match(patterns->v[i], path))
			return true;
	return false;
}

static bool is_managed(const struct package_files *w, const char *path)
{
	for (size_t i = 0; i < w->paths.n; i++) {
		size_t n = strlen(w->paths.v[i]);

		if (strncmp(path, w->paths.v[i], n) == 0 && path[n] == '/')
			return true;
	}
	return false;
}

/* Whether anything is new where packages have theirs, or in what they say of themselves. */
static bool has_news(const struct package_files *w, const struct facts_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *f = &files->v[i];

		if (f->clean || S_ISDIR(f->st.st_mode))
			continue;
		if (strncmp(f->path, LISTS, strlen(LISTS)) == 0 ||
		    (is_managed(w, f->path) && !matches(&w->allow, f->path)))
			return true;
	}
	return false;
}

static void compare(void *ctx, size_t n)
{
	struct look *k = ctx;
	struct item *it = &k->items[n];
	int fd SCOPED(fd_closep) = -1;
	struct err ignored = ERR_INIT;
	char md5[MD5_HEX + 1];
	struct digest d;
	struct stat st;

	if (it->is == SAME || intr_pending())
		return;
	fd = root_open(k->r->rootfd, it->path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (strlen(it->sum) == MD5_HEX && fstat(fd, &st) == 0 &&
	    md5_part(fd, 0, (uint64_t)st.st_size, md5, &ignored) == 0 && *md5 != '\0')
		it->is = strcmp(md5, it->sum) == 0 ? SAME : OTHER;
	else if (strlen(it->sum) == DIGEST_HEX && digest_fd(fd, &d, NULL, &ignored) == 0)
		it->is = strcmp(digest_hex(&d).s, it->sum) == 0 ? SAME : OTHER;
}

/* A link that alternatives or the masking of a unit made. */
static bool is_made_link(const struct op_run *r, const struct facts_file *f)
{
	static const char alternatives[] = "/etc/alternatives/";
	char target[64];
	const char *name;
	int fd SCOPED(fd_closep) = -1;
	ssize_t n;

	if (!S_ISLNK(f->st.st_mode))
		return false;
	fd = root_parent(r->rootfd, f->path, &name);
	n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strncmp(target, alternatives, strlen(alternatives)) == 0 ||
	       strcmp(target, "/dev/null") == 0;
}

static void find(struct look *k, const char *path, const char *what, const char *package)
{
	if (brought_has(k->r, &k->brought, path)) {
		if (k->r->held != NULL)
			strv_addf(k->r->held, "/%s: of the recipe", path);
		return;
	}
	facts_found(k->r->facts, path);
	strv_addf(k->r->found, "/%s: %s%s%s", path, what, package,
		  brought_claim(k->r, &k->brought, path));
}

/* Files that are no package's. */
static void find_extra(struct look *k)
{
	for (size_t i = 0; i < k->files->n; i++) {
		const struct facts_file *f = &k->files->v[i];

		if (f->clean || S_ISDIR(f->st.st_mode) || !is_managed(k->w, f->path) ||
		    map_has(&k->owned, f->path) || matches(&k->w->allow, f->path) ||
		    is_made_link(k->r, f))
			continue;
		find(k, f->path, "is of no package", "");
	}
}

static void find_changed(struct look *k)
{
	k->items = mem_zalloc((k->files->n + 1) * sizeof(*k->items));
	for (size_t i = 0; i < k->files->n; i++) {
		const struct facts_file *f = &k->files->v[i];
		const char *sum = S_ISREG(f->st.st_mode) ? map_get(&k->sums, f->path) : NULL;

		if (sum != NULL)
			(void)map_put(&k->seen, f->path, NULL);
		if (sum != NULL && !f->clean)
			k->items[k->items_n++] =
			    (struct item){i, f->path, sum, f->known ? SAME : UNREAD};
	}
	par_each(k->items_n, 0, compare, k);
	for (size_t i = 0; i < k->items_n; i++) {
		const struct item *it = &k->items[i];
		const char *package = map_get(&k->owned, it->path);

		if (it->is == SAME)
			facts_known(k->r->facts, it->i);
		else
			find(k, it->path,
			     it->is == OTHER ? "is not as it comes in package "
					     : "cannot be compared with package ",
			     package != NULL ? package : "?");
	}
}

/* Files that a package lists and the tree has not. Found again by its list. */
static void find_missing(struct look *k)
{
	const char **paths SCOPED(mem_freep) = map_keys(&k->sums);

	for (size_t i = 0; i < k->sums.n; i++) {
		const char *package = map_get(&k->owned, paths[i]);
		char *list SCOPED(mem_freep) = NULL;
		struct stat st;

		if (map_has(&k->seen, paths[i]) || matches(&k->w->left_out, paths[i]) ||
		    root_stat(k->r->rootfd, paths[i], false, &st) == 1 ||
		    brought_has(k->r, &k->brought, paths[i]))
			continue;
		list = mem_format(LISTS "%s.list", package != NULL ? package : "");
		facts_found(k->r->facts, list);
		strv_addf(k->r->found, "/%s: of package %s is missing", paths[i],
			  package != NULL ? package : "?");
	}
}

static const char *package_files_lacks(const struct op_run *r, const void *want)
{
	(void)want;
	return root_has(r->rootfd, "var/lib/dpkg/info") || root_has(r->rootfd, "var/lib/rpm") ||
		       root_has(r->rootfd, "usr/lib/sysimage/rpm")
		   ? NULL
		   : "there are no lists of packages' files";
}

static int package_files_check(const struct op_run *r, const void *want, struct err *e)
{
	struct look k SCOPED(look_release) = {.r = r, .w = want};

	if (facts_files(r->facts, &k.files, e) != 0)
		return -1;
	if (!has_news(k.w, k.files))
		return 0;
	if (package_sums(r->rootfd, &k.owned, &k.sums, &k.names, e) != 0 ||
	    brought_read(r, &k.brought, e) != 0)
		return -1;
	find_extra(&k);
	find_changed(&k);
	if (intr_pending())
		return intr_err(e);
	find_missing(&k);
	if (r->held != NULL)
		strv_addf(r->held, "%zu files as their packages have them", k.items_n);
	return 0;
}

const struct op_kind op_package_files = {
    .name = "package-files",
    .whole_tree = true,
    .size = sizeof(struct package_files),
    .fields = package_files_fields,
    .lacks = package_files_lacks,
    .check = package_files_check,
};
