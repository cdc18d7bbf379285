#include "apply/job.h"

#include "base/fault.h"
#include "form/digest.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { VALUE_MAX = 1 << 16 }; /* XATTR_SIZE_MAX of linux/limits.h */

#define ACL_OWN     "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

static void add_text(struct hash *h, const char *s)
{
	hash_add(h, s != NULL ? s : "", s != NULL ? strlen(s) + 1 : 1);
}

struct apply_hash job_attrs_hash(const struct job *j, size_t i)
{
	const struct manifest_entry *en = &j->want->v[i];
	const struct slot *s = &j->slots[i];
	const uint64_t numbers[] = {en->type,
				    en->mode,
				    s->uid,
				    s->gid,
				    en->mtime_ns,
				    (uint64_t)en->mtime,
				    (uint64_t)en->device};
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct apply_hash ret;
	struct digest d;

	hash_add(h, numbers, sizeof(numbers));
	add_text(h, en->target);
	add_text(h, en->acl);
	add_text(h, en->acl_default);
	for (size_t k = 0; k < en->xattrs_n; k++) {
		add_text(h, en->xattrs[k].name);
		hash_add(h, &en->xattrs[k].len, sizeof(en->xattrs[k].len));
		hash_add(h, en->xattrs[k].val, en->xattrs[k].len);
	}
	d = hash_final(h);
	memcpy(&ret, d.b, sizeof(ret));
	return ret;
}

/* Value of an attribute, or -1 and errno; *ret is the caller's. */
static ssize_t get_value(const char *path, const char *name, void **ret)
{
	ssize_t n;

	do {
		n = getxattr(path, name, NULL, 0);
		if (n < 0)
			return -1;
		free(*ret);
		*ret = mem_zalloc((size_t)n);
		n = getxattr(path, name, *ret, (size_t)n);
	} while (n < 0 && errno == ERANGE);
	return n;
}

/* What an entry is being given. */
struct giving {
	struct job *j;
	size_t i;
	const char *path;
	bool changed;
};

/* Whether it is the mode that kept us from it, and does not any more; give_mode sets it later. */
static bool let_in(const struct giving *g)
{
	return errno == EACCES && !g->j->mighty && chmod(g->path, S_IRWXU) == 0;
}

static int set_value(struct giving *g, const char *name, const void *val, size_t n, struct err *e)
{
	g->changed = true;
	if (g->j->o->dry_run || setxattr(g->path, name, val, n, 0) == 0 ||
	    (let_in(g) && setxattr(g->path, name, val, n, 0) == 0))
		return 0;
	(void)job_err(g->j, g->i, name, e);
	if (e->sys == EOPNOTSUPP)
		(void)err_hint(e, "take a file system that keeps such attributes");
	return -1;
}

static int drop_value(struct giving *g, const char *name, struct err *e)
{
	g->changed = true;
	if (g->j->o->dry_run || removexattr(g->path, name) == 0 || errno == ENODATA ||
	    (let_in(g) && removexattr(g->path, name) == 0))
		return 0;
	return job_err(g->j, g->i, name, e);
}

static bool same_acl(const struct giving *g, const char *name, const char *text)
{
	struct buf val SCOPED(buf_release) = BUF_INIT(VALUE_MAX);
	struct buf is SCOPED(buf_release) = BUF_INIT(VALUE_MAX * 64);
	void *p SCOPED(mem_freep) = NULL;
	ssize_t n = get_value(g->path, name, &p);
	struct err e = ERR_INIT;

	if (n < 0)
		return false;
	buf_add(&val, p, (size_t)n);
	return manifest_acl_text(g->j->names, &val, strcmp(name, ACL_OWN) == 0, &is, &e) == 0 &&
	       strcmp(is.data, text) == 0;
}

static int give_acl(struct giving *g, const char *name, const char *text, struct err *e)
{
	struct buf want SCOPED(buf_release) = BUF_INIT(VALUE_MAX);

	if (text == NULL)
		return drop_value(g, name, e);
	if (same_acl(g, name, text))
		return 0;
	if (manifest_acl_value(g->j->names, text, &want, e) != 0)
		return -1;
	return set_value(g, name, want.data, want.len, e);
}

static const struct manifest_xattr *wanted(const struct manifest_entry *en, const char *name)
{
	for (size_t k = 0; k < en->xattrs_n; k++)
		if (strcmp(en->xattrs[k].name, name) == 0)
			return &en->xattrs[k];
	return NULL;
}

