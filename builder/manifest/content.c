/* content.c - what is in an entry: digest, target, ACL and attributes, by any thread. */
#include "manifest/making.h"

#include "form/abreast.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 64 << 10,
	READINGS = 3,
	HOLE = 4096,
	LARGE = 1 << 20,
	TELL_FILES = 256,
	TELL_BYTES = 8 << 20,
};

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

/* One of the entries that a thread looks at together: of files the bytes are hashed abreast. */
struct lane {
	struct making *k;
	struct manifest_entry *en;
	struct item *it;
	int fd; /* of a file that is being read; else -1 */
	bool path_only;
	bool known;         /* its digest is, and nothing was read */
	int readings;       /* of the file so far */
	struct stat before; /* what it was when the last of these began */
	uint64_t at, told;  /* bytes read, and of these told */
	uint8_t *chunk;
	size_t has, done; /* bytes in it, and of these hashed */
};

/* What one thread works with. */
struct desk {
	struct making *k;
	struct abreast *hashes;
	struct lane lanes[ABREAST];
};

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
static int attributes(const struct lane *l, struct err *e)
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

static bool remembered(const struct lane *l)
{
	l->en->unread = false;
	if (l->k->o->seen == NULL || !seen_find(l->k->o->seen, &l->it->file))
		return false;
	l->en->digest = l->it->file.digest;
	return true;
}

/* Begins to read a file. Returns whether its bytes have to be. */
static bool begins(struct lane *l)
{
	const struct manifest_opts *o = l->k->o;

	making_stat(l->k, l->en, l->it, &l->before);
	l->known = remembered(l);
	l->readings++;
	l->at = l->told = 0;
	l->has = l->done = 0;
	if (l->known || o->later) {
		l->en->unread = !l->known;
		l->at = l->en->size;
		return false;
	}
	if (o->vouch == NULL || !o->vouch(o->ctx, l->fd, &l->before, &l->en->digest))
		return true;
	l->at = l->told = l->en->size;
	tell(l->k, 0, (int64_t)l->at);
	return false;
}

/* All of it was read. Returns 1 when it changed meanwhile and is to be read again. */
static int ends(struct lane *l, struct err *e)
{
	struct stat after;
	bool same;

	l->en->holes = count_holes(l->fd, &l->before);
	if (attributes(l, e) != 0 && e->sys != ENODATA)
		return -1;
	if (fstat(l->fd, &after) != 0)
		return err_sys(e, "stat");
	same = same_state(&l->before, &after) && l->at == l->en->size;
	making_stat(l->k, l->en, l->it, &after);
	l->en->size = l->at;
	tell(l->k, 0, (int64_t)(l->at - l->told));
	if (!same && l->readings < READINGS) {
		tell(l->k, 0, -(int64_t)l->at);
		if (l->readings == 1)
			(void)__atomic_add_fetch(&l->k->m.reread, 1, __ATOMIC_RELAXED);
		l->before = after;
		return 1;
	}
	if (same && l->known)
		(void)__atomic_add_fetch(&l->k->m.remembered, 1, __ATOMIC_RELAXED);
	l->it->unsteady = !same;
	tell(l->k, 1, 0);
	return fits_line(l->en, e);
}

/* Reads the file as far as that goes without its bytes. Returns 1 when those are wanted. */
static int read_on(struct lane *l, struct err *e)
{
	int rc = 1;

	while (rc == 1) {
		if (begins(l))
			return 1;
		rc = ends(l, e);
	}
	return rc;
}

