/* init - all that a machine under test starts: it says on the console who it is and on which disks,
 * and switches it off. By other names it does nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

enum { TEXT = 4096 };

static void get(const char *path, char text[TEXT])
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT - 1);

	text[n < 0 ? 0 : n] = '\0';
	close(fd);
}

static void show(const char *path)
{
	char text[TEXT];

	get(path, text);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		dprintf(1, "init: %s: %s\r\n", path, line);
}

/* Until a disk that was behind has what the other has. */
static void wait_for_pair(void)
{
	char text[TEXT];

	for (int turn = 0; turn < 120; turn++) {
		get("/proc/mdstat", text);
		if (strstr(text, "recovery") == NULL && strstr(text, "resync") == NULL)
			return;
		sleep(1);
	}
}

/* Where a link leads to. */
static void follow(const char *path)
{
	char text[TEXT];
	ssize_t n = readlink(path, text, sizeof(text));

	if (n > 0)
		dprintf(1, "init: %s: %.*s\r\n", path, (int)n, text);
}

int main(int argc, char **argv)
{
	int fd = open("/dev/console", O_RDWR);

	(void)argc;
	/* cp and sync, by which a new partition gets what the image has there, which is nothing */
	if (strstr(argv[0], "init") == NULL)
		return 0;
	dup2(fd, 1);
	mount("proc", "/proc", "proc", 0, NULL);
	show("/etc/hostname");
	show("/etc/machine-id");
	show("/etc/systemd/network/05-site.network");
	wait_for_pair();
	show("/proc/mdstat");
	follow("/dev/disk/by-label/usr2");
	follow("/dev/disk/by-partlabel/site");
	dprintf(1, "init: end\r\n");
	sync();
	sleep(1);
	reboot(RB_POWER_OFF);
	return 1;
}
