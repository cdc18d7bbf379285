#include "media/medium.h"

#include "form/json.h"
#include "sign/attest.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 32 << 10, WHOLE_CHUNK = 256 << 10 };

void medium_release(struct medium *m)
{
	free(m->format);
	free(m->identity);
	for (size_t i = 0; i < m->parts_n; i++)
		free(m->parts[i].name);
	free(m->blocks);
}

void medium_add(struct medium *m, const char *name, uint64_t size, bool data)
{
	const struct medium_part *last = m->parts_n > 0 ? &m->parts[m->parts_n - 1] : NULL;

	if (m->parts_n == MEDIUM_PARTS)
		return;
	m->parts[m->parts_n++] =
	    (struct medium_part){.name = mem_strdup(name),
				 .at = last != NULL ? last->at + last->size : 0,
				 .size = size,
				 .data = data};
}

const struct medium_part *medium_part_at(const struct medium *m, uint64_t at)
{
	for (size_t i = 0; i < m->parts_n; i++)
		if (at - m->parts[i].at < m->parts[i].size)
			return &m->parts[i];
	return NULL;
}

const struct medium_part *medium_part_named(const struct medium *m, const char *name)
{
	for (size_t i = 0; i < m->parts_n; i++)
		if (strcmp(m->parts[i].name, name) == 0)
			return &m->parts[i];
	return NULL;
}

static const struct medium_part *either(const struct medium *m, const char *a, const char *b)
{
	const struct medium_part *p = medium_part_named(m, a);

	return p != NULL ? p : medium_part_named(m, b);
}

const struct medium_part *medium_root(const struct medium *m)
{
	return either(m, "root", "root-a");
}

const struct medium_part *medium_hashes(const struct medium *m)
{
	return either(m, "verity", "verity-a");
}

size_t medium_block_size(const struct medium *m, size_t block)
{
	uint64_t left = m->size - (uint64_t)block * MEDIUM_BLOCK;

	return left < MEDIUM_BLOCK ? (size_t)left : MEDIUM_BLOCK;
}

static struct digest of_zeros(void)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	return digest_of(block, MEDIUM_BLOCK);
}

/* A file that is hashed: at place 0 the whole, at the others what `todo` has. */
struct hashing {
	struct medium *m;
	int fd;
	size_t *todo; /* blocks that are no holes */
	size_t todo_n;
	int failed; /* an errno; by __atomic_* only */
};

int medium_block(const struct medium *m, int fd, size_t block, struct digest *ret)
{
	struct hash *h = hash_new();
	const uint64_t at = (uint64_t)block * MEDIUM_BLOCK;
	const size_t size = medium_block_size(m, block);
	char chunk[CHUNK];
	int failed = 0;

	for (size_t done = 0; done < size && failed == 0;) {
		size_t want = size - done < CHUNK ? size - done : CHUNK;
		ssize_t n = pread(fd, chunk, want, (off_t)(at + done));

		if (n > 0) {
			hash_add(h, chunk, (size_t)n);
			done += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			failed = n < 0 ? errno : ENODATA;
		}
	}
	if (failed == 0)
		*ret = hash_final(h);
	hash_free(h);
	return failed;
}

/* The next byte at or behind `at` that is in no hole, or is in one. */
static uint64_t next_of(const struct hashing *h, uint64_t at, int whence)
{
	off_t next = lseek(h->fd, (off_t)at, whence);

	if (next >= 0)
		return (uint64_t)next;
	/* no more data; or a file system that does not know holes */
	return whence == SEEK_DATA && errno != ENXIO ? at : h->m->size;
}

/* All of it. Holes are not read: the kernel would fill as many pages with zeros. */
static int hash_whole(const struct hashing *h, struct digest *ret)
{
	struct hash *all SCOPED(hash_freep) = hash_new();
	char *zeros SCOPED(mem_freep) = mem_zalloc(WHOLE_CHUNK);
	char *chunk SCOPED(mem_freep) = mem_zalloc(WHOLE_CHUNK);
	uint64_t at = 0, data = 0, end = 0;

	while (at < h->m->size) {
		uint64_t n;
		ssize_t got;

		if (at >= end) {
			data = next_of(h, at, SEEK_DATA);
			end = next_of(h, data, SEEK_HOLE);
		}
		n = (at < data ? data : end) - at;
		n = n < WHOLE_CHUNK ? n : WHOLE_CHUNK;
		got = at < data ? (ssize_t)n : pread(h->fd, chunk, (size_t)n, (off_t)at);
		if (got == 0 || (got < 0 && errno != EINTR))
			return got == 0 ? ENODATA : errno;
		if (got > 0)
			hash_add(all, at < data ? zeros : chunk, (size_t)got);
		at += got > 0 ? (uint64_t)got : 0;
	}
	*ret = hash_final(all);
	return 0;
}

