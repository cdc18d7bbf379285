/* proxy.h - a recording proxy for one step: what the step fetches over http and https becomes blobs
 * of the store and a list that a lock can keep; with such a list it answers from nothing else.
 *
 * The proxy is a child process. It speaks to the step through a port on loopback in the step's own
 * empty network namespace, terminates TLS with an authority that is made for this one step and
 * whose key is never written anywhere, and fetches with libcurl as everything else is fetched. A
 * body reaches the step when it is whole and in the store, and only once per URL: what a second
 * request gets cannot differ from what the record says. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "recipe/lock.h"
#include "store/store.h"

/* Where the step finds the proxy and the directory with its authority, ca.pem. */
enum { PROXY_PORT = 3128 };
#define PROXY_DIR "/run/posmedia"

struct proxy_limits {             /* 0 = the default */
	uint64_t body_max;        /* bytes of one body; 4 GiB */
	uint64_t total_max;       /* bytes of all; 16 GiB */
	unsigned requests_max;    /* of a step; 10000 */
	unsigned connections_max; /* at once; 32 */
	uint64_t idle_ms;         /* how long a client may take for a request; 30 s */
	uint64_t stall_ms;        /* how long a server may take for some bytes; 60 s */
};

struct proxy_spec {
	struct store *s;
	const char *dir;          /* an empty directory for us, inside the store */
	const char *step;         /* its name */
	const struct strv *allow; /* recipe_step.allow */
	const struct lock_recorded *recorded;
	size_t recorded_n; /* > 0: answer from these only, without any network */
	struct proxy_limits limits;
};

struct proxy;

/* Starts it; wants sandbox_enter before. The caller ends it with proxy_stop or proxy_free. */
int proxy_start(const struct proxy_spec *spec, struct proxy **ret, struct err *e) MUST_CHECK;

/* For sandbox_spec.listen_to; and what to bind read-only at PROXY_DIR: borrowed. */
int proxy_listen_to(const struct proxy *p);
const char *proxy_public_dir(const struct proxy *p);

/* Appends the variables that make programs use the proxy and trust it. */
void proxy_env(struct strv *env);

struct proxy_result {
	struct lock_recorded *v; /* sorted; all that was fetched (not when answering from a list) */
	size_t n;
	uint64_t bytes;
	char *note; /* the first trouble that was not refused: a server's or a client's; or NULL */
};

/* Ends it and says what it got. -1 with ERR_STEP and a hint when something was refused, which must
 * fail the step whatever its program made of it; *ret is set then, too. */
int proxy_stop(struct proxy *p, struct proxy_result *ret, struct err *e) MUST_CHECK;
void proxy_result_release(struct proxy_result *r);

/* Ends it if need be and frees it; NULL is fine. */
void proxy_free(struct proxy *p);
void proxy_freep(struct proxy **p);

#endif
