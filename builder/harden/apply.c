/* apply.c - runs a profile's controls on a tree: fixes first, then one check of all. */
#include "harden/gate.h"
#include "harden/system.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_MAX = 1 << 16, DETAIL_LINES = 12 };

struct pass {
	const struct harden_profile *p;
	const struct harden_context *c;
	int rootfd;
	struct facts *facts;
	struct harden_system system;
	bool image_only; /* leaves out the controls on the tree alone */
};

static void pass_release(struct pass *s)
{
	facts_free(s->facts);
	system_release(&s->system);
	fd_closep(&s->rootfd);
}

static const struct recipe_waiver *find_waiver(const struct harden_context *c, const char *id)
{
	for (size_t i = 0; c->recipe != NULL && i < c->recipe->waivers_n; i++)
		if (strcmp(c->recipe->waivers[i].control, id) == 0)
			return &c->recipe->waivers[i];
	return NULL;
}

/* A waiver holds to the end of its last day, UTC. */
static bool waiver_holds(const struct recipe_waiver *w, int64_t today)
{
	char *now SCOPED(mem_freep) = clock_rfc3339(today);

	return strncmp(now, w->until, strlen("YYYY-MM-DD")) <= 0;
}

/* A waiver for a control that does not exist waives nothing: a typing error, most likely. */
static int check_waivers(const struct pass *s, struct err *e)
{
	const struct recipe *r = s->c->recipe;
	const char **known SCOPED(mem_freep) = NULL;

	/* with several profiles the control may be in another one */
	if (r == NULL || r->profiles.n > 1)
		return 0;
	known = mem_zalloc((s->p->n + 1) * sizeof(*known));
	for (size_t i = 0; i < s->p->n; i++)
		known[i] = s->p->controls[i].id;
	for (size_t i = 0; i < r->waivers_n; i++) {
		const char *near;

		if (profile_control(s->p, r->waivers[i].control) != NULL)
			continue;
		near = yaml_nearest(r->waivers[i].control, known);
		(void)recipe_err(&r->waivers[i].pos, e, "profile %s has no control \"%s\" to waive",
				 s->p->id, r->waivers[i].control);
		return near == NULL ? err_hint(e, "List them with \"posmedia audit\".")
				    : err_hint(e, "Did you mean \"%s\"?", near);
	}
	return 0;
}

/* What is not known of the object, of which one of the operations is; NULL when nothing. */
static const char *lacks(const struct pass *s, const struct control *c)
{
	const struct op_run r = {.rootfd = s->rootfd, .c = s->c, .facts = s->facts};
	const char *what = NULL;

	for (size_t i = 0; i < c->ops_n && what == NULL; i++)
		if (c->ops[i].kind->lacks != NULL)
			what = c->ops[i].kind->lacks(&r, c->ops[i].want);
	return what;
}

/* What is wanted of an instance cannot be seen before there is one. */
static bool is_of_instance(const struct control *c)
{
	return c->target == NULL && c->ops_n > 0 && strcmp(c->place, "instance") == 0;
}

static char *excluded(const struct pass *s, const struct control *c)
{
	if (s->c->instance == NULL)
		return system_excludes(&s->system, c);
	if (c->only_image != NULL)
		return mem_format("image: %s", c->only_image);
	return is_of_instance(c) ? NULL : system_excludes(&s->system, c);
}

/* Why the control does not apply to this tree; NULL when it does. The caller owns it. */
static int not_applicable(const struct pass *s, const struct control *c, char **ret, struct err *e)
{
	const struct strv *packages = NULL;
	const char *what;

	*ret = excluded(s, c);
	if (*ret == NULL && c->packages.n > 0 && facts_packages(s->facts, &packages, e) != 0)
		return -1;
	for (size_t i = 0; i < c->packages.n && *ret == NULL; i++)
		if (!strv_has(packages, c->packages.v[i]))
			*ret = mem_format("package %s is not installed", c->packages.v[i]);
	for (size_t i = 0; i < c->paths.n && *ret == NULL; i++)
		if (!root_has(s->rootfd, c->paths.v[i]))
			*ret = mem_format("/%s is not there", c->paths.v[i]);
	what = *ret == NULL ? lacks(s, c) : NULL;
	if (what != NULL)
		*ret = mem_strdup(what);
	return 0;
}

static struct op_run make_run(const struct pass *s, struct strv *found, struct strv *done)
{
	return (struct op_run){
	    .rootfd = s->rootfd,
	    .c = s->c,
	    .facts = s->facts,
	    .found = found,
	    .done = done,
	};
}

