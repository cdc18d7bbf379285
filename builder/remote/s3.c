#include "remote/s3.h"

#include "base/log.h"
#include "form/hex.h"
#include "form/sigv4.h"
#include "form/xml.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKEW_S = 240, TURNS = 3 };

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void s3_free(struct s3 *s)
{
	if (s == NULL)
		return;
	free(s->base);
	free(s->region);
	free(s->seen_url);
	free(s->seen_etag);
	aws_login_release(&s->login);
	free(s);
}

static int renew_login(struct s3 *s, struct err *e)
{
	struct aws_login l = {0};

	if (aws_find(s->region, &l, e) != 0)
		return -1;
	aws_login_release(&s->login);
	s->login = l;
	return 0;
}

static int authorize(const struct s3 *s, struct http_request *q, const char *payload, struct err *e)
{
	const struct sigv4_key k = {s->login.id, s->login.secret, s->region, "s3",
				    clock_wall_s() + s->skew_s};
	const struct sigv4_request r = {q->method, q->url, &q->headers, payload};
	char *when SCOPED(mem_freep) = sigv4_time(k.time_s);
	char *value = NULL;

	strv_addf(&q->headers, "x-amz-date: %s", when);
	strv_addf(&q->headers, "x-amz-content-sha256: %s", payload);
	if (s->login.token != NULL)
		strv_addf(&q->headers, "x-amz-security-token: %s", s->login.token);
	if (sigv4_authorize(&r, &k, &value, e) != 0)
		return -1;
	strv_addf(&q->headers, "Authorization: %s", value);
	auth_wipe(value);
	return 0;
}

int s3_sign(struct s3 *s, struct http_request *q, const struct digest *body, struct err *e)
{
	q->as_is = true; /* what is signed for one host is worth nothing to another */
	if (aws_stale(&s->login) && renew_login(s, e) != 0)
		return -1;
	return s->login.id == NULL ? 0
				   : authorize(s, q, body != NULL ? digest_hex(body).s : EMPTY, e);
}

/* "Thu, 26 Nov 2026 00:10:00 GMT" */
int64_t s3_time(const struct http_reply *r, const char *header)
{
	const char *date = http_header(r, header);
	struct tm tm = {0};

	if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
		return 0;
	return (int64_t)timegm(&tm);
}

/* Whether it was our clock: then it goes by the server's from now on. */
static bool set_clock(struct s3 *s, const struct http_reply *r)
{
	int64_t there = s3_time(r, "date"), ahead = there - clock_wall_s();

	if (there == 0 || (ahead - s->skew_s < SKEW_S && ahead - s->skew_s > -SKEW_S))
		return false;
	log_warn("this machine's clock and the server's differ by %lld s", (long long)ahead);
	s->skew_s = ahead;
	return true;
}

static bool login_ran_out(struct s3 *s, const struct http_reply *r)
{
	char *code SCOPED(mem_freep) = xml_get(r->body.data, r->body.len, "Error/Code");

	return s->login.token != NULL && code != NULL &&
	       (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "TokenRefreshRequired") == 0);
}

int s3_mend(struct s3 *s, const struct http_reply *r, struct err *e)
{
	if (login_ran_out(s, r))
		return renew_login(s, e) != 0 ? -1 : 1;
	return r->status == 403 && set_clock(s, r) ? 1 : 0;
}

int s3_send(struct s3 *s, struct http_request *q, const struct digest *body, struct http_reply *ret,
	    struct err *e)
{
	for (unsigned turn = 1;; turn++) {
		struct http_request signed_q = *q;
		int rc;

		signed_q.headers = (struct strv){0};
		if (s->connect_ms != 0) {
			signed_q.connect_ms = s->connect_ms;
			signed_q.tries = 1;
		}
		strv_extend(&signed_q.headers, &q->headers);
		rc = s3_sign(s, &signed_q, body, e);
		if (rc == 0)
			rc = http_send(&signed_q, ret, e);
		strv_release(&signed_q.headers);
		if (rc != 0)
			return -1;
		if (turn == TURNS || (ret->status != 403 && ret->status != 400))
			return 0;
		rc = s3_mend(s, ret, e);
		if (rc == 0)
			return 0;
		http_reply_release(ret);
		if (rc < 0)
			return -1;
	}
}

