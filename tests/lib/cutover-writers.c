/* cutover-writers.c - who could write, for tests of a cutover: `cutover-writers OLD NEW ADDRESS`
 * looks, four times a second until SIGTERM, which tills could: those whose /usr2 is on the device
 * of the file OLD, and of NEW when they have the address. Then it prints how often it looked, and
 * how often there were two such: with any it ends with 1. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 65536, LOOK_NS = 250000000 };

static volatile sig_atomic_t ended;

static void end(int s)
{
	(void)s;
	ended = 1;
}

static const char *text_of(const char *pid, const char *name)
{
	static char text[TEXT];
	char path[300];
	size_t n = 0;
	ssize_t k;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n < TEXT - 1 && (k = read(fd, text + n, TEXT - 1 - n)) > 0)
		n += (size_t)k;
	if (fd >= 0)
		(void)close(fd);
	text[n] = '\0';
	return text;
}

static bool is_on(const char *pid, dev_t dev)
{
	struct stat st;
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%.20s/root/usr2", pid);
	return stat(path, &st) == 0 && st.st_dev == dev;
}

static dev_t device_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return st.st_dev;
	perror(path);
	exit(2);
}

static bool are_two(dev_t old, dev_t new, const char *address)
{
	bool writes_old = false, writes_new = false;
	DIR *d = opendir("/proc");
	const struct dirent *en;

	while (d != NULL && (en = readdir(d)) != NULL) {
		const char *pid = en->d_name;

		if (pid[0] < '0' || pid[0] > '9' || strcmp(text_of(pid, "comm"), "till\n") != 0)
			continue;
		writes_old = writes_old || is_on(pid, old);
		writes_new = writes_new || (is_on(pid, new) &&
					    strstr(text_of(pid, "net/fib_trie"), address) != NULL);
	}
	if (d != NULL)
		(void)closedir(d);
	return writes_old && writes_new;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = LOOK_NS};
	const struct sigaction act = {.sa_handler = end};
	unsigned long looks = 0, twos = 0;
	dev_t old, new;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: cutover-writers OLD NEW ADDRESS\n");
		return 2;
	}
	old = device_of(argv[1]);
	new = device_of(argv[2]);
	(void)sigaction(SIGTERM, &act, NULL);
	while (!ended) {
		looks++;
		twos += are_two(old, new, argv[3]) ? 1 : 0;
		(void)nanosleep(&pause, NULL);
	}
	(void)printf("%lu %lu\n", looks, twos);
	return twos > 0;
}
