#include "cli/medium.h"

#include "cli/object.h"

#include "sign/file.h"
#include "sign/policy.h"
#include <string.h>

/* The image is the one that the medium was made of, and is as the policy wants it. */
static int check_image(const struct args *a, const struct sign_policy *p, const struct medium *m,
		       struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};
	struct sign_report r SCOPED(sign_report_release) = {0};
	const char *name = args_get(a, "image");

	if (object_image(a, name, &v, &i, e) != 0)
		return -1;
	if (!digest_equal(&i.manifest.digest, &m->image))
		return err_set(e, ERR_VERIFY, "%s is not the image that the medium was made of",
			       name);
	return oci_layout_verify(i.layout, &i.manifest, NULL, NULL, e) != 0
		   ? -1
		   : sign_policy_verify(p, i.layout, &i.manifest, m->identity, &r, e);
}

static int by_policy(const struct args *a, const char *manifest, const struct medium *m,
		     struct digest *ret, struct sign_report *ret_signatures, struct err *e)
{
	const char *path = args_has(a, "policy") ? args_get(a, "policy") : "signing/policy.yaml";
	const struct sign_policy_file f = {manifest, m->identity, args_has(a, "image"),
					   args_has(a, "identity")};
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;

	if (sign_policy_load(path, &p, e) != 0)
		return -1;
	if (m->identity == NULL) {
		(void)err_set(e, ERR_VERIFY, "%s does not say what its image is called", manifest);
		return err_hint(e, "A policy has rules by that name: make the medium anew, with "
				   "--identity.");
	}
	if (f.image && check_image(a, p, m, e) != 0)
		return -1;
	return sign_policy_verify_file(p, &f, ret, ret_signatures, e);
}

static int by_keys(const struct args *a, const char *manifest, struct digest *ret,
		   struct sign_report *ret_signatures, struct err *e)
{
	struct keys keys SCOPED(keys_release) = {0};
	struct sign_wanted want = {.keys = keys.v, .forms = SIGN_ALL_FORMS};

	if (input_keys(a, &keys, e) != 0)
		return -1;
	want.keys_n = keys.n;
	return sign_file_verify(manifest, &want, ret, ret_signatures, e);
}

static int check_identity(const struct args *a, const struct medium *m, struct err *e)
{
	const char *want = args_get(a, "identity");

	if (want == NULL || (m->identity != NULL && strcmp(m->identity, want) == 0))
		return 0;
	return err_set(e, ERR_VERIFY, "the medium was made of %s, not of %s",
		       m->identity != NULL ? m->identity : "an image without a name", want);
}

static int changed(const char *manifest, struct err *e)
{
	return err_set(e, ERR_VERIFY, "%s changed while it was checked", manifest);
}

int medium_signed(const struct args *a, const char *manifest, struct medium *ret,
		  struct sign_report *ret_signatures, struct err *e)
{
	struct medium m SCOPED(medium_release) = {0};
	struct sign_report r SCOPED(sign_report_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(0);
	const bool by_key = args_has(a, "key");
	struct digest is, was;

	if (by_key && (args_has(a, "policy") || args_has(a, "image")))
		return err_set(e, ERR_USAGE, "either --key, or --policy and --image");
	if (medium_load_text(manifest, &text, e) != 0)
		return -1;
	is = digest_of(text.data, text.len);
	if (by_key && by_keys(a, manifest, &was, &r, e) != 0)
		return -1;
	if (by_key && !digest_equal(&is, &was))
		return changed(manifest, e);
	if (medium_parse(text.data, text.len, &m, e) != 0)
		return err_in(e, "%s", manifest);
	/* whose rule counts is in the text that is to be judged */
	if (!by_key && by_policy(a, manifest, &m, &was, &r, e) != 0)
		return -1;
	if (!digest_equal(&is, &was))
		return changed(manifest, e);
	if (check_identity(a, &m, e) != 0)
		return -1;
	*ret = m;
	m = (struct medium){0};
	*ret_signatures = r;
	r = (struct sign_report){0};
	return 0;
}
