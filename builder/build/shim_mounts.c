/* What a step asks for with mount, umount and losetup: images that it has. */
#include "build/shim.h"

#include "archive/unpack.h"
#include "base/log.h"
#include "build/job.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ASKED_MAX = 3 * 4096, GROWTH = 20, SPARE = 64 << 20, ENTRIES_MAX = 4 << 20 };

/* The medium of the step that a path lies on, and where on it. */
static const struct recipe_media *medium_of(const struct shim *s, const char *path,
					    const char **ret_rest)
{
	for (size_t i = 0; i < s->st->mounts_n; i++) {
		const struct recipe_mount *m = &s->st->mounts[i];
		size_t n = strlen(m->at);

		if (strncmp(path, m->at, n) == 0 && path[n] == '/' &&
		    fs_relative_ok(path + n + 1)) {
			*ret_rest = path + n + 1;
			return recipe_media_find(s->j->r, m->media);
		}
	}
	return NULL;
}

static int want_medium(const struct shim *s, const char *path, const struct recipe_media **ret,
		       const char **ret_rest, struct err *e)
{
	*ret = medium_of(s, path, ret_rest);
	if (*ret != NULL)
		return 0;
	(void)err_set(e, ERR_STEP, "%.200s is not on a medium of the step", path);
	return err_hint(e, "declare it under media: and mount it");
}

/* The image as a medium of its own: inside the one that it lies on, or that one itself. */
static int image_tree(const struct shim *s, const char *path, const char **ret, struct err *e)
{
	const char *rest = NULL;
	const struct recipe_media *on = NULL;
	struct recipe_media image;
	struct strv inside SCOPED(strv_release) = {0};
	int rc;

	if (want_medium(s, path, &on, &rest, e) != 0)
		return -1;
	image = *on;
	strv_extend(&inside, &on->inside);
	if (!on->as_file)
		strv_add(&inside, rest);
	if (inside.n > RECIPE_INSIDE_MAX)
		return err_set(e, ERR_STEP, "%.200s: too many archives in each other", path);
	image.inside = inside;
	image.as_file = false;
	rc = job_medium(s->j, &image, ret, e);
	return rc;
}

/* An image that is the step's own: it has put a copy, `name`, where it asks. */
static int own_tree(struct shim *s, int asks, const char *name, char **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/%zu", s->own, s->owns);
	int fd SCOPED(fd_closep) =
	    openat(asks, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct unpack_medium u = {.name = "image", .disc = true};
	struct err quiet = ERR_INIT;
	struct stat st;
	uint64_t most;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_STEP, "it is not there");
	if (disk_left(s->disk, &u.bytes_max, &u.entries_max, e) != 0)
		return -1;
	/* it may say any size: what it takes on the disk is real */
	most = (uint64_t)st.st_blocks * 512 * GROWTH + SPARE;
	if (u.bytes_max > most)
		u.bytes_max = most;
	if (u.entries_max > ENTRIES_MAX)
		u.entries_max = ENTRIES_MAX;
	if (mkdir(dir, 0755) != 0)
		return err_sys(e, "make %s", dir);
	s->owns++;
	if (unpack_medium(fd, "image", dir, &u, e) != 0) {
		if (fs_rmtree(AT_FDCWD, dir, &quiet) != 0)
			log_warn("%s", quiet.msg);
		return -1;
	}
	*ret = STEAL(dir);
	return 0;
}

/* A copy's name is a number and ".image". */
static bool names_own(const char *image)
{
	size_t n = strspn(image, "0123456789");

	return n > 0 && strcmp(image + n, ".image") == 0;
}

struct wanted {
	int asks;          /* the directory that requests come in */
	const char *image; /* on a medium, or the name of a copy there */
	const char *known; /* by what name it will be asked for */
	const char *dir;
};

static int mount_image(struct shim *s, pid_t init, const struct wanted *w, struct err *e)
{
	struct shim_mounted *m = &s->mounted[s->mounted_n];
	char *own SCOPED(mem_freep) = NULL;
	const char *tree = NULL;
	uint64_t id = 0;
	int rc;

	if (s->mounted_n == SHIM_MOUNTS_MAX)
		return err_set(e, ERR_STEP, "more than %d images at once", (int)SHIM_MOUNTS_MAX);
	if (names_own(w->image)) {
		rc = own_tree(s, w->asks, w->image, &own, e);
		(void)unlinkat(w->asks, w->image, 0);
		tree = own;
	} else {
		rc = image_tree(s, w->image, &tree, e);
	}
	if (rc != 0 || sandbox_mount_in(init, tree, w->dir, &id, e) != 0)
		return -1;
	*m = (struct shim_mounted){
	    .at = mem_strdup(w->dir), .image = mem_strdup(w->known), .own = STEAL(own), .id = id};
	s->mounted_n++;
	return 0;
}

