/* Any bytes as a unit file, and each of its commands taken apart. */
#include "fuzz.h"

#include "shim/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct unit *u SCOPED(unit_freep) = mem_zalloc(sizeof(*u));
	char *text SCOPED(mem_freep) = fuzz_text(p, n);

	u->name = mem_strdup("till@one");
	unit_parse(u, text);
	for (size_t k = 0; k < UNIT_EXECS; k++)
		for (size_t i = 0; i < u->exec[k].n; i++) {
			struct unit_command c SCOPED(unit_command_release) = {0};
			struct err e = ERR_INIT;

			if (unit_command(u, u->exec[k].v[i], &u->env, &c, &e) == 0)
				HOLDS(c.argv.n > 0 && c.argv.v[0][0] != '\0');
		}
	return 0;
}
