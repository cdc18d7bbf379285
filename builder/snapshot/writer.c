#include "snapshot/writer.h"

#include "snapshot/le.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	LEVEL = 3,
	ROW = PACK_ID + 2,
	INDEX_FULL = 512 << 10, /* an index of that size is put: what is in memory has a limit */
	ENTRIES_MAX = 32 << 20,
};
/* the segment of a block that is being written */
static const uint32_t NOT_READ = UINT32_MAX - 1;

/* A segment that is being filled. */
struct filling {
	uint8_t *plain, *rows;
	size_t plain_n;
	uint32_t blocks;
};

struct filler {
	struct writer *w;
	struct filler *next;
	struct mac *mac;
	struct block *block;
	struct abreast *hashes; /* the first stream is the file's */
	uint8_t *buffer;
	uint8_t *sealed;
	/* what says which blocks a file has is wanted without them, and lies together */
	struct filling contents, rows;
};

struct writer {
	struct snapshot_repo *r;
	bool dry_run;
	pthread_mutex_t lock; /* of all below, and of the table */
	struct filler *free;
	struct pack *pack;
	struct buf entries; /* of packs that are in no index yet */
	uint64_t added, blocks;
};

struct writer *writer_new(struct snapshot_repo *r, bool dry_run)
{
	struct writer *w = mem_zalloc(sizeof(*w));

	w->r = r;
	w->dry_run = dry_run;
	w->entries = (struct buf)BUF_INIT(ENTRIES_MAX);
	(void)pthread_mutex_init(&w->lock, NULL);
	return w;
}

static void filling_release(struct filling *s)
{
	free(s->plain);
	free(s->rows);
}

static void filler_release(struct filler *f)
{
	mac_free(f->mac);
	block_free(f->block);
	abreast_free(f->hashes);
	free(f->buffer);
	free(f->sealed);
	filling_release(&f->contents);
	filling_release(&f->rows);
	free(f);
}

void writer_free(struct writer *w)
{
	if (w == NULL)
		return;
	while (w->free != NULL) {
		struct filler *f = w->free;

		w->free = f->next;
		filler_release(f);
	}
	pack_free(w->pack);
	buf_release(&w->entries);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

void writer_freep(struct writer **w)
{
	writer_free(*w);
	*w = NULL;
}

static void filling_init(struct filling *s)
{
	s->plain = mem_resize(NULL, PACK_SEGMENT_MAX, 1);
	s->rows = mem_resize(NULL, PACK_BLOCKS_MAX, ROW);
}

struct filler *writer_take(struct writer *w)
{
	struct filler *f;

	(void)pthread_mutex_lock(&w->lock);
	f = w->free;
	if (f != NULL)
		w->free = f->next;
	(void)pthread_mutex_unlock(&w->lock);
	if (f != NULL)
		return f;
	f = mem_zalloc(sizeof(*f));
	f->w = w;
	f->mac = seal_mac(&w->r->key);
	f->block = block_new(LEVEL);
	f->hashes = abreast_new(false);
	f->buffer = mem_resize(NULL, FILLER_BUFFER, 1);
	f->sealed = mem_resize(NULL, block_room(PACK_SEGMENT_MAX) + AEAD_TAG, 1);
	filling_init(&f->contents);
	filling_init(&f->rows);
	return f;
}

void writer_give(struct writer *w, struct filler *f)
{
	(void)pthread_mutex_lock(&w->lock);
	f->next = w->free;
	w->free = f;
	(void)pthread_mutex_unlock(&w->lock);
}

uint8_t *filler_buffer(struct filler *f)
{
	return f->buffer;
}

struct digest filler_digest(struct filler *f)
{
	return abreast_final(f->hashes, 0);
}

/* Puts an index of the packs that are in none, when there are many of them, or all are. */
static int put_index(struct writer *w, bool all, struct err *e)
{
	struct buf entries SCOPED(buf_release) = BUF_INIT(ENTRIES_MAX);
	struct digest d;

	(void)pthread_mutex_lock(&w->lock);
	if (w->entries.len > 0 && (all || w->entries.len >= INDEX_FULL))
		SWAP(entries, w->entries);
	(void)pthread_mutex_unlock(&w->lock);
	return entries.len > 0 ? repo_put_index(w->r, &entries, &d, e) : 0;
}

static int end_pack(struct writer *w, struct pack *p, struct err *e)
{
	struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX + 256);
	int rc = repo_same(w->r, e);

	if (rc == 0)
		rc = pack_end(p, w->r->objects, &entry, e);
	if (rc == 0) {
		struct digest name;

		memcpy(name.b, entry.data, DIGEST_BYTES);
		(void)pthread_mutex_lock(&w->lock);
		strv_add(&w->r->put, digest_hex(&name).s);
		buf_add(&w->entries, entry.data, entry.len);
		w->added += p->size;
		(void)pthread_mutex_unlock(&w->lock);
		rc = put_index(w, false, e);
	}
	pack_free(p);
	return rc;
}

