#include "stage/accounts.h"

#include "base/log.h"
#include "harden/accounts.h"
#include "harden/lines.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PW = 1,
	ID = 2,
	CHANGED = 2,
	GID = 3,
	MOST = 4,
	GECOS = 4,
	HOME = 5,
	SHELL = 6,
	SHADOW_FIELDS = 9,
	GROUP_PW = 1
};

void account_homes_release(struct account_homes *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i].path);
	free(h->v);
	*h = (struct account_homes){0};
}

void accounts_made_release(struct accounts_made *m)
{
	account_files_release(&m->files);
	account_homes_release(&m->homes);
	strv_release(&m->did);
}

static struct account_rows *table(const struct account_files *f, enum account_table t)
{
	return (struct account_rows *)&f->t[t];
}

static int two_names(const char *what, uint32_t id, const char *a, const char *b, struct err *e)
{
	(void)err_set(e, ERR_VERIFY,
		      "%s %u is of %s in the image, and of %s in the instance before", what, id, a,
		      b);
	return err_hint(e, "one of the two needs another number: files belong to numbers");
}

/* Files of the former instance belong to the numbers of its image. */
static int check_moved(const struct accounts_from *from, enum account_table t, struct err *e)
{
	const struct account_rows *old = table(from->was_image, t);

	for (size_t i = 0; i < old->n; i++) {
		const struct account_row *o = &old->v[i], *now;
		uint32_t was = account_id(o, ID);

		now = account_row(table(from->image, t), o->f.v[0]);
		if (now == NULL || account_id(now, ID) == was)
			continue;
		if (!account_is_person(was) && !account_is_person(account_id(now, ID))) {
			log_warn("%s was %u in the image before and is %u in this one", o->f.v[0],
				 was, account_id(now, ID));
			continue;
		}
		(void)err_set(e, ERR_VERIFY, "%s was %u in the image before and is %u in this one",
			      o->f.v[0], was, account_id(now, ID));
		return err_hint(e, "its files belong to the number: give it the same one");
	}
	return 0;
}

/* Whether a name that people added can be here, with its number. */
static int check_number(struct accounts_made *m, enum account_table t,
			const struct account_row *theirs, struct err *e)
{
	const char *what = t == ACCOUNT_PASSWD ? "uid" : "gid";
	const struct account_row *same = account_row(&m->files.t[t], theirs->f.v[0]);
	const struct account_row *other;
	uint32_t id = account_id(theirs, ID);

	if (same != NULL && account_id(same, ID) != id)
		return err_set(e, ERR_VERIFY,
			       "%s is %s %u in the image, and %u in the instance before",
			       theirs->f.v[0], what, account_id(same, ID), id);
	other = same != NULL ? NULL : account_row_of_id(&m->files.t[t], id);
	return other == NULL ? 0 : two_names(what, id, other->f.v[0], theirs->f.v[0], e);
}

