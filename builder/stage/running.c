/* running.c - which process an instance is: remembered at its start, and believed only while the
 * kernel knows that very process. */
#include "stage/parts.h"

#include "base/log.h"
#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUN_MAX = 4096, STAT_MAX = 8192, CGROUP_MAX = 1 << 20, STAT_STARTTIME = 22 };

static char *run_path(const struct stage *st, const struct stage_one *one)
{
	char *dir SCOPED(mem_freep) = stage_secret_dir(st, one);

	return mem_format("%s.run", dir);
}

/* "PID (NAME) STATE ...", where NAME may hold anything: field 22 is the start (proc(5)). */
static int start_ticks(int pid, uint64_t *ret)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/stat", pid);
	struct buf text SCOPED(buf_release) = BUF_INIT(STAT_MAX);
	struct err quiet = ERR_INIT;
	char *at, *word;

	if (pid <= 0 || fs_get(AT_FDCWD, path, &text, &quiet) != 0)
		return -1;
	at = strrchr(text.data, ')');
	for (int i = 2; at != NULL && i < STAT_STARTTIME; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return -1;
	word = at + 1;
	word[strcspn(word, " \n")] = '\0';
	return num_u64(word, INT64_MAX, ret);
}

int stage_process_is(const struct engine_state *s, bool *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/%d/cgroup", s->pid);
	struct buf text SCOPED(buf_release) = BUF_INIT(CGROUP_MAX);

	*ret = false;
	if (s->id == NULL)
		return err_set(e, ERR_REMOTE, "the engine does not say which container it is");
	if (s->pid <= 0)
		return 0;
	if (fs_get(AT_FDCWD, path, &text, e) != 0)
		return access(path, F_OK) != 0 && errno == ENOENT ? 0 : -1;
	*ret = strstr(text.data, s->id) != NULL;
	return 0;
}

int stage_process_since(int pid, uint64_t *ret)
{
	long hertz = sysconf(_SC_CLK_TCK);
	uint64_t ticks;

	if (hertz <= 0 || start_ticks(pid, &ticks) != 0)
		return -1;
	*ret = ticks / (uint64_t)hertz;
	return 0;
}

uint64_t stage_machine_up(void)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(STAT_MAX);
	struct err quiet = ERR_INIT;
	uint64_t s = 0;

	if (fs_get(AT_FDCWD, "/proc/uptime", &text, &quiet) != 0)
		return 0;
	text.data[strcspn(text.data, ". ")] = '\0';
	return num_u64(text.data, INT64_MAX, &s) == 0 ? s : 0;
}

static int read_run(const char *path, struct stage_run *ret, int64_t *ret_ticks)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RUN_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	int64_t pid, ticks, starts;

	if (access(path, F_OK) != 0 || fs_get_file(AT_FDCWD, path, &text, &quiet) != 0 ||
	    jval_parse(text.data, text.len, path, &v, &quiet) != 0 ||
	    jval_get_int(v, "pid", &pid) != 0 || pid <= 0 || pid > INT32_MAX ||
	    jval_get_int(v, "ticks", &ticks) != 0 || ticks < 0 ||
	    jval_get_int(v, "starts", &starts) != 0 || starts < 1)
		return -1;
	*ret = (struct stage_run){.pid = (int)pid, .starts = (uint64_t)starts};
	*ret_ticks = ticks;
	return 0;
}

int stage_recall_run(const struct stage *st, const struct stage_one *one, struct stage_run *ret)
{
	char *path SCOPED(mem_freep) = run_path(st, one);
	struct stage_run r = {0};
	int64_t ticks;
	uint64_t now;

	if (read_run(path, &r, &ticks) != 0 || start_ticks(r.pid, &now) != 0 ||
	    now != (uint64_t)ticks || stage_process_since(r.pid, &r.since) != 0)
		return -1;
	*ret = r;
	return 0;
}

void stage_note_run(struct stage *st, const struct stage_one *one)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	char *path SCOPED(mem_freep) = run_path(st, one);
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(RUN_MAX);
	struct stage_run before = {0};
	struct err why = ERR_INIT;
	int64_t old;
	uint64_t ticks;

	if (engine_state(st->en, one->container, &now, &why) != 0 ||
	    start_ticks(now.pid, &ticks) != 0)
		return;
	(void)!read_run(path, &before, &old);
	jval_put_int(v, "pid", now.pid);
	jval_put_int(v, "ticks", (int64_t)ticks);
	jval_put_int(v, "starts", (int64_t)before.starts + 1);
	jval_write(v, &text);
	if (fs_put_unsynced(path, text.data, text.len, 0400, &why) != 0)
		log_warn("%s", why.msg);
}
