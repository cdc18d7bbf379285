#include "proxy/record.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS "cache/records"

enum { RECORD_MAX = 64 << 20 };

static struct digest digest_json(struct jval *v)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	jval_write(v, &b);
	jval_free(v);
	return digest_of(b.data, b.len);
}

struct digest record_key(const struct recipe *r, const struct recipe_step *st)
{
	struct jval *v = jval_object();
	size_t at = (size_t)(st - r->steps);

	jval_put_text(v, "recipe", r->name);
	jval_put(v, "step", jval_ref(jval_at(jval_get(r->resolved, "steps"), at)));
	return digest_json(v);
}

char *record_path(const struct digest *key)
{
	return mem_format(RECORDS "/%s.json", digest_hex(key).s);
}

struct digest record_of_lock(const struct lock *l, const char *step)
{
	size_t n = 0;
	const struct lock_recorded *v = l != NULL ? lock_recorded_of(l, step, &n) : NULL;

	return digest_json(lock_recorded_json(v, n));
}

int record_write(const char *path, const struct record *rec, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	jval_put_text(v, "replaces", digest_hex(&rec->replaces).s);
	jval_put(v, "recorded", lock_recorded_json(rec->v, rec->n));
	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "the record of a step is larger than %d bytes",
			       RECORD_MAX);
	return fs_put_path(path, b.data, b.len, 0644, e);
}

int record_save(struct store *s, const struct digest *key, const struct record *rec, struct err *e)
{
	char *name SCOPED(mem_freep) = record_path(key);
	char *path SCOPED(mem_freep) = fs_join(store_path(s), name);

	if (fs_mkdirs(store_fd(s), RECORDS, 0755, e) != 0)
		return -1;
	return record_write(path, rec, e);
}

bool record_read(const char *path, struct record *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	struct record r = {0};
	const char *hex;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0)
		return false;
	hex = jval_get_str(v, "replaces");
	if (hex == NULL || digest_parse_hex(hex, &r.replaces) != 0 ||
	    lock_recorded_parse(jval_get(v, "recorded"), path, &r.v, &r.n, &quiet) != 0)
		return false;
	*ret = r;
	return true;
}

bool record_load(const struct store *s, const struct digest *key, struct record *ret)
{
	char *name SCOPED(mem_freep) = record_path(key);
	char *path SCOPED(mem_freep) = fs_join(store_path(s), name);

	return record_read(path, ret);
}

void record_release(struct record *r)
{
	lock_recorded_free(r->v, r->n);
	*r = (struct record){0};
}

struct list {
	struct lock_recorded *v;
	size_t n;
};

static void add(struct list *to, const struct lock_recorded *v, size_t n)
{
	to->v = mem_resize(to->v, to->n + n + 1, sizeof(*to->v));
	for (size_t i = 0; i < n; i++)
		to->v[to->n++] = lock_recorded_copy(&v[i]);
}

static int by_step(const void *a, const void *b)
{
	return lock_recorded_compare(a, b);
}

/* The record if it was made with what the lock has of the step; else what the lock has. */
static void merge_step(const struct record *rec, const struct recipe_step *st, const struct lock *l,
		       struct list *to)
{
	struct digest has = record_of_lock(l, st->name);
	size_t n = 0;

	if (rec != NULL && digest_equal(&rec->replaces, &has)) {
		add(to, rec->v, rec->n);
	} else if (l != NULL) {
		const struct lock_recorded *v = lock_recorded_of(l, st->name, &n);

		add(to, v, n);
	}
}

void record_merge_made(const struct record *const *made, const struct recipe *r,
		       const struct lock *l, struct lock_recorded **ret, size_t *ret_n)
{
	struct list to = {0};

	for (size_t i = 0; i < r->steps_n; i++)
		if (r->steps[i].network)
			merge_step(made[i], &r->steps[i], l, &to);
	if (to.n > 0)
		qsort(to.v, to.n, sizeof(*to.v), by_step);
	*ret = to.v;
	*ret_n = to.n;
}

void record_merge(const struct store *s, const struct recipe *r, const struct lock *l,
		  struct lock_recorded **ret, size_t *ret_n)
{
	struct record *recs = mem_zalloc((r->steps_n + 1) * sizeof(*recs));
	const struct record **made = mem_zalloc((r->steps_n + 1) * sizeof(*made));

	for (size_t i = 0; i < r->steps_n; i++) {
		struct digest key = record_key(r, &r->steps[i]);

		if (r->steps[i].network && record_load(s, &key, &recs[i]))
			made[i] = &recs[i];
	}
	record_merge_made(made, r, l, ret, ret_n);
	for (size_t i = 0; i < r->steps_n; i++)
		record_release(&recs[i]);
	free(recs);
	free(made);
}
