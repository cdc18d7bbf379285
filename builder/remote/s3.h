/* s3.h - a bucket that is laid out as a registry: its keys are the paths of the registry's API, so
 * that anyone's client pulls from it, and reading it is reading a registry. Only writing differs.
 */
#ifndef REMOTE_S3_H
#define REMOTE_S3_H

#include "remote/aws.h"
#include "remote/blobs.h"

/* What the server makes of If-Match and If-None-Match. */
enum s3_condition {
	S3_UNKNOWN,
	S3_HONOURS,
	S3_IGNORES, /* writes all the same */
	S3_REFUSES, /* 501 */
};

enum { S3_PART_SIZE = 64 << 20, S3_PART_MIN = 5 << 20 };

struct s3 {
	char *base; /* "https://BUCKET.HOST" or "ENDPOINT/BUCKET" */
	char *region;
	struct aws_login login;
	int64_t skew_s; /* the server's clock ahead of ours */
	enum s3_condition condition;
	bool bare;           /* If-Match wants the ETag without its quotes */
	uint64_t part_size;  /* blobs larger than that are sent in parts */
	uint64_t connect_ms; /* of who cannot wait: how long to try to connect, and only once */
	uint64_t lock_s;     /* how long what is written must not be changed or removed; 0 = not */
	/* The mutable object that was read last, and its ETag, "" when it was not there: a write of
	 * it holds only if that is still so. */
	char *seen_url, *seen_etag;
};

/* Opens s3://BUCKET: credentials, region, the difference of the clocks; for writing also what the
 * server makes of conditions. AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL name another server. */
int s3_open(const char *bucket, struct http *via, bool write, struct s3 **ret,
	    struct err *e) MUST_CHECK;

/* The same, to write, for who would rather come again later than wait: each request connects within
 * so long, and is not tried again. Conditions are not asked for (S3_UNKNOWN). */
int s3_open_soon(const char *bucket, struct http *via, uint64_t connect_ms, struct s3 **ret,
		 struct err *e) MUST_CHECK;
void s3_free(struct s3 *s);

/* Adds what signs the request to its headers: to be done once, last, for each sending. Nobody's
 * login is found: it is left unsigned. body: the digest of what it sends, NULL = of nothing. */
int s3_sign(struct s3 *s, struct http_request *q, const struct digest *body,
	    struct err *e) MUST_CHECK;

/* Signs, sends and, when the clock or the login was to blame, does so again. The request's headers
 * stay as they are. */
int s3_send(struct s3 *s, struct http_request *q, const struct digest *body, struct http_reply *ret,
	    struct err *e) MUST_CHECK;

/* The time in a header ("date", "last-modified") of an answer, seconds; 0 = none. */
int64_t s3_time(const struct http_reply *r, const char *header);

/* After a 400 or 403: 1 when the clock or the login was to blame and is mended now, else 0. */
int s3_mend(struct s3 *s, const struct http_reply *r, struct err *e) MUST_CHECK;

/* What keeps an object that is being made from being changed. */
void s3_lock_headers(const struct s3 *s, struct strv *headers);

/* Locks an object that is there under s3->lock_s from now, unless it is locked for longer. */
int s3_lock_longer(struct registry *r, const char *url, struct err *e) MUST_CHECK;

/* http_refused with the server's own code and words. Returns -1. */
int s3_refused(const struct http_request *q, const struct http_reply *r, struct err *e);

/* Remembers what was read, or forgets it (NULL). */
void s3_seen(struct s3 *s, const char *url, const char *etag);

struct s3_put {
	const char *url, *type;
	const void *p;
	size_t n;
	bool once;    /* leave it when it is there */
	bool checked; /* only if it is as it was seen */
	bool locked;  /* under s3->lock_s */
};

/* Writes a small object. What another has changed in the meantime is ERR_BUSY. */
int s3_put(struct s3 *s, struct http *via, const struct s3_put *p, struct err *e) MUST_CHECK;

/* Adds a signature to the lookaside in the bucket, lookaside/REPO@sha256=HEX/signature-N, unless
 * the same bytes are there. */
int s3_lookaside_put(struct registry *r, const struct digest *image, const struct buf *sig,
		     struct err *e) MUST_CHECK;

/* Uploads what the bucket lacks; see blobs_push. */
int s3_blobs_push(const struct carry *c, const struct blob_list *list, struct err *e) MUST_CHECK;

/* Writes a manifest under a tag or its digest, with what registries keep beside it: the list of
 * tags, and a list of referrers that is empty. */
int s3_manifest_put(struct registry *r, const char *name, const char *type, const struct buf *b,
		    struct err *e) MUST_CHECK;

/* One of a listing, borrowed: its key behind the prefix, its size in bytes, its time, seconds, and
 * its ETag as it stands there, "" when there was none. */
struct s3_object {
	const char *key, *etag;
	uint64_t size;
	int64_t time;
};
struct s3_listing {
	const char *prefix;
	int (*each)(void *ctx, const struct s3_object *o, struct err *e); /* -1 stops */
	void *ctx;
	struct http *via;
};

/* Calls l->each for every object whose key begins with the prefix. ERR_REMOTE, after some of them,
 * for a list that is cut short. */
int s3_objects(struct s3 *s, const struct s3_listing *l, struct err *e) MUST_CHECK;

/* Appends the names below a prefix of keys. */
int s3_list(struct registry *r, const char *prefix, struct strv *ret, struct err *e) MUST_CHECK;

/* As tags_list and tags_remove. */
int s3_tags(struct registry *r, struct strv *ret, struct err *e) MUST_CHECK;
int s3_remove(struct registry *r, const char *name, struct err *e) MUST_CHECK;

#endif
