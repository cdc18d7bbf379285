/* op_pam.c - one line of a PAM stack: there, at its place, with its arguments; or arguments that a
 * module may not have. */
#include "harden/lines.h"
#include "harden/op.h"
#include "harden/pam.h"

#include "base/map.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct pam_want {
	char *file; /* in /etc/pam.d; a fix edits it */
	char *type, *module;
	struct strv control; /* any of these; a fix writes the first; none: only `forbid` counts */
	struct strv mark;    /* arguments that tell this line from others of the module */
	struct strv args;    /* arguments that it has */
	struct strv forbid;  /* arguments (or names of name=value) that no line may have */
	struct strv used_by; /* services that must run the line, if they are there */
	char *before, *after;
};

static const struct field pam_fields[] = {
    {"file", FIELD_TEXT, offsetof(struct pam_want, file), true},
    {"type", FIELD_TEXT, offsetof(struct pam_want, type), true},
    {"module", FIELD_TEXT, offsetof(struct pam_want, module), true},
    {"control", FIELD_LIST, offsetof(struct pam_want, control), false},
    {"mark", FIELD_LIST, offsetof(struct pam_want, mark), false},
    {"args", FIELD_LIST, offsetof(struct pam_want, args), false},
    {"forbid", FIELD_LIST, offsetof(struct pam_want, forbid), false},
    {"used-by", FIELD_LIST, offsetof(struct pam_want, used_by), false},
    {"before", FIELD_TEXT, offsetof(struct pam_want, before), false},
    {"after", FIELD_TEXT, offsetof(struct pam_want, after), false},
    {0},
};

static int pam_finish(void *want, const struct yaml *at, struct err *e)
{
	const struct pam_want *w = want;

	if (strchr(w->file, '/') != NULL)
		return yaml_err(at, e, "file is a name in /etc/pam.d");
	if (w->control.n == 0 && w->forbid.n == 0)
		return yaml_err(at, e, "wants control or forbid");
	return 0;
}

static bool has_all(const struct strv *args, const struct strv *wanted)
{
	for (size_t i = 0; i < wanted->n; i++)
		if (!strv_has(args, wanted->v[i]))
			return false;
	return true;
}

static bool is_module(const struct pam_line *l, const char *type, const char *module)
{
	const char *slash = strrchr(l->module, '/');

	return strcmp(l->type, type) == 0 &&
	       strcmp(slash == NULL ? l->module : slash + 1, module) == 0;
}

static bool is_line(const struct pam_want *w, const struct pam_line *l)
{
	return is_module(l, w->type, w->module) && has_all(&l->args, &w->mark);
}

/* Whether an argument is `name` or "name=...". */
static bool arg_is(const char *arg, const char *name)
{
	size_t n = strcspn(name, "=");

	return strncmp(arg, name, n) == 0 && (arg[n] == '\0' || arg[n] == '=');
}

/* The forbidden argument of a line, or NULL. */
static const char *forbidden(const struct pam_want *w, const struct pam_line *l)
{
	for (size_t i = 0; is_module(l, w->type, w->module) && i < l->args.n; i++)
		for (size_t k = 0; k < w->forbid.n; k++)
			if (arg_is(l->args.v[i], w->forbid.v[k]))
				return l->args.v[i];
	return NULL;
}

static size_t find_line(const struct pam_want *w, const struct pam_stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_line(w, &s->v[i]))
			return i;
	return SIZE_MAX;
}

/* Whether line `at` is before all and after some line of the modules it is placed by; a module that
 * the stack does not have places nothing. */
static bool is_placed(const struct pam_want *w, const struct pam_stack *s, size_t at)
{
	bool behind = false, ahead = false;

	for (size_t i = 0; i < s->n; i++) {
		if (i < at && w->before != NULL && is_module(&s->v[i], w->type, w->before))
			return false;
		if (w->after == NULL || !is_module(&s->v[i], w->type, w->after))
			continue;
		behind = behind || i < at;
		ahead = ahead || i > at;
	}
	return behind || !ahead;
}

