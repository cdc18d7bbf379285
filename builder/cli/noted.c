#include "cli/noted.h"

#include "base/log.h"
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

/* A bucket that cannot be reached gets the lines when it can be. */
static int mirror(const char *dir, struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t n;

	if (ledger_mirror_send(dir, true, &n, &why) == 0)
		return 0;
	if (why.kind != ERR_REMOTE) {
		*e = why;
		return -1;
	}
	log_warn("%s: it gets the lines later", why.msg);
	return 0;
}

int noted_mirror(const struct args *a, struct err *e)
{
	char *dir SCOPED(mem_freep) = noted_dir(a);

	return mirror(dir, e);
}

int noted_site_mirror(const struct args *a, struct err *e)
{
	char *dir SCOPED(mem_freep) = noted_site_dir(a);

	return args_has(a, "dry-run") ? 0 : mirror(dir, e);
}

static int append(const char *dir, const struct ledger_event *v, struct err *e)
{
	if (ledger_append(dir, v, 1, e) == 0)
		return mirror(dir, e);
	(void)err_in(e, "it is done, but not noted");
	return err_hint(e, "Mend what is wrong with the ledger; nothing was undone.");
}

int noted(const struct args *a, const struct ledger_event *v, struct err *e)
{
	char *dir SCOPED(mem_freep) = noted_dir(a);

	return append(dir, v, e);
}

int noted_of(const struct args *a, const char *kind, const struct digest *subject,
	     struct jval *fields, struct err *e)
{
	struct jval *mine SCOPED(jval_freep) = fields;
	const struct ledger_event v = {kind, subject, mine};

	return noted(a, &v, e);
}

int noted_site(const struct args *a, const struct site *s, const char *kind, struct jval *fields,
	       struct err *e)
{
	struct jval *mine SCOPED(jval_freep) = fields;
	char *dir SCOPED(mem_freep) = noted_site_dir(a);
	const char *manifest = jval_get_str(mine, "manifest");
	struct ledger_event v = {.kind = kind, .fields = mine};
	struct digest subject;

	if (args_has(a, "dry-run"))
		return 0;
	if (manifest != NULL && digest_parse(manifest, &subject) == 0)
		v.subject = &subject;
	jval_put_text(mine, "shop", s->shop);
	jval_put_text(mine, "env", site_env_word(s->env));
	return append(dir, &v, e);
}

void noted_copy(struct jval *to, const struct jval *from, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct jval *v = jval_get(from, keys[i]);

		if (v != NULL)
			jval_put(to, keys[i], jval_ref(v));
	}
}
