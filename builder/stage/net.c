/* net.c - the shop's own network of an instance: network/ does it, this says when. */
#include "stage/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For the process that does it. */
struct announcement {
	const struct net *n;
	int ns;
};

enum { LOCK_MS = 60000, NAP_US = 50000, RESOLV_MAX = 64 << 10 };

static char *filter_path(const struct stage *st, const struct stage_one *one)
{
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);

	return mem_format("%s.nft", shown);
}

/* Resolvers of the site, and none when it has none: the host's are not the shop's. */
static int put_resolv(const struct stage *st, const char *dir, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, "resolv.conf");
	struct buf text SCOPED(buf_release) = BUF_INIT(RESOLV_MAX);
	const struct strv *dns = &st->s->network.dns;

	buf_addf(&text, "# of the site, by posmedia\n");
	for (size_t i = 0; i < dns->n; i++)
		buf_addf(&text, "nameserver %s\n", dns->v[i]);
	return fs_put_path(path, text.data, text.len, 0644, e);
}

int stage_net_files(const struct stage *st, const struct stage_one *one, struct err *e)
{
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *path SCOPED(mem_freep) = filter_path(st, one);
	struct buf text SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);

	if (st->s->network.interface == NULL)
		return 0;
	return put_resolv(st, shown, e) != 0 || net_filter(st->config, &text, e) != 0
		   ? -1
		   : fs_put_path(path, text.data, text.len, 0644, e);
}

int stage_net_renew(const struct stage *st, const struct stage_one *one, struct err *e)
{
	char *path SCOPED(mem_freep) = filter_path(st, one);
	struct buf want SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct buf have SCOPED(buf_release) = BUF_INIT(NET_FILTER_MAX);
	struct err quiet = ERR_INIT;

	if (st->s->network.interface == NULL || st->o->dry_run)
		return 0;
	if (net_filter(st->config, &want, e) != 0)
		return -1;
	return access(path, F_OK) == 0 && fs_get_file(AT_FDCWD, path, &have, &quiet) == 0 &&
		       strcmp(have.data, want.data) == 0
		   ? 0
		   : fs_put_path(path, want.data, want.len, 0644, e);
}

int stage_net_drop(const struct stage *st, const struct stage_one *one, struct err *e)
{
	char *path SCOPED(mem_freep) = filter_path(st, one);

	return fs_rmtree(AT_FDCWD, path, e);
}

/* What the record of another site names. What cannot be read may be the very address that is asked
 * for. */
