#include "archive/deb.h"

#include "base/num.h"
#include "sys/fs.h"
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { MAGIC = 8, HEADER = 60, NAME = 16, SIZE_AT = 48, SIZE = 10, END_AT = 58 };

struct member {
	char name[NAME + 1];
	uint64_t size;
};

static int not_one(const char *why, struct err *e)
{
	return err_set(e, ERR_RECIPE, "not a whole Debian package: %s", why);
}

/* Copies a field without the blanks that fill it. */
static void field(const char *from, size_t n, char *to)
{
	while (n > 0 && from[n - 1] == ' ')
		n--;
	memcpy(to, from, n);
	to[n] = '\0';
}

static int next_member(int fd, struct member *ret, struct err *e)
{
	char head[HEADER], size[SIZE + 1];
	size_t n;

	if (fs_read_all(fd, head, sizeof(head), e) != 0)
		return not_one("a part is missing", e);
	field(head, NAME, ret->name);
	field(head + SIZE_AT, SIZE, size);
	if (memcmp(head + END_AT, "`\n", 2) != 0 || num_u64(size, INT64_MAX, &ret->size) != 0)
		return not_one("a damaged header", e);
	n = strlen(ret->name);
	if (n > 0 && ret->name[n - 1] == '/')
		ret->name[n - 1] = '\0';
	return 0;
}

static int skip(int fd, uint64_t n, struct err *e)
{
	char chunk[4096];

	/* members begin at even places */
	n += n % 2;
	if (lseek(fd, (off_t)n, SEEK_CUR) >= 0)
		return 0;
	while (n > 0) {
		size_t part = n < sizeof(chunk) ? (size_t)n : sizeof(chunk);

		if (fs_read_all(fd, chunk, part, e) != 0)
			return not_one("it ends early", e);
		n -= part;
	}
	return 0;
}

static int check_version(int fd, struct err *e)
{
	char text[4];
	struct member m;

	if (next_member(fd, &m, e) != 0)
		return -1;
	if (strcmp(m.name, "debian-binary") != 0 || m.size != sizeof(text) ||
	    fs_read_all(fd, text, sizeof(text), e) != 0 || memcmp(text, "2.0\n", 4) != 0)
		return not_one("no format version 2.0", e);
	return 0;
}

int deb_find(int fd, const char *prefix, uint64_t *ret_size, struct err *e)
{
	char magic[MAGIC];
	struct member m;

	if (fs_read_all(fd, magic, sizeof(magic), e) != 0 || memcmp(magic, "!<arch>\n", MAGIC) != 0)
		return not_one("no ar archive", e);
	if (check_version(fd, e) != 0)
		return -1;
	while (true) {
		size_t n = strlen(prefix);

		if (next_member(fd, &m, e) != 0)
			return -1;
		if (strncmp(m.name, prefix, n) == 0 && (m.name[n] == '\0' || m.name[n] == '.'))
			break;
		if (skip(fd, m.size, e) != 0)
			return -1;
	}
	*ret_size = m.size;
	return 0;
}
