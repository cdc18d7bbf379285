#include "apply/memory.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define MAGIC "POSapply"

enum {
	VERSION = 1,
	KEY_WORDS = APPLY_BLOCK / sizeof(uint64_t),
	PIECE = 1 << 16,
	RECORDS_MAX = 20 * 1000 * 1000,
};
/* hashes that lie in the file without a name, not in the one that was loaded */
#define SPILLED (1ULL << 63)

__extension__ typedef unsigned __int128 wide;

struct head {
	char magic[8];
	uint64_t version; /* as a number of this machine: another byte order is another version */
	uint64_t records, hashes;
};

struct apply_memory {
	uint64_t key[KEY_WORDS];
	struct apply_record *v; /* by inode */
	size_t n;
	struct apply_inode
	    *doubted; /* said to be written in place, and not known to have been saved */
	size_t doubted_n;
	int file;       /* what was loaded; -1 */
	uint64_t at;    /* where the hashes begin in it */
	int spill;      /* -1 before memory_begin */
	uint64_t spilt; /* hashes that have room there */
	int dirfd;      /* -1 = saved nowhere */
	char *name, *intent;
};

uint64_t memory_blocks(uint64_t size)
{
	return size / APPLY_BLOCK + (size % APPLY_BLOCK != 0);
}

static int by_inode(const void *a, const void *b)
{
	const struct apply_record *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->dev == y->dev ? 0 : x->dev < y->dev ? -1 : 1;
}

/* NH of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway 1999) on words of 64 bits: whoever does not
 * know the key finds two blocks of one hash with a chance of 2^-64, at a fraction of the time of
 * SHA-256. The key never leaves the file, nor does a hash. */
struct apply_hash memory_hash(const struct apply_memory *m, const void *p, size_t n)
{
	uint64_t whole[KEY_WORDS], w[2];
	wide sum = 0;
	const char *at = p;

	if (n < sizeof(whole)) {
		memcpy(whole, p, n);
		memset((char *)whole + n, 0, sizeof(whole) - n);
		at = (const char *)whole;
	}
	for (size_t i = 0; i < KEY_WORDS; i += 2, at += sizeof(w)) {
		memcpy(w, at, sizeof(w));
		sum += (wide)(w[0] + m->key[i]) * (w[1] + m->key[i + 1]);
	}
	return (struct apply_hash){{(uint64_t)sum, (uint64_t)(sum >> 64)}};
}

struct apply_memory *memory_new(void)
{
	struct apply_memory *m = mem_zalloc(sizeof(*m));
	size_t got = 0;

	m->file = m->spill = m->dirfd = -1;
	while (got < sizeof(m->key)) {
		ssize_t r = getrandom((char *)m->key + got, sizeof(m->key) - got, 0);

		got += r > 0 ? (size_t)r : 0;
	}
	return m;
}

void apply_memory_free(struct apply_memory *m)
{
	if (m == NULL)
		return;
	free(m->v);
	free(m->doubted);
	free(m->name);
	free(m->intent);
	fd_closep(&m->file);
	fd_closep(&m->spill);
	fd_closep(&m->dirfd);
	free(m);
}

const struct apply_record *memory_find(const struct apply_memory *m, const struct stat *st)
{
	struct apply_record want = {0}, *r;

	memory_stat(&want, st);
	r = m->n == 0 ? NULL : bsearch(&want, m->v, m->n, sizeof(want), by_inode);
	if (r == NULL || r->size != want.size || r->mtime != want.mtime || r->ctime != want.ctime ||
	    r->mtime_ns != want.mtime_ns || r->ctime_ns != want.ctime_ns)
		return NULL;
	return r;
}

void memory_stat(struct apply_record *r, const struct stat *st)
{
	r->dev = st->st_dev;
	r->ino = st->st_ino;
	r->size = (uint64_t)st->st_size;
	r->mtime = st->st_mtim.tv_sec;
	r->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	r->ctime = st->st_ctim.tv_sec;
	r->ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
}

