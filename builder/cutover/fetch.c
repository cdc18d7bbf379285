/* fetch.c - the old server's data to the new host, by restore/, and the proof that it is the same.
 */
#include "cutover/run.h"

#include "base/fault.h"
#include "base/log.h"
#include "restore/restore.h"
#include "site/secret.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetching {
	struct restore_opts o;
	char *from, *key;
	struct restore_claim claims[SITE_DATA_MAX];
};

static void fetching_release(struct fetching *f)
{
	if (f->key != NULL)
		(void)unlink(f->key);
	free(f->from);
	free(f->key);
}

static int put_key(struct cut_run *r, struct fetching *f, struct err *e)
{
	const struct site_secret *secret = site_secret_find(r->s, r->s->cutover.old.secret);
	struct buf b SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);

	f->key = mem_format("%s/source-key", r->work);
	if (site_secret_read(&secret->from, &b, e) != 0)
		return err_in(e, "the secret \"%s\"", secret->name);
	return fs_put_path(f->key, b.data, b.len, 0400, e);
}

static int prepare(struct cut_run *r, struct fetching *f, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;

	f->from = mem_format("%s/.", old->host);
	for (size_t i = 0; i < old->data_n; i++)
		f->claims[i] = (struct restore_claim){old->data[i].name, old->data[i].at};
	f->o = (struct restore_opts){.from = f->from,
				     .known_hosts = old->known_hosts,
				     .exclude = &old->exclude,
				     .env = r->s->env,
				     .claims = f->claims,
				     .claims_n = old->data_n,
				     .ctx = r};
	if (put_key(r, f, e) != 0)
		return -1;
	f->o.secret_file = f->key;
	return 0;
}

/* What was read beside the last pass, which changed nothing there; once, since who asks again wants
 * to know it anew. */
static int list_old(struct cut_run *r, struct old_list *ret, struct err *e)
{
	struct old_ahead *ahead = STEAL(r->ahead);
	struct err why = ERR_INIT;
	bool known = ahead != NULL && old_ahead_take(ahead, ret, &why) == 0;

	if (ahead != NULL && !known)
		log_debug("the old server is asked again: %s", why.msg);
	old_ahead_end(ahead);
	if (known)
		return 0;
	return cut_session(r, e) != 0 || old_list(r->old, &r->exclude, ret, e) != 0 ? cut_lost(r, e)
										    : 0;
}

static int same_roots(struct cut_run *r, const struct restore_proof *v, size_t n, bool *ret,
		      struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	struct old_list *theirs SCOPED(mem_freep) = mem_zalloc((old->data_n + 1) * sizeof(*theirs));
	bool same = n > 0;

	if (list_old(r, theirs, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct old_list ours;
		size_t k = 0;

		if (listing_of(v[i].is, &ours, e) != 0)
			return -1;
		while (k < old->data_n && strcmp(old->data[k].name, v[i].name) != 0)
			k++;
		if (k < old->data_n && digest_equal(&theirs[k].root, &ours.root))
			continue;
		log_debug("%s differs: %llu entries here", v[i].at,
			  (unsigned long long)ours.entries);
		same = false;
	}
	*ret = same && n == old->data_n;
	return 0;
}

/* The last pass is at its end when restore/ asks; what differs once may be read again. */
static int prove(void *ctx, const struct restore_proof *v, size_t n, bool *ret, struct err *e)
{
	struct cut_run *r = ctx;
	struct jval *data;

	if (r->now == CUT_PASS) {
		data = jval_object();
		jval_put_int(data, "ms", cut_since(r->phase_ms));
		if (cut_note(r, CUT_PASS, CUT_OK, data, e) != 0 ||
		    cut_note(r, CUT_VERIFY, CUT_BEGIN, NULL, e) != 0)
			return -1;
		r->now = CUT_VERIFY;
		r->phase_ms = clock_mono_ms();
	}
	fault_point("cutover: proving");
	if (same_roots(r, v, n, ret, e) != 0)
		return -1;
	r->proven = *ret;
	fault_point("cutover: proven");
	return 0;
}

/* Of what is in use nothing can be proven: only how long it takes is of interest. */
static int measure(void *ctx, const struct restore_proof *v, size_t n, bool *ret, struct err *e)
{
	struct err quiet = ERR_INIT;
	bool same;

	(void)e;
	(void)!same_roots(ctx, v, n, &same, &quiet);
	*ret = true;
	return 0;
}

int cut_fetch(struct cut_run *r, bool live, struct jval **ret, struct err *e)
{
	struct fetching f SCOPED(fetching_release) = {0};
	int rc;

	if (prepare(r, &f, e) != 0)
		return -1;
	f.o.fenced = true;
	f.o.prove = live ? measure : prove;
	f.o.ahead = cut_near;
	if (!live &&
	    (cut_session(r, e) != 0 || old_list_ahead(&r->oo, &r->exclude, &r->ahead, e) != 0))
		return -1;
	rc = restore_site(r->s, r->o->so, &f.o, ret, e);
	old_ahead_end(r->ahead);
	r->ahead = NULL;
	return rc;
}

int cut_fill(struct cut_run *r, struct jval **ret, struct err *e)
{
	struct fetching f SCOPED(fetching_release) = {0};

	if (prepare(r, &f, e) != 0)
		return -1;
	f.o.warm = true;
	return restore_site(r->s, r->o->so, &f.o, ret, e);
}
