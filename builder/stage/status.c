#include "stage/look.h"
#include "stage/strays.h"

#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BACKUP_MAX = 64 << 10, DAY_S = 86400, DISK_PERCENT = 5, QUIET_MS = 5000, ASK_MS = 10000 };

static void look_release(struct look *l)
{
	engine_free(l->en);
	engine_entries_release(&l->list);
	strv_release(&l->sas);
	jval_free(l->all);
}

void look_trouble(struct look *l, struct jval *v, const char *fmt, ...)
{
	char *text SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vformat(fmt, ap);
	va_end(ap);
	jval_push(jval_get(v, "trouble"), jval_text(text));
	l->well = false;
}

static void put_number(struct jval *v, const char *key, bool known, uint64_t n)
{
	jval_put(v, key, known ? jval_int((int64_t)n) : jval_null());
}

static void put_image(const struct stage_one *one, struct jval *v)
{
	int64_t age = clock_wall_s() - one->created;

	jval_put_text(v, "image", one->identity);
	jval_put_text(v, "manifest", digest_text(&one->manifest).s);
	jval_put_text(v, "config", digest_text(&one->config).s);
	jval_put_text(v, "generation", digest_text(&one->generation).s);
	jval_put_text(v, "container", one->container);
	put_number(v, "image_days", one->created != 0 && age >= 0, (uint64_t)age / DAY_S);
}

static void put_disk(struct look *l, const struct stage *st, struct jval *v)
{
	struct statvfs fs;
	bool known = statvfs(st->dir, &fs) == 0;
	uint64_t size = known ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
	uint64_t left = known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	char *text SCOPED(mem_freep) = num_human(left);

	put_number(v, "disk_free", known, left);
	put_number(v, "disk_size", known, size);
	if (known && left < size / 100 * DISK_PERCENT)
		look_trouble(l, v, "its disk is nearly full: %s left", text);
}

/* {"at":"2026-11-26T07:16:00Z"}: of the last one that was verified. */
static void put_backup(const struct stage *st, struct jval *v)
{
	char *path SCOPED(mem_freep) = fs_join(st->own, "backup.json");
	struct buf text SCOPED(buf_release) = BUF_INIT(BACKUP_MAX);
	struct jval *said SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *at = NULL;
	int64_t when;

	if (access(path, F_OK) == 0 && fs_get_file(AT_FDCWD, path, &text, &quiet) == 0 &&
	    jval_parse(text.data, text.len, path, &said, &quiet) == 0)
		at = jval_get_str(said, "at");
	if (at != NULL && clock_parse(at, &when) != 0)
		at = NULL;
	jval_put(v, "backup", at != NULL ? jval_text(at) : jval_null());
}

static bool runs(const struct look *l, const struct stage_one *one)
{
	const struct engine_entry *c =
	    one->container != NULL ? engine_entry_find(&l->list, one->container) : NULL;

	return c != NULL && c->running;
}

/* Those that have the same data as the one that should run. */
static void look_at_others(struct look *l, const struct stage *st, struct jval *v)
{
	const struct stage_one *const all[] = {&st->r.pending, &st->r.previous};
	const struct stage_one *begun = &st->r.pending;
	int pid = begun->container != NULL ? lock_holder(st->ownfd, "lock") : 0;

	if (pid != 0)
		jval_put_int(v, "at_work", pid);
	else if (begun->container != NULL && !stage_same(begun, &st->r.current) &&
		 !stage_same(begun, &st->r.previous))
		look_trouble(l, v, "a staging was begun and not finished: %s", begun->container);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct engine_entry *c = all[i]->container != NULL
						   ? engine_entry_find(&l->list, all[i]->container)
						   : NULL;

		/* one that is being staged runs while the current one does not */
		if (c != NULL && c->running && !stage_same(all[i], &st->r.current) &&
		    (pid == 0 || runs(l, &st->r.current)))
			look_trouble(l, v, "%s runs, and should not", c->name);
	}
}

static void look_at_strays(struct look *l, const struct stage *st, struct jval *v)
{
	for (size_t i = 0; i < l->list.n; i++) {
		const struct engine_entry *c = &l->list.v[i];

		if (stray_is(st, c))
			look_trouble(l, v, "%s is not in the record%s", c->name,
				     c->running ? ", and runs" : "");
	}
}

