#include "cli/host.h"
#include "cli/noted.h"
#include "cli/screen.h"

#include <stdio.h>
#include <stdlib.h>

const char *host_or_else(const struct args *a, const char *name, const char *otherwise)
{
	const char *given = args_get(a, name);

	return given != NULL ? given : otherwise;
}

/* What a verb's options point to, as long as it runs. */
static const char *ledger_of(const struct args *a)
{
	static char *dir;

	free(dir);
	dir = noted_site_dir(a);
	return dir;
}

int host_options(const struct args *a, struct stage_opts *ret, struct err *e)
{
	const struct stage_opts o = {.state = host_or_else(a, "state", "/srv/pos"),
				     .runtime = host_or_else(a, "runtime", "/run/posmedia"),
				     .socket = host_or_else(a, "engine", engine_socket()),
				     .ledger = ledger_of(a),
				     .dry_run = args_has(a, "dry-run")};

	if (o.state[0] != '/' || o.runtime[0] != '/' || o.socket[0] != '/')
		return err_set(e, ERR_USAGE, "--state, --runtime and --engine want absolute paths");
	*ret = o;
	return 0;
}

static void print_json(const struct stage_outcome *r)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *did = jval_array();

	for (size_t i = 0; i < r->did.n; i++)
		jval_push(did, jval_text(r->did.v[i]));
	jval_put_text(v, "container", r->container);
	jval_put_text(v, "generation", digest_text(&r->generation).s);
	jval_put_text(v, "manifest", digest_text(&r->manifest).s);
	jval_put_text(v, "config", digest_text(&r->config).s);
	jval_put(v, "changed", jval_bool(r->changed));
	jval_put(v, "did", did);
	screen_json(v);
}

void host_print(const struct args *a, const struct stage_outcome *r, const char *is)
{
	if (args_has(a, "json")) {
		print_json(r);
		return;
	}
	for (size_t i = 0; i < r->did.n; i++)
		printf("%s%s\n", args_has(a, "dry-run") ? "would: " : "", r->did.v[i]);
	if (!r->changed)
		puts("nothing changed");
	printf("%s %s\n", r->container, is);
}

int host_noted(const struct args *a, const struct stage_outcome *r, struct err *e)
{
	if (!r->unnoted)
		return noted_site_mirror(a, e);
	(void)err_set(e, ERR_FAIL, "it is done, but not all of it is noted in the ledger");
	return err_hint(e, "Mend what is wrong with the ledger; nothing was undone.");
}
