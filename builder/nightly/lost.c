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

/* Whether nobody says it: then *ret is the recipe's lock. */
static bool is_lost(const struct nightly *n, const struct nightly_how *how, const char *key,
		    struct nightly_outcome *o, int *ret)
{
	struct err why = ERR_INIT;

	/* who is at work says for himself what comes of it, and does so under this lock */
	if (lock_recipe(n, key, ret, &why) != 0) {
		bool busy = why.kind == ERR_BUSY;

		outcome_blank(o, key);
		outcome_fail(o, (int)why.kind, "worker", busy ? "it is at work still" : why.msg);
		o->told = busy;
		return false;
	}
	if (outcome_load(n, how->night, key, o) == 0)
		return false;
	outcome_blank(o, key);
	return true;
}

void outcome_lost(const struct nightly *n, const struct nightly_how *how, const char *key,
		  const struct stepped *did, struct nightly_outcome *o)
{
	int lock SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;

	if (!is_lost(n, how, key, o, &lock))
		return;
	outcome_fail(o, did->status, "worker", did->why);
	outcome_tell(n, how, o);
	/* whoever asks again is told the same, and notes nothing */
	if (o->told && outcome_save(n, how->night, o, &why) != 0)
		strv_addf(&o->notes, "state: %s", why.msg);
}

/* Of those who ask at the same moment one puts it there, and he notes it. */
static int put_and_tell(struct share *s, const struct nightly *n, const struct nightly_how *how,
			struct nightly_outcome *o, struct err *e)
{
	struct err quiet = ERR_INIT;
	bool ours = false;
	int rc;

	/* what is there is noted, or is not there for long */
	o->told = true;
	rc = outcome_save(n, how->night, o, e);
	o->told = false;
	if (rc != 0)
		return -1;
	rc = share_lost(s, n, how->night, o, &ours, e);
	if (ours)
		outcome_tell(n, how, o);
	if (o->told)
		return 0;
	/* what is there now counts; and what could not be noted is, when somebody asks again */
	if (outcome_forget(n, how->night, o->key, rc == 0 ? e : &quiet) != 0 || rc != 0)
		return -1;
	return ours ? share_outcome_forget(s, how->night, o->key, e) : 1;
}

int outcome_lost_shared(struct share *s, const struct nightly *n, const struct nightly_how *how,
			const char *key, struct nightly_outcome *o, struct err *e)
{
	char why[] = "it has left nothing: it did not run, or it was killed";
	const struct stepped nothing = {.status = ERR_FAIL, .why = why};
	int lock SCOPED(fd_closep) = -1;

	if (s == NULL || how->ledger == NULL) {
		outcome_lost(n, how, key, &nothing, o);
		return 0;
	}
	if (!is_lost(n, how, key, o, &lock))
		return 0;
	outcome_fail(o, nothing.status, "worker", why);
	return put_and_tell(s, n, how, o, e);
}
