#include "build/shim.h"

#include "build/job.h"
#include "shim/image.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHIM_DIR "/run/posmedia-shim"
#define SHIM_ASK "/run/posmedia-ask"

void shim_release(struct shim *s)
{
	free(s->dir);
	free(s->ask);
	free(s->own);
	strv_release(&s->from);
	strv_release(&s->to);
	strv_release(&s->argv);
	while (s->mounted_n > 0) {
		const struct shim_mounted *m = &s->mounted[--s->mounted_n];

		free(m->at);
		free(m->image);
		free(m->own);
	}
}

bool shim_on(const struct shim *s)
{
	return s->dir != NULL;
}

static void bind(struct shim *s, const char *from, const char *to)
{
	strv_add(&s->from, from);
	strv_add(&s->to, to);
}

static int put(const struct shim *s, const char *name, const void *p, size_t n, mode_t mode,
	       struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(s->dir, name);
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "make %s", path);
	if (fs_write_all(fd, p, n, e) != 0)
		return -1;
	return fchmod(fd, mode) == 0 ? 0 : err_sys(e, "make %s", path);
}

/* Where a program of the tree really is, as a path of the step; NULL when it is not there. */
static char *where(const char *root, const char *path)
{
	int fd SCOPED(fd_closep) = -1, at SCOPED(fd_closep) = -1;
	char *own SCOPED(mem_freep) = NULL, *found SCOPED(mem_freep) = NULL;
	char *link SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (fs_open_dir(AT_FDCWD, root, &fd, &quiet) != 0 ||
	    fs_open_in_root(fd, path, O_PATH, &at, &quiet) != 0 || fstat(at, &st) != 0 ||
	    !S_ISREG(st.st_mode))
		return NULL;
	link = mem_format("/proc/self/fd/%d", at);
	own = realpath(root, NULL);
	found = realpath(link, NULL);
	if (own == NULL || found == NULL || strncmp(found, own, strlen(own)) != 0)
		return NULL;
	return mem_strdup(found + strlen(own));
}

/* Puts the shim over a program of the image, which stays reachable for the shim as real/NAME. One
 * that is a link to a program of another name, like busybox, is many at once and stays what it is:
 * the shim is found first by PATH. */
static int cover(struct shim *s, const char *root, const char *path, const char *name,
		 struct err *e)
{
	char *at SCOPED(mem_freep) = where(root, path);
	char *outside SCOPED(mem_freep) = NULL, *real SCOPED(mem_freep) = NULL;
	char *shim SCOPED(mem_freep) = fs_join(s->dir, "shim");
	char *place SCOPED(mem_freep) = mem_format("real/%s", name);
	char *own SCOPED(mem_freep) = fs_basename(path), *is SCOPED(mem_freep) = NULL;

	if (at == NULL || strv_has(&s->to, at))
		return 0;
	outside = mem_format("%s%s", root, at);
	real = mem_format(SHIM_DIR "/%s", place);
	if (!strv_has(&s->to, real)) {
		if (put(s, place, "", 0, 0755, e) != 0)
			return -1;
		bind(s, outside, real);
	}
	is = fs_basename(at);
	if (strcmp(is, own) == 0)
		bind(s, shim, at);
	return 0;
}

static int cover_tool(struct shim *s, const char *root, const char *name, struct err *e)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/bin", "/sbin"};
	char *link SCOPED(mem_freep) = mem_format("%s/bin/%s", s->dir, name);

	if (symlink("../shim", link) != 0)
		return err_sys(e, "make %s", link);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(dirs[i], name);

		if (cover(s, root, path, name, e) != 0)
			return -1;
	}
	return 0;
}

static int make_dirs(const struct shim *s, struct err *e)
{
	static const char *const names[] = {"", "/bin", "/real", "/real/init.d"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path SCOPED(mem_freep) = mem_format("%s%s", s->dir, names[i]);

		if (mkdir(path, 0755) != 0)
			return err_sys(e, "make %s", path);
	}
	if (mkdir(s->ask, 0755) != 0)
		return err_sys(e, "make %s", s->ask);
	return mkdir(s->own, 0755) == 0 ? 0 : err_sys(e, "make %s", s->own);
}

static int services(struct shim *s, const char *root, struct err *e)
{
	const struct strv *names = &s->st->expects.services;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < names->n; i++) {
		const char *name = names->v[i], *dot = strstr(name, ".service");
		char *plain SCOPED(mem_freep) = mem_strndup(
		    name, dot != NULL && dot[8] == '\0' ? (size_t)(dot - name) : strlen(name));
		char *script SCOPED(mem_freep) = mem_format("/etc/init.d/%s", plain);
		char *place SCOPED(mem_freep) = mem_format("init.d/%s", plain);

		buf_addf(&b, "%s\n", plain);
		if (cover(s, root, script, place, e) != 0)
			return -1;
	}
	if (buf_over(&b))
		return recipe_err(&s->st->pos, e, "it expects too many services");
	return put(s, "services", b.data, b.len, 0644, e);
}

static int tools(struct shim *s, const char *root, struct err *e)
{
	if (s->st->expects.shim &&
	    (cover_tool(s, root, "systemctl", e) != 0 || cover_tool(s, root, "service", e) != 0))
		return -1;
	if (s->st->expects.loop &&
	    (cover_tool(s, root, "mount", e) != 0 || cover_tool(s, root, "umount", e) != 0 ||
	     cover_tool(s, root, "losetup", e) != 0 || cover_tool(s, root, "mknod", e) != 0 ||
	     cover_tool(s, root, "modprobe", e) != 0))
		return -1;
	return 0;
}

int shim_prepare(struct job *j, const struct recipe_step *st, const char *root, struct shim *ret,
		 struct err *e)
{
	size_t n = 0;
	const void *p = shim_image(&n);

	*ret = (struct shim){.j = j, .st = st};
	if (!st->expects.shim && !st->expects.loop)
		return 0;
	ret->dir = mem_format("%s/shim.%zu", j->scratch, (size_t)(st - j->r->steps));
	ret->ask = mem_format("%s/ask.%zu", j->scratch, (size_t)(st - j->r->steps));
	ret->own = mem_format("%s/image.%zu", j->scratch, (size_t)(st - j->r->steps));
	if (make_dirs(ret, e) != 0 || put(ret, "shim", p, n, 0755, e) != 0)
		return -1;
	bind(ret, ret->dir, SHIM_DIR);
	bind(ret, ret->ask, SHIM_ASK);
	if (services(ret, root, e) != 0 || tools(ret, root, e) != 0)
		return -1;
	strv_add(&ret->argv, SHIM_DIR "/shim");
	strv_add(&ret->argv, "run");
	strv_extend(&ret->argv, &st->run);
	return 0;
}

size_t shim_binds(const struct shim *s, struct sandbox_bind *to)
{
	for (size_t i = 0; to != NULL && i < s->from.n; i++)
		to[i] = (struct sandbox_bind){.from = s->from.v[i],
					      .to = s->to.v[i],
					      .writable = strcmp(s->to.v[i], SHIM_ASK) == 0};
	return s->from.n;
}
