/* Any bytes as the journal of a cutover: what is taken is a way that a cutover can go, and a
 * beginning of it is taken too. */
#include "fuzz.h"

#include "cutover/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const char *text = (const char *)p;
	struct cut_facts f = {0}, less = {0};
	struct err e = ERR_INIT;
	uint64_t lines = 0, fewer = 0;

	if (journal_parse(text, n, &f, &lines, &e) != 0) {
		HOLDS(e.msg[0] != '\0' && e.kind == ERR_VERIFY);
		return 0;
	}
	HOLDS((f.epoch == 0) == (lines == 0));
	HOLDS(!cut_committed(&f) || (!cut_aborted(&f) && f.ok[CUT_HOLD]));
	HOLDS(!f.ok[CUT_OPEN] || cut_committed(&f));
	HOLDS(journal_parse(text, n / 2, &less, &fewer, &e) == 0 && fewer <= lines);
	return 0;
}
