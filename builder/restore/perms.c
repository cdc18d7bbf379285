/* perms.c - the permfiles of a backup account: what getfacl(1) -R says of each entry, since the
 * account itself may own nothing. Symbolic links are not in them. */
#include "restore/source.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 512 << 20, ROWS_MAX = 1000, ID_MAX = 255 };

/* Of an ACL, in the order in which a manifest has them. */
enum kind { OWNER, USER, GROUP, GROUPS, MASK, OTHER };
struct row {
	enum kind kind;
	unsigned perm;
	char *name; /* USER and GROUPS */
};
struct rows {
	struct row *v;
	size_t n;
};

struct record {
	char *user, *group, *acl, *acl_default;
	mode_t mode;
};

struct source_perms {
	struct map records; /* by path */
};

static void rows_release(struct rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].name);
	free(r->v);
	*r = (struct rows){0};
}

static void record_free(void *p)
{
	struct record *r = p;

	free(r->user);
	free(r->group);
	free(r->acl);
	free(r->acl_default);
	free(r);
}

void source_perms_free(struct source_perms *p)
{
	if (p == NULL)
		return;
	map_release(&p->records, record_free);
	free(p);
}

/* The entry that is being read. */
struct reading {
	struct source_perms *p;
	const char *file;
	unsigned line;
	char *path;
	struct record *r;
	unsigned special; /* set-id and sticky bits */
	struct rows access, def;
};

static void reading_release(struct reading *x)
{
	free(x->path);
	if (x->r != NULL)
		record_free(x->r);
	rows_release(&x->access);
	rows_release(&x->def);
}

static int wrong(const struct reading *x, const char *what, struct err *e)
{
	return err_set(e, ERR_RECIPE, "%s:%u: %s", x->file, x->line, what);
}

/* \ooo, as getfacl writes what is not printable. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (*s != '\\') {
			*to++ = *s;
			continue;
		}
		if (s[1] == '\\') {
			*to++ = '\\';
			s++;
			continue;
		}
		if (strspn(s + 1, "01234567") < 3 || s[1] > '3')
			return false;
		*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
		if (*to++ == '\0')
			return false;
		s += 3;
	}
	*to = '\0';
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->name != NULL && y->name != NULL ? strcmp(x->name, y->name) : 0;
}

/* As a manifest has it; NULL when there is no more than a mode says. */
static char *text_of(struct rows *rows, bool access)
{
	static const char *const words[] = {"u:", "u:", "g:", "g:", "m:", "o:"};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	if (rows->n == 0 || (access && rows->n == 3))
		return NULL;
	qsort(rows->v, rows->n, sizeof(*rows->v), by_name);
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->v[i];

		buf_addf(&b, "%s%s%s:%c%c%c", i == 0 ? "" : ",", words[r->kind],
			 r->name != NULL ? r->name : "", r->perm & 4 ? 'r' : '-',
			 r->perm & 2 ? 'w' : '-', r->perm & 1 ? 'x' : '-');
	}
	return buf_take(&b);
}

static const struct row *row_of(const struct rows *rows, enum kind k)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->v[i].kind == k)
			return &rows->v[i];
	return NULL;
}

static int finish(struct reading *x, struct err *e)
{
	const struct row *owner = row_of(&x->access, OWNER), *group = row_of(&x->access, GROUP),
			 *mask = row_of(&x->access, MASK), *other = row_of(&x->access, OTHER);

	if (x->path == NULL)
		return 0;
	if (x->r->user == NULL || x->r->group == NULL || owner == NULL || group == NULL ||
	    other == NULL)
		return wrong(x, "the entry before has no owner, group or permissions", e);
	if (mask != NULL)
		group = mask;
	x->r->mode = x->special << 9 | owner->perm << 6 | group->perm << 3 | other->perm;
	x->r->acl = text_of(&x->access, true);
	x->r->acl_default = text_of(&x->def, false);
	if (!map_add(&x->p->records, x->path, x->r))
		return wrong(x, "the entry before is there twice", e);
	x->r = NULL;
	rows_release(&x->access);
	rows_release(&x->def);
	free(STEAL(x->path));
	return 0;
}

static int begin(struct reading *x, char *path, struct err *e)
{
	if (finish(x, e) != 0)
		return -1;
	while (path[0] == '/')
		path++;
	if (!unescape(path) || (!fs_relative_ok(path) && strcmp(path, ".") != 0))
		return wrong(x, "\"# file:\" wants a path", e);
	x->path = mem_strdup(strcmp(path, ".") == 0 ? "" : path);
	x->r = mem_zalloc(sizeof(*x->r));
	x->special = 0;
	return 0;
}

static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= ID_MAX && strpbrk(s, ":,\n\t /\\") == NULL;
}

/* "s-t": set-uid, set-gid, sticky. */
static unsigned special_of(const char *flags)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < 3 && flags[i] != '\0'; i++)
		if (flags[i] != '-')
			bits |= 4U >> i;
	return bits;
}

static int header(struct reading *x, char *text, struct err *e)
{
	bool is_user = strncmp(text, "owner: ", 7) == 0;

	if (strncmp(text, "file: ", 6) == 0)
		return begin(x, text + 6, e);
	if (x->r == NULL)
		return 0; /* a remark before the first entry */
	if (is_user || strncmp(text, "group: ", 7) == 0) {
		char **to = is_user ? &x->r->user : &x->r->group;

		if (!unescape(text + 7) || !name_ok(text + 7) || *to != NULL)
			return wrong(x, "no name of an owner", e);
		*to = mem_strdup(text + 7);
	} else if (strncmp(text, "flags: ", 7) == 0) {
		x->special = special_of(text + 7);
	}
	return 0;
}

