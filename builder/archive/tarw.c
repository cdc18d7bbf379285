#include "archive/tarw.h"

#include "archive/acl.h"
#include "base/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	BLOCK = 512,
	NAME_MAX_USTAR = 100,
	PREFIX_MAX = 155,
	RECORDS_MAX = 16 << 20, /* all pax records of one entry */
};

#define ID_MAX         UINT64_C(07777777)
#define SIZE_MAX_USTAR UINT64_C(077777777777)

struct ustar {
	char name[NAME_MAX_USTAR];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[NAME_MAX_USTAR];
	char magic[6];
	char version[2];
	char uname[32], gname[32];
	char devmajor[8], devminor[8];
	char prefix[PREFIX_MAX];
	char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a tar header is one block");

/* Octal digits and a NUL; a value without room is in a pax record and is 0 here. */
static void put_octal(char *field, size_t n, uint64_t v)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%0*llo", (int)n - 1, (unsigned long long)v);
	if (strlen(text) >= n)
		(void)snprintf(text, sizeof(text), "%0*o", (int)n - 1, 0U);
	memcpy(field, text, n);
}

static void seal(struct ustar *h)
{
	unsigned sum = 0;
	char text[8];

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	put_octal(h->devmajor, sizeof(h->devmajor), 0);
	put_octal(h->devminor, sizeof(h->devminor), 0);
	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const unsigned char *)h)[i];
	(void)snprintf(text, sizeof(text), "%06o", sum & 0777777);
	memcpy(h->chksum, text, 7);
}

/* Puts path into name, or splits it at a slash into prefix and name. Returns false when it does
 * not fit (the name then holds its first bytes, for readers that know no pax). */
static bool put_path(struct ustar *h, const char *path)
{
	size_t n = strlen(path);
	const char *slash = path;

	if (n <= NAME_MAX_USTAR) {
		memcpy(h->name, path, n);
		return true;
	}
	while ((slash = strchr(slash + 1, '/')) != NULL) {
		size_t head = (size_t)(slash - path), tail = n - head - 1;

		if (head > PREFIX_MAX)
			break;
		if (tail == 0 || tail > NAME_MAX_USTAR)
			continue;
		memcpy(h->prefix, path, head);
		memcpy(h->name, slash + 1, tail);
		return true;
	}
	memcpy(h->name, path, NAME_MAX_USTAR);
	return false;
}

static size_t digits_of(size_t v)
{
	size_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void record(struct buf *b, const char *key, const void *val, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + digits_of(rest);

	total = rest + digits_of(total);
	buf_addf(b, "%zu %s=", total, key);
	buf_add(b, val, len);
	buf_add(b, "\n", 1);
}

static void record_number(struct buf *b, const char *key, int64_t v)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	record(b, key, text, (size_t)n);
}

/* GNU tar takes lists from records of their own, and none from an attribute. */
static int acl_record(struct buf *b, const struct tree_xattr *x, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORDS_MAX);

	if (acl_text(x->val, x->len, &text, e) != 0)
		return -1;
	record(b, acl_key(x->name), text.data, text.len);
	return 0;
}

static int xattr_records(struct buf *b, const struct tree_entry *en, struct err *e)
{
	for (size_t i = 0; i < en->xattrs_n; i++) {
		const struct tree_xattr *x = &en->xattrs[i];
		char *key SCOPED(mem_freep) = mem_format("SCHILY.xattr.%s", x->name);

		if (strchr(x->name, '=') != NULL)
			return err_set(
			    e, ERR_FAIL,
			    "%s: a layer cannot hold the attribute name %s: it has a '='", en->path,
			    x->name);
		if (acl_key(x->name) == NULL)
			record(b, key, x->val, x->len);
		else if (acl_record(b, x, e) != 0)
			return err_in(e, "%s", en->path);
	}
	return 0;
}

static char type_of(const struct tree_entry *en, const char *hardlink)
{
	if (hardlink != NULL)
		return '1';
	if (S_ISDIR(en->mode))
		return '5';
	return S_ISLNK(en->mode) ? '2' : '0';
}

static int write_padded(const struct sink *out, const struct buf *b, struct err *e)
{
	if (sink_write(out, b->data, b->len, e) != 0)
		return -1;
	return tarw_pad(out, b->len, e);
}

/* The extended header: nothing in it but the size depends on the entry. */
static int write_records(const struct sink *out, const struct buf *b, struct err *e)
{
	struct ustar h = {.name = "PaxHeader", .typeflag = 'x'};

	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), b->len);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	seal(&h);
	if (sink_write(out, &h, sizeof(h), e) != 0)
		return -1;
	return write_padded(out, b, e);
}

static void number_records(struct buf *b, const struct tree_entry *en, uint64_t size, int64_t mtime)
{
	if (en->gid > ID_MAX)
		record_number(b, "gid", en->gid);
	if (mtime < 0 || (uint64_t)mtime > SIZE_MAX_USTAR)
		record_number(b, "mtime", mtime);
	if (size > SIZE_MAX_USTAR)
		record_number(b, "size", (int64_t)size);
	if (en->uid > ID_MAX)
		record_number(b, "uid", en->uid);
}

int tarw_header(const struct sink *out, const struct tree_entry *en, const char *hardlink,
		int64_t mtime, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s%s", en->path, S_ISDIR(en->mode) ? "/" : "");
	const char *link = hardlink != NULL ? hardlink : en->link;
	uint64_t size = hardlink == NULL && S_ISREG(en->mode) ? en->size : 0;
	struct buf records SCOPED(buf_release) = BUF_INIT(RECORDS_MAX);
	struct ustar h = {.typeflag = type_of(en, hardlink)};

	if (!put_path(&h, path))
		record(&records, "path", path, strlen(path));
	if (link != NULL && strlen(link) > NAME_MAX_USTAR)
		record(&records, "linkpath", link, strlen(link));
	number_records(&records, en, size, mtime);
	if (hardlink == NULL && xattr_records(&records, en, e) != 0)
		return -1;
	if (buf_over(&records))
		return err_set(e, ERR_FAIL, "%s: its attributes are too large", en->path);
	if (records.len > 0 && write_records(out, &records, e) != 0)
		return -1;
	put_octal(h.mode, sizeof(h.mode), en->mode & 07777);
	put_octal(h.uid, sizeof(h.uid), en->uid);
	put_octal(h.gid, sizeof(h.gid), en->gid);
	put_octal(h.size, sizeof(h.size), size);
	put_octal(h.mtime, sizeof(h.mtime), mtime < 0 ? 0 : (uint64_t)mtime);
	if (link != NULL)
		memcpy(h.linkname, link, strnlen(link, NAME_MAX_USTAR));
	seal(&h);
	return sink_write(out, &h, sizeof(h), e);
}

int tarw_pad(const struct sink *out, uint64_t size, struct err *e)
{
	static const char zeros[BLOCK];
	size_t rest = (size_t)(size % BLOCK);

	return rest == 0 ? 0 : sink_write(out, zeros, BLOCK - rest, e);
}

int tarw_end(const struct sink *out, struct err *e)
{
	static const char zeros[2 * BLOCK];

	return sink_write(out, zeros, sizeof(zeros), e);
}
