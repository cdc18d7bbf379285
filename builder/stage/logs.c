#include "stage/logs.h"

#include "stage/parts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>

static int read_record(const struct site *s, const struct stage_opts *o, struct stage_record *ret,
		       struct err *e)
{
	char *own SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", o->state, s->shop, site_env_word(s->env));
	struct err why = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, own, &fd, &why) == 0)
		return stage_record_read(fd, ret, e);
	if (why.sys == ENOENT)
		return 0;
	*e = why;
	return -1;
}

int stage_logs(const struct site *s, const struct stage_opts *o, unsigned lines, struct buf *out,
	       struct err *e)
{
	struct stage_record r SCOPED(stage_record_release) = {0};
	struct engine *en SCOPED(engine_freep) = NULL;

	if (read_record(s, o, &r, e) != 0)
		return -1;
	if (r.current.container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: nothing was staged", s->shop,
			       site_env_word(s->env));
	if (engine_open(o->socket, &en, e) != 0)
		return -1;
	return engine_logs(en, r.current.container, lines, out, e);
}
