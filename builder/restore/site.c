/* site.c - the restore of a site, from the first warm copy to the instance that runs on it. */
#include "restore/site.h"

#include "base/fault.h"
#include "base/log.h"
#include "restore/scanned.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TOLD = 20, WARM_TRIES = 3 };

void restoring_release(struct restoring *x)
{
	for (size_t i = 0; i < x->n; i++) {
		source_tree_release(&x->v[i].tree);
		restore_filter_free(x->v[i].filter);
		free(x->v[i].below);
		free(x->v[i].memory);
		free(x->v[i].seen);
		fd_closep(&x->v[i].fd);
	}
	free(x->v);
	source_release(&x->src);
	for (size_t i = 0; i < x->signers.keys_n; i++)
		sign_public_free(x->keys[i]);
	restore_filter_free(x->fetch);
	survey_release(&x->survey);
	jval_free(x->ended);
	manifest_names_free(x->names);
	restore_record_release(&x->r);
	stage_release(&x->st);
	strv_release(&x->fixers);
	strv_release(&x->absent);
	free(x->dir);
	free(x->own);
	free(x->work);
	fd_closep(&x->p.dirfd);
	fd_closep(&x->p.ownfd);
	fd_closep(&x->p.workfd);
	fd_closep(&x->lock);
}

/* What is there of the site, and nothing is made but in a real run. */
static int open_places(struct restoring *x, struct err *e)
{
	if (fs_open_dir(AT_FDCWD, x->dir, &x->p.dirfd, e) != 0 ||
	    fs_open_dir(AT_FDCWD, x->own, &x->p.ownfd, e) != 0)
		return -1;
	if (!x->so->dry_run && lock_take(x->p.ownfd, STAGE_RESTORE_LOCK, &x->lock, e) != 0)
		return err_in(e, "the restore of shop %s in %s", x->s->shop,
			      site_env_word(x->s->env));
	if (restore_record_read(x->p.ownfd, &x->r, e) != 0)
		return -1;
	if (x->so->dry_run && access(x->work, F_OK) != 0)
		return 0;
	if (!x->so->dry_run)
		return restore_own_dir(x->work, &x->p.workfd, e);
	return fs_open_dir(AT_FDCWD, x->work, &x->p.workfd, e);
}

/* The record of the stage and its engine, without its lock: what runs goes on. */
static int look(const struct site *s, const struct stage_opts *so, struct digest *generation,
		struct manifest_names **ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct stage_opts o = *so;

	o.dry_run = true;
	o.seccomp = NULL;
	if (stage_open_staged(s, &o, &st, e) != 0)
		return -1;
	if (st.r.current.container == NULL) {
		(void)err_set(e, ERR_BUSY, "shop %s in %s: no staging came to its end", s->shop,
			      site_env_word(s->env));
		return err_hint(e, "posmedia stage %.200s: users come first", s->file);
	}
	*generation = st.r.current.generation;
	return instance_names(&st, ret, e);
}

int restore_names_of(const struct site *s, const struct stage_opts *so, struct manifest_names **ret,
		     struct err *e)
{
	struct digest generation;

	return look(s, so, &generation, ret, e);
}

int restoring_open(struct restoring *x, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct stage_opts o = *x->so;

	o.dry_run = true;
	o.seccomp = NULL;
	if (stage_open_staged(x->s, &o, &st, e) != 0)
		return -1;
	x->dir = mem_format("%s/%s/%s", x->so->state, x->s->shop, site_env_word(x->s->env));
	x->own = mem_format("%s/.posmedia", x->dir);
	x->work = mem_format("%s/restore", x->own);
	x->p.work = x->work;
	if (open_places(x, e) != 0)
		return -1;
	/* it may still write to what is filled now */
	return x->so->dry_run ? 0 : instance_sweep(&st, e);
}

char *restore_mirror(const struct site *s, const struct stage_opts *so)
{
	return mem_format("%s/%s/%s/.posmedia/restore/" SOURCE_FETCHED, so->state, s->shop,
			  site_env_word(s->env));
}

