/* account_members.c - who is in which group, from one instance to the next. */
#include "stage/accounts.h"

#include "base/map.h"
#include "harden/lines.h"
#include "sys/intr.h"
#include <string.h>

enum { ID = 2, MEMBERS = 3, MEMBERS_MAX = 8 << 20 };

static void names_release(struct map *m)
{
	map_release(m, NULL);
}

static void members_of(const struct account_files *f, const char *group, struct strv *ret,
		       struct map *ret_names)
{
	const struct account_row *row = account_row(&f->t[ACCOUNT_GROUP], group);

	if (row != NULL)
		line_fields(row->f.v[MEMBERS], ',', ret);
	for (size_t i = 0; i < ret->n; i++)
		(void)map_add(ret_names, ret->v[i], NULL);
}

/* Who is a person here, and was there. */
static void people_of(const struct accounts_from *from, const struct accounts_made *m,
		      struct map *ret)
{
	const struct account_rows *users = &m->files.t[ACCOUNT_PASSWD];
	struct map was SCOPED(names_release) = {0};

	for (size_t i = 0; i < from->was->t[ACCOUNT_PASSWD].n; i++)
		(void)map_add(&was, from->was->t[ACCOUNT_PASSWD].v[i].f.v[0], NULL);
	for (size_t i = 0; i < users->n; i++)
		if (account_is_person(account_id(&users->v[i], ID)) &&
		    map_has(&was, users->v[i].f.v[0]))
			(void)map_add(ret, users->v[i].f.v[0], NULL);
}

/* What of a group's members is another than in the image before. */
struct moved {
	struct map gone;
	struct strv come;
};

static void moved_release(struct moved *d)
{
	map_release(&d->gone, NULL);
	strv_release(&d->come);
}

static void move_members(struct account_row *row, const struct moved *d)
{
	struct strv members SCOPED(strv_release) = {0};
	struct map there SCOPED(names_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(MEMBERS_MAX);

	if (row == NULL)
		return;
	line_fields(row->f.v[MEMBERS], ',', &members);
	strv_extend(&members, &d->come);
	for (size_t i = 0; i < members.n; i++)
		if (members.v[i][0] != '\0' && !map_has(&d->gone, members.v[i]) &&
		    map_add(&there, members.v[i], NULL))
			buf_addf(&text, "%s%s", text.len > 0 ? "," : "", members.v[i]);
	account_set_field(row, MEMBERS, text.len > 0 ? text.data : "");
}

static void keep_membership(const struct accounts_from *from, struct accounts_made *m,
			    const struct map *people, const char *group)
{
	struct strv was SCOPED(strv_release) = {0}, own SCOPED(strv_release) = {0};
	struct map were SCOPED(names_release) = {0}, owned SCOPED(names_release) = {0};
	struct moved d SCOPED(moved_release) = {0};

	members_of(from->was, group, &was, &were);
	members_of(from->was_image, group, &own, &owned);
	for (size_t i = 0; i < own.n; i++)
		if (map_has(people, own.v[i]) && !map_has(&were, own.v[i]))
			(void)map_add(&d.gone, own.v[i], NULL);
	for (size_t i = 0; i < was.n; i++)
		if (map_has(people, was.v[i]) && !map_has(&owned, was.v[i]))
			strv_add(&d.come, was.v[i]);
	if (d.gone.n == 0 && d.come.n == 0)
		return;
	move_members(account_row(&m->files.t[ACCOUNT_GROUP], group), &d);
	move_members(account_row(&m->files.t[ACCOUNT_GSHADOW], group), &d);
}

void accounts_keep_members(const struct accounts_from *from, struct accounts_made *m)
{
	const struct account_rows *groups = &from->was->t[ACCOUNT_GROUP];
	struct map people SCOPED(names_release) = {0};

	people_of(from, m, &people);
	for (size_t i = 0; i < groups->n && !intr_pending(); i++)
		keep_membership(from, m, &people, groups->v[i].f.v[0]);
}
