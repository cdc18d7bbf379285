/* Any text as a service of /etc/pam.d: a line that is taken is the same when it is written and
 * taken again; a stack lets somebody in or not, and one of nothing but a refusal never does. */
#include "root.h"

#include "harden/lines.h"
#include "harden/pam.h"

static void a_line_is_stable(const char *text)
{
	struct pam_line l SCOPED(pam_line_release) = {0}, again SCOPED(pam_line_release) = {0};
	char *include SCOPED(mem_freep) = NULL, *once SCOPED(mem_freep) = NULL;
	char *twice SCOPED(mem_freep) = NULL;

	if (!pam_parse(text, &l, &include))
		return;
	HOLDS(include == NULL);
	once = pam_format(&l);
	/* a type of "-" alone, or one that then begins with a sign of its own */
	if (l.type[0] == '\0' || strchr("-@", l.type[0]) != NULL)
		return;
	HOLDS(pam_parse(once, &again, NULL));
	twice = pam_format(&again);
	HOLDS(strcmp(once, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char denied[] = "auth requisite pam_deny.so\n";
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	char *more SCOPED(mem_freep) = mem_format("%s%s", denied, text);
	struct pam_stack s SCOPED(pam_release) = {0}, none SCOPED(pam_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	for (size_t i = 0; i < lines.n; i++)
		a_line_is_stable(lines.v[i]);
	fuzz_put("etc/pam.d/x", text, strlen(text));
	if (pam_read(fuzz_root(), "x", &s, &e) == 0)
		(void)pam_lets_in(&s);
	for (size_t i = 0; i < s.n; i++)
		HOLDS(s.v[i].line >= 1 && s.v[i].line <= lines.n);
	fuzz_put("etc/pam.d/x", more, strlen(more));
	if (pam_read(fuzz_root(), "x", &none, &e) == 0)
		HOLDS(!pam_lets_in(&none));
	return 0;
}
