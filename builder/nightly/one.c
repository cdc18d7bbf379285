/* one.c - one recipe: lock, build, sign, push, compare. What is done is written down before the
 * next step begins, so that a night that was killed goes on where it stood. */
#include "nightly/parts.h"

#include "base/fault.h"
#include "base/num.h"
#include "recipe/lock.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A night that was killed may have a process left that is just dying. */
enum { LOCK_WAIT_MS = 5000, TAGS_HERE = 2 };

struct one {
	const struct nightly *n;
	const struct nightly_recipe *at;
	const struct nightly_how *how;
	struct nightly_outcome *o;
	struct recipe *r;
	struct past past;
	struct share *share;                      /* what workers have in common; or NULL */
	char *lock, *layout, *statements, *diffs; /* paths */
	char *digest;                             /* of the image that was built */
	char *repository;                         /* to push to; or NULL */
	int recipes, heads, log;                  /* directories, and a file */
	uint64_t begun_ms;
	bool late; /* another worker was first, and says what became of it */
};

static void one_release(struct one *w)
{
	recipe_free(w->r);
	past_release(&w->past);
	share_freep(&w->share);
	free(w->lock);
	free(w->layout);
	free(w->statements);
	free(w->diffs);
	free(w->digest);
	free(w->repository);
	fd_closep(&w->recipes);
	fd_closep(&w->heads);
	fd_closep(&w->log);
}

static int state_dir(const struct one *w, const char *name, int *ret_fd, char **ret_path)
{
	char *path SCOPED(mem_freep) = fs_join(w->n->state, name);
	struct err why = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, path, 0755, &why) != 0 ||
	    (ret_fd != NULL && fs_open_dir(AT_FDCWD, path, ret_fd, &why) != 0)) {
		outcome_error(w->o, "state", &why);
		return -1;
	}
	if (ret_path != NULL)
		*ret_path = STEAL(path);
	return 0;
}

static int open_log(struct one *w)
{
	char *name SCOPED(mem_freep) = mem_format("%s.log", w->at->key);
	int dir SCOPED(fd_closep) = -1;

	if (state_dir(w, "log", &dir, NULL) != 0)
		return -1;
	w->log = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (w->log >= 0)
		return 0;
	outcome_fail(w->o, ERR_FAIL, "state", strerror(errno));
	return -1;
}

/* Runs a step, which fails the recipe when it fails. *out (may be NULL): its answer. */
static int step(struct one *w, const char *name, const struct strv *argv, struct jval **out)
{
	const struct step_spec s = {
	    .how = w->how, .argv = argv, .log_fd = w->log, .timeout_ms = w->n->timeout_ms};
	struct stepped did SCOPED(stepped_release) = {0};
	struct err why = ERR_INIT;

	if (step_run(&s, &did, &why) != 0) {
		outcome_error(w->o, name, &why);
		return -1;
	}
	if (did.status != 0) {
		outcome_fail(w->o, did.status, name, did.why);
		return -1;
	}
	if (out != NULL)
		*out = STEAL(did.out);
	return 0;
}

/* The same of what the image does not depend on: a failure is a note. */
static bool extra(struct one *w, const char *name, const struct strv *argv, const char *out_file)
{
	const struct step_spec s = {.how = w->how,
				    .argv = argv,
				    .log_fd = w->log,
				    .out_file = out_file,
				    .timeout_ms = w->n->timeout_ms};
	struct stepped did SCOPED(stepped_release) = {0};
	struct err why = ERR_INIT;

	if (step_run(&s, &did, &why) == 0 && did.status == 0)
		return true;
	strv_addf(&w->o->notes, "%s: %s", name, did.why != NULL ? did.why : why.msg);
	return false;
}

/* done: an image is finished. */
static int save(struct one *w, bool done)
{
	struct err why = ERR_INIT;
	int rc = past_save(w->recipes, w->at->key, &w->past, &why);

	if (rc == 0) {
		rc = done ? share_finish(w->share, w->n, w->at, w->recipes, &w->past, &why)
			  : share_keep(w->share, w->at, w->recipes, &w->past, &why);
		w->late = rc != 0 && why.kind == ERR_BUSY;
	}
	if (rc == 0)
		return 0;
	outcome_error(w->o, "state", &why);
	return -1;
}

