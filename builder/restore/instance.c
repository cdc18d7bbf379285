#include "restore/instance.h"

#include "archive/files.h"
#include "base/log.h"
#include "base/map.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TABLE_MAX = 8 << 20, FIX_MS = 60 * 60 * 1000, NAP_US = 50000, FIXERS_MAX = 50 };
enum { SAID_LINES = 20, SAID_MAX = 64 << 10 };

#define LABEL "org.posmedia.restore"

static const char *const tables[] = {"/etc/passwd", "/etc/group"};

int instance_runs(struct stage *st, bool *ret, struct err *e)
{
	const struct stage_one *const all[] = {&st->r.current, &st->r.previous, &st->r.pending};
	bool runs = false;

	for (size_t i = 0; i < 3; i++) {
		struct engine_state s SCOPED(engine_state_release) = {0};

		if (all[i]->container == NULL)
			continue;
		if (engine_state(st->en, all[i]->container, &s, e) != 0)
			return -1;
		runs = runs || s.running || s.restarting || s.paused;
	}
	*ret = runs;
	return 0;
}

static bool wants(void *ctx, const char *path)
{
	(void)ctx;
	return strcmp(path, tables[0] + 1) == 0 || strcmp(path, tables[1] + 1) == 0;
}

static int get_tables(struct stage *st, struct files *ret, struct err *e)
{
	const struct files_want w = {
	    .below = "etc", .wants = wants, .bytes_max = TABLE_MAX, .entries_max = 4};

	for (size_t i = 0; i < 2; i++) {
		int fd SCOPED(fd_closep) = memfd_create("archive", MFD_CLOEXEC);
		const struct engine_files f = {tables[i], fd, TABLE_MAX};
		bool there = false;

		if (fd < 0)
			return err_sys(e, "make a file");
		if (engine_get(st->en, st->r.current.container, &f, &there, e) != 0)
			return -1;
		if (there && files_read(fd, &w, ret, e) != 0)
			return err_in(e, "%s of %s", tables[i], st->r.current.container);
	}
	return 0;
}

int instance_names(struct stage *st, struct manifest_names **ret, struct err *e)
{
	struct files f SCOPED(files_release) = {0};
	const struct small_file *users, *groups;

	if (get_tables(st, &f, e) != 0)
		return -1;
	users = files_find(&f, tables[0] + 1);
	groups = files_find(&f, tables[1] + 1);
	if (users == NULL || groups == NULL)
		return err_set(e, ERR_VERIFY, "%s has no users", st->r.current.container);
	return manifest_names_of(users->data, groups->data, ret, e);
}

/* A number without a name must not become the number of somebody who has one here. */
static void note(const char *kind, const char *name, const char *here, struct map *seen,
		 struct strv *ret)
{
	char *text SCOPED(mem_freep) = mem_format("%s %s", kind, name);

	if (!map_add(seen, text, NULL) || (here != NULL && strcmp(here, name) == 0))
		return;
	if (here == NULL)
		strv_add(ret, text);
	else
		strv_addf(ret, "%s (which is %s there)", text, here);
}

static void note_user(const char *name, const struct manifest_names *names, struct map *seen,
		      struct strv *ret)
{
	struct err quiet = ERR_INIT;
	const char *user = NULL;
	uid_t uid;

	if (manifest_names_uid(names, name, &uid, &quiet) == 0) {
		user = manifest_names_user(names, uid);
		user = user != NULL ? user : name;
	}
	note("user", name, user, seen, ret);
}

static void note_group(const char *name, const struct manifest_names *names, struct map *seen,
		       struct strv *ret)
{
	struct err quiet = ERR_INIT;
	const char *group = NULL;
	gid_t gid;

	if (manifest_names_gid(names, name, &gid, &quiet) == 0) {
		group = manifest_names_group(names, gid);
		group = group != NULL ? group : name;
	}
	note("group", name, group, seen, ret);
}

/* Of "u::rwx,u:bob:r--,g::r-x,...". */
static void note_acl(const char *acl, const struct manifest_names *names, struct map *seen,
		     struct strv *ret)
{
	if (acl == NULL || !map_add(seen, acl, NULL))
		return;
	for (const char *at = acl; at[0] != '\0'; at += strcspn(at, ","), at += at[0] == ',') {
		size_t n = at[1] == ':' ? strcspn(at + 2, ":,") : 0;
		char *name SCOPED(mem_freep) = n > 0 ? mem_strndup(at + 2, n) : NULL;

		if (n > 0 && at[0] == 'u')
			note_user(name, names, seen, ret);
		else if (n > 0 && at[0] == 'g')
			note_group(name, names, seen, ret);
	}
}

static void note_entry(const struct manifest_entry *en, const struct manifest_names *names,
		       struct map *seen, struct strv *ret)
{
	note_user(en->user, names, seen, ret);
	note_group(en->group, names, seen, ret);
	note_acl(en->acl, names, seen, ret);
	note_acl(en->acl_default, names, seen, ret);
}

void instance_unknown(const struct manifest *m, const struct manifest_names *names,
		      struct strv *ret)
{
	struct map seen = {0};

	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].same_as == NULL)
			note_entry(&m->v[i], names, &seen, ret);
	map_release(&seen, NULL);
	strv_sort(ret);
}

/* Of the mounts only the directories of data, those that are new in place of those that live. */
static struct jval *mounts(const struct stage *st, const char *dir)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < st->s->data_n; i++) {
		const struct site_data *d = &st->s->data[i];
		char *fresh SCOPED(mem_freep) = fs_join(dir, d->name);
		char *live SCOPED(mem_freep) = fs_join(st->dir, d->name);

