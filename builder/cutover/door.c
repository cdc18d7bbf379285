/* door.c - who stays at the door of an instance that is gone for a reverse: a process that outlives
 * the control. As long as nobody else has the shop's address it keeps that, so that who comes is
 * told at once that nobody serves; and when the lease is over, it brings the instance back. */
#include "cutover/back.h"

#include "base/log.h"
#include "stage/leave.h"
#include "stage/life.h"
#include "sys/aside.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOOR     "door"     /* locked by who stands there */
#define DOOR_END "door-end" /* and this is an order to him */

enum { LOOK_US = 25000, AGAIN_S = 2, OPEN_MS = 5000, SHUT_MS = 60000, BLIND_MAX = 400, TRIES = 30 };

struct door {
	const struct cut_run *r;
	int ns;    /* the network of the instance that was, or -1 */
	int alive; /* of a pipe whose other end the control has */
	int dir, lock;
	bool left; /* the instance was seen to be gone */
};

static bool control_lives(const struct door *d)
{
	struct pollfd p = {.fd = d->alive};

	return poll(&p, 1, 0) == 0;
}

static bool is_told(const struct door *d)
{
	return faccessat(d->dir, DOOR_END, F_OK, 0) == 0;
}

/* The directory of its lock is no more: nor is the site. */
static bool is_nowhere(const struct door *d)
{
	struct stat st;

	return fstat(d->lock, &st) != 0 || st.st_nlink == 0;
}

static int give_up_address(struct door *d, struct err *e)
{
	int ns = d->ns;

	d->ns = -1;
	return stage_shut_door(d->r->s, d->r->o->so, ns, e);
}

/* Until it has the address itself, who comes is told. */
static int make_way(void *ctx, struct err *e)
{
	return give_up_address(ctx, e);
}

/* The start that does not work is tried again, unless a control wants to see to it. */
static void bring_back(struct door *d)
{
	struct stage_opts so = *d->r->o->so;

	so.free_address = d->ns >= 0 ? make_way : NULL;
	so.ctx = d;
	for (int i = 0; i < TRIES && !is_told(d) && !intr_pending(); i++) {
		struct stage_outcome out SCOPED(stage_outcome_release) = {0};
		struct err e = ERR_INIT;

		if (i > 0)
			(void)sleep(AGAIN_S);
		if (stage_start_site(d->r->s, &so, &out, &e) == 0)
			return;
	}
}

/* Whether there is more to look after. Before the instance was gone its network is its own; when it
 * may be started again, the control says when, or is dead, and another starts it. */
static bool look_again(struct door *d, enum stage_here is)
{
	bool ends = is_told(d) || (is == STAGE_HERE && !control_lives(d));
	struct err e = ERR_INIT;

	d->left = d->left || is != STAGE_HERE;
	if (ends && d->left && give_up_address(d, &e) != 0)
		log_warn("%s", e.msg);
	if (is == STAGE_LAPSED && !ends)
		bring_back(d);
	return !ends;
}

static int stand(void *arg)
{
	struct door *d = arg;
	struct err e = ERR_INIT;
	unsigned blind = 0;

	if (fs_open_dir(AT_FDCWD, d->r->dir, &d->dir, &e) != 0 ||
	    lock_take(d->dir, DOOR, &d->lock, &e) != 0)
		return -1;
	while (!intr_pending() && !is_nowhere(d) && blind < BLIND_MAX) {
		enum stage_here is;

		if (stage_is_here(d->r->s, d->r->o->so, &is, &e) != 0)
			blind++;
		else if (blind = 0, !look_again(d, is))
			break;
		(void)usleep(LOOK_US);
	}
	return 0;
}

static bool somebody_stands(const struct cut_run *r)
{
	return lock_holder(journal_dir(r->j), DOOR) != 0;
}

static int wait_for_him(const struct cut_run *r, struct err *e)
{
	uint64_t end = clock_mono_ms() + OPEN_MS;

	while (!somebody_stands(r)) {
		if (clock_mono_ms() >= end)
			return err_set(e, ERR_FAIL, "nobody would bring the instance back");
		(void)usleep(LOOK_US);
	}
	return 0;
}

static int send_him(struct cut_run *r, int ns, struct err *e)
{
	struct door d = {.r = r, .ns = ns, .alive = -1, .dir = -1, .lock = -1};
	int ends[2], keep[2], rc;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	d.alive = ends[0];
	keep[0] = ends[0];
	keep[1] = ns;
	rc = aside_outlive(stand, &d, keep, 2, e);
	(void)close(ends[0]);
	fd_closep(&r->door);
	r->door = ends[1];
	return rc != 0 ? -1 : wait_for_him(r, e);
}

int cut_door_open(struct cut_run *r, struct err *e)
{
	enum stage_here is;
	int ns SCOPED(fd_closep) = -1;

	if (stage_is_here(r->s, r->o->so, &is, e) != 0)
		return -1;
	/* one of before that has the address keeps it */
	if (is != STAGE_HERE && somebody_stands(r))
		return 0;
	if (cut_door_shut(r, e) != 0 ||
	    (is == STAGE_HERE && stage_door(r->s, r->o->so, &ns, e) != 0))
		return -1;
	return send_him(r, ns, e);
}

/* Who does not go has the order still: it is taken from there only when nobody has to see it. */
int cut_door_end(int dir, uint64_t ms, struct err *e)
{
	int lock SCOPED(fd_closep) = -1;

	if (lock_holder(dir, DOOR) != 0 &&
	    (fs_put(dir, DOOR_END, "", 0, 0600, e) != 0 || lock_wait(dir, DOOR, ms, &lock, e) != 0))
		return -1;
	return unlinkat(dir, DOOR_END, 0) == 0 || errno == ENOENT ? 0
								  : err_sys(e, "remove " DOOR_END);
}

int cut_door_shut(struct cut_run *r, struct err *e)
{
	return cut_door_end(journal_dir(r->j), SHUT_MS, e);
}
