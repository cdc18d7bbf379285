#include "store/store.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <time.h>

enum { WAIT_MS = 30000, NAP_MS = 50 };

#define LOCK "cache/lock"

static void nap(void)
{
	struct timespec t = {0, NAP_MS * 1000000L};

	(void)nanosleep(&t, NULL);
}

int store_share(struct store *s, int *ret_fd, struct err *e)
{
	uint64_t end = clock_mono_ms() + WAIT_MS;
	bool said = false;

	if (fs_mkdirs(store_fd(s), "cache", 0700, e) != 0)
		return -1;
	while (lock_share(store_fd(s), LOCK, ret_fd, e) != 0) {
		if (e->kind != ERR_BUSY || clock_mono_ms() >= end) {
			(void)err_in(e, "store %s is being cleaned", store_path(s));
			return err_hint(e, "wait for that to end");
		}
		if (intr_pending())
			return intr_err(e);
		if (!said)
			log_info("store %s is being cleaned: waiting", store_path(s));
		said = true;
		nap();
	}
	return 0;
}

int store_alone(struct store *s, int *ret_fd, struct err *e)
{
	if (fs_mkdirs(store_fd(s), "cache", 0700, e) != 0)
		return -1;
	if (lock_take(store_fd(s), LOCK, ret_fd, e) == 0)
		return 0;
	if (e->kind != ERR_BUSY)
		return -1;
	/* those who share leave no process id */
	(void)err_set(e, ERR_BUSY, "store %s: something is at work in it", store_path(s));
	return err_hint(e, "wait for the builds that use it to end");
}
