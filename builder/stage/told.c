/* told.c - when an instance runs and when it does not, in the ledger: what is billed is made of it.
 *
 * Between the engine and the ledger a process can die. So what is about to be asked of the engine
 * is on the disk before, in runs-CONTAINER.json of the site's own directory, and that file goes
 * when the end of the run is in the ledger. Whoever opens the site next asks the engine what came
 * of it (stage_settle), and tells what was not told. A line that is told once more has the same
 * "once" as the first: reports count it once. The time of the file is when the instance was last
 * seen. */
#include "stage/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "form/hex.h"
#include "ledger/ledger.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "runs-"
#define SUFFIX ".json"
enum { TOLD_MAX = 16 << 10, ONCE_BYTES = 8, OWN_KEYS = 5 };

enum told_state { TOLD_STARTING, TOLD_RUNS, TOLD_STOPPING };
static const char *const words[] = {"starting", "runs", "stopping"};

/* What is remembered of a container. */
struct told {
	char *name; /* of the file */
	struct jval *v;
	enum told_state state;
	int64_t seen; /* when it was last seen; 0 = nothing is remembered */
};

static void told_release(struct told *t)
{
	free(t->name);
	jval_free(t->v);
}

static void failed(struct stage *st, const struct err *why)
{
	log_warn("it is done, but not noted: %s", why->msg);
	st->out.unnoted = true;
}

static bool is_noted(const struct stage *st)
{
	return st->o->ledger != NULL && !st->o->dry_run && st->ownfd >= 0;
}

static char *name_of(const char *container)
{
	return mem_format(PREFIX "%s" SUFFIX, container);
}

/* Of what cannot be read the name says which container it is, and the time when it was seen. */
static void told_load(const struct stage *st, const char *container, struct told *ret)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TOLD_MAX);
	struct err quiet = ERR_INIT;
	const char *word;
	struct stat now;

	*ret = (struct told){.name = name_of(container), .state = TOLD_RUNS};
	if (fstatat(st->ownfd, ret->name, &now, AT_SYMLINK_NOFOLLOW) == 0) {
		ret->seen = now.st_mtim.tv_sec;
		if (fs_get_file(st->ownfd, ret->name, &text, &quiet) == 0)
			(void)!jval_parse(text.data, text.len, ret->name, &ret->v, &quiet);
	}
	if (!jval_is_object(ret->v)) {
		jval_free(ret->v);
		ret->v = jval_object();
	}
	word = jval_get_str(ret->v, "state");
	for (size_t i = 0; word != NULL && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			ret->state = (enum told_state)i;
	jval_put_text(ret->v, "container", container);
}

/* A run of its own. */
static void new_run(struct told *t)
{
	uint8_t bytes[ONCE_BYTES];
	char hex[2 * ONCE_BYTES + 1];

	jval_del(t->v, "began");
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return;
	hex_encode(bytes, sizeof(bytes), hex);
	jval_put_text(t->v, "once", hex);
}

static void describe(struct told *t, const struct stage_one *one)
{
	if (one->identity == NULL) {
		jval_put(t->v, "stray", jval_bool(true));
		return;
	}
	jval_put_text(t->v, "identity", one->identity);
	jval_put_text(t->v, "config", digest_text(&one->config).s);
	jval_put_text(t->v, "manifest", digest_text(&one->manifest).s);
}

/* durable: what is about to be done must not come before it. */
static bool told_put(struct stage *st, struct told *t, enum told_state state, bool durable)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TOLD_MAX);
	char *path SCOPED(mem_freep) = fs_join(st->own, t->name);
	struct err why = ERR_INIT;

	t->state = state;
	jval_put_text(t->v, "state", words[state]);
	jval_write(t->v, &text);
	if ((durable ? fs_put(st->ownfd, t->name, text.data, text.len, 0600, &why)
		     : fs_put_unsynced(path, text.data, text.len, 0600, &why)) == 0)
		return true;
	failed(st, &why);
	return false;
}

static void forget(struct stage *st, const struct told *t)
{
	struct err why = ERR_INIT;

	if (unlinkat(st->ownfd, t->name, 0) == 0 || errno == ENOENT)
		return;
	(void)err_sys(&why, "remove %s", t->name);
	failed(st, &why);
}

/* Whether the line is in the ledger. more (may be NULL): members beside those that are known. */
static bool tell(struct stage *st, const struct told *t, const char *kind, const struct jval *more)
{
	static const char *const keys[] = {"container", "identity", "config", "once", "stray",
					   "began",     "ended",    "exit",   "why",  "ended-by"};
	struct jval *v SCOPED(jval_freep) = jval_object();
	const char *manifest = jval_get_str(t->v, "manifest");
	struct ledger_event event = {kind, NULL, v};
	struct err why = ERR_INIT;
	struct digest subject;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct jval *one = jval_get(i < OWN_KEYS ? t->v : more, keys[i]);

		if (one != NULL)
			jval_put(v, keys[i], jval_ref(one));
	}
	if (manifest != NULL && digest_parse(manifest, &subject) == 0)
		event.subject = &subject;
	jval_put_text(v, "shop", st->s->shop);
	jval_put_text(v, "env", site_env_word(st->s->env));
	if (ledger_append(st->o->ledger, &event, 1, &why) == 0)
		return true;
	failed(st, &why);
	return false;
}

