/* told.c - what a night did, in the ledger: each recipe by the process that works on it, so that
 * nobody who dies later takes it along. */
#include "nightly/parts.h"

#include "ledger/ledger.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 30000 };

void outcome_tell(const struct nightly *n, const struct nightly_how *how, struct nightly_outcome *o)
{
	bool bad = o->status == NIGHTLY_FAILED;
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct ledger_event event = {.kind = "nightly", .fields = v};
	struct err why = ERR_INIT;
	struct digest d;

	if (how->ledger == NULL || o->told)
		return;
	if (digest_parse(o->digest, &d) == 0)
		event.subject = &d;
	jval_put_text(v, "nightly", n->name);
	jval_put_text(v, "recipe", o->key);
	jval_put_text(v, "tag", o->tag);
	jval_put_text(v, "outcome", bad ? "failed" : "built");
	jval_put_text(v, "step", o->step);
	if (ledger_append(how->ledger, &event, 1, &why) == 0)
		o->told = true;
	else
		strv_addf(&o->notes, "ledger: %s", why.msg);
}

/* Whether the recipe of that key has the name still. */
static bool has_name(const struct nightly *n, const char *key, const char *name, const char **ret)
{
	const struct nightly_recipe *other = nightly_find(n, key);
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (other == NULL || recipe_load(other->path, &r, &quiet) != 0 ||
	    strcmp(r->name, name) != 0)
		return false;
	*ret = other->path;
	return true;
}

int names_claim(const struct nightly *n, const struct nightly_recipe *r, const char *name,
		struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_join(n->state, "names");
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	int fd SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	const char *other = NULL;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 ||
	    lock_wait(fd, ".lock", WAIT_MS, &lock, e) != 0)
		return -1;
	if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fs_get_file(fd, name, &text, e) != 0)
		return -1;
	if (strcmp(text.data, r->key) == 0)
		return 0;
	if (text.len > 0 && has_name(n, text.data, name, &other)) {
		(void)err_set(e, ERR_RECIPE, "%s: its name \"%s\" is that of %s", r->path, name,
			      other);
		return err_hint(e, "Two of one name would be one repository, and one result.");
	}
	return fs_put_unsynced(path, r->key, strlen(r->key), 0644, e);
}
