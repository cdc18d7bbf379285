/* names.c - whose number is which name. */
#include "manifest/parts.h"

#include "base/map.h"
#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, FILE_MAX_BYTES = 64 << 20 };

struct row {
	char *name;
	uint32_t id;
};

struct table {
	struct row *by_id; /* n, sorted */
	size_t n, cap;
	struct map by_name; /* to the id, one higher so that it is not NULL */
};

struct manifest_names {
	struct table users, groups;
};

static void table_release(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->by_id[i].name);
	free(t->by_id);
	map_release(&t->by_name, NULL);
}

void manifest_names_free(struct manifest_names *n)
{
	if (n == NULL)
		return;
	table_release(&n->users);
	table_release(&n->groups);
	free(n);
}

static bool is_number(const char *s)
{
	return s[strspn(s, "0123456789")] == '\0';
}

bool name_ok(const char *s)
{
	uint64_t n;

	if (*s == '\0' || strlen(s) > NAME_MAX_BYTES)
		return false;
	if (!is_number(s))
		return true;
	return num_u64(s, UINT32_MAX - 1, &n) == 0 && (*s != '0' || s[1] == '\0');
}

/* name:password:id:... */
static void add_row(struct table *t, const char *line, size_t len)
{
	const char *end = memchr(line, ':', len);
	const char *pw = end == NULL ? NULL : memchr(end + 1, ':', (size_t)(line + len - end - 1));
	size_t digits = pw == NULL ? 0 : strcspn(pw + 1, ":\n");
	char *name SCOPED(mem_freep) = NULL;
	char *id SCOPED(mem_freep) = NULL;
	uint64_t n;

	if (pw == NULL || end == line || end - line > NAME_MAX_BYTES)
		return;
	name = mem_strndup(line, (size_t)(end - line));
	id = mem_strndup(pw + 1, digits);
	if (is_number(name) || num_u64(id, UINT32_MAX - 1, &n) != 0 ||
	    !map_add(&t->by_name, name, (void *)(uintptr_t)(n + 1)))
		return;
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->by_id = mem_resize(t->by_id, t->cap, sizeof(*t->by_id));
	}
	t->by_id[t->n++] = (struct row){.name = STEAL(name), .id = (uint32_t)n};
}

static const struct row *find(const struct table *t, uint32_t id)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->by_id[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->n && t->by_id[lo].id == id ? &t->by_id[lo] : NULL;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* A merge of the halves, for which of two rows of one number came first decides. */
static void sort_stably(struct row *v, size_t n)
{
	struct row *both SCOPED(mem_freep) = NULL;
	size_t half = n / 2, a = 0, b = half;

	if (n < 2)
		return;
	sort_stably(v, half);
	sort_stably(v + half, n - half);
	both = mem_zalloc(n * sizeof(*both));
	for (size_t i = 0; i < n; i++)
		both[i] = b == n || (a < half && by_id(&v[a], &v[b]) <= 0) ? v[a++] : v[b++];
	memcpy(v, both, n * sizeof(*v));
}

static void read_table(struct table *t, const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		add_row(t, text, len);
		text += len + (text[len] == '\n' ? 1 : 0);
	}
	sort_stably(t->by_id, t->n);
}

int manifest_names_of(const char *passwd, const char *group, struct manifest_names **ret,
		      struct err *e)
{
	struct manifest_names *n = mem_zalloc(sizeof(*n));

	(void)e;
	read_table(&n->users, passwd);
	read_table(&n->groups, group);
	*ret = n;
	return 0;
}

static int get(const char *path, struct buf *ret, struct err *e)
{
	if (fs_get(AT_FDCWD, path, ret, e) == 0)
		return 0;
	if (e->sys != ENOENT)
		return -1;
	*e = (struct err)ERR_INIT;
	return 0;
}

int manifest_names_host(struct manifest_names **ret, struct err *e)
{
	struct buf passwd SCOPED(buf_release) = BUF_INIT(FILE_MAX_BYTES);
	struct buf group SCOPED(buf_release) = BUF_INIT(FILE_MAX_BYTES);

	if (get("/etc/passwd", &passwd, e) != 0 || get("/etc/group", &group, e) != 0)
		return -1;
	return manifest_names_of(passwd.data, group.data, ret, e);
}

const char *manifest_names_user(const struct manifest_names *n, uid_t uid)
{
	const struct row *r = find(&n->users, uid);

	return r == NULL ? NULL : r->name;
}

const char *manifest_names_group(const struct manifest_names *n, gid_t gid)
{
	const struct row *r = find(&n->groups, gid);

	return r == NULL ? NULL : r->name;
}

static int number(const struct table *t, const char *kind, const char *name, uint32_t *ret,
		  struct err *e)
{
	uintptr_t one_more = (uintptr_t)map_get(&t->by_name, name);
	uint64_t n;

	if (one_more != 0) {
		*ret = (uint32_t)(one_more - 1);
		return 0;
	}
	if (num_u64(name, UINT32_MAX - 1, &n) != 0) {
		(void)err_set(e, ERR_VERIFY, "%s \"%s\" has no number here", kind, name);
		return err_hint(e, "add the %s to the accounts of the target first", kind);
	}
	*ret = (uint32_t)n;
	return 0;
}

int manifest_names_uid(const struct manifest_names *n, const char *user, uid_t *ret, struct err *e)
{
	return number(&n->users, "user", user, ret, e);
}

int manifest_names_gid(const struct manifest_names *n, const char *group, gid_t *ret, struct err *e)
{
	return number(&n->groups, "group", group, ret, e);
}
