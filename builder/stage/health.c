/* health.c - whether an instance is well: the checks of its site. */
#include "stage/parts.h"

#include "sandbox/ports.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TABLE_MAX = 16 << 20,
	POLL_FIRST_US = 5000,
	POLL_US = 100000,
	QUIET_MS = 30000,
	SETTLE_MS = 1000
};

/* "  0: 00000000:0016 00000000:0000 0A ...": the local port in hex, and 0A is LISTEN (proc(5)). */
static bool line_listens(const char *line, uint16_t port)
{
	const char *field[4] = {NULL};
	char want[8];
	size_t n;

	for (int i = 0; i < 4; i++) {
		line += strspn(line, " ");
		field[i] = line;
		line += strcspn(line, " \n");
	}
	(void)snprintf(want, sizeof(want), ":%04X ", port);
	n = strcspn(field[1], ": \n");
	return strncmp(field[1] + n, want, strlen(want)) == 0 && strncmp(field[3], "0A", 2) == 0;
}

bool stage_listens(int pid, uint16_t port)
{
	static const char *const tables[] = {"tcp", "tcp6"};
	int known = sandbox_listens(pid, port);

	if (known >= 0)
		return known != 0;
	for (size_t i = 0; i < 2; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(TABLE_MAX);
		char *path SCOPED(mem_freep) = mem_format("/proc/%d/net/%s", pid, tables[i]);
		struct err quiet = ERR_INIT;

		if (fs_get(AT_FDCWD, path, &text, &quiet) != 0)
			continue;
		for (const char *p = text.data; (p = strchr(p, '\n')) != NULL;)
			if (line_listens(++p, port))
				return true;
	}
	return false;
}

int stage_passes(struct stage *st, const char *container, const struct site_health *h, int pid,
		 bool *ret, struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(4096);
	struct engine_exec x = {&h->run, QUIET_MS, &said};
	uint64_t now = clock_mono_ms();
	int status = 0;

	if (h->tcp != 0) {
		*ret = stage_listens(pid, h->tcp);
		return 0;
	}
	if (st->ask_until != 0 && now >= st->ask_until)
		return err_set(e, ERR_BUSY, "the checks before it took all the time");
	if (st->ask_until != 0 && st->ask_until - now < x.quiet_ms)
		x.quiet_ms = st->ask_until - now;
	if (engine_run(st->en, container, &x, &status, e) != 0)
		return -1;
	*ret = status == 0;
	return 0;
}

static int not_running(const char *container, const struct engine_state *now, struct err *e)
{
	return err_set(e, ERR_FAIL, "%s does not run: it ended with %d", container, now->exit);
}

static int wait_for(struct stage *st, const char *container, const struct site_health *h,
		    struct err *e)
{
	uint64_t end = clock_mono_ms() + h->within_ms;
	useconds_t pause = POLL_FIRST_US;
	struct err why = ERR_INIT;
	bool well = false;

	while (!well) {
		struct engine_state now SCOPED(engine_state_release) = {0};

		if (engine_state(st->en, container, &now, e) != 0)
			return -1;
		if (!now.running)
			return not_running(container, &now, e);
		/* a program cannot be asked while the container is on its way down or up */
		if (stage_passes(st, container, h, now.pid, &well, &why) == 0 && well)
			break;
		if (clock_mono_ms() >= end)
			return err_set(e, ERR_FAIL,
				       "%s: the check \"%s\" does not pass in %llu ms%s%s",
				       container, h->name, (unsigned long long)h->within_ms,
				       why.msg[0] != '\0' ? ": " : "", why.msg);
		if (intr_pending())
			return intr_err(e);
		(void)usleep(pause);
		pause = pause * 2 < POLL_US ? pause * 2 : POLL_US;
	}
	return 0;
}

/* Without a check it must at least stay: the process that runs now, not one that came after it. */
static int wait_settled(struct stage *st, const char *container, struct err *e)
{
	struct engine_state first SCOPED(engine_state_release) = {0};
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (engine_state(st->en, container, &first, e) != 0)
		return -1;
	if (!first.running)
		return not_running(container, &first, e);
	for (int i = 0; i < SETTLE_MS / (POLL_US / 1000); i++) {
		if (intr_pending())
			return intr_err(e);
		(void)usleep(POLL_US);
	}
	if (engine_state(st->en, container, &now, e) != 0)
		return -1;
	if (!now.running)
		return not_running(container, &now, e);
	if (now.pid != first.pid)
		return err_set(e, ERR_FAIL, "%s does not stay: it was started again within %d ms",
			       container, SETTLE_MS);
	return 0;
}

int stage_wait_well(struct stage *st, const char *container, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (st->s->health_n == 0)
		return wait_settled(st, container, e);
	for (size_t i = 0; i < st->s->health_n; i++)
		if (wait_for(st, container, &st->s->health[i], e) != 0)
			return -1;
	if (engine_state(st->en, container, &now, e) != 0)
		return -1;
	return now.running ? 0 : not_running(container, &now, e);
}