static bool is_ours(const struct stage_one *one, const struct engine_entry *c)
{
	const char *label = jval_get_str(c->labels, "posmedia.generation");

	return label != NULL && strcmp(label, digest_text(&one->generation).s) == 0;
}

static const char *state_of(struct look *l, const struct stage *st, struct jval *v)
{
	const struct stage_one *one = &st->r.current;
	const struct engine_entry *c;

	if (one->container == NULL)
		return "begun";
	if (l->en == NULL) {
		look_trouble(l, v, "%s", l->why.msg);
		return "unknown";
	}
	c = engine_entry_find(&l->list, one->container);
	if (c == NULL) {
		look_trouble(l, v, "the engine does not have %s", one->container);
		return "lost";
	}
	if (!is_ours(one, c))
		look_trouble(l, v, "%s is not what the record says that it is", c->name);
	if (c->paused) {
		look_trouble(l, v, "it is paused");
		return "paused";
	}
	if (c->running && st->r.stopped)
		look_trouble(l, v, "it was stopped on purpose, and runs");
	if (c->running)
		return "runs";
	if (st->r.stopped)
		return "stopped";
	look_trouble(l, v, "it ended, and nobody has started it again");
	return "dead";
}

/* Its first process, from memory where that still is true; 0 when it is gone. */
static int process_of(struct look *l, struct stage *st, struct jval *v)
{
	struct engine_state now SCOPED(engine_state_release) = {0};
	struct stage_run r = {0};
	struct err why = ERR_INIT;
	bool known = stage_recall_run(st, &st->r.current, &r) == 0;

	put_number(v, "restarts", known, r.starts - 1);
	if (!known && engine_state(l->en, st->r.current.container, &now, &why) == 0 &&
	    now.running && stage_process_since(now.pid, &r.since) == 0) {
		r.pid = now.pid;
		known = true;
	}
	put_number(v, "pid", known, (uint64_t)r.pid);
	put_number(v, "up_seconds", known, l->up > r.since ? l->up - r.since : 0);
	return known ? r.pid : 0;
}

static void look_at_checks(struct look *l, struct stage *st, int pid, struct jval *v)
{
	struct jval *list = jval_array();

	if (l->ask_until == 0)
		l->ask_until = clock_mono_ms() + ASK_MS;
	st->ask_until = l->ask_until;
	for (size_t i = 0; i < st->s->health_n; i++) {
		const struct site_health *h = &st->s->health[i];
		struct jval *one = jval_object();
		struct err why = ERR_INIT;
		bool asked = pid != 0 && (h->tcp != 0 || l->o->ask), well = false;

		if (asked && stage_passes(st, st->r.current.container, h, pid, &well, &why) != 0)
			look_trouble(l, v, "the check \"%s\" cannot be asked: %s", h->name,
				     why.msg);
		else if (asked && !well)
			look_trouble(l, v, "the check \"%s\" fails", h->name);
		jval_put_text(one, "name", h->name);
		jval_put(one, "passes",
			 asked && why.msg[0] == '\0' ? jval_bool(well) : jval_null());
		jval_push(list, one);
	}
	jval_put(v, "checks", list);
}

/* Nobody gets in: "real", "private" or an address, and null of one that is open. */
static void put_closed(struct look *l, const struct stage *st, struct jval *v)
{
	struct stage_mark m SCOPED(stage_mark_release) = {0};
	struct err why = ERR_INIT;
	char *text SCOPED(mem_freep) = NULL;

	if (stage_marked(st->s, st->o, &m, &why) != 0)
		look_trouble(l, v, "%s", why.msg);
	text = stage_mark_text(&m);
	jval_put(v, "closed", text != NULL ? jval_text(text) : jval_null());
}

/* What the site of the generation says should be. */
static void look_at_site(struct look *l, struct stage *st, struct jval *v)
{
	struct site *then SCOPED(site_freep) = NULL;
	const struct site *now = st->s;
	struct err why = ERR_INIT;
	bool runs = strcmp(jval_get_str(v, "state"), "runs") == 0;
	int pid = runs ? process_of(l, st, v) : 0;

	if (stage_site_of(st, &st->r.current, &then, &why) != 0) {
		look_trouble(l, v, "%s", why.msg);
		return;
	}
	st->s = then;
	jval_put_text(v, "hostname", then->hostname);
	if (runs)
		look_at_checks(l, st, pid, v);
	if (strcmp(jval_get_str(v, "state"), "stopped") != 0)
		look_tunnels(l, then, v);
	if (runs && pid != 0 && l->o->controls)
		look_controls(l, st, pid, v);
	st->s = now;
}

