#include "plan/plan.h"

#include "plan/parts.h"
#include "proxy/record.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS_MAX = 16 << 20 };

char *plan_stage_path(const struct store *s, const struct digest *key)
{
	return mem_format("%s/cache/stages/%s", store_path(s), digest_hex(key).s);
}

bool plan_stage_usable(const struct store *s, const struct digest *key, struct digest *ret)
{
	char *dir SCOPED(mem_freep) = plan_stage_path(s, key);
	char *boot SCOPED(mem_freep) = fs_join(dir, "boot");
	char *output SCOPED(mem_freep) = fs_join(dir, "output");
	char *now SCOPED(mem_freep) = self_boot_id();
	struct buf b SCOPED(buf_release) = BUF_INIT(128), o SCOPED(buf_release) = BUF_INIT(128);
	struct err quiet = ERR_INIT;
	struct digest d;

	if (fs_get_file(AT_FDCWD, boot, &b, &quiet) != 0 || strcmp(b.data, now) != 0 ||
	    fs_get_file(AT_FDCWD, output, &o, &quiet) != 0 || digest_parse(o.data, &d) != 0)
		return false;
	if (ret != NULL)
		*ret = d;
	return true;
}

static char *parts_path(const struct store *s, const char *recipe, const char *stage)
{
	return mem_format("%s/cache/parts/%s %s.json", store_path(s), recipe, stage);
}

char *plan_output_path(const struct digest *key)
{
	return mem_format("cache/outputs/%s.json", digest_hex(key).s);
}

static struct plan_stage *add(struct plan *p, enum plan_kind kind, char *name, struct jval *parts)
{
	struct plan_stage *st;

	p->v = mem_resize(p->v, p->n + 1, sizeof(*p->v));
	st = &p->v[p->n++];
	*st = (struct plan_stage){.kind = kind, .name = name, .parts = parts};
	return st;
}

/* The stages whose result has the whole lock in it: `with` is the one that it will have. */
static int last_stages(const struct recipe *r, const struct lock *with, struct plan *p,
		       struct err *e)
{
	struct jval *overlays SCOPED(jval_freep) = NULL;
	struct jval *config = NULL, *inputs = NULL;

	if (parts_overlays(r, &overlays, e) != 0)
		return -1;
	if (r->overlays_n > 0)
		(void)add(p, PLAN_OVERLAYS, mem_strdup("overlays"), jval_ref(overlays));
	if (r->enable.n + r->disable.n + r->mask.n > 0)
		(void)add(p, PLAN_SERVICES, mem_strdup("services"), parts_services(r, overlays));
	if (parts_config(r, &config, e) != 0)
		return -1;
	(void)add(p, PLAN_CONFIG, mem_strdup("config"), config);
	if (parts_inputs(r, with, overlays, config, &inputs, e) != 0)
		return -1;
	(void)add(p, PLAN_INPUTS, mem_strdup("inputs"), inputs);
	(void)add(p, PLAN_IMAGE, mem_strdup("image"), parts_image(r, with, config));
	return 0;
}

/* What steps recorded the last time is what the image's lock will have, unless one runs again. */
static int stages(const struct recipe *r, const struct lock *l, struct store *s, struct plan *p,
		  struct err *e)
{
	struct lock_recorded *recorded = NULL;
	struct jval *base = NULL;
	struct lock with;
	size_t n = 0;
	int rc;

	if (parts_base(r, l, &base, e) != 0)
		return -1;
	(void)add(p, PLAN_BASE, mem_strdup("base"), base);
	(void)add(p, PLAN_USERS, mem_strdup("users"), parts_users(r));
	for (size_t i = 0; i < r->steps_n; i++) {
		char *name = mem_format("step %s", r->steps[i].name);

		add(p, PLAN_STEP, name, parts_step(r, l, &r->steps[i]))->step = i;
	}
	record_merge(s, r, l, &recorded, &n);
	with = lock_with(l, recorded, n);
	lock_know(&with);
	rc = last_stages(r, &with, p, e);
	lock_recorded_free(recorded, n);
	return rc;
}

static bool read_json(const char *path, struct jval **ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PARTS_MAX);
	struct err quiet = ERR_INIT;

	return fs_get_file(AT_FDCWD, path, &b, &quiet) == 0 &&
	       jval_parse(b.data, b.len, path, ret, &quiet) == 0;
}

/* The image counts as cached when its manifest and all its blobs are in the store. */
static bool image_cached(struct store *s, const struct plan_stage *st, struct plan *p)
{
	struct plan_image i SCOPED(plan_image_release) = {0};

	if (!plan_image_load(s, &st->key, &i) || !store_has(s, &i.manifest, &p->manifest_size))
		return false;
	for (size_t k = 0; k < i.blobs_n; k++)
		if (!store_has(s, &i.blobs[k], NULL))
			return false;
	p->manifest = i.manifest;
	return true;
}

