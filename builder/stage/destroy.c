/* destroy.c - the end of a site on this host: kept first, removed after. What is removed is named
 * by its shop and environment, opened step by step, and never found by a pattern. */
#include "stage/final.h"
#include "stage/parts.h"
#include "stage/strays.h"

#include "base/fault.h"
#include "base/log.h"
#include "network/network.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ending {
	struct stage st; /* its lock is held until all is gone */
	int restoring;   /* so is that of who would restore its data; -1 = not taken */
	const struct stage_end *end;
	struct stage_ended out;
	char *name; /* SHOP-ENV */
	char *gone; /* what the directory is called once nobody needs it */
	int statefd, shopfd, dirfd,
	    keptfd;          /* STATE, SHOP and ENV in it, and STAGE_KEPT_DIR; -1 = none */
	int runfd, secretfd; /* RUNTIME and SHOP-ENV in it; -1 = none */
	char *path, *base;   /* of the archive, and its last component */
	int tofd;            /* the directory that it goes to */
	struct stat kept;    /* once it is written */
	struct stat failed;  /* what no return of an interface gave back before */
};

static void ending_release(struct ending *x)
{
	stage_release(&x->st);
	fd_closep(&x->restoring);
	stage_ended_release(&x->out);
	free(x->name);
	free(x->gone);
	free(x->path);
	free(x->base);
	fd_closep(&x->tofd);
	fd_closep(&x->runfd);
	fd_closep(&x->secretfd);
	fd_closep(&x->statefd);
	fd_closep(&x->shopfd);
	fd_closep(&x->dirfd);
	fd_closep(&x->keptfd);
}

void stage_ended_release(struct stage_ended *r)
{
	free(r->archive);
	strv_release(&r->did);
	*r = (struct stage_ended){0};
}

static int check_asked(const struct site *s, const struct stage_end *end, struct err *e)
{
	if (!site_shop_ok(s->shop) || end->confirm == NULL || end->confirm[0] == '\0') {
		(void)err_set(e, ERR_USAGE, "destroy wants --confirm with the code of the shop");
		return err_hint(e, "all that the shop has on this host will be removed");
	}
	if (strcmp(end->confirm, s->shop) != 0)
		return err_set(e, ERR_USAGE, "--confirm %.40s: %s is of another shop", end->confirm,
			       s->file);
	if (s->env == SITE_PROD && !end->really) {
		(void)err_set(e, ERR_USAGE, "%s is in production", s->file);
		return err_hint(e, "--really, when that is what you want");
	}
	if (end->archive != NULL && end->archive[0] != '/')
		return err_set(e, ERR_USAGE, "--archive wants an absolute path");
	return 0;
}

/* A directory in the one that is open, and nowhere else; *ret_fd stays -1 when there is none. */
static int open_in(int dirfd, const char *name, int *ret_fd, struct err *e)
{
	const struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
						RESOLVE_NO_MAGICLINKS};
	int fd = dirfd >= 0 ? fs_openat2(dirfd, name, &how) : -1;

	if (dirfd >= 0 && fd < 0 && errno != ENOENT)
		return err_sys(e, "open %s", name);
	*ret_fd = fd;
	return 0;
}

static int open_secrets(struct ending *x, const struct site *s, const struct stage_opts *o,
			struct err *e)
{
	char *failed SCOPED(mem_freep) = net_failed_path(o->runtime, s);

