/* look.c - what is on a disk: nothing, something, or what an installation has left there. */
#include "installer/target.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MARK "posmedia-install 1"

enum {
	SAMPLE = 64 << 10,
	SAMPLES = 1024, /* at most: of a disk that turns, about 12 s */
	MARK_MAX = 1024,
	SITE_READ = SHEET_MAX + 1,
};

/* What others write, where, and what it is then. */
static const struct {
	size_t at;
	const char *bytes;
	size_t n;
	const char *what;
} known[] = {
    {512, "EFI PART", 8, "a partition table (GPT)"},
    {0, "XFSB", 4, "a file system (XFS)"},
    {1080, "\x53\xef", 2, "a file system (ext4 or older)"},
    {3, "NTFS", 4, "a file system (NTFS)"},
    {3, "EXFAT", 5, "a file system (exFAT)"},
    {54, "FAT", 3, "a file system (FAT)"},
    {82, "FAT", 3, "a file system (FAT)"},
    {65600, "_BHRfS_M", 8, "a file system (btrfs)"},
    {32769, "CD001", 5, "a disc (ISO 9660)"},
    {512, "LABELONE", 8, "a volume group (LVM)"},
    {0, "LUKS\xba\xbe", 6, "an encrypted volume (LUKS)"},
    {4096, "\xfc\x4e\x2b\xa9", 4, "a part of a RAID"},
    {0, "\xfc\x4e\x2b\xa9", 4, "a part of a RAID"},
    {4086, "SWAPSPACE2", 10, "swap"},
    {510, "\x55\xaa", 2, "a partition table (MBR)"},
};

static const char *name_of(const char *first)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (memcmp(first + known[i].at, known[i].bytes, known[i].n) == 0)
			return known[i].what;
	return "data";
}

static int read_at(int fd, void *p, size_t n, uint64_t at, struct err *e)
{
	ssize_t got = pread(fd, p, n, (off_t)at);

	if (got >= 0 && (size_t)got != n)
		errno = EIO;
	return got == (ssize_t)n ? 0 : err_sys(e, "read its byte %llu", (unsigned long long)at);
}

/* A flash disk that was erased may be all ones. */
static bool is_blank(const char *p, size_t n)
{
	return (*p == 0 || (unsigned char)*p == 0xff) && memcmp(p, p + 1, n - 1) == 0;
}

/* Whether a place is blank. What cannot be read is not: writing may mend it, for who gives it up.
 */
static bool place_is_blank(int fd, char *p, size_t n, uint64_t at)
{
	struct err quiet = ERR_INIT;

	return read_at(fd, p, n, at, &quiet) == 0 && is_blank(p, n);
}

/* The end, where tables and RAID have theirs, all that the system will lie on, and places from
 * there to the end, which are all when there are not many. */
static bool is_blank_behind_first(int fd, uint64_t size, size_t blocks)
{
	char *p SCOPED(mem_freep) = mem_zalloc(BLOCKLIST_BLOCK);
	const uint64_t from = (uint64_t)blocks * BLOCKLIST_BLOCK, to = size - BLOCKLIST_BLOCK,
		       places = to > from ? (to - from) / SAMPLE : 0,
		       step = (places / SAMPLES + 1) * SAMPLE;
	bool blank = place_is_blank(fd, p, BLOCKLIST_BLOCK, to);

	for (size_t b = 1; b < blocks && blank; b++)
		blank = place_is_blank(fd, p, BLOCKLIST_BLOCK, (uint64_t)b * BLOCKLIST_BLOCK);
	/* the last one may reach into the end */
	for (uint64_t at = from; at < to && blank; at += step)
		blank = place_is_blank(fd, p, SAMPLE, at);
	return blank;
}

/* Who the machine is, by the disk; -1 for nobody that can be told. */
static int read_site(int fd, const struct blocklist *c, struct sheet *ret)
{
	char text[SITE_READ] = "";
	struct err quiet = ERR_INIT;

	if (read_at(fd, text, SITE_READ - 1, (uint64_t)c->site * BLOCKLIST_BLOCK, &quiet) != 0)
		return -1;
	return sheet_parse(text, strlen(text), SHEET_INSTALLED, ret, &quiet);
}

static void id_hex(const struct blocklist *c, char ret[2 * SHA256_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_BYTES; i++) {
		ret[2 * i] = digits[c->id.b[i] >> 4];
		ret[2 * i + 1] = digits[c->id.b[i] & 15];
	}
	ret[2 * SHA256_BYTES] = '\0';
}

static void mark_text(enum target_state state, const struct blocklist *c, const struct sheet *s,
		      struct buf *ret)
{
	char id[2 * SHA256_BYTES + 1];

