/* Any text as audit rules: a rule that is taken covers itself, and its words are bounded. */
#include "fuzz.h"

#include "harden/audit_rules.h"
#include "harden/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};

	lines_split(text, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		struct audit_rule r = {0};
		struct audit_rules all = {.v = &r, .n = 1};
		struct err e = ERR_INIT;

		if (audit_rule_parse(lines.v[i], &r, &e) != 1)
			continue;
		if (r.kind == AUDIT_RULE) {
			HOLDS(r.list != NULL && r.action != NULL && r.perms <= 15);
			HOLDS(strcmp(r.action, "always") != 0 || audit_rules_cover(&all, &r));
		}
		(void)audit_rule_silences(&r);
		audit_rule_release(&r);
	}
	return 0;
}
