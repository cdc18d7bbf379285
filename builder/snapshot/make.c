#include "snapshot/gather.h"
#include "snapshot/stream.h"

#include "base/log.h"
#include "form/sigv4.h"
#include "sys/clock.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 4 };

void snapshot_result_release(struct snapshot_result *r)
{
	info_release(&r->info);
	manifest_release(&r->m);
}

struct making {
	struct snapshot_repo *r;
	const struct snapshot_opts *o;
	struct writer *w;
	struct items known;
	struct gather g;
	struct body body;
	struct manifest m;
};

static void making_release(struct making *x)
{
	writer_free(x->w);
	gather_release(&x->g);
	items_release(&x->known);
	body_release(&x->body);
	manifest_release(&x->m);
}

static int is_there(void *ctx, const struct block_id *id, bool leaf, struct err *e)
{
	const struct snapshot_repo *r = ctx;

	(void)leaf;
	return table_get(&r->table, id, NULL) ? 0 : err_set(e, ERR_VERIFY, "a block is gone");
}

/* A content of the snapshot before, and the segment that its rows of ids begin in. */
struct placed {
	uint32_t segment;
	const uint8_t *item;
};

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	return x->segment != y->segment ? (x->segment > y->segment) - (x->segment < y->segment)
					: (x->item > y->item) - (x->item < y->item);
}

/* In the order in which their rows lie, or each segment of those would be read many times. */
static struct placed *place_known(const struct making *x)
{
	struct placed *v = mem_resize(NULL, x->known.n + 1, sizeof(*v));

	for (size_t i = 0; i < x->known.n; i++) {
		const struct ids_record rec = item_record(x->known.v[i]);
		struct block_at at = {0};
		struct block_id id;

		if (rec.depth > 0) {
			memcpy(id.b, rec.ids, PACK_ID);
			(void)table_get(&x->r->table, &id, &at);
		}
		v[i] = (struct placed){at.segment, x->known.v[i]};
	}
	qsort(v, x->known.n, sizeof(*v), by_place);
	return v;
}

/* Only what is there in full is known. That no pack is missed says nothing: one that is gone with
 * its index is named by nobody. */
static int drop_incomplete(struct making *x, struct err *e)
{
	const struct ids_visit v = {is_there, x->r};
	struct placed *placed SCOPED(mem_freep) = place_known(x);
	size_t n = 0;

	for (size_t i = 0; i < x->known.n; i++) {
		struct ids_record rec = item_record(placed[i].item);
		struct err why = ERR_INIT;

		if (ids_each(x->r, &rec, &v, &why) == 0) {
			x->known.v[n++] = placed[i].item;
		} else if (why.kind != ERR_VERIFY) {
			*e = why;
			return -1;
		}
	}
	x->known.n = n;
	return 0;
}

/* The contents that a snapshot has need not be read again. What of it is damaged is stored anew. */
static int read_known(struct making *x, const struct snapshot_info *last, struct err *e)
{
	struct body b SCOPED(body_release);
	struct err why = ERR_INIT;

	body_init(&b);
	if (last == NULL)
		return 0;
	if (body_get(x->r, last->id, &b, &why) == 0 && items_read(x->r, &b, &x->known, &why) == 0) {
		if (drop_incomplete(x, e) != 0)
			return -1;
		items_sort(&x->known);
		return 0;
	}
	if (why.kind != ERR_VERIFY) {
		*e = why;
		return -1;
	}
	log_warn("all files are read: %s", why.msg);
	items_release(&x->known);
	return 0;
}

static void describe(struct making *x)
{
	struct snapshot_info *i = &x->body.info;
	char host[HOST_NAME_MAX + 1] = "";

	(void)gethostname(host, sizeof(host) - 1);
	i->shop = mem_strdup(x->o->shop);
	i->env = mem_strdup(x->o->env);
	i->host = mem_strdup(host);
	i->source = mem_strdup(x->o->source);
}

/* A damaged one of the same second would be as new as this. */
static bool same_second(const struct snapshot_infos *all, int64_t time)
{
	char *text SCOPED(mem_freep) = sigv4_time(time);

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].fault != NULL && strncmp(all->v[i].id, text, strlen(text)) == 0)
			return true;
	return false;
}

static void follow(struct making *x, const struct snapshot_infos *all,
		   const struct snapshot_info *last)
{
	struct snapshot_info *i = &x->body.info;

	if (last != NULL) {
		i->previous = mem_strdup(last->id);
		if (i->time <= last->time)
			i->time = last->time + 1; /* clocks go back; the order stays */
	}
	while (same_second(all, i->time))
		i->time++;
	i->id = body_id(i);
}

