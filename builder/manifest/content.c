/* content.c - what is in an entry: digest, target, ACL and attributes, by any thread. */
#include "manifest/making.h"

#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 256 << 10,
	READINGS = 3,
	HOLE = 4096,
	LARGE = 1 << 20,
	TELL_FILES = 256,
	TELL_BYTES = 8 << 20,
};

struct desk {
	struct desk *next;
	struct hash *hash;
	char *chunk;
};

static struct desk *take_desk(struct making *k)
{
	struct desk *d;

	(void)pthread_mutex_lock(&k->lock);
	d = k->desks;
	if (d != NULL)
		k->desks = d->next;
	(void)pthread_mutex_unlock(&k->lock);
	if (d != NULL)
		return d;
	d = mem_zalloc(sizeof(*d));
	d->hash = hash_new();
	d->chunk = mem_zalloc(CHUNK);
	return d;
}

static void give_desk(struct making *k, struct desk *d)
{
	(void)pthread_mutex_lock(&k->lock);
	d->next = k->desks;
	k->desks = d;
	(void)pthread_mutex_unlock(&k->lock);
}

void making_desks_free(struct making *k)
{
	while (k->desks != NULL) {
		struct desk *d = k->desks;

		k->desks = d->next;
		hash_free(d->hash);
		free(d->chunk);
		free(d);
	}
}

static char *name_of(struct making *k, const char *name, uint32_t id)
{
	char *number SCOPED(mem_freep) = name == NULL ? mem_format("%u", id) : NULL;

	return strings_same(k->m.strings, name != NULL ? name : number);
}

void making_stat(struct making *k, struct manifest_entry *en, struct item *it,
		 const struct stat *st)
{
	if (en->user == NULL || it->uid != st->st_uid)
		en->user = name_of(k, manifest_names_user(k->names, st->st_uid), st->st_uid);
	if (en->group == NULL || it->gid != st->st_gid)
		en->group = name_of(k, manifest_names_group(k->names, st->st_gid), st->st_gid);
	it->uid = st->st_uid;
	it->gid = st->st_gid;
	seen_of(st, &it->file);
	en->mode = st->st_mode & 07777;
	en->mtime = st->st_mtim.tv_sec;
	en->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	if (en->type == MANIFEST_FILE)
		en->size = (uint64_t)st->st_size;
	if (en->type == MANIFEST_CHAR || en->type == MANIFEST_BLOCK)
		en->device = st->st_rdev;
}

/* More of how far it is; files may be 0. A part that is read again is taken back by bytes < 0. */
static void tell(struct making *k, uint64_t files, int64_t bytes)
{
	struct manifest_progress *p = &k->p;

	(void)pthread_mutex_lock(&k->lock);
	p->files += files;
	p->bytes = (uint64_t)((int64_t)p->bytes + bytes);
	if (k->told.bytes > p->bytes)
		k->told.bytes = p->bytes;
	if (k->o->progress != NULL &&
	    (p->files >= k->told.files + TELL_FILES || p->bytes >= k->told.bytes + TELL_BYTES ||
	     p->files == p->files_total)) {
		k->told = *p;
		k->o->progress(k->o->ctx, p);
	}
	(void)pthread_mutex_unlock(&k->lock);
}

struct look {
	struct making *k;
	struct desk *d;
	struct manifest_entry *en;
	struct item *it;
	int fd;
	bool path_only;
};

