/* mount and umount in a sandbox where nobody may mount: an image is asked for outside, by a file in
 * SHIM_ASK, and mounted from there. */
#include "shim/shim.h"

#include "base/buf.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SHIM_ASK "/run/posmedia-ask"

enum { ANSWER_MAX = 4096, PATIENCE_MS = 600000, MOUNT_FAILED = 32 };

/* A part of an image would be another one than the whole that is mounted. */
static bool wants_part(char *const *args)
{
	for (; *args != NULL; args++)
		if (strstr(*args, "offset=") != NULL || strstr(*args, "sizelimit=") != NULL)
			return true;
	return false;
}

static int refused(void)
{
	return shim_say(MOUNT_FAILED, "mount: only images of discs can be mounted in a step: "
				      "mount -o loop IMAGE DIRECTORY");
}

/* As shim_ask; copy is the name of a copy of the image, or "". */
static int ask(const char *what, const char *first, const char *second, const char *copy)
{
	const char *own = copy[0] != '\0' ? "own" : what;
	char *name SCOPED(mem_freep) = mem_format(SHIM_ASK "/%ld", (long)getpid());
	char *asked SCOPED(mem_freep) = mem_format("%s.ask", name);
	char *said SCOPED(mem_freep) = mem_format("%s.said", name);
	char *text SCOPED(mem_freep) = mem_format("%s\n%s\n%s\n%s\n", own, first, second, copy);
	struct buf b SCOPED(buf_release) = BUF_INIT(ANSWER_MAX);
	uint64_t since = clock_mono_ms();
	struct err e = ERR_INIT;

	if (fs_put_path(asked, text, strlen(text), 0644, &e) != 0)
		return shim_say(MOUNT_FAILED, "%s: %s", what, e.msg);
	while (access(said, F_OK) != 0) {
		if (clock_mono_ms() - since > PATIENCE_MS)
			return shim_say(MOUNT_FAILED, "%s: nobody answers", what);
		(void)poll(NULL, 0, 20);
	}
	if (fs_get_file(AT_FDCWD, said, &b, &e) != 0)
		return shim_say(MOUNT_FAILED, "%s: %s", what, e.msg);
	(void)unlink(said);
	return b.len == 0 ? 0 : shim_say(MOUNT_FAILED, "%s: %s", what, b.data);
}

int shim_ask(const char *what, const char *first, const char *second)
{
	return ask(what, first, second, "");
}

bool shim_on_medium(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

/* Of an image that the step has written itself a copy goes outside: nobody there looks into the
 * step's own tree. */
static int mount_own(const char *image, const char *dir)
{
	char *name SCOPED(mem_freep) = mem_format("%ld.image", (long)getpid());
	char *copy SCOPED(mem_freep) = mem_format(SHIM_ASK "/%s", name);
	int from SCOPED(fd_closep) = open(image, O_RDONLY | O_CLOEXEC);
	int to SCOPED(fd_closep) =
	    open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	struct err e = ERR_INIT;
	uint64_t n = 0;
	int rc = MOUNT_FAILED;

	if (from < 0 || to < 0)
		(void)shim_say(rc, "mount: %s: %s", image, strerror(errno));
	else if (fs_copy_fd(from, to, &n, &e) != 0)
		(void)shim_say(rc, "mount: %s: %s", image, e.msg);
	else
		rc = ask("mount", image, dir, name);
	(void)unlink(copy);
	return rc;
}

static bool has_value(const char *option)
{
	return strcmp(option, "-o") == 0 || strcmp(option, "-t") == 0 ||
	       strcmp(option, "--options") == 0 || strcmp(option, "--types") == 0;
}

/* The words that are no options. */
static size_t operands(char *const *args, const char *v[2])
{
	size_t n = 0;

	for (; *args != NULL; args++) {
		if ((*args)[0] == '-') {
			if (has_value(*args) && args[1] != NULL)
				args++;
			continue;
		}
		if (n < 2)
			v[n] = *args;
		n++;
	}
	return n;
}

int shim_mount(char *const *args)
{
	const char *v[2] = {NULL, NULL};
	size_t n = operands(args, v);
	char *image SCOPED(mem_freep) = NULL, *dir SCOPED(mem_freep) = NULL;
	struct stat st;

	if (n == 0)
		return shim_real("mount", args);
	if (n != 2 || wants_part(args))
		return refused();
	image = realpath(v[0], NULL);
	dir = realpath(v[1], NULL);
	if (dir == NULL)
		return shim_say(MOUNT_FAILED, "mount: %s: mount point does not exist", v[1]);
	if (image == NULL || stat(image, &st) != 0 || !S_ISREG(st.st_mode) ||
	    strchr(image, '\n') != NULL || strchr(dir, '\n') != NULL)
		return refused();
	return shim_on_medium(image) ? shim_ask("mount", image, dir) : mount_own(image, dir);
}

int shim_umount(char *const *args)
{
	const char *v[2] = {NULL, NULL};
	char *dir SCOPED(mem_freep) = NULL;

	if (operands(args, v) != 1)
		return shim_say(MOUNT_FAILED, "umount: of which directory?");
	/* the directory, the image, or the device that stands for it */
	dir = realpath(v[0], NULL);
	if (dir == NULL || strchr(dir, '\n') != NULL)
		return shim_say(MOUNT_FAILED, "umount: %s: no mount point", v[0]);
	return shim_ask("umount", dir, "");
}
