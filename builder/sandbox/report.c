#include "sandbox/priv.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

void report_send(int fd, const struct err *e)
{
	/* below PIPE_BUF: one write, whole */
	while (write(fd, e, sizeof(*e)) < 0 && errno == EINTR)
		;
}

static void plain(char *s, size_t cap)
{
	s[cap - 1] = '\0';
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

int report_take(int fd, struct err *ret)
{
	struct err got;
	ssize_t r;

	do
		r = read(fd, &got, sizeof(got));
	while (r < 0 && errno == EINTR);
	if (r != (ssize_t)sizeof(got))
		return 0;
	if ((int)got.kind < ERR_FAIL || (int)got.kind > ERR_BUSY)
		got.kind = ERR_FAIL;
	plain(got.msg, sizeof(got.msg));
	plain(got.hint, sizeof(got.hint));
	*ret = got;
	return 1;
}
