/* losetup, and mknod and modprobe for it, in a sandbox that has no loop devices: /dev/loopN is a
 * link to the image that it stands for, so that it can be read, and mounted as that. */
#include "shim/shim.h"

#include "base/num.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEVICES = 64, PATH_LONGEST = 4096 };

/* What is asked for; words are the operands. */
struct asked {
	bool find, show, all, detach, detach_all, plain;
	const char *of; /* -j */
	const char *odd;
	const char *words[DEVICES];
	size_t n;
};

static int failed(const char *device, const char *why)
{
	return shim_say(1, "losetup: %s: %s", device, why);
}

/* The image of a device; NULL when it has none. The caller owns it. */
static char *image_of(const char *device)
{
	char to[PATH_LONGEST];
	ssize_t n = readlink(device, to, sizeof(to));

	return n > 0 && (size_t)n < sizeof(to) ? mem_strndup(to, (size_t)n) : NULL;
}

/* "/dev/loop7", or "loop7" for it; NULL for what is neither. The caller owns it. */
static char *device_of(const char *text)
{
	const char *name = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;
	uint64_t i;

	if (strncmp(name, "loop", 4) != 0 || num_u64(name + 4, DEVICES - 1, &i) != 0)
		return NULL;
	return mem_format("/dev/loop%llu", (unsigned long long)i);
}

/* The first that stands for nothing. The caller owns it. */
static char *unused(void)
{
	for (int i = 0; i < DEVICES; i++) {
		char *device SCOPED(mem_freep) = mem_format("/dev/loop%d", i);
		struct stat st;

		if (lstat(device, &st) != 0)
			return STEAL(device);
	}
	return NULL;
}

static int detach(const char *text)
{
	char *device SCOPED(mem_freep) = device_of(text);
	char *image SCOPED(mem_freep) = device != NULL ? image_of(device) : NULL;

	if (image == NULL)
		return failed(text, "detach failed: No such device or address");
	return unlink(device) == 0 ? 0 : failed(device, strerror(errno));
}

static int detach_all(void)
{
	int rc = 0;

	for (int i = 0; i < DEVICES; i++) {
		char *device SCOPED(mem_freep) = mem_format("/dev/loop%d", i);
		char *image SCOPED(mem_freep) = image_of(device);

		if (image != NULL && unlink(device) != 0)
			rc = failed(device, strerror(errno));
	}
	return rc;
}

static int attach(const char *device, const char *file, bool show)
{
	char *image SCOPED(mem_freep) = realpath(file, NULL);
	struct stat st;

	if (device == NULL)
		return shim_say(1, "losetup: cannot find an unused loop device");
	if (image == NULL || stat(image, &st) != 0)
		return failed(file, strerror(errno));
	if (!S_ISREG(st.st_mode) || strchr(image, '\n') != NULL)
		return failed(file, "only images of discs can be attached");
	if (shim_on_medium(image) && shim_ask("losetup", image, "") != 0)
		return 1;
	if (symlink(image, device) != 0)
		return failed(device, strerror(errno));
	if (show)
		dprintf(1, "%s\n", device);
	return 0;
}

/* As losetup -a writes it, or with column names as losetup -l does. */
static int list(const struct asked *a, bool table)
{
	char *of SCOPED(mem_freep) = a->of != NULL ? realpath(a->of, NULL) : NULL;
	bool head = false;

	for (int i = 0; i < DEVICES; i++) {
		char *device SCOPED(mem_freep) = mem_format("/dev/loop%d", i);
		char *image SCOPED(mem_freep) = image_of(device);

		if (image == NULL || (a->of != NULL && (of == NULL || strcmp(of, image) != 0)))
			continue;
		if (table && !head && !a->plain)
			dprintf(1, "NAME       SIZELIMIT OFFSET AUTOCLEAR RO BACK-FILE\n");
		head = true;
		if (table)
			dprintf(1, "%-10s         0      0         0  1 %s\n", device, image);
		else
			dprintf(1, "%s: []: (%s)\n", device, image);
	}
	return 0;
}

static int show(const char *text)
{
	char *device SCOPED(mem_freep) = device_of(text);
	char *image SCOPED(mem_freep) = device != NULL ? image_of(device) : NULL;

	if (image == NULL)
		return failed(text, "No such device or address");
	dprintf(1, "%s: []: (%s)\n", device, image);
	return 0;
}