static int hash_all(const struct look *l, uint64_t *ret_n, struct err *e)
{
	const int fd = l->fd;
	struct desk *d = l->d;
	struct making *k = l->k;
	uint64_t at = 0, told = 0;

	/* what an earlier file's failed reading left */
	(void)hash_final(d->hash);
	for (;;) {
		ssize_t n = pread(fd, d->chunk, CHUNK, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		if (intr_pending())
			return intr_err(e);
		if (n == 0)
			break;
		hash_add(d->hash, d->chunk, (size_t)n);
		at += (uint64_t)n;
		if (at - told >= TELL_BYTES) {
			tell(k, 0, (int64_t)(at - told));
			told = at;
		}
	}
	tell(k, 0, (int64_t)(at - told));
	*ret_n = at;
	return 0;
}

static uint64_t count_holes(int fd, const struct stat *st)
{
	off_t end = st->st_size, at = 0;
	uint64_t sum = 0;

	if ((uint64_t)st->st_blocks * 512 >= (uint64_t)end)
		return 0;
	while (at < end) {
		off_t hole = lseek(fd, at, SEEK_HOLE);

		if (hole < 0 || hole >= end)
			break;
		at = lseek(fd, hole, SEEK_DATA);
		if (at < 0)
			at = end;
		sum += (uint64_t)(at - hole) / HOLE * HOLE;
	}
	return sum;
}

/* Opens nothing but what the walk has seen there, not through a link, and does not wait for what
 * came in its place. */
static int open_entry(const struct making *k, const char *path, int flags)
{
	const struct open_how how = {
	    .flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
	    .resolve = RESOLVE_NO_SYMLINKS,
	};

	return fs_openat2(k->dirfd, path[0] == '\0' ? "." : path, &how);
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	struct seen_file x, y;

	seen_of(a, &x);
	seen_of(b, &y);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* An attribute that was listed and then is not there is a change like others. */
static int attributes(const struct look *l, struct err *e)
{
	const struct attributes_from from = {
	    .fd = l->fd,
	    .path_only = l->path_only,
	    .names = l->k->names,
	    .strings = l->k->m.strings,
	};

	return attributes_read(&from, l->en, e);
}

static int fits_line(const struct manifest_entry *en, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	if (en->xattrs_n == 0 && en->acl == NULL && en->acl_default == NULL)
		return 0;
	text_entry(&b, en);
	return buf_over(&b) ? err_set(e, ERR_FAIL, "more attributes than a line of 1 MiB holds")
			    : 0;
}

static bool remembered(const struct look *l)
{
	l->en->unread = false;
	if (l->k->o->seen == NULL || !seen_find(l->k->o->seen, &l->it->file))
		return false;
	l->en->digest = l->it->file.digest;
	return true;
}

/* The content once. *ret_same: nothing changed meanwhile. */
static int read_once(const struct look *l, bool *ret_same, struct err *e)
{
	struct stat before, after;
	uint64_t n = 0;
	bool known;

	if (fstat(l->fd, &before) != 0)
		return err_sys(e, "stat");
	making_stat(l->k, l->en, l->it, &before);
	known = remembered(l);
	if (known || l->k->o->later) {
		l->en->unread = !known;
		n = l->en->size;
	} else if (l->k->o->vouch != NULL &&
		   l->k->o->vouch(l->k->o->ctx, l->fd, &before, &l->en->digest)) {
		n = l->en->size;
		tell(l->k, 0, (int64_t)n);
	} else {
		if (hash_all(l, &n, e) != 0)
			return -1;
		l->en->digest = hash_final(l->d->hash);
	}
	l->en->holes = count_holes(l->fd, &before);
	if (attributes(l, e) != 0 && e->sys != ENODATA)
		return -1;
	if (fstat(l->fd, &after) != 0)
		return err_sys(e, "stat");
	*ret_same = same_state(&before, &after) && n == l->en->size;
	making_stat(l->k, l->en, l->it, &after);
	l->en->size = n;
	if (known || l->k->o->later)
		tell(l->k, 0, (int64_t)n);
	if (*ret_same && known)
		(void)__atomic_add_fetch(&l->k->m.remembered, 1, __ATOMIC_RELAXED);
	return 0;
}

static int read_file(const struct look *l, struct err *e)
{
	bool same = false;

	for (int i = 0; i < READINGS && !same; i++) {
		if (i > 0)
			tell(l->k, 0, -(int64_t)l->en->size);
		if (i == 1)
			(void)__atomic_add_fetch(&l->k->m.reread, 1, __ATOMIC_RELAXED);
		if (read_once(l, &same, e) != 0)
			return -1;
	}
	l->it->unsteady = !same;
	tell(l->k, 1, 0);
	return fits_line(l->en, e);
}

static int read_other(const struct look *l, struct err *e)
{
	char target[4097];
	struct stat st;
	ssize_t n;

	if (fstat(l->fd, &st) != 0)
		return err_sys(e, "stat");
	if (l->en->type == MANIFEST_DIR) {
		struct seen_file now;

		seen_of(&st, &now);
		l->it->unsteady = memcmp(&now, &l->it->file, sizeof(now)) != 0;
	}
	making_stat(l->k, l->en, l->it, &st);
	if (l->en->type == MANIFEST_LINK) {
		n = readlinkat(l->fd, "", target, sizeof(target));
		if (n <= 0 || n == sizeof(target))
			return n < 0 ? err_sys(e, "read the link")
				     : err_set(e, ERR_FAIL, "a link of no known form");
		l->en->target = strings_copy(l->k->m.strings, target, (size_t)n);
	}
	if (attributes(l, e) != 0) {
		if (e->sys != ENODATA)
			return -1;
		l->it->unsteady = true;
	}
	return fits_line(l->en, e);
}

static int flags_for(enum manifest_type t)
{
	return t == MANIFEST_FILE  ? O_RDONLY | O_NONBLOCK | O_NOCTTY
	       : t == MANIFEST_DIR ? O_RDONLY | O_DIRECTORY
				   : O_PATH;
}

/* Whether the descriptor is of what the walk has seen: the same type is enough, for a name that was
 * given to a new file is as good as the file that changed. */
static bool is_such(int fd, const struct manifest_entry *en)
{
	static const mode_t formats[] = {
	    [MANIFEST_DIR] = S_IFDIR,  [MANIFEST_FILE] = S_IFREG, [MANIFEST_LINK] = S_IFLNK,
	    [MANIFEST_FIFO] = S_IFIFO, [MANIFEST_CHAR] = S_IFCHR, [MANIFEST_BLOCK] = S_IFBLK,
	};
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == formats[en->type];
}

static int read_entry(struct making *k, struct desk *d, size_t i, struct err *e)
{
	struct look l = {.k = k, .d = d, .en = &k->m.v[i], .it = &k->items[i]};
	int fd SCOPED(fd_closep) = open_entry(k, l.en->path, flags_for(l.en->type));

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return err_sys(e, "open");
	if (fd < 0 || !is_such(fd, l.en)) {
		l.it->gone = true;
		return 0;
	}
	l.fd = fd;
	if (l.en->type == MANIFEST_FILE) {
		if (l.en->size >= LARGE)
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return read_file(&l, e);
	}
	l.path_only = l.en->type != MANIFEST_DIR;
	return read_other(&l, e);
}

static void fail(struct making *k, const char *path, struct err *e)
{
	char *shown SCOPED(mem_freep) = manifest_shown(path);

	if (!intr_pending())
		(void)err_in(e, "%s", shown);
	(void)pthread_mutex_lock(&k->lock);
	if (!k->stop)
		k->err = *e;
	__atomic_store_n(&k->stop, true, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&k->lock);
}

void making_read(void *making, size_t n)
{
	struct making *k = making;
	struct item *it = &k->items[k->order[n]];
	struct err e = ERR_INIT;
	struct desk *d;
	int rc;

	if (__atomic_load_n(&k->stop, __ATOMIC_RELAXED))
		return;
	d = take_desk(k);
	rc = intr_pending() ? intr_err(&e) : read_entry(k, d, k->order[n], &e);
	give_desk(k, d);
	it->done = !it->gone;
	if (rc == 0 && (it->gone || it->unsteady) && k->o->unsteady == NULL) {
		rc = err_set(&e, ERR_BUSY,
			     it->gone ? "went away while the tree was read"
				      : "changes while it is read");
		(void)err_hint(&e, "stop what writes there, and try again");
	}
	if (rc != 0) {
		fail(k, it->path, &e);
		return;
	}
	if (!it->gone && !it->unsteady)
		return;
	(void)pthread_mutex_lock(&k->lock);
	k->o->unsteady(k->o->ctx, it->path);
	(void)pthread_mutex_unlock(&k->lock);
}