static int read_other(const struct lane *l, struct err *e)
{
	char target[4097];
	const struct stat *st = &l->before;
	ssize_t n;

	if (l->en->type == MANIFEST_DIR) {
		struct seen_file now;

		seen_of(st, &now);
		l->it->unsteady = memcmp(&now, &l->it->file, sizeof(now)) != 0;
	}
	making_stat(l->k, l->en, l->it, st);
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

/* Whether this is what the walk has seen: the same type is enough, for a name that was given to a
 * new file is as good as the file that changed. */
static bool is_such(const struct stat *st, const struct manifest_entry *en)
{
	static const mode_t formats[] = {
	    [MANIFEST_DIR] = S_IFDIR,  [MANIFEST_FILE] = S_IFREG, [MANIFEST_LINK] = S_IFLNK,
	    [MANIFEST_FIFO] = S_IFIFO, [MANIFEST_CHAR] = S_IFCHR, [MANIFEST_BLOCK] = S_IFBLK,
	};

	return (st->st_mode & S_IFMT) == formats[en->type];
}

/* Returns 1 when it is a file whose bytes are wanted. */
static int open_lane(struct lane *l, struct err *e)
{
	int fd SCOPED(fd_closep) = open_entry(l->k, l->en->path, flags_for(l->en->type));

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return err_sys(e, "open");
	if (fd < 0 || fstat(fd, &l->before) != 0 || !is_such(&l->before, l->en)) {
		l->it->gone = true;
		return 0;
	}
	l->fd = STEAL_FD(fd);
	if (l->en->type == MANIFEST_FILE) {
		if (l->en->size >= LARGE)
			(void)posix_fadvise(l->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return read_on(l, e);
	}
	l->path_only = l->en->type != MANIFEST_DIR;
	return read_other(l, e);
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

/* An entry is done with, or failed. */
static void leave(struct lane *l, int rc, struct err *e)
{
	struct making *k = l->k;
	struct item *it = l->it;

	fd_closep(&l->fd);
	it->done = !it->gone;
	if (rc == 0 && (it->gone || it->unsteady) && k->o->unsteady == NULL) {
		rc = err_set(e, ERR_BUSY,
			     it->gone ? "went away while the tree was read"
				      : "changes while it is read");
		(void)err_hint(e, "stop what writes there, and try again");
	}
	if (rc != 0) {
		fail(k, it->path, e);
		return;
	}
	if (!it->gone && !it->unsteady)
		return;
	(void)pthread_mutex_lock(&k->lock);
	k->o->unsteady(k->o->ctx, it->path);
	(void)pthread_mutex_unlock(&k->lock);
}

/* Takes what is next until it is a file to be read. Returns false when nothing is left. */
static bool next_file(struct making *k, struct lane *l)
{
	while (!__atomic_load_n(&k->stop, __ATOMIC_RELAXED)) {
		size_t n = __atomic_fetch_add(&k->next, 1, __ATOMIC_RELAXED);
		struct err e = ERR_INIT;
		int rc;

		if (n >= k->order_n)
			return false;
		*l = (struct lane){.k = k,
				   .en = &k->m.v[k->order[n]],
				   .it = &k->items[k->order[n]],
				   .fd = -1,
				   .chunk = l->chunk};
		rc = intr_pending() ? intr_err(&e) : open_lane(l, &e);
		if (rc == 1)
			return true;
		leave(l, rc, &e);
	}
	return false;
}

/* Fetches more of a file. Returns 1, or 0 at its end. */
static int fetch(struct lane *l, struct err *e)
{
	ssize_t n;

	do
		n = pread(l->fd, l->chunk, CHUNK, (off_t)l->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "read");
	if (intr_pending())
		return intr_err(e);
	l->has = (size_t)n;
	l->done = 0;
	l->at += (uint64_t)n;
	if (l->at - l->told >= TELL_BYTES) {
		tell(l->k, 0, (int64_t)(l->at - l->told));
		l->told = l->at;
	}
	return n > 0;
}

/* The same; at its end it is seen whether it has to be read again. */
static int go_on(struct desk *d, unsigned n, struct err *e)
{
	struct lane *l = &d->lanes[n];
	int rc = fetch(l, e);

	if (rc != 0)
		return rc;
	l->en->digest = abreast_final(d->hashes, n);
	rc = ends(l, e);
	return rc == 1 ? read_on(l, e) : rc;
}

/* Sees that a lane has bytes to hash, of its file or of another. Returns false when there are no
 * more. */
static bool ready(struct desk *d, unsigned n)
{
	struct lane *l = &d->lanes[n];

	while (l->done == l->has) {
		struct err e = ERR_INIT;
		int rc;

		if (l->fd < 0 && !next_file(d->k, l))
			return false;
		rc = go_on(d, n, &e);
		if (rc != 1)
			leave(l, rc, &e);
	}
	return true;
}

/* Hashes as much of all lanes as the one has that has least. Returns false when nothing is left. */
static bool hash_some(struct desk *d)
{
	const uint8_t *p[ABREAST];
	size_t n[ABREAST] = {0}, least = SIZE_MAX;

	for (unsigned i = 0; i < ABREAST; i++) {
		struct lane *l = &d->lanes[i];

		if (!ready(d, i))
			continue;
		p[i] = l->chunk + l->done;
		n[i] = l->has - l->done;
		least = n[i] < least ? n[i] : least;
	}
	if (least == SIZE_MAX || __atomic_load_n(&d->k->stop, __ATOMIC_RELAXED))
		return false;
	least = (least + ABREAST_BLOCK - 1) / ABREAST_BLOCK * ABREAST_BLOCK;
	for (unsigned i = 0; i < ABREAST; i++) {
		n[i] = n[i] < least ? n[i] : least;
		d->lanes[i].done += n[i];
	}
	abreast_add(d->hashes, p, n);
	return true;
}

void making_read(void *making, size_t n)
{
	/* of one place in its page each would drive the others out of the nearest cache */
	enum { APART = CHUNK + 17 * ABREAST_BLOCK };
	struct desk d = {.k = making, .hashes = abreast_new(false)};
	uint8_t *chunks SCOPED(mem_freep) = mem_resize(NULL, ABREAST, APART);

	(void)n;
	for (size_t i = 0; i < ABREAST; i++) {
		d.lanes[i].fd = -1;
		d.lanes[i].chunk = chunks + i * APART;
	}
	while (hash_some(&d))
		;
	for (size_t i = 0; i < ABREAST; i++)
		fd_closep(&d.lanes[i].fd);
	abreast_free(d.hashes);
}
