/* reach.c - what a site names and a cutover wants there before it begins: printers that answer, and
 * a licence that can be read. Tunnels are the instance's own health. */
#include "cutover/run.h"

#include "base/num.h"
#include "site/secret.h"
#include "sys/clock.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PRINTER_MS = 5000 };

/* "socket://HOST[:PORT][/...]", as the site's grammar has let it in. */
static void printer_at(const char *uri, char **ret_host, char **ret_port)
{
	const char *from = strstr(uri, "://") + 3;
	size_t n = strcspn(from, "/:"), digits = from[n] == ':' ? strcspn(from + n + 1, "/") : 0;
	const char *usual = strncmp(uri, "socket:", 7) == 0 ? "9100"
			    : strncmp(uri, "lpd:", 4) == 0  ? "515"
							    : "631";

	*ret_host = mem_strndup(from, n);
	*ret_port = digits > 0 ? mem_strndup(from + n + 1, digits) : mem_strdup(usual);
}

static int wait_for(int fd, int within_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t n = sizeof(int);
	int why = 0, rc;

	rc = poll(&p, 1, within_ms);
	if (rc == 0)
		return ETIMEDOUT;
	if (rc < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0)
		return errno;
	return why;
}

/* 0, or why not. */
static int connect_to(const struct addrinfo *a, int within_ms)
{
	int fd SCOPED(fd_closep) =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	return errno == EINPROGRESS ? wait_for(fd, within_ms) : errno;
}

int cut_reach(const char *uri, int within_ms, struct err *e)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char *host SCOPED(mem_freep) = NULL, *port SCOPED(mem_freep) = NULL;
	struct addrinfo *list = NULL;
	int why = ENOENT;

	printer_at(uri, &host, &port);
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return err_set(e, ERR_STEP, "nobody knows the host %s", host);
	for (const struct addrinfo *a = list; a != NULL && why != 0; a = a->ai_next)
		why = connect_to(a, within_ms);
	freeaddrinfo(list);
	if (why == 0)
		return 0;
	errno = why;
	return err_set(e, ERR_STEP, "%s port %s: %s", host, port, strerror(why));
}

static void told(struct jval *list, const char *name, uint64_t begun, const struct err *why)
{
	struct jval *o = jval_object();

	jval_put_text(o, "name", name);
	jval_put_text(o, "on", "control");
	jval_put(o, "passed", jval_bool(why == NULL));
	jval_put_int(o, "ms", cut_since(begun));
	if (why != NULL)
		jval_put_text(o, "why", why->msg);
	jval_push(list, o);
}

static int one_printer(const struct site_printer *p, struct jval *list, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format("printer %s", p->name);
	uint64_t begun = clock_mono_ms();
	struct err why = ERR_INIT;
	int rc = cut_reach(p->uri, PRINTER_MS, &why);

	told(list, name, begun, rc == 0 ? NULL : &why);
	if (rc == 0)
		return 0;
	*e = why;
	(void)err_in(e, "%s", name);
	return err_hint(e, "Switch it on, or write \"printers: optional\".");
}

static int licence(const struct cut_run *r, struct jval *list, struct err *e)
{
	struct buf b SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);
	uint64_t begun = clock_mono_ms();
	struct err why = ERR_INIT;
	int rc = site_secret_read(&r->s->licence.from, &b, &why);

	told(list, "licence", begun, rc == 0 ? NULL : &why);
	if (rc == 0)
		return 0;
	*e = why;
	return err_in(e, "the licence");
}

int cut_reach_all(struct cut_run *r, struct jval *list, struct err *e)
{
	const struct site *s = r->s;
	struct err first = ERR_INIT;
	int rc = 0;

	if (s->licence.at != NULL)
		rc = licence(r, list, &first);
	for (size_t i = 0; i < s->printers_n; i++) {
		struct err why = ERR_INIT;

		if (one_printer(&s->printers[i], list, &why) == 0)
			continue;
		if (s->cutover.printers == SITE_PRINTERS_OPTIONAL)
			continue;
		if (rc == 0)
			first = why;
		rc = -1;
	}
	if (rc != 0)
		*e = first;
	return rc;
}
