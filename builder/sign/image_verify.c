#include "sign/image.h"

#include "sign/bundles.h"
#include "sign/siglayer.h"
#include <stdlib.h>
#include <string.h>

void sign_report_release(struct sign_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].identity);
	free(r->v);
	strv_release(&r->checked);
	*r = (struct sign_report){0};
}

const char *sign_form_word(enum sign_form form)
{
	static const char *const words[] = {"openpgp", "cosign", "bundle"};

	return words[form];
}

/* A signature that a key made counts when it is for the wanted identity. */
static int take(const struct sig_set *s, const struct sign_wanted *w, size_t key,
		struct payload_said *said, struct sign_found *ret, struct err *why)
{
	if (w->identity != NULL && strcmp(said->identity, w->identity) != 0)
		return err_set(why, ERR_VERIFY, "it is for %s", said->identity);
	*ret = (struct sign_found){s->form, STEAL(said->identity), sign_public_id(w->keys[key]),
				   said->time, said->stamped};
	return 0;
}

/* Tries every key on one signature. The last key's complaint stays in *why. */
static int check_layer(const struct sig_set *s, const struct sign_wanted *w,
		       const struct oci_desc *layer, struct sign_found *ret, struct err *why)
{
	struct sig sig SCOPED(sig_release);

	sig_init(&sig);
	if (sig_load(s, layer, &sig, why) != 0)
		return -1;
	for (size_t i = 0; i < w->keys_n; i++) {
		struct payload_said said SCOPED(payload_said_release) = {0};

		if (sig_check(s, &sig, w->keys[i], &said, why) == 0)
			return take(s, w, i, &said, ret, why);
	}
	return -1;
}

/* The same of a bundle. */
static int check_one_bundle(const struct sig_set *s, const struct sign_wanted *w,
			    const struct oci_desc *d, struct sign_found *ret, struct err *why)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(BUNDLE_MAX);

	if (bundle_load(s->layout, s->manifest, d, &b, why) != 0)
		return -1;
	for (size_t i = 0; i < w->keys_n; i++) {
		struct bundle_said opened SCOPED(bundle_said_release);
		struct payload_said said SCOPED(payload_said_release) = {0};

		bundle_said_init(&opened);
		if (bundle_open(&b, w->keys[i], w->tsa, &opened, why) != 0)
			continue;
		if (bundle_payload_open(&opened.statement, s->manifest, &said, why) != 0)
			return -1;
		said.stamped = opened.stamped;
		return take(s, w, i, &said, ret, why);
	}
	return -1;
}

/* What is there of one form. */
struct tally {
	size_t seen, good;
	struct err why; /* the last complaint */
};

static void count(struct tally *t, struct sign_report *r, int rc, const struct sign_found *f)
{
	t->seen++;
	if (rc != 0) {
		r->ignored++;
		return;
	}
	r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
	r->v[r->n++] = *f;
	t->good++;
}

static int judge(const struct sig_set *s, const struct sign_wanted *w, const struct tally *t,
		 struct err *e)
{
	if (t->good > 0 || (w->forms & 1U << s->form) == 0)
		return 0;
	if (t->seen == 0)
		return err_set(e, ERR_VERIFY, "it has no %s signature", sig_form_name(s->form));
	return err_set(e, ERR_VERIFY, "none of its %zu %s signatures is good; the last: %s",
		       t->seen, sig_form_name(s->form), t->why.msg);
}

static int check_set(const struct sig_set *s, const struct sign_wanted *w, struct sign_report *r,
		     struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct tally t = {.why = ERR_INIT};

	if (sig_manifest(s, &m, e) != 0)
		return -1;
	(void)err_set(&t.why, ERR_VERIFY, "no key was given");
	for (size_t i = 0; i < m.layers_n; i++) {
		struct sign_found f;
		int rc = check_layer(s, w, &m.layers[i], &f, &t.why);

		count(&t, r, rc, &f);
	}
	return judge(s, w, &t, e);
}

static int check_bundles(const struct sig_set *s, const struct sign_wanted *w,
			 struct sign_report *r, struct err *e)
{
	struct oci_index list SCOPED(oci_index_release) = {0};
	struct tally t = {.why = ERR_INIT};

	if (oci_referrers(s->layout, s->manifest, &list, e) != 0)
		return -1;
	(void)err_set(&t.why, ERR_VERIFY, "no key was given");
	for (size_t i = 0; i < list.n; i++) {
		struct sign_found f;
		int rc;

		if (!bundle_is(&list.v[i]))
			continue;
		rc = check_one_bundle(s, w, &list.v[i], &f, &t.why);
		count(&t, r, rc, &f);
	}
	return judge(s, w, &t, e);
}

static int check_bytes(const struct oci_layout *l, const struct oci_desc *d, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (oci_layout_read(l, &d->digest, &b, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	return b.len == d->size ? 0 : err_set(e, ERR_VERIFY, "its size is not the stated one");
}

int sign_image_verify(const struct oci_layout *l, const struct oci_desc *manifest,
		      const struct sign_wanted *want, struct sign_report *ret, struct err *e)
{
	struct sign_report r = {0};
	struct sig_set s = {l, &manifest->digest, SIGN_OPENPGP};
	int rc = check_bytes(l, manifest, e);

	if (rc == 0)
		rc = check_set(&s, want, &r, e);
	s.form = SIGN_COSIGN;
	if (rc == 0)
		rc = check_set(&s, want, &r, e);
	s.form = SIGN_BUNDLE;
	if (rc == 0)
		rc = check_bundles(&s, want, &r, e);
	if (rc == 0) {
		*ret = r;
		return 0;
	}
	sign_report_release(&r);
	return err_in(e, "image %s%s%s", digest_text(&manifest->digest).s,
		      want->identity != NULL ? " as " : "",
		      want->identity != NULL ? want->identity : "");
}
