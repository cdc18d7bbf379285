/* closed.c - the mark of a closed instance, and the ways in and out of it. */
#include "stage/closed.h"
#include "stage/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MARK_MAX = 64, LENT_MAX = 256, LEND_MS = 5000 };

void stage_mark_release(struct stage_mark *m)
{
	mem_freep(&m->address.text);
	*m = (struct stage_mark){0};
}

int stage_mark_parse(const char *text, struct stage_mark *ret, struct err *e)
{
	struct stage_mark m = {.how = STAGE_PRIVATE};

	if (strcmp(text, "real") == 0)
		m.how = STAGE_REAL;
	else if (strcmp(text, "gone") == 0)
		m.how = STAGE_GONE;
	else if (strcmp(text, "private") != 0 && site_net_parse_host(text, &m.address) != 0)
		return err_set(e, ERR_USAGE,
			       "closed is \"real\", \"private\" or an address such as "
			       "192.0.2.7/24, not \"%.60s\"",
			       text);
	*ret = m;
	return 0;
}

char *stage_mark_text(const struct stage_mark *m)
{
	if (m->how == STAGE_OPEN)
		return NULL;
	if (m->how == STAGE_REAL)
		return mem_strdup("real");
	if (m->how == STAGE_GONE)
		return mem_strdup("gone");
	return mem_strdup(m->address.text != NULL ? m->address.text : "private");
}

static int read_mark(const char *own, struct stage_mark *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(own, STAGE_CLOSED);
	struct buf text SCOPED(buf_release) = BUF_INIT(MARK_MAX);
	size_t n;

	*ret = (struct stage_mark){0};
	if (access(path, F_OK) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", path);
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0)
		return -1;
	n = strcspn(text.data, "\n");
	if (n + 1 == text.len)
		text.data[n] = '\0';
	if (n + 1 == text.len && stage_mark_parse(text.data, ret, e) == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "%s is damaged", path);
	return err_hint(e, "posmedia stage --closed writes it anew");
}

int stage_marked(const struct site *s, const struct stage_opts *o, struct stage_mark *ret,
		 struct err *e)
{
	char *own SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", o->state, s->shop, site_env_word(s->env));

	return read_mark(own, ret, e);
}

static int gone(struct err *e)
{
	(void)err_set(e, ERR_BUSY, "its shop went to another machine, or goes there now");
	return err_hint(e, "\"posmedia cutover status\" says how that stands; stage --closed "
			   "private begins anew.");
}

static int lent_over(struct err *e)
{
	(void)err_set(e, ERR_BUSY, "the time for which it may have the site's address is over");
	return err_hint(e, "posmedia cutover resume ends what lent it; stage --open takes it.");
}

/* "BOOT UNTIL" */
int stage_read_lent(const char *own, uint64_t *ret, bool *ret_over, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(own, STAGE_LENT);
	char *boot SCOPED(mem_freep) = self_boot_id();
	struct buf text SCOPED(buf_release) = BUF_INIT(LENT_MAX);
	size_t n;

	*ret = 0;
	*ret_over = false;
	if (access(path, F_OK) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", path);
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0)
		return -1;
	n = strcspn(text.data, " ");
	text.data[n + strcspn(text.data + n, "\n")] = '\0';
	if (text.data[n] == '\0' || num_u64(text.data + n + 1, INT64_MAX, ret) != 0)
		return err_set(e, ERR_VERIFY, "%s is damaged", path);
	*ret_over =
	    strlen(boot) != n || strncmp(boot, text.data, n) != 0 || *ret <= clock_mono_ms();
	return 0;
}

int stage_put_lent(int ownfd, uint64_t until_ms, struct err *e)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	char *line SCOPED(mem_freep) = mem_format("%s %llu\n", boot, (unsigned long long)until_ms);

	return fs_put(ownfd, STAGE_LENT, line, strlen(line), 0600, e);
}

static int read_lent(const char *own, uint64_t *ret, struct err *e)
{
	bool over;

	if (stage_read_lent(own, ret, &over, e) != 0)
		return -1;
	return over ? lent_over(e) : 0;
}

void stage_given_release(struct stage_given *g)
{
	buf_release(&g->filter);
	stage_mark_release(&g->mark);
	*g = (struct stage_given){0};
}

/* The rules that were written for a generation; one that is not yet made has those of its image. */
static int filter_of(const struct stage *st, const struct stage_one *one, struct buf *ret,
		     struct err *e)
{
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *path SCOPED(mem_freep) = mem_format("%s.nft", shown);

	return access(path, F_OK) != 0 && st->config != NULL ? net_filter(st->config, ret, e)
							     : fs_get_file(AT_FDCWD, path, ret, e);
}

/* The gateway is that of the site's network, and none of another. */
static void take_private(const struct stage_mark *m, struct site_network *n)
{
	bool near = m->address.bits == n->address.bits && site_net_meets(&m->address, &n->address);

	n->address = m->address;
	if (near)
		return;
	n->gateway = NULL;
	n->routes_n = 0;
}