/* In words, how the stage's own inputs differ from those of the last time; "" when they do not. */
static char *own_difference(const struct plan_stage *st, struct jval *was)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PARTS_MAX);
	struct jval *is SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;

	jval_write(st->parts, &b);
	if (jval_parse(b.data, b.len, "parts", &is, &quiet) != 0)
		return mem_strdup("");
	jval_del(was, "below");
	jval_del(is, "below");
	return parts_diff(was, is);
}

static void explain(struct store *s, const struct recipe *r, struct plan_stage *st)
{
	char *path SCOPED(mem_freep) = parts_path(s, r->name, st->name);
	struct jval *was SCOPED(jval_freep) = NULL;
	char *words SCOPED(mem_freep) = NULL;

	free(st->why);
	st->why = NULL;
	st->maybe = false;
	if (st->cached)
		return;
	if (!read_json(path, &was)) {
		st->why = mem_strdup("nothing like it was built here yet");
	} else if (st->keyed && jval_equal(was, st->parts)) {
		st->why = mem_strdup("same inputs, but its result is no longer in the store");
	} else {
		words = own_difference(st, was);
		st->maybe = words[0] == '\0' && !st->keyed;
		st->why = words[0] != '\0' ? STEAL(words) : mem_strdup("a stage below it changes");
	}
}

static bool output_known(struct store *s, struct plan_stage *st)
{
	char *path SCOPED(mem_freep) = plan_output_path(&st->key);
	char *full SCOPED(mem_freep) = fs_join(store_path(s), path);
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *text;

	if (!read_json(full, &v))
		return false;
	text = jval_get_str(v, "output");
	return text != NULL && digest_parse(text, &st->output) == 0;
}

/* Whether what stage k makes is in the key of stage i above it. */
static bool stands_on(const struct plan *p, size_t i, size_t k)
{
	return p->v[i].kind != PLAN_SERVICES || p->v[k].kind != PLAN_OVERLAYS;
}

/* Gives the stage its key, if all stages that it stands on have an output. */
static void set_key(struct plan *p, size_t i)
{
	struct plan_stage *st = &p->v[i];
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct buf b SCOPED(buf_release) = BUF_INIT(PARTS_MAX);

	st->keyed = st->known = st->cached = st->captured = false;
	for (size_t k = 0; k < i; k++) {
		if (!stands_on(p, i, k))
			continue;
		if (!p->v[k].known)
			return;
		hash_add(h, p->v[k].output.b, DIGEST_BYTES);
	}
	if (i > 0) {
		struct digest below = hash_final(h);

		jval_put_text(st->parts, "below", digest_text(&below).s);
	}
	jval_write(st->parts, &b);
	st->key = digest_of(b.data, b.len);
	st->keyed = true;
}

static bool has_capture(struct store *s, const struct plan_stage *st)
{
	struct plan_capture c SCOPED(plan_capture_release) = {0};

	return plan_capture_load(s, &st->key, &c);
}

static void settle(struct plan *p, size_t from, const struct recipe *r, struct store *s)
{
	for (size_t i = from; i < p->n; i++) {
		struct plan_stage *st = &p->v[i];

		set_key(p, i);
		if (st->keyed && st->kind == PLAN_IMAGE) {
			st->cached = image_cached(s, st, p);
		} else if (st->keyed) {
			st->cached = plan_stage_usable(s, &st->key, &st->output);
			st->known = st->cached || output_known(s, st);
			st->captured = st->kind == PLAN_STEP && r->steps[st->step].capture &&
				       has_capture(s, st);
		}
		explain(s, r, st);
	}
	for (size_t i = 0; i < p->n; i++)
		p->v[i].needed = p->v[i].kind == PLAN_IMAGE || !p->v[p->n - 1].cached;
}

void plan_made(struct plan *p, size_t i, const struct digest *output, const struct recipe *r,
	       struct store *s)
{
	p->v[i].output = *output;
	p->v[i].known = true;
	settle(p, i + 1, r, s);
}

void plan_relock(struct plan *p, const struct recipe *r, const struct lock *l, struct store *s)
{
	struct digest d = lock_digest(l);
	struct digest_text text = digest_text(&d);
	size_t first = p->n;

	for (size_t i = p->n; i-- > 0;) {
		const char *was = jval_get_str(p->v[i].parts, "lock");

		if (was == NULL || strcmp(was, text.s) == 0)
			continue;
		jval_put_text(p->v[i].parts, "lock", text.s);
		first = i;
	}
	if (first < p->n)
		settle(p, first, r, s);
}

