/* http-server.h - a small HTTP server for tests that misbehaves as told: a forked process on a free
 * loopback port; every request is given to a function of the test. */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include "base/mem.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct server_shared {
	atomic_int connections, requests;
	atomic_int count[16]; /* for the test's own use */
	char text[4096];      /* the same */
};

struct server_req {
	int fd;
	char method[16], path[2048];
	char head[16384]; /* request line and headers */
	char *body;
	size_t body_n;
	struct server_shared *sh;
	/* the body is read before the test sees the request, unless the path has "early" in it
	 */
	bool hang_up; /* close the connection after this request */
};

typedef void (*server_fn)(struct server_req *r);

struct server {
	pid_t pid;
	int port;
	struct server_shared *sh;
};

UNUSED static void server_write(struct server_req *r, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0) {
		ssize_t w = send(r->fd, s, n, MSG_NOSIGNAL);

		if (w <= 0)
			return;
		s += w;
		n -= (size_t)w;
	}
}

/* Raw text to the client. */
PRINTF(2, 3) UNUSED static void server_say(struct server_req *r, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	server_write(r, text, strlen(text));
	free(text);
}

/* A whole answer; `headers` are lines ending in \r\n, or "". */
UNUSED static void server_answer(struct server_req *r, int status, const char *headers,
				 const char *body)
{
	bool head = strcmp(r->method, "HEAD") == 0;

	server_say(r, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
		   strlen(body), head ? "" : body);
}

/* The value of a request header, in a static buffer, or NULL. */
UNUSED static const char *server_header(const struct server_req *r, const char *name)
{
	static char value[4096];
	const char *p = r->head;
	size_t n = strlen(name);

	while ((p = strstr(p, "\r\n")) != NULL) {
		p += 2;
		if (strncasecmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1 + strspn(p + n + 1, " ");
		(void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
		return value;
	}
	return NULL;
}

static bool server_read_head(struct server_req *r, char *extra, size_t *extra_n)
{
	size_t n = 0;
	char *end;

	r->head[0] = '\0';
	while ((end = strstr(r->head, "\r\n\r\n")) == NULL) {
		ssize_t got = n + 1 < sizeof(r->head)
				  ? read(r->fd, r->head + n, sizeof(r->head) - 1 - n)
				  : -1;

		if (got <= 0)
			return false;
		n += (size_t)got;
		r->head[n] = '\0';
	}
	end += 4;
	*extra_n = n - (size_t)(end - r->head);
	memcpy(extra, end, *extra_n);
	*end = '\0';
	return sscanf(r->head, "%15s %2047s", r->method, r->path) == 2;
}

static void server_read_body(struct server_req *r, const char *extra, size_t n)
{
	const char *length = server_header(r, "content-length");

	r->body_n = length != NULL ? strtoul(length, NULL, 10) : 0;
	r->body = mem_zalloc(r->body_n + 1);
	n = n < r->body_n ? n : r->body_n;
	memcpy(r->body, extra, n);
	if (server_header(r, "expect") != NULL)
		server_say(r, "HTTP/1.1 100 Continue\r\n\r\n");
	while (n < r->body_n) {
		ssize_t got = read(r->fd, r->body + n, r->body_n - n);

		if (got <= 0)
			_exit(0);
		n += (size_t)got;
	}
}

static void server_connection(int fd, struct server_shared *sh, server_fn fn)
{
	static char extra[16384];
	size_t n = 0;

	for (;;) {
		struct server_req r = {.fd = fd, .sh = sh};

		if (!server_read_head(&r, extra, &n))
			_exit(0);
		atomic_fetch_add(&sh->requests, 1);
		if (strstr(r.path, "early") == NULL)
			server_read_body(&r, extra, n);
		fn(&r);
		free(r.body);
		if (r.hang_up)
			_exit(0);
	}
}

static void server_loop(int listening, struct server_shared *sh, server_fn fn)
{
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listening, NULL, NULL);

		if (fd < 0)
			_exit(0);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		atomic_fetch_add(&sh->connections, 1);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listening);
			server_connection(fd, sh, fn);
		}
		close(fd);
	}
}

UNUSED static void server_start(struct server *s, server_fn fn)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	s->sh =
	    mmap(NULL, sizeof(*s->sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->sh == MAP_FAILED || fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    listen(fd, 64) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	s->port = ntohs(a.sin_port);
	s->pid = fork();
	if (s->pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		server_loop(fd, s->sh, fn);
	}
	(void)setpgid(s->pid, s->pid);
	close(fd);
}

UNUSED static void server_stop(struct server *s)
{
	(void)kill(-s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	(void)munmap(s->sh, sizeof(*s->sh));
}

#endif
