/* pulled.h - images of registries and buckets that stay in the store: what is there does not move
 * again. */
#ifndef CLI_PULLED_H
#define CLI_PULLED_H

#include "cli/input.h"

/* The store, shared for as long as the image is used. */
struct pulled {
	struct store *store;
	int hold;
};
#define PULLED_INIT                                                                                \
	{                                                                                          \
		.hold = -1                                                                         \
	}
void pulled_end(struct pulled *p);

/* oci:DIR[:TAG|@DIGEST], docker:// or s3://: the latter two are asked for what the name stands for
 * now, and what the store lacks of it, with its signatures, is brought into STORE/pulled, every
 * byte verified. `posmedia store gc` removes it. */
int pulled_image(const struct args *a, const char *text, struct pulled *p, struct image *ret,
		 struct err *e) MUST_CHECK;

#endif
