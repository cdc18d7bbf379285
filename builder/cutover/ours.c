/* ours.c - what the instance's data is, as it goes back to the old server. */
#include "cutover/back.h"

#include "base/map.h"
#include "restore/parts.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cut_data_dir(const struct cut_run *r, const char *name)
{
	return mem_format("%s/%s/%s/%s", r->o->so->state, r->s->shop, site_env_word(r->s->env),
			  name);
}

void cut_ours_release(struct cut_ours *o)
{
	for (size_t i = 0; i < o->n; i++)
		manifest_release(&o->v[i]);
	free(o->v);
	manifest_names_free(o->names);
	strv_release(&o->owners.users);
	strv_release(&o->owners.groups);
	*o = (struct cut_ours){0};
}

static bool wants(void *ctx, const char *path, enum manifest_type type)
{
	return restore_filter_passes(ctx, path, type);
}

static void nothing(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
}

/* Of a name that is a number there is none. */
static void note_owner(struct map *seen, const char *name, struct strv *to)
{
	if (strcmp(name, "root") == 0 || name[strspn(name, "0123456789")] == '\0' ||
	    !map_add(seen, name, NULL))
		return;
	strv_add(to, name);
}

static int take_entries(const struct manifest *m, struct cut_ours *o, struct err *e)
{
	struct map users = {0}, groups = {0};
	int rc = 0;

	for (size_t i = 0; i < o->owners.users.n; i++)
		(void)map_add(&users, o->owners.users.v[i], NULL);
	for (size_t i = 0; i < o->owners.groups.n; i++)
		(void)map_add(&groups, o->owners.groups.v[i], NULL);
	for (size_t i = 0; i < m->n && rc == 0; i++) {
		const struct manifest_entry *en = &m->v[i];

		note_owner(&users, en->user, &o->owners.users);
		note_owner(&groups, en->group, &o->owners.groups);
		if (en->type != MANIFEST_FILE)
			continue;
		if (((en->mode & S_ISUID) && strcmp(en->user, "root") == 0) ||
		    ((en->mode & S_ISGID) && strcmp(en->group, "root") == 0)) {
			(void)err_set(e, ERR_VERIFY, "%s would run as root there", en->path);
			rc = err_hint(e, "Take its set-id bit off, or exclude it.");
		}
	}
	map_release(&users, NULL);
	map_release(&groups, NULL);
	return rc;
}

/* Digests that were computed before are believed, and remembered here. */
static int make_one(struct cut_run *r, const struct site_data *d, enum cut_look how,
		    struct cut_ours *o, struct err *e)
{
	struct restore_filter *f SCOPED(restore_filter_freep) =
	    restore_filter_new(r->s->env, &r->s->cutover.old.exclude, d->at);
	char *dir SCOPED(mem_freep) = cut_data_dir(r, d->name);
	char *name SCOPED(mem_freep) = mem_format("back-%s", d->name);
	struct manifest_seen *seen = NULL;
	struct manifest_opts mo = {.names = o->names, .wants = wants, .ctx = f};
	int fd SCOPED(fd_closep) = -1;
	int rc;

	restore_filter_of_site(f);
	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	if (how != CUT_AT_REST)
		mo.unsteady = nothing;
	if (how == CUT_NAMES) {
		mo.names_only = true;
		return manifest_make(fd, &mo, &o->v[o->n++], e);
	}
	if (manifest_seen_load(journal_dir(r->j), name, &seen, e) != 0)
		return -1;
	mo.seen = seen;
	rc = manifest_make(fd, &mo, &o->v[o->n++], e);
	if (rc == 0)
		rc = manifest_seen_save(seen, journal_dir(r->j), name, e);
	manifest_seen_free(seen);
	return rc;
}

int cut_ours_make(struct cut_run *r, enum cut_look how, struct cut_ours *ret, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	struct cut_ours o SCOPED(cut_ours_release) = {0};

	if (restore_names_of(r->s, r->o->so, &o.names, e) != 0)
		return -1;
	o.v = mem_zalloc((old->data_n + 1) * sizeof(*o.v));
	for (size_t i = 0; i < old->data_n; i++)
		if (make_one(r, &old->data[i], how, &o, e) != 0 ||
		    take_entries(&o.v[i], &o, e) != 0)
			return err_in(e, "%s", old->data[i].name);
	o.owners.names = o.names;
	*ret = o;
	o = (struct cut_ours){0};
	return 0;
}
