#include "snapshot/repo.h"

#include "base/fault.h"
#include "base/map.h"
#include "form/hex.h"
#include "snapshot/cache.h"
#include "snapshot/marks.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { PLACES = 6 };
enum { INDEX_MAX = 64 << 20, FORMAT_MAX = 16 << 10, SEGMENTS_MAX = 1 << 26 };

void snapshot_repo_close(struct snapshot_repo *r)
{
	if (r == NULL)
		return;
	objects_free(r->objects);
	explicit_bzero(&r->key, sizeof(r->key));
	free(r->packs);
	free(r->segments);
	table_release(&r->table);
	strv_release(&r->indexes);
	strv_release(&r->put);
	strv_release(&r->faults);
	strv_release(&r->gone);
	cache_free(r->cache);
	free(r);
}

void snapshot_repo_closep(struct snapshot_repo **r)
{
	snapshot_repo_close(*r);
	*r = NULL;
}

/* 1: there is no format.json. */
static int read_key(struct snapshot_repo *r, const struct snapshot_at *at, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(FORMAT_MAX);
	int rc = objects_get(r->objects, "format.json", &text, e);

	if (rc != 0)
		return rc;
	r->format = digest_of(text.data, text.len);
	return seal_key_parse(text.data, text.len,
			      &(struct key_from){at->secret, NULL, at->secret_n, 0}, &r->key, e);
}

