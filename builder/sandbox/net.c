/* net.c - the interfaces of an empty network namespace: netdevice(7), rtnetlink(7). */
#include "base/num.h"
#include "sandbox/priv.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "eth0"

struct request {
	struct nlmsghdr h;
	struct ifinfomsg link;
	char attributes[128];
};

struct answer {
	struct nlmsghdr h;
	struct nlmsgerr error;
	char rest[512];
};

/* Appends an attribute; the request has room for the few there are. */
static struct rtattr *attribute(struct request *r, unsigned short type, const void *p, size_t n)
{
	size_t at = NLMSG_ALIGN(r->h.nlmsg_len);
	struct rtattr *a = (struct rtattr *)(void *)((char *)r + at);

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	if (n > 0)
		memcpy(RTA_DATA(a), p, n);
	r->h.nlmsg_len = (uint32_t)(at + RTA_LENGTH(n));
	return a;
}

/* Adds an interface of that kind: 0, or the error number. */
static int add_link(const char *kind)
{
	struct request r = {
	    .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.link)),
		  .nlmsg_type = RTM_NEWLINK,
		  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
	    .link = {.ifi_family = AF_UNSPEC}};
	int fd SCOPED(fd_closep) = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct answer a = {0};
	struct rtattr *info;

	(void)attribute(&r, IFLA_IFNAME, NAME, sizeof(NAME));
	info = attribute(&r, IFLA_LINKINFO, NULL, 0);
	(void)attribute(&r, IFLA_INFO_KIND, kind, strlen(kind));
	info->rta_len = (unsigned short)((char *)&r + r.h.nlmsg_len - (char *)info);
	if (fd < 0 || send(fd, &r, r.h.nlmsg_len, 0) < 0 ||
	    recv(fd, &a, sizeof(a), 0) < (ssize_t)offsetof(struct answer, rest))
		return errno != 0 ? errno : EIO;
	return a.h.nlmsg_type == NLMSG_ERROR ? -a.error.error : EIO;
}

static int set_up(int fd, const char *name, struct err *e)
{
	struct ifreq r = {0};

	memcpy(r.ifr_name, name, strlen(name) + 1);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &r) != 0)
		return err_sys(e, "bring up the interface %s", name);
	return 0;
}

static int set_address(int fd, unsigned long what, struct in_addr in, struct err *e)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = in};
	struct ifreq r = {.ifr_name = NAME};

	memcpy(&r.ifr_addr, &to, sizeof(to));
	if (ioctl(fd, what, &r) != 0)
		return err_sys(e, "set the address of " NAME);
	return 0;
}

/* Installers read it, and some put it into a licence: it is always the same. */
static int set_hardware(int fd, struct err *e)
{
	static const unsigned char mac[] = {2, 0, 0, 0, 0, 1};
	struct ifreq r = {.ifr_name = NAME};

	r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(r.ifr_hwaddr.sa_data, mac, sizeof(mac));
	if (ioctl(fd, SIOCSIFHWADDR, &r) != 0)
		return err_sys(e, "set the hardware address of " NAME);
	return 0;
}

/* A kernel may lack either. */
static int make_link(struct err *e)
{
	static const char *const kinds[] = {"dummy", "bridge"};
	int why = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		why = add_link(kinds[i]);
		if (why == 0)
			return 0;
	}
	errno = why;
	(void)err_sys(e, "make the interface " NAME);
	return err_hint(e, "load the module dummy: modprobe dummy");
}

static int eth0_up(int fd, const char *address, struct err *e)
{
	const char *slash = strchr(address, '/');
	char *host SCOPED(mem_freep) =
	    mem_strndup(address, slash == NULL ? 0 : (size_t)(slash - address));
	struct in_addr in, mask, all;
	uint64_t bits;

	if (slash == NULL || num_u64(slash + 1, 30, &bits) != 0 || bits == 0 ||
	    inet_pton(AF_INET, host, &in) != 1)
		return err_set(e, ERR_FAIL, "the address %s is none", address);
	mask.s_addr = htonl(~(uint32_t)0 << (32 - bits));
	all.s_addr = in.s_addr | ~mask.s_addr;
	if (make_link(e) != 0 || set_hardware(fd, e) != 0 ||
	    set_address(fd, SIOCSIFADDR, in, e) != 0 ||
	    set_address(fd, SIOCSIFNETMASK, mask, e) != 0 ||
	    set_address(fd, SIOCSIFBRDADDR, all, e) != 0)
		return -1;
	return set_up(fd, NAME, e);
}

int net_up(const char *address, struct err *e)
{
	int fd SCOPED(fd_closep) = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "bring up the loopback interface");
	if (set_up(fd, "lo", e) != 0)
		return -1;
	return address != NULL ? eth0_up(fd, address, e) : 0;
}

int sandbox_net_empty(int *ret_fd, struct err *e)
{
	int own SCOPED(fd_closep) = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd SCOPED(fd_closep) = -1;

	if (own < 0 || unshare(CLONE_NEWNET) != 0)
		return err_sys(e, "make an empty network");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	/* what follows would look for the host's interfaces where none are */
	if (setns(own, CLONE_NEWNET) != 0)
		return err_sys(e, "come back from an empty network");
	if (fd < 0)
		return err_sys(e, "open an empty network");
	*ret_fd = STEAL_FD(fd);
	return 0;
}
