/* Any text as the permfile of a backup account: what is read stays below the account, and is an
 * owner, a mode and ACLs for every entry, or the fault is named. */
#include "fuzz.h"

#include "restore/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct source_perms *perms = source_perms_new();
	char empty[] = "", under[] = "usr2";
	struct manifest_entry v[] = {{.path = empty, .type = MANIFEST_DIR},
				     {.path = under, .type = MANIFEST_DIR}};
	struct manifest m = {.v = v, .n = 2};
	uint64_t without = 0;
	struct err e = ERR_INIT;

	if (source_perms_parse(perms, "usr2-perms.txt", text, &e) != 0)
		HOLDS(e.kind == ERR_RECIPE && strncmp(e.msg, "usr2-perms.txt:", 15) == 0);
	else if (source_perms_apply(perms, "", &m, &without, &e) == 0)
		HOLDS(v[1].user != NULL && v[1].group != NULL && v[1].mode <= 07777);
	source_perms_free(perms);
	return 0;
}
