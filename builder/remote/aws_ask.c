/* aws_ask.c - logins that are asked of a service: of AWS itself with the token of a web identity,
 * of the container's agent, of the machine. */
#include "remote/auth.h"
#include "remote/aws.h"

#include "form/xml.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 1 << 16, NEAR_MS = 2000 };

static const char *set(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

static void wipe_reply(struct http_reply *r)
{
	if (r->body.cap > 0)
		explicit_bzero(r->body.data, r->body.cap);
	http_reply_release(r);
}

static char *read_token(const char *path, struct err *e)
{
	struct buf b = BUF_INIT(TOKEN_MAX);

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0) {
		buf_release(&b);
		return NULL;
	}
	while (b.len > 0 && strchr("\r\n ", b.data[b.len - 1]) != NULL)
		buf_cut(&b, b.len - 1);
	return buf_take(&b);
}

#define STS "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"

static int read_sts(const struct http_reply *r, struct aws_login *ret, struct err *e)
{
	const char *p = r->body.data;
	size_t n = r->body.len;
	char *until SCOPED(mem_freep) = xml_get(p, n, STS "Expiration");
	struct aws_login l = {.id = xml_get(p, n, STS "AccessKeyId"),
			      .secret = xml_get(p, n, STS "SecretAccessKey"),
			      .token = xml_get(p, n, STS "SessionToken")};

	if (l.id != NULL && l.secret != NULL && l.token != NULL && until != NULL &&
	    clock_parse(until, &l.until_s) == 0) {
		*ret = l;
		return 0;
	}
	aws_login_release(&l);
	return err_set(e, ERR_REMOTE, "%s: an answer without credentials", r->url);
}

static char *sts_form(const char *token)
{
	const char *session = set("AWS_ROLE_SESSION_NAME");
	char *role SCOPED(mem_freep) = http_escape(set("AWS_ROLE_ARN"));
	char *name SCOPED(mem_freep) = http_escape(session != NULL ? session : "posmedia");
	char *t = http_escape(token);
	char *form = mem_format("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=%s"
				"&RoleSessionName=%s&WebIdentityToken=%s",
				role, name, t);

	auth_wipe(t);
	return form;
}

int aws_from_web_identity(const char *region, struct aws_login *ret, struct err *e)
{
	const char *file = set("AWS_WEB_IDENTITY_TOKEN_FILE"), *at = set("AWS_ENDPOINT_URL_STS");
	char *url SCOPED(mem_freep) =
	    at != NULL ? mem_strdup(at) : mem_format("https://sts.%s.amazonaws.com/", region);
	struct http_request q = {.method = "POST", .url = url, .body_fd = -1, .as_is = true};
	struct http_reply r = {0};
	char *token, *form;
	int rc;

	if (file == NULL || set("AWS_ROLE_ARN") == NULL)
		return 1;
	token = read_token(file, e);
	if (token == NULL)
		return -1;
	form = sts_form(token);
	auth_wipe(token);
	q.body = form;
	q.body_size = strlen(form);
	strv_add(&q.headers, "Content-Type: application/x-www-form-urlencoded");
	rc = http_send(&q, &r, e);
	strv_release(&q.headers);
	auth_wipe(form);
	if (rc != 0)
		return -1;
	rc = r.status == 200 ? read_sts(&r, ret, e) : http_refused(&q, &r, e);
	wipe_reply(&r);
	return rc;
}

