/* seen.c - digests that were computed before. The file: a head of eight bytes, the records in
 * order, all of this machine's byte order, and the SHA-256 of both. */
#include "manifest/parts.h"

#include "base/log.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 8, SETTLED_S = 2 };

static const char head[HEAD + 1] = "pm-seen1";

struct manifest_seen {
	struct seen_file *v; /* by device and inode, each once */
	size_t n;
	bool *met;       /* by a making since it was loaded */
	int64_t begun_s; /* the last making */
	bool settled;
	struct seen_file *noted;
	size_t noted_n, noted_cap;
	pthread_mutex_t lock; /* of noted */
};

void manifest_seen_free(struct manifest_seen *s)
{
	if (s == NULL)
		return;
	free(s->v);
	free(s->met);
	free(s->noted);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

void seen_of(const struct stat *st, struct seen_file *ret)
{
	*ret = (struct seen_file){
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = (uint64_t)st->st_size,
	    .mtime = st->st_mtim.tv_sec,
	    .ctime = st->st_ctim.tv_sec,
	    .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	    .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
	};
}

static int by_inode(const void *a, const void *b)
{
	const struct seen_file *x = a, *y = b;
	int c = (x->dev > y->dev) - (x->dev < y->dev);

	return c != 0 ? c : (x->ino > y->ino) - (x->ino < y->ino);
}

static const struct seen_file *find(const struct manifest_seen *s, const struct seen_file *f)
{
	return s->n == 0 ? NULL : bsearch(f, s->v, s->n, sizeof(*s->v), by_inode);
}

bool seen_find(const struct manifest_seen *s, struct seen_file *f)
{
	const struct seen_file *have = find(s, f);

	if (have == NULL || have->size != f->size || have->mtime != f->mtime ||
	    have->mtime_ns != f->mtime_ns || have->ctime != f->ctime ||
	    have->ctime_ns != f->ctime_ns)
		return false;
	f->digest = have->digest;
	return true;
}

void manifest_seen_note(struct manifest_seen *s, const struct stat *st, const struct digest *d)
{
	struct seen_file *f;

	(void)pthread_mutex_lock(&s->lock);
	if (s->noted_n == s->noted_cap) {
		s->noted_cap = s->noted_cap * 2 + 64;
		s->noted = mem_resize(s->noted, s->noted_cap, sizeof(*s->noted));
	}
	f = &s->noted[s->noted_n++];
	seen_of(st, f);
	f->digest = *d;
	(void)pthread_mutex_unlock(&s->lock);
}

void seen_add(struct manifest_seen *s, const struct seen_file *v, size_t n)
{
	struct seen_file *fresh = mem_resize(NULL, n + s->n + 1, sizeof(*fresh)), *all;
	bool *met = mem_zalloc(n + s->n + 1);
	size_t fresh_n = 0, all_n = 0, a = 0, b = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].ctime <= s->begun_s - SETTLED_S)
			fresh[fresh_n++] = v[i];
	qsort(fresh, fresh_n, sizeof(*fresh), by_inode);
	all = mem_resize(NULL, fresh_n + s->n + 1, sizeof(*all));
	while (a < fresh_n || b < s->n) {
		int c = a == fresh_n ? 1 : b == s->n ? -1 : by_inode(&fresh[a], &s->v[b]);

		met[all_n] = c <= 0 || s->met[b];
		all[all_n++] = c <= 0 ? fresh[a++] : s->v[b];
		b += c >= 0 ? 1 : 0;
	}
	free(fresh);
	free(s->v);
	free(s->met);
	s->v = all;
	s->met = met;
	s->n = all_n;
}

/* What was read after the last making is as good as what was read in it. */
static void take_noted(struct manifest_seen *s)
{
	if (s->settled && s->noted_n > 0)
		seen_add(s, s->noted, s->noted_n);
	s->noted_n = 0;
}

void seen_begin(struct manifest_seen *s, int64_t begun_s, bool settled)
{
	take_noted(s);
	s->begun_s = begun_s;
	s->settled = settled;
}

/* Whether nobody but us can have written it. */
static bool is_ours(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool in_order(const struct manifest_seen *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (by_inode(&s->v[i - 1], &s->v[i]) >= 0)
			return false;
	return true;
}

static bool load(int fd, size_t n, struct manifest_seen *s, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct digest want, is;
	char have[HEAD];

	s->v = mem_resize(s->v, n + 1, sizeof(*s->v));
	if (fs_read_all(fd, have, HEAD, e) != 0 ||
	    fs_read_all(fd, s->v, n * sizeof(*s->v), e) != 0 ||
	    fs_read_all(fd, &want, sizeof(want), e) != 0)
		return false;
	hash_add(h, have, HEAD);
	hash_add(h, s->v, n * sizeof(*s->v));
	is = hash_final(h);
	s->n = n;
	return memcmp(have, head, HEAD) == 0 && digest_equal(&is, &want) && in_order(s);
}

int manifest_seen_load(int dirfd, const char *name, struct manifest_seen **ret, struct err *e)
{
	struct manifest_seen *s = mem_zalloc(sizeof(*s));
	int fd SCOPED(fd_closep) =
	    name == NULL ? -1 : openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const size_t frame = HEAD + sizeof(struct digest);
	struct err why = ERR_INIT;
	struct stat st = {0};
	size_t n;

	(void)pthread_mutex_init(&s->lock, NULL);
	if (fd < 0 && name != NULL && errno != ENOENT && errno != ELOOP) {
		manifest_seen_free(s);
		return err_sys(e, "open %s", name);
	}
	n = fd >= 0 && is_ours(fd, &st) && (size_t)st.st_size > frame
		? ((size_t)st.st_size - frame) / sizeof(*s->v)
		: 0;
	if (n > 0 && (n > ENTRIES_MAX || (size_t)st.st_size != frame + n * sizeof(*s->v) ||
		      !load(fd, n, s, &why))) {
		log_debug("%s is damaged: all is read again", name);
		s->n = 0;
	}
	s->met = mem_zalloc(s->n + 1);
	*ret = s;
	return 0;
}

static int fill(void *ctx, int fd, struct err *e)
{
	const struct manifest_seen *s = ctx;
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct digest is;

	hash_add(h, head, HEAD);
	if (fs_write_all(fd, head, HEAD, e) != 0)
		return -1;
	for (size_t from = 0, to; from < s->n; from = to) {
		to = from;
		while (to < s->n && s->met[to])
			to++;
		hash_add(h, &s->v[from], (to - from) * sizeof(*s->v));
		if (fs_write_all(fd, &s->v[from], (to - from) * sizeof(*s->v), e) != 0)
			return -1;
		while (to < s->n && !s->met[to])
			to++;
	}
	is = hash_final(h);
	return fs_write_all(fd, &is, sizeof(is), e);
}

int manifest_seen_save(struct manifest_seen *s, int dirfd, const char *name, struct err *e)
{
	take_noted(s);
	return fs_put_with(dirfd, name, 0600, &(struct fs_filler){.fill = fill, .ctx = s}, e);
}
