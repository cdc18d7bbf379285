/* slot_running.c - which slot this machine runs from. */
#include "media/slots.h"

#include "base/buf.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { CMDLINE_MAX = 8192, UUID_LEN = 36, PATH_TEXT = 4096 };

/* What follows a word's name; NULL when it is another. */
static const char *value_of(const char *word, const char *name)
{
	const size_t n = strlen(name);

	return strncmp(word, name, n) == 0 ? word + n : NULL;
}

int slot_parse_cmdline(const char *text, struct slot_running *ret, char **ret_root)
{
	char *copy SCOPED(mem_freep) = mem_strdup(text), *save = NULL;
	char *root SCOPED(mem_freep) = NULL;
	struct slot_running r = {.slot = SLOT_NONE};

	for (char *w = strtok_r(copy, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save)) {
		const char *slot = value_of(w, "posmedia.slot="),
			   *verity = value_of(w, "posmedia.verity=");

		if (slot != NULL)
			r.slot = slot_of(slot);
		if (value_of(w, "posmedia.try=") != NULL)
			r.trial = true;
		if (verity != NULL && root == NULL && strcspn(verity, ":") == UUID_LEN)
			root = mem_strndup(verity, UUID_LEN);
	}
	if (r.slot == SLOT_NONE || root == NULL ||
	    strspn(root, "0123456789abcdefABCDEF-") != UUID_LEN)
		return -1;
	*ret = r;
	*ret_root = STEAL(root);
	return 0;
}

/* The disk that a partition is on: sysfs has the one in the other. */
static int disk_of(const char *root, char **ret, struct err *e)
{
	char *link SCOPED(mem_freep) = mem_format("/dev/disk/by-partuuid/%s", root);
	char *sys SCOPED(mem_freep) = NULL;
	char at[PATH_TEXT + 1];
	struct stat st;
	ssize_t n;
	char *slash;

	if (stat(link, &st) != 0 || !S_ISBLK(st.st_mode))
		return err_sys(e, "%s", link);
	sys = mem_format("/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	n = readlink(sys, at, PATH_TEXT);
	if (n <= 0)
		return err_sys(e, "%s", sys);
	at[n] = '\0';
	slash = strrchr(at, '/');
	if (slash != NULL) {
		*slash = '\0';
		slash = strrchr(at, '/');
	}
	if (slash == NULL)
		return err_set(e, ERR_FAIL, "%s is no partition", link);
	*ret = mem_format("/dev/%s", slash + 1);
	return 0;
}

int slot_find_running(struct slot_running *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CMDLINE_MAX);
	struct slot_running r = {.slot = SLOT_NONE};
	char *root SCOPED(mem_freep) = NULL;

	if (fs_get(AT_FDCWD, "/proc/cmdline", &text, e) != 0)
		return -1;
	if (slot_parse_cmdline(text.data, &r, &root) != 0) {
		(void)err_set(e, ERR_USAGE, "this machine does not run from a slot");
		return err_hint(e, "Of another disk, or of the file of one, say --disk.");
	}
	if (disk_of(root, &r.disk, e) != 0)
		return -1;
	*ret = r;
	return 0;
}
