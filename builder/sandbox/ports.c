/* ports.c - sock_diag(7), asked inside another network namespace. */
#include "sandbox/ports.h"

#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MAX = 32 << 10, WAIT_S = 2 };

struct question {
	struct nlmsghdr h;
	struct inet_diag_req_v2 q;
};

/* A socket belongs to the network in which it was made. */
static int socket_in(int pid)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/ns/net", pid);
	int own SCOPED(fd_closep) = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int its SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	int fd SCOPED(fd_closep) = -1;

	if (own < 0 || its < 0 || setns(its, CLONE_NEWNET) != 0)
		return -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	return setns(own, CLONE_NEWNET) == 0 ? STEAL_FD(fd) : -1;
}

/* 1 when the port is in this part of the answer, 0 at its end, -1 on an error, 2 to go on. */
static int look(const char *p, size_t n, uint16_t port)
{
	const struct nlmsghdr *h = (const void *)p;

	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		const struct inet_diag_msg *m = NLMSG_DATA(h);

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
			return -1;
		if (m->idiag_state == TCP_LISTEN && m->id.idiag_sport == htons(port))
			return 1;
	}
	return 2;
}

static int ask(int fd, unsigned char family, uint16_t port)
{
	const struct question q = {.h = {.nlmsg_len = sizeof(q),
					 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
				   .q = {.sdiag_family = family,
					 .sdiag_protocol = IPPROTO_TCP,
					 .idiag_states = 1u << TCP_LISTEN}};
	char *answer SCOPED(mem_freep) = mem_zalloc(ANSWER_MAX);
	int found = 2;

	if (send(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return -1;
	while (found == 2) {
		ssize_t n = recv(fd, answer, ANSWER_MAX, 0);

		if (n < 0 && errno == EINTR)
			continue;
		found = n > 0 ? look(answer, (size_t)n, port) : -1;
	}
	return found;
}

int sandbox_listens(int pid, uint16_t port)
{
	const struct timeval wait = {.tv_sec = WAIT_S};
	static const unsigned char families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < sizeof(families); i++) {
		int fd SCOPED(fd_closep) = pid > 0 ? socket_in(pid) : -1;
		int rc;

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
			return -1;
		rc = ask(fd, families[i], port);
		if (rc != 0)
			return rc;
	}
	return 0;
}
