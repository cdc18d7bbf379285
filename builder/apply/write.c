#include "apply/job.h"

#include "base/fault.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 64 * APPLY_BLOCK,
	START_WRITING = 8 << 20, /* so much is written before the disk is told to begin */
};

/* One file being written over. */
struct writing {
	struct job *j;
	size_t i;
	int fd;
	const struct apply_old *old;
	uint64_t hashes; /* of the new blocks */
	uint8_t *chunk;
	uint64_t at;   /* of the chunk in the file */
	size_t n;      /* bytes in it */
	uint64_t end;  /* of the file as it is now */
	uint64_t sent; /* up to here the disk was told to write */
	uint64_t dirty;
	bool changed;
	struct digest digest; /* of all of it, when it is written */
	struct apply_hash was[CHUNK / APPLY_BLOCK], is[CHUNK / APPLY_BLOCK];
};

static int failed(const struct writing *w, const char *doing, struct err *e)
{
	return job_err(w->j, w->i, doing, e);
}

/* Starts what would otherwise all wait for the end: the disk writes while the next part is read. */
static void hasten(struct writing *w, uint64_t at, size_t n)
{
	w->dirty += n;
	if (w->dirty < START_WRITING)
		return;
	(void)sync_file_range(w->fd, (off_t)w->sent, (off_t)(at + n - w->sent),
			      SYNC_FILE_RANGE_WRITE);
	w->sent = at + n;
	w->dirty = 0;
}

static int put(struct writing *w, size_t from, size_t n, struct err *e)
{
	const uint8_t *p = w->chunk + from;
	uint64_t at = w->at + from;
	size_t left = n;

	w->changed = true;
	__atomic_add_fetch(&w->j->result.bytes_written, n, __ATOMIC_RELAXED);
	if (w->j->o->dry_run)
		return 0;
	while (left > 0) {
		ssize_t r = pwrite(w->fd, p, left, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return failed(w, "write", e);
		p += r;
		at += (uint64_t)r;
		left -= (size_t)r;
	}
	w->end = at > w->end ? at : w->end;
	hasten(w, at - n, n);
	fault_point("block");
	return 0;
}

/* Zeroes where there are others: a hole, where the file system can. */
static int punch(struct writing *w, size_t from, size_t n, struct err *e)
{
	w->changed = true;
	if (w->j->o->dry_run)
		return 0;
	if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(w->at + from),
		      (off_t)n) == 0) {
		fault_point("hole");
		return 0;
	}
	if (errno != EOPNOTSUPP)
		return failed(w, "punch a hole into", e);
	return put(w, from, n, e);
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && (n == 1 || memcmp(p, p + 1, n - 1) == 0);
}

enum todo { KEEP, PUNCH, PUT };

static enum todo what_to_do(const struct writing *w, size_t b)
{
	uint64_t block = w->at / APPLY_BLOCK + b, old = memory_blocks(w->old->size);
	size_t from = b * APPLY_BLOCK;
	size_t n = w->n - from < APPLY_BLOCK ? w->n - from : APPLY_BLOCK;

	if (block < old && w->old->hashes != MEMORY_NONE &&
	    memcmp(&w->was[b], &w->is[b], sizeof(w->is[b])) == 0)
		return KEEP;
	if (!is_zero(w->chunk + from, n))
		return PUT;
	return block < old ? PUNCH : KEEP;
}

/* Does the same to neighbouring blocks in one go. */
static int compare(struct writing *w, struct err *e)
{
	size_t n = (size_t)memory_blocks(w->n), from = 0;

	while (from < n) {
		enum todo todo = what_to_do(w, from);
		size_t to = from + 1, at = from * APPLY_BLOCK, end;

		while (to < n && what_to_do(w, to) == todo)
			to++;
		end = to * APPLY_BLOCK < w->n ? to * APPLY_BLOCK : w->n;
		if (todo == PUT && put(w, at, end - at, e) != 0)
			return -1;
		if (todo == PUNCH && punch(w, at, end - at, e) != 0)
			return -1;
		from = to;
	}
	return 0;
}

static int differs(const struct writing *w, struct err *e)
{
	const char *path = w->j->want->v[w->i].path;

	if (!w->j->content->living)
		return err_set(e, ERR_VERIFY, "%s: the content is not what the manifest says",
			       path);
	(void)err_set(e, ERR_BUSY, "%s: changed since its manifest was made", path);
	return err_hint(e, "make the manifest again and repeat");
}

/* Reads the next n bytes of the content, which are there. */
static int fetch(struct writing *w, void *handle, size_t n, struct err *e)
{
	const struct apply_content *c = w->j->content;
	size_t got = 0;

	if (c->read(handle, w->at, w->chunk, n, &got, e) != 0)
		return err_in(e, "%s", w->j->want->v[w->i].path);
	w->n = n;
	return got == n ? 0 : differs(w, e);
}

/* Hashes of the blocks of the chunk: of those that are there, and of those that shall be. */
static int hash_blocks(struct writing *w, struct err *e)
{
	uint64_t first = w->at / APPLY_BLOCK, old = memory_blocks(w->old->size);
	size_t n = (size_t)memory_blocks(w->n), known = 0;

	if (w->hashes == MEMORY_NONE && w->old->hashes == MEMORY_NONE)
		return 0;
	for (size_t b = 0; b < n; b++) {
		size_t from = b * APPLY_BLOCK;
		size_t part = w->n - from < APPLY_BLOCK ? w->n - from : APPLY_BLOCK;

		w->is[b] = memory_hash(w->j->memory, w->chunk + from, part);
	}
	if (w->old->hashes != MEMORY_NONE && first < old)
		known = old - first < n ? (size_t)(old - first) : n;
	if (known > 0 && memory_get(w->j->memory, w->old->hashes, first, w->was, known, e) != 0)
		return -1;
	if (w->hashes == MEMORY_NONE)
		return 0;
	return memory_put(w->j->memory, w->hashes, first, w->is, n, e);
}