static void put_time(struct jval *v, const char *key, int64_t t)
{
	char *text SCOPED(mem_freep) = clock_rfc3339(t);

	jval_put_text(v, key, text);
}

/* The engine's word for when the run began tells one run of a container from the next. */
static bool same_run(const struct told *t, const struct engine_state *s)
{
	const char *began = jval_get_str(t->v, "began");

	return began == NULL || s->started == NULL || strcmp(began, s->started) == 0;
}

static void note_began(struct told *t, const struct engine_state *s)
{
	if (s->started != NULL)
		jval_put_text(t->v, "began", s->started);
}

/* When it ended that nobody saw end: the engine knows, unless it was down itself and only says when
 * it was up again. Else it is when it was last seen. */
static void put_end(const struct told *t, const struct engine_state *s, struct jval *v)
{
	int64_t now = clock_wall_s(), boot = now - (int64_t)stage_machine_up();
	bool again = s->running || s->restarting;
	bool known = s->there && s->finished_s >= t->seen && s->finished_s <= now &&
		     (t->seen >= boot || s->finished_s < boot) &&
		     (!again || (s->started != NULL && s->finished_s <= s->started_s));

	put_time(v, "ended", known ? s->finished_s : t->seen);
	jval_put_text(v, "ended-by", known ? "engine" : "last seen");
	if (t->state == TOLD_STOPPING)
		return;
	jval_put_text(v, "why", "its end was not watched");
	if (known && !again)
		jval_put_int(v, "exit", s->exit);
}

static bool runs(const struct stage *st, const struct engine_state *s)
{
	struct err quiet = ERR_INIT;
	bool is = true;

	if (!s->there || !(s->running || s->restarting))
		return false;
	/* an engine whose monitor was killed may be wrong: see stage_end_lost */
	return st->s->network.interface == NULL || s->restarting ||
	       stage_process_is(s, &is, &quiet) != 0 || is;
}

/* A start that was asked for and not told; false when there is nothing more to settle. */
static bool settle_start(struct stage *st, struct told *t, const struct engine_state *s)
{
	const char *before = jval_get_str(t->v, "before");
	struct jval *more SCOPED(jval_freep) = jval_object();

	if (!s->there || s->started == NULL || s->started_s <= 0 ||
	    (before != NULL && strcmp(before, s->started) == 0)) {
		forget(st, t);
		return false;
	}
	put_time(more, "began", s->started_s);
	if (!tell(st, t, "start", more))
		return false;
	fault_point("told: late start");
	note_began(t, s);
	return told_put(st, t, TOLD_RUNS, false);
}

/* It runs, and not as the one that was told of: somebody else has started it since. */
static void settle_next(struct stage *st, struct told *t, const struct engine_state *s)
{
	struct jval *more SCOPED(jval_freep) = jval_object();

	new_run(t);
	note_began(t, s);
	put_time(more, "began", s->started_s);
	/* until it is told that state asks for it again */
	jval_del(t->v, "before");
	if (told_put(st, t, TOLD_STARTING, true) && tell(st, t, "start", more))
		(void)told_put(st, t, TOLD_RUNS, false);
}

static void settle(struct stage *st, struct told *t, const struct engine_state *s)
{
	struct jval *more SCOPED(jval_freep) = jval_object();
	bool now = runs(st, s);

	if (t->state == TOLD_STARTING && !settle_start(st, t, s))
		return;
	if (now && same_run(t, s)) {
		if (t->state == TOLD_STOPPING || jval_get_str(t->v, "began") == NULL) {
			note_began(t, s);
			(void)told_put(st, t, TOLD_RUNS, false);
		}
		(void)!utimensat(st->ownfd, t->name, NULL, AT_SYMLINK_NOFOLLOW);
		return;
	}
	put_end(t, s, more);
	if (!tell(st, t, t->state == TOLD_STOPPING ? "stop" : "crash", more))
		return;
	fault_point("told: late end");
	if (now)
		settle_next(st, t, s);
	else
		forget(st, t);
}

static void settle_container(struct stage *st, const char *container)
{
	struct told t SCOPED(told_release) = {0};
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err why = ERR_INIT;

	told_load(st, container, &t);
	if (t.seen == 0)
		return;
	if (engine_state(st->en, container, &s, &why) == 0)
		settle(st, &t, &s);
	else
		log_warn("%s: %s", container, why.msg);
}

