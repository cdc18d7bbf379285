#include "archive/owners.h"

#include "archive/acl.h"
#include "archive/reader.h"
#include "base/map.h"
#include "base/strv.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 255, ONE_MAX = 1 << 20, DIR_MODE = 0755 };

struct job {
	int from, to;
	size_t max;
};

struct owners {
	struct map records; /* by path: what is after "# file:" */
	struct map names;   /* lines of names and numbers */
};

static void owners_release(struct owners *o)
{
	map_release(&o->records, free);
	map_release(&o->names, NULL);
}

/* "./a/b/" is a/b, and the top is "." */
static int own_path(const char *name, char **ret, struct err *e)
{
	size_t n;

	if (name == NULL)
		return err_set(e, ERR_RECIPE, "an entry without a name");
	while (strncmp(name, "./", 2) == 0 || name[0] == '/')
		name += name[0] == '/' ? 1 : 2;
	n = strlen(name);
	while (n > 0 && name[n - 1] == '/')
		n--;
	*ret = n == 0 ? mem_strdup(".") : mem_strndup(name, n);
	if (n < PATH_MAX && (strcmp(*ret, ".") == 0 || fs_relative_ok(*ret)))
		return 0;
	free(STEAL(*ret));
	return err_set(e, ERR_RECIPE, "a path that leaves the tree");
}

/* What neither a table of users nor an ACL could have is no name. */
static bool is_name(const char *s)
{
	size_t n = s != NULL ? strlen(s) : 0;

	if (n == 0 || n > NAME_BYTES || strspn(s, "0123456789") == n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || strchr(":,/\\\x7f", s[i]) != NULL)
			return false;
	return true;
}

/* The name, or the number without one. */
static int add_owner(struct owners *o, const char *kind, const char *name, int64_t id,
		     struct buf *ret, struct err *e)
{
	char *line SCOPED(mem_freep) = NULL;

	if (id < 0 || id >= UINT32_MAX)
		return err_set(e, ERR_RECIPE, "the number of a %s", kind);
	if (!is_name(name)) {
		buf_addf(ret, "%lld\n", (long long)id);
		return 0;
	}
	buf_addf(ret, "%s\n", name);
	line = mem_format("#%s %s %lld\n", kind, name, (long long)id);
	(void)map_add(&o->names, line, NULL);
	return 0;
}

static void add_perm(struct buf *b, unsigned perm)
{
	buf_addf(b, "%c%c%c\n", perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-', perm & 1 ? 'x' : '-');
}

static void add_mode(struct buf *b, mode_t mode)
{
	static const char *const words[] = {"user::", "group::", "other::"};

	for (unsigned i = 0; i < 3; i++) {
		buf_addf(b, "%s", words[i]);
		add_perm(b, mode >> (6 - 3 * i) & 7U);
	}
}

/* The words of the kinds of rows; *ret_of: there is somebody whom it is about. */
static const char *tag_word(int tag, bool *ret_of)
{
	*ret_of = tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP;
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
	case ARCHIVE_ENTRY_ACL_USER:
		return "user:";
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
	case ARCHIVE_ENTRY_ACL_GROUP:
		return "group:";
	case ARCHIVE_ENTRY_ACL_MASK:
		return "mask:";
	case ARCHIVE_ENTRY_ACL_OTHER:
		return "other:";
	default:
		return NULL;
	}
}

/* The rows of one list; none when there is no more than a mode says. */
static int add_list(struct archive_entry *en, int type, struct buf *ret, struct err *e)
{
	bool def = type == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, of;
	int is, perm, tag, id;
	const char *name = NULL, *word;

	if (archive_entry_acl_reset(en, type) == 0)
		return 0;
	while (archive_entry_acl_next(en, type, &is, &perm, &tag, &id, &name) == ARCHIVE_OK) {
		word = tag_word(tag, &of);
		if (word == NULL || (of && !is_name(name) && id < 0))
			return err_set(e, ERR_RECIPE, "an ACL of a kind that is not known here");
		buf_addf(ret, "%s%s", def ? "default:" : "", word);
		if (of && is_name(name))
			buf_addf(ret, "%s", name);
		else if (of)
			buf_addf(ret, "%d", id);
		buf_addf(ret, ":");
		add_perm(ret, (unsigned)perm);
	}
	return 0;
}

