/* harden-secrets.h - what the search for secrets says of a tree, for its tests. */
#ifndef HARDEN_SECRETS_TEST_H
#define HARDEN_SECRETS_TEST_H

#include "harden/secrets.h"
#include <fcntl.h>

/* "/PATH: WHAT" for each secret of the tree. */
static inline int secrets_in(const char *root, struct strv *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct facts *f SCOPED(facts_freep) = facts_new(fd);
	struct secrets s SCOPED(secrets_release) = {0};

	if (secrets_find(fd, f, SECRET_ALL, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		strv_addf(ret, "/%s: %s", s.v[i].path, s.v[i].what);
	return 0;
}

#endif
