/* put.c - files of the host that are written, and what others have written there before. */
#include "host/parts.h"

#include "form/digest.h"
#include "harden/root.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEX_SHOWN = 12 };

void host_put_release(struct host_put *p)
{
	buf_release(&p->wrote);
	buf_release(&p->left);
}

void host_add(struct buf *list, const char *fmt, ...)
{
	va_list ap;
	char *one SCOPED(mem_freep) = NULL;

	va_start(ap, fmt);
	one = mem_vformat(fmt, ap);
	va_end(ap);
	buf_addf(list, "%s%s", list->len == 0 ? "" : ", ", one);
}

void host_put_end(const struct host *h, struct host_item *i, const struct host_put *p,
		  const char *all, const char *verb)
{
	const char *wrote = p->wrote.data, *left = p->left.data;
	bool both = p->wrote.len > 0 && p->left.len > 0;

	if (p->wrote.len > 0 && !h->o->check)
		i->did = mem_format("%s %s", verb, wrote);
	if (p->wrote.len == 0 && p->left.len == 0) {
		(void)host_found(i, HOST_OK, "%s", all);
		return;
	}
	(void)host_found(i, p->left.len > 0 || h->o->check ? HOST_WANTED : HOST_CHANGED, "%s%s%s%s",
			 p->wrote.len > 0 ? "not so: " : "", p->wrote.len > 0 ? wrote : "",
			 both ? "; " : "", p->left.len > 0 ? left : "");
}

/* Notes a link or an empty file. Returns whether it is one. */
static bool is_decided(const struct host *h, const char *path, const struct stat *st,
		       struct buf *left)
{
	char target[PATH_MAX];
	const char *name;
	int fd SCOPED(fd_closep) = -1;
	ssize_t n;

	if (S_ISREG(st->st_mode) && st->st_size == 0)
		host_add(left, "/%s is empty", path);
	if (!S_ISLNK(st->st_mode))
		return S_ISREG(st->st_mode) && st->st_size == 0;
	fd = root_parent(h->rootfd, path, &name);
	n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	host_add(left, "/%s is a link to %s", path, target);
	return true;
}

/* 1 when dir/name has this text, 0 when there is nothing, -1 when it is something else. */
static int holds(int dir, const char *name, const struct buf *text)
{
	struct buf have SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	struct err why = ERR_INIT;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return S_ISREG(st.st_mode) && fs_get_file(dir, name, &have, &why) == 0 &&
		       have.len == text->len && memcmp(have.data, text->data, have.len) == 0
		   ? 1
		   : -1;
}

/* Keeps the text beside it; a copy that is there is not written over. *ret_name is the copy's. */
static int keep(int dir, const char *name, const struct buf *text, char **ret_name, struct err *e)
{
	struct digest d = digest_of(text->data, text->len);
	char *copy SCOPED(mem_freep) = mem_format("%s.old", name);

	if (holds(dir, copy, text) < 0) {
		free(copy);
		copy = mem_format("%s.old-%.*s", name, HEX_SHOWN, digest_hex(&d).s);
	}
	if (holds(dir, copy, text) != 1 && fs_put(dir, copy, text->data, text->len, 0600, e) != 0)
		return -1;
	*ret_name = STEAL(copy);
	return 0;
}

static int write_it(const struct host *h, const struct host_text *t, const struct buf *before,
		    char **ret_kept, struct err *e)
{
	int dir SCOPED(fd_closep) = -1;

	if (fs_mkdirs_in_root(h->rootfd, t->dir, 0755, NULL, e) != 0 ||
	    fs_open_in_root(h->rootfd, t->dir, O_RDONLY | O_DIRECTORY, &dir, e) != 0 ||
	    (before != NULL && keep(dir, t->name, before, ret_kept, e) != 0))
		return -1;
	return fs_put(dir, t->name, t->p, t->n, 0644, e);
}

static bool is_same(const struct host_text *t, const struct buf *have)
{
	return have->len == t->n && memcmp(have->data, t->p, t->n) == 0;
}

int host_put(const struct host *h, const struct host_text *t, struct host_put *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", t->dir + 1, t->name);
	char *kept SCOPED(mem_freep) = NULL;
	struct buf have SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	struct stat st = {0};
	bool there = root_stat(h->rootfd, path, false, &st) == 1, same;

	if (there && is_decided(h, path, &st, &ret->left))
		return 0;
	if (there && !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "/%s is no file", path);
	if (there && root_read(h->rootfd, path, &have, NULL, e) != 0)
		return -1;
	same = there && is_same(t, &have);
	if (same && (st.st_mode & 07777) == 0644)
		return 0;
	if (!h->o->check && write_it(h, t, there && !same ? &have : NULL, &kept, e) != 0)
		return -1;
	if (kept != NULL)
		host_add(&ret->wrote, "/%s (before: %s)", path, kept);
	else
		host_add(&ret->wrote, "/%s", path);
	return 0;
}
