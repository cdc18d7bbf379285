/* op_audit.c - rules of the kernel's audit, by what they record when all of them are loaded. */
#include "harden/audit_rules.h"
#include "harden/conf_dirs.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OURS "etc/audit/rules.d/50-posmedia.rules"
#define LAST "etc/audit/rules.d/99-posmedia.rules"

struct audit {
	struct strv rules; /* "arch=b*" stands for both */
	bool data;         /* the recipe's directories of cardholder data */
	bool immutable;    /* nothing is changed until the next start */
	bool unsilenced;   /* no rule keeps something out */
};

static const struct field audit_fields[] = {
    {"rules", FIELD_LIST, offsetof(struct audit, rules), false},
    {"data", FIELD_BOOL, offsetof(struct audit, data), false},
    {"immutable", FIELD_BOOL, offsetof(struct audit, immutable), false},
    {"unsilenced", FIELD_BOOL, offsetof(struct audit, unsilenced), false},
    {0},
};

/* The rule once for each kind of system call, as a machine of 64 bits has two of them. */
static void expand(const char *rule, struct strv *ret)
{
	static const char *const bits[] = {"32", "64"};
	const char *at = strstr(rule, "arch=b*");

	if (at == NULL)
		strv_add(ret, rule);
	for (int i = 0; at != NULL && i < 2; i++)
		strv_addf(ret, "%.*sarch=b%s%s", (int)(at - rule), rule, bits[i],
			  at + strlen("arch=b*"));
}

static int audit_finish(void *want, const struct yaml *at, struct err *e)
{
	const struct audit *w = want;
	struct strv all SCOPED(strv_release) = {0};

	for (size_t i = 0; i < w->rules.n; i++)
		expand(w->rules.v[i], &all);
	for (size_t i = 0; i < all.n; i++) {
		struct audit_rule r SCOPED(audit_rule_release) = {0};
		struct err why = ERR_INIT;

		if (audit_rule_parse(all.v[i], &r, &why) != 1 || r.kind != AUDIT_RULE)
			return yaml_err(at, e, "\"%.80s\" is no audit rule: %s", all.v[i], why.msg);
	}
	return 0;
}

/* The kernel takes a watch only where there is a directory to watch in. */
static bool can_watch(const struct op_run *r, const char *path)
{
	char *dir SCOPED(mem_freep) = mem_strdup(path + 1);
	char *slash = strrchr(dir, '/');

	if (root_has(r->rootfd, path + 1))
		return true;
	if (slash == NULL)
		return true;
	*slash = '\0';
	return root_has(r->rootfd, dir);
}

static void data_rules(const struct op_run *r, struct strv *ret)
{
	const struct recipe *recipe = r->c->recipe;

	for (size_t i = 0; i < recipe->data.n; i++)
		strv_addf(ret, "-w %s -p rwxa -k cardholder-data", recipe->data.v[i]);
}

/* The wanted rules that nothing in force covers. */
static int missing(const struct op_run *r, const struct strv *wanted, struct strv *ret,
		   struct err *e)
{
	struct audit_rules have SCOPED(audit_rules_release) = {0};

	if (audit_rules_read(r->rootfd, &have, e) != 0)
		return -1;
	for (size_t i = 0; i < wanted->n; i++) {
		struct audit_rule rule SCOPED(audit_rule_release) = {0};

		if (audit_rule_parse(wanted->v[i], &rule, e) < 0)
			return -1;
		if (rule.watch != NULL && !can_watch(r, rule.watch))
			continue;
		if (!audit_rules_cover(&have, &rule))
			strv_add(ret, wanted->v[i]);
		else if (r->held != NULL)
			strv_addf(r->held, "recorded: %s", wanted->v[i]);
	}
	return 0;
}

static int audit_missing(const struct op_run *r, const struct audit *w, struct strv *ret,
			 struct err *e)
{
	struct strv wanted SCOPED(strv_release) = {0};

	for (size_t i = 0; i < w->rules.n; i++)
		expand(w->rules.v[i], &wanted);
	if (w->data && r->c->recipe == NULL)
		return err_set(e, ERR_FAIL, "only a recipe tells where cardholder data is");
	if (w->data)
		data_rules(r, &wanted);
	if (w->data && wanted.n == 0 && r->held != NULL)
		strv_add(r->held, "the recipe names no directory of cardholder data");
	return missing(r, &wanted, ret, e);
}

/* The last -e is the one that counts: augenrules(8) moves it to the end. */
static const struct audit_rule *lock_of(const struct audit_rules *s)
{
	const struct audit_rule *last = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == AUDIT_LOCK)
			last = &s->v[i];
	return last;
}

static int look_whole(const struct op_run *r, const struct audit *w, struct err *e)
{
	struct audit_rules have SCOPED(audit_rules_release) = {0};
	const struct audit_rule *lock;

	if (audit_rules_read(r->rootfd, &have, e) != 0)
		return -1;
	lock = lock_of(&have);
	if (w->immutable && lock == NULL)
		strv_addf(r->found, "/etc/audit/rules.d: no \"-e 2\" makes the rules final");
	else if (w->immutable && strcmp(lock->value, "2") != 0)
		strv_addf(r->found, "/%s:%zu: \"-e %s\" leaves the rules open to changes",
			  lock->file, lock->line, lock->value);
	for (size_t i = 0; w->unsilenced && i < have.n; i++)
		if (audit_rule_silences(&have.v[i]))
			strv_addf(r->found, "/%s:%zu: keeps events from being recorded",
				  have.v[i].file, have.v[i].line);
	return 0;
}