/* The digest of the lock's file, in hex; "" when it is not there, or not this recipe's. */
static char *lock_state(const struct one *w)
{
	struct lock *l SCOPED(lock_freep) = NULL;
	struct err why = ERR_INIT;
	struct digest d;

	if (lock_load(w->lock, &l, &why) != 0 || lock_check(l, w->r, w->lock, &why) != 0)
		return mem_strdup("");
	d = lock_digest(l);
	return mem_strdup(digest_hex(&d).s);
}

/* Whether all repositories are what a solver has verified them to be, and still good. */
static bool heads_are_seen(struct one *w)
{
	struct package_heads h SCOPED(package_heads_release) = {0};
	struct err why = ERR_INIT;

	if (package_heads(w->r, &h, &why) != 0)
		return false;
	heads_look(w->heads, &h);
	for (size_t i = 0; i < h.n; i++) {
		const char *seen = map_get(&w->past.seen, h.v[i].id);

		if (!h.v[i].known || seen == NULL ||
		    strcmp(seen, digest_hex(&h.v[i].digest).s) != 0 ||
		    (h.v[i].until != 0 && h.v[i].until < clock_wall_s()))
			return false;
	}
	return true;
}

/* Whether a solver would say what the lock says. */
static bool lock_is_newest(struct one *w)
{
	char *lock SCOPED(mem_freep) = lock_state(w);

	if (lock[0] == '\0')
		return false;
	if (w->r->apt == NULL && w->r->dnf == NULL)
		return w->r->plain->registry == NULL || w->r->plain->has_digest;
	return strcmp(lock, w->past.lock) == 0 &&
	       strcmp(digest_hex(&w->r->digest).s, w->past.recipe) == 0 && heads_are_seen(w);
}

static int update_lock(struct one *w)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct jval *said SCOPED(jval_freep) = NULL;
	char *lock SCOPED(mem_freep) = NULL;

	if (strcmp(w->n->lock, "keep") == 0 || lock_is_newest(w))
		return 0;
	strv_add(&argv, "lock");
	strv_add(&argv, w->at->path);
	strv_add(&argv, "--update");
	strv_add(&argv, "--json");
	if (step(w, "lock", &argv, &said) != 0)
		return -1;
	past_saw(&w->past, jval_get(said, "repositories"));
	lock = lock_state(w);
	past_set(&w->past.lock, lock);
	past_set(&w->past.recipe, digest_hex(&w->r->digest).s);
	if (save(w, false) != 0)
		return -1;
	fault_point("night locked");
	return 0;
}

/* Keys are named, and read by who uses them. */
static void cache_argv(const struct nightly *n, struct strv *argv)
{
	const struct nightly_cache *c = &n->cache;

	if (c->at == NULL)
		return;
	strv_addf(argv, "--cache=%s", c->at);
	for (size_t i = 0; i < c->pub.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(n->root, c->pub.v[i]);

		strv_addf(argv, "--cache-pub=%s", path);
	}
	if (c->key != NULL)
		strv_addf(argv, "--cache-key=%s", c->key);
	if (c->passphrase != NULL)
		strv_addf(argv, "--cache-passphrase-file=%s", c->passphrase);
}

/* The image under a tag of its layout; sign: with statements, signed where there is a key. */
static void build_argv(const struct one *w, const char *tag, bool sign, struct strv *argv)
{
	const struct nightly_sign *s = &w->n->sign;

	strv_add(argv, "build");
	strv_add(argv, w->at->path);
	strv_addf(argv, "--output=oci:%s:%s", w->layout, tag);
	strv_add(argv, "--json");
	cache_argv(w->n, argv);
	if (!sign)
		return;
	strv_addf(argv, "--statements=%s", w->statements);
	if (s->key == NULL)
		return;
	strv_addf(argv, "--key=%s", s->key);
	if (s->passphrase != NULL)
		strv_addf(argv, "--passphrase-file=%s", s->passphrase);
	if (s->signer != NULL)
		strv_addf(argv, "--signer=%s", s->signer);
	for (size_t i = 0; i < s->signer_args.n; i++)
		strv_addf(argv, "--signer-arg=%s", s->signer_args.v[i]);
}