void stage_settle_one(struct stage *st, const struct stage_one *one)
{
	if (is_noted(st))
		settle_container(st, one->container);
}

/* The container of a file's name; NULL of another file. The caller owns it. */
static char *container_of(const char *name)
{
	size_t n = strlen(name), before = strlen(PREFIX), behind = strlen(SUFFIX);

	if (n <= before + behind || strncmp(name, PREFIX, before) != 0 ||
	    strcmp(name + n - behind, SUFFIX) != 0)
		return NULL;
	return mem_strndup(name + before, n - before - behind);
}

void stage_settle(struct stage *st)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err why = ERR_INIT;

	if (!is_noted(st))
		return;
	if (fs_list(st->ownfd, ".", &names, &why) != 0)
		failed(st, &why);
	for (size_t i = 0; i < names.n; i++) {
		char *container SCOPED(mem_freep) = container_of(names.v[i]);

		if (container != NULL)
			settle_container(st, container);
	}
}

bool stage_is_settled(const struct stage *st, const struct engine_entries *list)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	if (fs_list(st->ownfd, ".", &names, &quiet) != 0)
		return true;
	for (size_t i = 0; i < names.n; i++) {
		char *container SCOPED(mem_freep) = container_of(names.v[i]);
		const struct engine_entry *c;
		struct told t SCOPED(told_release) = {0};

		if (container == NULL)
			continue;
		told_load(st, container, &t);
		c = engine_entry_find(list, container);
		if (t.state != TOLD_RUNS || c == NULL || !(c->running || c->restarting))
			return false;
	}
	return true;
}

void stage_told_starting(struct stage *st, const struct stage_one *one)
{
	struct told t SCOPED(told_release) = {0};
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err why = ERR_INIT;

	if (!is_noted(st))
		return;
	told_load(st, one->container, &t);
	if (t.seen != 0 || engine_state(st->en, one->container, &s, &why) != 0)
		return;
	describe(&t, one);
	new_run(&t);
	if (s.started != NULL)
		jval_put_text(t.v, "before", s.started);
	(void)told_put(st, &t, TOLD_STARTING, true);
	fault_point("told: starting");
}

void stage_told_start(struct stage *st, const struct stage_one *one)
{
	struct told t SCOPED(told_release) = {0};
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct err why = ERR_INIT;

	if (!is_noted(st))
		return;
	told_load(st, one->container, &t);
	if (t.seen != 0 && t.state == TOLD_RUNS)
		return;
	describe(&t, one);
	if (jval_get_str(t.v, "once") == NULL)
		new_run(&t);
	if (!tell(st, &t, "start", NULL))
		return;
	fault_point("told: start");
	jval_del(t.v, "before");
	if (engine_state(st->en, one->container, &s, &why) == 0)
		note_began(&t, &s);
	(void)told_put(st, &t, TOLD_RUNS, false);
}

void stage_told_stopping(struct stage *st, const struct stage_one *one)
{
	struct told t SCOPED(told_release) = {0};

	if (!is_noted(st))
		return;
	told_load(st, one->container, &t);
	if (t.seen != 0 && t.state == TOLD_STARTING) {
		/* who started it died before he told */
		settle_container(st, one->container);
		told_release(&t);
		told_load(st, one->container, &t);
	}
	describe(&t, one);
	if (jval_get_str(t.v, "once") == NULL)
		new_run(&t);
	(void)told_put(st, &t, TOLD_STOPPING, true);
	fault_point("told: stopping");
}

/* What an end is told of by stays until it was told. */
static void ended(struct stage *st, struct told *t, const char *kind, const struct jval *more)
{
	if (!tell(st, t, kind, more))
		return;
	fault_point("told: end");
	forget(st, t);
}

void stage_told_stop(struct stage *st, const struct stage_one *one)
{
	struct told t SCOPED(told_release) = {0};

	if (!is_noted(st))
		return;
	told_load(st, one->container, &t);
	describe(&t, one);
	ended(st, &t, "stop", NULL);
}

void stage_told_crash(struct stage *st, const struct stage_one *one, int status)
{
	struct jval *more SCOPED(jval_freep) = jval_object();
	struct told t SCOPED(told_release) = {0};

	if (!is_noted(st))
		return;
	told_load(st, one->container, &t);
	jval_put_int(more, "exit", status);
	/* another has found it, and told */
	if (t.seen != 0)
		ended(st, &t, "crash", more);
}

void stage_alive(const struct stage *st)
{
	char *name SCOPED(mem_freep) = NULL;

	if (!is_noted(st) || st->r.current.container == NULL)
		return;
	name = name_of(st->r.current.container);
	(void)!utimensat(st->ownfd, name, NULL, AT_SYMLINK_NOFOLLOW);
}
