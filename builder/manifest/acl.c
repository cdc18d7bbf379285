/* acl.c - POSIX ACLs: the kernel's form (linux/posix_acl_xattr.h), with numbers, and the short text
 * of acl(5), with names and in an order that does not depend on numbers. */
#include "manifest/parts.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum {
	VERSION = 2,
	HEAD_BYTES = 4,
	ROW_BYTES = 8,
	TEXT_MAX = 1 << 20,
	BASE_ROWS = 3, /* owner, group, others: what a mode says */
};

#define NOBODY 0xffffffffU

enum tag { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct row {
	enum tag tag;
	unsigned perm;
	uint32_t id; /* of the kernel's form only */
	char *name;  /* as it is; USER and GROUP only */
};

struct acl {
	struct row *v;
	size_t n;
};

static void acl_release(struct acl *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].name);
	free(a->v);
}

static struct row *add(struct acl *a)
{
	if ((a->n & (a->n - 1)) == 0)
		a->v = mem_resize(a->v, a->n == 0 ? 1 : a->n * 2, sizeof(*a->v));
	a->v[a->n] = (struct row){0};
	return &a->v[a->n++];
}

static bool has_name(enum tag t)
{
	return t == USER || t == GROUP;
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = (x->tag > y->tag) - (x->tag < y->tag);

	if (c == 0 && has_name(x->tag))
		c = strcmp(x->name, y->name);
	return c != 0 ? c : (x->perm > y->perm) - (x->perm < y->perm);
}

static int by_number(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = (x->tag > y->tag) - (x->tag < y->tag);

	return c != 0 ? c : (x->id > y->id) - (x->id < y->id);
}

/* setfacl(1) reads a name with \ooo as we write it. */
static void put_name(struct buf *b, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_.$@/+-";

	for (; *s != '\0'; s++)
		if (strchr(plain, *s) != NULL)
			buf_add(b, s, 1);
		else
			buf_addf(b, "\\%03o", (unsigned)(unsigned char)*s);
}

static void put_text(const struct acl *a, struct buf *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct row *r = &a->v[i];
		const char *kind = r->tag == USER_OBJ || r->tag == USER     ? "u:"
				   : r->tag == GROUP_OBJ || r->tag == GROUP ? "g:"
				   : r->tag == MASK                         ? "m:"
									    : "o:";

		buf_addf(b, "%s%s", i == 0 ? "" : ",", kind);
		if (has_name(r->tag))
			put_name(b, r->name);
		buf_addf(b, ":%c%c%c", r->perm & 4 ? 'r' : '-', r->perm & 2 ? 'w' : '-',
			 r->perm & 1 ? 'x' : '-');
	}
}

static bool add_name(const char *s, size_t n, struct row *r)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '\\') {
			if (n - i < 4 || strspn(s + i + 1, "01234567") < 3 || s[i + 1] > '3')
				return false;
			c = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 |
				   (s[i + 3] - '0'));
			i += 3;
		}
		if (c == '\0')
			return false;
		buf_add(&b, &c, 1);
	}
	r->name = buf_take(&b);
	return name_ok(r->name);
}

/* One of "u:NAME:rwx"; moves *at behind it. */
static bool take_row(const char **at, struct acl *a)
{
	static const char kinds[] = "ugmo";
	static const enum tag plain[] = {USER_OBJ, GROUP_OBJ, MASK, OTHER}, named[] = {USER, GROUP};
	const char *s = *at, *kind = *s == '\0' ? NULL : strchr(kinds, *s);
	struct row *r;
	size_t name;

	if (kind == NULL || s[1] != ':')
		return false;
	s += 2;
	name = strcspn(s, ":,");
	if (s[name] != ':' || (name > 0 && kind - kinds >= 2))
		return false;
	r = add(a);
	r->tag = name > 0 ? named[kind - kinds] : plain[kind - kinds];
	if (name > 0 && !add_name(s, name, r))
		return false;
	s += name + 1;
	for (unsigned i = 0; i < 3; i++, s++) {
		if (*s == "rwx"[i])
			r->perm |= 4U >> i;
		else if (*s != '-')
			return false;
	}
	*at = s;
	return true;
}

/* What the kernel would accept: one row each of owner, group and others, at most one mask, and one
 * where there are names. */