/* Appends to the pack; hands it out when it is full. */
static int append(struct writer *w, const struct pack_add *a, struct pack **ret_full, struct err *e)
{
	int rc = 0;

	(void)pthread_mutex_lock(&w->lock);
	if (w->pack == NULL)
		rc = pack_begin(w->r->objects, &w->r->key, &w->pack, e);
	if (rc == 0)
		rc = pack_append(w->pack, a, e);
	if (rc == 0 && pack_full(w->pack))
		*ret_full = STEAL(w->pack);
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

static int end_segment(struct filler *f, struct filling *s, struct err *e)
{
	struct writer *w = f->w;
	struct pack_add a = {.bytes = f->sealed, .rows = s->rows, .blocks = s->blocks};
	struct pack *full = NULL;

	if (s->blocks == 0)
		return 0;
	a.n = block_pack(f->block, s->plain, s->plain_n, f->sealed);
	s->plain_n = 0;
	s->blocks = 0;
	if (w->dry_run) {
		(void)pthread_mutex_lock(&w->lock);
		w->added += a.n + AEAD_TAG + 8 + (uint64_t)a.blocks * ROW;
		(void)pthread_mutex_unlock(&w->lock);
		return 0;
	}
	if (append(w, &a, &full, e) != 0)
		return -1;
	return full != NULL ? end_pack(w, full, e) : 0;
}

/* Whether it is new; from then on it counts as there. */
static bool claim(struct writer *w, const struct block_id *id, size_t n)
{
	const struct block_at at = {.segment = NOT_READ, .size = (uint32_t)n};
	bool fresh;

	(void)pthread_mutex_lock(&w->lock);
	fresh = table_add(&w->r->table, id, &at);
	w->blocks += fresh;
	(void)pthread_mutex_unlock(&w->lock);
	return fresh;
}

static int add_block(struct filler *f, struct filling *s, const struct block_id *id, const void *p,
		     size_t n, struct err *e)
{
	uint8_t *row;

	if ((s->plain_n + n > PACK_SEGMENT_MAX || s->blocks == PACK_BLOCKS_MAX) &&
	    end_segment(f, s, e) != 0)
		return -1;
	memcpy(s->plain + s->plain_n, p, n);
	s->plain_n += n;
	row = s->rows + (size_t)s->blocks++ * ROW;
	memcpy(row, id->b, PACK_ID);
	le_set(row + PACK_ID, 2, n - 1);
	return 0;
}

static struct block_id id_of(const struct digest *mac)
{
	struct block_id id;

	memcpy(id.b, mac->b, PACK_ID);
	return id;
}

int filler_block(struct filler *f, const void *p, size_t n, struct block_id *ret, struct err *e)
{
	const struct digest mac = mac_of(f->mac, p, n);

	*ret = id_of(&mac);
	return claim(f->w, ret, n) ? add_block(f, &f->contents, ret, p, n, e) : 0;
}

int filler_next(struct filler *f, const void *p, size_t n, struct block_id *ret, struct err *e)
{
	const struct digest mac = mac_beside(f->mac, f->hashes, p, n);

	*ret = id_of(&mac);
	return claim(f->w, ret, n) ? add_block(f, &f->contents, ret, p, n, e) : 0;
}

int filler_row(struct filler *f, const void *p, size_t n, struct block_id *ret, struct err *e)
{
	const struct digest mac = mac_of(f->mac, p, n);

	*ret = id_of(&mac);
	return claim(f->w, ret, n) ? add_block(f, &f->rows, ret, p, n, e) : 0;
}

int writer_end(struct writer *w, struct err *e)
{
	struct pack *last;

	for (struct filler *f = w->free; f != NULL; f = f->next)
		if (end_segment(f, &f->contents, e) != 0 || end_segment(f, &f->rows, e) != 0)
			return -1;
	last = STEAL(w->pack);
	if (last != NULL && end_pack(w, last, e) != 0)
		return -1;
	return put_index(w, true, e);
}

uint64_t writer_added(struct writer *w)
{
	uint64_t n;

	(void)pthread_mutex_lock(&w->lock);
	n = w->added + (w->pack != NULL ? w->pack->size : 0);
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}

uint64_t writer_blocks(struct writer *w)
{
	uint64_t n;

	(void)pthread_mutex_lock(&w->lock);
	n = w->blocks;
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}
