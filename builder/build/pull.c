/* An image in a registry as base: what the store lacks of it comes by digest. */
#include "build/job.h"

#include "base/log.h"
#include "remote/remote.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct recipe_media *manifest(const struct job *j)
{
	return recipe_media_find(j->r, "base.oci.manifest");
}

/* The store's copies are the layout's too, and what is there is not asked for. */
static int link_known(const struct job *j, const char *blobs, size_t *ret_missing, struct err *e)
{
	for (size_t i = 0; i < j->r->media_n; i++) {
		const struct recipe_media *m = &j->r->media[i];
		char *to SCOPED(mem_freep) = fs_join(blobs, digest_hex(&m->digest).s);
		char *from SCOPED(mem_freep) = NULL;

		if (!m->is_base)
			continue;
		if (!store_has(j->s, &m->digest, NULL)) {
			(*ret_missing)++;
			continue;
		}
		from = store_blob_path(j->s, &m->digest);
		if (link(from, to) != 0 && errno != EEXIST)
			return err_sys(e, "link %s", to);
	}
	return 0;
}

static int adopt(const struct job *j, const char *blobs, struct err *e)
{
	for (size_t i = 0; i < j->r->media_n; i++) {
		const struct recipe_media *m = &j->r->media[i];
		char *from SCOPED(mem_freep) = fs_join(blobs, digest_hex(&m->digest).s);

		if (!m->is_base || store_has(j->s, &m->digest, NULL))
			continue;
		if (store_adopt(j->s, from, &m->digest, m->size, e) != 0)
			return err_in(e, "medium %s", m->name);
	}
	return 0;
}

static int pull(const struct job *j, struct oci_layout *l, const char *blobs, struct err *e)
{
	struct ref from SCOPED(ref_release) = {0};
	const struct remote_opts o = {.only_image = true, .parallel = j->o->parallel};
	struct remote_pulled got = {0};

	if (ref_parse(manifest(j)->url, &from, e) != 0 ||
	    remote_pull(&from, l, "", &o, &got, e) != 0)
		return -1;
	log_info("pulled %s: %zu blobs", manifest(j)->url, got.stats.blobs);
	oci_desc_release(&got.manifest);
	return adopt(j, blobs, e);
}

int job_pull(struct job *j, struct err *e)
{
	struct oci_layout *l SCOPED(oci_layout_freep) = NULL;
	char *dir SCOPED(mem_freep) = mem_format("%s/pulled", j->scratch);
	char *blobs SCOPED(mem_freep) = fs_join(dir, "blobs/sha256");
	size_t missing = 0;
	int rc;

	if (oci_layout_open(dir, true, &l, e) != 0 || link_known(j, blobs, &missing, e) != 0)
		return -1;
	rc = missing > 0 ? pull(j, l, blobs, e) : 0;
	if (rc != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&j->r->base_pos);

		return err_in(e, "%s", at);
	}
	return 0;
}