int memory_begin(struct apply_memory *m, int near, struct err *e)
{
	if (m->spill >= 0)
		return 0;
	m->spill =
	    openat(m->dirfd >= 0 ? m->dirfd : near, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (m->spill < 0)
		m->spill = memfd_create("apply", MFD_CLOEXEC);
	return m->spill >= 0 ? 0 : err_sys(e, "make a temporary file");
}

uint64_t memory_room(struct apply_memory *m, uint64_t size)
{
	if (size <= MEMORY_SMALL)
		return MEMORY_NONE;
	return __atomic_fetch_add(&m->spilt, memory_blocks(size), __ATOMIC_RELAXED) | SPILLED;
}

int memory_put(struct apply_memory *m, uint64_t hashes, uint64_t at, const struct apply_hash *v,
	       size_t n, struct err *e)
{
	uint64_t to = ((hashes & ~SPILLED) + at) * sizeof(*v);
	const char *p = (const char *)v;
	size_t left = n * sizeof(*v);

	while (left > 0) {
		ssize_t w = pwrite(m->spill, p, left, (off_t)to);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(e, "write hashes of blocks");
		p += w;
		to += (uint64_t)w;
		left -= (size_t)w;
	}
	return 0;
}

int memory_get(const struct apply_memory *m, uint64_t hashes, uint64_t at, struct apply_hash *v,
	       size_t n, struct err *e)
{
	bool spilt = (hashes & SPILLED) != 0;
	uint64_t from = ((hashes & ~SPILLED) + at) * sizeof(*v) + (spilt ? 0 : m->at);
	char *p = (char *)v;
	size_t left = n * sizeof(*v);

	while (left > 0) {
		ssize_t r = pread(spilt ? m->spill : m->file, p, left, (off_t)from);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? err_sys(e, "read hashes of blocks")
				     : err_set(e, ERR_FAIL, "hashes of blocks end early");
		p += r;
		from += (uint64_t)r;
		left -= (size_t)r;
	}
	return 0;
}

void memory_take(struct apply_memory *m, const struct apply_record *v, size_t n, bool whole)
{
	struct apply_record *all = mem_resize(NULL, n + (whole ? 0 : m->n), sizeof(*all));
	size_t all_n = 0, news;

	for (size_t i = 0; i < n; i++)
		if (v[i].ino != 0)
			all[all_n++] = v[i];
	if (all_n > 1)
		qsort(all, all_n, sizeof(*all), by_inode);
	news = all_n;
	for (size_t i = 0; !whole && i < m->n; i++)
		if (bsearch(&m->v[i], all, news, sizeof(*all), by_inode) == NULL)
			all[all_n++] = m->v[i];
	if (all_n > news)
		qsort(all, all_n, sizeof(*all), by_inode);
	free(m->v);
	m->v = all;
	m->n = all_n;
}

int memory_intend(struct apply_memory *m, const struct apply_inode *v, size_t n, struct err *e)
{
	size_t all = m->doubted_n + n;

	if (m->dirfd < 0 || m->n == 0 || n == 0)
		return 0;
	m->doubted = mem_resize(m->doubted, all, sizeof(*m->doubted));
	memcpy(m->doubted + m->doubted_n, v, n * sizeof(*v));
	m->doubted_n = all;
	return fs_put(m->dirfd, m->intent, m->doubted, all * sizeof(*m->doubted), 0600, e);
}

/* As many blocks of a file as are read in one go. */
enum { BLOCKS = 64 };

static bool blocks_hold(const struct apply_memory *m, const struct apply_record *r, int fd)
{
	const size_t most = r->size < BLOCKS * APPLY_BLOCK ? (size_t)r->size : BLOCKS * APPLY_BLOCK;
	char *bytes SCOPED(mem_freep) = mem_resize(NULL, most, 1);
	struct apply_hash was[BLOCKS];
	struct err e = ERR_INIT;

	for (uint64_t at = 0, n; at < r->size; at += n) {
		size_t of;

		n = r->size - at < most ? r->size - at : most;
		of = (size_t)memory_blocks(n);
		if (pread(fd, bytes, n, (off_t)at) != (ssize_t)n ||
		    memory_get(m, r->hashes, at / APPLY_BLOCK, was, of, &e) != 0)
			return false;
		for (size_t i = 0; i < of; i++) {
			size_t from = i * APPLY_BLOCK;
			size_t part = n - from < APPLY_BLOCK ? n - from : APPLY_BLOCK;
			struct apply_hash is = memory_hash(m, bytes + from, part);

			if (memcmp(&is, &was[i], sizeof(is)) != 0)
				return false;
		}
	}
	return true;
}

bool apply_memory_holds(const struct apply_memory *m, int fd, const struct stat *st,
			struct digest *ret)
{
	const struct apply_record *r = memory_find(m, st);

	if (r == NULL || r->hashes == MEMORY_NONE)
		return false;
	*ret = r->digest;
	return blocks_hold(m, r, fd);
}

/* Bytes on their way to the file: buffered, and hashed for the last 32 of it. */
struct out {
	int fd;
	struct hash *hash;
	size_t n;
	char chunk[PIECE];
};

static int out_flush(struct out *o, struct err *e)
{
	size_t n = o->n;

	o->n = 0;
	hash_add(o->hash, o->chunk, n);
	return fs_write_all(o->fd, o->chunk, n, e);
}

static int out_add(struct out *o, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	while (n > 0) {
		size_t part = n < PIECE - o->n ? n : PIECE - o->n;

		memcpy(o->chunk + o->n, at, part);
		o->n += part;
		at += part;
		n -= part;
		if (o->n == PIECE && out_flush(o, e) != 0)
			return -1;
	}
	return 0;
}

static int out_hashes(struct out *o, const struct apply_memory *m, const struct apply_record *r,
		      struct err *e)
{
	struct apply_hash v[PIECE / 4 / sizeof(struct apply_hash)];
	uint64_t n = memory_blocks(r->size);

	for (uint64_t at = 0; at < n; at += sizeof(v) / sizeof(*v)) {
		size_t part =
		    n - at < sizeof(v) / sizeof(*v) ? (size_t)(n - at) : sizeof(v) / sizeof(*v);

		if (memory_get(m, r->hashes, at, v, part, e) != 0 ||
		    out_add(o, v, part * sizeof(*v), e) != 0)
			return -1;
	}
	return 0;
}

static int out_all(struct out *o, const struct apply_memory *m, struct err *e)
{
	struct head h = {.magic = MAGIC, .version = VERSION, .records = m->n};
	uint64_t at = 0;

	for (size_t i = 0; i < m->n; i++)
		h.hashes += m->v[i].hashes != MEMORY_NONE ? memory_blocks(m->v[i].size) : 0;
	if (out_add(o, &h, sizeof(h), e) != 0 || out_add(o, m->key, sizeof(m->key), e) != 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		struct apply_record r = m->v[i];

		if (r.hashes != MEMORY_NONE) {
			r.hashes = at;
			at += memory_blocks(r.size);
		}
		if (out_add(o, &r, sizeof(r), e) != 0)
			return -1;
	}
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].hashes != MEMORY_NONE && out_hashes(o, m, &m->v[i], e) != 0)
			return -1;
	return out_flush(o, e);
}

