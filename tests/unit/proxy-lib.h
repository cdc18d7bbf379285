/* proxy-lib.h - a proxy, the server behind it and a client before it, for the tests of proxy/. */
#ifndef TESTS_PROXY_LIB_H
#define TESTS_PROXY_LIB_H

#include "http-server.h"
#include "proxy/proxy.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
	char dir[40];
	struct store *s;
	struct server up;  /* where the proxy fetches */
	struct strv allow; /* the server, unless a test says otherwise */
	struct proxy *p;
	int port; /* of the proxy */
};

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	return ntohs(a.sin_port);
}

/* Makes store and server; the proxy is started by each test. */
static struct bench *bench_new(server_fn fn)
{
	struct bench *b = mem_zalloc(sizeof(*b));
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	if (sandbox_enter(&e) != 0)
		fail_msg("%s", e.msg);
	strcpy(b->dir, "/tmp/posmedia-proxy-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	path = mem_format("%s/store", b->dir);
	assert_int_equal(store_open(path, &b->s, &e), 0);
	server_start(&b->up, fn);
	strv_addf(&b->allow, "127.0.0.1:%d", b->up.port);
	return b;
}

static void bench_free(struct bench *b)
{
	struct err e = ERR_INIT;

	proxy_free(b->p);
	server_stop(&b->up);
	store_free(b->s);
	strv_release(&b->allow);
	assert_int_equal(fs_rmtree(AT_FDCWD, b->dir, &e), 0);
	free(b);
}

/* Starts the proxy for a step "fetch" that may ask the server. */
static void begin(struct bench *b, struct proxy_spec spec)
{
	char *dir SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(store_scratch(b->s, "proxy", &dir, &e), 0);
	spec.s = b->s;
	spec.dir = dir;
	spec.step = "fetch";
	spec.allow = &b->allow;
	if (proxy_start(&spec, &b->p, &e) != 0)
		fail_msg("%s", e.msg);
	b->port = free_port();
	assert_int_equal(sandbox_listen(proxy_listen_to(b->p), (uint16_t)b->port, &e), 0);
}

/* Ends it. Returns what proxy_stop does. */
static int finish(struct bench *b, struct proxy_result *r, struct err *e)
{
	int rc = proxy_stop(b->p, r, e);

	proxy_freep(&b->p);
	return rc;
}

static int dial(const struct bench *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)b->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Sends bytes and returns all that comes back until the proxy closes; the caller owns it. */
static char *exchange(const struct bench *b, const void *p, size_t n)
{
	int fd SCOPED(fd_closep) = dial(b);
	struct buf got = BUF_INIT(1 << 20);
	char chunk[4096];
	ssize_t r;

	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
	(void)shutdown(fd, SHUT_WR);
	while ((r = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&got, chunk, (size_t)r);
	return buf_take(&got);
}

/* METHOD of the server's path through the proxy, with more header lines; the caller owns it. */
static char *ask_with(const struct bench *b, const char *method, const char *path,
		      const char *headers)
{
	char *text SCOPED(mem_freep) =
	    mem_format("%s http://127.0.0.1:%d%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		       "%s\r\n",
		       method, b->up.port, path, headers);

	return exchange(b, text, strlen(text));
}

UNUSED static char *ask(const struct bench *b, const char *path)
{
	return ask_with(b, "GET", path, "");
}

/* GET must give this status line and, unless NULL, this body. */
UNUSED static void expect(const struct bench *b, const char *path, const char *status,
			  const char *body)
{
	char *got SCOPED(mem_freep) = ask(b, path);
	char *line SCOPED(mem_freep) = mem_format("HTTP/1.1 %s", status);
	const char *end = strstr(got, "\r\n\r\n");

	if (strncmp(got, line, strlen(line)) != 0)
		fail_msg("%s: wanted %s, got %s", path, line, got);
	if (body != NULL) {
		assert_non_null(end);
		assert_string_equal(end + 4, body);
	}
}

#endif
