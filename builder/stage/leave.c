#include "stage/leave.h"
#include "stage/closed.h"
#include "stage/life.h"
#include "stage/parts.h"

#include "base/fault.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Beside the site's own lock, which somebody may have for long: between a look at the lease and
 * what is made of it nobody moves or ends it. */
#define LEASE "closed-until.lock"

/* Who has it writes to a disk, which others may keep busy. The lease is looked at behind that. */
enum { LEASE_MS = 20000 };

static const char gone_text[] = "gone\n";

static int lock_lease(int ownfd, int *ret_fd, struct err *e)
{
	return lock_wait(ownfd, LEASE, LEASE_MS, ret_fd, e);
}

static char *own_of(const struct site *s, const struct stage_opts *o)
{
	return mem_format("%s/%s/%s/.posmedia", o->state, s->shop, site_env_word(s->env));
}

int stage_is_here(const struct site *s, const struct stage_opts *o, enum stage_here *ret,
		  struct err *e)
{
	char *own SCOPED(mem_freep) = own_of(s, o);
	struct stage_mark mark SCOPED(stage_mark_release) = {0};
	uint64_t until = 0;
	bool over = false;

	if (stage_marked(s, o, &mark, e) != 0)
		return -1;
	*ret = STAGE_HERE;
	if (mark.how != STAGE_GONE)
		return 0;
	if (stage_read_lent(own, &until, &over, e) != 0)
		return -1;
	*ret = until == 0 ? STAGE_LEFT : over ? STAGE_LAPSED : STAGE_LEAVING;
	return 0;
}

int stage_door(const struct site *s, const struct stage_opts *o, int *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct site *then SCOPED(site_freep) = NULL;

	*ret = -1;
	if (stage_open_staged(s, o, &st, e) != 0)
		return -1;
	if (st.r.current.container == NULL)
		return 0;
	if (stage_look(&st, &st.r.current, &now, e) != 0 ||
	    stage_site_of(&st, &st.r.current, &then, e) != 0)
		return -1;
	return now.running && then->network.interface != NULL
		   ? stage_net_open(&st, st.r.current.container, ret, e)
		   : 0;
}

int stage_shut_door(const struct site *s, const struct stage_opts *o, int door, struct err *e)
{
	char *name SCOPED(mem_freep) = NULL;
	int rc;

	if (door < 0)
		return 0;
	rc = net_end_child(door, e);
	return net_return(o->runtime, s, NULL, &name, e) != 0 ? -1 : rc;
}

/* Answers to what it asks itself still come in, and all else is refused. */
static int refuse(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct buf rules SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct net n = {.s = st->s};
	int ns SCOPED(fd_closep) = -1;

	if (one->container == NULL || st->s->network.interface == NULL)
		return 0;
	if (stage_look(st, one, &now, e) != 0)
		return -1;
	if (!now.running)
		return 0;
	if (net_filter_closed(&rules, e) != 0 || stage_net_open(st, one->container, &ns, e) != 0)
		return -1;
	n.filter = rules.data;
	return net_refilter(&n, ns, e);
}

static int end_all(struct stage *st, struct err *e)
{
	const struct stage_one none = {0};

	if (!st->r.stopped) {
		st->r.stopped = true;
		if (stage_record_write(st->ownfd, &st->r, e) != 0)
			return -1;
	}
	fault_point("leave: noted");
	if (refuse(st, &st->r.current, e) != 0)
		return -1;
	st->net_stays = true;
	return stage_stop_others(st, &none, e);
}

int stage_leave(const struct site *s, const struct stage_opts *o, uint64_t until_ms, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	int lock SCOPED(fd_closep) = -1;
	enum stage_here is;

	if (stage_open_staged(s, o, &st, e) != 0 || lock_lease(st.ownfd, &lock, e) != 0 ||
	    stage_is_here(s, o, &is, e) != 0)
		return -1;
	if (is != STAGE_LEFT &&
	    (stage_put_lent(st.ownfd, until_ms, e) != 0 ||
	     fs_put(st.ownfd, STAGE_CLOSED, gone_text, strlen(gone_text), 0600, e) != 0))
		return -1;
	fd_closep(&lock);
	fault_point("leave: marked");
	return end_all(&st, e);
}

static int is_over(struct err *e)
{
	return err_set(e, ERR_BUSY,
		       "the instance came back: the time for which it was gone is "
		       "over");
}

int stage_leave_longer(const struct site *s, const struct stage_opts *o, uint64_t until_ms,
		       struct err *e)
{
	char *own SCOPED(mem_freep) = own_of(s, o);
	int fd SCOPED(fd_closep) = -1, lock SCOPED(fd_closep) = -1;
	enum stage_here is;

	if (fs_open_dir(AT_FDCWD, own, &fd, e) != 0 || lock_lease(fd, &lock, e) != 0 ||
	    stage_is_here(s, o, &is, e) != 0)
		return -1;
	if (is == STAGE_LEFT)
		return 0;
	return is != STAGE_LEAVING ? is_over(e) : stage_put_lent(fd, until_ms, e);
}

int stage_leave_for_good(const struct site *s, const struct stage_opts *o, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	int lock SCOPED(fd_closep) = -1;
	enum stage_here is;

	if (stage_open_staged(s, o, &st, e) != 0 || lock_lease(st.ownfd, &lock, e) != 0 ||
	    stage_is_here(s, o, &is, e) != 0)
		return -1;
	if (is == STAGE_LEFT)
		return 0;
	if (is != STAGE_LEAVING)
		return is_over(e);
	if (fs_rmtree(st.ownfd, STAGE_LENT, e) != 0)
		return -1;
	return fsync(st.ownfd) == 0 ? 0 : err_sys(e, "sync %s", st.own);
}

/* In this order: who dies in between leaves what the next one takes up. */
int stage_come_back(struct stage *st, struct err *e)
{
	int lock SCOPED(fd_closep) = -1;
	enum stage_here is;

	if (stage_is_here(st->s, st->o, &is, e) != 0)
		return -1;
	if (is != STAGE_LAPSED || st->o->dry_run)
		return 0;
	if (lock_lease(st->ownfd, &lock, e) != 0 || stage_is_here(st->s, st->o, &is, e) != 0)
		return -1;
	/* it was made longer meanwhile */
	if (is != STAGE_LAPSED)
		return 0;
	stage_did(st, "is back: the time for which its shop was elsewhere is over");
	st->r.stopped = false;
	return stage_record_write(st->ownfd, &st->r, e) != 0 ? -1 : stage_unmark(st, e);
}
