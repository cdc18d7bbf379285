/* Packages are decompressed once: cache/debs/PACKAGE.PLAIN has the package of digest PACKAGE with
 * its members as they are, and PLAIN is the digest of that file, so that a damaged one shows. All
 * of it can be had again, so nothing is synced, and what is missing is only slower: dpkg takes the
 * package itself then. A process of its own checks and fills the cache while the essential set is
 * installed. */
#include "build/job.h"

#include "archive/plain.h"
#include "base/log.h"
#include "base/map.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 64, HEX = DIGEST_HEX };

struct unpacked {
	struct job *j;
	int dir;          /* cache/debs */
	struct map ready; /* hex digits of a package -> path below the store, owned */
	pid_t pid;        /* of the process at work; 0 = there is none any more */
	bool unchecked;   /* it did not get to the end: what it left unseen is not used */
};

/* Takes what the cache has; entries of other names are none of ours. */
static void look(struct unpacked *u)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	map_release(&u->ready, free);
	u->ready = (struct map){0};
	if (fs_list(u->dir, ".", &names, &quiet) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		struct digest a, b;

		if (strlen(names.v[i]) != 2 * HEX + 1 || names.v[i][HEX] != '.')
			continue;
		char *hex SCOPED(mem_freep) = mem_strndup(names.v[i], HEX);

		if (digest_parse_hex(hex, &a) == 0 &&
		    digest_parse_hex(names.v[i] + HEX + 1, &b) == 0)
			free(map_put(&u->ready, hex, mem_strdup(names.v[i])));
	}
}

/* Whether the cached file is what it was; one that is not goes. */
static bool check(struct unpacked *u, const char *name)
{
	int fd SCOPED(fd_closep) = openat(u->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct err quiet = ERR_INIT;
	struct digest want, is;

	if (fd >= 0 && digest_parse_hex(name + HEX + 1, &want) == 0 &&
	    digest_fd(fd, &is, NULL, &quiet) == 0 && digest_equal(&want, &is)) {
		(void)futimens(fd, NULL); /* it was of use */
		return true;
	}
	log_debug("cache/debs/%s is damaged", name);
	(void)unlinkat(u->dir, name, 0);
	return false;
}

static const char *cached(struct unpacked *u, const struct lock_package *p)
{
	return map_get(&u->ready, digest_hex(&p->digest).s);
}

struct batch {
	const struct lock_package *p[BATCH];
	struct plain_deb v[BATCH];
	size_t n;
};

static char *out_path(struct unpacked *u, size_t i)
{
	return mem_format("%s/plain.%zu", u->j->scratch, i);
}

static int flush(struct unpacked *u, struct batch *b)
{
	struct err e = ERR_INIT;
	int rc = plain_debs(b->v, b->n, 0, &e);

	for (size_t i = 0; i < b->n; i++) {
		char *from SCOPED(mem_freep) = out_path(u, i);
		char *to SCOPED(mem_freep) =
		    mem_format("%s/cache/debs/%s.%s", store_path(u->j->s),
			       digest_hex(&b->p[i]->digest).s, digest_hex(&b->v[i].digest).s);

		if (rc != 0 || !b->v[i].done || rename(from, to) != 0)
			(void)unlink(from);
		fd_closep(&b->v[i].in);
		fd_closep(&b->v[i].out);
	}
	b->n = 0;
	if (rc != 0)
		log_debug("packages stay compressed: %s", e.msg);
	return rc;
}

static int add(struct unpacked *u, struct batch *b, const struct lock_package *p)
{
	char *path SCOPED(mem_freep) = out_path(u, b->n);
	struct plain_deb d = {.out = -1};
	struct err quiet = ERR_INIT;

	if (store_get(u->j->s, &p->digest, &d.in, &quiet) != 0)
		return -1;
	d.out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (d.out < 0) {
		fd_closep(&d.in);
		return -1;
	}
	b->p[b->n] = p;
	b->v[b->n++] = d;
	return b->n < BATCH ? 0 : flush(u, b);
}

static _Noreturn void work(struct unpacked *u)
{
	struct batch *b = mem_zalloc(sizeof(*b));
	const struct lock *l = u->j->l;

	for (int essential = 0; essential < 2; essential++)
		for (size_t i = 0; i < l->packages_n; i++) {
			const struct lock_package *p = &l->packages[i];
			const char *name = cached(u, p);

			if (intr_pending())
				_exit(1);
			if ((int)p->essential != essential || (name != NULL && check(u, name)))
				continue;
			if (add(u, b, p) != 0)
				_exit(1);
		}
	_exit(b->n == 0 || flush(u, b) == 0 ? 0 : 1);
}

/* The essential set is wanted at once: what is not there as it should be is not waited for. */
static void check_essential(struct unpacked *u)
{
	for (size_t i = 0; i < u->j->l->packages_n; i++) {
		const struct lock_package *p = &u->j->l->packages[i];
		const char *name = p->essential ? cached(u, p) : NULL;

		if (name != NULL && !check(u, name))
			free(map_put(&u->ready, digest_hex(&p->digest).s, NULL));
	}
}

int unpacked_start(struct job *j, struct unpacked **ret, struct err *e)
{
	struct unpacked *u = mem_zalloc(sizeof(*u));
	pid_t self = getpid();

	u->j = j;
	u->dir = -1;
	if (fs_mkdirs(store_fd(j->s), "cache/debs", 0755, e) != 0 ||
	    fs_open_dir(store_fd(j->s), "cache/debs", &u->dir, e) != 0) {
		unpacked_stop(u);
		return -1;
	}
	look(u);
	check_essential(u);
	u->pid = fork();
	if (u->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != self)
			_exit(1);
		work(u);
	}
	if (u->pid < 0) {
		u->pid = 0; /* all the slower */
		u->unchecked = true;
	}
	*ret = u;
	return 0;
}

/* Waits until the cache is as full as it gets. */
static void join(struct unpacked *u)
{
	int status = 0;

	if (u->pid == 0)
		return;
	while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
		if (intr_pending())
			(void)kill(u->pid, SIGKILL);
	u->pid = 0;
	u->unchecked = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	look(u);
}

char *unpacked_path(struct unpacked *u, const struct lock_package *p)
{
	const char *name;

	if (!p->essential)
		join(u);
	name = p->essential || !u->unchecked ? cached(u, p) : NULL;
	return name != NULL ? mem_format("%s/cache/debs/%s", store_path(u->j->s), name)
			    : store_blob_path(u->j->s, &p->digest);
}

void unpacked_stop(struct unpacked *u)
{
	if (u == NULL)
		return;
	if (u->pid > 0) {
		(void)kill(u->pid, SIGKILL);
		while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	map_release(&u->ready, free);
	fd_closep(&u->dir);
	free(u);
}