/* A list that is only there as the attribute of the kernel, with numbers. */
static int add_attribute(struct archive_entry *en, const char *want, struct buf *ret, struct err *e)
{
	bool def = strcmp(want, "system.posix_acl_default") == 0;
	struct buf text SCOPED(buf_release) = BUF_INIT(ONE_MAX);
	const char *name;
	const void *val;
	size_t n;

	for (int i = archive_entry_xattr_reset(en); i > 0 && text.len == 0; i--)
		if (archive_entry_xattr_next(en, &name, &val, &n) == ARCHIVE_OK && name != NULL &&
		    strcmp(name, want) == 0 && acl_text(val, n, &text, e) != 0)
			return -1;
	for (char *row = text.data, *end; row != NULL && row[0] != '\0'; row = end) {
		size_t len = strcspn(row, ",");

		end = row + len + (row[len] == ',');
		buf_addf(ret, "%s%.*s\n", def ? "default:" : "", (int)len, row);
	}
	return 0;
}

static int add_acl(struct archive_entry *en, bool def, struct buf *ret, struct err *e)
{
	size_t before = ret->len;

	if (add_list(en, def ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT : ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ret,
		     e) != 0)
		return -1;
	if (ret->len > before)
		return 0;
	return add_attribute(en, def ? "system.posix_acl_default" : "system.posix_acl_access", ret,
			     e);
}

static int record(struct owners *o, struct archive_entry *en, struct buf *ret, struct err *e)
{
	mode_t mode = archive_entry_perm(en);
	size_t rows;

	buf_addf(ret, "# owner: ");
	if (add_owner(o, "user", archive_entry_uname(en), archive_entry_uid(en), ret, e) != 0)
		return -1;
	buf_addf(ret, "# group: ");
	if (add_owner(o, "group", archive_entry_gname(en), archive_entry_gid(en), ret, e) != 0)
		return -1;
	if ((mode & (S_ISUID | S_ISGID | S_ISVTX)) != 0)
		buf_addf(ret, "# flags: %c%c%c\n", mode & S_ISUID ? 's' : '-',
			 mode & S_ISGID ? 's' : '-', mode & S_ISVTX ? 't' : '-');
	rows = ret->len;
	if (add_acl(en, false, ret, e) != 0)
		return -1;
	if (ret->len == rows)
		add_mode(ret, mode);
	if (add_acl(en, true, ret, e) != 0)
		return -1;
	return buf_over(ret) ? err_set(e, ERR_RECIPE, "an ACL that is too long") : 0;
}

/* Another name of a file: its header may say less than that of the first one. */
static int of_link(const struct owners *o, const char *target, char **ret, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;
	const char *first;

	if (own_path(target, &path, e) != 0)
		return -1;
	first = map_get(&o->records, path);
	*ret = first != NULL ? mem_strdup(first) : NULL;
	return first != NULL ? 0 : err_set(e, ERR_RECIPE, "another name of nothing: %s", path);
}

static int take(struct owners *o, struct archive_entry *en, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ONE_MAX);
	const char *target = archive_entry_hardlink(en);
	char *path SCOPED(mem_freep) = NULL;
	char *is = NULL;

	if (own_path(archive_entry_pathname(en), &path, e) != 0)
		return -1;
	if ((target != NULL ? of_link(o, target, &is, e) : record(o, en, &text, e)) != 0)
		return err_in(e, "%.200s", path);
	free(map_put(&o->records, path, target != NULL ? is : buf_take(&text)));
	return 0;
}

