/* mount and umount in a sandbox where nobody may mount: an image that lies on one of the step's
 * media is asked for outside, by a file in SHIM_ASK, and mounted from there. */
#include "shim/shim.h"

#include "base/buf.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	return shim_say(MOUNT_FAILED,
			"mount: only images on the step's own media can be mounted in "
			"a step: mount -o loop IMAGE DIRECTORY");
}

int shim_ask(const char *what, const char *first, const char *second)
{
	char *name SCOPED(mem_freep) = mem_format(SHIM_ASK "/%ld", (long)getpid());
	char *asked SCOPED(mem_freep) = mem_format("%s.ask", name);
	char *said SCOPED(mem_freep) = mem_format("%s.said", name);
	char *text SCOPED(mem_freep) = mem_format("%s\n%s\n%s\n", what, first, second);
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
	return shim_ask("mount", image, dir);
}

int shim_umount(char *const *args)
{
	const char *v[2] = {NULL, NULL};
	char *dir SCOPED(mem_freep) = NULL;

	if (operands(args, v) != 1)
		return shim_say(MOUNT_FAILED, "umount: of which directory?");
	dir = realpath(v[0], NULL);
	if (dir == NULL || strchr(dir, '\n') != NULL)
		return shim_say(MOUNT_FAILED, "umount: %s: no mount point", v[0]);
	return shim_ask("umount", dir, "");
}
