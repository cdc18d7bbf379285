/* read.c - the text, back. What was read of an entry is written again and must be the same bytes:
 * so there is one text of a tree, whoever wrote it. */
#include "manifest/parts.h"

#include "base/num.h"
#include "form/hex.h"
#include "form/plain.h"
#include "sys/fs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	CHUNK = 256 << 10,
	NAME_BYTES_MAX = 255,
	PATH_BYTES_MAX = 4095,
	XATTRS_MAX = 4096, /* of an entry: more names than the kernel lists */
};
#define TIME_MAX ((uint64_t)INT64_MAX)

struct reading {
	int fd;
	const char *name;
	char *chunk; /* CHUNK + LINE_MAX_BYTES */
	size_t at, len;
	bool end;
	uint64_t line;
	struct manifest m;
	size_t cap;
	struct buf raw, again; /* the lines of the entry that is read, and as we write them */
	uint64_t begun;        /* its first line */
};

static int wrong(const struct reading *r, uint64_t line, const char *what, struct err *e)
{
	return err_set(e, ERR_RECIPE, "%s:%llu: %s", r->name, (unsigned long long)line, what);
}

static int more(struct reading *r, struct err *e)
{
	ssize_t n;

	memmove(r->chunk, r->chunk + r->at, r->len - r->at);
	r->len -= r->at;
	r->at = 0;
	do
		n = read(r->fd, r->chunk + r->len, CHUNK + LINE_MAX_BYTES - r->len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "read %s", r->name);
	r->end = n == 0;
	r->len += (size_t)n;
	return 0;
}

/* The next line without its end, NULL behind the last. */
static int next_line(struct reading *r, char **ret, size_t *ret_n, struct err *e)
{
	char *nl;

	while ((nl = memchr(r->chunk + r->at, '\n', r->len - r->at)) == NULL && !r->end) {
		if (r->len - r->at > LINE_MAX_BYTES)
			return wrong(r, r->line + 1, "a line of more than 1 MiB", e);
		if (more(r, e) != 0)
			return -1;
	}
	*ret = NULL;
	if (nl == NULL && r->at == r->len)
		return 0;
	r->line++;
	if (nl == NULL)
		return wrong(r, r->line, "the last line has no end", e);
	*ret = r->chunk + r->at;
	*ret_n = (size_t)(nl - *ret);
	r->at = (size_t)(nl - r->chunk) + 1;
	*nl = '\0';
	return strlen(*ret) == *ret_n ? 0 : wrong(r, r->line, "a zero byte", e);
}

/* Undoes text_escape in place. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		if (*s != '\\') {
			*to++ = *s;
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

/* "./a/b", or "." alone, as a path of plain components. */
static bool path_of(char *s, char **ret)
{
	const char *part;

	if (strcmp(s, ".") == 0) {
		*ret = s + 1;
		return true;
	}
	if (strncmp(s, "./", 2) != 0 || !unescape(s + 2) || !fs_relative_ok(s + 2) ||
	    strlen(s + 2) > PATH_BYTES_MAX)
		return false;
	for (part = s + 2; part != NULL; part = strchr(part, '/')) {
		part += *part == '/' ? 1 : 0;
		if (strcspn(part, "/") > NAME_BYTES_MAX)
			return false;
	}
	*ret = s + 2;
	return true;
}

/* A name, or a number as we write it. */
static bool owner_of(struct reading *r, char *val, char **ret)
{
	if (!unescape(val) || !name_ok(val))
		return false;
	*ret = strings_same(r->m.strings, val);
	return true;
}

static bool time_of(char *val, struct manifest_entry *en)
{
	bool before = *val == '-';
	char *dot = strchr(val, '.');
	uint64_t s, ns;

	if (dot == NULL)
		return false;
	*dot = '\0';
	if (num_u64(val + (before ? 1 : 0), TIME_MAX, &s) != 0 ||
	    num_u64(dot + 1, 999999999, &ns) != 0)
		return false;
	en->mtime = before ? -(int64_t)s : (int64_t)s;
	en->mtime_ns = (uint32_t)ns;
	return true;
}

static bool device_of(char *val, struct manifest_entry *en)
{
	static const char system[] = "native,";
	char *comma = strrchr(val, ',');
	uint64_t major_no, minor_no;

	if (strncmp(val, system, strlen(system)) != 0 || comma < val + strlen(system))
		return false;
	*comma = '\0';
	if (num_u64(val + strlen(system), UINT32_MAX, &major_no) != 0 ||
	    num_u64(comma + 1, UINT32_MAX, &minor_no) != 0)
		return false;
	en->device = makedev((unsigned)major_no, (unsigned)minor_no);
	return true;
}

static bool type_of(struct manifest_entry *en, const char *val)
{
	int type = text_type_of(val);

	en->type = (enum manifest_type)(type < 0 ? 0 : type);
	return type >= 0;
}

static bool mode_of(struct manifest_entry *en, const char *val)
{
	unsigned mode;

	if (num_mode(val, &mode) != 0)
		return false;
	en->mode = mode;
	return true;
}

