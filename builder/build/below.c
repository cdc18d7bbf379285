/* The image of base.oci: what the store has of it, as a layout that others can read. */
#include "build/job.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int put(const char *dir, const char *name, const char *text, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, name);

	return fs_put_path(path, text, strlen(text), 0644, e);
}

int job_below(struct job *j, struct err *e)
{
	const struct recipe_media *m = recipe_media_find(j->r, "base.oci.manifest");
	char *dir SCOPED(mem_freep) = mem_format("%s/base.oci", j->scratch);
	char *from SCOPED(mem_freep) = mem_format("%s/blobs", store_path(j->s));
	char *blobs SCOPED(mem_freep) = fs_join(dir, "blobs");
	char *index SCOPED(mem_freep) = NULL;

	if (j->r->base != RECIPE_OCI || m == NULL)
		return 0;
	j->below_image = (struct oci_desc){
	    .media_type = mem_strdup(OCI_MANIFEST), .digest = m->digest, .size = m->size};
	index = mem_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\","
			   "\"digest\":\"%s\",\"size\":%llu}]}",
			   OCI_MANIFEST, digest_text(&m->digest).s, (unsigned long long)m->size);
	if (mkdir(dir, 0755) != 0 || symlink(from, blobs) != 0)
		return err_sys(e, "make %s", dir);
	if (put(dir, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", e) != 0 ||
	    put(dir, "index.json", index, e) != 0)
		return -1;
	return oci_layout_open(dir, false, &j->below, e);
}

void job_below_release(struct job *j)
{
	oci_layout_free(j->below);
	oci_desc_release(&j->below_image);
	j->below = NULL;
}
