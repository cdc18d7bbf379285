#include "archive/kind.h"

#include "archive/rpm.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SECTOR = 2048,
	DESCRIPTORS = 16 * SECTOR, /* where a disc's volume descriptors begin */
	SEEN = DESCRIPTORS + 16 * SECTOR,
	TAR_BLOCK = 512,
	TAR_SUM = 148,
};

struct start {
	uint8_t *p;
	size_t n;
};

static bool begins(const struct start *s, size_t at, const char *magic, size_t n)
{
	return s->n >= at + n && memcmp(s->p + at, magic, n) == 0;
}

/* The sum of a header with its own field as blanks; the field is octal text. */
static bool is_tar(const struct start *s)
{
	unsigned long sum = 0, said;
	char text[9] = "";
	char *end;

	if (s->n < TAR_BLOCK || s->p[0] == '\0')
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= TAR_SUM && i < TAR_SUM + 8 ? ' ' : s->p[i];
	memcpy(text, s->p + TAR_SUM, 8);
	errno = 0;
	said = strtoul(text, &end, 8);
	return end != text && errno == 0 && said == sum;
}

static bool is_cpio(const struct start *s)
{
	return begins(s, 0, "070701", 6) || begins(s, 0, "070702", 6) || begins(s, 0, "070707", 6);
}

static bool is_zip(const struct start *s)
{
	return begins(s, 0, "PK\3\4", 4) || begins(s, 0, "PK\5\6", 4);
}

static bool is_disc(const struct start *s)
{
	return begins(s, DESCRIPTORS + 1, "CD001", 5);
}

/* The extended area of a disc without ISO 9660: ECMA-167, 2/9.2. */
static bool is_udf(const struct start *s)
{
	return begins(s, DESCRIPTORS + 1, "BEA01", 5) || begins(s, DESCRIPTORS + 1, "NSR0", 4);
}

/* Whether a supplementary descriptor names one of Joliet's three character sets. */
static bool has_joliet(const struct start *s)
{
	for (size_t at = DESCRIPTORS; at + SECTOR <= s->n; at += SECTOR) {
		const uint8_t *d = s->p + at;

		if (!begins(s, at + 1, "CD001", 5) || d[0] == 255)
			return false;
		if (d[0] == 2 && d[88] == '%' && d[89] == '/' &&
		    (d[90] == '@' || d[90] == 'C' || d[90] == 'E'))
			return true;
	}
	return false;
}

static bool all_zeros(const struct start *s)
{
	size_t i = 0;

	while (i < s->n && s->p[i] == 0)
		i++;
	return i == s->n && s->n >= TAR_BLOCK;
}

static int read_start(struct source *src, struct start *s, struct err *e)
{
	while (s->n < SEEN) {
		const void *p;
		size_t n, room = SEEN - s->n;

		if (source_read(src, &p, &n, e) != 0)
			return -1;
		if (n == 0)
			break;
		memcpy(s->p + s->n, p, n < room ? n : room);
		s->n += n < room ? n : room;
	}
	return 0;
}

static int judge(const struct start *s, struct kind *k, struct err *e)
{
	if (is_disc(s))
		k->of = KIND_ISO;
	else if (is_zip(s))
		k->of = KIND_ZIP;
	else if (is_cpio(s))
		k->of = KIND_CPIO;
	else if (is_tar(s))
		k->of = KIND_TAR;
	else if (is_udf(s))
		return err_set(
		    e, ERR_RECIPE,
		    "it is a disc of UDF without ISO 9660, packed or in another archive");
	else if (all_zeros(s))
		return err_set(e, ERR_RECIPE, "there is nothing in it but zeros");
	else
		k->of = KIND_PLAIN;
	k->bare = k->of == KIND_ISO && !has_joliet(s);
	/* rpm's own form of cpio, whose entries are numbers of files in the header */
	if (k->at != 0 && begins(s, 0, "07070X", 6)) {
		(void)err_set(e, ERR_RECIPE,
			      "it is an rpm with a file of 4 GiB and more, packed or in another "
			      "archive");
		return err_hint(e, "as: file shows it to the step, whose rpm can install it");
	}
	if (k->at != 0 && k->of != KIND_CPIO)
		return err_set(e, ERR_RECIPE, "the rpm is damaged: its payload is no cpio archive");
	return 0;
}

int kind_find(int fd, struct kind *ret, struct err *e)
{
	struct source *src SCOPED(source_freep) = NULL;
	struct start s = {0};
	struct kind k = {0};
	int rc;

	if (rpm_payload(fd, &k.at, NULL, e) != 0)
		return -1;
	if (lseek(fd, (off_t)k.at, SEEK_SET) < 0)
		return err_sys(e, "read it again");
	if (source_open(fd, SOURCE_TO_THE_END, &src, e) != 0)
		return -1;
	k.packed = !source_can_seek(src);
	s.p = mem_zalloc(SEEN);
	rc = read_start(src, &s, e) != 0 ? -1 : judge(&s, &k, e);
	free(s.p);
	if (rc != 0)
		return -1;
	*ret = k;
	return 0;
}

enum reader_formats kind_formats(const struct kind *k)
{
	static const enum reader_formats formats[] = {
	    [KIND_ISO] = READER_ISO,
	    [KIND_TAR] = READER_TAR,
	    [KIND_ZIP] = READER_ZIP,
	    [KIND_CPIO] = READER_CPIO,
	};

	return formats[k->of];
}

const char *kind_name(const struct kind *k)
{
	static const char *const names[] = {
	    [KIND_PLAIN] = "a plain file",  [KIND_ISO] = "an ISO 9660 disc",
	    [KIND_TAR] = "a tar archive",   [KIND_ZIP] = "a zip archive",
	    [KIND_CPIO] = "a cpio archive",
	};

	return names[k->of];
}