static int claim(const struct stage *st, const char *own, struct net_claims *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct stage_record r SCOPED(stage_record_release) = {0};
	const struct stage_one *const ones[] = {&r.current, &r.pending};

	if (access(own, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_open_dir(AT_FDCWD, own, &fd, e) != 0 || stage_record_read(fd, &r, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
		struct site *s SCOPED(site_freep) = NULL;
		char *path SCOPED(mem_freep) = NULL;

		if (ones[i]->container == NULL)
			continue;
		path = mem_format("%s/%.16s.site", own, digest_hex(&ones[i]->generation).s);
		/* what was only begun has no network before it has this */
		if (ones[i] == &r.pending && access(path, F_OK) != 0 && errno == ENOENT)
			continue;
		if (site_load_in(path, st->s->root, &s, e) != 0)
			return -1;
		net_claims_add(ret, s);
	}
	return 0;
}

/* The fault is none of this site's file; who has a network already keeps it. */
static int unknown(const char *own, const struct err *why, bool has_its, struct err *e)
{
	if (has_its) {
		log_warn("%s", why->msg);
		return 0;
	}
	(void)err_set(e, ERR_BUSY, "which network the site in %s has is not known: %s", own,
		      why->msg);
	return err_hint(e, "stage that one, or destroy it");
}

/* All other sites of the host. */
static int claims(const struct stage *st, bool has_its, struct net_claims *ret, struct err *e)
{
	struct strv shops SCOPED(strv_release) = {0};

	if (access(st->o->state, F_OK) != 0)
		return 0;
	if (fs_list(AT_FDCWD, st->o->state, &shops, e) != 0)
		return -1;
	for (size_t i = 0; i < shops.n; i++)
		for (int env = SITE_DEV; site_shop_ok(shops.v[i]) && env <= SITE_PROD; env++) {
			char *own SCOPED(mem_freep) =
			    mem_format("%s/%s/%s/.posmedia", st->o->state, shops.v[i],
				       site_env_word((enum site_env)env));

			struct err why = ERR_INIT;

			if (strcmp(own, st->own) != 0 && claim(st, own, ret, &why) != 0 &&
			    unknown(own, &why, has_its, e) != 0)
				return -1;
		}
	return 0;
}

/* The number of a process may become another's at any moment: what is open is the right one when
 * the process is the container's before and after. */
int stage_net_open(struct stage *st, const char *container, int *ret_ns, struct err *e)
{
	const struct net n = {.s = st->s, .container = container};
	struct engine_state now SCOPED(engine_state_release) = {0};
	int fd SCOPED(fd_closep) = -1;
	bool is = false;

	if (engine_state(st->en, container, &now, e) != 0 ||
	    (now.running && stage_process_is(&now, &is, e) != 0))
		return -1;
	if (is && (net_open(&n, now.pid, &fd, e) != 0 || stage_process_is(&now, &is, e) != 0))
		return -1;
	if (!is)
		return err_set(e, ERR_FAIL, "%s does not run: it ended with %d", container,
			       now.exit);
	*ret_ns = STEAL_FD(fd);
	return 0;
}

/* Whether nobody need be asked for the address: the caller knows, or the instance that runs has it,
 * on that interface; a closed one may be on another than its site's. */
static bool has_address(struct stage *st, const struct net *n)
{
	struct site *then SCOPED(site_freep) = NULL;
	struct err quiet = ERR_INIT;
	int ns SCOPED(fd_closep) = -1;
	bool has = false;

	if (st->o->free_address != NULL)
		return true;
	return st->r.current.container != NULL &&
	       stage_site_of(st, &st->r.current, &then, &quiet) == 0 &&
	       then->network.interface != NULL &&
	       strcmp(then->network.interface, st->s->network.interface) == 0 &&
	       stage_net_open(st, st->r.current.container, &ns, &quiet) == 0 &&
	       net_has_address(n, ns, &has, &quiet) == 0 && has;
}

int stage_net_lock(const struct stage *st, int *ret_fd, struct err *e)
{
	uint64_t end = clock_mono_ms() + LOCK_MS;
	int dir SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, st->o->runtime, 0700, e) != 0 ||
	    fs_open_dir(AT_FDCWD, st->o->runtime, &dir, e) != 0)
		return -1;
	while (lock_take(dir, "network.lock", ret_fd, e) != 0) {
		if (e->kind != ERR_BUSY || clock_mono_ms() >= end)
			return -1;
		if (intr_pending())
			return intr_err(e);
		(void)usleep(NAP_US);
	}
	return 0;
}

int stage_net_ready(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct stage_given g SCOPED(stage_given_release) = {0};
	struct net_claims others SCOPED(net_claims_release) = {0};

	if (st->s->network.interface == NULL || st->net_ready)
		return 0;
	if (stage_given_of(st, one, &g, e) != 0)
		return -1;
	if (g.idle)
		return 0;
	if (claims(st, stage_same(one, &st->r.current), &others, e) != 0 ||
	    net_check(&g.n, &others, !st->o->dry_run, e) != 0)
		return -1;
	if (!st->o->dry_run && !has_address(st, &g.n) && net_probe(&g.n, e) != 0)
		return -1;
	st->net_ready = true;
	return 0;
}

int stage_net_ready_former(struct stage *st, const struct stage_one *one, struct err *e)
{
	const struct site *now = st->s;
	struct site *then SCOPED(site_freep) = NULL;
	int rc;

	if (stage_site_of(st, one, &then, e) != 0)
		return -1;
	st->s = then;
	rc = stage_net_ready(st, one, e);
	st->s = now;
	return rc;
}

static int give(struct stage *st, const struct net *n, bool dry_run, struct err *e)
{
	int ns SCOPED(fd_closep) = -1;
	bool right = false;

	if (stage_net_open(st, n->container, &ns, e) != 0 || net_is(n, ns, &right, e) != 0)
		return -1;
	if (right)
		return 0;
	stage_did(st, "gave %s to %s", n->s->network.address.text, n->container);
	if (dry_run)
		return 0;
	if (st->o->free_address != NULL && st->o->free_address(st->o->ctx, e) != 0)
		return -1;
	return net_give(n, ns, e);
}

