#include "build/vault.h"

#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1 << 18 };

struct scan {
	const struct vault *s;
	char *chunk;    /* CHUNK bytes and those carried over */
	size_t longest; /* of the needles */
};

static int found(const struct needle *nd, const char *where, const char *path, struct err *e)
{
	(void)err_set(e, ERR_VERIFY, "the secret %s is in %s/%s", nd->name, where, path);
	return err_hint(e, "a step may read its secrets, and must not leave them in the image");
}

static int in_text(const struct scan *sc, const char *text, const char *where, const char *path,
		   struct err *e)
{
	size_t at;
	const struct needle *nd = vault_spot(sc->s, text, strlen(text), &at);

	if (nd == NULL)
		return 0;
	/* the path itself must not be said */
	return found(nd, where, text == path ? "***" : path, e);
}

/* To the end of fd, or to the first needle. */
static int spot(const struct scan *sc, int fd, const char *what, const struct needle **ret,
		struct err *e)
{
	size_t held = 0, at;
	ssize_t r;

	*ret = NULL;
	while (*ret == NULL && (r = read(fd, sc->chunk + held, CHUNK)) != 0) {
		size_t n = held + (r > 0 ? (size_t)r : 0);

		if (intr_pending())
			return intr_err(e);
		if (r < 0 && errno != EINTR)
			return err_sys(e, "read %s", what);
		*ret = vault_spot(sc->s, sc->chunk, n, &at);
		held = n < sc->longest - 1 ? n : sc->longest - 1;
		memmove(sc->chunk, sc->chunk + n - held, held);
	}
	return 0;
}

static int in_file(const struct scan *sc, const struct fs_entry *en, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct needle *nd = NULL;

	if (fd < 0)
		return err_sys(e, "open %s", en->path);
	if (spot(sc, fd, en->path, &nd, e) != 0)
		return -1;
	return nd != NULL ? found(nd, "", en->path, e) : 0;
}

static int look(void *ctx, const struct fs_entry *en, struct err *e)
{
	const struct scan *sc = ctx;
	char target[4097];
	ssize_t n;

	if (in_text(sc, en->path, "the name of ", en->path, e) != 0)
		return -1;
	if (S_ISREG(en->st.st_mode))
		return in_file(sc, en, e);
	if (!S_ISLNK(en->st.st_mode))
		return 0;
	n = readlinkat(en->parent_fd, en->name, target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(e, "read link %s", en->path);
	target[n] = '\0';
	return in_text(sc, target, "", en->path, e);
}

static void begin(const struct vault *s, struct scan *sc)
{
	*sc = (struct scan){.s = s, .longest = s->needles[0].n};
	sc->chunk = mem_zalloc(CHUNK + sc->longest);
}

static void end(struct scan *sc)
{
	explicit_bzero(sc->chunk, CHUNK + sc->longest);
	free(sc->chunk);
}

int vault_scan(const struct vault *s, const char *tree, struct err *e)
{
	struct scan sc;
	int fd SCOPED(fd_closep) = -1;
	int rc;

	if (s->needles_n == 0)
		return 0;
	if (fs_open_dir(AT_FDCWD, tree, &fd, e) != 0)
		return -1;
	begin(s, &sc);
	rc = fs_walk(fd, look, &sc, e);
	end(&sc);
	return rc;
}

int vault_spot_file(const struct vault *s, int fd, const char *what, const struct needle **ret,
		    struct err *e)
{
	struct scan sc;
	int rc;

	*ret = NULL;
	if (s->needles_n == 0)
		return 0;
	begin(s, &sc);
	rc = spot(&sc, fd, what, ret, e);
	end(&sc);
	return rc;
}
