/* apply.c - runs a profile's controls on a tree: fixes first, then one check of all. */
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

/* Why the control does not apply to this tree; NULL when it does. The caller owns it. */
static int not_applicable(const struct pass *s, const struct control *c, char **ret, struct err *e)
{
	const struct strv *packages = NULL;
	const char *what;

	*ret = system_excludes(&s->system, c);
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

static void judge(const struct pass *s, const struct control *c, struct harden_result *ret)
{
	const struct recipe_waiver *w = find_waiver(s->c, c->id);
	struct strv found SCOPED(strv_release) = {0}, held SCOPED(strv_release) = {0};
	struct op_run r = make_run(s, &found, NULL);
	char *text SCOPED(mem_freep) = NULL;

	r.held = &held;
	for (size_t i = 0; i < c->ops_n; i++) {
		struct err e = ERR_INIT;

		/* what cannot be judged is not well */
		if (c->ops[i].kind->check(&r, c->ops[i].want, &e) != 0)
			strv_add(&found, e.msg);
	}
	first_found(&found, &ret->found);
	if (found.n == 0)
		first_found(&held, &ret->held);
	text = join_found(&ret->found);
	ret->status = found.n == 0 ? HARDEN_PASS : HARDEN_FAIL;
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

static int check_all(struct pass *s, char **fixed, struct harden_report *ret, struct err *e)
{
	struct harden_report rep SCOPED(harden_report_release) = {0};

	rep.v = mem_zalloc((s->p->n + 1) * sizeof(*rep.v));
	for (size_t i = 0; i < s->p->n; i++) {
		const struct control *c = &s->p->controls[i];
		struct harden_result *res = &rep.v[rep.n];

		if (intr_pending())
			return intr_err(e);
		if (s->image_only && !is_of_image(c))
			continue;
		rep.n++;
		*res = (struct harden_result){
		    .id = c->id,
		    .title = c->title,
		    .place = place_of(s, c),
		    .wants = c->wants,
		    .sources = c->sources,
		    .severity = c->severity,
		    .status = HARDEN_NOT_APPLICABLE,
		};
		if (not_applicable(s, c, &res->detail, e) != 0)
			return err_in(e, "control %s", c->id);
		if (res->detail == NULL)
			judge(s, c, res);
		res->fixed = STEAL(fixed[i]);
		rep.count[res->status]++;
	}
	*ret = rep;
	ret->system = s->system;
	s->system = (struct harden_system){0};
	rep = (struct harden_report){0};
	return 0;
}

/* Opens the tree of *s and runs the controls on it. */
static int run(struct pass *s, const char *root, bool fix, struct harden_report *ret, struct err *e)
{
	char **fixed = NULL;
	int rc;

	if (fs_open_dir(AT_FDCWD, root, &s->rootfd, e) != 0 || check_waivers(s, e) != 0)
		return -1;
	if (system_read(s->rootfd, s->c, &s->system, e) != 0)
		return -1;
	s->facts = facts_new(s->rootfd);
	facts_use_source(s->facts, s->c->files);
	fixed = mem_zalloc((s->p->n + 1) * sizeof(*fixed));
	rc = fix ? fix_all(s, fixed, e) : 0;
	if (rc == 0)
		rc = check_all(s, fixed, ret, e);
	for (size_t i = 0; i < s->p->n; i++)
		free(fixed[i]);
	free(fixed);
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
