/* Any text as /etc/default/grub, as grub.cfg and as an entry with its variables: what comes of it
 * is bounded, and an argument that is added is found. */
#include "fuzz.h"

#include "harden/bls.h"
#include "harden/grub.h"
#include "harden/lines.h"

static void entry(struct strv *lines)
{
	char *args SCOPED(mem_freep) = NULL, *found SCOPED(mem_freep) = NULL;
	struct strv env SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < lines->n; i++)
		strv_add(&env, lines->v[i]);
	strv_add(lines, "options audit=1");
	if (bls_args(lines, &env, &args, &e) != 0)
		return;
	HOLDS(strlen(args) <= 4096);
	found = grub_arg(args, "audit");
	/* what follows an open quote or "--" is no argument */
	HOLDS(strchr(args, '"') != NULL || strstr(args, "--") != NULL ||
	      (found != NULL && strcmp(found, "1") == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = fuzz_text(p, n);
	struct grub_vars v SCOPED(grub_vars_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	lines_split(text, &lines);
	if (grub_sourced(&lines, &v, &e) == 0 && v.every != NULL) {
		char *more SCOPED(mem_freep) = grub_with(v.every, "audit=1");
		char *arg SCOPED(mem_freep) = grub_arg(more, "audit");

		HOLDS(strlen(v.every) <= 4096 && (v.usual == NULL || strlen(v.usual) <= 4096));
		/* a quote that stays open takes what follows */
		HOLDS(strchr(v.every, '"') != NULL || (arg != NULL && strcmp(arg, "1") == 0));
	}
	for (size_t i = 0; i < lines.n; i++) {
		const char *args = grub_entry_args(lines.v[i]);

		HOLDS(args == NULL || (args > lines.v[i] && *args != '\0'));
	}
	entry(&lines);
	return 0;
}
