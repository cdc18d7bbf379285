#include "cli/noted.h"

#include "cli/host.h"
#include "cli/input.h"
#include "sys/fs.h"
#include <stdlib.h>

static const char *given(const struct args *a)
{
	const char *dir = args_get(a, "ledger");

	return dir != NULL ? dir : getenv("POSMEDIA_LEDGER");
}

char *noted_dir(const struct args *a)
{
	char *beside SCOPED(mem_freep) = fs_dirname(input_store_path(a));

	return given(a) != NULL ? mem_strdup(given(a)) : fs_join(beside, "ledger");
}

char *noted_site_dir(const struct args *a)
{
	return given(a) != NULL ? mem_strdup(given(a))
				: fs_join(host_or_else(a, "state", "/srv/pos"), ".ledger");
}

int noted(const struct args *a, const struct ledger_event *v, struct err *e)
{
	char *dir SCOPED(mem_freep) = noted_dir(a);

	if (ledger_append(dir, v, 1, e) == 0)
		return 0;
	(void)err_in(e, "it is done, but not noted");
	return err_hint(e, "Mend what is wrong with the ledger; nothing was undone.");
}
