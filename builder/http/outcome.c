/* outcome.c - what the end of an attempt means: an answer, a redirect, another try, or an error. */
#include "http/xfer.h"

#include "sys/clock.h"
#include <string.h>
#include <sys/random.h>

enum { REDIRECTS_MAX = 8, TRIES = 4, BACKOFF_MS = 500, RETRY_AFTER_MAX_S = 60 };

static const char *hint_for(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "check the name, the network and the http_proxy variables";
	case CURLE_COULDNT_CONNECT:
		return "check that the server runs and that no firewall or proxy is in the way";
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return "add the server's authority to /usr/local/share/ca-certificates and run "
		       "update-ca-certificates, or name its PEM file in SSL_CERT_FILE";
	case CURLE_SSL_CONNECT_ERROR:
		return "the server may speak plain http on this port";
	default:
		return NULL;
	}
}

static void transport_err(struct xfer *x, CURLcode code)
{
	char *shown SCOPED(mem_freep) = http_shown(x->url);
	const char *hint = hint_for(code);
	struct err *e = &x->c->err;

	if (x->failed != NULL) {
		(void)err_in(e, "%s %s", x->c->q.method, shown);
		return;
	}
	(void)err_set(e, ERR_REMOTE, "%s %s: %s", x->c->q.method, shown, curl_easy_strerror(code));
	if (hint != NULL)
		(void)err_hint(e, "%s", hint);
}

static bool idempotent(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

static bool in(int what, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == what)
			return true;
	return false;
}
#define IN(what, list) in((int)(what), list, sizeof(list) / sizeof((list)[0]))

/* The request was not sent, or the server says that it did nothing with it. */
static const int never_sent[] = {CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST,
				 CURLE_COULDNT_RESOLVE_PROXY};
static const int never_done[] = {429, 503};
/* Passing trouble, but the server may have acted. */
static const int broke_off[] = {
    CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING,       CURLE_SEND_ERROR, CURLE_RECV_ERROR,
    CURLE_PARTIAL_FILE,       CURLE_SSL_CONNECT_ERROR, CURLE_HTTP2,      CURLE_HTTP2_STREAM};
static const int server_trouble[] = {408, 500, 502, 504};

static bool worth_repeating(const struct xfer *x, CURLcode code, int status)
{
	const struct http_request *q = &x->c->q;

	if (x->attempt >= (q->tries != 0 ? q->tries : TRIES) || x->sink_used || x->is_file)
		return false;
	if (code == CURLE_OK ? IN(status, never_done) : IN(code, never_sent))
		return true;
	return idempotent(q->method) &&
	       (code == CURLE_OK ? IN(status, server_trouble) : IN(code, broke_off));
}

/* Doubling, and up to half as much again, so that many clients do not come back at once. */
static uint64_t backoff_ms(const struct xfer *x)
{
	uint64_t ms = (uint64_t)BACKOFF_MS << (x->attempt < 6 ? x->attempt - 1 : 5);
	curl_off_t told_s = 0;
	uint32_t r = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &told_s);
	if (told_s > 0)
		return 1000 * (uint64_t)(told_s < RETRY_AFTER_MAX_S ? told_s : RETRY_AFTER_MAX_S);
	(void)!getrandom(&r, sizeof(r), 0);
	return ms + r % (ms / 2);
}

static enum xfer_next again(struct xfer *x, uint64_t wait_ms)
{
	x->start_ms = clock_mono_ms() + wait_ms;
	http_reply_release(&x->c->r);
	xfer_drop_attempt(x);
	return XFER_REPEAT;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum xfer_next fail(struct xfer *x)
{
	x->c->rc = -1;
	http_reply_release(&x->c->r);
	return XFER_DONE;
}

static enum xfer_next follow(struct xfer *x, const char *location)
{
	struct http_call *c = x->c;
	char *next SCOPED(mem_freep) = NULL, *shown SCOPED(mem_freep) = http_shown(x->url);

	if (++x->redirects > REDIRECTS_MAX) {
		(void)err_set(&c->err, ERR_REMOTE, "%s %s: more than %d redirects", c->q.method,
			      shown, REDIRECTS_MAX);
		return fail(x);
	}
	if (c->r.status == 303 && strcmp(c->q.method, "HEAD") != 0) {
		c->q.method = "GET";
		c->q.body_fd = -1;
		c->q.body_size = 0;
	}
	if (http_resolve(x->url, location, &next, &c->err) != 0)
		return fail(x);
	/* once lost it stays lost: the way back would be the other host's choice */
	x->authorized = x->authorized && http_same_origin(x->url, next);
	mem_freep(&x->url);
	x->url = STEAL(next);
	x->attempt--;
	return again(x, 0);
}

static enum xfer_next answered(struct xfer *x)
{
	x->c->r.url = mem_strdup(x->url);
	x->c->rc = 0;
	return XFER_DONE;
}

static int final_status(const struct xfer *x, CURLcode *code)
{
	long status = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (x->is_file && *code == CURLE_FILE_COULDNT_READ_FILE)
		status = 404;
	else if (x->is_file && *code == CURLE_BAD_DOWNLOAD_RESUME)
		status = 416;
	else if (x->is_file)
		return x->c->q.offset > 0 ? 206 : 200;
	else if (status < 400 || x->failed != NULL)
		return (int)status;
	/* it is an answer even if the server hung up before it had all of our body, or before we
	 * had all of its page */
	if (x->is_file || *code == CURLE_SEND_ERROR || *code == CURLE_RECV_ERROR ||
	    *code == CURLE_PARTIAL_FILE)
		*code = CURLE_OK;
	return (int)status;
}

enum xfer_next xfer_finish(struct xfer *x, CURLcode code)
{
	struct http_call *c = x->c;
	const char *location;

	c->r.status = final_status(x, &code);
	location = http_header(&c->r, "location");
	if (code == CURLE_OK && is_redirect(c->r.status) && location != NULL && !c->q.as_is)
		return follow(x, location);
	if (x->failed == NULL && worth_repeating(x, code, c->r.status))
		return again(x, backoff_ms(x));
	if (code == CURLE_OK)
		return answered(x);
	transport_err(x, code);
	return fail(x);
}
