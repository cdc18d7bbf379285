/* session.h - uploads that were begun and not ended, by their URLs, from one run to the next: some
 * registries go on with them (distribution-spec 1.1, "Resuming an upload"). */
#ifndef REMOTE_SESSION_H
#define REMOTE_SESSION_H

#include "remote/registry.h"

/* Smaller blobs are sent anew. */
enum { SESSION_BYTES_MIN = 1 << 20 };

/* The URL of the blob's upload to this repository by an earlier run, NULL when there is none; the
 * caller owns it. */
char *session_load(const struct registry *r, const struct digest *d) MUST_CHECK;

/* Keeps it, and forgets it. Without r->sessions, and when that cannot be written, an upload is only
 * begun anew. */
void session_save(const struct registry *r, const struct digest *d, const char *url);
void session_drop(const struct registry *r, const struct digest *d);

/* How many bytes an answer to a question about an upload says are there; 0 for any doubt. */
uint64_t session_offset(const struct http_reply *r, uint64_t size);

#endif
