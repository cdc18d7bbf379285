/* Any text as swanctl.conf: every setting has a key and a place, and is found again. */
#include "fuzz.h"

#include "harden/swanctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct swanctl s SCOPED(swanctl_release) = {0};
	struct err e = ERR_INIT;

	if (swanctl_parse(text, "x", &s, &e) != 0)
		HOLDS(e.msg[0] != '\0');
	for (size_t i = 0; i < s.n; i++) {
		HOLDS(*s.v[i].key != '\0' && s.v[i].val != NULL && s.v[i].line >= 1);
		HOLDS(swanctl_get(&s, s.v[i].section, s.v[i].key) != NULL);
	}
	for (size_t i = 0; i < s.sections.n; i++)
		HOLDS(*s.sections.v[i] != '\0');
	return 0;
}
