/* watch.c - what a unit of systemd runs for a site: it starts the instance, sees it end, and knows
 * what others do with it. */
#include "stage/life.h"
#include "stage/parts.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include "sys/notify.h"
#include <errno.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOOK_MS = 500,
	WELL_MS = 60000,
	SHUT_MS = 60000,
	ASK_MS = 30000,
	HOLD_TRIES = 100,
	HOLD_US = 100000
};

/* What comes next. */
enum turn { TURN_AGAIN, TURN_END };

struct watch {
	const struct site *s;
	const struct stage_opts *o;
	bool ready; /* systemd knows */
	bool seen;  /* it ran */
};

static void say(struct watch *w, const char *status)
{
	char *lines SCOPED(mem_freep) =
	    mem_format("%sSTATUS=%s", w->ready ? "" : "READY=1\n", status);

	if (!w->ready)
		log_info("%s", status);
	w->ready = true;
	notify_systemd(lines);
}

static bool is_gone(const struct watch *w)
{
	char *own SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", w->o->state, w->s->shop, site_env_word(w->s->env));

	return access(own, F_OK) != 0 && errno == ENOENT;
}

/* Opens the site once nobody else is at work, or the time is over. */
static int open_free(struct watch *w, uint64_t within_ms, struct stage *ret, struct err *e)
{
	uint64_t end = clock_mono_ms() + within_ms;

	while (stage_open_staged(w->s, w->o, ret, e) != 0) {
		if (e->kind != ERR_BUSY || is_gone(w) || intr_pending() ||
		    (within_ms != 0 && clock_mono_ms() >= end))
			return -1;
		(void)usleep(LOOK_MS * 1000);
	}
	return 0;
}

/* The host goes down, or systemd stops the unit: that is no purpose of the site's. */
static int shut_down(struct watch *w, enum turn *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	const struct stage_one none = {0};

	intr_forget();
	notify_systemd("STOPPING=1\nSTATUS=stops");
	if (open_free(w, SHUT_MS, &st, e) != 0 || stage_stop_others(&st, &none, e) != 0)
		return -1;
	*ret = TURN_END;
	return 0;
}

/* Until somebody writes the record anew. */
static int wait_for_record(struct watch *w, struct stage *st, enum turn *ret, struct err *e)
{
	struct stat was, now;

	say(w, "stopped on purpose");
	if (fstatat(st->ownfd, "state.json", &was, 0) != 0)
		return err_sys(e, "look at %s/state.json", st->own);
	fd_closep(&st->lock);
	while (!intr_pending()) {
		(void)usleep(LOOK_MS * 1000);
		if (fstatat(st->ownfd, "state.json", &now, 0) != 0 || now.st_ino != was.st_ino ||
		    now.st_mtim.tv_sec != was.st_mtim.tv_sec ||
		    now.st_mtim.tv_nsec != was.st_mtim.tv_nsec)
			return 0;
	}
	return shut_down(w, ret, e);
}

/* Says which checks fail; a program that cannot be asked is no failure of the instance. */
static void look_whether_well(struct watch *w, struct stage *st, int pid)
{
	struct site *then SCOPED(site_freep) = NULL;
	struct err why = ERR_INIT;
	char *status SCOPED(mem_freep) = mem_format("%s runs", st->r.current.container);

	if (stage_site_of(st, &st->r.current, &then, &why) != 0) {
		say(w, why.msg);
		return;
	}
	st->ask_until = clock_mono_ms() + ASK_MS;
	for (size_t i = 0; i < then->health_n; i++) {
		const struct site_health *h = &then->health[i];
		bool well = false;

		if (stage_passes(st, st->r.current.container, h, pid, &well, &why) != 0) {
			say(w, why.msg);
			return;
		}
		if (well)
			continue;
		mem_freep(&status);
		status =
		    mem_format("%s runs; the check \"%s\" fails", st->r.current.container, h->name);
	}
	say(w, status);
}

/* Until the process ends. */
static int follow(struct watch *w, struct stage *st, int pid, int pidfd, enum turn *ret,
		  struct err *e)
{
	char *status SCOPED(mem_freep) = mem_format("%s runs", st->r.current.container);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int ns SCOPED(fd_closep) = stage_net_hold(st, &st->r.current);
	uint64_t look = clock_mono_ms() + WELL_MS;

	w->seen = true;
	say(w, status);
	fd_closep(&st->lock);
	for (;;) {
		if (intr_pending())
			return shut_down(w, ret, e);
		if (poll(&p, 1, LOOK_MS) > 0) {
			stage_net_ended(ns);
			return 0;
		}
		if (clock_mono_ms() < look)
			continue;
		stage_alive(st);
		look_whether_well(w, st, pid);
		look = clock_mono_ms() + WELL_MS;
	}
}