static void hash_one(void *ctx, size_t i)
{
	struct hashing *h = ctx;
	int failed = 0;

	if (i == 0)
		failed = hash_whole(h, &h->m->whole);
	else
		failed = medium_block(h->m, h->fd, h->todo[i - 1], &h->m->blocks[h->todo[i - 1]]);
	if (failed != 0)
		__atomic_store_n(&h->failed, failed, __ATOMIC_RELAXED);
}

/* The blocks that are not holes; those that are have their hash at once. */
static void find_todo(struct hashing *h)
{
	const struct digest zeros = of_zeros();
	struct medium *m = h->m;

	h->todo = mem_zalloc((m->blocks_n + 1) * sizeof(*h->todo));
	for (size_t i = 0; i < m->blocks_n; i++) {
		const uint64_t at = (uint64_t)i * MEDIUM_BLOCK;

		if (next_of(h, at, SEEK_DATA) >= at + MEDIUM_BLOCK)
			m->blocks[i] = zeros;
		else
			h->todo[h->todo_n++] = i;
	}
}

int medium_hash(struct medium *m, int fd, struct err *e)
{
	struct hashing h = {.m = m, .fd = fd};
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, "find its end");
	if ((uint64_t)size > MEDIUM_MAX)
		return err_set(e, ERR_FAIL, "it is larger than 4 TiB");
	m->size = (uint64_t)size;
	m->blocks_n = (size_t)((m->size + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK);
	m->blocks = mem_zalloc((m->blocks_n + 1) * sizeof(*m->blocks));
	if (m->parts_n == 0)
		medium_add(m, m->format, m->size, false);
	find_todo(&h);
	par_each(h.todo_n + 1, 0, hash_one, &h);
	free(h.todo);
	errno = h.failed;
	return h.failed != 0 ? err_sys(e, "read it") : 0;
}

static struct jval *parts_json(const struct medium *m)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < m->parts_n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", m->parts[i].name);
		jval_put_int(o, "at", (int64_t)m->parts[i].at);
		jval_put_int(o, "size", (int64_t)m->parts[i].size);
		if (m->parts[i].data)
			jval_put(o, "data", jval_bool(true));
		jval_push(list, o);
	}
	return list;
}

/* A hash each; of blocks of zeros, how many follow one another. */
static struct jval *blocks_json(const struct medium *m)
{
	const struct digest zeros = of_zeros();
	struct jval *list = jval_array();

	for (size_t i = 0, n; i<m->blocks_n; i += n> 0 ? n : 1) {
		struct jval *run SCOPED(jval_freep) = jval_object();

		for (n = 0; i + n < m->blocks_n && digest_equal(&m->blocks[i + n], &zeros);)
			n++;
		if (n > 0)
			jval_put_int(run, "zeros", (int64_t)n);
		jval_push(list, n > 0 ? jval_ref(run) : jval_text(digest_hex(&m->blocks[i]).s));
	}
	return list;
}

static struct jval *predicate_json(const struct medium *m)
{
	struct jval *v = jval_object();

	jval_put_text(v, "format", m->format);
	if (m->identity != NULL)
		jval_put_text(v, "identity", m->identity);
	jval_put_text(v, "image", digest_text(&m->image).s);
	jval_put_int(v, "size", (int64_t)m->size);
	jval_put_int(v, "block-size", MEDIUM_BLOCK);
	jval_put(v, "parts", parts_json(m));
	jval_put(v, "blocks", blocks_json(m));
	if (m->verity.there) {
		struct jval *o = jval_object();

		jval_put_text(o, "root-hash", digest_hex(&m->verity.top).s);
		jval_put_text(o, "salt", digest_hex(&m->verity.salt).s);
		jval_put_int(o, "blocks", (int64_t)m->verity.blocks);
		jval_put(v, "verity", o);
	}
	return v;
}

void medium_write(const struct medium *m, struct buf *ret)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array(), *subject = jval_object(), *sums = jval_object();

	jval_put_text(sums, "sha256", digest_hex(&m->whole).s);
	jval_put(subject, "digest", sums);
	jval_push(list, subject);
	jval_put_text(v, "_type", ATTEST_STATEMENT);
	jval_put_text(v, "predicateType", MEDIUM_PREDICATE);
	jval_put(v, "subject", list);
	jval_put(v, "predicate", predicate_json(m));
	jval_write_pretty(v, ret);
}
