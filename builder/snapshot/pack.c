#include "snapshot/pack.h"

#include "base/fault.h"
#include "snapshot/le.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROW = PACK_ID + 2, ENTRY_HEAD = 2 * DIGEST_BYTES + 8 + 4 };
static const uint64_t DIRECTORY_NUMBER = UINT32_MAX;

char *pack_object(const struct digest *name)
{
	return mem_format("packs/%s", digest_hex(name).s);
}

struct block_id pack_row_id(const struct pack_segment *s, uint32_t i)
{
	struct block_id id;

	memcpy(id.b, s->rows + (size_t)i * ROW, PACK_ID);
	return id;
}

uint32_t pack_row_size(const struct pack_segment *s, uint32_t i)
{
	return (uint32_t)le_get(s->rows + (size_t)i * ROW + PACK_ID, 2) + 1;
}

static int bad_directory(struct err *e)
{
	return err_set(e, ERR_VERIFY, "its directory is none");
}

/* Takes one segment off the front of *p. */
static int take_segment(const uint8_t **p, const uint8_t *end, struct pack_segment *s)
{
	size_t rows;

	if (end - *p < 8)
		return -1;
	s->sealed = (uint32_t)le_get(*p, 4);
	s->blocks = (uint32_t)le_get(*p + 4, 4);
	s->rows = *p + 8;
	rows = (size_t)s->blocks * ROW;
	if (s->sealed <= AEAD_TAG || s->sealed > PACK_SEALED_MAX || s->blocks == 0 ||
	    s->blocks > PACK_BLOCKS_MAX || rows > (size_t)(end - s->rows))
		return -1;
	s->plain = 0;
	for (uint32_t i = 0; i < s->blocks; i++) {
		uint32_t size = pack_row_size(s, i);

		if (size > PACK_BLOCK_MAX)
			return -1;
		s->plain += size;
	}
	*p = s->rows + rows;
	return s->plain > PACK_SEGMENT_MAX ? -1 : 0;
}

int pack_directory_each(const void *p, size_t n, uint64_t pack_size,
			int (*fn)(void *ctx, const struct pack_segment *s, struct err *e),
			void *ctx, struct err *e)
{
	const uint8_t *at = p, *end = at + n;
	uint64_t offset = SEAL_HEAD, count;

	if (n < 4)
		return bad_directory(e);
	count = le_get(at, 4);
	at += 4;
	if (count > PACK_SEGMENTS_MAX)
		return bad_directory(e);
	for (uint32_t i = 0; i < count; i++) {
		struct pack_segment s = {.offset = offset, .number = i};

		if (take_segment(&at, end, &s) != 0)
			return bad_directory(e);
		offset += s.sealed;
		if (offset + n + AEAD_TAG + PACK_TAIL > pack_size)
			return bad_directory(e);
		if (fn != NULL && fn(ctx, &s, e) != 0)
			return -1;
	}
	return at == end && offset + n + AEAD_TAG + PACK_TAIL == pack_size ? 0 : bad_directory(e);
}

static int put(struct pack *p, const void *bytes, size_t n, struct err *e)
{
	if (p->broken)
		return err_set(e, ERR_FAIL, "a pack that could not be written");
	if (fs_write_all(p->fd, bytes, n, e) != 0) {
		p->broken = true;
		return err_in(e, "a pack");
	}
	hash_add(p->hash, bytes, n);
	p->size += n;
	return 0;
}

int pack_begin(struct objects *o, const struct seal_key *k, struct pack **ret, struct err *e)
{
	struct pack *p = mem_zalloc(sizeof(*p));

	p->fd = -1;
	p->rows = (struct buf)BUF_INIT(PACK_DIRECTORY_MAX - 4);
	p->hash = hash_new();
	seal_head(SEAL_PACK, p->head);
	p->aead = seal_aead(k, p->head);
	if (objects_temp(o, &p->fd, e) != 0 || put(p, p->head, SEAL_HEAD, e) != 0) {
		pack_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	fd_closep(&p->fd);
	hash_free(p->hash);
	aead_free(p->aead);
	buf_release(&p->rows);
	free(p);
}

int pack_append(struct pack *p, const struct pack_add *a, struct err *e)
{
	const struct aead_box box = aead_box(p->segments++, p->head, SEAL_HEAD);

	aead_seal(p->aead, &box, a->bytes, a->n, a->bytes);
	if (put(p, a->bytes, a->n + AEAD_TAG, e) != 0)
		return -1;
	le_add(&p->rows, 4, a->n + AEAD_TAG);
	le_add(&p->rows, 4, a->blocks);
	buf_add(&p->rows, a->rows, (size_t)a->blocks * ROW);
	if (buf_over(&p->rows))
		return err_set(e, ERR_FAIL, "a pack of too many blocks");
	return 0;
}

bool pack_full(const struct pack *p)
{
	return p->size >= PACK_FULL || p->segments == PACK_SEGMENTS_MAX ||
	       p->rows.len + 8 + (size_t)PACK_BLOCKS_MAX * ROW > p->rows.max;
}

int pack_end(struct pack *p, struct objects *o, struct buf *ret_entry, struct err *e)
{
	struct buf dir SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX);
	const struct aead_box box = aead_box(DIRECTORY_NUMBER, p->head, SEAL_HEAD);
	uint8_t *sealed SCOPED(mem_freep) = NULL;
	char *object SCOPED(mem_freep) = NULL;
	struct pack_entry en = {0};
	uint8_t tail[PACK_TAIL];

	le_add(&dir, 4, p->segments);
	buf_add(&dir, p->rows.data, p->rows.len);
	sealed = mem_resize(NULL, dir.len + AEAD_TAG, 1);
	aead_seal(p->aead, &box, dir.data, dir.len, sealed);
	le_set(tail, sizeof(tail), dir.len + AEAD_TAG);
	if (put(p, sealed, dir.len + AEAD_TAG, e) != 0 || put(p, tail, sizeof(tail), e) != 0)
		return -1;
	en.name = hash_final(p->hash);
	memcpy(en.salt, p->head + SEAL_MAGIC, SEAL_SALT);
	en.size = p->size;
	en.directory = dir.data;
	en.directory_n = dir.len;
	object = pack_object(&en.name);
	fault_point("snapshot pack");
	if (objects_put(o, object, p->fd, e) != 0)
		return -1;
	pack_entry_add(&en, ret_entry);
	return 0;
}

