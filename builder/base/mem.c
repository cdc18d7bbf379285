#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mem_exhausted(void)
{
	static const char msg[] = "posmedia: out of memory\n";
	ssize_t n = write(STDERR_FILENO, msg, sizeof(msg) - 1);

	(void)n;
	_exit(71);
}

void *mem_zalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (p == NULL)
		mem_exhausted();
	return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
	size_t bytes;
	void *q;

	if (__builtin_mul_overflow(n, size, &bytes))
		mem_exhausted();
	q = realloc(p, bytes ? bytes : 1);
	if (q == NULL)
		mem_exhausted();
	return q;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *p, size_t n)
{
	char *s;

	if (n == SIZE_MAX)
		mem_exhausted();
	s = mem_zalloc(n + 1);
	if (n > 0)
		memcpy(s, p, n);
	return s;
}

char *mem_vformat(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0 || s == NULL)
		mem_exhausted();
	return s;
}

char *mem_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mem_vformat(fmt, ap);
	va_end(ap);
	return s;
}

void mem_freep(void *pp)
{
	void *p;

	memcpy(&p, pp, sizeof(p));
	free(p);
}

void fd_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}
