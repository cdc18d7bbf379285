/* filter.c - the rules of an instance, from the ports that its image declares: nft(8). */
#include "network/parts.h"

#include "base/num.h"
#include "form/digest.h"
#include <string.h>

enum { PORTS = UINT16_MAX + 1, TCP = 0, UDP = 1 };

struct ports {
	bool *open[2]; /* of PORTS each */
};

static void ports_release(struct ports *p)
{
	mem_freep(&p->open[TCP]);
	mem_freep(&p->open[UDP]);
}

/* "80/tcp", "2000-2010/udp", and "80", which is TCP's. */
static int add_port(void *ctx, const char *key, struct jval *val)
{
	struct ports *p = ctx;
	size_t n = strcspn(key, "/");
	char *range SCOPED(mem_freep) = mem_strndup(key, n);
	const char *proto = key[n] == '/' ? key + n + 1 : "tcp";
	char *dash = strchr(range, '-');
	uint64_t first, last;
	int of = strcmp(proto, "udp") == 0 ? UDP : TCP;

	(void)val;
	if (of == TCP && strcmp(proto, "tcp") != 0)
		return -1;
	if (dash != NULL)
		*dash = '\0';
	if (num_u64(range, UINT16_MAX, &first) != 0 || first == 0)
		return -1;
	last = first;
	if (dash != NULL && (num_u64(dash + 1, UINT16_MAX, &last) != 0 || last < first))
		return -1;
	memset(p->open[of] + first, true, last - first + 1);
	return 0;
}

static void put_ports(const char *proto, const bool *open, struct buf *ret)
{
	const char *before = "{ ";
	size_t from = ret->len;

	for (unsigned i = 1, k; i < PORTS; i = k) {
		for (k = i; k < PORTS && open[k]; k++)
			continue;
		if (k == i) {
			k++;
			continue;
		}
		if (ret->len == from)
			buf_addf(ret, "\t\t%s dport ", proto);
		buf_addf(ret, "%s%u", before, i);
		if (k > i + 1)
			buf_addf(ret, "-%u", k - 1);
		before = ", ";
	}
	if (ret->len > from)
		buf_addf(ret, " } accept\n");
}

/* The first two lines make sure that there is one to delete: all is one transaction, and what it
 * leaves is this table whatever was there. At the two addresses of the output a cloud gives away
 * its roles' credentials, which are the host's: who has the host's own card is nearer to them than
 * a limit of hops. */
static const char head_text[] = "table inet posmedia\n"
				"delete table inet posmedia\n"
				"table inet posmedia {\n"
				"\tchain forward {\n"
				"\t\ttype filter hook forward priority filter; policy drop;\n"
				"\t}\n"
				"\tchain output {\n"
				"\t\ttype filter hook output priority filter; policy accept;\n"
				"\t\toifname \"lo\" accept\n"
				"\t\tmeta nfproto ipv6 drop\n"
				"\t\tip daddr { 169.254.169.254, 169.254.170.2 } drop\n"
				"\t}\n"
				"\tchain input {\n"
				"\t\ttype filter hook input priority filter; policy drop;\n"
				"\t\tiifname \"lo\" accept\n"
				"\t\tmeta nfproto ipv6 drop\n"
				"\t\tip saddr 127.0.0.0/8 drop\n"
				"\t\tip daddr 127.0.0.0/8 drop\n"
				"\t\tct state invalid drop\n";
static const char answers_text[] = "\t\tct state established,related accept\n";
static const char icmp_text[] = "\t\ticmp type { echo-request, destination-unreachable, "
				"time-exceeded, parameter-problem } accept\n";

/* Who was let in before stays no longer than the closing: a packet of his is not in the direction
 * of an answer. He is told at once, and does not wait for one. */
static const char own_answers_text[] = "\t\tct state established ct direction reply accept\n";
static const char refuse_text[] = "\t\tmeta l4proto tcp counter reject with tcp reset\n";

/* The last rule is the one by which net_is knows all of them again, and a person what was refused.
 */
static int put_mark(struct buf *ret, struct err *e)
{
	struct digest mark = digest_of(ret->data, ret->len);

	buf_addf(ret, "\t\tcounter drop comment \"%s\"\n\t}\n}\n", digest_text(&mark).s);
	return buf_over(ret) ? err_set(e, ERR_VERIFY, "the image declares too many ports") : 0;
}

int net_filter(const struct jval *config, struct buf *ret, struct err *e)
{
	const struct jval *ports = jval_get(jval_get(config, "config"), "ExposedPorts");
	struct ports p SCOPED(ports_release) = {{mem_zalloc(PORTS), mem_zalloc(PORTS)}};

	if (jval_each(ports, add_port, &p) != 0)
		return err_set(e, ERR_VERIFY,
			       "the image declares a port that is none of tcp or udp");
	buf_addf(ret, "%s%s%s", head_text, answers_text, icmp_text);
	put_ports("tcp", p.open[TCP], ret);
	put_ports("udp", p.open[UDP], ret);
	return put_mark(ret, e);
}

int net_filter_closed(struct buf *ret, struct err *e)
{
	buf_addf(ret, "%s%s%s%s", head_text, own_answers_text, icmp_text, refuse_text);
	return put_mark(ret, e);
}
