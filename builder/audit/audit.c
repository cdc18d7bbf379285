#include "audit/audit.h"

#include "archive/unpack.h"
#include "sandbox/sandbox.h"
#include <stdlib.h>
#include <unistd.h>

static int check(const char *root, const struct audit_opts *o, struct audit *ret, struct err *e)
{
	const struct harden_context c = {.recipe = o->recipe, .today = o->today};

	if (harden_profile_load(o->profile, &ret->profile, e) != 0)
		return -1;
	return harden_check(ret->profile, root, &c, &ret->report, e);
}

int audit_tree(const char *root, const char *object, const struct audit_opts *o, struct audit *ret,
	       struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object)};

	if (check(root, o, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	*ret = a;
	a = (struct audit){0};
	return 0;
}

static int unpack_layers(const struct oci_layout *l, const struct oci_manifest *m, const char *dest,
			 struct err *e)
{
	for (size_t i = 0; i < m->layers_n; i++) {
		const struct digest_text name = digest_text(&m->layers[i].digest);
		const struct unpack_opts o = {.what = name.s, .layer = true, .keep_owner = true};
		int fd SCOPED(fd_closep) = -1;

		if (oci_layout_blob(l, &m->layers[i].digest, &fd, NULL, e) != 0 ||
		    unpack(fd, dest, &o, e) != 0)
			return err_in(e, "layer %zu", i + 1);
	}
	return 0;
}

/* Unpacks into a scratch directory, checks, and drops it again in any case. */
static int check_layers(const struct oci_layout *l, const struct oci_manifest *m,
			const struct audit_opts *o, struct audit *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = NULL;
	struct err drop = ERR_INIT;
	int rc;

	if (store_scratch(o->store, "audit", &dir, e) != 0)
		return -1;
	rc = unpack_layers(l, m, dir, e);
	if (rc == 0)
		rc = check(dir, o, ret, e);
	if (store_scratch_drop(o->store, dir, &drop) != 0 && rc == 0) {
		*e = drop;
		rc = -1;
	}
	return rc;
}

int audit_image(const struct oci_layout *l, const struct oci_desc *manifest, const char *object,
		const struct audit_opts *o, struct audit *ret, struct err *e)
{
	struct audit a SCOPED(audit_release) = {.object = mem_strdup(object), .is_image = true};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	/* owners of the layers need more ids than an ordinary user has */
	if (geteuid() != 0 && sandbox_enter(e) != 0)
		return -1;
	if (oci_layout_verify(l, manifest, NULL, NULL, e) != 0 ||
	    oci_layout_read(l, &manifest->digest, &text, e) != 0 ||
	    oci_manifest_parse(text.data, text.len, &m, e) != 0 ||
	    check_layers(l, &m, o, &a, e) != 0)
		return err_in(e, "audit of %s", object);
	a.image = manifest->digest;
	a.config = m.config.digest;
	*ret = a;
	a = (struct audit){0};
	return 0;
}

void audit_release(struct audit *a)
{
	free(a->object);
	harden_report_release(&a->report);
	harden_profile_free(a->profile);
	*a = (struct audit){0};
}
