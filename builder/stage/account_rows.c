/* account_rows.c - the four tables, row by row. */
#include "stage/accounts.h"

#include "base/num.h"
#include "harden/accounts.h"
#include "harden/lines.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 5000, NAME_MAX_BYTES = 64, ID = 2, MEMBERS = 3, EXPIRES = 7, HASH = 1 };

const char *const account_paths[ACCOUNT_TABLES] = {"etc/passwd", "etc/group", "etc/shadow",
						   "etc/gshadow"};
static const size_t widths[ACCOUNT_TABLES] = {7, 4, 9, 4};

static void rows_release(struct account_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		strv_release(&rows->v[i].f);
	free(rows->v);
	*rows = (struct account_rows){0};
}

void account_files_release(struct account_files *f)
{
	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		rows_release(&f->t[t]);
}

uint32_t account_id(const struct account_row *row, size_t field)
{
	uint64_t v = UINT32_MAX;

	(void)!num_u64(row->f.v[field], UINT32_MAX, &v);
	return (uint32_t)v;
}

bool account_is_person(uint32_t id)
{
	return id >= ACCOUNT_FIRST && id <= ACCOUNT_LAST;
}

/* What may stand in a message, and in a path. */
static bool name_ok(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/' || name[i] == ',')
			return false;
	return n > 0 && n <= NAME_MAX_BYTES && name[0] != '.';
}

static bool row_ok(enum account_table t, const struct strv *f)
{
	uint64_t v;

	if (f->n != widths[t] || !name_ok(f->v[0]))
		return false;
	if (t == ACCOUNT_PASSWD && num_u64(f->v[3], UINT32_MAX, &v) != 0)
		return false;
	return (t != ACCOUNT_PASSWD && t != ACCOUNT_GROUP) ||
	       num_u64(f->v[ID], UINT32_MAX, &v) == 0;
}

void account_add(struct account_rows *rows, const struct strv *fields)
{
	struct account_row row = {0};

	strv_extend(&row.f, fields);
	rows->v = mem_resize(rows->v, rows->n + 1, sizeof(*rows->v));
	rows->v[rows->n++] = row;
}

static int read_table(enum account_table t, const char *text, struct account_rows *ret,
		      struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	lines_split(text, &lines);
	if (lines.n > ROWS_MAX)
		return err_set(e, ERR_VERIFY, "/%s: more than %d rows", account_paths[t], ROWS_MAX);
	for (size_t i = 0; i < lines.n; i++) {
		struct strv f SCOPED(strv_release) = {0};

		if (lines.v[i][0] == '\0')
			continue;
		line_fields(lines.v[i], ':', &f);
		if (!row_ok(t, &f))
			return err_set(e, ERR_VERIFY, "/%s:%zu: damaged row", account_paths[t],
				       i + 1);
		if (account_row(ret, f.v[0]) == NULL)
			account_add(ret, &f);
	}
	return 0;
}

int account_files_read(const char *const *texts, const char *whose, struct account_files *ret,
		       struct err *e)
{
	struct account_files got SCOPED(account_files_release) = {0};

	for (unsigned t = 0; t < ACCOUNT_TABLES; t++)
		if (texts[t] != NULL && read_table(t, texts[t], &got.t[t], e) != 0)
			return err_in(e, "%s", whose);
	*ret = got;
	got = (struct account_files){0};
	return 0;
}

int account_files_whole(const struct account_files *image, const struct account_files *was,
			const char *whose, struct err *e)
{
	static const char root[] = "root";

	for (unsigned t = 0; t < ACCOUNT_TABLES; t++) {
		const struct account_rows *now = &was->t[t];

		if (image->t[t].n > 0 && now->n == 0)
			return err_set(e, ERR_VERIFY, "%s: /%s is empty or gone", whose,
				       account_paths[t]);
		if (t != ACCOUNT_GSHADOW && account_row(&image->t[t], root) != NULL &&
		    account_row(now, root) == NULL)
			return err_set(e, ERR_VERIFY, "%s: /%s has no root any more", whose,
				       account_paths[t]);
	}
	return 0;
}

void account_rows_text(const struct account_rows *rows, struct buf *ret)
{
	for (size_t i = 0; i < rows->n; i++)
		for (size_t k = 0; k < rows->v[i].f.n; k++)
			buf_addf(ret, "%s%s", rows->v[i].f.v[k],
				 k + 1 < rows->v[i].f.n ? ":" : "\n");
}

struct account_row *account_row(const struct account_rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->v[i].f.v[0], name) == 0)
			return &rows->v[i];
	return NULL;
}

struct account_row *account_row_of_id(const struct account_rows *rows, uint32_t id)
{
	for (size_t i = 0; i < rows->n; i++)
		if (account_id(&rows->v[i], ID) == id)
			return &rows->v[i];
	return NULL;
}