int stage_given_of(const struct stage *st, const struct stage_one *one, struct stage_given *ret,
		   struct err *e)
{
	struct stage_given g SCOPED(stage_given_release) = {.filter = BUF_INIT(NET_FILTER_MAX),
							    .as = *st->s};
	bool own = st->s->network.interface != NULL;

	if (read_mark(st->own, &g.mark, e) != 0)
		return -1;
	if (g.mark.how == STAGE_GONE)
		return gone(e);
	if (g.mark.how != STAGE_OPEN) {
		if (net_filter_closed(&g.filter, e) != 0)
			return -1;
	} else if (own && filter_of(st, one, &g.filter, e) != 0) {
		return -1;
	}
	if (own && g.mark.how == STAGE_REAL && read_lent(st->own, &g.until_ms, e) != 0)
		return -1;
	g.idle = own && g.mark.how == STAGE_PRIVATE && g.mark.address.text == NULL;
	if (own && g.mark.how == STAGE_PRIVATE && !g.idle)
		take_private(&g.mark, &g.as.network);
	*ret = g;
	ret->n =
	    (struct net){&ret->as, one->container, ret->filter.data, st->o->runtime, ret->until_ms};
	g = (struct stage_given){0};
	return 0;
}

int stage_close_bridged(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct stage_given g SCOPED(stage_given_release) = {0};
	int ns SCOPED(fd_closep) = -1;

	if (st->s->network.interface != NULL)
		return 0;
	if (stage_given_of(st, one, &g, e) != 0)
		return -1;
	if (g.mark.how == STAGE_OPEN)
		return 0;
	if (stage_net_open(st, one->container, &ns, e) != 0 || net_refilter(&g.n, ns, e) != 0)
		return err_in(e, "close %s", one->container);
	return 0;
}

/* With an instance that runs, as the site of its generation has it. */
static int with_running(struct stage *st, int (*fn)(struct stage *st, struct err *e), struct err *e)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct site *then SCOPED(site_freep) = NULL;
	const struct site *was = st->s;
	int rc;

	if (st->r.current.container == NULL)
		return 0;
	if (stage_look(st, &st->r.current, &now, e) != 0)
		return -1;
	if (!now.running)
		return 0;
	if (stage_site_of(st, &st->r.current, &then, e) != 0)
		return -1;
	st->s = then;
	rc = fn(st, e);
	st->s = was;
	return rc;
}

/* On the address that it is to have now: all that may refuse it is asked before it stops. */
static int restart(struct stage *st, struct err *e)
{
	const struct stage_one *one = &st->r.current;

	if (stage_net_ready(st, one, e) != 0 || stage_stop(st, one, e) != 0)
		return -1;
	fault_point("closed: stopped");
	return stage_start(st, one, e);
}

/* Whether it has the address that it is to have. */
static int is_placed(const struct stage_given *g, int ns, bool *ret, struct err *e)
{
	return g->idle ? net_is_bare(ns, ret, e) : net_is_placed(&g->n, ns, ret, e);
}

static int stop_running(struct stage *st, struct err *e)
{
	return stage_stop(st, &st->r.current, e);
}

/* Connections of one on the engine's network were followed by nobody before it had rules: they end
 * with it. */
static int close_running(struct stage *st, struct err *e)
{
	const struct stage_one *one = &st->r.current;
	struct stage_given g SCOPED(stage_given_release) = {0};
	int ns SCOPED(fd_closep) = -1;
	bool right = false;

	if (stage_given_of(st, one, &g, e) != 0 || stage_net_open(st, one->container, &ns, e) != 0)
		return -1;
	if (st->s->network.interface == NULL)
		return net_is_filtered(&g.n, ns, &right, e) != 0 || (!right && restart(st, e) != 0)
			   ? -1
			   : 0;
	if (net_refilter(&g.n, ns, e) != 0 || is_placed(&g, ns, &right, e) != 0)
		return -1;
	return right ? 0 : restart(st, e);
}

/* One whose shop went to another machine was stopped for that, and is to start for the next one. */
static int begin_anew(struct stage *st, const struct stage_mark *how, struct err *e)
{
	struct stage_mark was SCOPED(stage_mark_release) = {0};
	struct err quiet = ERR_INIT;

	if (how->how == STAGE_GONE || !st->r.stopped || read_mark(st->own, &was, &quiet) != 0 ||
	    was.how != STAGE_GONE)
		return 0;
	st->r.stopped = false;
	return stage_record_write(st->ownfd, &st->r, e);
}

