#include "package/bootstrap.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct prune {
	const char *top; /* below the root */
	int root;
	struct strv dirs;  /* below top, parents first */
	struct strv links; /* below top */
};

static void prune_release(struct prune *p)
{
	strv_release(&p->dirs);
	strv_release(&p->links);
}

static int gather(void *ctx, const struct fs_entry *en, struct err *e UNUSED)
{
	struct prune *p = ctx;

	if (S_ISDIR(en->st.st_mode))
		strv_addf(&p->dirs, "%s/%s", p->top, en->path);
	else if (S_ISLNK(en->st.st_mode))
		strv_addf(&p->links, "%s/%s", p->top, en->path);
	return 0;
}

/* Whether a symlink leads to nothing inside the tree; absolute targets begin at its root. */
static bool is_dangling(const struct prune *p, const char *path)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *at SCOPED(mem_freep) = NULL;
	char target[4096];
	ssize_t n = readlinkat(p->root, path, target, sizeof(target) - 1);
	struct stat st;

	if (n < 0)
		return false;
	target[n] = '\0';
	at = target[0] == '/' ? mem_strdup(target + strspn(target, "/")) : fs_join(dir, target);
	return fstatat(p->root, at, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* A removed link may have been the target of another: until nothing changes. */
static int drop_links(struct prune *p, struct err *e)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < p->links.n; i++) {
			const char *path = p->links.v[i];

			if (!is_dangling(p, path))
				continue;
			if (unlinkat(p->root, path, 0) != 0)
				return err_sys(e, "remove %s", path);
			changed = true;
		}
	}
	return 0;
}

static int drop_dirs(struct prune *p, struct err *e)
{
	for (size_t i = p->dirs.n; i > 0; i--)
		if (unlinkat(p->root, p->dirs.v[i - 1], AT_REMOVEDIR) != 0 && errno != ENOTEMPTY &&
		    errno != EEXIST)
			return err_sys(e, "remove %s", p->dirs.v[i - 1]);
	return 0;
}

static int prune_top(int root, const char *top, struct err *e)
{
	struct prune p SCOPED(prune_release) = {.top = top, .root = root};
	int fd SCOPED(fd_closep) =
	    openat(root, top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", top);
	if (fs_walk(fd, gather, &p, e) != 0)
		return -1;
	if (drop_links(&p, e) != 0)
		return -1;
	return drop_dirs(&p, e);
}

int bootstrap_prune(const struct package_install *in, struct err *e)
{
	static const char *const docs[] = {"usr/share/doc", "usr/share/man", "usr/share/info",
					   "usr/share/groff", "usr/share/lintian"};
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, in->root, &root, e) != 0)
		return -1;
	for (size_t i = 0; !in->recipe->docs && i < sizeof(docs) / sizeof(docs[0]); i++)
		if (prune_top(root, docs[i], e) != 0)
			return -1;
	if (in->recipe->langs.n > 0 && prune_top(root, "usr/share/locale", e) != 0)
		return -1;
	return 0;
}
