/* described.h - the manifest of whatever a verb is given. */
#ifndef CLI_DESCRIBED_H
#define CLI_DESCRIBED_H

#include "cli/object.h"
#include "manifest/manifest.h"

#define DESCRIBED_OPTS                                                                             \
	{0, "seen", "FILE", "Remember digests in FILE, and read only what changed since."},        \
	    {0, "passwd", "FILE",                                                                  \
	     "Names of users, as passwd(5) has them (default: this machine's)."},                  \
	    {0, "group", "FILE", "Names of groups, as group(5) has them."},                        \
	    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},         \
	{                                                                                          \
		0, "threads", "N", "Read with N threads (default: one a processor)."               \
	}

/* The names that --passwd and --group say; NULL into *ret when they are not given. */
int described_names(const struct args *a, struct manifest_names **ret, struct err *e) MUST_CHECK;

/* Whether a path below a site's place is data of the site (ctx): the rest there is posmedia's own.
 * As manifest_opts.wants. */
bool described_is_data(void *ctx, const char *path, enum manifest_type type);

/* A difference as an object; the caller owns it. */
struct jval *described_difference(const struct manifest_difference *d) MUST_CHECK;

/* Of dir:PATH, tar:FILE, site:FILE (the site's data directories) or an image; anything else is a
 * manifest's own file. Tells progress. An image or an archive is unpacked in the store first. */
int described(const struct args *a, const char *object, struct manifest *ret,
	      struct err *e) MUST_CHECK;

#endif