int s3_refused(const struct http_request *q, const struct http_reply *r, struct err *e)
{
	char *code SCOPED(mem_freep) = xml_get(r->body.data, r->body.len, "Error/Code");
	char *words SCOPED(mem_freep) = xml_get(r->body.data, r->body.len, "Error/Message");
	char *shown SCOPED(mem_freep) = http_shown(q->url);

	if (code == NULL)
		(void)http_refused(q, r, e);
	else
		(void)err_set(e, ERR_REMOTE, "%s %s: %d %.60s%s%.200s", q->method, shown, r->status,
			      code, words != NULL ? ": " : "", words != NULL ? words : "");
	if (r->status == 403)
		return err_hint(e, "may these credentials do that? missing keys give 403 too where "
				   "the bucket may not be listed");
	return -1;
}

void s3_seen(struct s3 *s, const char *url, const char *etag)
{
	char *u = url != NULL ? mem_strdup(url) : NULL;
	char *t = etag != NULL ? mem_strdup(etag) : NULL;

	free(s->seen_url);
	free(s->seen_etag);
	s->seen_url = u;
	s->seen_etag = t;
}

static char *unquoted(const char *etag)
{
	size_t n = strlen(etag);

	return n >= 2 && etag[0] == '"' ? mem_strndup(etag + 1, n - 2) : mem_strdup(etag);
}

/* The condition under which it is to be written; none where the server does not go by it. */
static void add_condition(const struct s3 *s, const struct s3_put *p, struct strv *headers)
{
	bool seen = p->checked && s->seen_url != NULL && strcmp(s->seen_url, p->url) == 0;
	char *bare SCOPED(mem_freep) = NULL;

	if (s->condition != S3_HONOURS)
		return;
	if (p->once || (seen && s->seen_etag[0] == '\0')) {
		strv_add(headers, "If-None-Match: *");
	} else if (seen) {
		bare = s->bare ? unquoted(s->seen_etag) : mem_strdup(s->seen_etag);
		strv_addf(headers, "If-Match: %s", bare);
	}
}

static int put(struct s3 *s, struct http *via, const struct s3_put *p, int *ret_status,
	       struct err *e)
{
	struct http_request q = {.method = "PUT",
				 .url = p->url,
				 .body_fd = -1,
				 .body = p->p,
				 .body_size = p->n,
				 .via = via};
	struct digest d = digest_of(p->p, p->n);
	char *sum SCOPED(mem_freep) = base64_encode(d.b, sizeof(d.b));
	struct http_reply r = {0};
	int rc;

	strv_addf(&q.headers, "Content-Type: %s", p->type);
	strv_addf(&q.headers, "x-amz-checksum-sha256: %s", sum);
	if (p->locked)
		s3_lock_headers(s, &q.headers);
	add_condition(s, p, &q.headers);
	rc = s3_send(s, &q, &d, &r, e);
	strv_release(&q.headers);
	if (rc != 0)
		return -1;
	*ret_status = r.status;
	if (r.status != 200 && r.status != 409 && r.status != 412)
		rc = s3_refused(&q, &r, e);
	http_reply_release(&r);
	return rc;
}

/* Some servers compare If-Match with the ETag as they keep it, without quotes: when the object is
 * still as it was seen, it was that. */
static int unchanged(struct s3 *s, struct http *via, const char *url, bool *ret, struct err *e)
{
	struct http_request q = {.method = "HEAD", .url = url, .body_fd = -1, .via = via};
	struct http_reply r = {0};
	const char *etag;

	if (s3_send(s, &q, NULL, &r, e) != 0)
		return -1;
	etag = http_header(&r, "etag");
	*ret = r.status == 200 && etag != NULL && s->seen_etag != NULL &&
	       strcmp(etag, s->seen_etag) == 0;
	http_reply_release(&r);
	return 0;
}

int s3_put(struct s3 *s, struct http *via, const struct s3_put *p, struct err *e)
{
	bool same = false;
	int status = 0;

	if (put(s, via, p, &status, e) != 0)
		return -1;
	if (status == 412 && p->checked && !s->bare && s->seen_etag != NULL &&
	    s->seen_etag[0] != '\0') {
		if (unchanged(s, via, p->url, &same, e) != 0)
			return -1;
		s->bare = same;
		if (same && put(s, via, p, &status, e) != 0)
			return -1;
	}
	if (p->checked)
		s3_seen(s, NULL, NULL);
	if (status == 200 || p->once)
		return 0;
	(void)err_set(e, ERR_BUSY, "another has written it in the meantime");
	return err_hint(e, "try again");
}