static bool perm_of(const char *s, unsigned *ret)
{
	unsigned p = 0;

	for (unsigned i = 0; i < 3; i++) {
		if (s[i] == "rwx"[i])
			p |= 4U >> i;
		else if (s[i] != '-')
			return false;
	}
	*ret = p;
	return s[3] == '\0' || s[3] == '\t' || s[3] == ' '; /* "#effective:r--" may follow */
}

/* Of "user", "bob" and "r-x". */
static bool read_row(const char *kind, char *name, const char *perm, struct row *ret)
{
	static const char *const words[] = {"user", "group", "mask", "other"};
	static const enum kind plain[] = {OWNER, GROUP, MASK, OTHER}, named[] = {USER, GROUPS};
	size_t k = 0;

	while (k < 4 && strcmp(words[k], kind) != 0)
		k++;
	if (k == 4 || !perm_of(perm, &ret->perm))
		return false;
	if (name[0] == '\0') {
		ret->kind = plain[k];
		return true;
	}
	if (k > 1 || !unescape(name) || !name_ok(name))
		return false;
	ret->kind = named[k];
	ret->name = name;
	return true;
}

/* "user:bob:r-x" */
static int row(struct reading *x, char *text, struct err *e)
{
	bool def = strncmp(text, "default:", 8) == 0;
	struct rows *rows = def ? &x->def : &x->access;
	char *kind = text + (def ? 8 : 0), *name = strchr(kind, ':');
	char *perm = name != NULL ? strchr(name + 1, ':') : NULL;
	struct row one = {0};

	if (x->r == NULL || perm == NULL || rows->n >= ROWS_MAX)
		return wrong(x, "no entry of an ACL", e);
	*name++ = *perm++ = '\0';
	if (!read_row(kind, name, perm, &one))
		return wrong(x, "no entry of an ACL", e);
	if (one.name == NULL && row_of(rows, one.kind) != NULL)
		return wrong(x, "an entry of an ACL is there twice", e);
	one.name = one.name != NULL ? mem_strdup(one.name) : NULL;
	rows->v = mem_resize(rows->v, rows->n + 1, sizeof(*rows->v));
	rows->v[rows->n++] = one;
	return 0;
}

static int line(struct reading *x, char *text, struct err *e)
{
	x->line++;
	if (text[0] == '\0')
		return finish(x, e);
	if (text[0] == '#')
		return text[1] == ' ' ? header(x, text + 2, e) : 0;
	return row(x, text, e);
}

int source_perms_parse(struct source_perms *p, const char *file, char *text, struct err *e)
{
	struct reading x SCOPED(reading_release) = {.p = p, .file = file};
	char *end;

	for (; text[0] != '\0'; text = end) {
		size_t n = strcspn(text, "\n");

		end = text + n + (text[n] == '\n');
		text[n] = '\0';
		if (line(&x, text, e) != 0)
			return -1;
	}
	return finish(&x, e);
}

struct source_perms *source_perms_new(void)
{
	return mem_zalloc(sizeof(struct source_perms));
}

static int read_one(struct source_perms *p, int dirfd, const char *name, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(FILE_MAX_BYTES);

	return fs_get_file(dirfd, name, &b, e) != 0 ? -1 : source_perms_parse(p, name, b.data, e);
}

int source_perms_read(int dirfd, struct source_perms **ret, struct err *e)
{
	static const char end[] = "-perms.txt";
	struct source_perms *p = source_perms_new();
	struct strv names SCOPED(strv_release) = {0};
	int rc = fs_list(dirfd, ".", &names, e);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		if (n > strlen(end) && strcmp(names.v[i] + n - strlen(end), end) == 0)
			rc = read_one(p, dirfd, names.v[i], e);
	}
	if (rc == 0 && p->records.n == 0) {
		rc = err_set(e, ERR_VERIFY, "there is no permfile: whose the files are is lost");
		(void)err_hint(e, "dir:PATH restores it as the account owns it");
	}
	if (rc == 0)
		*ret = p;
	else
		source_perms_free(p);
	return rc;
}

/* The record of the nearest directory above. */
static const struct record *above(const struct source_perms *p, const char *full)
{
	char *path SCOPED(mem_freep) = mem_strdup(full);
	char *slash;

	while ((slash = strrchr(path, '/')) != NULL) {
		const struct record *r;

		*slash = '\0';
		r = map_get(&p->records, path);
		if (r != NULL)
			return r;
	}
	return NULL;
}

int source_perms_apply(const struct source_perms *p, const char *below, struct manifest *m,
		       uint64_t *ret_without, struct err *e)
{
	uint64_t without = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct manifest_entry *en = &m->v[i];
		char *full SCOPED(mem_freep) =
		    mem_format("%s%s%s", below, below[0] && en->path[0] ? "/" : "", en->path);
		const struct record *own = map_get(&p->records, full);
		const struct record *r = own != NULL ? own : above(p, full);

		if (r == NULL && below[0] != '\0')
			return err_set(e, ERR_VERIFY,
				       "%s is in no permfile, and no directory above it is", full);
		without += own == NULL && en->type != MANIFEST_LINK;
		if (r == NULL) /* of the account itself */
			continue;
		en->user = r->user;
		en->group = r->group;
		en->acl = en->acl_default = NULL;
		if (own == NULL || en->type == MANIFEST_LINK)
			continue;
		en->mode = own->mode;
		en->acl = own->acl;
		en->acl_default = en->type == MANIFEST_DIR ? own->acl_default : NULL;
	}
	*ret_without = without;
	return 0;
}