	if (access(o->runtime, F_OK) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", o->runtime);
	if (lstat(failed, &x->failed) != 0)
		x->failed = (struct stat){0};
	return fs_open_dir(AT_FDCWD, o->runtime, &x->runfd, e) != 0
		   ? -1
		   : open_in(x->runfd, x->name, &x->secretfd, e);
}

static int open_places(struct ending *x, const struct site *s, const struct stage_opts *o,
		       struct err *e)
{
	x->name = mem_format("%s-%s", s->shop, site_env_word(s->env));
	x->gone = mem_format(STAGE_GONE_PREFIX "%s", x->name);
	if (open_secrets(x, s, o, e) != 0)
		return -1;
	if (access(o->state, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_open_dir(AT_FDCWD, o->state, &x->statefd, e) != 0)
		return -1;
	if (!o->dry_run && fs_mkdirs(x->statefd, STAGE_KEPT_DIR, 0700, e) != 0)
		return -1;
	return open_in(x->statefd, STAGE_KEPT_DIR, &x->keptfd, e) != 0 ||
		       open_in(x->statefd, s->shop, &x->shopfd, e) != 0 ||
		       open_in(x->shopfd, site_env_word(s->env), &x->dirfd, e) != 0
		   ? -1
		   : 0;
}

/* Nothing of what will be removed may be another's, and the archive may not be in it. */
static int check_removed(const struct ending *x, const struct stat *archive, struct err *e)
{
	char *secrets SCOPED(mem_freep) = mem_format("%s/%s", x->st.o->runtime, x->name);

	if (final_look(x->keptfd >= 0 ? x->keptfd : x->statefd, x->dirfd, x->st.dir, archive, e) !=
	    0)
		return -1;
	return x->secretfd < 0 ? 0 : final_look(x->runfd, x->secretfd, secrets, archive, e);
}

/* "20261126T071600Z" */
static char *stamp(void)
{
	char *text = clock_rfc3339(clock_wall_s()), *to = text;

	for (const char *p = text; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			*to++ = *p;
	*to = '\0';
	return text;
}

/* A name that no other archive has: one that died here may have tried in this very second. */
static char *archive_path(const struct ending *x)
{
	char *when SCOPED(mem_freep) = stamp();

	for (unsigned i = 0;; i++) {
		char *more SCOPED(mem_freep) = i > 0 ? mem_format("-%u", i) : mem_strdup("");
		char *path SCOPED(mem_freep) = mem_format("%s/" STAGE_KEPT_DIR "/%s-%s%s.tar.zst",
							  x->st.o->state, x->name, when, more);

		if (access(path, F_OK) != 0)
			return STEAL(path);
	}
}

/* Where the archive goes, before anything is stopped for it. */
static int find_archive(struct ending *x, struct err *e)
{
	char *parent SCOPED(mem_freep) = NULL;
	struct stat to;

	x->path = x->end->archive != NULL ? mem_strdup(x->end->archive) : archive_path(x);
	x->base = fs_basename(x->path);
	parent = fs_dirname(x->path);
	if (x->end->archive == NULL && x->keptfd < 0)
		return check_removed(x, NULL, e);
	if (fs_open_dir(AT_FDCWD, parent, &x->tofd, e) != 0)
		return -1;
	if (fstat(x->tofd, &to) != 0)
		return err_sys(e, "look at %s", parent);
	return check_removed(x, &to, e);
}

static int keep(struct ending *x, struct err *e)
{
	const struct final f = {.from = x->dirfd, .to = x->tofd, .name = x->base, .what = x->path};

	stage_did(&x->st, "kept %s as %s", x->st.dir, x->path);
	if (!x->st.o->dry_run && final_write(&f, &x->out, e) != 0) {
		(void)err_in(e, "nothing of shop %s is removed", x->st.s->shop);
		return err_hint(e, "--archive FILE keeps it elsewhere");
	}
	if (!x->st.o->dry_run && fstatat(x->tofd, x->base, &x->kept, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "look at %s", x->path);
	if (x->out.left_out > 0)
		log_warn("%s: %zu sockets, pipes and devices are not in it", x->path,
			 x->out.left_out);
	x->out.archive = mem_strdup(x->path);
	return 0;
}

/* What was verified must still be there, and must not go with the rest. */
static int look_again(const struct ending *x, struct err *e)
{
	struct stat now;

	if (stat(x->path, &now) != 0 || now.st_dev != x->kept.st_dev ||
	    now.st_ino != x->kept.st_ino || now.st_size != x->kept.st_size)
		return err_set(e, ERR_BUSY, "%s is not there any more as it was written", x->path);
	return check_removed(x, &x->kept, e);
}

static int drop_one(struct ending *x, struct stage_one *one, struct err *e)
{
	struct engine_state s SCOPED(engine_state_release) = {0};

	if (one->container == NULL)
		return 0;
	if (stage_look(&x->st, one, &s, e) != 0)
		return -1;
	if (!x->st.o->dry_run)
		return stage_drop(&x->st, one, e);
	if (s.there)
		stage_did(&x->st, "removed %s", one->container);
	return 0;
}

static int drop_containers(struct ending *x, struct err *e)
{
	struct stage_one *const all[] = {&x->st.r.pending, &x->st.r.current, &x->st.r.previous};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (drop_one(x, all[i], e) != 0)
			return -1;
	return strays_remove(&x->st, e);
}

static int drop_secrets(struct ending *x, const struct stage_opts *o, struct err *e)
{
	if (x->secretfd < 0)
		return 0;
	stage_did(&x->st, "removed %s/%s", o->runtime, x->name);
	return o->dry_run ? 0 : fs_rmtree(x->runfd, x->name, e);
}

/* The one of this very end stays: nobody has seen it yet. */
static int drop_failed(struct ending *x, const struct site *s, const struct stage_opts *o,
		       struct err *e)
{
	char *failed SCOPED(mem_freep) = net_failed_path(o->runtime, s);
	struct stat now;

	if (x->failed.st_nlink == 0 || lstat(failed, &now) != 0 || now.st_dev != x->failed.st_dev ||
	    now.st_ino != x->failed.st_ino)
		return 0;
	stage_did(&x->st, "removed %s", failed);
	return o->dry_run || unlink(failed) == 0 ? 0 : err_sys(e, "remove %s", failed);
}

/* One rename takes it out of everybody's way; a kill after it leaves what the next one removes. */
static int set_aside(struct ending *x, struct err *e)
{
	const char *env = site_env_word(x->st.s->env);

	stage_did(&x->st, "removed %s", x->st.dir);
	if (x->st.o->dry_run)
		return 0;
	if (renameat2(x->shopfd, env, x->keptfd, x->gone, RENAME_NOREPLACE) != 0)
		return err_sys(e, "set %s aside", x->st.dir);
	if (fsync(x->keptfd) != 0 || fsync(x->shopfd) != 0)
		return err_sys(e, "sync %s", x->st.o->state);
	fault_point("destroy: set aside");
	return 0;
}

static int drop_gone(struct ending *x, const struct site *s, const struct stage_opts *o,
		     struct err *e)
{
	if (x->keptfd < 0 || o->dry_run)
		return 0;
	if (stage_told_destroyed(o, x->keptfd, x->gone, e) != 0) {
		(void)err_in(e, "%s/" STAGE_KEPT_DIR "/%s stays", o->state, x->gone);
		return err_hint(e, "its end could not be noted: mend the ledger, and destroy it "
				   "once more");
	}
	if (fs_rmtree(x->keptfd, x->gone, e) != 0)
		return -1;
	fault_point("destroy: removed");
	/* the shop's other environments stay */
	if (x->shopfd >= 0 && unlinkat(x->statefd, s->shop, AT_REMOVEDIR) != 0 &&
	    errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
		return err_sys(e, "remove %s", s->shop);
	return fsync(x->statefd) == 0 ? 0 : err_sys(e, "sync the state");
}

/* Stopped, kept, removed. */
static int end_it(struct ending *x, struct err *e)
{
	const struct stage_one none = {0};
	struct stage *st = &x->st;

	if (find_archive(x, e) != 0 || strays_check(st, e) != 0)
		return -1;
	if (!st->o->dry_run) {
		bool changed;

		st->r.stopped = true;
		if (stage_record_write(st->ownfd, &st->r, e) != 0)
			return -1;
		fault_point("destroy: noted");
		if (stage_stop_others(st, &none, e) != 0 || strays_stop(st, e) != 0)
			return -1;
		/* what people changed lies in the container */
		if (stage_keep(st, &st->r.current, &changed, e) != 0)
			return err_in(e, "nothing of shop %s is removed", st->s->shop);
		fault_point("destroy: stopped");
	}
	if (keep(x, e) != 0)
		return -1;
	fault_point("destroy: kept");
	if (drop_containers(x, e) != 0)
		return -1;
	fault_point("destroy: containers removed");
	if (!st->o->dry_run && look_again(x, e) != 0)
		return -1;
	return set_aside(x, e);
}

/* Parts of archives that were being written when their writer was killed; the lock is ours. */
static int drop_parts(const struct ending *x, struct err *e)
{
	char *prefix SCOPED(mem_freep) = mem_format(".%s-2", x->name);
	struct strv names SCOPED(strv_release) = {0};

	if (x->keptfd < 0 || x->st.o->dry_run)
		return 0;
	if (fs_list(x->keptfd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.v[i], prefix, strlen(prefix)) == 0 &&
		    strstr(names.v[i], ".tar.zst.new.") != NULL &&
		    unlinkat(x->keptfd, names.v[i], 0) != 0 && errno != ENOENT)
			return err_sys(e, "remove %s", names.v[i]);
	return 0;
}

/* The site in the directory that is open. */
static int open_site(struct ending *x, const struct site *s, const struct stage_opts *o,
		     struct err *e)
{
	struct stat own, now;

	if (!o->dry_run && fs_mkdirs(x->dirfd, ".posmedia", 0755, e) != 0)
		return -1;
	if (stage_open(s, o, &x->st, e) != 0)
		return -1;
	if (x->st.ownfd < 0)
		return 0;
	if (fstatat(x->dirfd, ".posmedia", &own, 0) != 0 || fstat(x->st.ownfd, &now) != 0 ||
	    own.st_dev != now.st_dev || own.st_ino != now.st_ino)
		return err_set(e, ERR_BUSY, "%s is another's meanwhile", x->st.dir);
	/* a warm copy goes on for hours, and does not have the site's own lock */
	if (!o->dry_run && lock_take(x->st.ownfd, STAGE_RESTORE_LOCK, &x->restoring, e) != 0)
		return err_in(e, "a restore of shop %s in %s", s->shop, site_env_word(s->env));
	return 0;
}

int stage_destroy(const struct site *s, const struct stage_opts *o, const struct stage_end *end,
		  struct stage_ended *ret, struct err *e)
{
	struct ending x SCOPED(ending_release) = {.st = {.s = s, .o = o, .ownfd = -1, .lock = -1},
						  .restoring = -1,
						  .end = end,
						  .statefd = -1,
						  .shopfd = -1,
						  .dirfd = -1,
						  .keptfd = -1,
						  .runfd = -1,
						  .secretfd = -1,
						  .tofd = -1};

	if (check_asked(s, end, e) != 0 || stage_check_mounted(s, o, e) != 0 ||
	    open_places(&x, s, o, e) != 0)
		return -1;
	if (x.dirfd >= 0 && (open_site(&x, s, o, e) != 0 || drop_parts(&x, e) != 0 ||
			     drop_gone(&x, s, o, e) != 0 || end_it(&x, e) != 0))
		return -1;
	if (drop_secrets(&x, o, e) != 0 || drop_failed(&x, s, o, e) != 0 ||
	    drop_gone(&x, s, o, e) != 0)
		return -1;
	x.out.did = x.st.out.did;
	x.st.out.did = (struct strv){0};
	*ret = x.out;
	x.out = (struct stage_ended){0};
	return 0;
}