static bool has(const char *list, size_t n, const char *name)
{
	for (const char *p = list; p < list + n; p += strlen(p) + 1)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

/* Names of the attributes that an entry has. *ret_n = 0 where there can be none. */
static int list_names(const struct giving *g, char **ret, size_t *ret_n, struct err *e)
{
	ssize_t n;

	do {
		n = listxattr(g->path, NULL, 0);
		if (n <= 0)
			break;
		free(*ret);
		*ret = mem_zalloc((size_t)n + 1);
		n = listxattr(g->path, *ret, (size_t)n);
	} while (n < 0 && errno == ERANGE);
	if (n < 0 && errno != EOPNOTSUPP)
		return job_err(g->j, g->i, "list the attributes of", e);
	*ret_n = n > 0 ? (size_t)n : 0;
	return 0;
}

static int give_xattrs(struct giving *g, const char *list, size_t n, struct err *e)
{
	const struct manifest_entry *en = &g->j->want->v[g->i];

	for (const char *p = list; p < list + n; p += strlen(p) + 1)
		if (manifest_attribute_belongs(p) && wanted(en, p) == NULL &&
		    drop_value(g, p, e) != 0)
			return -1;
	for (size_t k = 0; k < en->xattrs_n; k++) {
		const struct manifest_xattr *x = &en->xattrs[k];
		void *is SCOPED(mem_freep) = NULL;
		ssize_t len = get_value(g->path, x->name, &is);

		if (len >= 0 && (size_t)len == x->len &&
		    (x->len == 0 || memcmp(is, x->val, x->len) == 0))
			continue;
		if (set_value(g, x->name, x->val, x->len, e) != 0)
			return -1;
	}
	return 0;
}

static int give_lists(struct giving *g, struct err *e)
{
	const struct manifest_entry *en = &g->j->want->v[g->i];
	char *list SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (list_names(g, &list, &n, e) != 0 || give_xattrs(g, list, n, e) != 0)
		return -1;
	if ((en->acl != NULL || has(list, n, ACL_OWN)) && give_acl(g, ACL_OWN, en->acl, e) != 0)
		return -1;
	if ((en->acl_default != NULL || has(list, n, ACL_DEFAULT)) &&
	    give_acl(g, ACL_DEFAULT, en->acl_default, e) != 0)
		return -1;
	return 0;
}

static int give_owner(struct giving *g, int fd, const struct stat *st, struct err *e)
{
	const struct slot *s = &g->j->slots[g->i];

	if (st->st_uid == s->uid && st->st_gid == s->gid)
		return 0;
	g->changed = true;
	if (g->j->o->dry_run || fchownat(fd, "", s->uid, s->gid, AT_EMPTY_PATH) == 0)
		return 0;
	return job_err(g->j, g->i, "change the owner of", e);
}

/* The last that changes what a mode says: a new owner clears set-uid, an ACL sets the group's. */
static int give_mode(struct giving *g, const struct stat *st, struct err *e)
{
	const struct manifest_entry *en = &g->j->want->v[g->i];

	if (en->type == MANIFEST_LINK || (!g->changed && (st->st_mode & ALLPERMS) == en->mode))
		return 0;
	if (g->j->o->dry_run || chmod(g->path, en->mode) == 0) {
		g->changed = true;
		return 0;
	}
	return job_err(g->j, g->i, "change the mode of", e);
}

static int give_time(struct giving *g, const struct stat *st, struct err *e)
{
	const struct manifest_entry *en = &g->j->want->v[g->i];
	const struct timespec t[] = {{0, UTIME_OMIT}, {(time_t)en->mtime, (long)en->mtime_ns}};

	if (st->st_mtim.tv_sec == t[1].tv_sec && st->st_mtim.tv_nsec == t[1].tv_nsec)
		return 0;
	g->changed = true;
	if (g->j->o->dry_run || utimensat(AT_FDCWD, g->path, t, 0) == 0)
		return 0;
	return job_err(g->j, g->i, "change the time of", e);
}

int job_attrs(struct job *j, size_t i, int fd, const struct stat *st, struct err *e)
{
	const struct job_fd_path path = job_fd_path(fd);
	struct giving g = {j, i, path.s, false};

	if (give_owner(&g, fd, st, e) != 0 || give_lists(&g, e) != 0 || give_mode(&g, st, e) != 0 ||
	    give_time(&g, st, e) != 0)
		return -1;
	if (g.changed)
		job_changed(j, i);
	fault_point("attributes");
	return 0;
}

int job_remember(struct job *j, size_t i, int fd, struct err *e)
{
	struct apply_record *r = &j->records[i];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return job_err(j, i, "stat", e);
	memory_stat(r, &st);
	r->attrs = job_attrs_hash(j, i);
	return 0;
}
