/* Any text as a URL: what is taken has one text, which is taken again, the same. */
#include "fuzz.h"

#include "form/url.h"

static void same_again(const struct url *u)
{
	struct url again SCOPED(url_release) = {0};
	struct err e = ERR_INIT;
	char *one SCOPED(mem_freep) = url_text(u), *two SCOPED(mem_freep) = NULL;

	HOLDS(u->host[0] != '\0' && u->port != 0 && u->path[0] == '/');
	if (strlen(one) > URL_MAX)
		return; /* a path that is as long as a whole URL may be */
	HOLDS(url_parse(one, &again, &e) == 0);
	two = url_text(&again);
	HOLDS(strcmp(one, two) == 0 && u->https == again.https && u->port == again.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct url u SCOPED(url_release) = {0}, at SCOPED(url_release) = {0};
	struct err e = ERR_INIT;

	if (url_parse(text, &u, &e) == 0)
		same_again(&u);
	if (url_parse_authority(text, true, &at, &e) == 0)
		same_again(&at);
	return 0;
}
