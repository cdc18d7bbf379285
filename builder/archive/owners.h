/* owners.h - whose the members of a tar are, by its own word: the names in its headers, and the
 * access control lists in its pax records. */
#ifndef ARCHIVE_OWNERS_H
#define ARCHIVE_OWNERS_H

#include "base/buf.h"
#include "base/err.h"

/* Appends it as getfacl(1) -R writes it, a record a member, links too, in byte order of the paths;
 * the last of two members of a path counts, and a directory that is only in paths is root's, 0755.
 * A header without a name gives the number. Before the records a line "#user NAME NUMBER" or
 * "#group NAME NUMBER" for each name and number that headers have together. The archive may be
 * compressed; it is read from its beginning in a sandbox_worker. A path that leaves the tree, or
 * damage: ERR_RECIPE; more than fits into *ret: ERR_FAIL. */
int owners_read(int fd, struct buf *ret, struct err *e) MUST_CHECK;

#endif
