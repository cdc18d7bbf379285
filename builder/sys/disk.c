#include "sys/disk.h"

#include "base/buf.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, WORD_MAX = 200, PAGE_HEAD = 4 };

/* The text without blanks around it and without what a terminal would obey. */
static char *plain(const char *s, size_t n)
{
	char *text;

	while (n > 0 && (unsigned char)*s <= ' ')
		s++, n--;
	while (n > 0 && (unsigned char)s[n - 1] <= ' ')
		n--;
	text = mem_strndup(s, n < WORD_MAX ? n : WORD_MAX);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

char *disk_text(dev_t id, const char *name, size_t skip)
{
	char *path SCOPED(mem_freep) =
	    mem_format("/sys/dev/block/%u:%u/%s", major(id), minor(id), name);
	char text[TEXT_MAX];
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return n <= (ssize_t)skip ? mem_strdup("") : plain(text + skip, (size_t)n - skip);
}

char *disk_first(dev_t id, const char *const *names)
{
	for (; *names != NULL; names++) {
		size_t skip = strstr(*names, "vpd_pg") != NULL ? PAGE_HEAD : 0;
		char *text SCOPED(mem_freep) = disk_text(id, *names, skip);

		if (*text != '\0')
			return STEAL(text);
	}
	return mem_strdup("");
}

char *disk_usb_serial(const char *dir)
{
	char *at SCOPED(mem_freep) = mem_strdup(dir);

	/* above it are hubs, whose numbers all that is plugged into them would share */
	for (char *slash; (slash = strrchr(at, '/')) != NULL && slash != at; *slash = '\0') {
		char *vendor SCOPED(mem_freep) = fs_join(at, "idVendor"),
			     *path SCOPED(mem_freep) = fs_join(at, "serial");
		struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		struct err quiet = ERR_INIT;

		if (access(vendor, F_OK) != 0)
			continue;
		return fs_get(AT_FDCWD, path, &b, &quiet) == 0 ? plain(b.data, b.len)
							       : mem_strdup("");
	}
	return mem_strdup("");
}

/* A stick's serial number is its USB device's, some directories above. */
static char *usb_serial(dev_t id)
{
	char *link SCOPED(mem_freep) =
	    mem_format("/sys/dev/block/%u:%u/device", major(id), minor(id));
	char *at SCOPED(mem_freep) = realpath(link, NULL);

	return at != NULL ? disk_usb_serial(at) : mem_strdup("");
}

char *disk_serial(dev_t id)
{
	static const char *const names[] = {"serial", "device/serial", "device/vpd_pg80",
					    "loop/backing_file", NULL};
	char *usb SCOPED(mem_freep) = usb_serial(id);

	return *usb != '\0' ? STEAL(usb) : disk_first(id, names);
}