/* Another may make it at the same time: the key is the one that is there afterwards. */
static int make_new(struct snapshot_repo *r, const struct snapshot_at *at, struct err *e)
{
	struct object_list l SCOPED(object_list_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(FORMAT_MAX);
	/* 16 MiB and a fifth of a second */
	static const struct key_cost cost = {1 << 14, 8, 4};
	const struct key_from secret = {at->secret, NULL, at->secret_n, 0};
	int rc;

	if (objects_list(r->objects, "packs", &l, e) != 0)
		return -1;
	if (l.n > 0)
		return err_set(e, ERR_VERIFY, "%s: there are packs, and format.json is gone",
			       at->where);
	if (seal_key_new(&secret, &cost, &text, e) != 0)
		return -1;
	rc = read_key(r, at, e); /* that took a while */
	if (rc != 1)
		return rc;
	fault_point("snapshot format");
	if (objects_put_bytes(r->objects, "format.json", text.data, text.len, e) != 0)
		return -1;
	rc = read_key(r, at, e);
	r->made = rc == 0;
	return rc == 1 ? err_set(e, ERR_REMOTE, "format.json was put, and is not there") : rc;
}

static int open_key(struct snapshot_repo *r, const struct snapshot_at *at, struct err *e)
{
	int rc;

	if (at->secret_n < SNAPSHOT_SECRET_MIN) {
		(void)err_set(e, ERR_VERIFY, "a secret of less than %d bytes", SNAPSHOT_SECRET_MIN);
		return err_hint(e, "make one of 32 random bytes");
	}
	rc = read_key(r, at, e);
	if (rc == 1 && at->use == SNAPSHOT_WRITE)
		return make_new(r, at, e);
	if (rc == 1)
		rc = err_set(e, ERR_FAIL, "there is no repository of snapshots");
	return rc == 0 ? 0 : err_in(e, "%s", at->where);
}

int snapshot_repo_open(const struct snapshot_at *at, struct snapshot_repo **ret, struct err *e)
{
	struct snapshot_repo *r = mem_zalloc(sizeof(*r));

	r->cache = cache_new(PLACES);
	r->writing = at->use == SNAPSHOT_WRITE;
	if (objects_open(at->where, at->use == SNAPSHOT_WRITE, &r->objects, e) != 0 ||
	    open_key(r, at, e) != 0 ||
	    objects_lock(r->objects, at->use == SNAPSHOT_PRUNE, e) != 0) {
		snapshot_repo_close(r);
		return -1;
	}
	*ret = r;
	return 0;
}

bool snapshot_repo_made(const struct snapshot_repo *r)
{
	return r->made;
}

struct adding {
	struct snapshot_repo *r;
	uint32_t pack;
};

static int add_segment(void *ctx, const struct pack_segment *s, struct err *e)
{
	struct adding *a = ctx;
	struct snapshot_repo *r = a->r;
	struct block_at at = {.segment = (uint32_t)r->segments_n};

	if (r->segments_n >= SEGMENTS_MAX)
		return err_set(e, ERR_VERIFY, "more segments than %d", SEGMENTS_MAX);
	if (r->segments_n == r->segments_cap)
		r->segments = mem_resize(r->segments, r->segments_cap = r->segments_cap * 2 + 64,
					 sizeof(*r->segments));
	r->segments[r->segments_n++] =
	    (struct repo_segment){.pack = a->pack,
				  .number = s->number,
				  .offset = (uint32_t)s->offset,
				  .sealed = s->sealed,
				  .plain = s->plain,
				  .bad = s->offset + s->sealed > r->packs[a->pack].there};
	/* what is cut off is to be stored anew, or is in another pack */
	for (uint32_t i = 0; i < s->blocks && !r->segments[at.segment].bad; i++) {
		struct block_id id = pack_row_id(s, i);

		at.size = pack_row_size(s, i);
		(void)table_add(&r->table, &id, &at);
		at.from += at.size;
	}
	return 0;
}

int repo_add_pack(struct snapshot_repo *r, const struct pack_entry *en, uint64_t there,
		  struct err *e)
{
	struct adding a = {r, (uint32_t)r->packs_n};
	struct repo_pack *p;
	int rc;

	if (r->packs_n == r->packs_cap)
		r->packs =
		    mem_resize(r->packs, r->packs_cap = r->packs_cap * 2 + 16, sizeof(*r->packs));
	p = &r->packs[r->packs_n++];
	*p = (struct repo_pack){
	    .name = en->name, .size = en->size, .there = there, .first = r->segments_n};
	memcpy(p->salt, en->salt, SEAL_SALT);
	/* of one that is gone nothing is to be had, but its directory is checked all the same */
	rc = pack_directory_each(en->directory, en->directory_n, en->size,
				 there > 0 ? add_segment : NULL, &a, e);
	p->n = r->segments_n - p->first;
	return rc;
}

struct loading {
	struct snapshot_repo *r;
	struct map listed; /* of hex of pack: the object, or &seen once an index had it */
	struct object_list packs;
	struct marks marks;
};

static void loading_release(struct loading *l)
{
	map_release(&l->listed, NULL);
	object_list_release(&l->packs);
	marks_release(&l->marks);
}

static struct object seen;

static int take_entry(void *ctx, const struct pack_entry *en, struct err *e)
{
	struct loading *l = ctx;
	char *name SCOPED(mem_freep) = mem_strdup(digest_hex(&en->name).s);
	const struct object *o = map_get(&l->listed, name);

	if (o == &seen)
		return 0; /* two indexes have it */
	if (o == NULL)
		strv_addf(&l->r->gone, "packs/%s: is gone", name);
	else if (o->size != en->size)
		strv_addf(&l->r->faults, "packs/%s: is cut short", name);
	l->r->whole &= o != NULL && o->size == en->size;
	(void)map_put(&l->listed, name, &seen);
	if (o == NULL || marks_has(&l->marks, name)) {
		l->r->whole = false;
		return repo_add_pack(l->r, en, 0, e);
	}
	return repo_add_pack(l->r, en, o->size, e);
}

static int read_index(struct loading *l, const char *name, struct err *e)
{
	struct buf sealed SCOPED(buf_release) = BUF_INIT(INDEX_MAX);
	struct buf plain SCOPED(buf_release) = BUF_INIT(INDEX_MAX);
	char *object SCOPED(mem_freep) = mem_format("indexes/%s", name);
	int rc = objects_get(l->r->objects, object, &sealed, e);

	if (rc == 1)
		return err_set(e, ERR_VERIFY, "%s: is gone", object);
	if (rc != 0)
		return -1;
	if (seal_unwhole(&l->r->key, SEAL_INDEX, "", &sealed, &plain, e) != 0)
		return err_in(e, "%s", object);
	table_reserve(&l->r->table, l->r->table.n + plain.len / (PACK_ID + 2));
	if (pack_entries_each(plain.data, plain.len, take_entry, l, e) != 0)
		return err_in(e, "%s", object);
	return 0;
}

/* What is damaged is told, and the rest read: only trouble of another kind ends it. */
static int tolerate(struct snapshot_repo *r, const struct err *why, struct err *e)
{
	if (why->kind == ERR_VERIFY) {
		strv_add(&r->faults, why->msg);
		r->whole = false;
		return 0;
	}
	*e = *why;
	return -1;
}

/* Packs that were put before their index could be, or whose index is damaged. */
static int read_strays(struct loading *l, struct err *e)
{
	for (size_t i = 0; i < l->packs.n; i++) {
		const struct object *o = &l->packs.v[i];
		struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX + 256);
		struct err why = ERR_INIT;

		if (map_get(&l->listed, o->name) == &seen)
			continue;
		if ((pack_look(l->r->objects, &l->r->key, o, &entry, &why) != 0 ||
		     pack_entries_each(entry.data, entry.len, take_entry, l, &why) != 0) &&
		    tolerate(l->r, &why, e) != 0)
			return -1;
	}
	return 0;
}