/* Fixes each operation that finds something; what went wrong is left to the check afterwards. */
static void fix_control(const struct pass *s, const struct control *c, char **ret_fixed)
{
	struct strv done SCOPED(strv_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(DETAIL_MAX);

	for (size_t i = 0; i < c->ops_n; i++) {
		const struct op *o = &c->ops[i];
		struct strv found SCOPED(strv_release) = {0};
		const struct op_run r = make_run(s, &found, &done);
		struct err e = ERR_INIT;

		if (o->kind->fix == NULL)
			continue;
		if (o->kind->check(&r, o->want, &e) == 0 && found.n == 0)
			continue;
		if (o->kind->fix(&r, o->want, &e) != 0)
			log_warn("%s: cannot fix: %s", c->id, e.msg);
		facts_drop(s->facts);
	}
	for (size_t i = 0; i < done.n && i < DETAIL_LINES; i++)
		buf_addf(&text, "%s%s", i == 0 ? "" : "; ", done.v[i]);
	if (done.n > DETAIL_LINES)
		buf_addf(&text, "; and %zu more", done.n - DETAIL_LINES);
	if (done.n > 0)
		*ret_fixed = buf_take(&text);
}

static bool is_of_image(const struct control *c)
{
	for (size_t i = 0; i < c->ops_n; i++)
		if (c->ops[i].kind->of_image)
			return true;
	return false;
}

static bool looks_at_all(const struct control *c)
{
	for (size_t i = 0; i < c->ops_n; i++)
		if (c->ops[i].kind->whole_tree)
			return true;
	return false;
}

/* The controls that look at every file, or all others. */
static int fix_some(const struct pass *s, bool at_all, char **fixed, struct err *e)
{
	for (size_t i = 0; i < s->p->n; i++) {
		const struct control *c = &s->p->controls[i];
		const struct recipe_waiver *w = find_waiver(s->c, c->id);
		char *reason SCOPED(mem_freep) = NULL;

		if (intr_pending())
			return intr_err(e);
		/* a waiver says that the recipe wants it otherwise */
		if (c->check_only || looks_at_all(c) != at_all ||
		    (w != NULL && waiver_holds(w, s->c->today)))
			continue;
		if (not_applicable(s, c, &reason, e) != 0)
			return err_in(e, "control %s", c->id);
		if (reason == NULL)
			fix_control(s, c, &fixed[i]);
	}
	return 0;
}

/* What looks at every file comes last: it sees what the others wrote, and the list of files, which
 * every fix outdates, is made once. */
static int fix_all(const struct pass *s, char **fixed, struct err *e)
{
	if (fix_some(s, false, fixed, e) != 0)
		return -1;
	return fix_some(s, true, fixed, e);
}

/* One line from all findings of a control; "" when there are none. The caller owns it. */
static char *join_found(const struct strv *found)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(DETAIL_MAX);

	for (size_t i = 0; i < found->n; i++)
		buf_addf(&text, "%s%s", i == 0 ? "" : "; ", found->v[i]);
	return buf_take(&text);
}

/* The first so many findings, and how many more there are. */
static void first_found(const struct strv *found, struct strv *ret)
{
	for (size_t i = 0; i < found->n && i < DETAIL_LINES; i++)
		strv_add(ret, found->v[i]);
	if (found->n > DETAIL_LINES)
		strv_addf(ret, "and %zu more", found->n - DETAIL_LINES);
}

static struct harden_waiver *copy_waiver(const struct recipe_waiver *w, int64_t today)
{
	struct harden_waiver *ret = mem_zalloc(sizeof(*ret));

	ret->reason = mem_strdup(w->reason);
	ret->by = mem_strdup(w->by);
	ret->until = mem_strdup(w->until);
	ret->ended = !waiver_holds(w, today);
	return ret;
}

/* Runs the checks of a control, of its gates alone when only_gates. */
static void look(const struct pass *s, const struct control *c, bool only_gates, struct op_run *r)
{
	struct gate_copy copy SCOPED(gate_copy_drop) = {.g = s->c->gates};

	r->copy = s->c->gates != NULL ? &copy : NULL;
	for (size_t i = 0; i < c->ops_n; i++) {
		struct err e = ERR_INIT;

		if (only_gates && c->ops[i].kind != &op_gate)
			continue;
		/* what cannot be judged is not well */
		if (c->ops[i].kind->check(r, c->ops[i].want, &e) != 0)
			strv_add(r->found, e.msg);
	}
	r->copy = NULL;
}

static bool is_gates_only(const struct control *c)
{
	for (size_t i = 0; i < c->ops_n; i++)
		if (c->ops[i].kind != &op_gate)
			return false;
	return c->ops_n > 0;
}

