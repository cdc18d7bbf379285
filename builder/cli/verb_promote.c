#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/signing.h"
#include "cli/verb.h"

#include "sign/promotion.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt opts[] = {
    {0, "to", "STAGE", "Let the image into qa or prod; without it, show the history."},
    SIGNING_OPTS,
    {0, "by", "FILE.pub", "Also believe promotions by this key (may be repeated)."},
    {0, "identity", "HOST/REPO:TAG", "What the statement calls the image."},
    {0, "lookaside", "DIR", "Registries: also keep OpenPGP signatures in this directory."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

enum { STAGES = 2, BY_MAX = KEYS_MAX + 1 };

/* Whose statements are believed; the last may be borrowed from a private key. */
struct trusted {
	struct sign_public *v[BY_MAX];
	size_t n;
};

static void trusted_release(struct trusted *t)
{
	for (size_t i = 0; i < t->n; i++)
		sign_public_free(t->v[i]);
}

static int read_trusted(const struct args *a, struct trusted *ret, struct err *e)
{
	for (const char *path; (path = args_nth(a, "by", ret->n)) != NULL; ret->n++) {
		if (ret->n == KEYS_MAX)
			return err_set(e, ERR_USAGE, "more than %d keys", KEYS_MAX);
		if (sign_public_load(path, &ret->v[ret->n], e) != 0)
			return -1;
	}
	return 0;
}

/* One promotion of the history. */
struct event {
	int stage;
	int64_t time;
	const struct attest_one *by;
};

static int earlier(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->time != y->time ? (x->time > y->time) - (x->time < y->time) : x->stage - y->stage;
}

static size_t events_of(const struct attest_list *all, struct event *v)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++)
		for (int stage = 1; stage <= STAGES; stage++) {
			struct event ev = {stage, 0, &all->v[i]};

			if (promotion_is(&all->v[i], NULL, stage, &ev.time))
				v[n++] = ev;
		}
	qsort(v, n, sizeof(*v), earlier);
	return n;
}

static void print_event(const struct args *a, const struct event *ev, struct jval *list)
{
	static const char *const words[] = {"", "qa", "prod"};
	const struct jval *subject = jval_at(jval_get(ev->by->json, "subject"), 0);
	char *name SCOPED(mem_freep) = mem_strdup(jval_get_str(subject, "name"));
	char *when SCOPED(mem_freep) = clock_rfc3339(ev->time);
	struct jval *v = jval_object();

	jval_put_text(v, "stage", words[ev->stage]);
	jval_put_text(v, "time", when);
	jval_put_text(v, "image", name);
	jval_put_text(v, "key", digest_text(&ev->by->key).s);
	jval_push(list, v);
	screen_plain_line(name);
	if (!args_has(a, "json"))
		printf("%s %s %s by key %s\n", when, words[ev->stage], name,
		       digest_text(&ev->by->key).s);
}

static void print_history(const struct args *a, const struct attest_list *all)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct event *v = mem_zalloc((STAGES * all->n + 1) * sizeof(*v));
	size_t n = events_of(all, v);

	for (size_t i = 0; i < n; i++)
		print_event(a, &v[i], list);
	if (args_has(a, "json"))
		screen_json(list);
	else if (n == 0)
		puts("not promoted by any of the keys");
	free(v);
}

static int history(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct trusted by SCOPED(trusted_release) = {0};
	struct attest_list all SCOPED(attest_list_release) = {0};
	struct attest_keys keys;

	if (!args_has(a, "by")) {
		(void)err_set(e, ERR_USAGE, "promote wants --to STAGE, or --by FILE.pub");
		return err_hint(e, "without --to it shows what those keys have promoted");
	}
	if (read_trusted(a, &by, e) != 0 || object_image(a, a->rest.v[0], &v, &i, e) != 0)
		return -1;
	keys = (struct attest_keys){by.v, by.n};
	if (attest_collect(i.layout, &i.manifest.digest, &keys, &all, e) != 0)
		return -1;
	print_history(a, &all);
	return 0;
}

/* What goes to production has been promoted to qa before, by us or one whom we believe. */
static int check_before(const struct image *i, const char *identity, const struct attest_keys *keys,
			int stage, struct err *e)
{
	struct attest_list all SCOPED(attest_list_release) = {0};
	int64_t time;

	if (stage == 1)
		return 0;
	if (attest_collect(i->layout, &i->manifest.digest, keys, &all, e) != 0)
		return -1;
	for (size_t n = 0; n < all.n; n++)
		if (promotion_is(&all.v[n], identity, stage - 1, &time))
			return 0;
	(void)err_set(e, ERR_VERIFY, "%s is not promoted to qa", identity);
	return err_hint(e, "promote it there first, or name who did: --by FILE.pub");
}

static int push_back(const struct args *a, struct image *i, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct remote_stats st = {0};
	struct ref to = i->ref;
	char none[] = "";

	if (to.kind != REF_DOCKER)
		return 0;
	to.tag = none;
	to.has_digest = true;
	to.digest = i->manifest.digest;
	return remote_push(i->layout, &i->manifest, &to, &o, &st, e);
}

static int note(const struct args *a, const struct image *i, const char *identity,
		const struct signing *s, struct err *e)
{
	struct jval *v = jval_object();
	struct digest key = sign_public_id(sign_key_public(s->key));

	jval_put_text(v, "identity", identity);
	jval_put_text(v, "to", args_get(a, "to"));
	jval_put_text(v, "key", digest_text(&key).s);
	return noted_of(a, "promote", &i->manifest.digest, v, e);
}

static int let_in(const struct args *a, struct image *i, const struct signing *s, int stage,
		  struct err *e)
{
	struct buf statement SCOPED(buf_release) = BUF_INIT(ATTEST_MAX);
	char *identity SCOPED(mem_freep) = NULL;
	struct trusted by SCOPED(trusted_release) = {0};
	struct attest_keys keys = {by.v, 0};
	int rc;

	if (input_identity(a, i, &identity, e) != 0 || read_trusted(a, &by, e) != 0)
		return -1;
	/* borrowed, and behind those that are released */
	by.v[by.n] = (struct sign_public *)(uintptr_t)sign_key_public(s->key);
	keys.n = by.n + 1;
	promotion_make(identity, &i->manifest.digest, stage, clock_epoch_s(), &statement);
	rc = check_before(i, identity, &keys, stage, e);
	if (rc != 0 || attest_image(i->layout, &i->manifest, &statement, s->key, e) != 0)
		return -1;
	if (push_back(a, i, e) != 0)
		return -1;
	if (!args_has(a, "json"))
		printf("promoted %s@%s to %s\n", identity, digest_text(&i->manifest.digest).s,
		       args_get(a, "to"));
	return note(a, i, identity, s, e);
}

static int run(const struct args *a, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct signing s SCOPED(signing_release) = {0};
	int turn SCOPED(fd_closep) = -1;
	int stage;

	if (!args_has(a, "to"))
		return history(a, e);
	stage = promotion_stage(args_get(a, "to"));
	if (stage == 0)
		return err_set(e, ERR_USAGE, "--to wants qa or prod");
	if (signing_open(a, &s, e) != 0 || signing_turn(a, &turn, e) != 0 ||
	    object_image(a, a->rest.v[0], &v, &i, e) != 0 ||
	    oci_layout_verify(i.layout, &i.manifest, NULL, NULL, e) != 0)
		return -1;
	return let_in(a, &i, &s, stage, e);
}

const struct verb verb_promote = {
    .name = "promote",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG",
    .help = "Let an image into a stage by a signed statement, or show who did.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