/* Whether a file of one chunk, of which nobody knew what it should be, is there as it is. */
static bool is_there(struct writing *w)
{
	const struct manifest_entry *en = &w->j->want->v[w->i];
	struct digest d;

	if (!en->unread || w->n != en->size || w->old->digest == NULL || w->old->size != en->size)
		return false;
	d = digest_of(w->chunk, w->n);
	if (!digest_equal(&d, w->old->digest))
		return false;
	w->hashes = w->old->hashes;
	return true;
}

static int write_all(struct writing *w, void *handle, struct err *e)
{
	const struct manifest_entry *en = &w->j->want->v[w->i];
	struct hash *hash SCOPED(hash_freep) = hash_new();

	for (; w->at < en->size; w->at += w->n) {
		uint64_t left = en->size - w->at;

		if (job_stop(w->j))
			return err_set(e, ERR_FAIL, "stopped");
		if (fetch(w, handle, left < CHUNK ? (size_t)left : CHUNK, e) != 0)
			return -1;
		hash_add(hash, w->chunk, w->n);
		if (!is_there(w) && (hash_blocks(w, e) != 0 || compare(w, e) != 0))
			return -1;
		__atomic_add_fetch(&w->j->result.bytes_compared, w->n, __ATOMIC_RELAXED);
		job_progress(w->j, 0, w->n);
	}
	w->n = 0;
	w->digest = hash_final(hash);
	return en->unread || digest_equal(&w->digest, &en->digest) ? 0 : differs(w, e);
}

/* Whether the content ends where it should. */
static int at_end(struct writing *w, void *handle, struct err *e)
{
	const struct apply_content *c = w->j->content;
	uint8_t one;
	size_t got = 0;

	if (c->read(handle, w->at, &one, 1, &got, e) != 0)
		return err_in(e, "%s", w->j->want->v[w->i].path);
	return got == 0 ? 0 : differs(w, e);
}

static int resize(struct writing *w, uint64_t size, struct err *e)
{
	w->end = size;
	w->changed = true;
	if (w->j->o->dry_run || ftruncate(w->fd, (off_t)size) == 0)
		return 0;
	return failed(w, "change the size of", e);
}

static int write_from(struct writing *w, void *handle, struct err *e)
{
	uint64_t size = w->j->want->v[w->i].size;

	w->end = w->old->size;
	if (w->end > size && resize(w, size, e) != 0)
		return -1;
	if (write_all(w, handle, e) != 0 || at_end(w, handle, e) != 0)
		return -1;
	if (w->end < size && resize(w, size, e) != 0)
		return -1;
	fault_point("content");
	return 0;
}

int job_write(struct job *j, size_t i, int fd, const struct apply_old *old, struct err *e)
{
	const struct apply_content *c = j->content;
	const struct manifest_entry *en = &j->want->v[i];
	struct writing *w SCOPED(mem_freep) = mem_zalloc(sizeof(*w));
	uint8_t *room SCOPED(mem_freep) = NULL;
	void *handle = NULL;
	int rc;

	*w = (struct writing){.j = j, .i = i, .fd = fd, .old = old};
	room = mem_resize(NULL, (en->size < CHUNK ? (size_t)en->size : CHUNK) + APPLY_BLOCK, 1);
	w->chunk = room + (APPLY_BLOCK - (uintptr_t)room % APPLY_BLOCK);
	w->hashes = memory_room(j->memory, en->size);
	if (c->open(c->ctx, i, &handle, e) != 0)
		return err_in(e, "%s", en->path);
	rc = write_from(w, handle, e);
	if (rc == 0 && en->unread && c->learnt != NULL)
		c->learnt(c->ctx, handle, i, &w->digest);
	c->close(c->ctx, handle);
	if (rc != 0)
		return -1;
	if (w->changed)
		job_changed(j, i);
	j->records[i].hashes = w->hashes;
	j->records[i].digest = w->digest;
	return 0;
}

int job_read_old(struct job *j, int fd, struct apply_old *old, struct digest *ret, struct err *e)
{
	struct hash *hash SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_resize(NULL, CHUNK, 1);
	struct apply_hash is[CHUNK / APPLY_BLOCK];
	uint64_t at = 0;

	old->hashes = memory_room(j->memory, old->size);
	while (at < old->size) {
		size_t n = old->size - at < CHUNK ? (size_t)(old->size - at) : CHUNK;
		ssize_t got = pread(fd, chunk, n, (off_t)at);

		if (job_stop(j))
			return err_set(e, ERR_FAIL, "stopped");
		if (got < 0 && errno == EINTR)
			continue;
		if (got != (ssize_t)n)
			return err_sys(e, "read");
		hash_add(hash, chunk, n);
		for (size_t b = 0; old->hashes != MEMORY_NONE && b < memory_blocks(n); b++) {
			size_t from = b * APPLY_BLOCK;

			is[b] = memory_hash(j->memory, chunk + from,
					    n - from < APPLY_BLOCK ? n - from : APPLY_BLOCK);
		}
		if (old->hashes != MEMORY_NONE &&
		    memory_put(j->memory, old->hashes, at / APPLY_BLOCK, is,
			       (size_t)memory_blocks(n), e) != 0)
			return -1;
		at += n;
	}
	*ret = hash_final(hash);
	return 0;
}