/* What nobody let run is told, and where it is all there was to judge, nothing is judged. */
static void tell_unrun(const struct control *c, const struct strv *unrun, struct harden_result *ret)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(DETAIL_MAX);

	if (unrun->n == 0 || ret->status != HARDEN_PASS)
		return;
	for (size_t i = 0; i < unrun->n; i++)
		buf_addf(&text, "%s%s", i == 0 ? "not run: " : "; ", unrun->v[i]);
	if (is_gates_only(c)) {
		ret->status = HARDEN_NOT_RUN;
		ret->detail = buf_take(&text);
	} else {
		strv_add(&ret->held, text.data);
	}
}

static void judge(const struct pass *s, const struct control *c, bool only_gates,
		  struct harden_result *ret)
{
	const struct recipe_waiver *w = find_waiver(s->c, c->id);
	struct strv found SCOPED(strv_release) = {0}, held SCOPED(strv_release) = {0};
	struct strv unrun SCOPED(strv_release) = {0};
	struct op_run r = make_run(s, &found, NULL);
	char *text SCOPED(mem_freep) = NULL;

	r.held = &held;
	r.unrun = &unrun;
	look(s, c, only_gates, &r);
	first_found(&found, &ret->found);
	if (found.n == 0)
		first_found(&held, &ret->held);
	ret->status = found.n == 0 ? HARDEN_PASS : HARDEN_FAIL;
	tell_unrun(c, &unrun, ret);
	if (ret->status == HARDEN_NOT_RUN)
		return;
	text = join_found(&ret->found);
	if (found.n > 0 && w != NULL)
		ret->waiver = copy_waiver(w, s->c->today);
	if (ret->waiver != NULL && !ret->waiver->ended) {
		ret->status = HARDEN_WAIVED;
		ret->detail =
		    mem_format("%s (waived until %s by %s: %s)", text, w->until, w->by, w->reason);
	} else if (ret->waiver != NULL) {
		ret->detail = mem_format("%s (the waiver ended on %s)", text, w->until);
	} else {
		ret->detail = STEAL(text);
	}
}

/* Who has to see to a control of a system of this kind. */
static const char *place_of(const struct pass *s, const struct control *c)
{
	if (c->target == NULL)
		return c->place;
	return (strcmp(c->target, "machine") == 0) == s->system.machine ? c->place : c->held_by;
}

static struct harden_result make_result(const struct pass *s, const struct control *c)
{
	return (struct harden_result){
	    .id = c->id,
	    .title = c->title,
	    .place = place_of(s, c),
	    .wants = c->wants,
	    .sources = c->sources,
	    .severity = c->severity,
	    .status = HARDEN_NOT_APPLICABLE,
	};
}

/* Whether that place holds the control, for others or as its own. */
static bool is_held_by(const struct control *c, const char *place)
{
	return strcmp(c->target == NULL ? c->place : c->held_by, place) == 0;
}

static int check_all(struct pass *s, char **fixed, struct harden_report *ret, struct err *e)
{
	struct harden_report rep SCOPED(harden_report_release) = {0};

	rep.v = mem_zalloc((s->p->n + 1) * sizeof(*rep.v));
	for (size_t i = 0; i < s->p->n; i++) {
		const struct control *c = &s->p->controls[i];
		struct harden_result *res = &rep.v[rep.n];

		if (intr_pending())
			return intr_err(e);
		if ((s->image_only && !is_of_image(c)) ||
		    (s->c->held_by != NULL && !is_held_by(c, s->c->held_by)))
			continue;
		rep.n++;
		*res = make_result(s, c);
		if (not_applicable(s, c, &res->detail, e) != 0)
			return err_in(e, "control %s", c->id);
		if (res->detail == NULL)
			judge(s, c, false, res);
		res->fixed = STEAL(fixed[i]);
		rep.count[res->status]++;
	}
	*ret = rep;
	ret->system = s->system;
	s->system = (struct harden_system){0};
	rep = (struct harden_report){0};
	return 0;
}

static int open_tree_of(struct pass *s, const char *root, struct err *e)
{
	if (fs_open_dir(AT_FDCWD, root, &s->rootfd, e) != 0 ||
	    system_read(s->rootfd, s->c, &s->system, e) != 0)
		return -1;
	s->facts = facts_new(s->rootfd);
	facts_use_source(s->facts, s->c->files);
	if (s->c->instance != NULL)
		facts_stay(s->facts);
	return 0;
}

static void forget_fixed(const struct pass *s, char **fixed)
{
	for (size_t i = 0; i < s->p->n; i++)
		free(fixed[i]);
	free(fixed);
}