/* What a site does not want is the host's, whichever instance had it. */
static void bring_back(struct stage *st)
{
	char *name SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;

	if (net_return(st->o->runtime, st->s, NULL, &name, &why) != 0)
		log_warn("%s", why.msg);
	if (name != NULL)
		stage_did(st, "brought %s back", name);
}

int stage_net_give(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct stage_given g SCOPED(stage_given_release) = {0};

	if (stage_given_of(st, one, &g, e) != 0)
		return -1;
	if (!st->o->dry_run &&
	    (st->s->network.interface == NULL || st->s->network.mode != SITE_MOVE || g.idle))
		bring_back(st);
	if (st->s->network.interface == NULL && !st->o->dry_run)
		return stage_close_bridged(st, one, e);
	return st->s->network.interface == NULL || g.idle ? 0 : give(st, &g.n, st->o->dry_run, e);
}

int stage_net_start(struct stage *st, const struct stage_one *one, struct err *e)
{
	struct err why = ERR_INIT;

	if (stage_check_restored(st, e) != 0)
		return -1;
	stage_settle(st);
	if (stage_end_lost(st, one, e) != 0)
		return -1;
	stage_told_starting(st, one);
	if (engine_start(st->en, one->container, e) != 0)
		return -1;
	fault_point("stage: up");
	stage_told_start(st, one);
	if (stage_net_give(st, one, e) == 0)
		return 0;
	/* without its network it is of no use, and would seem to be */
	if (stage_stop(st, one, &why) != 0)
		log_warn("%s", why.msg);
	return -1;
}

static int announce(void *arg, struct err *e)
{
	const struct announcement *a = arg;

	return net_announce(a->n, a->ns, e);
}

static int announce_alone(void *arg)
{
	struct err quiet = ERR_INIT;

	return announce(arg, &quiet);
}

/* arping(8) ends a second behind its packet. One that is closed on the site's address has nobody in
 * a hurry to find it, and its opening, for which people wait, tells them once more. */
void stage_net_announce(struct stage *st, const struct stage_one *one, struct aside *ret)
{
	struct stage_given g SCOPED(stage_given_release) = {0};
	struct err why = ERR_INIT;
	int ns SCOPED(fd_closep) = -1;

	if (st->s->network.interface == NULL)
		return;
	if (stage_given_of(st, one, &g, &why) == 0 && g.idle)
		return;
	if (why.msg[0] == '\0' && stage_net_open(st, one->container, &ns, &why) == 0) {
		struct announcement a = {&g.n, ns};

		if ((g.mark.how == STAGE_REAL ? aside_outlive(announce_alone, &a, &ns, 1, &why)
					      : aside_start(announce, &a, ret, &why)) == 0)
			return;
	}
	log_warn("%s", why.msg);
}

void stage_net_announced(struct aside *a)
{
	struct err why = ERR_INIT;

	if (aside_join(a, &why) != 0)
		log_warn("%s", why.msg);
}

int stage_net_hold(struct stage *st, const struct stage_one *one)
{
	char *filter SCOPED(mem_freep) = filter_path(st, one);
	struct err why = ERR_INIT;
	int ns = -1;

	if (access(filter, F_OK) == 0 && stage_net_open(st, one->container, &ns, &why) != 0)
		log_warn("%s", why.msg);
	return ns;
}

void stage_net_ended(int ns)
{
	struct err why = ERR_INIT;

	if (ns >= 0 && net_end_child(ns, &why) != 0)
		log_warn("%s", why.msg);
}

int stage_net_stop(struct stage *st, const struct stage_one *one, struct err *e)
{
	int ns SCOPED(fd_closep) = -1;

	if (stage_end_lost(st, one, e) != 0)
		return -1;
	ns = stage_net_hold(st, one);
	stage_told_stopping(st, one);
	if (engine_stop(st->en, one->container, STAGE_STOP_SECONDS, e) != 0)
		return -1;
	fault_point("stage: down");
	stage_told_stop(st, one);
	if (!st->net_stays)
		stage_net_ended(ns);
	return 0;
}

int stage_net_back(struct stage *st, const struct stage_one *one, struct err *e)
{
	char *name SCOPED(mem_freep) = NULL;

	if (st->net_stays)
		return 0;
	if (net_return(st->o->runtime, st->s, one->container, &name, e) != 0)
		return -1;
	if (name != NULL)
		stage_did(st, "brought %s back", name);
	return 0;
}
