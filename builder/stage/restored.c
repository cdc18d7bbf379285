/* restored.c - whether the data of a site is whole: restore/ exchanges it, and says so before. */
#include "stage/parts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 256 << 10 };

static int refuse(const struct stage *st, const char *why, struct err *e)
{
	(void)err_set(e, ERR_BUSY, "shop %s in %s: %s", st->s->shop, site_env_word(st->s->env),
		      why);
	return err_hint(e, "posmedia restore %.150s finishes it, with --rollback it undoes it",
			st->s->file);
}

int stage_check_restored(const struct stage *st, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;
	const char *phase;

	if (st->ownfd < 0 || (faccessat(st->ownfd, STAGE_RESTORE, F_OK, 0) != 0 && errno == ENOENT))
		return 0;
	if (fs_get_file(st->ownfd, STAGE_RESTORE, &text, &why) != 0 ||
	    jval_parse(text.data, text.len, STAGE_RESTORE, &v, &why) != 0)
		return refuse(st, why.msg, e);
	phase = jval_get_str(v, "phase");
	if (phase == NULL)
		return refuse(st, "the record of its restore is damaged", e);
	if (strcmp(phase, "exchanging") == 0 || strcmp(phase, "undoing") == 0)
		return refuse(st, "a restore of its data was interrupted half way", e);
	return 0;
}
