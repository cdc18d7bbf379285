/* Any text as the rules of the packet filter and as the files that servers and runtimes read about
 * TLS: a profile that looks at them passes or fails, and the rules pass in no form but ours. */
#include "root.h"

#include "harden/harden.h"

static const char profile_text[] =
    "posmedia-profile: 1\nid: fuzz\nversion: 1.0.0\ntitle: a test\ncontrols:\n"
    "  - id: NET-01\n    title: a test\n    severity: high\n    sources: {posmedia: [\"1\"]}\n"
    "    want: [{firewall: {path: /x}}]\n"
    "  - id: CRY-02\n    title: a test\n    severity: high\n    sources: {posmedia: [\"1\"]}\n"
    "    want:\n"
    "      - tls: {apache: [/x], nginx: [/x], cups: [/x], postfix: [/x], java: [/x]}\n";

static struct harden_profile *profile(void)
{
	static struct harden_profile *p;
	struct err e = ERR_INIT;

	if (p == NULL) {
		char *path SCOPED(mem_freep) = NULL;

		fuzz_put("profile.yaml", profile_text, strlen(profile_text));
		path = mem_format("%s/profile.yaml", fuzz_tree.path);
		HOLDS(harden_profile_load(path, &p, &e) == 0);
	}
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct harden_profile *wants = profile();
	const struct harden_context c = {.today = 0};
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	fuzz_put("x", p, n);
	HOLDS(harden_check(wants, fuzz_tree.path, &c, &r, &e) == 0);
	HOLDS(r.n == 2);
	for (size_t i = 0; i < r.n; i++) {
		HOLDS(r.v[i].status == HARDEN_PASS || r.v[i].status == HARDEN_FAIL);
		HOLDS(strcmp(r.v[i].id, "NET-01") != 0 || r.v[i].status == HARDEN_FAIL ||
		      (n > 20 && memcmp(p, "#!/usr/sbin/nft -f\n#", 20) == 0));
	}
	harden_report_release(&r);
	return 0;
}
