/* op_accounts.c - rules about users and groups, one per control. */
#include "harden/accounts.h"
#include "harden/op.h"

#include "base/map.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct rule;

struct accounts_want {
	struct yaml *rule_word;
	struct strv names;  /* rule "names": the accounts that may not be there */
	struct strv shells; /* rule "nologin": what counts as no login */
	struct strv except; /* accounts that the rule spares */
	struct opt uid_max; /* rule "nologin": up to here; default 999 */
	const struct rule *rule;
};

struct rule {
	const char *name;
	void (*check)(const struct op_run *r, const struct accounts_want *w,
		      const struct accounts *a);
	/* mends one account that check would name; NULL: a person has to */
	int (*fix)(const struct op_run *r, const struct accounts_want *w, const struct account *u,
		   struct err *e);
};

static const struct field accounts_fields[] = {
    {"rule", FIELD_NODE, offsetof(struct accounts_want, rule_word), true},
    {"names", FIELD_LIST, offsetof(struct accounts_want, names), false},
    {"shells", FIELD_LIST, offsetof(struct accounts_want, shells), false},
    {"except", FIELD_LIST, offsetof(struct accounts_want, except), false},
    {"uid-max", FIELD_INT, offsetof(struct accounts_want, uid_max), false},
    {0},
};

static bool spared(const struct accounts_want *w, const struct account *u)
{
	return strv_has(&w->except, u->name);
}

static void check_uid0(const struct op_run *r, const struct accounts_want *w,
		       const struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct account *u = &a->v[i];

		if (u->uid == 0 && strcmp(u->name, "root") != 0)
			strv_addf(r->found, "/etc/passwd: %s has user id 0", u->name);
		else if (u->gid == 0 && u->uid != 0 && !spared(w, u))
			strv_addf(r->found, "/etc/passwd: %s has group id 0", u->name);
	}
	for (size_t i = 0; i < a->groups_n; i++)
		if (a->groups[i].gid == 0 && strcmp(a->groups[i].name, "root") != 0)
			strv_addf(r->found, "/etc/group: %s has group id 0", a->groups[i].name);
}

/* Notes a key that was there before. */
static void once(const struct op_run *r, struct map *seen, const char *kind, const char *key)
{
	char *k SCOPED(mem_freep) = mem_format("%s %s", kind, key);

	if (map_put(seen, k, seen) != NULL)
		strv_addf(r->found, "%s is there twice", k);
}

static void once_id(const struct op_run *r, struct map *seen, const char *kind, uint32_t id)
{
	char *text SCOPED(mem_freep) = mem_format("%u", id);

	once(r, seen, kind, text);
}

static void check_unique(const struct op_run *r, const struct accounts_want *w,
			 const struct accounts *a)
{
	struct map seen = {0};

	(void)w;
	for (size_t i = 0; i < a->n; i++) {
		once(r, &seen, "user", a->v[i].name);
		/* 0 is another rule's: only-root-is-0 */
		if (a->v[i].uid != 0)
			once_id(r, &seen, "user id", a->v[i].uid);
	}
	for (size_t i = 0; i < a->groups_n; i++) {
		once(r, &seen, "group", a->groups[i].name);
		once_id(r, &seen, "group id", a->groups[i].gid);
	}
	map_release(&seen, NULL);
}

static void check_groups(const struct op_run *r, const struct accounts_want *w,
			 const struct accounts *a)
{
	const struct account_group *shadow = accounts_group(a, "shadow");

	(void)w;
	for (size_t i = 0; i < a->n; i++) {
		const struct account *u = &a->v[i];

		if (accounts_gid(a, u->gid) == NULL)
			strv_addf(r->found, "/etc/passwd: %s has group id %u, which does not exist",
				  u->name, u->gid);
		if (shadow != NULL && u->gid == shadow->gid)
			strv_addf(r->found, "/etc/passwd: %s has the group shadow", u->name);
	}
	if (shadow != NULL && shadow->members.n > 0)
		strv_addf(r->found, "/etc/group: shadow has the member %s", shadow->members.v[0]);
}