/* What tar(1) makes because a path needs it. */
static void add_parents(struct owners *o)
{
	const char **keys SCOPED(mem_freep) = map_keys(&o->records);
	size_t n = o->records.n;
	struct strv paths SCOPED(strv_release) = {0};

	for (size_t i = 0; i < n; i++)
		for (const char *at = strchr(keys[i], '/'); at != NULL; at = strchr(at + 1, '/')) {
			char *path SCOPED(mem_freep) = mem_strndup(keys[i], (size_t)(at - keys[i]));

			if (!map_has(&o->records, path))
				strv_add(&paths, path);
		}
	for (size_t i = 0; i < paths.n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ONE_MAX);

		if (map_has(&o->records, paths.v[i]))
			continue;
		buf_addf(&text, "# owner: root\n# group: root\n");
		add_mode(&text, DIR_MODE);
		(void)map_put(&o->records, paths.v[i], buf_take(&text));
	}
}

static int put_one(const struct job *j, size_t *sum, const struct buf *b, struct err *e)
{
	*sum += b->len;
	return *sum > j->max ? err_set(e, ERR_FAIL, "more owners than fit")
			     : fs_write_all(j->to, b->data, b->len, e);
}

static int put(const struct job *j, const struct owners *o, struct err *e)
{
	const char **names SCOPED(mem_freep) = map_keys(&o->names);
	const char **keys SCOPED(mem_freep) = map_keys(&o->records);
	size_t sum = 0;

	for (size_t i = 0; i < o->names.n; i++) {
		struct buf line SCOPED(buf_release) = BUF_INIT(ONE_MAX);

		buf_addf(&line, "%s", names[i]);
		if (put_one(j, &sum, &line, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < o->records.n; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(2 * ONE_MAX);

		buf_addf(&b, "# file: ");
		for (const char *s = keys[i]; *s != '\0'; s++)
			if ((unsigned char)*s <= ' ' || *s == '\\' || (unsigned char)*s >= 0x7f)
				buf_addf(&b, "\\%03o", (unsigned)(unsigned char)*s);
			else
				buf_add(&b, s, 1);
		buf_addf(&b, "\n%s\n", (const char *)map_get(&o->records, keys[i]));
		if (put_one(j, &sum, &b, e) != 0)
			return -1;
	}
	return 0;
}

/* In the worker. */
static int work(void *arg, struct err *e)
{
	const struct job *j = arg;
	struct source *src = NULL;
	struct reader *r SCOPED(reader_freep) = NULL;
	struct owners o SCOPED(owners_release) = {0};
	struct archive_entry *en = NULL;

	if (source_open(j->from, SOURCE_TO_THE_END, &src, e) != 0 ||
	    reader_open(src, READER_TAR, &r, e) != 0)
		return -1;
	while (true) {
		if (reader_next(r, &en, e) != 0)
			return -1;
		if (en == NULL)
			break;
		if (take(&o, en, e) != 0)
			return -1;
	}
	add_parents(&o);
	return put(j, &o, e);
}

int owners_read(int fd, struct buf *ret, struct err *e)
{
	int to SCOPED(fd_closep) = memfd_create("owners", MFD_CLOEXEC);
	struct job j = {fd, to, ret->max};
	const struct sandbox_worker_spec spec = {.fn = work, .arg = &j};
	char chunk[4096];
	ssize_t n = 0;

	if (to < 0 || lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "read an archive");
	if (sandbox_worker(&spec, e) != 0)
		return -1;
	if (lseek(to, 0, SEEK_SET) != 0)
		return err_sys(e, "read what the archive says");
	while ((n = read(to, chunk, sizeof(chunk))) > 0)
		buf_add(ret, chunk, (size_t)n);
	if (n < 0)
		return err_sys(e, "read what the archive says");
	return buf_over(ret) ? err_set(e, ERR_FAIL, "more owners than fit") : 0;
}
