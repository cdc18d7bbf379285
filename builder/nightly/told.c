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

/* Where machines share nothing else, the ledger of each goes to a bucket; one that has a mirror
 * already keeps it. */
int told_begin(const struct nightly *n, const struct nightly_how *how, struct err *e)
{
	const struct ledger_mirror m = {.to = n->share.ledger};
	char *path SCOPED(mem_freep) = NULL;

	if (m.to == NULL || how->ledger == NULL)
		return 0;
	path = fs_join(how->ledger, "mirror.json");
	return access(path, F_OK) == 0 ? 0 : ledger_mirror_set(how->ledger, &m, e);
}

void told_end(const struct nightly *n, const struct nightly_how *how, struct nightly_outcome *o)
{
	struct err why = ERR_INIT;
	uint64_t sent = 0;

	if (n->share.ledger != NULL && how->ledger != NULL &&
	    ledger_mirror_send(how->ledger, false, &sent, &why) != 0)
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

int name_is_others(const struct nightly *n, const struct nightly_recipe *r, const char *name,
		   const char *key, struct err *e)
{
	const char *other = NULL;

	if (!has_name(n, key, name, &other))
		return 0;
	(void)err_set(e, ERR_RECIPE, "%s: its name \"%s\" is that of %s", r->path, name, other);
	return err_hint(e, "Two of one name would be one repository, and one result.");
}

int names_claim(const struct nightly *n, const struct nightly_recipe *r, const char *name,
		struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_join(n->state, "names");
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	int fd SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 ||
	    lock_wait(fd, ".lock", WAIT_MS, &lock, e) != 0)
		return -1;
	if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fs_get_file(fd, name, &text, e) != 0)
		return -1;
	if (strcmp(text.data, r->key) == 0)
		return 0;
	return name_is_others(n, r, name, text.data, e) != 0
		   ? -1
		   : fs_put_unsynced(path, r->key, strlen(r->key), 0644, e);
}
