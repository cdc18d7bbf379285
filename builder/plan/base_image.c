#include "plan/base_image.h"

#include "base/log.h"
#include "remote/remote.h"
#include "sign/policy.h"
#include <stdlib.h>
#include <string.h>

struct seen {
	const struct recipe *r;
	struct ref from;
	char *at; /* by its digest */
	struct oci_layout *layout;
	struct remote_pulled got;
	struct lock *l;
};

static void seen_release(struct seen *s)
{
	ref_release(&s->from);
	oci_layout_free(s->layout);
	oci_desc_release(&s->got.manifest);
	free(s->at);
}

static void add(struct lock *l, char *name, const char *url, const struct digest *d, uint64_t size)
{
	l->media = mem_resize(l->media, l->media_n + 1, sizeof(*l->media));
	l->media[l->media_n++] = (struct lock_media){name, mem_strdup(url), size, *d};
}

static int by_name(const void *a, const void *b)
{
	const struct lock_media *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* What the tag stands for must be signed as that. */
static int check_policy(const struct seen *s, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = NULL;
	struct sign_report found SCOPED(sign_report_release) = {0};
	char *identity SCOPED(mem_freep) = NULL;

	if (s->r->plain->policy == NULL)
		return 0;
	identity = mem_format("%s/%s:%s", s->from.host, s->from.path, s->from.tag);
	if (sign_policy_load(s->r->plain->policy, &p, e) != 0)
		return -1;
	return sign_policy_verify(p, s->layout, &s->got.manifest, identity, &found, e);
}

static int add_blobs(const struct seen *s, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (oci_layout_read(s->layout, &s->got.image, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	if (m.artifact_type[0] != '\0')
		return err_set(e, ERR_RECIPE, "is no image but %s", m.artifact_type);
	add(s->l, mem_strdup("base.oci.manifest"), s->at, &s->got.image, b.len);
	add(s->l, mem_strdup("base.oci.config"), s->at, &m.config.digest, m.config.size);
	for (size_t i = 0; i < m.layers_n; i++)
		add(s->l, mem_format("base.oci.layer.%03zu", i), s->at, &m.layers[i].digest,
		    m.layers[i].size);
	return 0;
}

static int look(struct seen *s, const char *scratch, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/base.oci", scratch);
	const struct remote_opts o = {.arch = s->r->plain->arch,
				      .only_manifest = true,
				      .only_image = s->r->plain->policy == NULL};

	if (ref_parse(s->r->plain->registry, &s->from, e) != 0 ||
	    oci_layout_scratch(dir, &s->layout, e) != 0 ||
	    remote_pull(&s->from, s->layout, "", &o, &s->got, e) != 0)
		return -1;
	s->at = mem_format("docker://%s/%s@%s", s->from.host, s->from.path,
			   digest_text(&s->got.image).s);
	if (check_policy(s, e) != 0 || add_blobs(s, e) != 0)
		return err_in(e, "%s", s->r->plain->registry);
	log_info("%s is %s", s->r->plain->registry, digest_text(&s->got.image).s);
	return 0;
}

int base_image_lock(const struct recipe *r, const struct lock *before, const char *scratch,
		    struct lock *l, struct err *e)
{
	struct seen s SCOPED(seen_release) = {.r = r, .l = l};
	bool known = false;

	if (r->plain == NULL || r->plain->registry == NULL)
		return 0;
	for (size_t i = 0; before != NULL && i < before->media_n; i++) {
		const struct lock_media *m = &before->media[i];

		if (!lock_is_base(m))
			continue;
		add(l, mem_strdup(m->name), m->url, &m->digest, m->size);
		known = true;
	}
	if (!known && look(&s, scratch, e) != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&r->base_pos);

		return err_in(e, "%s", at);
	}
	if (l->media_n > 0)
		qsort(l->media, l->media_n, sizeof(*l->media), by_name);
	return 0;
}
