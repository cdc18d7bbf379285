/* remote-fake.h - two servers that play a registry and its blob store, and misbehave by mode. */
#ifndef TESTS_REMOTE_FAKE_H
#define TESTS_REMOTE_FAKE_H

#include "http-server.h"
#include "remote-lib.h"

enum mode {
	GOOD,
	LOCATION_ABSOLUTE,
	LOCATION_ELSEWHERE, /* another port: another host for all that matters */
	LOCATION_NONE,
	LOCATION_FILE,
	PUT_LOST_AFTER,  /* stored, but the answer never comes */
	PUT_LOST_BEFORE, /* the connection breaks, nothing is stored; once */
	PUT_LOST_ALWAYS,
	PUT_500_ONCE,
	PUT_404_ONCE,
	PUT_403,
	PUT_ACCEPTED, /* 202, and the blob is not there */
	PUT_401_ONCE, /* the token has run out */
	POST_503_ONCE,
	HEAD_SIZE,    /* another size than ours */
	MANIFEST_LIE, /* Docker-Content-Digest of something else */
	GET_CUT_ONCE,
	GET_CUT_NO_RANGE,
	GET_CUT_EVIL, /* what comes before the break is wrong */
	GET_WRONG,
	GET_LONG,
	GET_ELSEWHERE,
	GET_401_ONCE,
	MANIFEST_WRONG,
	MANIFEST_HTML,
	MANIFEST_DOCKER,
	RESUMES,       /* half of the large blob stays when the connection breaks, once */
	RESUMES_TWICE, /* and half of the rest */
	RESUMES_LIES,  /* says that more of it is there than the blob has */
	RESUMES_STUCK, /* says that nothing of it is there */
	RESUMES_416,   /* and says no to the rest */
	RESUMES_WRONG, /* and what is there turns out to be wrong */
	WITH_TOKEN,
	WITH_TOKEN_REFUSED,
	WITH_TOKEN_EMPTY,
	WITH_REALM_FILE,
	WITH_DIGEST_AUTH,
};

enum { MODE, ONCE, TOKENS, AUTH_SEEN, PUTS, OTHER, RANGES, LOCKED, EMPTY, HAVE, ASKED };

static struct server one, two;
static struct scene scene; /* as it was when the servers were forked */

static bool once(struct server_req *r)
{
	return atomic_fetch_add(&r->sh->count[ONCE], 1) == 0;
}

static bool mode(const struct server_req *r, enum mode m)
{
	return (enum mode)r->sh->count[MODE] == m;
}

/* What was stored or done, one word a line. */
static void note(struct server_req *r, const char *what)
{
	size_t n = strlen(r->sh->text);

	(void)snprintf(r->sh->text + n, sizeof(r->sh->text) - n, "%s\n", what);
}

static bool noted(const struct server_shared *sh, const char *what)
{
	return strstr(sh->text, what) != NULL;
}

static const char *token(const struct server_req *r)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "Bearer t%d", r->sh->count[TOKENS]);
	return text;
}

static void challenge(struct server_req *r)
{
	char head[256];
	const char *realm = mode(r, WITH_REALM_FILE) ? "file:///etc/passwd" : NULL;

	if (mode(r, WITH_DIGEST_AUTH))
		(void)snprintf(head, sizeof(head), "WWW-Authenticate: Digest realm=\"x\"\r\n");
	else if (realm != NULL)
		(void)snprintf(head, sizeof(head), "WWW-Authenticate: Bearer realm=\"%s\"\r\n",
			       realm);
	else
		(void)snprintf(head, sizeof(head),
			       "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token?a=b\", "
			       "service=\"the \\\"reg\\\"\",scope=\"x\"\r\n",
			       r->sh->count[OTHER]);
	server_answer(r, 401, head, "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}");
}

