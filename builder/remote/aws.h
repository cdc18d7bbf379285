/* aws.h - whose name requests to a bucket are made in: the chain that AWS's own tools follow. */
#ifndef REMOTE_AWS_H
#define REMOTE_AWS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct aws_login {
	char *id, *secret, *token; /* all NULL = nobody; token NULL = of a user, not of a session */
	int64_t until_s;           /* 0 = they do not run out */
	const char *from;          /* where they were found, for messages; static */
};

/* The first of: the environment (AWS_ACCESS_KEY_ID ...), a web identity (AWS_ROLE_ARN and
 * AWS_WEB_IDENTITY_TOKEN_FILE), the shared files (AWS_PROFILE; keys, or credential_process), the
 * container's (AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI), the machine's (IMDSv2, unless
 * AWS_EC2_METADATA_DISABLED is "true"). None is no error; one that is set up and does not work is.
 */
int aws_find(const char *region, struct aws_login *ret, struct err *e) MUST_CHECK;

/* Whether they run out within five minutes. */
bool aws_stale(const struct aws_login *l);

/* Wipes. */
void aws_login_release(struct aws_login *l);

/* The region: AWS_REGION, AWS_DEFAULT_REGION, the profile's, or "us-east-1"; the caller owns it. */
char *aws_region(void) MUST_CHECK;

/* A member of the profile in the shared files, credentials before config, or NULL; the caller owns
 * and wipes it. */
char *aws_profile_get(const char *key) MUST_CHECK;

/* The others' ends of the chain. 1: not set up here. */
int aws_from_web_identity(const char *region, struct aws_login *ret, struct err *e) MUST_CHECK;
int aws_from_container(struct aws_login *ret, struct err *e) MUST_CHECK;
int aws_from_machine(struct aws_login *ret, struct err *e) MUST_CHECK;

/* Reads {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration"}. */
int aws_read_json(const char *p, size_t n, const char *what, struct aws_login *ret,
		  struct err *e) MUST_CHECK;

#endif
