/* controls.c - the controls of a profile that the host holds, judged on its own files. */
#include "host/parts.h"

#include "harden/facts.h"
#include "sys/fs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { WALKS = 5 };

/* What is not the host's own: images and data of instances, and what is only there for a while. */
static const char *const strange[] = {
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/tmp",
    "var/lib/containerd",
    "srv/pos",
    "var/lib/docker",
    "var/lib/containers",
};

struct files {
	const struct host *h;
	dev_t dev; /* of the root */
	struct facts_files *ret;
};

static bool is_strange(const struct files *f, const char *path)
{
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		if (strcmp(path, strange[i]) == 0)
			return true;
	return strcmp(path, f->h->o->state + 1) == 0;
}

static int add_file(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct files *f = ctx;
	struct facts_file *file;

	if (is_strange(f, en->path) || (en->st.st_dev != f->dev && major(en->st.st_dev) == 0))
		return 1;
	if (facts_files_add(f->ret, en->path, &file, e) != 0)
		return -1;
	file->st = (struct facts_stat){
	    .st_mode = en->st.st_mode,
	    .st_uid = en->st.st_uid,
	    .st_gid = en->st.st_gid,
	    .st_size = en->st.st_size,
	};
	return 0;
}

static void forget_files(struct facts_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct facts_files){0};
}

/* On a machine that runs, files go while they are counted: then it is begun anew. */
static int list_files(void *ctx, struct facts_files *ret, struct err *e)
{
	const struct host *h = ctx;
	struct stat st;

	if (fstat(h->rootfd, &st) != 0)
		return err_sys(e, "stat %s", h->o->root);
	for (int i = 0; i < WALKS; i++) {
		struct facts_files all = {0};
		struct files f = {.h = h, .dev = st.st_dev, .ret = &all};

		if (fs_walk(h->rootfd, add_file, &f, e) == 0) {
			*ret = all;
			return 0;
		}
		forget_files(&all);
		if (e->sys != ENOENT)
			return -1;
	}
	return -1;
}

int host_controls(const struct host *h, struct host_report *ret, struct err *e)
{
	const struct facts_source files = {.list = list_files, .ctx = (void *)(uintptr_t)h};
	const struct harden_context c = {
	    .recipe = h->o->recipe,
	    .target = "machine",
	    .today = h->o->today,
	    .files = &files,
	    .held_by = "host",
	};

	if (harden_profile_load(h->o->profile, &ret->profile, e) != 0)
		return -1;
	return harden_check(ret->profile, h->o->root, &c, &ret->controls, e);
}

const char *host_undecided(const struct harden_result *r)
{
	static const char own[] = "host: ";

	/* a control of the host for which there is nothing to look at has this for a reason */
	if (r->status != HARDEN_NOT_APPLICABLE || strcmp(r->place, "host") != 0)
		return NULL;
	return strncmp(r->detail, own, strlen(own)) == 0 ? r->detail + strlen(own) : r->detail;
}
