/* tags.h - the tags of a repository that is open. */
#ifndef REMOTE_TAGS_H
#define REMOTE_TAGS_H

#include "base/strv.h"
#include "remote/registry.h"

enum { TAGS_MAX = 100000 };

/* Appends all tags of the repository, sorted, each once. A repository that is not there is an
 * error. */
int tags_list(struct registry *r, struct strv *ret, struct err *e) MUST_CHECK;

/* Whether a tag is an image's: not of the form that signatures have. */
bool tags_is_image(const char *tag);

/* Removes a manifest by its digest, or a tag. 1: it is not there; 2: the registry does not do this.
 */
int tags_remove(struct registry *r, const char *name, struct err *e) MUST_CHECK;

#endif
