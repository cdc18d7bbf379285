/* glob.c - patterns over the paths of a root tree. */
#include "harden/root.h"

#include "base/glob.h"
#include "sys/fs.h"
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GLOB_DEPTH_MAX = 64, GLOB_MATCHES_MAX = 200000, GLOB_KEPT_MAX = 32 };

/* What a directory had when one of the patterns first asked for it. */
struct listing {
	char *dir;
	struct fs_names names;
};

/* The patterns of one call share listings: a dozen of them look into the same few directories. */
struct glob {
	int rootfd;
	unsigned depth;
	struct strv *ret;
	struct listing kept[GLOB_KEPT_MAX];
	size_t n_kept;
};

static int expand(struct glob *g, const char *dir, const char *pattern, struct err *e);

static bool has_meta(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

static char *below(const char *dir, const char *name)
{
	return *dir == '\0' ? mem_strdup(name) : mem_format("%s/%s", dir, name);
}

/* Goes on behind one component that is `path` now; listed: its directory says that it is there. */
static int step(struct glob *g, const char *path, bool listed, const char *rest, struct err *e)
{
	struct stat st;

	if (*rest != '\0')
		return expand(g, path, rest, e);
	if (listed || root_stat(g->rootfd, path, false, &st) == 1)
		strv_add(g->ret, path);
	if (g->ret->n > GLOB_MATCHES_MAX)
		return err_set(e, ERR_FAIL, "%s: too many files match", path);
	return 0;
}

static int list(struct glob *g, const char *dir, struct fs_names *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(g->rootfd, dir, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? 0 : fs_list_types(fd, ret, e);
}

/* The names below a directory, kept with the others while there is room, else in `own`. */
static const struct fs_names *names_of(struct glob *g, const char *dir, struct fs_names *own,
				       struct err *e)
{
	struct fs_names *names = own;

	for (size_t i = 0; i < g->n_kept; i++)
		if (strcmp(g->kept[i].dir, dir) == 0)
			return &g->kept[i].names;
	if (g->n_kept < GLOB_KEPT_MAX) {
		g->kept[g->n_kept].dir = mem_strdup(dir);
		names = &g->kept[g->n_kept++].names;
	}
	return list(g, dir, names, e) == 0 ? names : NULL;
}

static void release(struct glob *g)
{
	for (size_t i = 0; i < g->n_kept; i++) {
		free(g->kept[i].dir);
		fs_names_release(&g->kept[i].names);
	}
}

static bool is_dir(const struct glob *g, const char *path, unsigned char type)
{
	struct stat st;

	if (type != DT_UNKNOWN)
		return type == DT_DIR;
	return root_stat(g->rootfd, path, false, &st) == 1 && S_ISDIR(st.st_mode);
}

static int expand_deep(struct glob *g, const char *dir, const char *rest, struct err *e)
{
	struct fs_names names SCOPED(fs_names_release) = {0};

	if (expand(g, dir, rest, e) != 0 || list(g, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = below(dir, names.v[i].name);

		if (!is_dir(g, path, names.v[i].type))
			continue;
		if (++g->depth > GLOB_DEPTH_MAX)
			return err_set(e, ERR_FAIL, "%s: nested too deep", path);
		if (expand_deep(g, path, rest, e) != 0)
			return -1;
		g->depth--;
	}
	return 0;
}

/* Whether there can be something below, as its directory has it: a link may lead to one. */
static bool may_lead_on(unsigned char type)
{
	return type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN;
}

static int expand_meta(struct glob *g, const char *dir, const char *part, const char *rest,
		       struct err *e)
{
	struct fs_names own SCOPED(fs_names_release) = {0};
	const struct fs_names *names = names_of(g, dir, &own, e);

	if (names == NULL)
		return -1;
	for (size_t i = 0; i < names->n; i++) {
		char *path SCOPED(mem_freep) = NULL;

		if ((*rest != '\0' && !may_lead_on(names->v[i].type)) ||
		    fnmatch(part, names->v[i].name, FNM_PERIOD) != 0)
			continue;
		path = below(dir, names->v[i].name);
		if (step(g, path, true, rest, e) != 0)
			return -1;
	}
	return 0;
}

static int expand(struct glob *g, const char *dir, const char *pattern, struct err *e)
{
	size_t n = strcspn(pattern, "/");
	const char *rest = pattern + n + strspn(pattern + n, "/");
	char *part SCOPED(mem_freep) = mem_strndup(pattern, n);
	char *path SCOPED(mem_freep) = NULL;

	if (strcmp(part, "**") == 0)
		return expand_deep(g, dir, *rest == '\0' ? "*" : rest, e);
	if (has_meta(part))
		return expand_meta(g, dir, part, rest, e);
	path = below(dir, part);
	return step(g, path, false, rest, e);
}

int root_globs(int rootfd, const struct strv *patterns, struct strv *ret, struct err *e)
{
	struct glob g = {.rootfd = rootfd, .ret = ret};
	int rc = 0;

	for (size_t i = 0; i < patterns->n && rc == 0; i++) {
		const char *pattern = patterns->v[i];

		g.depth = 0;
		rc = expand(&g, "", pattern + strspn(pattern, "/"), e);
	}
	release(&g);
	strv_sort(ret);
	strv_uniq(ret);
	return rc;
}

int root_glob(int rootfd, const char *pattern, struct strv *ret, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0}, one SCOPED(strv_release) = {0};

	strv_add(&one, pattern);
	if (root_globs(rootfd, &one, &found, e) != 0)
		return -1;
	strv_extend(ret, &found);
	return 0;
}

bool root_match(const char *pattern, const char *path)
{
	char *full SCOPED(mem_freep) = NULL;

	if (strncmp(pattern, "**/", 3) != 0)
		return glob_match(pattern, path);
	/* with its leading slash, so that it matches at the top too */
	full = mem_format("/%s", path);
	return glob_match(pattern, full);
}