static int build(struct one *w)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct jval *said SCOPED(jval_freep) = NULL;
	const char *digest;

	build_argv(w, "next", false, &argv);
	if (step(w, "build", &argv, &said) != 0)
		return -1;
	digest = jval_get_str(said, "digest");
	if (digest == NULL) {
		outcome_fail(w->o, ERR_FAIL, "build", "it does not say what it made");
		return -1;
	}
	past_set(&w->digest, digest);
	fault_point("night built");
	return 0;
}

static bool has_network(const struct recipe *r)
{
	for (size_t i = 0; i < r->steps_n; i++)
		if (r->steps[i].network)
			return true;
	return false;
}

/* What steps fetched goes into the lock, and the image is made of that. */
static int record(struct one *w)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct jval *said SCOPED(jval_freep) = NULL;
	char *lock SCOPED(mem_freep) = NULL;

	if (!has_network(w->r))
		return 0;
	strv_add(&argv, "lock");
	strv_add(&argv, w->at->path);
	strv_add(&argv, "--json");
	if (step(w, "lock", &argv, &said) != 0)
		return -1;
	if (jval_get_bool(said, "up-to-date"))
		return 0;
	lock = lock_state(w);
	past_set(&w->past.lock, lock);
	return save(w, false) == 0 ? build(w) : -1;
}

/* One that was chosen, and perhaps pushed by a night that died too, gets no other image. */
static void choose_tag(struct one *w)
{
	char *tag SCOPED(mem_freep) = past_new_tag(&w->past, w->r->version);

	past_set(&w->past.pending, tag);
	past_set(&w->past.pending_digest, w->digest);
}

/* The repository in the words of signatures: without a transport. */
static const char *plain_name(const char *repository)
{
	const char *at = strstr(repository, "://");

	return at != NULL ? at + 3 : repository;
}

static int sign(struct one *w, const char *tag)
{
	struct strv argv SCOPED(strv_release) = {0};
	bool named = w->repository != NULL && strncmp(w->repository, "docker://", 9) == 0;

	build_argv(w, tag, true, &argv);
	if (w->n->sign.key != NULL && named) {
		strv_addf(&argv, "--identity=%s:%s", plain_name(w->repository), w->r->version);
		strv_addf(&argv, "--identity=%s:%s", plain_name(w->repository), tag);
	}
	return step(w, "sign", &argv, NULL);
}

static int push_as(struct one *w, const char *tag, const char *as)
{
	struct strv argv SCOPED(strv_release) = {0};

	strv_add(&argv, "push");
	strv_addf(&argv, "oci:%s:%s", w->layout, tag);
	strv_addf(&argv, "%s:%s", w->repository, as);
	strv_add(&argv, "--json");
	return step(w, "push", &argv, NULL);
}

/* The image under its own tag first: who follows the version's gets it when all of it is there. */
static int push(struct one *w, const char *tag)
{
	if (w->repository == NULL)
		return 0;
	if (push_as(w, tag, tag) != 0)
		return -1;
	fault_point("night tagged");
	return push_as(w, tag, w->r->version);
}

static void compare(struct one *w, const char *was, const char *is)
{
	struct strv argv SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = mem_format("%s/%s-%s.md", w->diffs, w->at->key, is);

	if (was[0] == '\0')
		return;
	strv_add(&argv, "diff");
	/* another machine may have made it */
	strv_addf(&argv, "%s%s:%s",
		  w->share != NULL ? "" : "oci:", w->share != NULL ? w->repository : w->layout,
		  was);
	strv_addf(&argv, "oci:%s:%s", w->layout, is);
	strv_add(&argv, "--markdown");
	strv_add(&argv, "--no-controls"); /* the build's own report has them */
	if (extra(w, "diff", &argv, path))
		past_set(&w->o->diff, path);
}

