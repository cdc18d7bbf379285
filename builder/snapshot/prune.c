#include "snapshot/marks.h"
#include "snapshot/open.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PERIODS = 3 };

void snapshot_pruned_release(struct snapshot_pruned *p)
{
	strv_release(&p->gone);
	strv_release(&p->missing);
	strv_release(&p->damaged);
	*p = (struct snapshot_pruned){0};
}

/* The day, week (from Monday) or month that a time is in, as a number. */
static int64_t period_of(int64_t time, unsigned which)
{
	int64_t day = time / 86400;
	time_t t = (time_t)time;
	struct tm tm = {0};

	if (which == 0)
		return day;
	if (which == 1)
		return (day + 3) / 7; /* 1970 began on a Thursday */
	(void)gmtime_r(&t, &tm);
	return (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

/* Marks what stays of the site or tree that the snapshot `last` is the newest of. */
static void keep_site(const struct snapshot_infos *all, size_t last, const struct snapshot_keep *k,
		      bool *stays)
{
	const unsigned want[PERIODS] = {k->daily, k->weekly, k->monthly};
	unsigned newest = 0, had[PERIODS] = {0};
	int64_t before[PERIODS] = {-1, -1, -1};

	for (size_t i = last + 1; i > 0; i--) {
		const struct snapshot_info *s = &all->v[i - 1];

		if (s->fault != NULL || !info_same_tree(s, &all->v[last]))
			continue;
		if (newest++ < k->newest)
			stays[i - 1] = true;
		for (unsigned p = 0; p < PERIODS; p++) {
			int64_t period = period_of(s->time, p);

			if (had[p] == want[p] || period == before[p])
				continue;
			before[p] = period;
			had[p]++;
			stays[i - 1] = true;
		}
	}
}

static void keep_all(const struct snapshot_infos *all, const struct snapshot_keep *k, bool *stays)
{
	for (size_t i = all->n; i > 0; i--) {
		bool newer = all->v[i - 1].fault != NULL;

		for (size_t j = i; !newer && j < all->n; j++)
			newer |=
			    all->v[j].fault == NULL && info_same_tree(&all->v[j], &all->v[i - 1]);
		if (!newer)
			keep_site(all, i - 1, k, stays);
	}
}

struct using
{
	struct snapshot_repo *r;
	bool *packs;
	bool lost; /* a block is in none of the packs that are there */
};

static int use(void *ctx, const struct block_id *id, bool leaf, struct err *e)
{
	struct using *u = ctx;
	struct block_at at;

	(void)leaf;
	if (table_get(&u->r->table, id, &at))
		u->packs[u->r->segments[at.segment].pack] = true;
	else if (u->r->gone.n > 0)
		u->lost = true;
	else
		return err_set(e, ERR_VERIFY, "blocks are missing");
	return 0;
}

static int use_record(struct using *u, const struct buf *record, struct err *e)
{
	const struct ids_visit v = {use, u};
	struct ids_record rec = {0};

	if (ids_take((const uint8_t *)record->data, record->len, &rec) == 0)
		return err_set(e, ERR_VERIFY, "a record of blocks is none");
	return ids_each(u->r, &rec, &v, e);
}

/* Marks the packs that a snapshot needs. */
static int use_snapshot(struct using *u, const char *id, struct err *e)
{
	struct body b SCOPED(body_release);
	struct items c SCOPED(items_release);
	const struct ids_visit v = {use, u};

	body_init(&b);
	items_init(&c);
	if (body_get(u->r, id, &b, e) != 0 || use_record(u, &b.manifest, e) != 0 ||
	    use_record(u, &b.contents, e) != 0 || items_read(u->r, &b, &c, e) != 0)
		return err_in(e, "snapshot %s", id);
	for (size_t i = 0; i < c.n; i++) {
		struct ids_record rec = item_record(c.v[i]);

		if (ids_each(u->r, &rec, &v, e) != 0)
			return err_in(e, "snapshot %s", id);
	}
	return 0;
}

/* The same, and whether it lacks something that was in a pack that is gone. */
static int use_or_tell(struct using *u, const char *id, struct strv *damaged, struct err *e)
{
	struct err why = ERR_INIT;

	u->lost = false;
	if (use_snapshot(u, id, &why) != 0) {
		if (why.kind != ERR_VERIFY || u->r->gone.n == 0) {
			*e = why;
			return -1;
		}
		u->lost = true;
	}
	if (u->lost)
		strv_add(damaged, id);
	return 0;
}

/* An index of the packs that stay, which takes the place of all others. */
struct merging {
	struct snapshot_repo *r;
	const bool *packs;
	struct buf entries;
};

static int merge_pack(struct merging *m, size_t i, struct err *e)
{
	struct repo_pack *p = &m->r->packs[i];
	char *hex SCOPED(mem_freep) = mem_strdup(digest_hex(&p->name).s);
	struct object at = {.size = p->size};

	at.name = hex;
	if (pack_look(m->r->objects, &m->r->key, &at, &m->entries, e) != 0)
		return -1;
	return buf_over(&m->entries) ? err_set(e, ERR_FAIL, "an index that is too large") : 0;
}

static int remove_indexes(struct snapshot_repo *r, const struct strv *stay, struct err *e)
{
	for (size_t i = 0; i < r->indexes.n; i++) {
		char *object SCOPED(mem_freep) = mem_format("indexes/%s", r->indexes.v[i]);

		if (!strv_has(stay, r->indexes.v[i]) && objects_remove(r->objects, object, e) != 0)
			return -1;
	}
	return 0;
}

static int put_indexes(struct merging *m, struct strv *ret_new, struct err *e)
{
	enum { FULL = 8 << 20 };
	struct digest d;

	for (size_t i = 0; i < m->r->packs_n; i++) {
		if (m->packs[i] && merge_pack(m, i, e) != 0)
			return -1;
		if (m->entries.len == 0 || (i + 1 < m->r->packs_n && m->entries.len < FULL))
			continue;
		if (repo_put_index(m->r, &m->entries, &d, e) != 0)
			return -1;
		strv_add(ret_new, digest_hex(&d).s);
		buf_cut(&m->entries, 0);
	}
	return 0;
}

/* Snapshots are gone before what they need is, and the indexes that name a pack before that: a kill
 * leaves packs that nobody names, which the next run finds. */
static int remove_packs(struct snapshot_repo *r, const bool *packs, const struct snapshot_keep *k,
			struct snapshot_pruned *ret, struct err *e)
{
	struct merging m = {.r = r, .packs = packs, .entries = BUF_INIT(48 << 20)};
	struct strv fresh SCOPED(strv_release) = {0};
	int rc = k->dry_run ? 0 : put_indexes(&m, &fresh, e);

	buf_release(&m.entries);
	if (rc == 0 && !k->dry_run)
		rc = remove_indexes(r, &fresh, e);
	for (size_t i = 0; rc == 0 && i < r->packs_n; i++) {
		char *object SCOPED(mem_freep) = pack_object(&r->packs[i].name);

		if (packs[i] || r->packs[i].there == 0)
			continue;
		ret->packs++;
		ret->bytes += r->packs[i].there;
		if (!k->dry_run)
			rc = objects_remove(r->objects, object, e);
	}
	return rc;
}

/* Of a bucket: packs that are not needed, and were not marked a day ago, stay and are marked. Marks
 * of packs that are gone are of no use any more. */
static int wait_for_ripe(struct snapshot_repo *r, bool *packs, bool dry_run,
			 struct snapshot_pruned *ret, struct err *e)
{
	/* of when the snapshots were listed: one that came since may need what is ripe now */
	const int64_t ripe = r->loaded_at - MARKS_WAIT_S;

	struct marks m SCOPED(marks_release) = {0};
	struct strv fresh SCOPED(strv_release) = {0};
	size_t marked = 0;
	int rc = marks_read(r, &m, e);

	for (size_t i = 0; rc == 0 && i < r->packs_n; i++) {
		char *hex SCOPED(mem_freep) = mem_strdup(digest_hex(&r->packs[i].name).s);

		marked += marks_has(&m, hex);
		if (packs[i] || r->packs[i].there == 0 || marks_before(&m, hex, ripe))
			continue;
		packs[i] = true;
		ret->waiting++;
		if (!marks_has(&m, hex))
			strv_add(&fresh, hex);
	}
	for (size_t i = 0; rc == 0 && marked == 0 && !dry_run && i < m.objects.n; i++)
		rc = objects_remove(r->objects, m.objects.v[i], e);
	if (rc != 0 || dry_run || fresh.n == 0)
		return rc;
	return marks_put(r, &fresh, e);
}

static int remove_snapshots(struct snapshot_repo *r, const struct snapshot_infos *all,
			    const struct snapshot_keep *k, struct snapshot_pruned *ret,
			    struct err *e)
{
	bool *stays SCOPED(mem_freep) = mem_zalloc(all->n + 1);
	bool *packs SCOPED(mem_freep) = mem_zalloc(r->packs_n + 1);
	struct using u = {.r = r, .packs = packs};

	keep_all(all, k, stays);
	for (size_t i = 0; i < all->n; i++) {
		if (!stays[i])
			strv_add(&ret->gone, all->v[i].id);
		else if (use_or_tell(&u, all->v[i].id, &ret->damaged, e) != 0)
			return -1;
	}
	if (!k->dry_run && ret->gone.n > 0 && pruned_put(r, &ret->gone, e) != 0)
		return -1;
	for (size_t i = 0; !k->dry_run && i < ret->gone.n; i++) {
		char *object SCOPED(mem_freep) = mem_format("snapshots/%s.json", ret->gone.v[i]);

		if (objects_remove(r->objects, object, e) != 0)
			return -1;
	}
	/* which of the packs it needs is not known any more */
	if (ret->damaged.n > 0)
		return 0;
	if (r->objects->remote && wait_for_ripe(r, packs, k->dry_run, ret, e) != 0)
		return -1;
	return remove_packs(r, packs, k, ret, e);
}

int snapshot_prune(struct snapshot_repo *r, const struct snapshot_keep *k,
		   struct snapshot_pruned *ret, struct err *e)
{
	struct snapshot_infos all SCOPED(snapshot_infos_release) = {0};
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};

	if (k->newest + k->daily + k->weekly + k->monthly == 0)
		return err_set(e, ERR_USAGE, "nothing is to be kept");
	if (objects_may_remove(r->objects, e) != 0 || repo_load(r, e) != 0 ||
	    snapshot_list(r, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].fault != NULL)
			strv_add(&r->faults, all.v[i].fault);
	for (size_t i = 0; i < all.missing.n; i++)
		strv_addf(&r->faults, "snapshots/%s.json is gone, and was not pruned",
			  all.missing.v[i]);
	if (r->faults.n > 0) {
		(void)err_set(e, ERR_VERIFY, "nothing is removed from a damaged repository: %s",
			      r->faults.v[0]);
		return err_hint(e, "posmedia snapshot --verify REPO tells all that is wrong");
	}
	strv_extend(&p.missing, &r->gone);
	if (remove_snapshots(r, &all, k, &p, e) != 0)
		return -1;
	*ret = p;
	p = (struct snapshot_pruned){0};
	repo_unload(r);
	return 0;
}