static bool target_of(struct reading *r, char *val, char **ret)
{
	if (!unescape(val) || *val == '\0' || strlen(val) > PATH_BYTES_MAX)
		return false;
	*ret = strings_copy(r->m.strings, val, strlen(val));
	return true;
}

static bool set_word(struct reading *r, struct manifest_entry *en, char *key, char *val)
{
	if (strcmp(key, "type") == 0)
		return type_of(en, val);
	if (strcmp(key, "uname") == 0)
		return owner_of(r, val, &en->user);
	if (strcmp(key, "gname") == 0)
		return owner_of(r, val, &en->group);
	if (strcmp(key, "mode") == 0)
		return mode_of(en, val);
	if (strcmp(key, "size") == 0)
		return num_u64(val, INT64_MAX, &en->size) == 0;
	if (strcmp(key, "device") == 0)
		return device_of(val, en);
	if (strcmp(key, "link") == 0)
		return target_of(r, val, &en->target);
	if (strcmp(key, "time") == 0)
		return time_of(val, en);
	return strcmp(key, "sha256digest") == 0 && digest_parse_hex(val, &en->digest) == 0;
}

static bool set_acl(struct reading *r, char *val, char **ret)
{
	if (!unescape(val) || !acl_text_ok(val))
		return false;
	*ret = strings_same(r->m.strings, val);
	return true;
}

static bool add_xattr(struct reading *r, struct manifest_entry *en, char *name, const char *val)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);
	size_t n = en->xattrs_n;
	struct manifest_xattr *x;

	if (n >= XATTRS_MAX || !unescape(name) || strlen(name) > NAME_BYTES_MAX ||
	    !manifest_attribute_belongs(name) || base64_decode(val, &b) != 0 ||
	    (n > 0 && strcmp(en->xattrs[n - 1].name, name) >= 0))
		return false;
	if ((n & (n - 1)) == 0) {
		x = strings_room(r->m.strings, (n == 0 ? 1 : 2 * n) * sizeof(*x));
		if (n > 0)
			memcpy(x, en->xattrs, n * sizeof(*x));
		en->xattrs = x;
	}
	x = &en->xattrs[en->xattrs_n++];
	x->name = strings_same(r->m.strings, name);
	x->val = (uint8_t *)strings_copy(r->m.strings, b.data, b.len);
	x->len = b.len;
	return true;
}

static bool set_more(struct reading *r, struct manifest_entry *en, char *key, char *val)
{
	static const char xattr[] = "xattr.";
	const struct manifest_entry *first;
	char *path;

	if (strcmp(key, "acl") == 0)
		return set_acl(r, val, &en->acl);
	if (strcmp(key, "acl.default") == 0)
		return set_acl(r, val, &en->acl_default);
	if (strncmp(key, xattr, strlen(xattr)) == 0)
		return add_xattr(r, en, key + strlen(xattr), val);
	if (strcmp(key, "hardlink") != 0 || !path_of(val, &path))
		return false;
	first = manifest_find(&r->m, path);
	if (first == NULL)
		return false;
	en->same_as = first->path;
	return true;
}

static int wrong_word(const struct reading *r, const char *word, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format("\"%.64s\" has a wrong value", word);

	plain_line(text);
	return wrong(r, r->line, text, e);
}

/* The words KEY=VALUE of a line behind its first. */
static int read_words(struct reading *r, char *at,
		      bool (*set)(struct reading *r, struct manifest_entry *en, char *key,
				  char *val),
		      struct err *e)
{
	struct manifest_entry *en = &r->m.v[r->m.n - 1];

	while (at != NULL) {
		char *word = at, *val;

		at = strchr(at, ' ');
		if (at != NULL)
			*at++ = '\0';
		val = strchr(word, '=');
		if (val == NULL)
			return wrong(r, r->line, "wants KEY=VALUE", e);
		*val++ = '\0';
		if (!set(r, en, word, val))
			return wrong_word(r, word, e);
	}
	return 0;
}

static const char *fault_of_path(const struct manifest *m, const struct manifest_entry *en)
{
	const char *slash = strrchr(en->path, '/');
	const struct manifest_entry *up;
	char *dir SCOPED(mem_freep) = NULL;

	if (en == m->v)
		return en->path[0] != '\0' || en->type != MANIFEST_DIR
			   ? "the first entry has to be the root, \".\""
			   : NULL;
	if (strcmp(en[-1].path, en->path) >= 0)
		return "the paths are not in byte order";
	dir = mem_strndup(en->path, slash == NULL ? 0 : (size_t)(slash - en->path));
	up = manifest_find(m, dir);
	return up == NULL || up->type != MANIFEST_DIR ? "its directory is not there" : NULL;
}