/* By its directory or its image; what was mounted last goes first. */
static int unmount_image(struct shim *s, pid_t init, const char *what, struct err *e)
{
	size_t i = s->mounted_n;
	struct shim_mounted m;

	while (i > 0 && strcmp(s->mounted[i - 1].at, what) != 0 &&
	       strcmp(s->mounted[i - 1].image, what) != 0)
		i--;
	if (i == 0)
		return err_set(e, ERR_STEP, "%.200s: no image is mounted there", what);
	m = s->mounted[i - 1];
	if (sandbox_unmount_in(init, m.at, m.id, e) != 0)
		return -1;
	memmove(&s->mounted[i - 1], &s->mounted[i], (s->mounted_n - i) * sizeof(m));
	s->mounted_n--;
	if (m.own != NULL && fs_rmtree(AT_FDCWD, m.own, e) != 0)
		log_warn("%s", e->msg);
	free(m.at);
	free(m.image);
	free(m.own);
	return 0;
}

/* MOUNT, IMAGE and DIRECTORY, or OWN, IMAGE, DIRECTORY and the copy's name, or UMOUNT and DIRECTORY
 * or IMAGE, or LOSETUP and IMAGE, a line each. The step can also write its own without our shim. */
static int grant(struct shim *s, pid_t init, int asks, char *text, struct err *e)
{
	const struct recipe_media *on = NULL;
	const char *rest = NULL;
	const char *what = strsep(&text, "\n"), *first = strsep(&text, "\n");
	const char *dir = text != NULL ? strsep(&text, "\n") : NULL;
	const char *copy = text != NULL ? strsep(&text, "\n") : NULL;

	if (first == NULL || dir == NULL || first[0] != '/')
		return err_set(e, ERR_STEP, "not understood");
	if (strcmp(what, "mount") == 0 && dir[0] == '/')
		return mount_image(s, init, &(struct wanted){asks, first, first, dir}, e);
	if (strcmp(what, "own") == 0 && dir[0] == '/' && copy != NULL && names_own(copy))
		return mount_image(s, init, &(struct wanted){asks, copy, first, dir}, e);
	if (strcmp(what, "umount") == 0)
		return unmount_image(s, init, first, e);
	if (strcmp(what, "losetup") == 0)
		return want_medium(s, first, &on, &rest, e);
	return err_set(e, ERR_STEP, "not understood");
}

/* The step has this directory: a link in it must not lead us anywhere. */
static int read_asked(int dir, const char *name, struct buf *b, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char text[ASKED_MAX];
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "read %s", name);
	if (!S_ISREG(st.st_mode) || (n = read(fd, text, sizeof(text))) < 0)
		return err_set(e, ERR_STEP, "%s is not a request", name);
	buf_add(b, text, strnlen(text, (size_t)n));
	return 0;
}

static int answer(struct shim *s, int dir, const char *name, pid_t init, struct err *e)
{
	char *said SCOPED(mem_freep) =
	    mem_format("%.*s.said", (int)(strlen(name) - strlen(".ask")), name);
	struct buf b SCOPED(buf_release) = BUF_INIT(ASKED_MAX);
	struct err no = ERR_INIT;
	char *text SCOPED(mem_freep) = NULL;

	if (read_asked(dir, name, &b, &no) == 0 && grant(s, init, dir, b.data, &no) == 0)
		text = mem_strdup("");
	else
		text = mem_format("%s%s%s", no.msg, no.hint[0] != '\0' ? "; " : "", no.hint);
	if (unlinkat(dir, name, 0) != 0)
		return err_set(e, ERR_STEP, "its requests for mounts are not files");
	return fs_put(dir, said, text, strlen(text), 0644, e);
}

int shim_answer(struct shim *s, pid_t init, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	int dir SCOPED(fd_closep) = -1;

	if (!s->st->expects.loop)
		return 0;
	if (fs_open_dir(AT_FDCWD, s->ask, &dir, e) != 0 || fs_list(dir, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		if (n > 4 && names.v[i][0] != '.' && strcmp(names.v[i] + n - 4, ".ask") == 0 &&
		    answer(s, dir, names.v[i], init, e) != 0)
			return -1;
	}
	return 0;
}