static int fill(void *ctx, int fd, struct err *e)
{
	struct hash *hash SCOPED(hash_freep) = hash_new();
	struct out *o SCOPED(mem_freep) = mem_zalloc(sizeof(*o));
	struct digest d;

	o->fd = fd;
	o->hash = hash;
	if (out_all(o, ctx, e) != 0)
		return -1;
	d = hash_final(hash);
	return fs_write_all(fd, d.b, sizeof(d.b), e);
}

int apply_memory_save(const struct apply_memory *m, int dirfd, const char *name, struct err *e)
{
	struct apply_memory *copy SCOPED(mem_freep) = mem_zalloc(sizeof(*copy));
	const struct fs_filler f = {fill, copy};

	*copy = *m;
	if (fs_put_with(dirfd, name, 0600, &f, e) != 0)
		return err_in(e, "save what is known of the target");
	if (m->dirfd < 0 || m->intent == NULL || strcmp(name, m->name) != 0)
		return 0;
	if (unlinkat(m->dirfd, m->intent, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove %s", m->intent);
	fault_point("remembered");
	return 0;
}

/* Whether the size is that of a file of so many records and hashes, which are not too many. */
static bool fits(const struct head *h, uint64_t size)
{
	uint64_t hashes = size / sizeof(struct apply_hash);

	return memcmp(h->magic, MAGIC, sizeof(h->magic)) == 0 && h->version == VERSION &&
	       h->records <= RECORDS_MAX && h->hashes <= hashes &&
	       size == sizeof(*h) + KEY_WORDS * sizeof(uint64_t) +
			   h->records * sizeof(struct apply_record) +
			   h->hashes * sizeof(struct apply_hash) + DIGEST_BYTES;
}

/* Whether the last 32 bytes are the digest of the others. */
static bool sound(int fd, uint64_t size)
{
	struct hash *hash SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(PIECE);
	struct err e = ERR_INIT;
	struct digest said, d;

	for (uint64_t left = size - DIGEST_BYTES; left > 0;) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		if (fs_read_all(fd, chunk, n, &e) != 0)
			return false;
		hash_add(hash, chunk, n);
		left -= n;
	}
	d = hash_final(hash);
	return fs_read_all(fd, said.b, sizeof(said.b), &e) == 0 && digest_equal(&said, &d);
}

static bool doubted(const struct apply_memory *m, const struct apply_record *r)
{
	for (size_t i = 0; i < m->doubted_n; i++)
		if (m->doubted[i].ino == r->ino && m->doubted[i].dev == r->dev)
			return true;
	return false;
}

/* Reads records, of which each may only point at hashes that there are. */
static int take_records(struct apply_memory *m, const struct head *h, struct err *e)
{
	struct apply_record r;

	m->v = mem_resize(NULL, h->records, sizeof(*m->v));
	for (uint64_t i = 0; i < h->records; i++) {
		if (fs_read_all(m->file, &r, sizeof(r), e) != 0)
			return -1;
		if (r.hashes != MEMORY_NONE &&
		    (r.hashes > h->hashes || memory_blocks(r.size) > h->hashes - r.hashes))
			return err_set(e, ERR_FAIL, "hashes that there are not");
		if (!doubted(m, &r))
			m->v[m->n++] = r;
	}
	return 0;
}

static int load(struct apply_memory *m, struct err *e)
{
	struct head h;
	struct stat st;

	m->file = openat(m->dirfd, m->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (m->file < 0 || fstat(m->file, &st) != 0)
		return err_sys(e, "open %s", m->name);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return err_set(e, ERR_FAIL, "others can write it");
	if (fs_read_all(m->file, &h, sizeof(h), e) != 0)
		return -1;
	if (!fits(&h, (uint64_t)st.st_size) || lseek(m->file, 0, SEEK_SET) != 0 ||
	    !sound(m->file, (uint64_t)st.st_size))
		return err_set(e, ERR_FAIL, "damaged");
	if (lseek(m->file, sizeof(h), SEEK_SET) < 0)
		return err_sys(e, "seek");
	m->at = sizeof(h) + sizeof(m->key) + h.records * sizeof(*m->v);
	if (fs_read_all(m->file, m->key, sizeof(m->key), e) != 0)
		return -1;
	return take_records(m, &h, e);
}

static void load_doubted(struct apply_memory *m)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORDS_MAX * sizeof(struct apply_inode));
	struct err e = ERR_INIT;

	if (fs_get_file(m->dirfd, m->intent, &b, &e) != 0)
		return;
	m->doubted_n = b.len / sizeof(*m->doubted);
	m->doubted = mem_resize(NULL, m->doubted_n, sizeof(*m->doubted));
	memcpy(m->doubted, b.data, m->doubted_n * sizeof(*m->doubted));
}

int apply_memory_load(int dirfd, const char *name, struct apply_memory **ret, struct err *e)
{
	struct apply_memory *m = memory_new();
	struct err ignored = ERR_INIT;

	m->name = mem_strdup(name);
	m->intent = mem_format("%s.open", name);
	m->dirfd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dirfd < 0) {
		(void)err_sys(e, "open the directory of %s", name);
		apply_memory_free(m);
		return -1;
	}
	load_doubted(m);
	if (load(m, &ignored) != 0) {
		log_debug("%s: %s: the target is read instead", name, ignored.msg);
		m->n = 0;
	}
	*ret = m;
	return 0;
}
