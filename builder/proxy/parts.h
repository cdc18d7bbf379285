/* parts.h - what the files of proxy/ share. All of it runs in the proxy's own process. */
#ifndef PROXY_PARTS_H
#define PROXY_PARTS_H

#include "form/httphead.h"
#include "form/url.h"
#include "http/http.h"
#include "proxy/proxy.h"
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* The authority of one step. */
struct ca;
int ca_new(struct ca **ret, struct err *e) MUST_CHECK;
void ca_free(struct ca *ca);
/* Appends its certificate. */
int ca_pem(const struct ca *ca, struct buf *ret, struct err *e) MUST_CHECK;
/* What a server of that host (as struct url has it) needs; the caller owns it. */
int ca_context(const struct ca *ca, const char *host, SSL_CTX **ret, struct err *e) MUST_CHECK;

/* What the processes of one proxy count together. */
struct counters {
	atomic_uint requests;
	atomic_ullong bytes;
};

struct server {
	const struct proxy_spec *spec;
	struct proxy_limits limits; /* none of them 0 */
	struct store *s;
	int state; /* the directory of records and refusals */
	const struct ca *ca;
	struct counters *counters;
};

/* How far a host may be asked. */
enum allowed {
	ALLOWED_NOT,
	ALLOWED_PUBLIC, /* as long as its address is a public one */
	ALLOWED_NAMED,  /* wherever it is: the recipe names it without a pattern */
};
enum allowed allow_host(const struct strv *allow, const struct url *u);

/* Whether the address is of the internet and not of this machine, of a private network or of none.
 */
bool address_is_public(const struct sockaddr *a);

/* Remembers, of all processes of the proxy, the first refusal: it fails the step. And the first
 * trouble of another kind. Both return -1. */
int refuse(const struct server *sv, const struct err *why);
int note(const struct server *sv, const struct err *why);

/* One connection of the step, from its first byte to its last. */
void connection(const struct server *sv, int fd);

/* The entry for a URL, from the list or from the network. `head` may have Accept and User-Agent.
 * -1: *e says why, *ret_status what to tell the step. The caller releases *ret. */
int lookup(const struct server *sv, const struct url *u, const struct httphead *head,
	   struct lock_recorded *ret, int *ret_status, struct err *e) MUST_CHECK;

#endif