static void keep(struct one *w)
{
	struct strv argv SCOPED(strv_release) = {0};

	if (w->n->keep == 0 || w->repository == NULL)
		return;
	strv_add(&argv, "retain");
	strv_add(&argv, "--remove");
	strv_addf(&argv, "--keep=%llu", (unsigned long long)w->n->keep);
	strv_addf(&argv, "--match=%s-*", w->r->version);
	for (size_t i = 0; i < w->n->holds.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(w->n->root, w->n->holds.v[i]);

		strv_addf(&argv, "--hold=%s", path);
	}
	strv_add(&argv, w->repository);
	(void)extra(w, "keep", &argv, NULL);
}

/* What is in the repository need not stay here, but for what the next image is compared with. */
static void trim(struct one *w)
{
	const struct step_spec s = {
	    .how = w->how, .log_fd = w->log, .timeout_ms = w->n->timeout_ms};
	const struct strv *all = &w->past.tags;
	struct strv tags SCOPED(strv_release) = {0};
	size_t here = w->share != NULL ? 1 : TAGS_HERE;
	struct err why = ERR_INIT;

	if (w->repository == NULL || all->n <= here)
		return;
	strv_add(&tags, "next");
	for (size_t i = all->n - here; i < all->n; i++)
		strv_add(&tags, all->v[i]);
	if (layout_trim(&s, w->layout, &tags, &why) != 0)
		strv_addf(&w->o->notes, "trim: %s", why.msg);
}

static int finish(struct one *w)
{
	struct past *p = &w->past;
	char *was SCOPED(mem_freep) = mem_strdup(p->tag);
	char *tag SCOPED(mem_freep) = NULL;

	if (strcmp(p->pending_digest, w->digest) != 0 || p->pending[0] == '\0') {
		choose_tag(w);
		if (save(w, false) != 0)
			return -1;
	}
	tag = mem_strdup(p->pending);
	fault_point("night chosen");
	if (sign(w, tag) != 0)
		return -1;
	fault_point("night signed");
	if (push(w, tag) != 0)
		return -1;
	fault_point("night pushed");
	compare(w, was, tag);
	/* before it is finished here: a night that dies in between tells it once more */
	w->o->status = NIGHTLY_BUILT;
	past_set(&w->o->tag, tag);
	past_set(&w->o->digest, w->digest);
	outcome_tell(w->n, w->how, w->o);
	fault_point("night told");
	past_set(&p->tag, tag);
	past_set(&p->digest, w->digest);
	past_set(&p->pending, "");
	past_set(&p->pending_digest, "");
	p->took_ms = clock_mono_ms() - w->begun_ms;
	strv_add(&p->tags, tag);
	if (save(w, true) != 0)
		return -1;
	fault_point("night finished");
	keep(w);
	trim(w);
	return 0;
}

static bool has_tag(const struct jval *tags, const char *tag)
{
	for (size_t i = 0; i < jval_len(tags); i++)
		if (jval_str(jval_at(tags, i)) != NULL &&
		    strcmp(jval_str(jval_at(tags, i)), tag) == 0)
			return true;
	return false;
}

/* The tags of the repository: none of one that is not there yet. */
static int tags_there(struct one *w, struct jval **ret)
{
	struct strv argv SCOPED(strv_release) = {0};
	const struct step_spec s = {
	    .how = w->how, .argv = &argv, .log_fd = w->log, .timeout_ms = w->n->timeout_ms};
	struct stepped did SCOPED(stepped_release) = {0};
	struct err why = ERR_INIT;

	strv_add(&argv, "tags");
	strv_add(&argv, w->repository);
	strv_add(&argv, "--json");
	if (step_run(&s, &did, &why) != 0) {
		outcome_error(w->o, "push", &why);
		return -1;
	}
	if (did.status == 0)
		*ret = STEAL(did.out);
	if (did.status == 0 || (did.status == ERR_REMOTE && strstr(did.why, ": 404 ") != NULL))
		return 0;
	outcome_fail(w->o, did.status, "push", did.why);
	return -1;
}

/* Nothing is new; what should be in the repository is looked at all the same, and what is missing
 * is pushed. A version's tag that is there stays where somebody has set it since: that may be the
 * image before. */
