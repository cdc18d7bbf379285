/* read_only.c - images that write to nothing but data and memory: their root is read-only. Engines
 * put no files into such a container, so it has what its image has. */
#include "stage/parts.h"

#include <string.h>

bool stage_read_only(const struct stage *st)
{
	const struct jval *labels = jval_get(jval_get(st->config, "config"), "Labels");
	const char *said = jval_get_str(labels, "org.posmedia.read-only");

	return said != NULL && strcmp(said, "true") == 0;
}

int stage_read_only_ready(const struct stage *st, struct err *e)
{
	const struct site *s = st->s;
	const char *what = s->users_n > 0      ? "users"
			   : s->printers_n > 0 ? "printers"
			   : s->keep.n > 0     ? "keep"
					       : NULL;

	if (!stage_read_only(st) || what == NULL)
		return 0;
	(void)err_set(e, ERR_RECIPE, "%s: the image's root is read-only, and takes no %s", s->file,
		      what);
	return err_hint(e, "have them in the image's recipe, or its run without read-only");
}

int stage_is_read_only(struct stage *st, const struct stage_one *one, bool *ret, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (engine_state(st->en, one->container, &now, e) != 0)
		return -1;
	*ret = now.read_only;
	return 0;
}
