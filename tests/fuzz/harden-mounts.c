/* Any text as fstab: every entry is whole, and an option that is added is in force. */
#include "fuzz.h"

#include "harden/lines.h"
#include "harden/mounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};
	struct mounts m SCOPED(mounts_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	if (mounts_parse_fstab(&lines, &m, &e) != 0)
		return 0;
	for (size_t i = 0; i < m.n; i++) {
		char *more SCOPED(mem_freep) = mem_format("%s,noexec", m.v[i].options);

		HOLDS(m.v[i].line >= 1 && m.v[i].line <= lines.n);
		HOLDS(m.v[i].what != NULL && m.v[i].type != NULL);
		HOLDS(mount_has_option(more, "noexec"));
	}
	return 0;
}
