/* Any text as a lock: what is taken is written so that it is taken again, the same. */
#include "fuzz.h"

#include "recipe/lock.h"
#include "recipe/lock_parts.h"

static int load(const void *p, size_t n, struct lock **ret, struct err *e)
{
	int fd = fuzz_file(p, n), rc;
	char *path = mem_format("/proc/self/fd/%d", fd);

	rc = lock_load(path, ret, e);
	free(path);
	(void)close(fd);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct lock *l SCOPED(lock_freep) = NULL, *again SCOPED(lock_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(LOCK_TEXT_MAX);
	struct err e = ERR_INIT;
	struct digest one, two;

	if (load(p, n, &l, &e) != 0)
		return 0;
	lock_write(l, &text);
	HOLDS(load(text.data, text.len, &again, &e) == 0);
	one = lock_digest(l);
	two = lock_digest(again);
	HOLDS(digest_equal(&one, &two));
	return 0;
}
