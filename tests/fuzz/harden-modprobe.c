/* Any text as a file of modprobe.d: each line that is taken lies in it, and names a module. */
#include "fuzz.h"

#include "harden/lines.h"
#include "harden/modprobe.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};
	struct modprobe m SCOPED(modprobe_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	if (modprobe_parse(&lines, "x", &m, &e) != 0)
		return 0;
	HOLDS(m.n <= lines.n);
	for (size_t i = 0; i < m.n; i++) {
		HOLDS(m.v[i].line >= 1 && m.v[i].line <= lines.n);
		HOLDS(strchr(m.v[i].module, '-') == NULL);
		(void)modprobe_loads_nothing(&m.v[i]);
		(void)modprobe_install(&m, m.v[i].module);
		HOLDS(m.v[i].is_install || modprobe_blacklist(&m, m.v[i].module) != NULL);
	}
	return 0;
}
