/* s3_batch.h - many requests to a bucket at once, each with a piece of a blob or with none. */
#ifndef REMOTE_S3_BATCH_H
#define REMOTE_S3_BATCH_H

#include "remote/s3.h"
#include "sys/ahead.h"

/* One request; what it is, is set before, what came of it after. */
struct s3_piece {
	const struct oci_desc *d; /* the blob */
	char *url;                /* owned */
	const char *method;       /* "HEAD" or "PUT" */
	uint64_t from, size;      /* of a PUT: which bytes of the blob */
	bool whole;               /* all of it: its digest is known */
	const char *type;         /* Content-Type, or NULL */
	unsigned number;          /* of the part */
	int status;               /* out */
	uint64_t length;          /* out: Content-Length of a HEAD */
	char *etag;               /* out, owned, or NULL */
	/* own */
	struct digest body; /* of its bytes, once ahead_wait has returned for it */
	struct err why;     /* why not, */
	bool unread;        /* when so */
	struct http_call call;
	int fd;
	unsigned tries;
	bool done;
};

struct s3_batch {
	struct registry *r;
	const struct oci_layout *l;
	struct s3_piece *v;
	size_t n;
	uint64_t before, total; /* for progress: bytes that are there already, and in all */
	/* own */
	struct ahead *ahead;
	size_t at, busy; /* of v: the next one; how many are under way */
	struct s3_piece **again;
	size_t again_n;
	struct err failed;
	bool has_failed;
};

/* Appends a piece, zeroed but for the descriptors. */
struct s3_piece *s3_batch_add(struct s3_batch *b);

/* Sends all. -1 for what cannot be sent; refusals are in the pieces' status. */
int s3_batch_run(struct s3_batch *b, struct err *e) MUST_CHECK;
void s3_batch_release(struct s3_batch *b);

#endif
