#include "cli/object.h"

#include "base/log.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

void visit_end(struct visit *v)
{
	struct err quiet = ERR_INIT;

	if (v->dir != NULL && store_scratch_drop(v->store, v->dir, &quiet) != 0)
		log_warn("leaves %s behind: %s", v->dir, quiet.msg);
	free(v->dir);
	store_free(v->store);
	*v = (struct visit){0};
}

struct remote_opts object_remote(const struct args *a)
{
	return (struct remote_opts){.plain_http = args_has(a, "plain-http"),
				    .lookaside = args_get(a, "lookaside")};
}

/* What a killed one of us left goes first: it may be large. */
int object_scratch(const struct args *a, struct visit *v, struct err *e)
{
	if (v->dir != NULL)
		return 0;
	if (v->store == NULL && input_store(a, &v->store, e) != 0)
		return -1;
	if (store_sweep(v->store, e) != 0)
		return -1;
	return store_scratch(v->store, "pull", &v->dir, e);
}

static int pull(const struct args *a, struct visit *v, struct image *i, struct err *e)
{
	const struct remote_opts o = object_remote(a);
	char *at SCOPED(mem_freep) = fs_join(v->dir, "layout");
	struct remote_pulled got = {0};

	if (oci_layout_scratch(at, &i->layout, e) != 0 ||
	    remote_pull(&i->ref, i->layout, "", &o, &got, e) != 0)
		return -1;
	i->manifest = got.manifest;
	return 0;
}

int object_image(const struct args *a, const char *text, struct visit *v, struct image *ret,
		 struct err *e)
{
	struct image i SCOPED(image_release) = {0};

	if (ref_parse(text, &i.ref, e) != 0)
		return -1;
	if (i.ref.kind != REF_DOCKER)
		return input_image(text, ret, e);
	if (object_scratch(a, v, e) != 0 || pull(a, v, &i, e) != 0)
		return -1;
	*ret = i;
	i = (struct image){0};
	return 0;
}

bool object_is_image(const char *text)
{
	static const char *const kinds[] = {"oci:", "docker:", "s3:", "dir:"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return strchr(text, '/') == NULL && strchr(text, ':') != NULL;
}
