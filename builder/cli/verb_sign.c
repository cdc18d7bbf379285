#include "cli/medium.h"
#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/signing.h"
#include "cli/verb.h"

#include "base/log.h"
#include "sign/attest.h"
#include "sign/file.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <stdio.h>
#include <stdlib.h>

static const struct opt opts[] = {
    SIGNING_OPTS,
    {0, "identity", "HOST/REPO:TAG", "What the signature calls the image (may be repeated)."},
    {0, "attest", "FILE", "Also sign this statement about the image (may be repeated)."},
    {0, "lookaside", "DIR", "Registries: also keep OpenPGP signatures in this directory."},
    OBJECT_PLAIN,
    {0, "dry-run", NULL, "Check key and image, and sign nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

/* What is to be signed beside the image itself. */
struct wanted {
	struct strv ids;
	struct buf *statements;
	size_t n;
};

static void wanted_release(struct wanted *w)
{
	strv_release(&w->ids);
	for (size_t i = 0; i < w->n; i++)
		buf_release(&w->statements[i]);
	free(w->statements);
}

/* Bad statements are refused before anything is signed. */
static int read_wanted(const struct args *a, const struct image *i, struct wanted *ret,
		       struct err *e)
{
	if (input_identities(a, i, &ret->ids, e) != 0)
		return -1;
	for (const char *path; (path = args_nth(a, "attest", ret->n)) != NULL;) {
		struct buf *b;

		ret->statements = mem_resize(ret->statements, ret->n + 1, sizeof(*ret->statements));
		b = &ret->statements[ret->n++];
		*b = (struct buf)BUF_INIT(ATTEST_MAX);
		if (input_statement(path, b, e) != 0 ||
		    attest_check(b, path, &i->manifest.digest, e) != 0)
			return -1;
	}
	return 0;
}

static void report(const struct args *a, const struct image *i, const struct strv *ids,
		   const struct digest *key)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();

	for (size_t n = 0; n < ids->n; n++)
		jval_push(list, jval_text(ids->v[n]));
	jval_put_text(v, "digest", digest_text(&i->manifest.digest).s);
	jval_put(v, "identities", list);
	jval_put_text(v, "key", digest_text(key).s);
	if (args_has(a, "json")) {
		screen_json(v);
		return;
	}
	for (size_t n = 0; n < ids->n; n++)
		printf("signed %s@%s\n", ids->v[n], digest_text(&i->manifest.digest).s);
}

static int note(const struct args *a, const struct digest *d, const struct strv *ids,
		const struct digest *key, struct err *e)
{
	struct jval *v = jval_object(), *list = jval_array();

	for (size_t n = 0; ids != NULL && n < ids->n; n++)
		jval_push(list, jval_text(ids->v[n]));
	jval_put_text(v, "object", a->rest.v[0]);
	jval_put(v, "identities", list);
	jval_put_text(v, "key", digest_text(key).s);
	jval_put_text(v, "file", args_get(a, "key"));
	return noted_of(a, "sign", d, v, e);
}

/* Signs; in a registry the signatures are added to those that are there. The image is named by
 * its digest: a tag that was moved meanwhile is not moved back. */
static int sign_all(const struct args *a, struct image *i, const struct wanted *w,
		    const struct sign_key *k, struct err *e)
{
	const struct strv *ids = &w->ids;
	const struct remote_opts o = object_remote(a);
	struct ref to = i->ref;
	struct remote_stats st = {0};
	char none[] = "";

	for (size_t n = 0; n < ids->n; n++)
		if (sign_image(i->layout, &i->manifest, ids->v[n], k, clock_epoch_s(), e) != 0)
			return -1;
	for (size_t n = 0; n < w->n; n++)
		if (attest_image(i->layout, &i->manifest, &w->statements[n], k, e) != 0)
			return -1;
	if (to.kind != REF_DOCKER)
		return 0;
	to.tag = none;
	to.has_digest = true;
	to.digest = i->manifest.digest;
	return remote_push(i->layout, &i->manifest, &to, &o, &st, e);
}

/* Of a medium, what it is block by block is signed too; that of another one is not. */
static int sign_manifest(const struct args *a, const struct digest *whole, const struct sign_key *k,
			 struct err *e)
{
	char *path SCOPED(mem_freep) = medium_manifest(a, a->rest.v[0]);
	struct medium m SCOPED(medium_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(0);

	if (path == NULL)
		return 0;
	if (medium_load(path, &text, &m, e) != 0)
		return -1;
	if (!digest_equal(&m.whole, whole)) {
		(void)err_set(e, ERR_VERIFY, "%s is of another medium", path);
		return err_hint(e, "Make it anew, or remove that file.");
	}
	if (medium_check(a->rest.v[0], &m, e) != 0)
		return err_hint(e, "%s says otherwise: make the medium anew.", path);
	/* what is in the file by now may be something else */
	return sign_file_text(path, &text, k, clock_epoch_s(), e);
}

/* A file that is no image: a medium, an archive. */
static int sign_one_file(const struct args *a, const struct sign_key *k, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct digest d, id = sign_public_id(sign_key_public(k));

	if (args_has(a, "attest") || args_has(a, "identity"))
		return err_set(e, ERR_USAGE, "--attest and --identity are for images");
	if (args_has(a, "dry-run"))
		return 0;
	if (sign_file(a->rest.v[0], k, clock_epoch_s(), &d, e) != 0 ||
	    sign_manifest(a, &d, k, e) != 0)
		return -1;
	jval_put_text(v, "digest", digest_text(&d).s);
	jval_put_text(v, "file", a->rest.v[0]);
	jval_put_text(v, "key", digest_text(&id).s);
	if (args_has(a, "json"))
		screen_json(v);
	else
		printf("signed %s %s\n", digest_text(&d).s, a->rest.v[0]);
	return note(a, &d, NULL, &id, e);
}

static int sign_one_image(const struct args *a, const struct sign_key *k, struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct wanted w SCOPED(wanted_release) = {0};
	int turn SCOPED(fd_closep) = -1;
	struct digest id;

	if (signing_turn(a, &turn, e) != 0 || object_image(a, a->rest.v[0], &v, &i, e) != 0 ||
	    read_wanted(a, &i, &w, e) != 0 ||
	    oci_layout_verify(i.layout, &i.manifest, NULL, NULL, e) != 0)
		return -1;
	if (!args_has(a, "dry-run") && sign_all(a, &i, &w, k, e) != 0)
		return -1;
	id = sign_public_id(sign_key_public(k));
	report(a, &i, &w.ids, &id);
	return args_has(a, "dry-run") ? 0 : note(a, &i.manifest.digest, &w.ids, &id, e);
}

static int run(const struct args *a, struct err *e)
{
	struct signing s SCOPED(signing_release) = {0};

	if (signing_open(a, &s, e) != 0)
		return -1;
	return (object_is_image(a->rest.v[0]) ? sign_one_image : sign_one_file)(a, s.key, e);
}

const struct verb verb_sign = {
    .name = "sign",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | FILE",
    .help = "Sign an image or a file, in every form at once.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