int stage_close(const struct site *s, const struct stage_opts *o, const struct stage_mark *how,
		struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	char *text SCOPED(mem_freep) = stage_mark_text(how);
	char *line SCOPED(mem_freep) = NULL;

	if (text == NULL || o->dry_run)
		return err_set(e, ERR_USAGE, "an instance is closed in some way, and not as a try");
	line = mem_format("%s\n", text);
	if (stage_make_own(s, o, e) != 0 || stage_open(s, o, &st, e) != 0 ||
	    begin_anew(&st, how, e) != 0 ||
	    fs_put(st.ownfd, STAGE_CLOSED, line, strlen(line), 0600, e) != 0)
		return -1;
	fault_point("closed: marked");
	if (how->how != STAGE_REAL && fs_rmtree(st.ownfd, STAGE_LENT, e) != 0)
		return -1;
	return with_running(&st, how->how == STAGE_GONE ? stop_running : close_running, e);
}

static int open_bridged(struct stage *st, struct err *e)
{
	int ns SCOPED(fd_closep) = -1;

	return stage_net_open(st, st->r.current.container, &ns, e) != 0 || net_unfilter(ns, e) != 0
		   ? -1
		   : 0;
}

static int open_running(struct stage *st, struct err *e)
{
	const struct stage_one *one = &st->r.current;
	struct aside a SCOPED(stage_net_announced) = {0};
	struct stage_given g SCOPED(stage_given_release) = {0};
	int ns SCOPED(fd_closep) = -1;
	bool right = false;

	if (st->s->network.interface == NULL)
		return open_bridged(st, e);
	if (stage_given_of(st, one, &g, e) != 0 ||
	    stage_net_open(st, one->container, &ns, e) != 0 || net_lend(&g.n, ns, e) != 0 ||
	    net_is_placed(&g.n, ns, &right, e) != 0)
		return -1;
	if (!right)
		return restart(st, e);
	if (net_refilter(&g.n, ns, e) != 0)
		return -1;
	stage_net_announce(st, one, &a);
	return 0;
}

int stage_unmark(const struct stage *st, struct err *e)
{
	if (fs_rmtree(st->ownfd, STAGE_CLOSED, e) != 0 || fs_rmtree(st->ownfd, STAGE_LENT, e) != 0)
		return -1;
	if (fsync(st->ownfd) != 0)
		return err_sys(e, "sync %s", st->own);
	fault_point("closed: unmarked");
	return 0;
}

static int open_site(struct stage *st, bool returns, struct err *e)
{
	struct stage_mark mark = {0};
	enum stage_how how;

	if (st->r.current.container == NULL)
		return err_set(e, ERR_BUSY, "shop %s in %s: no staging came to its end",
			       st->s->shop, site_env_word(st->s->env));
	if (read_mark(st->own, &mark, e) != 0)
		return -1;
	how = mark.how;
	stage_mark_release(&mark);
	if (how == STAGE_GONE && !returns)
		return gone(e);
	if (how != STAGE_OPEN)
		stage_did(st, "opened %s", st->r.current.container);
	if (st->o->dry_run)
		return 0;
	/* whoever starts what ends, such as the host's unit, may */
	if (returns && st->r.stopped) {
		st->r.stopped = false;
		if (stage_record_write(st->ownfd, &st->r, e) != 0)
			return -1;
	}
	return stage_unmark(st, e) != 0 ? -1 : with_running(st, open_running, e);
}

static int open_any(const struct site *s, const struct stage_opts *o, bool returns,
		    struct stage_outcome *ret, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};

	if (stage_open_staged(s, o, &st, e) != 0 || open_site(&st, returns, e) != 0)
		return -1;
	stage_conclude(&st, &st.r.current, ret);
	return 0;
}

int stage_open_now(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		   struct err *e)
{
	return open_any(s, o, false, ret, e);
}

int stage_return(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		 struct err *e)
{
	return open_any(s, o, true, ret, e);
}

static int lend_running(struct stage *st, struct err *e)
{
	const struct stage_one *one = &st->r.current;
	struct stage_given g SCOPED(stage_given_release) = {0};
	int ns SCOPED(fd_closep) = -1;

	if (st->s->network.interface == NULL)
		return 0;
	if (stage_given_of(st, one, &g, e) != 0)
		return -1;
	if (g.mark.how != STAGE_REAL)
		return 0;
	return stage_net_open(st, one->container, &ns, e) != 0 ? -1 : net_lend(&g.n, ns, e);
}

int stage_lend(const struct site *s, const struct stage_opts *o, uint64_t until_ms, struct err *e)
{
	struct stage st SCOPED(stage_release) = {.s = s, .o = o, .ownfd = -1, .lock = -1};

	st.dir = mem_format("%s/%s/%s", o->state, s->shop, site_env_word(s->env));
	st.own = mem_format("%s/.posmedia", st.dir);
	if (fs_open_dir(AT_FDCWD, st.own, &st.ownfd, e) != 0 ||
	    (until_ms != 0 ? stage_put_lent(st.ownfd, until_ms, e)
			   : fs_rmtree(st.ownfd, STAGE_LENT, e)) != 0 ||
	    stage_record_read(st.ownfd, &st.r, e) != 0 ||
	    engine_open_within(o->socket, LEND_MS, &st.en, e) != 0)
		return -1;
	return with_running(&st, lend_running, e);
}
