#include "sandbox/priv.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHUNK = 1 << 14 };

int terminal_open(struct terminal *t, struct err *e)
{
	const struct winsize size = {.ws_row = 24, .ws_col = 80};
	const int unlock = 0;

	t->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (t->master < 0 || ioctl(t->master, TIOCSPTLCK, &unlock) != 0 ||
	    ioctl(t->master, TIOCSWINSZ, &size) != 0)
		return err_sys(e, "make a terminal");
	return 0;
}

int terminal_take(const struct terminal *t, struct err *e)
{
	int slave SCOPED(fd_closep) = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) != 0)
		return err_sys(e, "take the terminal");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return err_sys(e, "take the terminal");
	return 0;
}

static void say(const struct terminal *t, const char *p, size_t n)
{
	struct err quiet = ERR_INIT;

	/* when nobody listens any more, our end is near too */
	(void)!fs_write_all(t->out, p, n, &quiet);
}

/* Takes one piece of what the program said. Returns 0 when there is none. */
static int take(const struct terminal *t)
{
	char chunk[CHUNK];
	ssize_t n = read(t->master, chunk, sizeof(chunk));

	if (n > 0)
		say(t, chunk, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void fill(struct terminal *t)
{
	ssize_t n = read(t->down, t->typed, sizeof(t->typed));

	if (n == 0)
		t->down = -1;
	t->typed_n = n > 0 ? (size_t)n : 0;
}

static void type(struct terminal *t)
{
	ssize_t n = write(t->master, t->typed, t->typed_n);

	if (n <= 0)
		return;
	memmove(t->typed, t->typed + n, t->typed_n - (size_t)n);
	t->typed_n -= (size_t)n;
}

void terminal_relay(struct terminal *t, int timeout_ms)
{
	bool full = t->typed_n > 0;
	struct pollfd p[] = {{t->master, (short)(full ? POLLIN | POLLOUT : POLLIN), 0},
			     {full ? -1 : t->down, POLLIN, 0}};

	if (poll(p, 2, timeout_ms) <= 0)
		return;
	if (p[0].revents & POLLOUT)
		type(t);
	if (p[1].revents != 0)
		fill(t);
	if (p[0].revents & POLLIN)
		(void)take(t);
	else if (p[0].revents & (POLLHUP | POLLERR)) /* nobody has it open: no use in asking */
		(void)poll(NULL, 0, timeout_ms);
}

void terminal_drain(const struct terminal *t)
{
	while (take(t) != 0)
		;
}
