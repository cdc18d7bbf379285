/* auth.h - logins for registries from the files that podman, skopeo and docker keep
 * (containers-auth.json(5)), and answers to a registry's challenge. */
#ifndef REMOTE_AUTH_H
#define REMOTE_AUTH_H

#include "http/http.h"

/* All NULL = none is known. */
struct auth_login {
	char *user;
	char *secret;
	bool is_token; /* the secret is an identity token, to be traded for an access token */
};

/* Finds the login for HOST[:PORT]/REPO: in $REGISTRY_AUTH_FILE alone when it is set, else in the
 * first of the usual files that has one; in a file the longest matching path wins. Helper programs
 * (docker-credential-NAME) are asked. A file that cannot be read as such is an error. */
int auth_find(const char *host, const char *repo, struct auth_login *ret, struct err *e) MUST_CHECK;

/* Wipes. */
void auth_login_release(struct auth_login *l);

struct auth_ask {
	const struct http_reply *refusal; /* the 401 with its WWW-Authenticate */
	const char *base;                 /* "https://host" of the registry */
	const char *scope;                /* "repository:NAME:pull,push", several by blanks */
	const struct auth_login *login;
};

/* Makes the value of the Authorization header that a 401 asks for: Basic, or Bearer with a token
 * fetched from the realm that it names. No login where one is needed: ERR_REMOTE with a hint. The
 * caller owns *ret and wipes it. */
int auth_answer(const struct auth_ask *a, char **ret, struct err *e) MUST_CHECK;

/* Overwrites and frees. */
void auth_wipe(char *secret);

#endif