static const char *endpoint(void)
{
	const char *own = getenv("AWS_ENDPOINT_URL_S3");

	if (own == NULL || own[0] == '\0')
		own = getenv("AWS_ENDPOINT_URL");
	return own != NULL && own[0] != '\0' ? own : NULL;
}

static void set_base(struct s3 *s, const char *bucket)
{
	const char *at = endpoint();
	size_t n = at != NULL ? strlen(at) : 0;

	while (n > 0 && at[n - 1] == '/')
		n--;
	free(s->base);
	if (at != NULL)
		s->base = mem_format("%.*s/%s", (int)n, at, bucket);
	else
		s->base = mem_format("https://%s.s3.%s.amazonaws.com", bucket, s->region);
}

/* Asks for the bucket. 1: in another region, which is set now. */
static int ping(struct s3 *s, const char *bucket, struct http *via, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("%s/?list-type=2&max-keys=1", s->base);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = via};
	struct http_reply r = {0};
	const char *region;
	int rc = 0;

	if (s3_send(s, &q, NULL, &r, e) != 0)
		return -1;
	region = http_header(&r, "x-amz-bucket-region");
	if (r.status == 404) {
		rc = err_set(e, ERR_REMOTE, "no such bucket: %s", bucket);
	} else if (r.status != 200 && region != NULL && strcmp(region, s->region) != 0 &&
		   strlen(region) < 64) {
		free(s->region);
		s->region = mem_strdup(region);
		rc = 1;
	} else if (r.status != 200 && s->login.id != NULL) {
		rc = s3_refused(&q, &r, e);
	}
	http_reply_release(&r);
	return rc;
}

/* Writes the object that every client asks for first, and then once more if it is not there. */
static int probe(struct s3 *s, struct http *via, struct err *e)
{
	char *url SCOPED(mem_freep) = mem_format("%s/v2/", s->base);
	const struct s3_put p = {.url = url, .type = "application/json", .p = "{}", .n = 2};
	const struct s3_put again = {
	    .url = url, .type = "application/json", .p = "{}", .n = 2, .once = true};
	struct err quiet = ERR_INIT;
	int status = 0;

	if (s3_put(s, via, &p, e) != 0)
		return err_in(e, "the bucket cannot be written");
	s->condition = S3_HONOURS;
	if (put(s, via, &again, &status, &quiet) != 0 && quiet.kind != ERR_REMOTE) {
		*e = quiet;
		return -1;
	}
	s->condition = status == 412 || status == 409 ? S3_HONOURS
		       : status == 200                ? S3_IGNORES
						      : S3_REFUSES;
	if (s->condition != S3_HONOURS)
		log_warn("the bucket's server %s conditions on writing: who writes signatures of "
			 "one image at the same time may lose some",
			 s->condition == S3_IGNORES ? "ignores" : "knows no");
	return 0;
}

/* How it is opened. */
struct opening {
	bool write, probe;
	uint64_t connect_ms;
};

static int open_as(const char *bucket, struct http *via, const struct opening *o, struct s3 **ret,
		   struct err *e)
{
	struct s3 *s = mem_zalloc(sizeof(*s));
	int rc;

	s->part_size = S3_PART_SIZE;
	s->connect_ms = o->connect_ms;
	s->region = aws_region();
	set_base(s, bucket);
	rc = renew_login(s, e);
	if (rc == 0 && s->login.id == NULL && o->write) {
		(void)err_set(e, ERR_REMOTE, "no credentials for the bucket %s", bucket);
		rc = err_hint(e, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
	}
	if (rc == 0)
		rc = ping(s, bucket, via, e);
	if (rc == 1) {
		set_base(s, bucket);
		rc = ping(s, bucket, via, e);
	}
	if (rc == 1)
		rc = err_set(e, ERR_REMOTE, "the bucket is in no region that it names");
	if (rc == 0 && o->probe)
		rc = probe(s, via, e);
	if (rc != 0) {
		s3_free(s);
		return err_in(e, "s3://%s", bucket);
	}
	*ret = s;
	return 0;
}

int s3_open(const char *bucket, struct http *via, bool write, struct s3 **ret, struct err *e)
{
	const struct opening o = {.write = write, .probe = write};

	return open_as(bucket, via, &o, ret, e);
}

int s3_open_soon(const char *bucket, struct http *via, uint64_t connect_ms, struct s3 **ret,
		 struct err *e)
{
	const struct opening o = {.write = true, .connect_ms = connect_ms};

	return open_as(bucket, via, &o, ret, e);
}
