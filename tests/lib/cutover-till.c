/* cutover-till.c - a point of sale, for tests of a cutover: `cutover-till SIDE DIR` listens on port
 * 2001, takes sales, "ID\n" each from a connection of its own, and answers "ok ID SIDE\n" when DIR
 * has it for good: a line of DIR/sales, synced, and a record of DIR/records in place, as the
 * applications of our customers write theirs. It ends at SIGTERM between two sales. Static, so that
 * it is the same program on an old server and in an image. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PORT = 2001, ID_MAX = 64, RECORD = 512, RECORDS = 4096, BACKLOG = 128 };

static volatile sig_atomic_t ended;

static void end(int s)
{
	(void)s;
	ended = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_in(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0)
		die(name);
	return fd;
}

static int server(void)
{
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	/* SIGTERM may come just before accept(2) */
	const struct timeval turn = {.tv_usec = 200000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof(turn)) != 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0)
		die("port 2001");
	return fd;
}

/* A line of letters, digits and '-'; its length, or 0. */
static size_t read_id(int fd, char *id)
{
	const struct timeval t = {.tv_sec = 2};
	size_t n = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	while (n < ID_MAX && read(fd, id + n, 1) == 1) {
		if (id[n] == '\n')
			return n;
		if (strchr("-0123456789abcdefghijklmnopqrstuvwxyz", id[n]) == NULL)
			return 0;
		n++;
	}
	return 0;
}

/* Whether it is there for good; where a disk is full nothing of it is, and nobody is told that it
 * was accepted. */
static bool put(int sales, int records, const char *id, size_t n)
{
	char line[ID_MAX + 2], record[RECORD];
	unsigned long at = 5381;
	off_t end = lseek(sales, 0, SEEK_END);

	for (size_t i = 0; i < n; i++)
		at = at * 33 + (unsigned char)id[i];
	memset(record, ' ', sizeof(record));
	memcpy(record, id, n);
	memcpy(line, id, n);
	line[n] = '\n';
	errno = ENOSPC; /* of a short write */
	if (pwrite(records, record, RECORD, (off_t)(at % RECORDS) * RECORD) == RECORD &&
	    write(sales, line, n + 1) == (ssize_t)(n + 1) && fdatasync(sales) == 0)
		return true;
	if (errno != ENOSPC || end < 0 || ftruncate(sales, end) != 0)
		die("sales");
	return false;
}

/* A kill may have left half a line, and the next one is not to be its end. */
static void end_line(int sales)
{
	char c;
	off_t n = lseek(sales, 0, SEEK_END);

	if (n > 0 && pread(sales, &c, 1, n - 1) == 1 && c != '\n' && write(sales, "\n", 1) != 1)
		die("sales");
}

int main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = end};
	int dir, sales, records, fd;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: cutover-till SIDE DIR\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(argv[2]);
	sales = open_in(dir, "sales", O_RDWR | O_APPEND);
	records = open_in(dir, "records", O_RDWR);
	end_line(sales);
	fd = server();
	while (!ended) {
		char id[ID_MAX + 1], answer[2 * ID_MAX + 8];
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		size_t n = c >= 0 ? read_id(c, id) : 0;

		if (n > 0) {
			int k = snprintf(answer, sizeof(answer), "ok %.*s %.32s\n", (int)n, id,
					 argv[1]);

			if (put(sales, records, id, n))
				(void)!write(c, answer, (size_t)k);
		}
		if (c >= 0)
			(void)close(c);
	}
	return 0;
}
