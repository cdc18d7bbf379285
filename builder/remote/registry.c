#include "remote/registry.h"
#include "remote/s3.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { PARALLEL = 4, TRIES = 4 };

/* A registry on this machine is reached without TLS: nobody else can listen in. */
static bool is_loopback(const char *host)
{
	size_t n = strcspn(host, ":");

	if (strncmp(host, "[::1]", 5) == 0)
		return host[5] == '\0' || host[5] == ':';
	return (n == 9 && strncmp(host, "localhost", n) == 0) ||
	       (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n);
}

void registry_close(struct registry *r)
{
	if (!r->borrowed)
		http_free(r->http);
	s3_free(r->s3);
	free(r->base);
	free(r->repo);
	free(r->scope);
	free(r->sessions);
	strv_release(&r->absent);
	auth_login_release(&r->login);
	auth_wipe(r->authorization);
	*r = (struct registry){0};
}

char *registry_url(const struct registry *r, const char *what, const char *name)
{
	return mem_format("%s/v2/%s/%s/%s", r->base, r->repo, what, name);
}

const char *registry_authorization(const struct registry *r, const char *url)
{
	return http_same_origin(r->base, url) ? r->authorization : NULL;
}

int registry_login(struct registry *r, const struct http_reply *refusal, unsigned round,
		   struct err *e)
{
	const char *host = strstr(r->base, "://") + 3;
	const struct auth_ask ask = {refusal, r->base, r->scope, &r->login};
	char *value = NULL;

	if (round < r->round)
		return 0;
	if (!r->login_known && auth_find(host, r->repo, &r->login, e) != 0)
		return -1;
	r->login_known = true;
	if (auth_answer(&ask, &value, e) != 0)
		return -1;
	auth_wipe(r->authorization);
	r->authorization = value;
	r->round++;
	return 0;
}

int registry_prepare(struct registry *r, struct http_request *q, const struct digest *body,
		     struct err *e)
{
	if (r->s3 != NULL)
		return s3_sign(r->s3, q, body, e);
	q->authorization = registry_authorization(r, q->url);
	return 0;
}

/* What is read of a bucket may be written later, if nobody else has. */
static int send_to_bucket(struct registry *r, struct http_request *q, struct http_reply *ret,
			  struct err *e)
{
	const char *etag;

	q->via = r->http;
	if (s3_send(r->s3, q, NULL, ret, e) != 0)
		return -1;
	etag = ret->status == 404 ? "" : http_header(ret, "etag");
	if (strcmp(q->method, "GET") == 0 && etag != NULL)
		s3_seen(r->s3, q->url, etag);
	return 0;
}

int registry_send(struct registry *r, struct http_request *q, struct http_reply *ret, struct err *e)
{
	if (r->s3 != NULL)
		return send_to_bucket(r, q, ret, e);
	if (r->absent.n > 0 && strcmp(q->method, "GET") == 0 && strv_has(&r->absent, q->url)) {
		*ret = (struct http_reply){
		    .status = 404, .body = BUF_INIT(1), .url = mem_strdup(q->url)};
		return 0;
	}
	for (int turn = 0;; turn++) {
		q->via = r->http;
		q->authorization = registry_authorization(r, q->url);
		if (http_send(q, ret, e) != 0)
			return -1;
		if (ret->status != 401 || turn > 0)
			return 0;
		if (registry_login(r, ret, r->round, e) != 0) {
			http_reply_release(ret);
			return -1;
		}
		http_reply_release(ret);
	}
}

/* {"errors":[{"code":...,"message":...}]}, distribution-spec "Error Codes". */
static char *said(const struct buf *body)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const struct jval *first;
	const char *code, *message;

	if (body->len == 0 || jval_parse(body->data, body->len, "", &v, &quiet) != 0)
		return NULL;
	first = jval_at(jval_get(v, "errors"), 0);
	code = jval_get_str(first, "code");
	message = jval_get_str(first, "message");
	if (code == NULL)
		return NULL;
	return mem_format("%.60s%s%.200s", code, message != NULL ? ": " : "",
			  message != NULL ? message : "");
}

