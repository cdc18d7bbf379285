/* listen.c - a TCP port inside the sandbox that a process outside answers: the network namespace
 * stays empty, what comes out of it is one descriptor. */
#include "sandbox/priv.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64 };

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_fd(int to, int fd, struct err *e)
{
	struct iovec one = {"", 1};
	union control c = {0};
	struct msghdr m = {.msg_iov = &one,
			   .msg_iovlen = 1,
			   .msg_control = c.bytes,
			   .msg_controllen = sizeof(c.bytes)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	while (sendmsg(to, &m, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_sys(e, "hand over the port");
	return 0;
}

int sandbox_listen(int to, uint16_t port, struct err *e)
{
	int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0)
		return err_sys(e, "listen on port %u of loopback", (unsigned)port);
	return send_fd(to, fd, e);
}

int sandbox_take_listener(int from, int *ret_fd, struct err *e)
{
	char byte;
	struct iovec one = {&byte, 1};
	union control c = {0};
	struct msghdr m = {.msg_iov = &one,
			   .msg_iovlen = 1,
			   .msg_control = c.bytes,
			   .msg_controllen = sizeof(c.bytes)};
	const struct cmsghdr *h;
	ssize_t n;

	do
		n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "take over a port");
	h = CMSG_FIRSTHDR(&m);
	if (n == 0 || h == NULL || h->cmsg_type != SCM_RIGHTS ||
	    h->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(e, ERR_FAIL, "take over a port: there is none");
	memcpy(ret_fd, CMSG_DATA(h), sizeof(*ret_fd));
	return 0;
}
