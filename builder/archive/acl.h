/* acl.h - access control lists as tar has them. */
#ifndef ARCHIVE_ACL_H
#define ARCHIVE_ACL_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* The key of the pax record for an attribute that is a list of POSIX.1e, "SCHILY.acl.access" or
 * "SCHILY.acl.default"; NULL when the attribute is none. */
const char *acl_key(const char *attribute);

/* Appends the list as GNU tar, star and libarchive read it, with numbers for people and groups:
 * "user::rw-,user:1600:rw-,group::r--,mask::rw-,other::---". val: what the kernel gives, of len
 * bytes (linux/posix_acl_xattr.h); anything else is ERR_VERIFY. */
int acl_text(const void *val, size_t len, struct buf *ret, struct err *e) MUST_CHECK;

#endif