static int get_json(const char *url, const char *header, struct aws_login *ret, struct err *e)
{
	struct http_request q = {.method = "GET",
				 .url = url,
				 .body_fd = -1,
				 .as_is = true,
				 .stall_ms = NEAR_MS,
				 .connect_ms = NEAR_MS};
	struct http_reply r = {0};
	int rc;

	if (header != NULL)
		strv_add(&q.headers, header);
	rc = http_send(&q, &r, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	rc = r.status == 200 ? aws_read_json(r.body.data, r.body.len, url, ret, e)
			     : http_refused(&q, &r, e);
	wipe_reply(&r);
	return rc;
}

int aws_from_container(struct aws_login *ret, struct err *e)
{
	const char *full = set("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *file = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = set("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	char *url SCOPED(mem_freep) = NULL, *header = NULL, *read = NULL;
	int rc;

	if (full == NULL && relative == NULL)
		return 1;
	url = relative != NULL ? mem_format("http://169.254.170.2%s", relative) : mem_strdup(full);
	if (file != NULL && (read = read_token(file, e)) == NULL)
		return -1;
	if (read != NULL || token != NULL)
		header = mem_format("Authorization: %s", read != NULL ? read : token);
	rc = get_json(url, header, ret, e);
	auth_wipe(header);
	auth_wipe(read);
	return rc;
}

/* One request to the machine's service. 1: there is none. */
static int ask_machine(struct http_request *q, const char *path, struct http_reply *r,
		       struct err *e)
{
	const char *at = set("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	char *url SCOPED(mem_freep) =
	    mem_format("%s%s", at != NULL ? at : "http://169.254.169.254", path);
	struct err why = ERR_INIT;

	q->url = url;
	q->body_fd = -1;
	q->as_is = true;
	q->tries = 1;
	q->stall_ms = NEAR_MS;
	q->connect_ms = NEAR_MS / 2;
	if (http_send(q, r, &why) == 0)
		return 0;
	/* most machines are none of AWS's, and nobody answers */
	if (at == NULL && why.kind == ERR_REMOTE)
		return 1;
	*e = why;
	return -1;
}

static int get_machine(const char *path, const char *token, struct http_reply *r, struct err *e)
{
	struct http_request q = {.method = "GET"};
	int rc;

	strv_add(&q.headers, token);
	rc = ask_machine(&q, path, r, e);
	strv_release(&q.headers);
	return rc;
}

/* The role's name is a path's last part: nothing that changes the path. */
static bool role_ok(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			     "_+=,.@-");

	return n > 0 && n <= 64 && s[n] == '\0' && s[0] != '.';
}

static int with_token(const char *token, struct aws_login *ret, struct err *e)
{
	static const char dir[] = "/latest/meta-data/iam/security-credentials/";
	struct http_reply r = {0};
	char *role SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;
	int rc = get_machine(dir, token, &r, e);

	if (rc != 0)
		return rc;
	if (r.status == 200)
		role = mem_strndup(r.body.data, strcspn(r.body.data, "\r\n"));
	rc = r.status;
	http_reply_release(&r);
	if (rc == 404) /* a machine without a role */
		return 1;
	if (role == NULL || !role_ok(role))
		return err_set(e, ERR_REMOTE, "the machine's metadata: %d, and no role's name", rc);
	path = mem_format("%s%s", dir, role);
	rc = get_machine(path, token, &r, e);
	if (rc != 0)
		return rc;
	rc = r.status == 200
		 ? aws_read_json(r.body.data, r.body.len, "the machine's metadata", ret, e)
		 : err_set(e, ERR_REMOTE, "the machine's metadata: %d", r.status);
	wipe_reply(&r);
	return rc;
}

int aws_from_machine(struct aws_login *ret, struct err *e)
{
	const char *off = set("AWS_EC2_METADATA_DISABLED");
	struct http_request q = {.method = "PUT"};
	struct http_reply r = {0};
	char *token = NULL;
	int rc;

	if (off != NULL && strcmp(off, "true") == 0)
		return 1;
	strv_add(&q.headers, "X-aws-ec2-metadata-token-ttl-seconds: 300");
	rc = ask_machine(&q, "/latest/api/token", &r, e);
	strv_release(&q.headers);
	if (rc != 0)
		return rc;
	if (r.status == 200 && r.body.len > 0 && strcspn(r.body.data, "\r\n") == r.body.len)
		token = mem_format("X-aws-ec2-metadata-token: %s", r.body.data);
	rc = r.status;
	wipe_reply(&r);
	if (rc == 403 || rc == 404) /* switched off, or another's service at that address */
		return 1;
	if (token == NULL)
		return err_set(e, ERR_REMOTE, "the machine's metadata: %d, and no token", rc);
	rc = with_token(token, ret, e);
	auth_wipe(token);
	return rc;
}
