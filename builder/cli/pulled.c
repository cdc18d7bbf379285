#include "cli/pulled.h"
#include "cli/object.h"

#include "base/log.h"
#include "base/num.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

void pulled_end(struct pulled *p)
{
	fd_closep(&p->hold);
	store_free(p->store);
	p->store = NULL;
}

/* One layout for a repository: the images in it share what they have in common. */
static int open_layout(const struct args *a, const struct ref *r, struct pulled *p,
		       struct oci_layout **ret, struct err *e)
{
	char *where SCOPED(mem_freep) =
	    mem_format("%s://%s/%s", r->kind == REF_S3 ? "s3" : "docker", r->host, r->path);
	struct digest d = digest_of(where, strlen(where));
	char *dir SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;

	if (input_store(a, &p->store, e) != 0 || store_share(p->store, &p->hold, e) != 0)
		return -1;
	dir = fs_join(store_path(p->store), "pulled");
	path = fs_join(dir, digest_hex(&d).s);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0)
		return -1;
	return oci_layout_open(path, true, ret, e);
}

int pulled_image(const struct args *a, const char *text, struct pulled *p, struct image *ret,
		 struct err *e)
{
	const struct remote_opts o = object_remote(a);
	struct image i SCOPED(image_release) = {0};
	struct remote_pulled got = {0};

	if (ref_parse(text, &i.ref, e) != 0)
		return -1;
	if (i.ref.kind != REF_DOCKER && i.ref.kind != REF_S3)
		return input_image(text, ret, e);
	if (open_layout(a, &i.ref, p, &i.layout, e) != 0 ||
	    remote_pull(&i.ref, i.layout, "", &o, &got, e) != 0)
		return -1;
	if (got.stats.bytes > 0) {
		char *size SCOPED(mem_freep) = num_human(got.stats.bytes);

		log_info("pulled %s: %s", text, size);
	}
	i.manifest = got.manifest;
	*ret = i;
	i = (struct image){0};
	return 0;
}
