/* lost.c - recipes of which nobody can say any more what became of them: their worker was killed,
 * or never began. */
#include "nightly/parts.h"

#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <string.h>

static int lock_recipe(const struct nightly *n, const char *key, int *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_join(n->state, "recipes");
	char *name SCOPED(mem_freep) = mem_format("%s.flock", key);
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return lock_take(fd, name, ret, e);
}

void outcome_lost(const struct nightly *n, const struct nightly_how *how, const char *key,
		  const struct stepped *did, struct nightly_outcome *o)
{
	int lock SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;

	/* who is at work says for himself what comes of it, and does so under this lock */
	if (lock_recipe(n, key, &lock, &why) != 0) {
		bool busy = why.kind == ERR_BUSY;

		outcome_blank(o, key);
		outcome_fail(o, (int)why.kind, "worker", busy ? "it is at work still" : why.msg);
		o->told = busy;
		return;
	}
	if (outcome_load(n, how->night, key, o) == 0)
		return;
	outcome_blank(o, key);
	outcome_fail(o, did->status, "worker", did->why);
	outcome_tell(n, how, o);
	/* whoever asks again is told the same, and notes nothing */
	if (o->told && outcome_save(n, how->night, o, &why) != 0)
		strv_addf(&o->notes, "state: %s", why.msg);
}
