/* xfer.h - one request under way: its handle, its place in the retries and redirects. */
#ifndef HTTP_XFER_H
#define HTTP_XFER_H

#include "http/curl.h"
#include "http/http.h"

struct xfer {
	struct http_call *c; /* NULL = a free slot */
	CURL *easy;
	struct curl_slist *headers;
	char *url;           /* where we are now, after redirects */
	bool authorized;     /* still where Authorization may be sent */
	bool is_file;        /* a file: URL */
	bool in_multi;       /* handed to libcurl; else it waits for start_ms */
	unsigned attempt;    /* from 1 */
	unsigned redirects;  /* followed so far */
	off_t body_start;    /* of body_fd */
	size_t header_bytes; /* of this answer */
	bool few;            /* little came of the answer since the caller has cleared this */
	bool sink_used;      /* bytes went to the caller's sink: no way back */
	struct err *failed;  /* == &c->err once a callback has failed */
	uint64_t start_ms;   /* begin not before */
	uint64_t window_ms;  /* since when ... */
	uint64_t window_n;   /* ... so many bytes have moved */
};

enum xfer_next {
	XFER_DONE,   /* c->rc and c->r or c->err are set */
	XFER_REPEAT, /* to be begun (again) at start_ms */
};

/* Takes a call in. XFER_DONE when it is wrong in itself. */
enum xfer_next xfer_init(struct xfer *x, struct http_call *c);

/* Makes x->easy for the next attempt, and frees it. -1: x->c->err says why. */
int xfer_prepare(struct xfer *x) MUST_CHECK;
void xfer_drop_attempt(struct xfer *x);

/* Judges the end of an attempt; the handle must be out of the multi. */
enum xfer_next xfer_finish(struct xfer *x, CURLcode code);

/* Whether too little moved for too long; x->c->err is then set. */
bool xfer_stalled(struct xfer *x, uint64_t now_ms);

/* Frees all but the call; x is then a free slot. */
void xfer_release(struct xfer *x);

#endif
