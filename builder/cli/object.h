/* object.h - an image wherever it is: in a layout, or in a registry, from where it is brought into
 * a scratch of the store for as long as it is looked at. */
#ifndef CLI_OBJECT_H
#define CLI_OBJECT_H

#include "cli/input.h"
#include "remote/remote.h"

/* The scratch and its store; several images of one visit share it, and so their layers. */
struct visit {
	struct store *store;
	char *dir; /* NULL until an image has come from a registry */
};

/* Drops the scratch; what cannot be dropped is told in a warning. Accepts a zeroed struct. */
void visit_end(struct visit *v);

/* Makes the scratch, v->dir, unless it is there. */
int object_scratch(const struct args *a, struct visit *v, struct err *e) MUST_CHECK;

/* oci:DIR[:TAG|@DIGEST] or docker://HOST/REPO[:TAG|@DIGEST]. The latter is pulled, every byte
 * verified, with the options of OBJECT_OPTS and the credentials of posmedia pull; this must come
 * before sandbox_enter, since the helpers of credentials know the user that called us. */
int object_image(const struct args *a, const char *text, struct visit *v, struct image *ret,
		 struct err *e) MUST_CHECK;

/* Whether a name is one of an image, and not of a file. */
bool object_is_image(const char *text);

/* How OBJECT_OPTS speak to a registry; strings are borrowed from the arguments. */
struct remote_opts object_remote(const struct args *a);

#define OBJECT_PLAIN                                                                               \
	{                                                                                          \
		0, "plain-http", NULL,                                                             \
		    "Speak http without TLS to registries (always so on loopback)."                \
	}

#endif