	id_hex(c, id);
	buf_addf(ret, MARK "\n%s\n%s\n%s\n%s\n", state == TARGET_WRITTEN ? "written" : "begun", id,
		 s->shop, s->run);
}

/* The lines behind the first one of a mark. Returns false for none of them. */
static bool read_mark(const char *first, char *lines[4], char text[MARK_MAX])
{
	char *at = text;

	if (strncmp(first, MARK "\n", strlen(MARK) + 1) != 0)
		return false;
	memcpy(text, first + strlen(MARK) + 1, MARK_MAX - 1);
	text[MARK_MAX - 1] = '\0';
	for (size_t i = 0; i < 4; i++) {
		char *end = strchr(at, '\n');

		if (end == NULL)
			return false;
		*end = '\0';
		lines[i] = at;
		at = end + 1;
	}
	return strlen(lines[3]) == SHEET_ID;
}

static bool look_marked(const char *first, const struct blocklist *c, const char *shop,
			struct target_look *ret)
{
	char text[MARK_MAX], id[2 * SHA256_BYTES + 1], *lines[4];

	if (!read_mark(first, lines, text) || strcmp(lines[2], shop) != 0)
		return false;
	id_hex(c, id);
	ret->state = strcmp(lines[0], "written") == 0 && strcmp(lines[1], id) == 0 ? TARGET_WRITTEN
										   : TARGET_BEGUN;
	memcpy(ret->run, lines[3], SHEET_ID + 1);
	return true;
}

static bool look_finished(int fd, const char *first, const struct blocklist *c, const char *shop,
			  struct target_look *ret)
{
	const struct sha256 is = sha256_of(first, BLOCKLIST_BLOCK);
	char id[2 * SHA256_BYTES + 1];
	struct sheet s;

	if (read_site(fd, c, &s) != 0)
		return false;
	memcpy(ret->shop, s.shop, sizeof(s.shop));
	memcpy(ret->run, s.run, sizeof(s.run));
	id_hex(c, id);
	if (memcmp(is.b, c->block[0].b, SHA256_BYTES) != 0 || strcmp(s.shop, shop) != 0 ||
	    strcmp(s.contents, id) != 0)
		return false;
	ret->state = TARGET_FINISHED;
	ret->sheet = s;
	return true;
}

int target_look(int fd, uint64_t size, const struct blocklist *c, const char *shop,
		struct target_look *ret, struct err *e)
{
	char *first SCOPED(mem_freep) = mem_zalloc(BLOCKLIST_BLOCK);
	struct target_look l = {.state = TARGET_DATA};

	if (read_at(fd, first, BLOCKLIST_BLOCK, 0, e) != 0)
		return -1;
	if (!look_marked(first, c, shop, &l) && !look_finished(fd, first, c, shop, &l)) {
		l.found = name_of(first);
		if (is_blank(first, BLOCKLIST_BLOCK) && is_blank_behind_first(fd, size, c->n))
			l.state = TARGET_BLANK;
	}
	*ret = l;
	return 0;
}

bool target_is_unfinished(int fd)
{
	char first[sizeof(MARK)] = "";

	return pread(fd, first, sizeof(first), 0) == (ssize_t)sizeof(first) &&
	       memcmp(first, MARK "\n", sizeof(first)) == 0;
}

/* It is on the disk when this returns. */
static int write_at(int fd, const char *p, size_t n, off_t at, struct err *e)
{
	ssize_t put = pwrite(fd, p, n, at);

	if (put >= 0 && (size_t)put != n)
		errno = EIO;
	return put == (ssize_t)n && fsync(fd) == 0 ? 0 : err_sys(e, "write its first block");
}

int target_put_first(int fd, const char *block, struct err *e)
{
	return write_at(fd, block + TARGET_SECTOR, BLOCKLIST_BLOCK - TARGET_SECTOR, TARGET_SECTOR,
			e) != 0
		   ? -1
		   : write_at(fd, block, TARGET_SECTOR, 0, e);
}

int target_mark(int fd, enum target_state state, const struct blocklist *c, const struct sheet *s,
		struct err *e)
{
	char *first SCOPED(mem_freep) = mem_zalloc(BLOCKLIST_BLOCK);
	struct buf text SCOPED(buf_release) = BUF_INIT(MARK_MAX - 1);

	mark_text(state, c, s, &text);
	memcpy(first, text.data, text.len);
	/* the mark is in one sector, which is the old or the new whenever the power goes */
	return write_at(fd, first, TARGET_SECTOR, 0, e) != 0 ||
		       write_at(fd, first + TARGET_SECTOR, BLOCKLIST_BLOCK - TARGET_SECTOR,
				TARGET_SECTOR, e) != 0
		   ? -1
		   : 0;
}