/* Opens the tree of *s and runs the controls on it. */
static int run(struct pass *s, const char *root, bool fix, struct harden_report *ret, struct err *e)
{
	char **fixed = NULL;
	int rc;

	if (check_waivers(s, e) != 0 || open_tree_of(s, root, e) != 0)
		return -1;
	fixed = mem_zalloc((s->p->n + 1) * sizeof(*fixed));
	rc = fix ? fix_all(s, fixed, e) : 0;
	if (rc == 0)
		rc = check_all(s, fixed, ret, e);
	forget_fixed(s, fixed);
	return rc;
}

int harden_fix(const struct harden_profile *p, const char *root, const struct harden_context *c,
	       struct strv *ret_done, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1};
	char **fixed = NULL;
	int rc;

	if (check_waivers(&s, e) != 0 || open_tree_of(&s, root, e) != 0)
		return -1;
	fixed = mem_zalloc((p->n + 1) * sizeof(*fixed));
	rc = fix_all(&s, fixed, e);
	for (size_t i = 0; rc == 0 && i < p->n; i++)
		if (fixed[i] != NULL)
			strv_addf(ret_done, "%s: %s", p->controls[i].id, fixed[i]);
	forget_fixed(&s, fixed);
	return rc;
}

int harden_apply(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_report *ret, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1};

	return run(&s, root, true, ret, e);
}

int harden_check(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_report *ret, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1};

	return run(&s, root, false, ret, e);
}

int harden_check_image(const struct harden_profile *p, const char *root,
		       const struct harden_context *c, struct harden_report *ret, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1, .image_only = true};

	return run(&s, root, false, ret, e);
}

static bool has_gates(const struct control *c)
{
	for (size_t i = 0; i < c->ops_n; i++)
		if (c->ops[i].kind == &op_gate)
			return true;
	return false;
}

/* What decides whether it is run, and on which files: the directory above the first wildcard. */
static void add_looked_for(const struct gate *g, struct strv *ret)
{
	strv_add(ret, g->program);
	strv_extend(ret, &g->when);
	for (size_t i = 0; i < g->files.n; i++) {
		const char *pattern = g->files.v[i];
		size_t n = strcspn(pattern, "*?[");

		while (pattern[n] != '\0' && n > 0 && pattern[n - 1] != '/')
			n--;
		strv_take(ret, mem_strndup(pattern, n > 0 && pattern[n] != '\0' ? n - 1 : n));
	}
}

/* The text of the wants says all that is run; a gate without `reads` reads anything. */
static void add_gated(const struct control *c, struct harden_gated *ret)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	const char *policy = sandbox_policy_id();
	bool all = false;

	hash_add(h, policy, strlen(policy) + 1);
	hash_add(h, c->id, strlen(c->id) + 1);
	hash_add(h, c->wants, strlen(c->wants) + 1);
	ret->id = c->id;
	ret->key = hash_final(h);
	for (size_t i = 0; i < c->ops_n; i++) {
		const struct gate *g = c->ops[i].want;

		if (c->ops[i].kind != &op_gate)
			continue;
		all = all || g->reads.n == 0;
		strv_extend(&ret->reads, &g->reads);
		add_looked_for(g, &ret->reads);
	}
	if (all)
		strv_release(&ret->reads);
}

int harden_gated(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_gated **ret, size_t *ret_n, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1};
	struct harden_gated *v = NULL;
	size_t n = 0;

	if (open_tree_of(&s, root, e) != 0)
		return -1;
	v = mem_zalloc((p->n + 1) * sizeof(*v));
	for (size_t i = 0; i < p->n; i++) {
		char *reason SCOPED(mem_freep) = NULL;

		if (!has_gates(&p->controls[i]))
			continue;
		if (not_applicable(&s, &p->controls[i], &reason, e) != 0) {
			harden_gated_free(v, n);
			return err_in(e, "control %s", p->controls[i].id);
		}
		if (reason == NULL)
			add_gated(&p->controls[i], &v[n++]);
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

void harden_gated_free(struct harden_gated *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strv_release(&v[i].reads);
	free(v);
}

int harden_check_gates(const struct harden_profile *p, const char *id, const char *root,
		       const struct harden_context *c, struct harden_report *ret, struct err *e)
{
	struct pass s SCOPED(pass_release) = {.p = p, .c = c, .rootfd = -1};
	const struct control *control = profile_control(p, id);

	if (control == NULL)
		return err_set(e, ERR_FAIL, "profile %s has no control \"%s\"", p->id, id);
	if (open_tree_of(&s, root, e) != 0)
		return -1;
	ret->v = mem_zalloc(sizeof(*ret->v));
	ret->n = 1;
	ret->v[0] = make_result(&s, control);
	judge(&s, control, true, &ret->v[0]);
	ret->count[ret->v[0].status]++;
	return 0;
}
