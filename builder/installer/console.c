#include "installer/program.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1400 };

static void write_to(const char *path, const char *text, size_t n)
{
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	/* nobody is told when that fails: there is no other place */
	if (fd >= 0 && write(fd, text, n) < 0)
		return;
}

/* "tty0 ttyS0" */
static size_t each_console(const char *text, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE);
	struct err quiet = ERR_INIT;
	char *save = NULL;
	size_t said = 0;

	if (fs_get(AT_FDCWD, "/sys/class/tty/console/active", &b, &quiet) != 0)
		return 0;
	for (char *w = strtok_r(b.data, " \n", &save); w != NULL;
	     w = strtok_r(NULL, " \n", &save)) {
		char *path SCOPED(mem_freep) = mem_format("/dev/%s", w);

		write_to(path, text, n);
		said++;
	}
	return said;
}

/* Also for the journal of the system that is started. */
PRINTF(2, 0)
static void say(int priority, const char *fmt, va_list ap)
{
	char text[LINE], line[LINE + 20];
	int n;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	n = snprintf(line, sizeof(line), "posmedia: %s\r\n", text);
	if (each_console(line, (size_t)n) == 0)
		dprintf(2, "posmedia: %s\n", text);
	n = snprintf(line, sizeof(line), "<%d>posmedia: %s\n", priority, text);
	write_to("/dev/kmsg", line, (size_t)n);
}

void console_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* the kernel does not say it once more */
	say(7, fmt, ap);
	va_end(ap);
}

void console_alarm(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(2, fmt, ap);
	va_end(ap);
}

int console_error(const struct err *e)
{
	console_alarm("%s", e->msg);
	if (e->hint[0] != '\0')
		console_say("%s", e->hint);
	return 1;
}

void console_wait(uint64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) != 0)
		;
}