static void add_row(struct account_files *f, enum account_table t, const char *text)
{
	struct strv fields SCOPED(strv_release) = {0};
	const char *at = text;

	while (true) {
		size_t n = strcspn(at, ":");

		strv_take(&fields, mem_strndup(at, n));
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	account_add(&f->t[t], &fields);
}

static void add_group(struct account_files *f, const char *name, uint32_t gid)
{
	char *row SCOPED(mem_freep) = mem_format("%s:x:%u:", name, gid);
	char *shadow SCOPED(mem_freep) = mem_format("%s:!::", name);

	add_row(f, ACCOUNT_GROUP, row);
	if (account_row(&f->t[ACCOUNT_GSHADOW], name) == NULL)
		add_row(f, ACCOUNT_GSHADOW, shadow);
}

static int keep_groups(const struct accounts_from *from, struct accounts_made *m, struct err *e)
{
	const struct account_rows *was = table(from->was, ACCOUNT_GROUP);

	for (size_t i = 0; i < was->n; i++) {
		const struct account_row *g = &was->v[i];

		if (account_row(table(from->was_image, ACCOUNT_GROUP), g->f.v[0]) != NULL)
			continue;
		if (!account_is_person(account_id(g, ID))) {
			log_warn("the group %s, %u, is not kept: it is no group of people",
				 g->f.v[0], account_id(g, ID));
			continue;
		}
		if (check_number(m, ACCOUNT_GROUP, g, e) != 0)
			return -1;
		if (account_row(&m->files.t[ACCOUNT_GROUP], g->f.v[0]) == NULL)
			add_group(&m->files, g->f.v[0], account_id(g, ID));
	}
	return 0;
}

/* What is another in the former instance than in its image becomes so here. */
static void keep_fields(const struct account_row *was_image, const struct account_row *was,
			struct account_row *now, size_t first, size_t end)
{
	if (was == NULL || now == NULL)
		return;
	for (size_t k = first; k < end; k++)
		if (was_image == NULL || strcmp(was->f.v[k], was_image->f.v[k]) != 0)
			account_set_field(now, k, was->f.v[k]);
}

static void keep_changes(const struct accounts_from *from, struct accounts_made *m,
			 const char *name)
{
	keep_fields(account_row(table(from->was_image, ACCOUNT_PASSWD), name),
		    account_row(table(from->was, ACCOUNT_PASSWD), name),
		    account_row(&m->files.t[ACCOUNT_PASSWD], name), GECOS, SHELL + 1);
	keep_fields(account_row(table(from->was_image, ACCOUNT_SHADOW), name),
		    account_row(table(from->was, ACCOUNT_SHADOW), name),
		    account_row(&m->files.t[ACCOUNT_SHADOW], name), PW, SHADOW_FIELDS);
}

static bool lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Whether another row names the directory, or one in it: it is not this one's to have. */
static bool is_anothers(const struct account_rows *users, const char *path, uint32_t uid)
{
	for (size_t i = 0; i < users->n; i++)
		if (account_id(&users->v[i], ID) != uid && lies_in(users->v[i].f.v[HOME], path))
			return true;
	return false;
}

/* Once all rows are there. */
static void drop_homes_of_others(struct accounts_made *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->homes.n; i++) {
		struct account_home *h = &m->homes.v[i];

		if (is_anothers(&m->files.t[ACCOUNT_PASSWD], h->path, h->uid)) {
			log_warn("%s is not made for %u: it is another's too", h->path, h->uid);
			free(h->path);
		} else {
			m->homes.v[n++] = *h;
		}
	}
	m->homes.n = n;
}

static void want_home(struct accounts_made *m, const char *path, uint32_t uid, uint32_t gid)
{
	if (strncmp(path, "/home/", 6) != 0 || !fs_relative_ok(path + 1))
		return;
	m->homes.v = mem_resize(m->homes.v, m->homes.n + 1, sizeof(*m->homes.v));
	m->homes.v[m->homes.n++] = (struct account_home){mem_strdup(path), uid, gid};
}

/* One that people added: its first group is found by name. */
static int keep_added(const struct accounts_from *from, struct accounts_made *m,
		      const struct account_row *u, struct err *e)
{
	const char *name = u->f.v[0];
	const struct account_row *was, *group = NULL;
	char *gid SCOPED(mem_freep) = NULL, *shadow SCOPED(mem_freep) = NULL;

	was = account_row_of_id(table(from->was, ACCOUNT_GROUP), account_id(u, GID));
	if (was != NULL)
		group = account_row(&m->files.t[ACCOUNT_GROUP], was->f.v[0]);
	if (group == NULL)
		return err_set(e, ERR_VERIFY,
			       "%s of the instance before has the group %s, which the image lacks",
			       name, was != NULL ? was->f.v[0] : u->f.v[GID]);
	gid = mem_format("%u", account_id(group, ID));
	account_add(&m->files.t[ACCOUNT_PASSWD], &u->f);
	account_set_field(account_row(&m->files.t[ACCOUNT_PASSWD], name), GID, gid);
	was = account_row(table(from->was, ACCOUNT_SHADOW), name);
	shadow = mem_format("%s:!:::::::", name);
	if (account_row(&m->files.t[ACCOUNT_SHADOW], name) != NULL)
		keep_fields(NULL, was, account_row(&m->files.t[ACCOUNT_SHADOW], name), PW,
			    SHADOW_FIELDS);
	else if (was != NULL)
		account_add(&m->files.t[ACCOUNT_SHADOW], &was->f);
	else
		add_row(&m->files, ACCOUNT_SHADOW, shadow);
	account_settle(&m->files, name);
	want_home(m, u->f.v[HOME], account_id(u, ID), account_id(group, ID));
	return 0;
}