int registry_refused(const struct http_request *q, const struct http_reply *r, struct err *e)
{
	char *words SCOPED(mem_freep) = said(&r->body);
	char *shown SCOPED(mem_freep) = http_shown(r->url != NULL ? r->url : q->url);

	if (words == NULL)
		(void)http_refused(q, r, e);
	else
		(void)err_set(e, ERR_REMOTE, "%s %s: %d %s", q->method, shown, r->status, words);
	if (r->status == 401 || r->status == 403)
		return err_hint(e, "this login may not do that here; log in as one that may: "
				   "podman login");
	if (r->status == 404)
		return err_hint(e, "check the repository's name and the tag");
	if (r->status == 405)
		return err_hint(e, "the registry does not do this: it may be a mirror, or for "
				   "reading only");
	return -1;
}

char *registry_next_page(const struct http_reply *r)
{
	const char *link = http_header(r, "link");
	const char *end = link != NULL ? strchr(link, '>') : NULL;
	char *target SCOPED(mem_freep) = NULL, *to = NULL;
	struct err quiet = ERR_INIT;

	if (end == NULL || link[0] != '<' || strstr(end, "next") == NULL)
		return NULL;
	target = mem_strndup(link + 1, (size_t)(end - link - 1));
	return http_resolve(r->url, target, &to, &quiet) == 0 ? to : NULL;
}

void registry_back_off(unsigned round)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	(void)usleep((random % 100 + 50 * round) * 1000);
}

static int ping(struct registry *r, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("%s/v2/", r->base);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .tries = r->tries};
	struct http_reply reply = {0};
	int rc = registry_send(r, &q, &reply, e);

	if (rc != 0)
		return -1;
	if (reply.status != 200)
		rc = registry_refused(&q, &reply, e);
	if (rc != 0 && reply.status == 404)
		(void)err_hint(e, "is it an OCI registry? it knows no /v2/");
	http_reply_release(&reply);
	return rc;
}

static char *scope_of(const char *repo, const struct registry_want *w)
{
	if (w->mount == NULL)
		return mem_format("repository:%s:%s", repo, w->actions);
	return mem_format("repository:%s:%s repository:%s:pull", repo, w->actions, w->mount);
}

/* One that asked for no login will not, and one that did says so again when it is needed. */
static bool same_registry(const struct registry *open, const struct registry *r)
{
	return open != NULL && open->s3 == NULL && strcmp(open->base, r->base) == 0;
}

int registry_open(const struct ref *at, const struct remote_opts *o, const struct registry_want *w,
		  struct registry *ret, struct err *e)
{
	bool plain = o->plain_http || is_loopback(at->host);
	struct registry r = {.http = http_new(),
			     .base = mem_format("%s://%s", plain ? "http" : "https", at->host),
			     .repo = mem_strdup(at->path),
			     .scope = scope_of(at->path, w),
			     .sessions = o->sessions != NULL ? mem_strdup(o->sessions) : NULL,
			     .tries = o->tries != 0 ? o->tries : TRIES,
			     .parallel = o->parallel != 0 ? o->parallel : PARALLEL};

	http_until(r.http, o->until_ms);
	if (at->kind == REF_S3) {
		free(r.base);
		r.base = NULL;
		if (s3_open(at->host, r.http, strstr(w->actions, "push") != NULL, &r.s3, e) != 0) {
			registry_close(&r);
			return -1;
		}
		r.base = mem_strdup(r.s3->base);
		r.s3->lock_s = o->lock_s;
		if (o->part_size >= S3_PART_MIN)
			r.s3->part_size = o->part_size;
		*ret = r;
		return 0;
	}
	if (same_registry(w->open, &r)) {
		http_free(r.http);
		r.http = w->open->http;
		r.borrowed = true;
	} else if (ping(&r, e) != 0) {
		registry_close(&r);
		return err_in(e, "registry %s", at->host);
	}
	*ret = r;
	return 0;
}
