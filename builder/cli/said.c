#include "cli/said.h"

#include "base/log.h"
#include "cli/keys.h"
#include "cli/noted.h"
#include "cli/signing.h"
#include "sandbox/sandbox.h"
#include "statement/statement.h"
#include "sys/aside.h"
#include "sys/clock.h"
#include <string.h>

struct task {
	const struct args *a;
	const struct ref *at;
	struct image image;
	struct strv ids;
	struct statement_opts o;
	struct statements_place place;
	struct digest key; /* of what is made */
};

static void task_release(struct task *t)
{
	/* the image's ref is the caller's */
	t->image.ref = (struct ref){0};
	image_release(&t->image);
	strv_release(&t->ids);
}

int said_check(const struct args *a, struct err *e)
{
	static const char *const with_key[] = {"passphrase-file", "signer",   "chain",
					       "tsa-key",         "tsa-cert", "identity"};
	struct signing s SCOPED(signing_release) = {0};

	for (size_t i = 0; !args_has(a, "key") && i < sizeof(with_key) / sizeof(with_key[0]); i++)
		if (args_has(a, with_key[i]))
			return err_set(e, ERR_USAGE, "--%s wants --key FILE", with_key[i]);
	if (args_has(a, "builder") && !args_has(a, "key") && !args_has(a, "statements"))
		return err_set(e, ERR_USAGE, "--builder wants --key or --statements");
	return args_has(a, "key") ? signing_open(a, &s, e) : 0;
}

static void add_option(struct hash *h, const struct args *a, const char *name)
{
	const char *value;

	hash_add(h, name, strlen(name) + 1);
	for (size_t i = 0; (value = args_nth(a, name, i)) != NULL; i++)
		hash_add(h, value, strlen(value) + 1);
}

/* What is made of the image, by whom and under which names. */
static int find_key(struct task *t, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct sign_public *pub SCOPED(sign_public_freep) = NULL;
	const char *path = args_get(t->a, "key");
	struct digest d;

	if (statements_key(&t->image.manifest.digest, &t->o, &d, e) != 0)
		return -1;
	hash_add(h, d.b, DIGEST_BYTES);
	if (path != NULL) {
		char *base SCOPED(mem_freep) = key_base(path);
		char *name SCOPED(mem_freep) = mem_format("%s.pub", base);

		if (sign_public_load(name, &pub, e) != 0)
			return -1;
		d = sign_public_id(pub);
		hash_add(h, d.b, DIGEST_BYTES);
	}
	for (size_t i = 0; i < t->ids.n; i++)
		hash_add(h, t->ids.v[i], strlen(t->ids.v[i]) + 1);
	add_option(h, t->a, "chain");
	add_option(h, t->a, "tsa-cert");
	add_option(h, t->a, "statements");
	t->key = hash_final(h);
	return 0;
}

static int sign(struct task *t, const struct statements *said, struct err *e)
{
	struct signing s SCOPED(signing_release) = {0};
	struct statements_by by = {.identities = &t->ids, .time = clock_epoch_s()};

	if (!args_has(t->a, "key"))
		return 0;
	if (signing_open(t->a, &s, e) != 0)
		return -1;
	by.key = s.key;
	return statements_attach(t->image.layout, &t->image.manifest, said, &by, e);
}

static int make(void *arg, struct err *e)
{
	struct task *t = arg;
	struct statements said SCOPED(statements_release) = {0};

	if (sandbox_enter(e) != 0 ||
	    statements_make(t->image.layout, &t->image.manifest, &t->o, &said, e) != 0 ||
	    (t->place.dir != NULL && statements_put(&said, t->place.dir, e) != 0) ||
	    sign(t, &said, e) != 0)
		return err_in(e, "statements");
	statements_remember(&t->place, &t->key, &said);
	log_info("%zu files of statements%s%s%s", said.n,
		 args_has(t->a, "key") ? ", signed and attached" : "",
		 t->place.dir != NULL ? ", in " : "", t->place.dir != NULL ? t->place.dir : "");
	return 0;
}

static int open_image(struct task *t, const struct build_result *res, struct err *e)
{
	t->image.ref = *t->at;
	if (oci_layout_open(t->at->path, false, &t->image.layout, e) != 0 ||
	    oci_layout_find(t->image.layout, t->at->tag, NULL, &t->image.manifest, e) != 0)
		return -1;
	if (!digest_equal(&t->image.manifest.digest, &res->manifest))
		return err_set(e, ERR_BUSY, "%s:%s: another has put another image there",
			       t->at->path, t->at->tag);
	return args_has(t->a, "key") ? input_identities(t->a, &t->image, &t->ids, e) : 0;
}

/* Signed here, as posmedia sign would have noted it. */
static int note(const struct task *t, const struct build_result *res, struct err *e)
{
	struct jval *v = jval_object(), *list = jval_array();
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	char *pub SCOPED(mem_freep) = mem_format("%s.pub", args_get(t->a, "key"));
	struct err quiet = ERR_INIT;

	for (size_t i = 0; i < t->ids.n; i++)
		jval_push(list, jval_text(t->ids.v[i]));
	jval_put(v, "identities", list);
	if (sign_public_load(pub, &k, &quiet) == 0) {
		struct digest id = sign_public_id(k);

		jval_put_text(v, "key", digest_text(&id).s);
	}
	jval_put_text(v, "file", args_get(t->a, "key"));
	jval_put_text(v, "object", t->at->path);
	return noted_of(t->a, "sign", &res->manifest, v, e);
}

int said_make(const struct args *a, const struct recipe *r, struct store *s, const struct ref *at,
	      const struct build_result *res, struct err *e)
{
	struct task t SCOPED(task_release) = {
	    .a = a,
	    .at = at,
	    .o = {.store = s,
		  .recipe = r,
		  .builder = args_get(a, "builder"),
		  .today = clock_epoch_s()},
	    .place = {.store = s, .recipe = r->name, .dir = args_get(a, "statements")}};
	struct aside child = {0};

	if (!args_has(a, "key") && !args_has(a, "statements"))
		return 0;
	if (open_image(&t, res, e) != 0 || find_key(&t, e) != 0)
		return -1;
	t.place.l = t.image.layout;
	if (!args_has(a, "no-cache") && statements_known(&t.place, &t.key))
		return 0;
	if (aside_start(make, &t, &child, e) != 0)
		return -1;
	if (aside_join(&child, e) != 0)
		return -1;
	return args_has(a, "key") ? note(&t, res, e) : 0;
}
