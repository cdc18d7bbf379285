#include "proxy/parts.h"

#include "base/glob.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

/* A pattern with a port is of "host:port", one without stands for the scheme's usual port. */
static bool matches(const char *pattern, const struct url *u)
{
	const char *from = pattern[0] == '[' ? strchr(pattern, ']') : pattern;
	bool has_port = from != NULL && strchr(from, ':') != NULL;
	char *full SCOPED(mem_freep) = mem_format("%s:%u", u->host, (unsigned)u->port);

	/* an address in brackets would be read as a class of characters */
	if (pattern[0] == '[')
		return strcmp(pattern, has_port ? full : u->host) == 0 &&
		       (has_port || u->port == (u->https ? 443 : 80));
	if (has_port)
		return glob_match(pattern, full);
	return u->port == (u->https ? 443 : 80) && glob_match(pattern, u->host);
}

enum allowed allow_host(const struct strv *allow, const struct url *u)
{
	enum allowed best = allow->n == 0 ? ALLOWED_PUBLIC : ALLOWED_NOT;

	for (size_t i = 0; i < allow->n; i++) {
		const char *p = allow->v[i];

		if (!matches(p, u))
			continue;
		if (strpbrk(p, "*?") == NULL)
			return ALLOWED_NAMED;
		best = ALLOWED_PUBLIC;
	}
	return best;
}

/* Networks that no public host is in: RFC 6890 and what came after it. */
static const struct {
	uint32_t net;
	unsigned bits;
} special4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15},
    {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3},
};

static bool public4(uint32_t a)
{
	for (size_t i = 0; i < sizeof(special4) / sizeof(special4[0]); i++)
		if ((a ^ special4[i].net) >> (32 - special4[i].bits) == 0)
			return false;
	return true;
}

static uint32_t ipv4_in(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* 2000::/3 is all that is public; parts of it hold an IPv4 address or are special. */
static bool public6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0)
		return public4(ipv4_in(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return public4(ipv4_in(a + 2));
	if (a[0] == 0x20 && a[1] == 0x01 && (a[2] < 2 || (a[2] == 0x0d && a[3] == 0xb8)))
		return false;
	return (a[0] & 0xe0) == 0x20;
}

/* Only an address of this machine can be bound to. */
static bool is_ours(const struct sockaddr *a, socklen_t n)
{
	int fd SCOPED(fd_closep) = socket(a->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, a, n) == 0;
}

bool address_is_public(const struct sockaddr *a)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	if (a->sa_family == AF_INET) {
		memcpy(&four, a, sizeof(four));
		four.sin_port = 0;
		return public4(ntohl(four.sin_addr.s_addr)) &&
		       !is_ours((const struct sockaddr *)&four, sizeof(four));
	}
	if (a->sa_family != AF_INET6)
		return false;
	memcpy(&six, a, sizeof(six));
	six.sin6_port = 0;
	return public6(six.sin6_addr.s6_addr) &&
	       !is_ours((const struct sockaddr *)&six, sizeof(six));
}