static int audit_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct audit *w = want;
	struct strv lacks SCOPED(strv_release) = {0};

	if (audit_missing(r, w, &lacks, e) != 0)
		return -1;
	for (size_t i = 0; i < lacks.n; i++)
		strv_addf(r->found, "not recorded: %s", lacks.v[i]);
	return look_whole(r, w, e);
}

/* Puts rules at the end of the file that holds ours. */
static int add_rules(const struct op_run *r, const char *path, const struct strv *rules,
		     struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	bool there;

	if (rules->n == 0)
		return 0;
	if (lines_read(r->rootfd, path, &lines, &there, e) != 0)
		return -1;
	if (!there)
		strv_add(&lines, "# Written by posmedia from a hardening profile.");
	strv_extend(&lines, rules);
	strv_addf(r->done, "/%s: %zu rule%s added", path, rules->n, rules->n == 1 ? "" : "s");
	return lines_write(r->rootfd, path, &lines, 0600, e);
}

static int silence(const struct op_run *r, const struct audit_rule *rule, struct err *e)
{
	strv_addf(r->done, "/%s:%zu: commented out", rule->file, rule->line);
	return conf_comment_out(r->rootfd, rule->file, rule->line, e);
}

static int mend_whole(const struct op_run *r, const struct audit *w, struct err *e)
{
	struct audit_rules have SCOPED(audit_rules_release) = {0};
	struct strv lock SCOPED(strv_release) = {0};
	bool locked = false;

	if (audit_rules_read(r->rootfd, &have, e) != 0)
		return -1;
	for (size_t i = 0; i < have.n; i++) {
		const struct audit_rule *a = &have.v[i];
		bool is_lock = a->kind == AUDIT_LOCK, final = is_lock && strcmp(a->value, "2") == 0;

		locked = locked || final;
		if ((w->immutable && is_lock && !final) ||
		    (w->unsilenced && audit_rule_silences(a)))
			if (silence(r, a, e) != 0)
				return -1;
	}
	if (w->immutable && !locked)
		strv_add(&lock, "-e 2");
	return add_rules(r, LAST, &lock, e);
}

static int audit_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct audit *w = want;
	struct strv lacks SCOPED(strv_release) = {0};

	if (audit_missing(r, w, &lacks, e) != 0 || add_rules(r, OURS, &lacks, e) != 0)
		return -1;
	return mend_whole(r, w, e);
}

const struct op_kind op_audit_rules = {
    .name = "audit-rules",
    .size = sizeof(struct audit),
    .fields = audit_fields,
    .finish = audit_finish,
    .check = audit_check,
    .fix = audit_fix,
};

struct privileged {
	char *who; /* fields of the rules: whose use is recorded */
};

static const struct field privileged_fields[] = {
    {"who", FIELD_TEXT, offsetof(struct privileged, who), true},
    {0},
};

/* Blanks part the words of a rule, and nothing quotes them. */
static bool can_be_named(const char *path)
{
	return strpbrk(path, " \t\r\n\v\f\"") == NULL;
}

/* Into *nameless, when it is not NULL, what no rule can be made for. */
static int privileged_missing(const struct op_run *r, const struct privileged *w, struct strv *ret,
			      struct strv *nameless, struct err *e)
{
	const struct facts_files *files;
	struct strv wanted SCOPED(strv_release) = {0};

	if (facts_files(r->facts, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *f = &files->v[i];

		if (!S_ISREG(f->st.st_mode) || (f->st.st_mode & (S_ISUID | S_ISGID)) == 0)
			continue;
		if (can_be_named(f->path))
			strv_addf(&wanted, "-a always,exit -F path=/%s -F perm=x %s -k privileged",
				  f->path, w->who);
		else if (nameless != NULL)
			strv_addf(nameless, "/%s: no rule can hold its name", f->path);
	}
	return missing(r, &wanted, ret, e);
}

static int privileged_check(const struct op_run *r, const void *want, struct err *e)
{
	struct strv lacks SCOPED(strv_release) = {0};

	if (privileged_missing(r, want, &lacks, r->found, e) != 0)
		return -1;
	for (size_t i = 0; i < lacks.n; i++)
		strv_addf(r->found, "not recorded: %s", lacks.v[i]);
	return 0;
}

static int privileged_fix(const struct op_run *r, const void *want, struct err *e)
{
	struct strv lacks SCOPED(strv_release) = {0};

	if (privileged_missing(r, want, &lacks, NULL, e) != 0)
		return -1;
	return add_rules(r, OURS, &lacks, e);
}

const struct op_kind op_audit_privileged = {
    .name = "audit-privileged",
    .whole_tree = true,
    .size = sizeof(struct privileged),
    .fields = privileged_fields,
    .check = privileged_check,
    .fix = privileged_fix,
};