static void check_shadowed(const struct op_run *r, const struct accounts_want *w,
			   const struct accounts *a)
{
	(void)w;
	for (size_t i = 0; i < a->n; i++) {
		const struct account *u = &a->v[i];

		if (strcmp(u->pw, "x") != 0)
			strv_addf(r->found, "/etc/passwd: %s has no \"x\" as password", u->name);
		if (u->hash == NULL)
			strv_addf(r->found, "/etc/shadow: no row for %s", u->name);
		else if (u->hash[0] == '\0')
			strv_addf(r->found, "/etc/shadow: %s has an empty password", u->name);
	}
}

static int fix_shadowed(const struct op_run *r, const struct accounts_want *w,
			const struct account *u, struct err *e)
{
	(void)w;
	if (strcmp(u->pw, "x") != 0) {
		if (account_set(r->rootfd, "etc/passwd", u->name, 1, "x", e) != 0)
			return -1;
		strv_addf(r->done, "/etc/passwd: %s shadowed", u->name);
	}
	if (u->hash == NULL || u->hash[0] != '\0')
		return 0;
	strv_addf(r->done, "/etc/shadow: %s locked", u->name);
	return account_set(r->rootfd, "etc/shadow", u->name, 1, "!", e);
}

static void check_locked(const struct op_run *r, const struct accounts_want *w,
			 const struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct account *u = &a->v[i];

		/* an empty field is another rule's: shadowed */
		if (u->hash != NULL && account_hash_usable(u->hash) && !spared(w, u))
			strv_addf(r->found, "/etc/shadow: %s has a password", u->name);
	}
}

static int fix_locked(const struct op_run *r, const struct accounts_want *w,
		      const struct account *u, struct err *e)
{
	if (u->hash == NULL || !account_hash_usable(u->hash) || spared(w, u))
		return 0;
	strv_addf(r->done, "/etc/shadow: %s locked, its hash removed", u->name);
	return account_set(r->rootfd, "etc/shadow", u->name, 1, "!", e);
}

static bool may_login(const struct accounts_want *w, const struct account *u)
{
	int64_t max = w->uid_max.set ? w->uid_max.v : 999;

	return u->uid != 0 && u->uid <= max && !strv_has(&w->shells, u->shell) && !spared(w, u);
}

static void check_nologin(const struct op_run *r, const struct accounts_want *w,
			  const struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (may_login(w, &a->v[i]))
			strv_addf(r->found, "/etc/passwd: system account %s has the shell \"%s\"",
				  a->v[i].name, a->v[i].shell);
}

static int fix_nologin(const struct op_run *r, const struct accounts_want *w,
		       const struct account *u, struct err *e)
{
	if (!may_login(w, u) || w->shells.n == 0)
		return 0;
	strv_addf(r->done, "/etc/passwd: shell of %s set to %s", u->name, w->shells.v[0]);
	return account_set(r->rootfd, "etc/passwd", u->name, 6, w->shells.v[0], e);
}

static bool is_shared(const struct accounts_want *w, const struct account *u)
{
	return strv_has(&w->names, u->name) && !strv_has(&w->shells, u->shell) && !spared(w, u);
}

static void check_names(const struct op_run *r, const struct accounts_want *w,
			const struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (is_shared(w, &a->v[i]))
			strv_addf(r->found, "/etc/passwd: shared account %s may log in",
				  a->v[i].name);
}

static int fix_names(const struct op_run *r, const struct accounts_want *w, const struct account *u,
		     struct err *e)
{
	if (!is_shared(w, u) || w->shells.n == 0)
		return 0;
	strv_addf(r->done, "/etc/passwd: shell of %s set to %s", u->name, w->shells.v[0]);
	return account_set(r->rootfd, "etc/passwd", u->name, 6, w->shells.v[0], e);
}

