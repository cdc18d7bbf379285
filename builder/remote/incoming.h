/* incoming.h - a blob on its way into a layout: a file that outlives a kill, hashed as it grows. */
#ifndef REMOTE_INCOMING_H
#define REMOTE_INCOMING_H

#include "oci/oci.h"
#include "sys/behind.h"

struct incoming {
	struct oci_layout *l;
	const struct oci_desc *d;
	struct hash *hash; /* of what is in the file */
	uint64_t have;     /* bytes in it, or on their way there */
	char *name;        /* in the layout's directory, or NULL when another run has that file */
	int fd;
	struct behind *behind; /* who writes, of a large one; hash and fd are its then */
};

#define INCOMING_INIT                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Opens the blob's file ".partial-HEX" for going on at its end; while another process has it, a
 * file without a name. */
int incoming_open(struct oci_layout *l, const struct oci_desc *d, struct incoming *ret,
		  struct err *e) MUST_CHECK;

/* Appends. More than the blob's size in all is ERR_VERIFY. */
int incoming_write(struct incoming *in, const void *p, size_t n, struct err *e) MUST_CHECK;

/* Begins anew with no bytes. */
int incoming_restart(struct incoming *in, struct err *e) MUST_CHECK;

/* Makes the file the layout's blob, synced, when its bytes are right: else ERR_VERIFY. */
int incoming_keep(struct incoming *in, struct err *e) MUST_CHECK;

/* Lets go; what came stays for the next run, unless that is nothing. */
void incoming_close(struct incoming *in);

/* Removes the files of blobs that nobody is bringing in any more. */
void incoming_sweep(const struct oci_layout *l);

#endif
