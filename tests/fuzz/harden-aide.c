/* Any text as aide.conf: rules and groups, also groups of themselves, come to an end. */
#include "fuzz.h"

#include "harden/aide_config.h"
#include "harden/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};
	struct aide_config c SCOPED(aide_config_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	/* an expression of the tree's owner may be slow; it may not be wrong */
	if (n > 1000 || aide_config_parse(&lines, "x", &c, &e) != 0)
		return 0;
	HOLDS(c.names.n == c.values.n && c.n <= lines.n);
	for (size_t i = 0; i < c.n; i++) {
		struct strv a SCOPED(strv_release) = {0};

		HOLDS(c.rules[i].regex[0] == '/');
		if (strpbrk(c.rules[i].regex, "*+{(") == NULL)
			(void)aide_rule_matches(&c.rules[i], "/etc/passwd");
		aide_attributes(&c, c.rules[i].group, &a);
	}
	return 0;
}