static void look(const struct op_run *r, const struct pam_want *w, const char *name,
		 const struct pam_stack *s)
{
	size_t at = find_line(w, s);

	for (size_t i = 0; i < s->n; i++) {
		const char *arg = forbidden(w, &s->v[i]);

		if (arg != NULL)
			strv_addf(r->found, "/%s:%zu: %s has the argument %s", s->v[i].file,
				  s->v[i].line, w->module, arg);
	}
	if (w->control.n == 0)
		return;
	if (at == SIZE_MAX)
		strv_addf(r->found, "/etc/pam.d/%s: no %s line of %s %s", name, w->type, w->module,
			  w->mark.n > 0 ? w->mark.v[0] : "");
	else if (!strv_has(&w->control, s->v[at].control))
		strv_addf(r->found, "/%s:%zu: %s is %s, wants %s", s->v[at].file, s->v[at].line,
			  w->module, s->v[at].control, w->control.v[0]);
	else if (!has_all(&s->v[at].args, &w->args))
		strv_addf(r->found, "/%s:%zu: %s lacks arguments", s->v[at].file, s->v[at].line,
			  w->module);
	else if (!is_placed(w, s, at))
		strv_addf(r->found, "/%s:%zu: %s is at the wrong place", s->v[at].file,
			  s->v[at].line, w->module);
}

static int pam_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct pam_want *w = want;
	struct pam_stack s SCOPED(pam_release) = {0};

	if (pam_read(r->rootfd, w->file, &s, e) != 0)
		return -1;
	look(r, w, w->file, &s);
	for (size_t i = 0; i < w->used_by.n; i++) {
		struct pam_stack used SCOPED(pam_release) = {0};

		if (pam_read(r->rootfd, w->used_by.v[i], &used, e) != 0)
			return -1;
		if (used.n > 0 && find_line(w, &used) == SIZE_MAX)
			strv_addf(r->found, "/etc/pam.d/%s: does not run the %s line of %s",
				  w->used_by.v[i], w->type, w->module);
	}
	return 0;
}

/* Takes forbidden arguments out, and for our line puts the wanted ones in. */
static void mend_args(const struct pam_want *w, struct pam_line *l)
{
	struct strv args = {0};

	for (size_t i = 0; i < l->args.n; i++) {
		bool drop = false;

		for (size_t k = 0; k < w->forbid.n; k++)
			drop = drop || arg_is(l->args.v[i], w->forbid.v[k]);
		for (size_t k = 0; is_line(w, l) && k < w->args.n; k++)
			drop = drop || arg_is(l->args.v[i], w->args.v[k]);
		if (!drop)
			strv_add(&args, l->args.v[i]);
	}
	if (is_line(w, l))
		strv_extend(&args, &w->args);
	strv_release(&l->args);
	l->args = args;
}

/* Where our line belongs among the lines of the file. */
static size_t place(const struct pam_want *w, const struct strv *lines)
{
	size_t at = lines->n;

	for (size_t i = lines->n; i-- > 0;) {
		struct pam_line l SCOPED(pam_line_release) = {0};

		if (!pam_parse(lines->v[i], &l, NULL))
			continue;
		if (w->before != NULL && is_module(&l, w->type, w->before))
			at = i;
		if (w->after != NULL && is_module(&l, w->type, w->after))
			return i + 1;
	}
	return at;
}

static void insert(const struct pam_want *w, struct strv *lines)
{
	struct pam_line l SCOPED(pam_line_release) = {
	    .type = mem_strdup(w->type),
	    .control = mem_strdup(w->control.v[0]),
	    .module = mem_strdup(w->module),
	};
	char *text SCOPED(mem_freep) = NULL;
	size_t at = place(w, lines);

	strv_extend(&l.args, &w->mark);
	strv_extend(&l.args, &w->args);
	text = pam_format(&l);
	pam_jumps_shift(lines, at, w->type, 1);
	lines_insert(lines, at, text);
}

/* Mends the arguments on line i; drops the line when it is ours and not as wanted. */
static bool mend_line(const struct pam_want *w, struct strv *lines, size_t i, bool misplaced)
{
	struct pam_line l SCOPED(pam_line_release) = {0};
	char *text SCOPED(mem_freep) = NULL;

	if (!pam_parse(lines->v[i], &l, NULL) || !is_module(&l, w->type, w->module))
		return false;
	if (w->control.n > 0 && is_line(w, &l) && misplaced) {
		text = mem_format("# posmedia: %s", lines->v[i]);
		lines_replace(lines, i, text);
		pam_jumps_shift(lines, i, w->type, -1);
		return false;
	}
	mend_args(w, &l);
	if (is_line(w, &l) && w->control.n > 0 && !strv_has(&w->control, l.control)) {
		free(l.control);
		l.control = mem_strdup(w->control.v[0]);
	}
	text = pam_format(&l);
	lines_replace(lines, i, text);
	return is_line(w, &l);
}

