#include "remote/artifact.h"
#include "remote/attached.h"
#include "remote/push.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

/* Source and destination; what is on its way lies in the scratch. */
struct copy {
	struct registry src, dst;
	struct oci_layout *scratch;
	const struct remote_opts *o;
	struct remote_stats stats, aside;
};

static void copy_release(struct copy *c)
{
	registry_close(&c->dst); /* it may use the other's connections */
	registry_close(&c->src);
}

static struct carry from(struct copy *c)
{
	return (struct carry){.r = &c->src, .l = c->scratch, .stats = &c->aside};
}

static struct carry to(struct copy *c)
{
	return (struct carry){.r = &c->dst,
			      .l = c->scratch,
			      .stats = &c->stats,
			      .source = &c->src,
			      .mount = c->src.s3 == NULL && c->dst.s3 == NULL &&
				       strcmp(c->src.base, c->dst.base) == 0};
}

/* Brings a manifest alone into the scratch. */
static int get_one(struct copy *c, const char *name, struct oci_desc *ret, struct buf *b,
		   struct err *e)
{
	struct digest d;
	int rc = artifact_get(&c->src, name, b, ret, e);

	if (rc > 0)
		return err_set(e, ERR_REMOTE, "%s: no such image", name);
	return rc == 0 ? oci_layout_add(c->scratch, b->data, b->len, &d, e) : -1;
}

/* The signatures of a manifest; those in the lookaside too, for they may be nowhere else. */
static int get_attached(struct copy *c, const struct digest *d, struct err *e)
{
	const struct lookaside a = {c->o->lookaside_from, c->src.repo, d};
	const struct carry get = from(c);

	return attached_pull(&get, &a, e);
}

static int get_members(struct copy *c, const struct buf *b, struct err *e)
{
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (oci_index_parse(b->data, b->len, &x, e) != 0)
		return -1;
	for (size_t i = 0; i < x.n; i++) {
		struct buf one SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
		struct oci_desc got SCOPED(oci_desc_release) = {0};

		if (get_one(c, digest_text(&x.v[i].digest).s, &got, &one, e) != 0 ||
		    get_attached(c, &x.v[i].digest, e) != 0)
			return -1;
	}
	return 0;
}

static int get_image(struct copy *c, const char *name, struct oci_desc *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc got SCOPED(oci_desc_release) = {0};
	bool index;

	if (get_one(c, name, &got, &b, e) != 0)
		return -1;
	index = strcmp(got.media_type, OCI_INDEX) == 0;
	if (!index && artifact_check_type(got.media_type, e) != 0)
		return -1;
	if (!index) { /* whatever the registry called it */
		free(got.media_type);
		got.media_type = mem_strdup(OCI_MANIFEST);
	}
	if ((index && get_members(c, &b, e) != 0) || get_attached(c, &got.digest, e) != 0)
		return -1;
	*ret = got;
	got = (struct oci_desc){0};
	return 0;
}

static int put_image(struct copy *c, const struct oci_desc *d, const struct ref *at, struct err *e)
{
	const struct lookaside a = {c->o->lookaside, at->path, &d->digest};
	const struct carry put = to(c);

	if (push_target_ok(at, d, e) != 0)
		return -1;
	return push_whole(&put, d, &a, at->tag, e);
}

static int open_both(struct copy *c, const struct ref *src, const struct ref *dst, struct err *e)
{
	bool same =
	    src->kind == REF_DOCKER && dst->kind == REF_DOCKER && strcmp(src->host, dst->host) == 0;
	const struct registry_want read = {.actions = "pull"};
	const struct registry_want write = {
	    .actions = "pull,push", .mount = same ? src->path : NULL, .open = &c->src};

	if (registry_open(src, c->o, &read, &c->src, e) != 0)
		return -1;
	return registry_open(dst, c->o, &write, &c->dst, e);
}

int remote_copy(const struct ref *src, const struct ref *dst, struct oci_layout *scratch,
		const struct remote_opts *o, struct remote_pulled *ret, struct err *e)
{
	struct copy c SCOPED(copy_release) = {.scratch = scratch, .o = o};
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct digest_text name = digest_text(&src->digest);
	char *text SCOPED(mem_freep) = ref_text(src);

	if (src->tag[0] == '\0' && !src->has_digest)
		return err_set(e, ERR_USAGE, "%s: names neither tag nor digest", text);
	if (open_both(&c, src, dst, e) != 0)
		return -1;
	if (get_image(&c, src->has_digest ? name.s : src->tag, &d, e) != 0 ||
	    put_image(&c, &d, dst, e) != 0)
		return err_in(e, "copy %s", text);
	log_progress("push", c.stats.bytes, c.stats.bytes);
	*ret = (struct remote_pulled){.manifest = d, .image = d.digest, .stats = c.stats};
	d = (struct oci_desc){0};
	return 0;
}