uint32_t account_moved_id(const struct account_rows *was, const struct account_rows *now,
			  uint32_t id)
{
	const struct account_row *old, *same;

	if (id == 0 || id >= ACCOUNT_FIRST)
		return id;
	old = account_row_of_id(was, id);
	same = old != NULL ? account_row(now, old->f.v[0]) : NULL;
	return same != NULL ? account_id(same, ID) : 0;
}

void account_set_field(struct account_row *row, size_t field, const char *text)
{
	char *copy = mem_strdup(text);

	free(row->f.v[field]);
	row->f.v[field] = copy;
}

static bool row_has(const struct account_row *row, const char *user)
{
	struct strv members SCOPED(strv_release) = {0};

	line_fields(row->f.v[MEMBERS], ',', &members);
	return strv_has(&members, user);
}

bool account_is_member(const struct account_files *f, const char *group, const char *user)
{
	const struct account_row *row = account_row(&f->t[ACCOUNT_GROUP], group);

	return row != NULL && row_has(row, user);
}

/* Both tables have the members of a group. */
static void set_member(struct account_row *row, const char *user, bool in)
{
	struct strv members SCOPED(strv_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);

	if (row == NULL || row_has(row, user) == in)
		return;
	line_fields(row->f.v[MEMBERS], ',', &members);
	if (in)
		strv_add(&members, user);
	for (size_t i = 0; i < members.n; i++)
		if (members.v[i][0] != '\0' && (in || strcmp(members.v[i], user) != 0))
			buf_addf(&text, "%s%s", text.len > 0 ? "," : "", members.v[i]);
	account_set_field(row, MEMBERS, text.data);
}

void account_join(struct account_files *f, const char *group, const char *user)
{
	set_member(account_row(&f->t[ACCOUNT_GROUP], group), user, true);
	set_member(account_row(&f->t[ACCOUNT_GSHADOW], group), user, true);
}

void account_leave(struct account_files *f, const char *group, const char *user)
{
	set_member(account_row(&f->t[ACCOUNT_GROUP], group), user, false);
	set_member(account_row(&f->t[ACCOUNT_GSHADOW], group), user, false);
}

/* A hash in the table that all may read comes before the one in shadow: it moves there. */
static void settle(struct account_files *f, struct account_row *user)
{
	struct account_row *row = account_row(&f->t[ACCOUNT_SHADOW], user->f.v[0]);
	const char *own = user->f.v[HASH];
	const char *hash = account_hash_usable(own) && strcmp(own, "x") != 0 ? own : "!";
	struct strv fields SCOPED(strv_release) = {0};

	if (row == NULL) {
		strv_add(&fields, user->f.v[0]);
		strv_add(&fields, hash);
		while (fields.n < widths[ACCOUNT_SHADOW])
			strv_add(&fields, "");
		account_add(&f->t[ACCOUNT_SHADOW], &fields);
	} else if (strcmp(own, "x") != 0) {
		account_set_field(row, HASH, hash);
	}
	account_set_field(user, HASH, "x");
}

void account_settle(struct account_files *f, const char *name)
{
	struct account_row *user = account_row(&f->t[ACCOUNT_PASSWD], name);

	if (user != NULL)
		settle(f, user);
}

/* "!posmedia=EXPIRES!HASH": what an administrator locked before is locked again once we have
 * unlocked it. */
static const char *const marks[] = {"!posmedia=", "!posmedia-image="};

bool account_lock(struct account_files *f, const char *name, enum account_lock why)
{
	struct account_row *user = account_row(&f->t[ACCOUNT_PASSWD], name), *row;
	char *hash SCOPED(mem_freep) = NULL;

	if (user == NULL)
		return false;
	settle(f, user);
	row = account_row(&f->t[ACCOUNT_SHADOW], name);
	for (size_t i = 0; i < 2; i++)
		if (strncmp(row->f.v[HASH], marks[i], strlen(marks[i])) == 0 &&
		    strcmp(row->f.v[EXPIRES], "1") == 0)
			return false;
	hash = mem_format("%s%s!%s", marks[why], row->f.v[EXPIRES], row->f.v[HASH]);
	account_set_field(row, HASH, hash);
	/* the second day of 1970: sshd lets nobody in by a key either */
	account_set_field(row, EXPIRES, "1");
	return true;
}

bool account_unlock(struct account_files *f, const char *name, enum account_lock why)
{
	struct account_row *row = account_row(&f->t[ACCOUNT_SHADOW], name);
	size_t n = strlen(marks[why]), digits;
	char *expires SCOPED(mem_freep) = NULL, *hash SCOPED(mem_freep) = NULL;

	if (row == NULL || strncmp(row->f.v[HASH], marks[why], n) != 0)
		return false;
	digits = strspn(row->f.v[HASH] + n, "0123456789");
	if (row->f.v[HASH][n + digits] != '!')
		return false;
	expires = mem_strndup(row->f.v[HASH] + n, digits);
	hash = mem_strdup(row->f.v[HASH] + n + digits + 1);
	account_set_field(row, HASH, hash);
	account_set_field(row, EXPIRES, expires);
	return true;
}