static const struct site_user *user_of(const struct site *s, const char *name)
{
	for (size_t i = 0; i < s->users_n; i++)
		if (strcmp(s->users[i].name, name) == 0)
			return &s->users[i];
	return NULL;
}

/* One that its image had and this one has not: what people made of it is there when one comes that
 * has it again, as when a site goes back. */
static int keep_dropped(const struct accounts_from *from, struct accounts_made *m,
			const struct account_row *u, struct err *e)
{
	const struct account_rows *groups = &m->files.t[ACCOUNT_GROUP];
	const struct account_row *was;
	const char *name = u->f.v[0];

	was = account_row_of_id(table(from->was, ACCOUNT_GROUP), account_id(u, GID));
	if (was != NULL && account_is_person(account_id(was, ID)) &&
	    account_row(groups, was->f.v[0]) == NULL &&
	    account_row_of_id(groups, account_id(was, ID)) == NULL)
		add_group(&m->files, was->f.v[0], account_id(was, ID));
	if (was == NULL || account_row(groups, was->f.v[0]) == NULL) {
		log_warn("the account %s is not kept: the image has no more what it had", name);
		return 0;
	}
	if (keep_added(from, m, u, e) != 0)
		return -1;
	if (user_of(from->site, name) == NULL) {
		log_warn("the account %s is locked: the image had it, and has it no more", name);
		(void)account_lock(&m->files, name, ACCOUNT_OF_IMAGE);
	}
	return 0;
}

static int keep_user(const struct accounts_from *from, struct accounts_made *m,
		     const struct account_row *u, struct err *e)
{
	const char *name = u->f.v[0];
	uint32_t uid = account_id(u, ID);
	bool of_image = account_row(table(from->was_image, ACCOUNT_PASSWD), name) != NULL;

	if (!account_is_person(uid) && !(of_image && uid == 0)) {
		if (!of_image)
			log_warn("the account %s, %u, is not kept: it is nobody's", name, uid);
		return 0;
	}
	if (check_number(m, ACCOUNT_PASSWD, u, e) != 0)
		return -1;
	if (account_row(&m->files.t[ACCOUNT_PASSWD], name) != NULL) {
		keep_changes(from, m, name);
		(void)account_unlock(&m->files, name, ACCOUNT_OF_IMAGE);
		return 0;
	}
	if (!of_image)
		return keep_added(from, m, u, e);
	return uid == 0 ? 0 : keep_dropped(from, m, u, e);
}

/* Who was taken out of the former instance does not come back with an image. */
static void keep_removed(const struct accounts_from *from, struct accounts_made *m)
{
	const struct account_rows *old = table(from->was_image, ACCOUNT_PASSWD);

	for (size_t i = 0; i < old->n; i++) {
		const char *name = old->v[i].f.v[0];

		if (!account_is_person(account_id(&old->v[i], ID)) ||
		    account_row(table(from->was, ACCOUNT_PASSWD), name) != NULL)
			continue;
		(void)account_lock(&m->files, name, ACCOUNT_OF_SITE);
	}
}

static int keep(const struct accounts_from *from, struct accounts_made *m, struct err *e)
{
	const struct account_rows *was = table(from->was, ACCOUNT_PASSWD);

	if (check_moved(from, ACCOUNT_PASSWD, e) != 0 || check_moved(from, ACCOUNT_GROUP, e) != 0 ||
	    keep_groups(from, m, e) != 0)
		return -1;
	for (size_t i = 0; i < was->n && !intr_pending(); i++)
		if (keep_user(from, m, &was->v[i], e) != 0)
			return -1;
	keep_removed(from, m);
	accounts_keep_members(from, m);
	return intr_pending() ? intr_err(e) : 0;
}

