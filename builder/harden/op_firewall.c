/* op_firewall.c - nftables.conf from the recipe's ports: what is not listed is dropped.
 *
 * Only the form that a fix writes is accepted: rules of any other shape cannot be judged here. */
#include "harden/lines.h"
#include "harden/op.h"

#include "base/num.h"
#include <stddef.h>
#include <string.h>

struct firewall {
	char *path;
};

static const struct field firewall_fields[] = {
    {"path", FIELD_PATH, offsetof(struct firewall, path), true},
    {0},
};

static const char head_text[] =
    "#!/usr/sbin/nft -f\n"
    "# Written by posmedia from the ports of the recipe.\n"
    "flush ruleset\n"
    "table inet posmedia {\n"
    "\tchain input {\n"
    "\t\ttype filter hook input priority filter; policy drop;\n"
    "\t\tiif \"lo\" accept\n"
    "\t\tip saddr 127.0.0.0/8 drop\n"
    "\t\tip6 saddr ::1 drop\n"
    "\t\tct state invalid drop\n"
    "\t\tct state established,related accept\n"
    "\t\ticmp type { echo-request, destination-unreachable, time-exceeded } accept\n"
    "\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
    "nd-neighbor-solicit, nd-neighbor-advert } accept\n";

static const char tail_text[] = "\t}\n"
				"\tchain forward {\n"
				"\t\ttype filter hook forward priority filter; policy drop;\n"
				"\t}\n"
				"\tchain output {\n"
				"\t\ttype filter hook output priority filter; policy accept;\n"
				"\t}\n"
				"}\n";

static void port_lines(const struct recipe *recipe, struct strv *ret)
{
	for (size_t i = 0; i < recipe->ports_n; i++) {
		const struct recipe_port *p = &recipe->ports[i];
		const char *proto = p->udp ? "udp" : "tcp";

		if (p->first == p->last)
			strv_addf(ret, "\t\t%s dport %u accept", proto, p->first);
		else
			strv_addf(ret, "\t\t%s dport %u-%u accept", proto, p->first, p->last);
	}
	strv_sort(ret);
	strv_uniq(ret);
}

static bool is_port(const char *text, uint64_t *ret)
{
	return num_u64(text, UINT16_MAX, ret) == 0 && *ret > 0;
}

/* "		tcp dport 2000-2001 accept" */
static bool is_port_line(const char *line)
{
	struct strv w SCOPED(strv_release) = {0}, ports SCOPED(strv_release) = {0};
	uint64_t first, last;

	line_words(line, &w);
	if (w.n != 4 || (strcmp(w.v[0], "tcp") != 0 && strcmp(w.v[0], "udp") != 0) ||
	    strcmp(w.v[1], "dport") != 0 || strcmp(w.v[3], "accept") != 0)
		return false;
	line_fields(w.v[2], '-', &ports);
	if (ports.n == 1)
		return is_port(ports.v[0], &first);
	return ports.n == 2 && is_port(ports.v[0], &first) && is_port(ports.v[1], &last) &&
	       first < last;
}

static void look_ports(const struct op_run *r, const char *path, const struct strv *have)
{
	struct strv wants SCOPED(strv_release) = {0};

	if (r->c->recipe == NULL)
		return;
	port_lines(r->c->recipe, &wants);
	for (size_t i = 0; i < have->n; i++)
		if (!strv_has(&wants, have->v[i]))
			strv_addf(r->found, "/%s: \"%s\" is not in the recipe's ports", path,
				  have->v[i] + strspn(have->v[i], "\t"));
	for (size_t i = 0; i < wants.n; i++)
		if (!strv_has(have, wants.v[i]))
			strv_addf(r->found, "/%s: lacks \"%s\" of the recipe's ports", path,
				  wants.v[i] + strspn(wants.v[i], "\t"));
}

static int firewall_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct firewall *w = want;
	struct strv lines SCOPED(strv_release) = {0}, head SCOPED(strv_release) = {0};
	struct strv tail SCOPED(strv_release) = {0}, ports SCOPED(strv_release) = {0};
	size_t at = 0;

	if (lines_read(r->rootfd, w->path, &lines, NULL, e) != 0)
		return -1;
	lines_split(head_text, &head);
	lines_split(tail_text, &tail);
	while (at < head.n && at < lines.n && strcmp(head.v[at], lines.v[at]) == 0)
		at++;
	for (; at >= head.n && at < lines.n && is_port_line(lines.v[at]); at++)
		strv_add(&ports, lines.v[at]);
	for (size_t i = 0; at >= head.n && i < tail.n && at < lines.n; i++, at++)
		if (strcmp(tail.v[i], lines.v[at]) != 0)
			break;
	if (lines.n != head.n + ports.n + tail.n || at != lines.n) {
		strv_addf(r->found, "/%s:%zu: is not the default-drop form written from a recipe",
			  w->path, at + 1);
		return 0;
	}
	look_ports(r, w->path, &ports);
	return 0;
}

static int firewall_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct firewall *w = want;
	struct strv ports SCOPED(strv_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);

	if (r->c->recipe == NULL)
		return err_set(e, ERR_FAIL, "/%s: only a recipe tells the ports", w->path);
	port_lines(r->c->recipe, &ports);
	buf_addf(&text, "%s", head_text);
	lines_join(&ports, &text);
	buf_addf(&text, "%s", tail_text);
	strv_addf(r->done, "/%s: written from %zu ports", w->path, ports.n);
	return root_write(r->rootfd, w->path, &text, 0644, e);
}

const struct op_kind op_firewall = {
    .name = "firewall",
    .size = sizeof(struct firewall),
    .fields = firewall_fields,
    .check = firewall_check,
    .fix = firewall_fix,
};