/* Whether people live there, who can log in: a service's home is its program's directory. */
static bool home_applies(const struct accounts_want *w, const struct account *u)
{
	const char *shell = strrchr(u->shell, '/');

	if (shell != NULL && (strcmp(shell, "/nologin") == 0 || strcmp(shell, "/false") == 0))
		return false;
	return (u->uid == 0 || (u->uid >= 1000 && u->uid < 65534)) && u->home[0] == '/' &&
	       u->home[1] != '\0' && strcmp(u->home, "/nonexistent") != 0 && !spared(w, u);
}

static void check_homes(const struct op_run *r, const struct accounts_want *w,
			const struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct account *u = &a->v[i];
		struct stat st;

		if (!home_applies(w, u))
			continue;
		if (root_stat(r->rootfd, u->home + 1, true, &st) != 1 || !S_ISDIR(st.st_mode))
			strv_addf(r->found, "%s: home of %s is not there", u->home, u->name);
		else if (st.st_uid != u->uid)
			strv_addf(r->found, "%s: home of %s belongs to %u", u->home, u->name,
				  st.st_uid);
		else if ((st.st_mode & 027) != 0)
			strv_addf(r->found, "%s: mode %04o, wants at most 0750", u->home,
				  st.st_mode & 07777);
	}
}

static int fix_homes(const struct op_run *r, const struct accounts_want *w, const struct account *u,
		     struct err *e)
{
	struct stat st;

	if (!home_applies(w, u) || root_stat(r->rootfd, u->home + 1, false, &st) != 1 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	if (st.st_uid != u->uid && root_chown(r->rootfd, u->home + 1, u->uid, u->gid, e) != 0)
		return -1;
	if ((st.st_mode & 027) == 0 && st.st_uid == u->uid)
		return 0;
	strv_addf(r->done, "%s: closed to others", u->home);
	return root_chmod(r->rootfd, u->home + 1, st.st_mode & 07750, e);
}

static void check_hashes(const struct op_run *r, const struct accounts_want *w,
			 const struct accounts *a)
{
	(void)w;
	for (size_t i = 0; i < a->n; i++) {
		const char *h = a->v[i].hash == NULL ? "" : a->v[i].hash;

		h += strspn(h, "!");
		if (*h != '\0' && *h != '*' && strncmp(h, "$y$", 3) != 0 &&
		    strncmp(h, "$6$", 3) != 0)
			strv_addf(r->found, "/etc/shadow: %s has a weak kind of hash",
				  a->v[i].name);
	}
}

static const struct rule rules[] = {
    {"only-root-is-0", check_uid0, NULL},  {"unique", check_unique, NULL},
    {"groups", check_groups, NULL},        {"shadowed", check_shadowed, fix_shadowed},
    {"locked", check_locked, fix_locked},  {"nologin", check_nologin, fix_nologin},
    {"names", check_names, fix_names},     {"homes", check_homes, fix_homes},
    {"strong-hashes", check_hashes, NULL},
};

enum { RULES_N = sizeof(rules) / sizeof(rules[0]) };

static int accounts_finish(void *want, const struct yaml *at, struct err *e)
{
	struct accounts_want *w = want;
	const char *words[RULES_N + 1] = {NULL};
	int i;

	(void)at;
	for (i = 0; i < RULES_N; i++)
		words[i] = rules[i].name;
	i = spec_word(w->rule_word, words, e);
	if (i < 0)
		return -1;
	w->rule = &rules[i];
	return 0;
}

static int accounts_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct accounts_want *w = want;
	const struct accounts *a;

	if (facts_accounts(r->facts, &a, e) != 0)
		return -1;
	w->rule->check(r, w, a);
	return 0;
}

static int accounts_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct accounts_want *w = want;
	const struct accounts *a;

	if (w->rule->fix == NULL)
		return 0;
	if (facts_accounts(r->facts, &a, e) != 0)
		return -1;
	for (size_t i = 0; i < a->n; i++)
		if (w->rule->fix(r, w, &a->v[i], e) != 0)
			return -1;
	return 0;
}

const struct op_kind op_accounts = {
    .name = "accounts",
    .size = sizeof(struct accounts_want),
    .fields = accounts_fields,
    .finish = accounts_finish,
    .check = accounts_check,
    .fix = accounts_fix,
};
