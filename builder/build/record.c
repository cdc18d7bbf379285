/* record.c - a step's network: the recording proxy around its run, and what becomes of its record.
 */
#include "build/job.h"

#include "base/log.h"
#include "base/num.h"
#include "proxy/proxy.h"
#include "proxy/record.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int job_proxy_begin(struct job *j, const struct recipe_step *st, struct job_net *n, struct err *e)
{
	struct proxy_spec spec = {.s = j->s, .step = st->name, .allow = &st->allow};

	if (!st->network)
		return 0;
	spec.recorded = lock_recorded_of(j->l, st->name, &spec.recorded_n);
	n->dir = mem_format("%s/proxy.%s", j->scratch, st->name);
	spec.dir = n->dir;
	if (spec.recorded_n > 0)
		log_info("step %s: network from the record, %zu entries", st->name,
			 spec.recorded_n);
	else
		log_info("step %s: network through the recording proxy", st->name);
	if (fs_mkdirs(AT_FDCWD, n->dir, 0700, e) != 0 || proxy_start(&spec, &n->proxy, e) != 0)
		return -1;
	n->bind = (struct sandbox_bind){.from = proxy_public_dir(n->proxy), .to = PROXY_DIR};
	n->listen_to = proxy_listen_to(n->proxy);
	proxy_env(&j->step_env);
	return 0;
}

/* The program may have hidden that something was refused, and made an image of the rest. */
static int refused(const struct recipe_step *st, const struct err *before, int rc, struct err *e)
{
	(void)err_in(e, "step %s", st->name);
	if (rc != 0) {
		char *all SCOPED(mem_freep) = mem_format("%s; %s", e->msg, before->msg);
		char *hint SCOPED(mem_freep) = mem_strdup(e->hint);

		(void)err_set(e, ERR_STEP, "%s", all);
		(void)err_hint(e, "%s", hint);
	}
	return -1;
}

static int check_secrets_one(const struct job *j, const struct recipe_step *st,
			     const struct lock_recorded *en, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	const struct needle *n = vault_spot_url(&j->secrets, en->url);

	if (n == NULL && en->location != NULL)
		n = vault_spot_url(&j->secrets, en->location);
	if (n != NULL)
		return err_set(e, ERR_VERIFY, "step %s: a recorded URL has the secret %s in it",
			       st->name, n->name);
	if (en->size == 0)
		return 0;
	if (store_get(j->s, &en->digest, &fd, e) != 0 ||
	    vault_spot_file(&j->secrets, fd, en->url, &n, e) != 0)
		return err_in(e, "step %s", st->name);
	if (n != NULL)
		return err_set(e, ERR_VERIFY, "step %s: what %s answered has the secret %s in it",
			       st->name, en->url, n->name);
	return 0;
}

/* A secret in an address would be read by whoever reads the lock; one in a body by whoever gets
 * the store's blobs, which go where the lock goes. */
static int check_secrets(const struct job *j, const struct recipe_step *st,
			 const struct proxy_result *r, struct err *e)
{
	if (j->secrets.needles_n == 0)
		return 0;
	for (size_t i = 0; i < r->n; i++)
		if (check_secrets_one(j, st, &r->v[i], e) != 0)
			return -1;
	return 0;
}

/* The text without what the vault has; the caller owns it. */
static char *hidden(const struct job *j, const char *text)
{
	struct buf b = BUF_INIT(1 << 16);

	(void)vault_hide(&j->secrets, text, strlen(text), true, &b);
	return buf_take(&b);
}

/* From now on, what the lock will have of the step is in this build's hands; *ret is the place of
 * its record. */
static struct record **made(struct job *j, const struct recipe_step *st)
{
	if (j->made == NULL)
		j->made = mem_zalloc((j->r->steps_n + 1) * sizeof(*j->made));
	return &j->made[st - j->r->steps];
}

static void forget_made(struct record **m)
{
	if (*m != NULL)
		record_release(*m);
	free(*m);
	*m = NULL;
}

/* Takes what rec has. */
static void set_made(struct job *j, const struct recipe_step *st, struct record *rec)
{
	struct record **m = made(j, st);

	forget_made(m);
	*m = mem_zalloc(sizeof(**m));
	**m = *rec;
	*rec = (struct record){0};
}

static int keep(struct job *j, const struct recipe_step *st, struct proxy_result *r, struct err *e)
{
	struct digest key = record_key(j->r, st);
	struct record rec = {record_of_lock(j->locked, st->name), r->v, r->n};
	char *size SCOPED(mem_freep) = num_human(r->bytes);

	if (check_secrets(j, st, r, e) != 0)
		return -1;
	if (r->n == 0)
		log_warn("step %s: nothing was fetched; it can do with network: none", st->name);
	else
		log_info("step %s: %zu downloads recorded, %s", st->name, r->n, size);
	r->v = NULL;
	r->n = 0;
	set_made(j, st, &rec);
	return record_save(j->s, &key, *made(j, st), e);
}

static int because(const char *why, struct err *e)
{
	char *said SCOPED(mem_freep) = mem_strdup(e->msg);

	return err_set(e, e->kind, "%s; %s", said, why);
}

/* Trouble of a server that the step got over makes no record that is whole, so it is said; where
 * the step did not get over it, it is the reason. */
