/* attributes.c - ACL and extended attributes of an open entry. */
#include "manifest/parts.h"

#include "base/strv.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

/* of the kernel: linux/limits.h has XATTR_LIST_MAX and XATTR_SIZE_MAX */
enum { FIRST_TRY = 1024, LIST_MAX = 64 << 10, VALUE_MAX = 64 << 10, PATH_BYTES = 40 };

#define ACCESS      "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct source {
	const struct attributes_from *from;
	char path[PATH_BYTES]; /* by which an O_PATH descriptor's entry is reached */
};

static ssize_t list(const struct source *s, char *p, size_t n)
{
	return s->from->path_only ? listxattr(s->path, p, n) : flistxattr(s->from->fd, p, n);
}

static ssize_t get(const struct source *s, const char *name, void *p, size_t n)
{
	return s->from->path_only ? getxattr(s->path, name, p, n)
				  : fgetxattr(s->from->fd, name, p, n);
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool manifest_attribute_belongs(const char *name)
{
	if (has_prefix(name, "user."))
		return !has_prefix(name, "user.overlay.");
	if (has_prefix(name, "trusted."))
		return !has_prefix(name, "trusted.overlay.");
	return strcmp(name, "security.capability") == 0;
}

static int value(const struct source *s, const char *name, struct buf *ret, struct err *e)
{
	char *room SCOPED(mem_freep) = mem_zalloc(VALUE_MAX);
	ssize_t n = get(s, name, room, VALUE_MAX);

	if (n < 0)
		return err_sys(e, "read attribute %s", name);
	buf_add(ret, room, (size_t)n);
	return 0;
}

static int read_acl(const struct source *s, const char *name, char **ret, struct err *e)
{
	struct buf val SCOPED(buf_release) = BUF_INIT(VALUE_MAX);
	struct buf text SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	if (value(s, name, &val, e) != 0 ||
	    manifest_acl_text(s->from->names, &val, strcmp(name, ACCESS) == 0, &text, e) != 0)
		return -1;
	if (text.len > 0)
		*ret = strings_same(s->from->strings, text.data);
	return 0;
}

static int read_one(const struct source *s, const char *name, struct manifest_entry *en,
		    struct err *e)
{
	struct manifest_strings *strings = s->from->strings;
	struct manifest_xattr *x = &en->xattrs[en->xattrs_n];
	struct buf val SCOPED(buf_release) = BUF_INIT(VALUE_MAX);

	if (strcmp(name, ACCESS) == 0)
		return read_acl(s, name, &en->acl, e);
	if (strcmp(name, ACL_DEFAULT) == 0)
		return read_acl(s, name, &en->acl_default, e);
	if (value(s, name, &val, e) != 0)
		return -1;
	x->name = strings_same(strings, name);
	x->val = (uint8_t *)strings_copy(strings, val.data, val.len);
	x->len = val.len;
	en->xattrs_n++;
	return 0;
}

static int read_names(const struct source *s, const char *names, size_t n,
		      struct manifest_entry *en, struct err *e)
{
	struct strv sorted SCOPED(strv_release) = {0};

	for (const char *at = names; at < names + n; at += strlen(at) + 1)
		if (manifest_attribute_belongs(at) || strcmp(at, ACCESS) == 0 ||
		    strcmp(at, ACL_DEFAULT) == 0)
			strv_add(&sorted, at);
	if (sorted.n == 0)
		return 0;
	strv_sort(&sorted);
	en->xattrs = strings_room(s->from->strings, sorted.n * sizeof(*en->xattrs));
	for (size_t i = 0; i < sorted.n; i++)
		if (read_one(s, sorted.v[i], en, e) != 0)
			return -1;
	if (en->xattrs_n == 0)
		en->xattrs = NULL;
	return 0;
}

int attributes_read(const struct attributes_from *from, struct manifest_entry *en, struct err *e)
{
	struct source s = {.from = from};
	char few[FIRST_TRY + 1];
	char *many SCOPED(mem_freep) = NULL;
	char *names = few;
	ssize_t n;

	(void)snprintf(s.path, sizeof(s.path), "/proc/self/fd/%d", from->fd);
	en->acl = en->acl_default = NULL;
	en->xattrs = NULL;
	en->xattrs_n = 0;
	n = list(&s, names, FIRST_TRY);
	if (n < 0 && errno == ERANGE) {
		names = many = mem_zalloc(LIST_MAX + 1);
		n = list(&s, names, LIST_MAX);
	}
	if (n < 0 && (errno == ENOTSUP || errno == ENOSYS))
		return 0;
	if (n < 0)
		return err_sys(e, "list its attributes");
	names[n] = '\0';
	return n == 0 ? 0 : read_names(&s, names, (size_t)n, en, e);
}