void repo_unload(struct snapshot_repo *r)
{
	free(STEAL(r->packs));
	free(STEAL(r->segments));
	r->packs_n = r->packs_cap = r->segments_n = r->segments_cap = 0;
	table_release(&r->table);
	strv_release(&r->indexes);
	strv_release(&r->put);
	strv_release(&r->faults);
	strv_release(&r->gone);
	r->indexes = r->put = r->faults = r->gone = (struct strv){0};
	cache_free(r->cache);
	r->cache = cache_new(PLACES);
	r->loaded = false;
}

void repo_read_little(struct snapshot_repo *r)
{
	cache_free(r->cache);
	r->cache = cache_new(1);
}

int repo_load(struct snapshot_repo *r, struct err *e)
{
	struct loading l SCOPED(loading_release) = {.r = r};
	struct object_list indexes SCOPED(object_list_release) = {0};
	int rc = 0;

	if (r->loaded)
		return 0;
	r->loaded_at = clock_wall_s();
	r->whole = true;
	if (objects_list(r->objects, "indexes", &indexes, e) != 0 ||
	    objects_list(r->objects, "packs", &l.packs, e) != 0)
		return -1;
	if (r->writing && r->objects->remote && marks_read(r, &l.marks, e) != 0)
		return -1;
	for (size_t i = 0; i < l.packs.n; i++)
		(void)map_put(&l.listed, l.packs.v[i].name, &l.packs.v[i]);
	for (size_t i = 0; i < indexes.n && rc == 0; i++) {
		struct err why = ERR_INIT;

		strv_add(&r->indexes, indexes.v[i].name);
		if (read_index(&l, indexes.v[i].name, &why) != 0)
			rc = tolerate(r, &why, e);
	}
	if (rc != 0 || read_strays(&l, e) != 0)
		return -1;
	r->loaded = true;
	return 0;
}

int repo_same(struct snapshot_repo *r, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(FORMAT_MAX);
	int rc = objects_get(r->objects, "format.json", &text, e);
	struct digest d;

	if (rc < 0)
		return -1;
	d = digest_of(text.data, text.len);
	if (rc == 0 && digest_equal(&d, &r->format))
		return 0;
	(void)err_set(e, ERR_BUSY, "format.json is another one than it was");
	return err_hint(e, "two made the repository at once: make the snapshot again");
}

static int pruned_meanwhile(struct err *e)
{
	(void)err_set(e, ERR_BUSY, "the repository was pruned meanwhile");
	return err_hint(e, "make the snapshot again");
}

/* Whether a pack that was there, or was put, goes soon: the next pruning may take it between now
 * and the time when the snapshot is there that needs it. */