static void serve_token(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");
	char *text SCOPED(mem_freep) = NULL;

	note(r, r->path);
	if (auth != NULL)
		note(r, auth);
	if (r->body_n > 0)
		note(r, r->body);
	if (mode(r, WITH_TOKEN_REFUSED)) {
		server_answer(r, 401, "", "");
		return;
	}
	text = mode(r, WITH_TOKEN_EMPTY)
		   ? mem_strdup("{\"token\":\"\"}")
		   : mem_format("{\"access_token\":\"t%d\"}",
				atomic_fetch_add(&one.sh->count[TOKENS], 1) + 1);
	server_answer(r, 200, "", text);
}

static bool let_in(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");

	if (auth != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	if (r->sh->count[LOCKED] == 0 && r->sh->count[MODE] < WITH_TOKEN)
		return true;
	if (auth != NULL && strcmp(auth, token(r)) == 0)
		return true;
	challenge(r);
	return false;
}

static void serve_post(struct server_req *r)
{
	int other = r->sh->count[OTHER];
	char head[256] = "";

	r->sh->count[HAVE] = 0;
	if (mode(r, POST_503_ONCE) && once(r)) {
		server_answer(r, 503, "", "");
		return;
	}
	if (mode(r, LOCATION_ELSEWHERE))
		(void)snprintf(head, sizeof(head), "Location: http://127.0.0.1:%d/up/1\r\n", other);
	else if (mode(r, LOCATION_ABSOLUTE))
		(void)snprintf(head, sizeof(head), "Location: http://127.0.0.1:%d/up/1?s=1\r\n",
			       one.port);
	else if (mode(r, LOCATION_FILE))
		(void)snprintf(head, sizeof(head), "Location: file:///tmp/x\r\n");
	else if (!mode(r, LOCATION_NONE))
		(void)snprintf(head, sizeof(head), "Location: /up/1?_state=a%%3D\r\n");
	server_answer(r, 202, head, "");
}

static bool put_fails(struct server_req *r)
{
	if (mode(r, PUT_LOST_ALWAYS) || (mode(r, PUT_LOST_BEFORE) && once(r)))
		r->hang_up = true;
	else if (mode(r, PUT_500_ONCE) && once(r))
		server_answer(r, 500, "", "");
	else if (mode(r, PUT_404_ONCE) && once(r))
		server_answer(r, 404, "", "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
	else if (mode(r, PUT_403))
		server_answer(r, 403, "",
			      "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}");
	else if (mode(r, PUT_ACCEPTED))
		server_answer(r, 202, "", "");
	else if (mode(r, PUT_401_ONCE) && once(r)) {
		atomic_fetch_add(&r->sh->count[TOKENS], 1); /* what it has is worth nothing now */
		challenge(r);
	} else
		return false;
	return true;
}

static void blob(const char *hex, struct buf *ret);

static bool resumes(const struct server_req *r)
{
	return r->sh->count[MODE] >= RESUMES && r->sh->count[MODE] <= RESUMES_WRONG;
}

/* The large blob in pieces: what was kept before, and this. */
static void serve_piece(struct server_req *r, const char *hex)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	const char *range = server_header(r, "content-range");
	size_t from = range != NULL ? strtoul(range, NULL, 10) : 0;
	int breaks = mode(r, RESUMES_TWICE) ? 2 : 1;

	blob(hex, &b);
	if (from != (size_t)r->sh->count[HAVE] || from + r->body_n > b.len ||
	    memcmp(b.data + from, r->body, r->body_n) != 0) {
		server_answer(r, 416, "", "");
	} else if (atomic_fetch_add(&r->sh->count[ONCE], 1) < breaks) {
		r->sh->count[HAVE] = (int)(from + r->body_n / 2);
		r->hang_up = true;
	} else if (mode(r, RESUMES_416) && from > 0) {
		server_answer(r, 416, "", "");
	} else if (mode(r, RESUMES_WRONG) && from > 0) {
		r->sh->count[HAVE] = 0;
		server_answer(r, 400, "", "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}");
	} else {
		note(r, hex);
		server_answer(r, 201, "", "");
	}
}

/* How much is there. */
static void serve_session(struct server_req *r)
{
	char head[128];
	int have = r->sh->count[HAVE] + (mode(r, RESUMES_LIES) ? 1 << 30 : 0);

	have = mode(r, RESUMES_STUCK) ? 0 : have;
	atomic_fetch_add(&r->sh->count[ASKED], 1);
	(void)snprintf(head, sizeof(head), "Range: 0-%d\r\nLocation: /up/2?_state=b\r\n",
		       have > 0 ? have - 1 : 0);
	server_answer(r, resumes(r) ? 204 : 404, head, "");
}

static void serve_put(struct server_req *r)
{
	const char *digest = strstr(r->path, "digest=sha256%3A");
	struct digest d = digest_of(r->body, r->body_n);

	atomic_fetch_add(&one.sh->count[PUTS], 1);
	if (put_fails(r))
		return;
	if (resumes(r) && digest != NULL &&
	    (r->body_n > 1000000 || server_header(r, "content-range") != NULL)) {
		serve_piece(r, digest + 16);
		return;
	}
	if (digest == NULL || strcmp(digest + 16, digest_hex(&d).s) != 0) {
		server_answer(r, 400, "", "wrong digest");
		return;
	}
	note(r, digest + 16);
	if (mode(r, PUT_LOST_AFTER))
		r->hang_up = true;
	else
		server_answer(r, 201, "", "");
}

static void serve_manifest_put(struct server_req *r)
{
	char *name SCOPED(mem_freep) = mem_format("manifest %s", strrchr(r->path, '/') + 1);

	note(r, name);
	server_answer(r, 201,
		      mode(r, MANIFEST_LIE)
			  ? "Docker-Content-Digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc"
			    "21fe77e8310c060f61caaff8a\r\n"
			  : "",
		      "");
}

static void serve_head(struct server_req *r)
{
	const char *hex = strstr(r->path, "sha256:");

	if (mode(r, HEAD_SIZE))
		server_say(r, "HTTP/1.1 200 X\r\nContent-Length: 7\r\n\r\n");
	else if (hex != NULL && noted(r->sh, hex + 7))
		server_say(r, "HTTP/1.1 200 X\r\n\r\n");
	else
		server_answer(r, 404, "", "");
}

static void blob(const char *hex, struct buf *ret)
{
	char *path SCOPED(mem_freep) = mem_format("blobs/sha256/%s", hex);
	struct err e = ERR_INIT;

	if (fs_get(oci_layout_fd(scene.layout), path, ret, &e) != 0)
		abort();
}

static void send_whole(struct server_req *r, const struct buf *b, size_t cut)
{
	server_say(r, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", b->len);
	server_write(r, b->data, cut);
	r->hang_up = cut < b->len;
}

static void send_rest(struct server_req *r, const struct buf *b, size_t from)
{
	atomic_fetch_add(&r->sh->count[RANGES], 1);
	server_say(r,
		   "HTTP/1.1 206 X\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu"
		   "\r\n\r\n",
		   from, b->len - 1, b->len, b->len - from);
	server_write(r, b->data + from, b->len - from);
}

static bool cuts(const struct server_req *r)
{
	return mode(r, GET_CUT_ONCE) || mode(r, GET_CUT_NO_RANGE) || mode(r, GET_CUT_EVIL);
}

static void serve_blob(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	const char *range = server_header(r, "range");
	char *head SCOPED(mem_freep) = NULL;

	blob(strstr(r->path, "sha256:") + 7, &b);
	if (mode(r, GET_ELSEWHERE)) {
		head =
		    mem_format("Location: http://127.0.0.1:%d%s\r\n", r->sh->count[OTHER], r->path);
		server_answer(r, 307, head, "");
	} else if (mode(r, GET_401_ONCE) && once(r)) {
		atomic_fetch_add(&r->sh->count[TOKENS], 1);
		challenge(r);
	} else if (cuts(r) && b.len > 1000000 && once(r)) {
		b.data[5] ^= mode(r, GET_CUT_EVIL) ? 1 : 0;
		send_whole(r, &b, b.len / 2);
	} else if (mode(r, GET_WRONG)) {
		b.data[5] ^= 1;
		send_whole(r, &b, b.len);
	} else if (mode(r, GET_LONG)) {
		buf_add(&b, "x", 1);
		send_whole(r, &b, b.len);
	} else if (range != NULL && !mode(r, GET_CUT_NO_RANGE)) {
		send_rest(r, &b, strtoul(range + strlen("bytes="), NULL, 10));
	} else {
		send_whole(r, &b, b.len);
	}
}

static void serve_manifest(struct server_req *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
	const char *name = strrchr(r->path, '/') + 1;
	char *put SCOPED(mem_freep) = mem_format("manifest %s\n", name);

	bool empty = r->sh->count[EMPTY] != 0 || strstr(r->path, "/other/") != NULL;

	/* EMPTY: it has only what was pushed */
	if ((strcmp(name, "1.0") != 0 && strncmp(name, "sha256:", 7) != 0) ||
	    (empty && !noted(r->sh, put))) {
		server_answer(r, 404, "", "");
		return;
	}
	blob(digest_hex(&scene.image.digest).s, &b);
	if (mode(r, MANIFEST_WRONG))
		buf_add(&b, " ", 1);
	if (mode(r, MANIFEST_HTML))
		server_answer(r, 200, "Content-Type: text/html\r\n", "<html>log in here</html>");
	else if (mode(r, MANIFEST_DOCKER))
		server_answer(r, 200,
			      "Content-Type: application/vnd.docker.distribution.manifest.v2+json; "
			      "charset=utf-8\r\n",
			      "{\"schemaVersion\":2}");
	else if (mode(r, MANIFEST_LIE))
		server_answer(
		    r, 200,
		    "Docker-Content-Digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc"
		    "21fe77e8310c060f61caaff8a\r\n",
		    b.data);
	else
		server_answer(r, 200, "", b.data);
}

static void serve(struct server_req *r)
{
	if (strncmp(r->path, "/token", 6) == 0)
		serve_token(r);
	else if (!let_in(r))
		return;
	else if (strcmp(r->path, "/v2/") == 0)
		server_answer(r, 200, "", "{}");
	else if (strcmp(r->method, "POST") == 0)
		serve_post(r);
	else if (strcmp(r->method, "GET") == 0 && strncmp(r->path, "/up/", 4) == 0)
		serve_session(r);
	else if (strstr(r->path, "/referrers/") != NULL)
		server_answer(r, 404, "", "");
	else if (strcmp(r->method, "HEAD") == 0)
		serve_head(r);
	else if (strcmp(r->method, "PUT") == 0 && strstr(r->path, "/manifests/") != NULL)
		serve_manifest_put(r);
	else if (strcmp(r->method, "PUT") == 0)
		serve_put(r);
	else if (strstr(r->path, "/manifests/") != NULL)
		serve_manifest(r);
	else
		serve_blob(r);
}

/* The other server: takes uploads for the first and gives blobs; a token's realm as well. */
static void serve_other(struct server_req *r)
{
	if (strncmp(r->path, "/token", 6) == 0) {
		r->sh->count[MODE] = one.sh->count[MODE];
		serve_token(r);
		r->sh->count[MODE] = GOOD;
		return;
	}
	if (server_header(r, "authorization") != NULL)
		atomic_fetch_add(&r->sh->count[AUTH_SEEN], 1);
	if (strcmp(r->method, "PUT") == 0) {
		note(r, "upload");
		r->sh = one.sh;
		serve_put(r);
	} else {
		serve_blob(r);
	}
}

#endif
