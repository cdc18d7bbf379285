#include "base/num.h"
#include "sandbox/priv.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a process that it shares with no file and no other process: statm, proc(5). */
static uint64_t private_memory(const char *pid)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%s/statm", pid);
	struct buf b SCOPED(buf_release) = BUF_INIT(1000);
	struct err quiet = ERR_INIT;
	uint64_t v[3];
	char *at;

	if (fs_get(AT_FDCWD, path, &b, &quiet) != 0)
		return 0; /* it ended */
	at = b.data;
	for (size_t i = 0; i < 3; i++) {
		const char *word = strsep(&at, " \n");

		if (word == NULL || num_u64(word, UINT64_MAX, &v[i]) != 0)
			return 0;
	}
	return v[1] > v[2] ? (v[1] - v[2]) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int watch_limits(const struct sandbox_spec *s, struct err *e)
{
	uint64_t max = s->processes_max != 0 ? s->processes_max : SANDBOX_PROCESSES;
	struct strv names SCOPED(strv_release) = {0};
	uint64_t n = 0, bytes = 0;

	if (fs_list(AT_FDCWD, "/proc", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (names.v[i][0] < '0' || names.v[i][0] > '9')
			continue;
		n++;
		if (s->memory_max != 0)
			bytes += private_memory(names.v[i]);
	}
	if (n > max + 1) /* we are not counted */
		return err_set(e, ERR_STEP, "sandbox: more than %llu processes at once",
			       (unsigned long long)max);
	if (s->memory_max != 0 && bytes > s->memory_max)
		return err_set(e, ERR_STEP, "sandbox: more than %llu bytes of memory at once",
			       (unsigned long long)s->memory_max);
	return 0;
}

int watch_left(struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct buf who SCOPED(buf_release) = BUF_INIT(300);
	size_t n = 0;

	if (fs_list(AT_FDCWD, "/proc", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("/proc/%s/comm", names.v[i]);
		struct buf b SCOPED(buf_release) = BUF_INIT(100);

		if (names.v[i][0] < '0' || names.v[i][0] > '9' || strcmp(names.v[i], "1") == 0 ||
		    fs_get(AT_FDCWD, path, &b, e) != 0)
			continue;
		n++;
		buf_addf(&who, " %.*s", (int)strcspn(b.data, "\n"), b.data);
	}
	return err_set(e, ERR_STEP, "left %zu processes running:%s", n, who.data);
}