static int load(struct making *x, struct err *e)
{
	struct snapshot_infos all SCOPED(snapshot_infos_release) = {0};
	const struct snapshot_info *last;

	if (repo_load(x->r, e) != 0 || snapshot_list(x->r, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < x->r->faults.n; i++)
		log_warn("%s", x->r->faults.v[i]);
	for (size_t i = 0; i < x->r->gone.n; i++)
		log_warn("%s", x->r->gone.v[i]);
	describe(x);
	last = infos_newest(&all, &x->body.info);
	follow(x, &all, last);
	for (size_t i = all.n; last == NULL && i > 0; i--)
		if (all.v[i - 1].fault == NULL)
			last = &all.v[i - 1];
	repo_read_little(x->r);
	if (read_known(x, last, e) != 0)
		return -1;
	repo_read_little(x->r);
	return 0;
}

static void go_on(void *ctx, const char *path)
{
	(void)ctx;
	(void)path; /* it is told when its content is read */
}

static int make_manifest(struct making *x, int dirfd, struct err *e)
{
	struct manifest_opts o = {0};

	if (x->o->manifest != NULL)
		o = *x->o->manifest;
	if (o.unsteady == NULL)
		o.unsteady = go_on;
	/* what has to be read is read when its blocks are; who remembers nothing has to compare
	 * what is read with what is kept, and that goes faster without them */
	o.later = o.seen != NULL || snapshot_repo_made(x->r);
	manifest_release(&x->m);
	x->m = (struct manifest){0};
	return manifest_make(dirfd, &o, &x->m, e);
}

/* Gathers until every file that is there has its content: of two that were the same only one was
 * read, and that one may have changed. Each turn settles what it read. */
static int gather_all(struct making *x, bool last, struct err *e)
{
	uint64_t before;

	do {
		before = x->g.changed;
		if (gather_files(&x->g, &x->m, e) != 0)
			return -1;
		manifest_settle(&x->m);
	} while (x->g.changed > before);
	if (x->g.changed > 0 || last)
		gather_settle(&x->g, &x->m, last);
	return 0;
}

/* What went away may be there by another name: the manifest is made again, and at last does without
 * it. */
static int read_tree(struct making *x, int dirfd, struct err *e)
{
	for (unsigned round = 1;; round++) {
		if ((round > 1 && make_manifest(x, dirfd, e) != 0) ||
		    gather_all(x, round == ROUNDS, e) != 0)
			return -1;
		if (x->g.gone == 0 || round == ROUNDS)
			return 0;
	}
}

/* Cuts the manifest's text behind lines by the names in them. */
struct lines {
	struct stream s;
	uint64_t name;
	bool in_name;
};

static int take_text(void *ctx, const void *p, size_t n, struct err *e)
{
	struct lines *l = ctx;
	const uint8_t *at = p;
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		if (at[i] == ' ')
			l->in_name = false;
		if (l->in_name)
			l->name = stream_name(l->name, at[i]);
		if (at[i] != '\n')
			continue;
		if (stream_add(&l->s, at + from, i + 1 - from, e) != 0 ||
		    stream_may_cut(&l->s, l->name, e) != 0)
			return -1;
		from = i + 1;
		l->name = STREAM_NAME;
		l->in_name = true;
	}
	return stream_add(&l->s, at + from, n - from, e);
}

static int store_manifest(struct making *x, struct filler *f, struct err *e)
{
	struct lines l = {.name = STREAM_NAME, .in_name = true};
	const struct sink out = {take_text, &l};
	int rc;

	stream_init(&l.s, f);
	rc = manifest_write(&x->m, &out, e);
	if (rc == 0)
		rc = stream_end(&l.s, &x->body.manifest, e);
	stream_release(&l.s);
	return rc;
}

static int add_items(struct making *x, struct stream *s, struct err *e)
{
	for (size_t i = 0; i < x->m.n; i++) {
		const struct manifest_entry *en = &x->m.v[i];
		const uint8_t *item;
		uint64_t name = STREAM_NAME;

		if (en->type != MANIFEST_FILE || en->same_as != NULL)
			continue;
		item = gather_item(&x->g, &en->digest);
		if (item == NULL)
			return err_set(e, ERR_FAIL, "%s: its content was not read", en->path);
		for (const char *c = en->path; *c != '\0'; c++)
			name = stream_name(name, (uint8_t)*c);
		if (stream_add(s, item, item_size(item), e) != 0 || stream_may_cut(s, name, e) != 0)
			return -1;
	}
	return 0;
}

static int store_contents(struct making *x, struct filler *f, struct err *e)
{
	struct stream s;
	int rc;

	stream_init(&s, f);
	rc = add_items(x, &s, e);
	if (rc == 0)
		rc = stream_end(&s, &x->body.contents, e);
	stream_release(&s);
	return rc;
}

/* Blocks first, then what says where they are, then what needs them. */
static int store(struct making *x, struct err *e)
{
	struct filler *f = writer_take(x->w);
	struct snapshot_info *i = &x->body.info;
	int rc = store_manifest(x, f, e);

	if (rc == 0)
		rc = store_contents(x, f, e);
	writer_give(x->w, f);
	if (rc != 0 || writer_end(x->w, e) != 0)
		return -1;
	i->root = manifest_root(&x->m);
	i->entries = x->m.n;
	i->files = x->m.files;
	i->bytes = x->m.bytes;
	i->added = writer_added(x->w);
	if (x->o->dry_run || x->o->warm)
		return 0;
	if (x->o->key != NULL && body_sign(&x->body, x->o->key, e) != 0)
		return -1;
	return repo_still(x->r, e) != 0 ? -1 : body_put(x->r, &x->body, e);
}

int snapshot_make(struct snapshot_repo *r, int dirfd, const struct snapshot_opts *o,
		  struct snapshot_result *ret, struct err *e)
{
	struct making x SCOPED(making_release) = {.r = r, .o = o};

	body_init(&x.body);
	items_init(&x.known);
	items_init(&x.g.mine);
	x.body.info.time = clock_wall_s();
	/* the manifest first: the repository's blocks are not in memory yet */
	if (make_manifest(&x, dirfd, e) != 0 || load(&x, e) != 0)
		return -1;
	x.w = writer_new(r, o->dry_run);
	x.g.w = x.w;
	x.g.dirfd = dirfd;
	x.g.o = o;
	x.g.known = &x.known;
	if (read_tree(&x, dirfd, e) != 0 || store(&x, e) != 0) {
		repo_unload(r);
		return -1;
	}
	*ret = (struct snapshot_result){.info = x.body.info,
					.read = x.g.read,
					.chunks = writer_blocks(x.w),
					.again = x.g.changed,
					.m = x.m};
	x.body.info = (struct snapshot_info){0};
	x.m = (struct manifest){0};
	repo_unload(r);
	return 0;
}
