#include "stage/held.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MARK "held"

enum { MARK_MAX = 256, TRIES = 10, NAP_US = 300000 };

static int remove_mark(const struct stage *st, struct err *e)
{
	if (unlinkat(st->ownfd, MARK, 0) != 0 && errno != ENOENT)
		return err_sys(e, "remove %s/" MARK, st->own);
	return 0;
}

/* What the mark names; "" = there is none. */
static int read_mark(const struct stage *st, struct buf *ret, struct err *e)
{
	if (fs_get(st->ownfd, MARK, ret, e) == 0)
		return 0;
	if (e->sys != ENOENT)
		return -1;
	*e = (struct err)ERR_INIT;
	buf_cut(ret, 0);
	return 0;
}

static int let_go(const struct stage *st, struct engine *en, const char *container, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (engine_state(en, container, &now, e) != 0 ||
	    (now.paused && engine_go_on(en, container, e) != 0))
		return -1;
	fault_point("held: goes on");
	return remove_mark(st, e);
}

int stage_let_go_left(struct stage *st, bool *ret, struct err *e)
{
	struct buf mark SCOPED(buf_release) = BUF_INIT(MARK_MAX);
	const char *container = st->r.current.container;

	*ret = false;
	if (read_mark(st, &mark, e) != 0)
		return -1;
	if (container == NULL || mark.len == 0 || strcmp(mark.data, container) != 0)
		return 0;
	if (!st->o->dry_run && let_go(st, st->en, container, e) != 0)
		return -1;
	stage_did(st, "let %s go on, which a snapshot had left standing still", container);
	*ret = true;
	return 0;
}

/* Returns 1 when it does not stand still, although it is marked: the engine may still be about to
 * do what it was asked for. */
static int try_after(const struct stage_held *h, bool last, struct err *e)
{
	const char *container = h->st.r.current.container;
	struct engine *en SCOPED(engine_freep) = NULL;
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (engine_open(h->st.o->socket, &en, e) != 0 || engine_state(en, container, &now, e) != 0)
		return -1;
	return now.paused || last ? let_go(&h->st, en, container, e) : 1;
}

/* In the child, of a process that is gone: by a connection of its own. */
static void after_death(void *arg)
{
	const struct stage_held *h = arg;
	struct buf mark SCOPED(buf_release) = BUF_INIT(MARK_MAX);
	struct err e = ERR_INIT;

	if (read_mark(&h->st, &mark, &e) == 0 && mark.len == 0)
		return;
	for (unsigned i = 1; i <= TRIES; i++) {
		e = (struct err)ERR_INIT;
		if (try_after(h, i == TRIES, &e) == 0)
			return;
		(void)usleep(NAP_US);
	}
}

int stage_held_open(const struct site *s, const struct stage_opts *o, struct stage_held *ret,
		    struct err *e)
{
	bool left = false;

	if (stage_open_staged(s, o, &ret->st, e) != 0)
		return -1;
	if (ret->st.r.current.container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: no staging came to its end", s->shop,
			       site_env_word(s->env));
	if (stage_check_restored(&ret->st, e) != 0 || stage_let_go_left(&ret->st, &left, e) != 0)
		return -1;
	return o->dry_run ? 0 : guard_start(after_death, ret, &ret->guard, e);
}

int stage_hold(struct stage_held *h, struct err *e)
{
	struct stage *st = &h->st;
	const char *container = st->r.current.container;
	struct engine_state now SCOPED(engine_state_release) = {0};

	if (engine_state(st->en, container, &now, e) != 0)
		return -1;
	if (now.paused) {
		(void)err_set(e, ERR_BUSY, "%s is paused", container);
		return err_hint(e, "who paused it in the engine lets it go on there");
	}
	if (!now.running || st->o->dry_run)
		return 0;
	if (fs_put(st->ownfd, MARK, container, strlen(container), 0600, e) != 0)
		return -1;
	fault_point("held: marked");
	h->since = clock_mono_ms();
	if (engine_pause(st->en, container, e) != 0)
		return -1;
	fault_point("held: stands still");
	return 0;
}

int stage_let_go(struct stage_held *h, struct err *e)
{
	if (h->since == 0)
		return 0;
	if (let_go(&h->st, h->st.en, h->st.r.current.container, e) != 0)
		return -1;
	h->ms += clock_mono_ms() - h->since;
	h->since = 0;
	return 0;
}

void stage_held_release(struct stage_held *h)
{
	struct err e = ERR_INIT;

	/* else the child tries again */
	if (stage_let_go(h, &e) == 0)
		guard_done(&h->guard);
	else
		log_warn("%s stands still: %s", h->st.r.current.container, e.msg);
	stage_release(&h->st);
}
