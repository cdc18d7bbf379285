/* fetch.h - many files into the store at once, by digest, resumable. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include "store/store.h"

struct fetch_job {
	const char *name;        /* for messages: "openssh-server 1:9.2p1-2" */
	const char *const *urls; /* NULL-terminated, tried in order; http, https or file */
	struct digest digest;
	uint64_t size;       /* 0 = unknown */
	const char *pointer; /* file:line:col of who wants it, or NULL */
	bool gone;           /* out: no URL has it any more (404, 410) */
	bool done;           /* out: it is in the store */
};

struct fetch_opts {
	unsigned parallel; /* 0 = 6 transfers at once */
	uint64_t stall_ms; /* 0 = 60 s */
};

/* Brings every job's blob into the store: what is there is not fetched; a partial file is resumed
 * with Range (and begun anew when the server ignores it); bytes are hashed as they come; a wrong
 * digest or size is ERR_VERIFY and is not kept. On the first hard error the others are stopped
 * (their partial files stay). When the only trouble is `gone` jobs, all others are finished and
 * the error (ERR_REMOTE) names them; the caller looks at .gone. Progress: "fetch". */
int fetch_all(struct store *s, struct fetch_job *jobs, size_t n, const struct fetch_opts *o,
	      struct err *e) MUST_CHECK;

#endif
