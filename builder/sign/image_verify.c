#include "sign/image.h"

#include "sign/siglayer.h"
#include <stdlib.h>
#include <string.h>

void sign_report_release(struct sign_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].identity);
	free(r->v);
	*r = (struct sign_report){0};
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
		char *identity SCOPED(mem_freep) = NULL;

		if (sig_check(s, &sig, w->keys[i], &identity, why) != 0)
			continue;
		if (w->identity != NULL && strcmp(identity, w->identity) != 0)
			return err_set(why, ERR_VERIFY, "it is for %s", identity);
		*ret = (struct sign_found){s->form, STEAL(identity), sign_public_id(w->keys[i])};
		return 0;
	}
	return -1;
}

static int check_set(const struct sig_set *s, const struct sign_wanted *w, struct sign_report *r,
		     struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct err why = ERR_INIT;
	size_t good = 0;

	if (sig_manifest(s, &m, e) != 0)
		return -1;
	(void)err_set(&why, ERR_VERIFY, "no key was given");
	for (size_t i = 0; i < m.layers_n; i++) {
		struct sign_found f;

		if (check_layer(s, w, &m.layers[i], &f, &why) != 0) {
			r->ignored++;
			continue;
		}
		r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
		r->v[r->n++] = f;
		good++;
	}
	if (good > 0 || (w->forms & 1U << s->form) == 0)
		return 0;
	if (m.layers_n == 0)
		return err_set(e, ERR_VERIFY, "it has no %s signature", sig_form_name(s->form));
	return err_set(e, ERR_VERIFY, "none of its %zu %s signatures is good; the last: %s",
		       m.layers_n, sig_form_name(s->form), why.msg);
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
	if (rc == 0) {
		*ret = r;
		return 0;
	}
	sign_report_release(&r);
	return err_in(e, "image %s%s%s", digest_text(&manifest->digest).s,
		      want->identity != NULL ? " as " : "",
		      want->identity != NULL ? want->identity : "");
}
