/* auth_answer.c - from "401, WWW-Authenticate" to an Authorization header. */
#include "remote/auth.h"

#include "form/hex.h"
#include "form/json.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOKEN_MAX = 1 << 20, PARAM_MAX = 4096 };

struct challenge {
	bool basic, bearer;
	char *realm, *service; /* of Bearer; "" when absent */
};

static void challenge_release(struct challenge *c)
{
	free(c->realm);
	free(c->service);
}

/* One token or quoted string (RFC 9110, 5.6) from *p on, which moves behind it. */
static char *value_at(const char **p)
{
	struct buf b = BUF_INIT(PARAM_MAX);
	const char *s = *p;

	if (*s == '"') {
		for (s++; *s != '\0' && *s != '"'; s++) {
			if (*s == '\\' && s[1] != '\0')
				s++;
			buf_add(&b, s, 1);
		}
		s += *s == '"';
	} else {
		size_t n = strcspn(s, ", \t");

		buf_add(&b, s, n);
		s += n;
	}
	*p = s;
	return buf_take(&b);
}

static void read_params(const char *p, struct challenge *c)
{
	while (*p != '\0') {
		char *name SCOPED(mem_freep) = NULL, *value SCOPED(mem_freep) = NULL;
		size_t n;

		p += strspn(p, " \t,");
		n = strcspn(p, "=, \t");
		name = mem_strndup(p, n);
		p += n;
		if (*p != '=')
			continue;
		p++;
		value = value_at(&p);
		if (strcasecmp(name, "realm") == 0 && c->realm == NULL)
			c->realm = STEAL(value);
		else if (strcasecmp(name, "service") == 0 && c->service == NULL)
			c->service = STEAL(value);
	}
}

/* A registry may offer several ways, each in its own header line. */
static void read_challenges(const struct http_reply *r, struct challenge *c)
{
	static const char head[] = "www-authenticate: ";

	for (size_t i = 0; i < r->headers.n; i++) {
		const char *v = r->headers.v[i];

		if (strncmp(v, head, sizeof(head) - 1) != 0)
			continue;
		v += sizeof(head) - 1;
		if (strncasecmp(v, "Bearer ", 7) == 0) {
			c->bearer = true;
			read_params(v + 7, c);
		} else if (strncasecmp(v, "Basic", 5) == 0) {
			c->basic = true;
		}
	}
	if (c->realm == NULL)
		c->realm = mem_strdup("");
	if (c->service == NULL)
		c->service = mem_strdup("");
}

static char *basic(const struct auth_login *l)
{
	char *pair = mem_format("%s:%s", l->user, l->secret);
	char *b64 = base64_encode(pair, strlen(pair));
	char *value = mem_format("Basic %s", b64);

	auth_wipe(pair);
	auth_wipe(b64);
	return value;
}

static int needs_login(const struct auth_ask *a, const char *what, struct err *e)
{
	const char *host = strstr(a->base, "://");

	host = host != NULL ? host + 3 : a->base;
	(void)err_set(e, ERR_REMOTE, "registry %s: %s", host, what);
	return err_hint(e, "log in: podman login %s (or skopeo login)", host);
}

static int read_token(const struct http_request *q, const struct http_reply *r, char **ret,
		      struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *token;

	if (r->body.len > TOKEN_MAX)
		return err_set(e, ERR_REMOTE, "token larger than %d bytes", TOKEN_MAX);
	if (jval_parse(r->body.data, r->body.len, "token", &v, e) != 0) {
		e->kind = ERR_REMOTE;
		return err_in(e, "%s", q->url);
	}
	token = jval_get_str(v, "token");
	if (token == NULL || token[0] == '\0')
		token = jval_get_str(v, "access_token");
	if (token == NULL || token[0] == '\0')
		return err_set(e, ERR_REMOTE, "%s: an answer without a token", q->url);
	*ret = mem_format("Bearer %s", token);
	return 0;
}

static int send_for_token(const struct auth_ask *a, struct http_request *q, char **ret,
			  struct err *e)
{
	struct http_reply r = {0};
	int rc;

	q->via = NULL; /* the other connections may be in the middle of their work */
	if (http_send(q, &r, e) != 0)
		return -1;
	if (r.status == 200)
		rc = read_token(q, &r, ret, e);
	else if (r.status == 401 || r.status == 403)
		rc = needs_login(a, "the login is refused", e);
	else
		rc = http_refused(q, &r, e);
	if (r.body.cap > 0)
		explicit_bzero(r.body.data, r.body.cap);
	http_reply_release(&r);
	return rc;
}

/* "&scope=..." for each scope of the list. */
static char *scopes(const char *list)
{
	struct buf b = BUF_INIT(8192);

	while (*list != '\0') {
		size_t n = strcspn(list, " ");
		char *one SCOPED(mem_freep) = mem_strndup(list, n);
		char *escaped SCOPED(mem_freep) = http_escape(one);

		buf_addf(&b, "&scope=%s", escaped);
		list += n + (list[n] == ' ');
	}
	return buf_take(&b);
}

/* distribution, "Token Authentication Specification". */
static int token_by_get(const struct auth_ask *a, const struct challenge *c, const char *realm,
			char **ret, struct err *e)
{
	char *service SCOPED(mem_freep) = http_escape(c->service);
	char *scope SCOPED(mem_freep) = scopes(a->scope);
	char *url SCOPED(mem_freep) =
	    mem_format("%s%sservice=%s%s", realm, strchr(realm, '?') ? "&" : "?", service, scope);
	char *login = a->login->secret != NULL ? basic(a->login) : NULL;
	struct http_request q = {
	    .method = "GET", .url = url, .authorization = login, .body_fd = -1};
	int rc = send_for_token(a, &q, ret, e);

	auth_wipe(login);
	return rc;
}

/* The same by OAuth2: an identity token is traded in. */
static int token_by_post(const struct auth_ask *a, const struct challenge *c, const char *realm,
			 char **ret, struct err *e)
{
	char *service SCOPED(mem_freep) = http_escape(c->service);
	char *scope SCOPED(mem_freep) = http_escape(a->scope);
	char *token = http_escape(a->login->secret);
	char *form = mem_format("grant_type=refresh_token&client_id=posmedia&service=%s&scope=%s"
				"&refresh_token=%s",
				service, scope, token);
	struct http_request q = {
	    .method = "POST", .url = realm, .body_fd = -1, .body = form, .body_size = strlen(form)};
	int rc;

	strv_add(&q.headers, "Content-Type: application/x-www-form-urlencoded");
	rc = send_for_token(a, &q, ret, e);
	strv_release(&q.headers);
	auth_wipe(token);
	auth_wipe(form);
	return rc;
}

int auth_answer(const struct auth_ask *a, char **ret, struct err *e)
{
	struct challenge c SCOPED(challenge_release) = {0};
	char *realm SCOPED(mem_freep) = NULL;

	read_challenges(a->refusal, &c);
	if (c.bearer && c.realm[0] != '\0') {
		if (http_resolve(a->base, c.realm, &realm, e) != 0)
			return err_in(e, "the registry's realm");
		return a->login->is_token ? token_by_post(a, &c, realm, ret, e)
					  : token_by_get(a, &c, realm, ret, e);
	}
	if (!c.basic)
		return err_set(e, ERR_REMOTE, "%s: wants a way to log in that is not known here",
			       a->base);
	if (a->login->secret == NULL || a->login->is_token)
		return needs_login(a, "wants a login", e);
	*ret = basic(a->login);
	return 0;
}
