/* http-fetch.h - the server of http-fetch.c: /KIND/SIZE is SIZE bytes, sent as KIND says. */
#ifndef TESTS_HTTP_FETCH_H
#define TESTS_HTTP_FETCH_H

#include "http-server.h"

enum { RANGES = 1, HITS = 2, CUT = 3 };

/* The bytes of a file are known from its size. */
static char *content(size_t n)
{
	char *p = mem_zalloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + (i * 7 + i / 26 + n) % 26);
	return p;
}

static void send_range(struct server_req *r, const char *p, size_t n, size_t from)
{
	if (from >= n) {
		server_answer(r, 416, "", "");
		return;
	}
	server_say(r,
		   "HTTP/1.1 206 X\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: "
		   "%zu\r\n\r\n",
		   from, n - 1, n, n - from);
	server_write(r, p + from, n - from);
}

static void whole(struct server_req *r, const char *p, size_t n, size_t cut)
{
	server_say(r, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", n);
	server_write(r, p, cut);
	r->hang_up = cut < n;
}

struct asked {
	char kind[32];
	size_t size, from;
	bool has_range;
};

/* Whether it was one of these: silent after half, or elsewhere. */
static bool send_elsewhere(struct server_req *r, const struct asked *a, const char *p)
{
	if (strcmp(a->kind, "stall") == 0) {
		whole(r, p, a->size, a->has_range ? 0 : a->size / 2);
		(void)sleep(5);
	} else if (strcmp(a->kind, "loop") == 0) {
		server_answer(r, 302, "Location: /loop/700\r\n", "");
	} else if (strcmp(a->kind, "astray") == 0) {
		server_answer(r, 302, "Location: file:///etc/passwd\r\n", "");
	} else if (strcmp(a->kind, "there") == 0) {
		server_answer(r, 302, "Location: /ok/700\r\n", "");
	} else {
		return false;
	}
	return true;
}

static void misbehave(struct server_req *r, const struct asked *a, char *p)
{
	bool first = atomic_fetch_add(&r->sh->count[CUT], 1) == 0;

	if (strcmp(a->kind, "bad") == 0) {
		p[a->size / 2] ^= 1;
		whole(r, p, a->size, a->size);
	} else if (strcmp(a->kind, "long") == 0) {
		server_say(r, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n%sx", a->size + 1, p);
	} else if (strcmp(a->kind, "norange") == 0) {
		whole(r, p, a->size, a->size);
	} else if (strcmp(a->kind, "cut") == 0 && first) {
		whole(r, p, a->size, a->size / 2);
	} else if (strcmp(a->kind, "cutalways") == 0) {
		whole(r, p, a->size, a->size / 2);
	} else if (strcmp(a->kind, "no416") == 0 && a->has_range) {
		server_answer(r, 416, "", "");
	} else if (strcmp(a->kind, "badrange") == 0 && a->has_range) {
		server_answer(r, 206, "Content-Range: bytes 3-9/10\r\n", "abc");
	} else if (a->has_range) {
		send_range(r, p, a->size, a->from);
	} else {
		whole(r, p, a->size, a->size);
	}
}

static void serve(struct server_req *r)
{
	const char *range = server_header(r, "range");
	struct asked a = {.has_range = range != NULL};
	char *p SCOPED(mem_freep) = NULL;

	atomic_fetch_add(&r->sh->count[HITS], 1);
	if (sscanf(r->path, "/%31[a-z0-9]/%zu", a.kind, &a.size) != 2) {
		server_answer(r, 404, "", "no");
		return;
	}
	if (range != NULL) {
		atomic_fetch_add(&r->sh->count[RANGES], 1);
		a.from = strtoul(range + strlen("bytes="), NULL, 10);
	}
	p = content(a.size);
	if (strcmp(a.kind, "status") == 0)
		server_answer(r, (int)a.size, "", "told so");
	else if (!send_elsewhere(r, &a, p))
		misbehave(r, &a, p);
}

#endif