static const char *source_of(const struct restoring *x)
{
	return x->o->from != NULL ? x->o->from : x->s->backup.from;
}

/* Whatever the operator asks for, the site's own demand stands. */
static int read_signers(struct restoring *x, struct err *e)
{
	const struct strv *paths = &x->s->backup.keys;

	x->signers = (struct sign_wanted){.keys = x->keys, .forms = SIGN_ALL_FORMS};
	for (; x->signers.keys_n < paths->n; x->signers.keys_n++)
		if (sign_public_load(paths->v[x->signers.keys_n], &x->keys[x->signers.keys_n], e) !=
		    0)
			return err_in(e, "backup.keys");
	return 0;
}

static void set_help(struct restoring *x)
{
	const struct site_secret *own = x->o->from == NULL && x->s->backup.secret != NULL
					    ? site_secret_find(x->s, x->s->backup.secret)
					    : NULL;

	x->secret.file = (char *)(uintptr_t)x->o->secret_file;
	x->help = (struct source_help){
	    .work = x->work,
	    .secret = x->secret.file != NULL ? &x->secret : (own != NULL ? &own->from : NULL),
	    .known_hosts = x->o->known_hosts != NULL ? x->o->known_hosts : x->s->backup.known_hosts,
	    .signers = x->o->signers,
	    .site_signers = x->signers.keys_n > 0 ? &x->signers : NULL,
	    .stage = x->so,
	    .filter = x->fetch,
	    .claims = x->o->claims,
	    .ahead = x->o->ahead,
	    .ctx = x->o->ctx,
	    .claims_n = x->o->claims_n,
	    .env = x->s->env,
	    .dry_run = x->so->dry_run};
}

/* Where the machine of before has a directory of the site: NULL when it is not to come from there.
 */
static const char *place_of(const struct restoring *x, const struct site_data *d)
{
	if (x->o->claims == NULL)
		return d->at;
	for (size_t i = 0; i < x->o->claims_n; i++)
		if (strcmp(x->o->claims[i].name, d->name) == 0)
			return x->o->claims[i].at;
	return NULL;
}

static struct restoring_data *add(struct restoring *x, const struct site_data *d, const char *at,
				  const char *below)
{
	struct restoring_data *one = &x->v[x->n++];

	*one = (struct restoring_data){.d = d,
				       .at = at,
				       .below = mem_strdup(below),
				       .memory = mem_format("memory-%s", d->name),
				       .seen = mem_format("seen-%s", d->name),
				       .fd = -1,
				       .tree = {.fd = -1}};
	return one;
}

