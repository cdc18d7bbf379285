/* cutover-clock.c - a wall clock that can be set, for tests of a cutover: with it preloaded, a
 * program's time is the kernel's and as many nanoseconds more as the eight bytes of the file
 * $CUTOVER_CLOCK, or of /etc/cutover-clock, say at that moment. Clocks that nobody sets stay. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static int64_t offset(void)
{
	static const volatile int64_t *at;
	static int tried;
	const char *path = getenv("CUTOVER_CLOCK");
	void *p;
	int fd;

	if (tried)
		return at == NULL ? 0 : *at;
	tried = 1;
	fd = open(path == NULL ? "/etc/cutover-clock" : path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	p = mmap(NULL, sizeof(*at), PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (p != MAP_FAILED)
		at = p;
	return at == NULL ? 0 : *at;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);
	int64_t ns;

	if (rc != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return rc;
	ns = t->tv_sec * SECOND + t->tv_nsec + offset();
	t->tv_sec = ns / SECOND;
	t->tv_nsec = ns % SECOND;
	return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}