static int refuse(const struct site_user *u, struct err *e, const char *fmt, ...) PRINTF(3, 4);

static int refuse(const struct site_user *u, struct err *e, const char *fmt, ...)
{
	char *what SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vformat(fmt, ap);
	va_end(ap);
	return recipe_err(&u->pos, e, "users: %s", what);
}

static int add_private_group(struct accounts_made *m, const struct site_user *u, struct err *e)
{
	const struct account_rows *groups = &m->files.t[ACCOUNT_GROUP];
	const struct account_row *other;

	if (account_row(groups, u->name) != NULL)
		return 0;
	other = account_row_of_id(groups, u->uid);
	if (other != NULL)
		return refuse(u, e, "%s would have a group of its own, %u, which is of %s", u->name,
			      u->uid, other->f.v[0]);
	add_group(&m->files, u->name, u->uid);
	return 0;
}

static const char *shell_of(const char *shells)
{
	static const char bash[] = "/bin/bash\n";
	const char *at = shells != NULL ? strstr(shells, bash) : NULL;

	return at != NULL && (at == shells || at[-1] == '\n') ? "/bin/bash" : "/bin/sh";
}

/* "PASS_MAX_DAYS 90" or "INACTIVE=45": the number of days, as text; "" when it is not said. The
 * caller owns it. */
static char *days_of(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
		at += *at == '\n' ? 1 : 0;
		if (strncmp(at, key, n) != 0 || strchr(" \t=", at[n]) == NULL || at[n] == '\0')
			continue;
		at += n + strspn(at + n, " \t=");
		return mem_strndup(at, strspn(at, "0123456789"));
	}
	return mem_strdup("");
}

/* No password, which would age as the image wants it from when one is set. */
static void add_shadow(const struct accounts_from *from, struct accounts_made *m, const char *name)
{
	char *least SCOPED(mem_freep) = days_of(from->login_defs, "PASS_MIN_DAYS");
	char *most SCOPED(mem_freep) = days_of(from->login_defs, "PASS_MAX_DAYS");
	char *warn SCOPED(mem_freep) = days_of(from->login_defs, "PASS_WARN_AGE");
	char *grace SCOPED(mem_freep) = days_of(from->useradd, "INACTIVE");
	char *row SCOPED(mem_freep) =
	    mem_format("%s:*:%u:%s:%s:%s:%s::", name, from->today, least, most, warn, grace);

	if (account_row(&m->files.t[ACCOUNT_SHADOW], name) == NULL)
		add_row(&m->files, ACCOUNT_SHADOW, row);
}

/* pam_unix(8) lets no key open an account whose password has expired, and one that is none would:
 * who has keys alone has no greatest age, until there is a password, which ages as the image wants
 * it. */
static void set_ageing(const struct accounts_from *from, struct accounts_made *m,
		       const struct site_user *u)
{
	struct account_row *row = account_row(&m->files.t[ACCOUNT_SHADOW], u->name);
	char *most SCOPED(mem_freep) = days_of(from->login_defs, "PASS_MAX_DAYS");
	char *today SCOPED(mem_freep) = mem_format("%u", from->today);

	if (row == NULL || u->keys.n == 0)
		return;
	if (account_hash_usable(row->f.v[PW])) {
		if (row->f.v[MOST][0] == '\0')
			account_set_field(row, MOST, most);
	} else {
		account_set_field(row, MOST, "");
		/* 0 asks for a change at once, of what nobody can change */
		account_set_field(row, CHANGED, today);
	}
}

