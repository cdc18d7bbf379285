/* Any JSON as the config of an image, whose ports become rules, and as what ip(8) prints. */
#include "fuzz.h"

#include "network/parts.h"

/* What a person and nft(8) read: nothing of the image's words is in it. */
static bool is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((*s < ' ' && *s != '\n' && *s != '\t') || *s == '\\' || *s == '$' || *s == '@')
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf rules SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct net_links l SCOPED(net_links_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;

	if (jval_parse((const char *)p, n, "config", &v, &e) != 0)
		return 0;
	if (net_filter(v, &rules, &e) == 0)
		HOLDS(is_plain(rules.data));
	net_had_lines("eth1", false, v, &lines);
	net_had_lines("eth1", true, v, &lines);
	if (net_links_parse(jval_ref(v), &l, &e) == 0)
		for (size_t i = 0; i < l.n; i++)
			net_address_lines(&l.v[i], &lines);
	for (size_t i = 0; i < lines.n; i++)
		HOLDS(strchr(lines.v[i], '\n') == NULL);
	return 0;
}