static bool same_file(const struct manifest_entry *a, const struct manifest_entry *b)
{
	return a->type == b->type && a->mode == b->mode && a->size == b->size &&
	       a->mtime == b->mtime && a->mtime_ns == b->mtime_ns && a->device == b->device &&
	       a->user == b->user && a->group == b->group && digest_equal(&a->digest, &b->digest) &&
	       (a->target == NULL || b->target == NULL ? a->target == b->target
						       : strcmp(a->target, b->target) == 0);
}

static const char *fault_of_link(const struct manifest *m, const struct manifest_entry *en)
{
	const struct manifest_entry *first;

	if (en->same_as == NULL)
		return NULL;
	first = manifest_find(m, en->same_as);
	if (first >= en || first->same_as != NULL || en->type == MANIFEST_DIR || en->acl != NULL ||
	    en->xattrs_n > 0 || !same_file(first, en))
		return "it is not what its first name is";
	return NULL;
}

static const char *fault_of_words(const struct manifest_entry *en)
{
	if (en->user == NULL || en->group == NULL)
		return "its owner is missing";
	if (en->type == MANIFEST_LINK && en->target == NULL)
		return "its target is missing";
	if ((en->acl != NULL && en->type == MANIFEST_LINK) ||
	    (en->acl_default != NULL && en->type != MANIFEST_DIR))
		return "such an entry has no such ACL";
	return NULL;
}

/* Whether what was read says all that there was, in our own words. */
static bool is_ours(struct reading *r, const struct manifest_entry *en)
{
	buf_cut(&r->again, 0);
	text_entry(&r->again, en);
	return !buf_over(&r->raw) && !buf_over(&r->again) && r->raw.len == r->again.len &&
	       memcmp(r->raw.data, r->again.data, r->raw.len) == 0;
}

/* What has been read of an entry is whole: whether it may be so. */
static int finish(struct reading *r, struct err *e)
{
	struct manifest_entry *en = &r->m.v[r->m.n - 1];
	const char *fault = fault_of_path(&r->m, en);

	if (fault == NULL)
		fault = fault_of_words(en);
	if (fault == NULL)
		fault = fault_of_link(&r->m, en);
	if (fault != NULL)
		return wrong(r, r->begun, fault, e);
	if (!is_ours(r, en)) {
		(void)wrong(r, r->begun, "not as a manifest is written", e);
		return err_hint(e, "make it with posmedia manifest");
	}
	buf_cut(&r->raw, 0);
	if (en->type == MANIFEST_FILE && en->same_as == NULL) {
		r->m.files++;
		r->m.bytes += en->size;
	}
	return 0;
}

static int begin(struct reading *r, char *line, struct err *e)
{
	char *words = strchr(line, ' '), *path;
	struct manifest_entry *en;

	if (words == NULL || line[0] != '.')
		return wrong(r, r->line, "wants an entry: ./PATH type=...", e);
	*words++ = '\0';
	if (!path_of(line, &path))
		return wrong(r, r->line, "the path is wrong", e);
	if (r->m.n == ENTRIES_MAX)
		return wrong(r, r->line, "more than 20 million entries", e);
	en = entries_add(&r->m, &r->cap);
	en->path = strings_copy(r->m.strings, path, strlen(path));
	r->begun = r->line;
	return read_words(r, words, set_word, e);
}

static int take_line(struct reading *r, char *line, size_t n, struct err *e)
{
	bool goes_on = strncmp(line, "#+ ", 3) == 0;

	if (goes_on && (r->raw.len == 0 || r->line != r->begun + 1))
		return wrong(r, r->line, "goes on with no entry", e);
	if (!goes_on && r->raw.len > 0 && finish(r, e) != 0)
		return -1;
	buf_add(&r->raw, line, n);
	buf_add(&r->raw, "\n", 1);
	return goes_on ? read_words(r, line + 3, set_more, e) : begin(r, line, e);
}

static int read_all(struct reading *r, struct err *e)
{
	char *line;
	size_t n;

	if (next_line(r, &line, &n, e) != 0)
		return -1;
	if (line == NULL || strlen(text_head) != n + 1 || memcmp(line, text_head, n) != 0)
		return wrong(r, 1, "no manifest of posmedia: wants \"#mtree posmedia 1\"", e);
	for (;;) {
		if (next_line(r, &line, &n, e) != 0)
			return -1;
		if (line == NULL)
			break;
		if (take_line(r, line, n, e) != 0)
			return -1;
	}
	if (r->m.n == 0)
		return wrong(r, r->line, "ends before the root, \".\"", e);
	return finish(r, e);
}

int manifest_read(int fd, const char *name, struct manifest *ret, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK + LINE_MAX_BYTES);
	struct reading r = {
	    .fd = fd,
	    .name = name,
	    .chunk = chunk,
	    .m = {.strings = strings_new()},
	    .raw = BUF_INIT(2 * LINE_MAX_BYTES + 2),
	    .again = BUF_INIT(2 * LINE_MAX_BYTES + 2),
	};
	int rc = read_all(&r, e);

	buf_release(&r.raw);
	buf_release(&r.again);
	if (rc == 0)
		*ret = r.m;
	else
		manifest_release(&r.m);
	return rc;
}
