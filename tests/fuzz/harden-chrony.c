/* Any text as lines of chrony.conf: each has a directive without capitals. */
#include "fuzz.h"

#include "harden/chrony.h"
#include "harden/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct strv lines SCOPED(strv_release) = {0};

	lines_split(text, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		struct chrony_line l = {0};

		if (chrony_parse(lines.v[i], &l)) {
			HOLDS(*l.word != '\0' && strpbrk(l.word, " \tABCXYZ") == NULL);
			HOLDS(strpbrk(l.value, " \t") == NULL);
			(void)chrony_is_source(&l);
		}
		chrony_line_release(&l);
	}
	return 0;
}
