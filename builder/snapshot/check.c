/* check.c - whether what is kept can be had: packs, segments, and the files that need them. */
#include "snapshot/open.h"

#include "base/log.h"
#include "snapshot/le.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct checking {
	struct snapshot_repo *r;
	const bool *set;
	struct strv *faults;
	pthread_mutex_t lock; /* of all below, and of the faults */
	uint64_t done, total;
	struct err err; /* what is no damage */
	bool failed;
};

/* Of one pack, by one thread. */
struct pack_check {
	struct checking *c;
	const struct repo_pack *p;
	struct mac *mac;
	struct block *block;
	uint8_t *plain;
	size_t faults;
};

static void say(struct pack_check *x, const struct err *why)
{
	struct checking *c = x->c;

	(void)pthread_mutex_lock(&c->lock);
	if (why->kind == ERR_VERIFY) {
		strv_add(c->faults, why->msg);
	} else if (!c->failed) {
		c->err = *why;
		c->failed = true;
	}
	(void)pthread_mutex_unlock(&c->lock);
	x->faults++;
}

static void check_segment(struct pack_check *x, struct repo_segment *s)
{
	struct err why = ERR_INIT;

	if (s->bad)
		return;
	if (repo_segment(x->c->r, s, x->block, x->plain, &why) != 0) {
		s->bad = true;
		say(x, &why);
	}
	(void)pthread_mutex_lock(&x->c->lock);
	x->c->done += s->sealed;
	log_progress("verify", x->c->done, x->c->total);
	(void)pthread_mutex_unlock(&x->c->lock);
}

static int unlike_index(const struct pack_check *x, struct err *e)
{
	return err_set(e, ERR_VERIFY, "packs/%s: is not what the index says",
		       digest_hex(&x->p->name).s);
}

/* Whether the blocks of a segment are those that they are called: a directory's segment, read
 * before into x->plain. The index may be of somebody who meant harm. */
static int check_ids(void *ctx, const struct pack_segment *s, struct err *e)
{
	struct pack_check *x = ctx;
	struct repo_segment *seg = &x->c->r->segments[x->p->first + s->number];
	size_t from = 0;

	if (s->number >= x->p->n || seg->offset != s->offset || seg->sealed != s->sealed ||
	    seg->plain != s->plain)
		return unlike_index(x, e);
	check_segment(x, seg);
	if (seg->bad)
		return x->c->failed ? err_set(e, ERR_FAIL, "given up") : 0;
	for (uint32_t i = 0; i < s->blocks; i++) {
		struct block_id id = pack_row_id(s, i);
		struct digest d = mac_of(x->mac, x->plain + from, pack_row_size(s, i));
		struct block_at at;

		if (!table_get(&x->c->r->table, &id, &at))
			return unlike_index(x, e);
		if (memcmp(id.b, d.b, PACK_ID) != 0) {
			seg->bad = true;
			return err_set(e, ERR_VERIFY, "packs/%s: a block is not what it is called",
				       digest_hex(&x->p->name).s);
		}
		from += pack_row_size(s, i);
	}
	return 0;
}

static int check_entry(void *ctx, const struct pack_entry *en, struct err *e)
{
	struct pack_check *x = ctx;

	if (memcmp(en->salt, x->p->salt, SEAL_SALT) != 0 || le_get(en->directory, 4) != x->p->n)
		return unlike_index(x, e);
	return pack_directory_each(en->directory, en->directory_n, en->size, check_ids, x, e);
}

static int hash_pack(struct pack_check *x, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *object SCOPED(mem_freep) = pack_object(&x->p->name);
	struct digest d;

	for (uint64_t at = 0; at < x->p->size;) {
		size_t n = x->p->size - at < PACK_SEGMENT_MAX ? (size_t)(x->p->size - at)
							      : PACK_SEGMENT_MAX;

		if (objects_read(x->c->r->objects, object, at, x->plain, n, e) != 0)
			return -1;
		hash_add(h, x->plain, n);
		at += n;
	}
	d = hash_final(h);
	return digest_equal(&d, &x->p->name)
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s: is not what its name says", object);
}

/* Every byte of a pack. Its bytes may be wrong where no segment is: that is told too. */
static void check_whole(struct pack_check *x)
{
	struct snapshot_repo *r = x->c->r;
	struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX + 256);
	struct object at = {.size = x->p->size};
	char *hex SCOPED(mem_freep) = mem_strdup(digest_hex(&x->p->name).s);
	struct err why = ERR_INIT;

	at.name = hex;
	if (pack_look(r->objects, &r->key, &at, &entry, &why) != 0 ||
	    pack_entries_each(entry.data, entry.len, check_entry, x, &why) != 0) {
		say(x, &why);
		for (size_t i = 0; i < x->p->n; i++)
			check_segment(x, &r->segments[x->p->first + i]);
	}
	if (x->faults == 0 && hash_pack(x, &why) != 0)
		say(x, &why);
}