static int add_user(const struct accounts_from *from, struct accounts_made *m,
		    const struct site_user *u, struct err *e)
{
	const struct account_row *other, *group;
	char *home SCOPED(mem_freep) = mem_format("/home/%s", u->name);
	char *row SCOPED(mem_freep) = NULL;

	if (u->uid == 0)
		return refuse(u, e, "the image has no %s, and \"uid\" is not given", u->name);
	if (!account_is_person(u->uid))
		return refuse(u, e, "%s cannot be %u: people are %d to %d", u->name, u->uid,
			      (int)ACCOUNT_FIRST, (int)ACCOUNT_LAST);
	other = account_row_of_id(&m->files.t[ACCOUNT_PASSWD], u->uid);
	if (other != NULL)
		return refuse(u, e, "%s cannot be %u: that is %s", u->name, u->uid, other->f.v[0]);
	if (add_private_group(m, u, e) != 0)
		return -1;
	group = account_row(&m->files.t[ACCOUNT_GROUP], u->name);
	row = mem_format("%s:x:%u:%u::%s:%s", u->name, u->uid, account_id(group, ID), home,
			 shell_of(from->shells));
	add_row(&m->files, ACCOUNT_PASSWD, row);
	add_shadow(from, m, u->name);
	want_home(m, home, u->uid, account_id(group, ID));
	strv_addf(&m->did, "made the user %s", u->name);
	return 0;
}

static int site_user(const struct accounts_from *from, struct accounts_made *m,
		     const struct site_user *u, struct err *e)
{
	const struct account_row *row = account_row(&m->files.t[ACCOUNT_PASSWD], u->name);

	if (row == NULL && add_user(from, m, u, e) != 0)
		return -1;
	if (row != NULL && u->uid != 0 && account_id(row, ID) != u->uid)
		return refuse(u, e, "%s is %u already, not %u", u->name, account_id(row, ID),
			      u->uid);
	if (!strv_has(from->was_site, u->name))
		(void)account_unlock(&m->files, u->name, ACCOUNT_OF_SITE);
	set_ageing(from, m, u);
	for (size_t i = 0; i < u->groups.n; i++) {
		const char *group = u->groups.v[i];

		if (account_row(&m->files.t[ACCOUNT_GROUP], group) == NULL)
			return refuse(u, e, "there is no group %s for %s", group, u->name);
		account_join(&m->files, group, u->name);
	}
	return 0;
}

/* What the former's site gave and this one does not: an account, or that it is in a group. */
static void take_back(const struct accounts_from *from, struct accounts_made *m, const char *what)
{
	const char *group = strchr(what, ':');
	char *name SCOPED(mem_freep) = mem_strndup(what, strcspn(what, ":"));
	const struct site_user *u = user_of(from->site, name);
	const struct account_row *row = account_row(&m->files.t[ACCOUNT_PASSWD], name);

	if (row == NULL)
		return;
	/* root and the system's own are the image's: they only lose keys and groups */
	if (group == NULL && u == NULL && account_is_person(account_id(row, ID)) &&
	    account_lock(&m->files, name, ACCOUNT_OF_SITE))
		strv_addf(&m->did, "locked the user %s", name);
	if (group != NULL && !account_is_member(from->image, group + 1, name) &&
	    (u == NULL || !strv_has(&u->groups, group + 1)))
		account_leave(&m->files, group + 1, name);
}

static int furnish(const struct accounts_from *from, struct accounts_made *m, struct err *e)
{
	for (size_t i = 0; i < from->was_site->n; i++)
		take_back(from, m, from->was_site->v[i]);
	for (size_t i = 0; i < from->site->users_n; i++)
		if (site_user(from, m, &from->site->users[i], e) != 0)
			return -1;
	return 0;
}

int accounts_make(const struct accounts_from *from, struct accounts_made *ret, struct err *e)
{
	struct accounts_made m SCOPED(accounts_made_release) = {0};

	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		for (size_t i = 0; i < from->image->t[t].n; i++)
			account_add(&m.files.t[t], &from->image->t[t].v[i].f);
	if ((from->was != NULL && keep(from, &m, e) != 0) || furnish(from, &m, e) != 0)
		return -1;
	drop_homes_of_others(&m);
	*ret = m;
	m = (struct accounts_made){0};
	return 0;
}