static bool is_whole(const struct acl *a)
{
	unsigned have = 0;

	for (size_t i = 0; i < a->n; i++) {
		if (!has_name(a->v[i].tag) && (have & a->v[i].tag) != 0)
			return false;
		have |= a->v[i].tag;
	}
	return (have & (USER_OBJ | GROUP_OBJ | OTHER)) == (USER_OBJ | GROUP_OBJ | OTHER) &&
	       ((have & (USER | GROUP)) == 0 || (have & MASK) != 0);
}

static bool from_text(const char *text, struct acl *ret)
{
	while (take_row(&text, ret) && ret->n <= ACL_MAX) {
		if (*text == '\0')
			return is_whole(ret);
		if (*text++ != ',')
			return false;
	}
	return false;
}

bool acl_text_ok(const char *text)
{
	struct acl a SCOPED(acl_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	if (!from_text(text, &a))
		return false;
	qsort(a.v, a.n, sizeof(*a.v), by_name);
	put_text(&a, &b);
	return !buf_over(&b) && strcmp(b.data, text) == 0;
}

int manifest_acl_value(const struct manifest_names *n, const char *text, struct buf *ret,
		       struct err *e)
{
	struct acl a SCOPED(acl_release) = {0};
	uint32_t version = htole32(VERSION);

	if (!from_text(text, &a))
		return err_set(e, ERR_VERIFY, "\"%s\" is no ACL", text);
	for (size_t i = 0; i < a.n; i++) {
		struct row *r = &a.v[i];

		r->id = NOBODY;
		if ((r->tag == USER && manifest_names_uid(n, r->name, &r->id, e) != 0) ||
		    (r->tag == GROUP && manifest_names_gid(n, r->name, &r->id, e) != 0))
			return -1;
	}
	qsort(a.v, a.n, sizeof(*a.v), by_number);
	buf_add(ret, &version, sizeof(version));
	for (size_t i = 0; i < a.n; i++) {
		uint16_t two[] = {htole16((uint16_t)a.v[i].tag), htole16((uint16_t)a.v[i].perm)};
		uint32_t id = htole32(a.v[i].id);

		buf_add(ret, two, sizeof(two));
		buf_add(ret, &id, sizeof(id));
	}
	return buf_over(ret) ? err_set(e, ERR_FAIL, "an ACL of %zu rows is too long", a.n) : 0;
}

static char *name_of(const struct manifest_names *n, const struct row *r)
{
	const char *name = r->tag == USER    ? manifest_names_user(n, r->id)
			   : r->tag == GROUP ? manifest_names_group(n, r->id)
					     : "";

	return name != NULL ? mem_strdup(name) : mem_format("%u", r->id);
}

int manifest_acl_text(const struct manifest_names *n, const struct buf *val, bool access,
		      struct buf *ret, struct err *e)
{
	struct acl a SCOPED(acl_release) = {0};
	uint32_t version = 0;
	size_t rows = val->len < HEAD_BYTES ? 0 : (val->len - HEAD_BYTES) / ROW_BYTES;

	if (val->len >= HEAD_BYTES)
		memcpy(&version, val->data, sizeof(version));
	if (le32toh(version) != VERSION || val->len != HEAD_BYTES + rows * ROW_BYTES ||
	    rows > ACL_MAX)
		return err_set(e, ERR_FAIL, "the ACL has a form that is not known here");
	for (size_t i = 0; i < rows; i++) {
		const char *p = val->data + HEAD_BYTES + i * ROW_BYTES;
		struct row *r = add(&a);
		uint16_t two[2];

		memcpy(two, p, sizeof(two));
		memcpy(&r->id, p + sizeof(two), sizeof(r->id));
		r->id = le32toh(r->id);
		r->tag = (enum tag)le16toh(two[0]);
		r->perm = le16toh(two[1]) & 7U;
		r->name = name_of(n, r);
	}
	if (!is_whole(&a))
		return err_set(e, ERR_FAIL, "the ACL has a form that is not known here");
	if (access && a.n == BASE_ROWS)
		return 0;
	qsort(a.v, a.n, sizeof(*a.v), by_name);
	put_text(&a, ret);
	return buf_over(ret) ? err_set(e, ERR_FAIL, "an ACL of %zu rows is too long", a.n) : 0;
}