static void check_pack(void *ctx, size_t i)
{
	struct checking *c = ctx;
	struct pack_check x = {.c = c, .p = &c->r->packs[i]};

	if (x.p->there == 0 || c->failed || intr_pending())
		return;
	x.plain = mem_resize(NULL, PACK_SEGMENT_MAX, 1);
	x.block = block_new(0);
	x.mac = seal_mac(&c->r->key);
	if (c->set == NULL)
		check_whole(&x);
	for (size_t n = 0; c->set != NULL && n < x.p->n; n++)
		if (c->set[x.p->first + n])
			check_segment(&x, &c->r->segments[x.p->first + n]);
	mac_free(x.mac);
	block_free(x.block);
	free(x.plain);
}

int check_segments(struct snapshot_repo *r, const bool *set, struct strv *faults, struct err *e)
{
	struct checking c = {.r = r, .set = set, .faults = faults, .err = ERR_INIT};

	for (size_t i = 0; i < r->segments_n; i++)
		if (set == NULL || set[i])
			c.total += r->segments[i].sealed;
	(void)pthread_mutex_init(&c.lock, NULL);
	par_each(r->packs_n, 0, check_pack, &c);
	(void)pthread_mutex_destroy(&c.lock);
	if (intr_pending())
		return intr_err(e);
	if (!c.failed)
		return 0;
	*e = c.err;
	return -1;
}

struct asking {
	struct snapshot_repo *r;
	bool *set; /* segments that are met are marked here; or NULL */
	bool lost;
};

static int ask(void *ctx, const struct block_id *id, bool leaf, struct err *e)
{
	struct asking *a = ctx;
	struct block_at at;

	(void)leaf;
	(void)e;
	if (!table_get(&a->r->table, id, &at) || a->r->segments[at.segment].bad)
		a->lost = true;
	else if (a->set != NULL)
		a->set[at.segment] = true;
	return 0;
}

/* Asks for all blocks of a file. Rows that cannot be read lose it too. */
static int ask_item(struct asking *a, const uint8_t *item, struct err *e)
{
	const struct ids_visit v = {ask, a};
	struct ids_record rec = item_record(item);
	struct err why = ERR_INIT;

	a->lost = false;
	if (ids_each(a->r, &rec, &v, &why) == 0)
		return 0;
	a->lost = true;
	if (why.kind == ERR_VERIFY)
		return 0;
	*e = why;
	return -1;
}

int snapshot_find_lost(struct snapshot *s, bool **ret, struct err *e)
{
	bool *lost = mem_zalloc(s->m.n + 1);
	struct asking a = {.r = s->r};

	for (size_t i = 0; i < s->m.n; i++) {
		const struct manifest_entry *en = &s->m.v[i];
		const struct manifest_entry *first =
		    en->same_as != NULL ? manifest_find(&s->m, en->same_as) : NULL;

		if (first != NULL) {
			lost[i] = lost[first - s->m.v];
		} else if (s->items[i] != NULL) {
			if (ask_item(&a, s->items[i], e) != 0) {
				free(lost);
				return -1;
			}
			lost[i] = a.lost;
		}
	}
	*ret = lost;
	return 0;
}

/* The segments that a snapshot's files need. */
static int find_needed(struct snapshot *s, bool *set, struct err *e)
{
	struct asking a = {.r = s->r, .set = set};

	for (size_t i = 0; i < s->m.n; i++)
		if (s->items[i] != NULL && ask_item(&a, s->items[i], e) != 0)
			return -1;
	return 0;
}

int snapshot_drop_lost(struct snapshot *s, struct strv *ret, struct err *e)
{
	struct strv faults SCOPED(strv_release) = {0};
	bool *set SCOPED(mem_freep) = mem_zalloc(s->r->segments_n + 1);
	bool *lost SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (find_needed(s, set, e) != 0 || check_segments(s->r, set, &faults, e) != 0 ||
	    snapshot_find_lost(s, &lost, e) != 0)
		return -1;
	for (size_t i = 0; i < faults.n; i++)
		log_warn("%s", faults.v[i]);
	for (size_t i = 0; i < s->m.n; i++) {
		struct manifest_entry en = s->m.v[i];
		const uint8_t *item = s->items[i];

		if (lost[i]) {
			strv_add(ret, en.path);
			s->m.files -= item != NULL;
			s->m.bytes -= item != NULL ? en.size : 0;
			continue;
		}
		s->m.v[n] = en;
		s->items[n++] = item;
	}
	s->m.n = n;
	return 0;
}