static int check_marks(struct snapshot_repo *r, struct err *e)
{
	const int64_t old = clock_wall_s() - (MARKS_WAIT_S - MARKS_SPARE_S);
	struct marks m SCOPED(marks_release) = {0};
	bool goes = false;

	if (marks_read(r, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < r->packs_n; i++)
		goes |=
		    r->packs[i].there > 0 && marks_before(&m, digest_hex(&r->packs[i].name).s, old);
	for (size_t i = 0; i < r->put.n; i++)
		goes |= marks_before(&m, r->put.v[i], old);
	return goes ? pruned_meanwhile(e) : 0;
}

int repo_still(struct snapshot_repo *r, struct err *e)
{
	struct object_list l SCOPED(object_list_release) = {0};
	struct map names = {0};
	bool all = true;

	if (repo_same(r, e) != 0)
		return -1;
	if (!r->objects->remote)
		return 0;
	if (objects_list(r->objects, "packs", &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		(void)map_put(&names, l.v[i].name, &seen);
	for (size_t i = 0; i < r->packs_n; i++)
		all &= r->packs[i].there == 0 || map_has(&names, digest_hex(&r->packs[i].name).s);
	/* a making may take longer than a pruning waits */
	for (size_t i = 0; i < r->put.n; i++)
		all &= map_has(&names, r->put.v[i]);
	map_release(&names, NULL);
	return all ? check_marks(r, e) : pruned_meanwhile(e);
}

int repo_put_index(struct snapshot_repo *r, const struct buf *entries, struct digest *ret,
		   struct err *e)
{
	struct buf sealed SCOPED(buf_release) = BUF_INIT(INDEX_MAX);
	char *object SCOPED(mem_freep) = NULL;
	struct digest d;

	seal_whole(&r->key, SEAL_INDEX, "", entries, &sealed);
	if (buf_over(&sealed))
		return err_set(e, ERR_FAIL, "an index larger than %d bytes", INDEX_MAX);
	d = digest_of(sealed.data, sealed.len);
	object = mem_format("indexes/%s", digest_hex(&d).s);
	fault_point("snapshot index");
	if (objects_put_bytes(r->objects, object, sealed.data, sealed.len, e) != 0)
		return -1;
	*ret = d;
	return 0;
}

int repo_segment(struct snapshot_repo *r, const struct repo_segment *s, struct block *b, void *p,
		 struct err *e)
{
	const struct repo_pack *pack = &r->packs[s->pack];
	char *object SCOPED(mem_freep) = pack_object(&pack->name);
	uint8_t *sealed SCOPED(mem_freep) = mem_resize(NULL, s->sealed, 1);
	struct aead *a SCOPED(aead_freep) = NULL;
	uint8_t head[SEAL_HEAD];
	const struct aead_box box = aead_box(s->number, head, SEAL_HEAD);

	memcpy(head, SEAL_PACK, SEAL_MAGIC);
	memcpy(head + SEAL_MAGIC, pack->salt, SEAL_SALT);
	if (objects_read(r->objects, object, s->offset, sealed, s->sealed, e) != 0)
		return -1;
	a = seal_aead(&r->key, head);
	if (aead_open(a, &box, sealed, s->sealed, sealed) != 0)
		return err_set(e, ERR_VERIFY, "%s: is damaged in its bytes %u to %u", object,
			       s->offset, s->offset + s->sealed - 1);
	if (block_unpack(b, sealed, s->sealed - AEAD_TAG, p, s->plain, e) != 0)
		return err_in(e, "%s: segment %u", object, s->number);
	return 0;
}

int repo_block(struct snapshot_repo *r, const struct block_id *id, void *p, uint32_t *ret_n,
	       struct err *e)
{
	struct block_at at;

	if (!table_get(&r->table, id, &at)) {
		char hex[2 * PACK_ID + 1];

		hex_encode(id->b, PACK_ID, hex);
		return err_set(e, ERR_VERIFY, "block %s is in no pack that is there", hex);
	}
	if (cache_copy(r->cache, r, &at, p, e) != 0)
		return -1;
	*ret_n = at.size;
	return 0;
}