/* The process that the engine says the instance is; *ret_fd stays -1 when that is gone already. */
static int hold_once(struct stage *st, int *ret_pid, int *ret_fd, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct engine_state again SCOPED(engine_state_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (stage_look(st, &st->r.current, &now, e) != 0)
		return -1;
	if (!now.running || now.pid <= 0) {
		stage_told_crash(st, &st->r.current, now.exit);
		return err_set(e, ERR_FAIL, "%s ended with %d", st->r.current.container, now.exit);
	}
	fd = pidfd_open(now.pid, 0);
	if (fd < 0)
		return errno == ESRCH
			   ? 0
			   : err_sys(e, "%s: hold process %d", st->r.current.container, now.pid);
	if (stage_look(st, &st->r.current, &again, e) != 0)
		return -1;
	/* the number may have become another's before it was held */
	if (again.running && again.pid == now.pid) {
		*ret_pid = now.pid;
		*ret_fd = STEAL_FD(fd);
	}
	return 0;
}

/* An engine knows a little later than the kernel. */
static int hold(struct stage *st, int *ret_pid, int *ret_fd, struct err *e)
{
	for (int i = 0; i < HOLD_TRIES && *ret_fd < 0; i++) {
		struct pollfd p;

		if (hold_once(st, ret_pid, ret_fd, e) != 0)
			return -1;
		p = (struct pollfd){.fd = *ret_fd, .events = POLLIN};
		if (*ret_fd >= 0 && poll(&p, 1, 0) > 0)
			fd_closep(ret_fd);
		if (*ret_fd < 0)
			(void)usleep(HOLD_US);
	}
	return *ret_fd >= 0
		   ? 0
		   : err_set(e, ERR_FAIL, "%s: the engine says that it runs, and it does not",
			     st->r.current.container);
}

/* A staging that died, and whose guard died with it, leaves one that would keep the current one
 * from its data for ever: nobody is at work, so what was begun ends, as that staging would have had
 * it. */
static int end_begun(struct stage *st, struct err *e)
{
	const struct stage_one *begun = &st->r.pending;

	if (begun->container == NULL || st->r.current.container == NULL ||
	    stage_same(begun, &st->r.current))
		return 0;
	log_warn("%s was begun and not finished: it ends", begun->container);
	return stage_stop(st, begun, e) != 0 ? -1 : stage_drop_pending(st, &st->r.current, e);
}

/* What this program started and does not get well must not stay half alive: the next try starts it
 * anew. */
static int start(struct stage *st, enum turn *ret, struct err *e)
{
	bool started = false, interrupted;
	struct err why = ERR_INIT;

	if (end_begun(st, e) != 0)
		return -1;
	if (stage_start_current(st, &started, e) == 0)
		return 0;
	interrupted = intr_pending();
	intr_forget();
	if (started && stage_stop(st, &st->r.current, &why) != 0) {
		log_warn("%s", why.msg);
		return -1;
	}
	if (!interrupted)
		return -1;
	*ret = TURN_END;
	return 0;
}

static int no_more(const struct watch *w, enum turn *ret)
{
	log_info("shop %s in %s is no more", w->s->shop, site_env_word(w->s->env));
	*ret = TURN_END;
	return 0;
}

static int turn(struct watch *w, enum turn *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	int pidfd SCOPED(fd_closep) = -1;
	int pid = 0;

	if (open_free(w, 0, &st, e) != 0)
		return w->ready && is_gone(w) ? no_more(w, ret) : -1;
	/* it was removed, and another is only begun */
	if (w->ready && st.r.current.container == NULL)
		return no_more(w, ret);
	if (stage_come_back(&st, e) != 0)
		return -1;
	if (st.r.stopped) {
		w->seen = false;
		return wait_for_record(w, &st, ret, e);
	}
	if (!w->seen && (start(&st, ret, e) != 0 || *ret == TURN_END))
		return *ret == TURN_END ? 0 : -1;
	if (hold(&st, &pid, &pidfd, e) != 0) {
		struct err why = ERR_INIT;

		/* what of the host's it had comes back */
		if (stage_stop(&st, &st.r.current, &why) != 0)
			log_warn("%s", why.msg);
		return -1;
	}
	return follow(w, &st, pid, pidfd, ret, e);
}

int stage_watch(const struct site *s, const struct stage_opts *o, struct err *e)
{
	struct watch w = {.s = s, .o = o};
	enum turn next = TURN_AGAIN;

	while (next == TURN_AGAIN) {
		if (turn(&w, &next, e) == 0)
			continue;
		if (!intr_pending())
			return -1;
		/* whatever it was about to do */
		if (shut_down(&w, &next, e) != 0)
			return -1;
	}
	return 0;
}
