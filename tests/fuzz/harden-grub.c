/* Any text as /etc/default/grub and as grub.cfg: what comes of it is bounded, and an argument that
 * is added is found. */
#include "fuzz.h"

#include "harden/grub.h"
#include "harden/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	char *value SCOPED(mem_freep) = mem_strdup("");
	struct strv lines SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	if (grub_sourced(&lines, &value, &e) == 0) {
		char *more SCOPED(mem_freep) = mem_format("%s audit=1", value);
		char *arg SCOPED(mem_freep) = grub_arg(more, "audit");

		HOLDS(strlen(value) <= 4096);
		/* a quote that stays open takes what follows */
		HOLDS(strchr(value, '"') != NULL || (arg != NULL && strcmp(arg, "1") == 0));
	}
	for (size_t i = 0; i < lines.n; i++) {
		const char *args = grub_entry_args(lines.v[i]);

		HOLDS(args == NULL || (args > lines.v[i] && *args != '\0'));
	}
	return 0;
}
