/* init - all that a machine under test starts: it says on the console who it is and on which disks,
 * and switches it off. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static void show(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		dprintf(1, "init: %s: %s\r\n", path, line);
	close(fd);
}

int main(void)
{
	int fd = open("/dev/console", O_RDWR);

	dup2(fd, 1);
	mount("proc", "/proc", "proc", 0, NULL);
	show("/etc/hostname");
	show("/etc/machine-id");
	show("/etc/systemd/network/05-site.network");
	show("/proc/mdstat");
	dprintf(1, "init: end\r\n");
	sync();
	sleep(1);
	reboot(RB_POWER_OFF);
	return 1;
}