void pack_entry_add(const struct pack_entry *en, struct buf *ret)
{
	buf_add(ret, en->name.b, DIGEST_BYTES);
	buf_add(ret, en->salt, SEAL_SALT);
	le_add(ret, 8, en->size);
	le_add(ret, 4, en->directory_n);
	buf_add(ret, en->directory, en->directory_n);
}

int pack_entries_each(const void *p, size_t n,
		      int (*fn)(void *ctx, const struct pack_entry *en, struct err *e), void *ctx,
		      struct err *e)
{
	const uint8_t *at = p, *end = at + n;

	while (at < end) {
		struct pack_entry en;

		if ((size_t)(end - at) < ENTRY_HEAD)
			return err_set(e, ERR_VERIFY, "is cut short");
		memcpy(en.name.b, at, DIGEST_BYTES);
		memcpy(en.salt, at + DIGEST_BYTES, SEAL_SALT);
		en.size = le_get(at + 2 * DIGEST_BYTES, 8);
		en.directory_n = le_get(at + 2 * DIGEST_BYTES + 8, 4);
		en.directory = at + ENTRY_HEAD;
		at += ENTRY_HEAD;
		if (en.directory_n > (size_t)(end - at) || en.size > PACK_SIZE_MAX)
			return err_set(e, ERR_VERIFY, "is cut short");
		at += en.directory_n;
		if (fn(ctx, &en, e) != 0)
			return -1;
	}
	return 0;
}

/* Opens the directory, whose sealed bytes are n, at the end of a pack. */
static int open_directory(struct objects *o, const struct seal_key *k, const char *object,
			  struct pack_entry *en, uint8_t *plain, struct err *e)
{
	size_t n = en->directory_n + AEAD_TAG;
	uint8_t *sealed SCOPED(mem_freep) = mem_resize(NULL, n, 1);
	struct aead *a SCOPED(aead_freep) = NULL;
	uint8_t head[SEAL_HEAD];
	const struct aead_box box = aead_box(DIRECTORY_NUMBER, head, SEAL_HEAD);

	if (objects_read(o, object, 0, head, SEAL_HEAD, e) != 0 ||
	    objects_read(o, object, en->size - PACK_TAIL - n, sealed, n, e) != 0)
		return -1;
	memcpy(en->salt, head + SEAL_MAGIC, SEAL_SALT);
	a = seal_aead(k, head);
	if (memcmp(head, SEAL_PACK, SEAL_MAGIC) != 0 || aead_open(a, &box, sealed, n, plain) != 0)
		return err_set(e, ERR_VERIFY, "%s: its directory is damaged", object);
	return 0;
}

int pack_look(struct objects *o, const struct seal_key *k, const struct object *at,
	      struct buf *ret_entry, struct err *e)
{
	char *object SCOPED(mem_freep) = mem_format("packs/%s", at->name);
	struct pack_entry en = {.size = at->size};
	uint8_t *plain SCOPED(mem_freep) = NULL;
	uint8_t tail[PACK_TAIL];
	uint64_t n;

	if (digest_parse_hex(at->name, &en.name) != 0)
		return err_set(e, ERR_VERIFY, "%s: is no pack", object);
	if (at->size < SEAL_HEAD + AEAD_TAG + PACK_TAIL || at->size > PACK_SIZE_MAX)
		return err_set(e, ERR_VERIFY, "%s: is cut short", object);
	if (objects_read(o, object, at->size - PACK_TAIL, tail, PACK_TAIL, e) != 0)
		return -1;
	n = le_get(tail, PACK_TAIL);
	if (n < AEAD_TAG || n > PACK_DIRECTORY_MAX || n > at->size - SEAL_HEAD - PACK_TAIL)
		return err_set(e, ERR_VERIFY, "%s: is cut short", object);
	en.directory_n = n - AEAD_TAG;
	plain = mem_resize(NULL, n, 1);
	if (open_directory(o, k, object, &en, plain, e) != 0)
		return -1;
	en.directory = plain;
	if (pack_directory_each(plain, en.directory_n, en.size, NULL, NULL, e) != 0)
		return err_in(e, "%s", object);
	pack_entry_add(&en, ret_entry);
	return 0;
}