static void count_missing(const struct lock *l, struct store *s, struct plan *p)
{
	for (size_t i = 0; i < l->packages_n; i++)
		if (!store_has(s, &l->packages[i].digest, NULL)) {
			p->fetch_n++;
			p->fetch_bytes += l->packages[i].size;
		}
	for (size_t i = 0; i < l->media_n; i++)
		if (!store_has(s, &l->media[i].digest, NULL)) {
			p->fetch_n++;
			p->fetch_bytes += l->media[i].size;
		}
	for (size_t i = 0; i < l->recorded_n; i++)
		if (l->recorded[i].size > 0 && !store_has(s, &l->recorded[i].digest, NULL)) {
			p->fetch_n++;
			p->fetch_bytes += l->recorded[i].size;
		}
}

int plan_make(const struct recipe *r, const struct lock *l, struct store *s, struct plan *ret,
	      struct err *e)
{
	struct plan p = {0};

	if (stages(r, l, s, &p, e) != 0) {
		plan_release(&p);
		return -1;
	}
	settle(&p, 0, r, s);
	count_missing(l, s, &p);
	*ret = p;
	return 0;
}

void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].name);
		free(p->v[i].why);
		jval_free(p->v[i].parts);
	}
	free(p->v);
	*p = (struct plan){0};
}

static bool same_part(const struct jval *a, const struct jval *b, const char *key)
{
	const struct jval *x = jval_get(a, key), *y = jval_get(b, key);

	return (x == NULL && y == NULL) || (x != NULL && y != NULL && jval_equal(x, y));
}

int plan_unchanged(const struct plan_stage *st, const struct recipe *r, const struct lock *l,
		   struct err *e)
{
	struct jval *overlays SCOPED(jval_freep) = NULL, *config SCOPED(jval_freep) = NULL;
	struct jval *inputs SCOPED(jval_freep) = NULL;

	if (st->kind != PLAN_OVERLAYS && st->kind != PLAN_CONFIG && st->kind != PLAN_INPUTS)
		return 0;
	if (parts_overlays(r, &overlays, e) != 0 || parts_config(r, &config, e) != 0 ||
	    parts_inputs(r, l, overlays, config, &inputs, e) != 0)
		return -1;
	if ((st->kind == PLAN_CONFIG || same_part(st->parts, inputs, "overlay")) &&
	    (st->kind == PLAN_OVERLAYS || same_part(st->parts, inputs, "profile")) &&
	    (st->kind != PLAN_INPUTS || same_part(st->parts, inputs, "input")))
		return 0;
	(void)err_set(e, ERR_BUSY, "files of the project changed while the image was built");
	return err_hint(e, "build again when nobody writes to them");
}

const char *plan_state(const struct plan_stage *st)
{
	if (st->cached)
		return "cached";
	if (!st->needed)
		return "not-needed";
	return st->maybe ? "maybe" : "run";
}

struct jval *plan_json(const struct plan *p)
{
	struct jval *v = jval_object(), *list = jval_array(), *fetch = jval_object();

	for (size_t i = 0; i < p->n; i++) {
		struct jval *o = jval_object();

		jval_put_text(o, "name", p->v[i].name);
		jval_put(o, "key",
			 p->v[i].keyed ? jval_text(digest_text(&p->v[i].key).s) : jval_null());
		jval_put_text(o, "state", plan_state(&p->v[i]));
		jval_put(o, "cached", jval_bool(p->v[i].cached));
		if (p->v[i].captured)
			jval_put(o, "captured", jval_bool(true));
		jval_put(o, "needed", jval_bool(p->v[i].needed));
		if (p->v[i].why != NULL)
			jval_put_text(o, "why", p->v[i].why);
		jval_push(list, o);
	}
	jval_put_int(fetch, "files", (int64_t)p->fetch_n);
	jval_put_int(fetch, "bytes", (int64_t)p->fetch_bytes);
	jval_put(v, "stages", list);
	jval_put(v, "fetch", fetch);
	return v;
}

static int put_record(struct store *s, const char *dir, const char *path, const struct jval *v,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(PARTS_MAX);

	jval_write(v, &b);
	if (fs_mkdirs(store_fd(s), dir, 0755, e) != 0)
		return -1;
	return fs_put_unsynced(path, b.data, b.len, 0644, e);
}

int plan_remember(struct store *s, const struct recipe *r, const struct plan_stage *st,
		  struct err *e)
{
	char *parts SCOPED(mem_freep) = parts_path(s, r->name, st->name);
	char *name SCOPED(mem_freep) = plan_output_path(&st->key);
	char *output SCOPED(mem_freep) = fs_join(store_path(s), name);
	struct jval *v SCOPED(jval_freep) = jval_object();

	if (put_record(s, "cache/parts", parts, st->parts, e) != 0)
		return -1;
	if (!st->known)
		return 0;
	jval_put_text(v, "output", digest_text(&st->output).s);
	return put_record(s, "cache/outputs", output, v, e);
}
