/* registry.h - one repository of one registry: its address, its login, its complaints. */
#ifndef REMOTE_REGISTRY_H
#define REMOTE_REGISTRY_H

#include "remote/auth.h"
#include "remote/remote.h"

struct registry {
	struct http *http;
	bool borrowed; /* http is another's, which stays open for longer */
	char *base;    /* "https://HOST" */
	char *repo;
	char *scope; /* what tokens are asked for: "repository:NAME:pull,push", maybe another */
	struct auth_login login;
	bool login_known;    /* `login` has been looked for */
	char *authorization; /* header value, or NULL */
	unsigned round;      /* how often it was made anew */
	unsigned tries, parallel;
	struct s3 *s3;      /* it is a bucket; NULL = it is a registry */
	char *sessions;     /* directory of uploads that were begun: see session.h; or NULL */
	struct strv absent; /* URLs that need not be asked for: see registry_probe */
};

/* What tokens have to allow. */
struct registry_want {
	const char *actions;         /* "pull", "pull,push", "pull,delete" */
	const char *mount;           /* another repository there to read from as well; or NULL */
	const struct registry *open; /* another that was opened already and stays open for longer;
					of the same registry: it need not be asked again
					how to log in, and its connections are used; or
					NULL */
};

/* Opens the repository of `at`: finds out how to log in (GET /v2/). */
int registry_open(const struct ref *at, const struct remote_opts *o, const struct registry_want *w,
		  struct registry *ret, struct err *e) MUST_CHECK;
void registry_close(struct registry *r);

/* "BASE/v2/REPO/WHAT/NAME"; the caller owns it. */
char *registry_url(const struct registry *r, const char *what, const char *name) MUST_CHECK;

/* The Authorization for a URL: none for another host. */
const char *registry_authorization(const struct registry *r, const char *url);

/* Makes `authorization` anew after a 401. `round` is r->round as it was when the refused request
 * was made: when it is older, another request has done so already. */
int registry_login(struct registry *r, const struct http_reply *refusal, unsigned round,
		   struct err *e) MUST_CHECK;

/* What a request needs to be let in: the Authorization, or of a bucket the headers that sign it,
 * which are added to its own; body as for s3_sign. To be called once for each sending. */
int registry_prepare(struct registry *r, struct http_request *q, const struct digest *body,
		     struct err *e) MUST_CHECK;

/* Sends one request, logging in anew when it must. */
int registry_send(struct registry *r, struct http_request *q, struct http_reply *ret,
		  struct err *e) MUST_CHECK;

/* Asks for several things at once, so that what is not there costs one way to the registry and back
 * in all: registry_send then knows, until the list r->absent is released. Trouble of any kind only
 * leaves it to be asked for later. Of a bucket nothing is asked. */
void registry_probe(struct registry *r, const struct strv *urls);

/* The next page's address from "Link: <URL>; rel=next" (RFC 8288), or NULL; the caller owns it. */
char *registry_next_page(const struct http_reply *r) MUST_CHECK;

/* Waits a little, differently in each of two that met. */
void registry_back_off(unsigned round);

/* http_refused with the registry's own words and a hint. Returns -1. */
int registry_refused(const struct http_request *q, const struct http_reply *r, struct err *e);

#endif