/* One letter or long word. What only concerns real devices is passed by: an image on a medium is
 * read-only and whole anyway. What would be another device than asked for is `odd`. */
static void option(struct asked *a, const char *name, const char *next, bool *ret_took)
{
	static const char *const nothing[] = {"r", "read-only", "P", "partscan",
					      "v", "verbose",   "L", "nooverlap"};
	const struct {
		const char *brief, *name;
		bool *to;
	} flags[] = {{"f", "find", &a->find},
		     {"", "show", &a->show},
		     {"a", "all", &a->all},
		     {"d", "detach", &a->detach},
		     {"D", "detach-all", &a->detach_all},
		     {"n", "noheadings", &a->plain}};

	*ret_took = false;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(name, flags[i].brief) == 0 || strcmp(name, flags[i].name) == 0) {
			*flags[i].to = true;
			return;
		}
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		if (strcmp(name, nothing[i]) == 0)
			return;
	if (strcmp(name, "l") == 0 || strcmp(name, "list") == 0)
		return;
	if ((strcmp(name, "j") == 0 || strcmp(name, "associated") == 0) && next != NULL) {
		a->of = next;
		*ret_took = true;
		return;
	}
	a->odd = a->odd != NULL ? a->odd : name;
}

/* "-fP": each letter is an option. */
static bool letters(struct asked *a, const char *word, const char *next)
{
	bool took = false;

	for (const char *c = word + 1; *c != '\0'; c++) {
		char *one SCOPED(mem_freep) = mem_strndup(c, 1);
		bool last = c[1] == '\0';

		option(a, *c == 'o' || *c == 'b' || *c == 'c' || *c == 'O' ? word : one,
		       last ? next : NULL, &took);
	}
	return took;
}

static struct asked parse(char *const *args)
{
	struct asked a = {0};

	for (; *args != NULL; args++) {
		const char *word = *args, *next = args[1];
		bool took = false;

		if (word[0] != '-' || word[1] == '\0') {
			if (a.n < DEVICES)
				a.words[a.n++] = word;
			continue;
		}
		if (word[1] == '-')
			option(&a, word + 2, next, &took);
		else
			took = letters(&a, word, next);
		if (took)
			args++;
	}
	return a;
}

static int attach_to(const struct asked *a)
{
	char *device SCOPED(mem_freep) = a->find ? unused() : device_of(a->words[0]);

	if (!a->find && device == NULL)
		return failed(a->words[0], "not a loop device");
	return attach(device, a->words[a->n - 1], a->show);
}

int shim_losetup(char *const *args)
{
	struct asked a = parse(args);
	int rc = 0;

	if (a.odd != NULL)
		return shim_say(1, "losetup: %s: a step has only whole images as loop devices",
				a.odd);
	if (a.detach_all)
		return detach_all();
	if (a.detach) {
		for (size_t i = 0; i < a.n; i++)
			rc = detach(a.words[i]) != 0 ? 1 : rc;
		return rc;
	}
	if (a.find && a.n == 0) {
		char *device SCOPED(mem_freep) = unused();

		return device != NULL ? (dprintf(1, "%s\n", device), 0) : 1;
	}
	if (a.n == 0)
		return list(&a, !a.all && a.of == NULL);
	if (a.n == 1 && !a.find)
		return show(a.words[0]);
	return a.n == (a.find ? 1 : 2) ? attach_to(&a)
				       : shim_say(1, "losetup: unexpected number of arguments");
}

/* mknod [-m MODE] /dev/loop0 b 7 0: it is made when something is attached. Others are made, or
 * refused, as ever. */
int shim_mknod(char *const *args)
{
	for (size_t i = 0; args[i] != NULL; i++) {
		char *device SCOPED(mem_freep) =
		    strncmp(args[i], "/dev/", 5) == 0 ? device_of(args[i]) : NULL;

		if (device != NULL || strcmp(args[i], "/dev/loop-control") == 0)
			return 0;
	}
	return shim_real("mknod", args);
}

/* modprobe loop: there is no module to be loaded. */
int shim_modprobe(char *const *args)
{
	for (size_t i = 0; args[i] != NULL; i++)
		if (strcmp(args[i], "loop") == 0)
			return 0;
	return shim_real("modprobe", args);
}