static int confirm(struct one *w)
{
	struct jval *said SCOPED(jval_freep) = NULL;
	const struct jval *tags;

	w->o->status = NIGHTLY_UNCHANGED;
	if (w->repository == NULL)
		return 0;
	if (tags_there(w, &said) != 0)
		return -1;
	tags = jval_get(said, "tags");
	if (has_tag(tags, w->past.tag) && has_tag(tags, w->r->version))
		return 0;
	/* another machine may have made it: then it is signed here first */
	if (w->share != NULL && sign(w, w->past.tag) != 0)
		return -1;
	if (!has_tag(tags, w->past.tag) && push_as(w, w->past.tag, w->past.tag) != 0)
		return -1;
	return has_tag(tags, w->r->version) ? 0 : push_as(w, w->past.tag, w->r->version);
}

static int prepare(struct one *w)
{
	char *images SCOPED(mem_freep) = NULL, *said SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;

	if (recipe_load(w->at->path, &w->r, &why) != 0) {
		outcome_error(w->o, "recipe", &why);
		return -1;
	}
	if (names_claim(w->n, w->at, w->r->name, &why) != 0 ||
	    share_name(w->share, w->n, w->at, w->r->name, &why) != 0 ||
	    share_fetch(w->share, w->n, w->at, w->recipes, &why) != 0) {
		outcome_error(w->o, "recipe", &why);
		return -1;
	}
	if (state_dir(w, "images", NULL, &images) != 0 ||
	    state_dir(w, "statements", NULL, &said) != 0 ||
	    state_dir(w, "diff", NULL, &w->diffs) != 0 ||
	    state_dir(w, "heads", &w->heads, NULL) != 0)
		return -1;
	w->lock = lock_path(w->at->path);
	w->layout = fs_join(images, w->at->key);
	w->statements = fs_join(said, w->at->key);
	w->repository = put_word(w->n->push, "{name}", w->r->name);
	past_load(w->recipes, w->at->key, &w->past);
	return 0;
}

static int work(struct one *w)
{
	if (prepare(w) != 0 || update_lock(w) != 0 || build(w) != 0 || record(w) != 0)
		return -1;
	return strcmp(w->digest, w->past.digest) == 0 ? confirm(w) : finish(w);
}

/* One that came too late says so where nothing is said yet. */
static int put_outcome(struct one *w, struct err *e)
{
	bool first;

	return w->late ? share_lost(w->share, w->n, w->how->night, w->o, &first, e)
		       : share_outcome(w->share, w->n, w->how->night, w->o, e);
}

void nightly_one(const struct nightly *n, const struct nightly_recipe *r,
		 const struct nightly_how *how, struct nightly_outcome *ret)
{
	struct one w SCOPED(one_release) = {
	    .n = n, .at = r, .how = how, .o = ret, .recipes = -1, .heads = -1, .log = -1};
	char *name SCOPED(mem_freep) = mem_format("%s.flock", r->key);
	int lock SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;

	w.begun_ms = clock_mono_ms();
	outcome_blank(ret, r->key);
	if (state_dir(&w, "recipes", &w.recipes, NULL) != 0)
		return;
	if (lock_wait(w.recipes, name, LOCK_WAIT_MS, &lock, &why) != 0 ||
	    told_begin(n, how, &why) != 0 || share_open(n, &w.share, &why) != 0 ||
	    share_outcome_forget(w.share, how->night, r->key, &why) != 0 ||
	    outcome_forget(n, how->night, r->key, &why) != 0) {
		outcome_error(ret, "state", &why);
		return;
	}
	if (open_log(&w) == 0)
		(void)work(&w);
	if (w.past.tag != NULL) {
		past_set(&ret->tag, w.past.tag);
		past_set(&ret->digest, w.past.digest);
	}
	ret->ms = clock_mono_ms() - w.begun_ms;
	if (ret->status == NIGHTLY_FAILED && !w.late) {
		/* that it was built may be told already, and it failed behind that */
		ret->told = false;
		outcome_tell(n, how, ret);
	}
	/* what became of it the other one notes */
	ret->told = ret->told || w.late;
	told_end(n, how, ret);
	if (outcome_save(n, how->night, ret, &why) != 0 || put_outcome(&w, &why) != 0)
		outcome_error(ret, "state", &why);
}