static int concluded(struct job *j, const struct recipe_step *st, struct proxy_result *r, int rc,
		     struct err *e)
{
	char *why SCOPED(mem_freep) = hidden(j, r->note != NULL ? r->note : "");
	size_t n = 0;

	if (rc != 0)
		return r->note != NULL ? because(why, e) : rc;
	if (r->note != NULL)
		log_warn("step %s: %s", st->name, why);
	return lock_recorded_of(j->l, st->name, &n) != NULL ? 0 : keep(j, st, r, e);
}

int job_proxy_end(struct job *j, const struct recipe_step *st, struct job_net *n, int rc,
		  struct err *e)
{
	struct proxy_result r = {0};
	struct err why = ERR_INIT;

	strv_release(&j->step_env);
	if (n->proxy == NULL)
		return rc;
	if (proxy_stop(n->proxy, &r, &why) != 0) {
		char *shown SCOPED(mem_freep) = hidden(j, why.msg);
		char *hint SCOPED(mem_freep) = mem_strdup(why.hint);

		(void)err_set(&why, why.kind, "%s", shown);
		(void)err_hint(&why, "%s", hint);
		(void)refused(st, e, rc, &why);
		*e = why;
		rc = -1;
	} else {
		rc = concluded(j, st, &r, rc, e);
	}
	proxy_result_release(&r);
	return rc;
}

void job_net_release(struct job_net *n)
{
	proxy_free(n->proxy);
	free(n->dir);
}

/* Whether the step records: the lock that is built has nothing of it. */
static bool is_live(const struct job *j, const struct recipe_step *st)
{
	size_t n = 0;

	return st->network && lock_recorded_of(j->l, st->name, &n) == NULL;
}

int job_record_keep(struct job *j, const struct recipe_step *st, const char *dir, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(dir, "record.json");
	struct digest key = record_key(j->r, st);
	struct record rec = {0};

	if (!st->network)
		return 0;
	if (!is_live(j, st)) {
		forget_made(made(j, st));
		return 0;
	}
	/* it did not run, but was captured; of that there may be no record any more */
	if (*made(j, st) == NULL && record_load(j->s, &key, &rec))
		set_made(j, st, &rec);
	return *made(j, st) != NULL ? record_write(to, *made(j, st), e) : 0;
}

int job_record_use(struct job *j, const struct recipe_step *st, const char *dir, struct err *e)
{
	char *from SCOPED(mem_freep) = fs_join(dir, "record.json");
	struct digest key = record_key(j->r, st);
	struct record rec = {0};

	if (!st->network)
		return 0;
	forget_made(made(j, st));
	if (!is_live(j, st) || !record_read(from, &rec))
		return 0;
	/* the lock that it was made with may have been another */
	rec.replaces = record_of_lock(j->locked, st->name);
	set_made(j, st, &rec);
	return record_save(j->s, &key, *made(j, st), e);
}

/* The same lock but for what it has of one step, which then records. Only the array is new. */
static struct lock_recorded *without(const struct lock *l, const char *step, size_t *ret_n)
{
	struct lock_recorded *v = mem_zalloc((l->recorded_n + 1) * sizeof(*v));

	*ret_n = 0;
	for (size_t i = 0; i < l->recorded_n; i++)
		if (strcmp(l->recorded[i].step, step) != 0)
			v[(*ret_n)++] = l->recorded[i];
	return v;
}

int job_forget(struct job *j, const char *step, struct err *e)
{
	const struct recipe_step *st = NULL;
	size_t n;

	for (size_t i = 0; i < j->r->steps_n; i++)
		if (strcmp(j->r->steps[i].name, step) == 0)
			st = &j->r->steps[i];
	if (st == NULL || !st->network) {
		(void)err_set(e, ERR_USAGE, "--record %s: no step of that name records", step);
		return err_hint(e, "a step that records has network: {proxy: record}");
	}
	j->forgot = without(j->locked, step, &n);
	j->planned = lock_with(j->locked, j->forgot, n);
	lock_know(&j->planned);
	j->l = &j->planned;
	return 0;
}

void job_records(struct job *j)
{
	if (j->merged != NULL)
		return;
	if (j->made != NULL)
		record_merge_made((const struct record *const *)j->made, j->r, j->locked,
				  &j->merged, &j->merged_n);
	else /* the image was there: it was found by what the store has */
		record_merge(j->s, j->r, j->locked, &j->merged, &j->merged_n);
	j->with_records = lock_with(j->locked, j->merged, j->merged_n);
	lock_know(&j->with_records);
	j->l = &j->with_records;
	plan_relock(j->plan, j->r, j->l, j->s);
}

bool job_has_new_records(const struct job *j)
{
	if (j->merged_n == 0 && j->locked->recorded_n == 0)
		return false;
	struct digest a = lock_digest(j->locked), b = lock_digest(j->l);

	return !digest_equal(&a, &b);
}

void job_records_release(struct job *j)
{
	for (size_t i = 0; j->made != NULL && i < j->r->steps_n; i++)
		forget_made(&j->made[i]);
	free(j->made);
	free(j->forgot);
	lock_recorded_free(j->merged, j->merged_n);
}
