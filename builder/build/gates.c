#include "build/gates.h"
#include "build/reads.h"

#include "base/log.h"
#include "harden/harden.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { AT_ONCE = 2, RECORD_MAX = 1 << 20 };

/* One control of one profile, and what its outcome depends on. */
struct turn {
	const struct harden_profile *p; /* borrowed */
	const struct harden_gated *g;   /* borrowed */
	struct digest_text key;
};

struct work {
	const struct gates *all;
	struct harden_profile *const *profiles; /* the job's */
	struct harden_gated **gated;
	size_t *gated_n;
	size_t n; /* profiles */
	struct turn *turns;
	size_t turns_n;
	struct map known; /* keys of what passed before */
	char *record;
	bool *passed; /* one a turn, shared with those who run them */
};

static void work_release(struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		harden_gated_free(w->gated[i], w->gated_n[i]);
	}
	free(w->gated);
	free(w->gated_n);
	free(w->turns);
	map_release(&w->known, NULL);
	free(w->record);
	if (w->passed != NULL)
		(void)munmap(w->passed, w->turns_n + 1);
}

static struct harden_context context(const struct work *w, const struct harden_gates *gates)
{
	const struct job *j = w->all->j;

	return (struct harden_context){
	    .recipe = j->r, .today = clock_epoch_s(), .epoch = j->l->epoch, .gates = gates};
}

static int load(struct work *w, struct err *e)
{
	const struct strv *names = &w->all->j->r->profiles;
	const struct harden_context c = context(w, NULL);

	w->profiles = w->all->j->verdict.profiles;
	w->gated = mem_zalloc((names->n + 1) * sizeof(*w->gated));
	w->gated_n = mem_zalloc((names->n + 1) * sizeof(*w->gated_n));
	for (size_t i = 0; i < names->n; i++) {
		w->n++;
		if (harden_gated(w->profiles[i], w->all->root, &c, &w->gated[i], &w->gated_n[i],
				 e) != 0)
			return -1;
		w->turns_n += w->gated_n[i];
	}
	return 0;
}

static struct digest_text turn_key(const struct work *w, const struct harden_gated *g)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct digest read = reads_of(w->all->j, w->all->tree, &g->reads), d;

	hash_add(h, POSMEDIA_VERSION, sizeof(POSMEDIA_VERSION));
	hash_add(h, g->key.b, DIGEST_BYTES);
	hash_add(h, w->all->programs.b, DIGEST_BYTES);
	hash_add(h, read.b, DIGEST_BYTES);
	d = hash_final(h);
	return digest_text(&d);
}

/* A record that is not there or is damaged leaves everything to be run. */
static void read_record(struct work *w)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct err quiet = ERR_INIT;
	char *rest, *line;

	if (w->all->j->o->no_cache || fs_get_file(AT_FDCWD, w->record, &b, &quiet) != 0)
		return;
	rest = b.data;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			(void)map_put(&w->known, line, NULL);
}

static int make_turns(struct work *w, struct err *e)
{
	size_t n = 0;

	w->turns = mem_zalloc((w->turns_n + 1) * sizeof(*w->turns));
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->gated_n[i]; k++) {
			const struct harden_gated *g = &w->gated[i][k];

			w->turns[n++] = (struct turn){w->profiles[i], g, turn_key(w, g)};
		}
	w->passed = mmap(NULL, n + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->passed != MAP_FAILED)
		return 0;
	w->passed = NULL;
	return err_sys(e, "share memory with a child");
}

/* Of a failed control: told when the recipe lets it pass, else the build's error. */
static int judge(const struct job *j, const struct harden_report *rep, struct err *e)
{
	const struct harden_result *r = &rep->v[0];
	struct buf said SCOPED(buf_release) = BUF_INIT(1 << 16);
	const char *text = r->detail != NULL ? r->detail : "";
	struct err quiet = ERR_INIT;

	(void)vault_hide(&j->secrets, text, strlen(text), true, &said);
	if (harden_gate(rep, j->r->fail_on, &quiet) == 0) {
		if (r->status == HARDEN_FAIL)
			log_warn("control %s fails: %s", r->id, said.data);
		return 0;
	}
	if (quiet.kind != ERR_VERIFY)
		return (*e = quiet, -1);
	(void)err_set(e, ERR_VERIFY, "control %s (%s): %s", r->id, r->title, said.data);
	return err_hint(e, "Mend what the program says, or waive %s with a reason and a date.",
			r->id);
}

/* Those whose turn it is. */
struct part {
	struct work *w;
	size_t first;
};

static int run_turn(struct work *w, size_t i, const struct harden_gates *gates, struct err *e)
{
	const struct turn *t = &w->turns[i];
	const struct harden_context c = context(w, gates);
	struct harden_report rep SCOPED(harden_report_release) = {0};

	if (harden_check_gates(t->p, t->g->id, w->all->root, &c, &rep, e) != 0)
		return -1;
	w->passed[i] = rep.v[0].status == HARDEN_PASS;
	return judge(w->all->j, &rep, e);
}

static int run_part(void *arg, struct err *e)
{
	const struct part *p = arg;
	struct work *w = p->w;
	const struct strv *trees = &w->all->j->trees;
	const char **lower SCOPED(mem_freep) = mem_zalloc((trees->n + 1) * sizeof(*lower));
	const struct harden_gates gates = {lower, trees->n, w->all->j->scratch};
	size_t turn = 0;

	for (size_t i = 0; i < trees->n; i++)
		lower[i] = trees->v[trees->n - 1 - i];
	for (size_t i = 0; i < w->turns_n; i++) {
		if (w->passed[i] || turn++ % AT_ONCE != p->first)
			continue;
		if (intr_pending())
			return intr_err(e);
		if (run_turn(w, i, &gates, e) != 0)
			return -1;
	}
	return 0;
}

/* Two processes, since the sandbox wants one without threads. */
static int run_parts(struct work *w, struct err *e)
{
	struct part parts[AT_ONCE] = {{w, 0}, {w, 1}};
	struct aside other SCOPED(aside_stop) = {0};

	if (aside_start(run_part, &parts[1], &other, e) != 0)
		return -1;
	if (run_part(&parts[0], e) != 0)
		return -1;
	return aside_join(&other, e);
}

static int keep(struct work *w, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);

	for (size_t i = 0; i < w->turns_n; i++)
		if (w->passed[i])
			buf_addf(&b, "%s\n", w->turns[i].key.s);
	if (fs_mkdirs(store_fd(w->all->j->s), "cache/gated", 0700, e) != 0)
		return -1;
	return fs_put_unsynced(w->record, b.data, b.len, 0600, e);
}

static int run(struct work *w, struct err *e)
{
	size_t known = 0;

	if (load(w, e) != 0)
		return err_in(e, "hardening");
	if (w->turns_n == 0)
		return 0;
	read_record(w);
	if (make_turns(w, e) != 0)
		return -1;
	for (size_t i = 0; i < w->turns_n; i++) {
		w->passed[i] = map_has(&w->known, w->turns[i].key.s);
		known += w->passed[i];
	}
	if (known == w->turns_n)
		return 0;
	if (run_parts(w, e) != 0)
		return err_in(e, "hardening");
	log_info("gates: %zu controls run, %zu as before", w->turns_n - known, known);
	return keep(w, e);
}

int gates_run(void *arg, struct err *e)
{
	struct work w SCOPED(work_release) = {.all = arg};
	const struct job *j = w.all->j;

	w.record = mem_format("%s/cache/gated/%s", store_path(j->s), j->r->name);
	return run(&w, e);
}