/* Which of the site's directories the source has. */
static int choose(struct restoring *x, struct err *e)
{
	strv_release(&x->absent);
	for (size_t i = 0; i < x->s->data_n; i++) {
		const struct site_data *d = &x->s->data[i];
		const char *at = place_of(x, d);
		const char *below = x->src.by_name || at == NULL ? d->name : at + 1;
		bool has = false;

		if (at != NULL && source_has(&x->src, below, &has, e) != 0)
			return -1;
		if (!has) {
			strv_add(&x->absent, d->name);
			continue;
		}
		if (x->fresh[i] == NULL)
			x->fresh[i] = add(x, d, at, below);
	}
	if (x->n > 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s has none of the site's directories", x->src.text);
	return err_hint(e, "it is to have them as the machine has: usr2 for /usr2");
}

/* Users come first: a name that the instance does not have would make the file another's. */
static int check_names(const struct restoring *x, struct err *e)
{
	struct strv unknown SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(700);

	for (size_t i = 0; i < x->n; i++)
		instance_unknown(&x->v[i].tree.view.m, x->names, &unknown);
	strv_sort(&unknown);
	strv_uniq(&unknown);
	if (unknown.n == 0)
		return 0;
	for (size_t i = 0; i < unknown.n && i < NAMES_TOLD; i++)
		buf_addf(&b, "%s%s", i > 0 ? ", " : "", unknown.v[i]);
	(void)err_set(e, ERR_VERIFY, "the instance does not know whose the files are: %s%s", b.data,
		      unknown.n > NAMES_TOLD ? ", and more" : "");
	return err_hint(e, "add them to users of the site and stage it, or to the recipe");
}

/* Each pass counts anew. */
static void new_filter(const struct restoring *x, struct restoring_data *one)
{
	restore_filter_free(one->filter);
	one->filter = restore_filter_new(x->s->env, x->o->exclude, one->at);
	restore_filter_of_site(one->filter);
	if (x->survey.judge != NULL)
		restore_filter_lend_links(x->survey.judge, one->below, one->filter);
}

static int read_source(struct restoring *x, bool last, bool later, struct err *e)
{
	const struct survey_of look = {.src = &x->src,
				       .site = x->s,
				       .env = x->s->env,
				       .claimed = x->o->claims != NULL,
				       .living = !last};

	x->help.last = last;
	if (source_ready(&x->src, &x->help, e) != 0 || choose(x, e) != 0 ||
	    survey_make(&look, &x->survey, e) != 0)
		return -1;
	for (size_t i = 0; i < x->n; i++) {
		struct restoring_data *one = &x->v[i];
		struct source_want w = {.below = one->below,
					.threads = x->o->threads,
					.living = !last,
					.seenfd = x->p.workfd,
					.seen = one->seen,
					.content = x->o->content,
					.strip = true,
					.dry_run = x->so->dry_run,
					.later = later};

		new_filter(x, one);
		w.filter = one->filter;
		if (source_tree(&x->src, &w, &one->tree, e) != 0)
			return -1;
	}
	return check_names(x, e);
}

static int open_target(struct restoring *x, struct restoring_data *one, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("new/%s", one->d->name);

	if (one->fd >= 0 || x->p.workfd < 0)
		return 0;
	if (x->so->dry_run && faccessat(x->p.workfd, path, F_OK, 0) != 0)
		return 0;
	return fs_mkdirs(x->p.workfd, path, 0700, e) != 0 ||
		       fs_open_dir(x->p.workfd, path, &one->fd, e) != 0
		   ? -1
		   : 0;
}

static struct restore_target target_of(struct restoring *x, const struct restoring_data *one)
{
	return (struct restore_target){.dirfd = one->fd,
				       .memfd = x->p.workfd,
				       .memory = one->memory,
				       .names = x->names,
				       .threads = x->o->threads,
				       .differences = &x->differences,
				       .dry_run = x->so->dry_run};
}

static void add_up(struct apply_result *sum, const struct apply_result *r)
{
	sum->made += r->made;
	sum->changed += r->changed;
	sum->removed += r->removed;
	sum->same = r->same;
	sum->bytes_compared += r->bytes_compared;
	sum->bytes_written += r->bytes_written;
}

static int fill_one(struct restoring *x, struct restoring_data *one, struct err *e)
{
	struct restore_target to;
	struct apply_result did = {0};

	if (open_target(x, one, e) != 0)
		return -1;
	if (one->fd < 0) {
		one->did = (struct apply_result){.made = one->tree.view.m.n,
						 .bytes_written = one->tree.view.m.bytes};
		return 0;
	}
	to = target_of(x, one);
	if (restore_fill(&one->tree.view, &to, &did, e) != 0 ||
	    source_tree_learnt(&one->tree, e) != 0)
		return err_in(e, "%s", one->d->name);
	add_up(&one->did, &did);
	return 0;
}

/* Into a test nothing of a cardholder's goes: what is found goes from the new tree and from what it
 * is compared with. */
static int leave_out(struct restoring *x, struct restoring_data *one, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/new/%s", x->work, one->d->name);
	struct map drop = {0};
	int rc = restore_scanned(path, &one->tree.view.m, one->filter, &drop, e);

	if (rc == 0 && drop.n > 0)
		rc = source_tree_drop(&one->tree, &drop, e) != 0 || fill_one(x, one, e) != 0 ? -1
											     : 0;
	map_release(&drop, NULL);
	return rc;
}

static int note(struct restoring *x, enum restore_phase phase, struct err *e)
{
	x->r.phase = phase;
	return restore_record_write(x->p.ownfd, &x->r, e);
}

/* One pass: what the source is now, read as it is written or (later false) before. */
static int pass(struct restoring *x, bool last, bool later, struct err *e)
{
	bool looks = x->s->env != SITE_PROD && !x->so->dry_run;
	uint64_t begun = clock_mono_ms();

	if (read_source(x, last, later && !x->so->dry_run, e) != 0)
		return -1;
	for (size_t i = 0; i < x->n; i++) {
		struct restoring_data *one = &x->v[i];

		if (fill_one(x, one, e) != 0 || (looks && leave_out(x, one, e) != 0))
			return -1;
	}
	x->passes++;
	*(last ? &x->last_ms : &x->warm_ms) += clock_mono_ms() - begun;
	fault_point("restore: filled");
	return 0;
}

/* What lives may have changed between its reading and its writing. */
static int warm(struct restoring *x, struct err *e)
{
	for (unsigned i = 1; pass(x, false, i == 1, e) != 0; i++)
		if (e->kind != ERR_BUSY || i == WARM_TRIES)
			return -1;
	return 0;
}

static int check_one(struct restoring *x, const struct restoring_data *one, struct err *e)
{
	const struct restore_target to = target_of(x, one);

	return restore_check(&one->tree.view, &to, one->d->name, e);
}

static int verify(struct restoring *x, struct err *e)
{
	struct buf roots SCOPED(buf_release) = BUF_INIT(64 << 10);
	uint64_t begun = clock_mono_ms();

	for (size_t i = 0; i < x->n; i++) {
		struct restoring_data *one = &x->v[i];

		if (check_one(x, one, e) != 0)
			return -1;
		one->root = manifest_root(&one->tree.view.m);
		buf_addf(&roots, "%s%s %s", i > 0 ? ", " : "", one->d->name,
			 digest_text(&one->root).s);
	}
	free(x->r.roots);
	x->r.roots = mem_strdup(roots.data);
	x->verify_ms = clock_mono_ms() - begun;
	x->verified = true;
	fault_point("restore: verified");
	return 0;
}

/* What the application's own programs put right, and how much that was. */
static int fix(struct restoring *x, struct err *e)
{
	char *fresh SCOPED(mem_freep) = fs_join(x->work, "new");
	uint64_t begun = clock_mono_ms();

	if (instance_fix(&x->st, fresh, &x->fixers, e) != 0)
		return -1;
	for (size_t i = 0; x->fixers.n > 0 && i < x->n; i++) {
		struct restoring_data *one = &x->v[i];
		const struct restore_making how = {
		    .names = x->names, .threads = x->o->threads, .what = "fixed"};
		struct manifest m SCOPED(manifest_release) = {0};

		if (restore_make(one->fd, &how, &m, e) != 0)
			return -1;
		one->fixed = manifest_compare(&one->tree.view.m, &m, NULL, NULL);
		one->fixed_root = manifest_root(&m);
	}
	x->fix_ms = clock_mono_ms() - begun;
	fault_point("restore: fixed");
	return 0;
}

/* The stage, locked: from here on nobody else starts or stops the site. */
static int take_stage(struct restoring *x, struct err *e)
{
	if (stage_open_staged(x->s, x->so, &x->st, e) != 0)
		return -1;
	if (digest_equal(&x->st.r.current.generation, &x->generation))
		return 0;
	/* whose users may have other numbers */
	return err_set(e, ERR_BUSY, "shop %s in %s was staged meanwhile: restore once more",
		       x->s->shop, site_env_word(x->s->env));
}

static int begin(struct restoring *x, struct err *e)
{
	free(x->r.source);
	x->r.source = mem_strdup(x->src.text);
	x->r.since = clock_wall_s();
	for (size_t i = 0; i < x->r.n; i++)
		free(x->r.v[i].name);
	x->r.n = 0;
	return note(x, RESTORE_FILLING, e);
}

static void name_data(struct restoring *x)
{
	x->r.v = mem_resize(x->r.v, x->n + 1, sizeof(*x->r.v));
	for (size_t i = 0; i < x->n; i++)
		x->r.v[x->r.n++] = (struct restore_data){mem_strdup(x->v[i].d->name), 0, 0};
}

static int prepare(struct restoring *x, struct err *e)
{
	const char *from = source_of(x);

	if (from == NULL) {
		(void)err_set(e, ERR_USAGE, "nothing says where the data is");
		return err_hint(e, "--from SOURCE, or backup.from of the site");
	}
	x->v = mem_zalloc((x->s->data_n + 1) * sizeof(*x->v));
	x->fetch = restore_filter_new(x->s->env, x->o->exclude, "");
	if (source_parse(from, &x->src, e) != 0 ||
	    look(x->s, x->so, &x->generation, &x->names, e) != 0)
		return -1;
	if (read_signers(x, e) != 0)
		return -1;
	set_help(x);
	return 0;
}

static int last_pass(struct restoring *x, struct err *e)
{
	if (pass(x, true, true, e) == 0)
		return 0;
	return e->kind == ERR_BUSY ? pass(x, true, false, e) : -1;
}

/* What was read, with what is not for a test, and with what is taken off. */
static const struct manifest *read_of(const struct restoring *x, size_t i)
{
	const struct source_tree *t = &x->v[i].tree;

	return x->src.snapshot == NULL ? &t->made : &t->view.m;
}

static int ask_prover(struct restoring *x, bool *ret, struct err *e)
{
	struct restore_proof *v SCOPED(mem_freep) = mem_zalloc((x->n + 1) * sizeof(*v));
	uint64_t begun = clock_mono_ms();
	int rc;

	for (size_t i = 0; i < x->n; i++)
		v[i] = (struct restore_proof){x->v[i].d->name, x->v[i].at, read_of(x, i)};
	rc = x->o->prove(x->o->ctx, v, x->n, ret, e);
	x->prove_ms += clock_mono_ms() - begun;
	return rc;
}

/* What was read last is what the source is, by its own word. rsync goes by size and time, and what
 * has both of them and other bytes it finds when it reads all. */
static int last_passes(struct restoring *x, struct err *e)
{
	bool same = false;

	x->help.proved = x->o->prove != NULL;
	if (last_pass(x, e) != 0)
		return -1;
	if (x->o->prove == NULL)
		return 0;
	if (ask_prover(x, &same, e) != 0)
		return -1;
	if (same)
		return 0;
	log_warn("%s is not yet what was fetched: all of it is read again", x->src.text);
	x->help.proved = false;
	if (last_pass(x, e) != 0 || ask_prover(x, &same, e) != 0)
		return -1;
	return same ? 0
		    : err_set(e, ERR_VERIFY, "%s is not what was fetched, though all was read",
			      x->src.text);
}

int restoring_fill(struct restoring *x, struct err *e)
{
	if (prepare(x, e) != 0)
		return -1;
	if (x->so->dry_run)
		return pass(x, false, false, e);
	if (begin(x, e) != 0 || (!x->o->fenced && warm(x, e) != 0))
		return -1;
	return x->o->warm ? 0 : last_passes(x, e);
}

int restoring_switch(struct restoring *x, struct err *e)
{
	if (verify(x, e) != 0 || take_stage(x, e) != 0 || fix(x, e) != 0)
		return -1;
	/* what the fixers wrote, too */
	if (syncfs(x->p.workfd) != 0)
		return err_sys(e, "sync %s", x->work);
	name_data(x);
	if (exchange_look(&x->p, &x->r, e) != 0)
		return -1;
	return restoring_exchange(x, e);
}