static int pam_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct pam_want *w = want;
	struct pam_stack s SCOPED(pam_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = mem_format("etc/pam.d/%s", w->file);
	bool seen = false, misplaced;
	size_t at;

	if (pam_read(r->rootfd, w->file, &s, e) != 0 ||
	    lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	at = find_line(w, &s);
	misplaced = at != SIZE_MAX && !is_placed(w, &s, at);
	for (size_t i = 0; i < lines.n; i++)
		seen = mend_line(w, &lines, i, misplaced) || seen;
	if (!seen && w->control.n > 0)
		insert(w, &lines);
	strv_addf(r->done, "/%s: %s line of %s mended", path, w->type, w->module);
	return lines_write(r->rootfd, path, &lines, 0644, e);
}

/* An argument of the one that the other has with another value, or forbids; or NULL. */
static const char *argument_against(const struct pam_want *a, const struct pam_want *b)
{
	for (size_t i = 0; i < a->args.n; i++) {
		const char *arg = a->args.v[i];
		size_t n = strcspn(arg, "=");
		char *name SCOPED(mem_freep) = mem_strndup(arg, n);

		if (strv_has(&b->forbid, arg) || strv_has(&b->forbid, name))
			return arg;
		for (size_t k = 0; k < b->args.n && arg[n] == '='; k++)
			if (strncmp(b->args.v[k], arg, n + 1) == 0 &&
			    strcmp(b->args.v[k], arg) != 0)
				return arg;
	}
	return NULL;
}

static char *pam_contradicts(const void *a, const void *b)
{
	const struct pam_want *one = a, *other = b;
	const char *arg;

	if (strcmp(one->file, other->file) != 0 || strcmp(one->type, other->type) != 0 ||
	    strcmp(one->module, other->module) != 0 || one->mark.n != other->mark.n ||
	    !has_all(&one->mark, &other->mark))
		return NULL;
	arg = argument_against(one, other);
	if (arg == NULL)
		arg = argument_against(other, one);
	return arg == NULL ? NULL
			   : mem_format("%s of /etc/pam.d/%s cannot have %s and not", one->module,
					one->file, arg);
}

const struct op_kind op_pam = {
    .name = "pam",
    .size = sizeof(struct pam_want),
    .fields = pam_fields,
    .finish = pam_finish,
    .check = pam_check,
    .fix = pam_fix,
    .contradicts = pam_contradicts,
};

struct modules_want {
	struct strv shortcuts; /* modules that let anyone in, when a stack may end there */
	struct strv except;    /* services that may use them */
	struct strv proofs;    /* modules that ask for one; an empty list: any may */
};

static const struct field modules_fields[] = {
    {"shortcuts", FIELD_LIST, offsetof(struct modules_want, shortcuts), false},
    {"except", FIELD_LIST, offsetof(struct modules_want, except), false},
    {"proofs", FIELD_LIST, offsetof(struct modules_want, proofs), false},
    {0},
};

/* Whether the line may end the stack with success, or jump over what follows. */
static bool ends_stack(const struct pam_line *l)
{
	char *value = NULL, *action = NULL;
	bool jumps = false, named = false, done = false, otherwise = false;

	if (l->control[0] != '[')
		return strcasecmp(l->control, "sufficient") == 0;
	for (const char *p = l->control; pam_action(&p, &value, &action);) {
		bool is_done = strcasecmp(action, "done") == 0;

		jumps = jumps || (*action >= '1' && *action <= '9');
		if (strcasecmp(value, "success") == 0) {
			named = true;
			done = is_done;
		}
		if (strcasecmp(value, "default") == 0)
			otherwise = is_done;
		free(value);
		free(action);
	}
	/* "default" is for what is not named */
	return jumps || (named ? done : otherwise);
}

/* Whether the line is of one of the modules that let anyone in; PAM reads types without regard to
 * case. */
static bool is_shortcut(const struct modules_want *w, const struct pam_line *l)
{
	const char *slash = strrchr(l->module, '/');

	return strcasecmp(l->type, "auth") == 0 &&
	       strv_has(&w->shortcuts, slash == NULL ? l->module : slash + 1);
}

/* Whether the module's file is there; most services name the same ones. */
static int find_module(const struct op_run *r, const char *module, struct map *known, bool *ret,
		       struct err *e)
{
	static const char there[] = "there";
	/* of Debian, and of Enterprise Linux */
	static const char *const dirs[] = {"usr/lib/*/security", "usr/lib64/security"};
	struct strv found SCOPED(strv_release) = {0};

	if (map_has(known, module)) {
		*ret = map_get(known, module) != NULL;
		return 0;
	}
	*ret = module[0] == '/' && root_has(r->rootfd, module + 1);
	for (size_t i = 0; module[0] != '/' && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *pattern SCOPED(mem_freep) = mem_format("%s/%s", dirs[i], module);

		if (root_glob(r->rootfd, pattern, &found, e) != 0)
			return -1;
		*ret = found.n > 0;
	}
	(void)map_put(known, module, *ret ? (void *)there : NULL);
	return 0;
}

static void look_shortcut(const struct op_run *r, const struct modules_want *w,
			  const struct pam_line *l)
{
	const char *service = strrchr(l->file, '/') + 1;

	if (is_shortcut(w, l) && ends_stack(l) && !strv_has(&w->except, service))
		strv_addf(r->found, "/%s:%zu: %s lets anyone in", l->file, l->line, l->module);
}

/* What is written for one shop, or installed beside packages, may say yes to whoever knows how. */
static void look_proof(const struct op_run *r, const struct modules_want *w,
		       const struct pam_line *l)
{
	const char *service = strrchr(l->file, '/') + 1, *slash = strrchr(l->module, '/');
	const char *name = slash == NULL ? l->module : slash + 1;

	if (w->proofs.n == 0 || strcasecmp(l->type, "auth") != 0 || pam_asks_nothing(l) ||
	    strv_has(&w->proofs, name) || strv_has(&w->shortcuts, name) ||
	    strv_has(&w->except, service))
		return;
	strv_addf(r->found, "/%s:%zu: %s is not known to ask for a proof", l->file, l->line,
		  l->module);
}

static int look_module(const struct op_run *r, struct map *known, const struct pam_line *l,
		       struct err *e)
{
	bool there = false;

	if (find_module(r, l->module, known, &there, e) != 0)
		return -1;
	if (!there)
		strv_addf(r->found, "/%s:%zu: there is no module %s", l->file, l->line, l->module);
	return 0;
}

static void known_release(struct map *known)
{
	map_release(known, NULL);
}

/* A service that asks for no proof lets in who has none, whatever its lines are called. */
static int look_stack(const struct op_run *r, const struct modules_want *w, const char *path,
		      struct err *e)
{
	const char *service = strrchr(path, '/') + 1;
	struct pam_stack s SCOPED(pam_release) = {0};

	if (strv_has(&w->except, service))
		return 0;
	if (pam_read(r->rootfd, service, &s, e) != 0)
		return -1;
	if (pam_lets_in(&s))
		strv_addf(r->found, "/%s: lets in who has proven nothing", path);
	return 0;
}

static int modules_check(const struct op_run *r, const void *want, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	struct map known SCOPED(known_release) = {0};

	if (root_glob(r->rootfd, "etc/pam.d/*", &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(r->rootfd, files.v[i], &lines, NULL, e) != 0 ||
		    look_stack(r, want, files.v[i], e) != 0)
			return -1;
		pam_join(&lines);
		for (size_t k = 0; k < lines.n; k++) {
			struct pam_line l SCOPED(pam_line_release) = {0};
			const char *text = lines.v[k] + strspn(lines.v[k], " \t");

			if (!pam_parse(text, &l, NULL) || strstr(l.module, ".so") == NULL)
				continue;
			l.file = mem_strdup(files.v[i]);
			l.line = k + 1;
			look_shortcut(r, want, &l);
			look_proof(r, want, &l);
			/* a leading '-' says that the module may be missing */
			if (*text != '-' && look_module(r, &known, &l, e) != 0)
				return -1;
		}
	}
	return 0;
}

const struct op_kind op_pam_modules = {
    .name = "pam-modules",
    .size = sizeof(struct modules_want),
    .fields = modules_fields,
    .check = modules_check,
};