		if (access(fresh, F_OK) == 0)
			stage_spec_mount(list, fresh, d->at, false);
		else
			stage_spec_mount(list, live, d->at, true);
	}
	return list;
}

static struct jval *spec_of(const struct stage *st, const char *dir, const struct jval *argv)
{
	struct jval *v = stage_spec(st, &st->r.current), *host = jval_get(v, "HostConfig");

	jval_put(v, "Entrypoint", jval_ref((struct jval *)(uintptr_t)argv));
	jval_put(v, "Cmd", jval_array());
	jval_put_text(v, "User", "0:0");
	jval_put_text(v, "WorkingDir", "/");
	jval_del(jval_get(v, "Labels"), "posmedia.generation");
	jval_put_text(host, "NetworkMode", "none");
	jval_del(host, "ExtraHosts");
	jval_put(host, "Mounts", mounts(st, dir));
	return v;
}

static int wait_for_end(struct stage *st, const char *name, int *ret_exit, struct err *e)
{
	uint64_t until = clock_mono_ms() + FIX_MS;

	for (;;) {
		struct engine_state now SCOPED(engine_state_release) = {0};

		if (intr_pending())
			return intr_err(e);
		if (engine_state(st->en, name, &now, e) != 0)
			return -1;
		if (!now.running) {
			*ret_exit = now.there ? now.exit : -1;
			return 0;
		}
		if (clock_mono_ms() > until)
			return err_set(e, ERR_STEP, "it did not end within an hour");
		(void)usleep(NAP_US);
	}
}

static int run_one(struct stage *st, const char *name, const struct jval *spec,
		   const struct buf *users, struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct err quiet = ERR_INIT;
	int status = 0;

	if (engine_remove(st->en, name, e) != 0 || engine_create(st->en, name, spec, e) != 0 ||
	    engine_put(st->en, name, "/", users, e) != 0 || engine_start(st->en, name, e) != 0 ||
	    wait_for_end(st, name, &status, e) != 0)
		return -1;
	if (status == 0)
		return 0;
	if (engine_logs(st->en, name, SAID_LINES, &said, &quiet) != 0)
		log_warn("%s", quiet.msg);
	return err_set(e, ERR_STEP, "exit %d: %s", status, said.data);
}

static char *fixer_name(const struct stage *st)
{
	return mem_format("pos-%s-%s-fix", st->s->shop, site_env_word(st->s->env));
}

int instance_sweep(struct stage *st, struct err *e)
{
	struct engine_state left SCOPED(engine_state_release) = {0};
	char *name SCOPED(mem_freep) = fixer_name(st);

	if (engine_state(st->en, name, &left, e) != 0)
		return -1;
	if (!left.there)
		return 0;
	log_info("%s is left of a restore that was killed: it is removed", name);
	return engine_stop(st->en, name, 1, e) != 0 || engine_remove(st->en, name, e) != 0 ? -1 : 0;
}

static int fix(struct stage *st, const char *dir, const struct jval *one, const struct buf *users,
	       struct err *e)
{
	char *name SCOPED(mem_freep) = fixer_name(st);
	struct jval *spec SCOPED(jval_freep) = spec_of(st, dir, jval_get(one, "run"));
	struct err why = ERR_INIT;
	int rc = run_one(st, name, spec, users, e);

	/* an interrupt must not leave it */
	if ((rc != 0 && engine_stop(st->en, name, 1, &why) != 0) ||
	    engine_remove(st->en, name, &why) != 0)
		log_warn("%s", why.msg);
	return rc;
}

/* [{"name", "run": [...]}] of the image's label; NULL when it has none. */
static int fixers_of(struct stage *st, struct jval **ret, struct err *e)
{
	struct jval *all SCOPED(jval_freep) = NULL, *v SCOPED(jval_freep) = NULL;
	const char *text;

	if (engine_inspect(st->en, st->r.current.container, &all, e) != 0)
		return -1;
	text = jval_get_str(jval_get(jval_get(all, "Config"), "Labels"), LABEL);
	if (text == NULL)
		return 0;
	if (jval_parse(text, strlen(text), LABEL, &v, e) != 0)
		return err_in(e, "%s", st->r.current.container);
	for (size_t i = 0; i < jval_len(v); i++) {
		const struct jval *run = jval_get(jval_at(v, i), "run");

		if (jval_get_str(jval_at(v, i), "name") == NULL ||
		    jval_str(jval_at(run, 0)) == NULL)
			return err_set(e, ERR_VERIFY, LABEL " of the image is damaged");
	}
	if (jval_len(v) > FIXERS_MAX)
		return err_set(e, ERR_VERIFY, LABEL " of the image has too many");
	*ret = STEAL(v);
	return 0;
}

int instance_fix(struct stage *st, const char *dir, struct strv *ret, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = NULL;
	struct files f SCOPED(files_release) = {0};
	struct buf tar SCOPED(buf_release) = BUF_INIT(4 * TABLE_MAX);

	if (fixers_of(st, &list, e) != 0)
		return -1;
	if (jval_len(list) == 0)
		return 0;
	if (get_tables(st, &f, e) != 0 || files_tar(&f, &tar, e) != 0)
		return -1;
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *name = jval_get_str(jval_at(list, i), "name");

		log_info("fixer %s", name);
		if (fix(st, dir, jval_at(list, i), &tar, e) != 0)
			return err_in(e, "fixer \"%s\"", name);
		strv_add(ret, name);
	}
	return 0;
}
