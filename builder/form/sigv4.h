/* sigv4.h - AWS Signature Version 4 as S3 wants it: the Authorization of one request. libcurl's own
 * signs an unsorted query, headers that it does not send, and paths as they are written. */
#ifndef FORM_SIGV4_H
#define FORM_SIGV4_H

#include "base/err.h"
#include "base/strv.h"
#include "form/digest.h"

/* RFC 2104 with SHA-256. */
struct digest hmac_sha256(const void *key, size_t key_n, const void *p, size_t n);

struct sigv4_key {
	const char *id, *secret;
	const char *region, *service;
	int64_t time_s;
};

struct sigv4_request {
	const char *method;
	const char *url;            /* http or https, absolute */
	const struct strv *headers; /* "Name: value"; all are signed, and so is the URL's host */
	const char *payload;        /* hex of the body's SHA-256, or "UNSIGNED-PAYLOAD" */
};

/* The value of the Authorization header. The headers must have x-amz-date (sigv4_time of the key's
 * time) among them. -1 when the URL is none (ERR_REMOTE). The caller owns and wipes *ret. */
int sigv4_authorize(const struct sigv4_request *q, const struct sigv4_key *k, char **ret,
		    struct err *e) MUST_CHECK;

/* "20130524T000000Z"; the caller owns it. */
char *sigv4_time(int64_t time_s) MUST_CHECK;

/* What is signed before it is signed, for tests and for finding out why a server disagrees. */
int sigv4_canonical(const struct sigv4_request *q, char **ret, struct err *e) MUST_CHECK;

/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ and, where slash is set, the slash. The caller owns
 * it. */
char *sigv4_escape(const char *text, bool slash) MUST_CHECK;

#endif