static void look_at_record(struct look *l, struct stage *st, struct jval *v)
{
	jval_put_text(v, "state", state_of(l, st, v));
	look_at_others(l, st, v);
	look_at_strays(l, st, v);
	put_disk(l, st, v);
	put_backup(st, v);
	put_closed(l, st, v);
	if (st->r.current.container == NULL)
		return;
	put_image(&st->r.current, v);
	look_at_site(l, st, v);
}

/* What nobody has told is told while nobody is at work. */
static void tell_ledger(const struct look *l, struct stage *st)
{
	struct err quiet = ERR_INIT;

	if (l->en == NULL || stage_is_settled(st, &l->list) ||
	    lock_take(st->ownfd, "lock", &st->lock, &quiet) != 0)
		return;
	stage_settle(st);
	fd_closep(&st->lock);
}

/* A record that cannot be read is no reason to say nothing of the others. */
static void look_at(struct look *l, const struct site *s)
{
	struct stage st SCOPED(stage_release) = {
	    .s = s, .o = l->o->where, .en = l->en, .ownfd = -1, .lock = -1};
	struct jval *v = jval_object();
	struct err why = ERR_INIT;

	jval_put_text(v, "shop", s->shop);
	jval_put_text(v, "environment", site_env_word(s->env));
	jval_put(v, "trouble", jval_array());
	jval_push(l->all, v);
	st.dir = mem_format("%s/%s/%s", l->o->where->state, s->shop, site_env_word(s->env));
	st.own = mem_format("%s/.posmedia", st.dir);
	if (access(st.own, F_OK) != 0 && errno == ENOENT) {
		jval_put_text(v, "state", "none");
		look_trouble(l, v, "nothing was staged");
	} else if (fs_open_dir(AT_FDCWD, st.own, &st.ownfd, &why) != 0 ||
		   stage_record_read(st.ownfd, &st.r, &why) != 0) {
		jval_put_text(v, "state", "unknown");
		look_trouble(l, v, "%s", why.msg);
	} else {
		tell_ledger(l, &st);
		look_at_record(l, &st, v);
	}
	st.en = NULL; /* it is everybody's */
}

static void look_at_shop(struct look *l, const char *shop)
{
	for (enum site_env env = SITE_DEV; env <= SITE_PROD; env++) {
		struct site s = {.file = (char *)(uintptr_t) "SITE",
				 .root = (char *)(uintptr_t) "/",
				 .shop = (char *)(uintptr_t)shop,
				 .env = env};
		char *own SCOPED(mem_freep) = mem_format(
		    "%s/%s/%s/.posmedia/state.json", l->o->where->state, shop, site_env_word(env));

		if (access(own, F_OK) == 0)
			look_at(l, &s);
	}
}

static int look_at_all(struct look *l, struct err *e)
{
	struct strv shops SCOPED(strv_release) = {0};

	if (access(l->o->where->state, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_list(AT_FDCWD, l->o->where->state, &shops, e) != 0)
		return -1;
	for (size_t i = 0; i < shops.n; i++)
		if (site_shop_ok(shops.v[i]))
			look_at_shop(l, shops.v[i]);
	return 0;
}

static void ask_engine(struct look *l)
{
	if (engine_open_within(l->o->where->socket, QUIET_MS, &l->en, &l->why) != 0)
		return;
	if (engine_list(l->en, "posmedia.shop", &l->list, &l->why) == 0)
		return;
	engine_free(l->en);
	l->en = NULL;
}

int stage_status(const struct status_opts *o, const struct site *const *sites, size_t n,
		 struct jval **ret, bool *ret_well, struct err *e)
{
	struct look l SCOPED(look_release) = {
	    .o = o, .why = ERR_INIT, .up = stage_machine_up(), .all = jval_array(), .well = true};

	ask_engine(&l);
	for (size_t i = 0; i < n; i++)
		look_at(&l, sites[i]);
	if (n == 0 && look_at_all(&l, e) != 0)
		return -1;
	*ret = STEAL(l.all);
	*ret_well = l.well;
	return 0;
}
