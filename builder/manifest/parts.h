/* parts.h - what the files of manifest/ know of each other. */
#ifndef MANIFEST_PARTS_H
#define MANIFEST_PARTS_H

#include "manifest/manifest.h"

enum {
	LINE_MAX_BYTES = 1 << 20,   /* of the text: as long as strangers' readers take */
	ENTRIES_MAX = 20 * 1000000, /* of a tree */
	ACL_MAX = 8192,             /* rows of one */
	NAME_BYTES = 11,            /* a number of 32 bits in decimal, with its NUL */
};

/* The memory of a manifest's texts, freed as one. */
struct manifest_strings *strings_new(void) MUST_CHECK;
void strings_free(struct manifest_strings *s);

/* From any thread: room for n bytes, fit for any struct; a copy of n bytes with a NUL behind; the
 * one copy of a text that many have. */
void *strings_room(struct manifest_strings *s, size_t n);
char *strings_copy(struct manifest_strings *s, const void *p, size_t n);
char *strings_same(struct manifest_strings *s, const char *text);

/* Appends bytes with \ooo for what is no printable ASCII, and for what mtree(5) or a shell's
 * pattern would take for its own: blank \ # * ? [ = */
void text_escape(struct buf *b, const char *s);

/* Appends the lines of one entry. */
void text_entry(struct buf *b, const struct manifest_entry *en);

/* The first line. */
extern const char text_head[];

/* "dir", "file" and so on, and back; -1 for none. */
const char *text_type(enum manifest_type t);
int text_type_of(const char *name);

/* Whether a text may be the name of an owner: 1 to 255 bytes; of digits alone only a number as it
 * is written. */
bool name_ok(const char *s);

/* Whether a text is an ACL in the one form that we write. */
bool acl_text_ok(const char *text);

/* Reads ACL and attributes of an open entry into *en: by its descriptor, or where that is O_PATH by
 * its path in /proc. */
struct attributes_from {
	int fd;
	bool path_only;
	const struct manifest_names *names;
	struct manifest_strings *strings;
};
int attributes_read(const struct attributes_from *from, struct manifest_entry *en,
		    struct err *e) MUST_CHECK;

/* Adds an entry at the end and returns it, zeroed; *cap is how many there is room for. */
struct manifest_entry *entries_add(struct manifest *m, size_t *cap);

/* What a digest is remembered by. */
struct seen_file {
	uint64_t dev, ino, size;
	int64_t mtime, ctime;
	uint32_t mtime_ns, ctime_ns;
	struct digest digest;
};
void seen_of(const struct stat *st, struct seen_file *ret);

/* Looks the digest of such a file up. From any thread, while nobody adds. */
bool seen_find(const struct manifest_seen *s, struct seen_file *f);

/* A making began at that second; what it leaves for later is noted only if settled. */
void seen_begin(struct manifest_seen *s, int64_t begun_s, bool settled);
/* Takes over n files that the making came across. */
void seen_add(struct manifest_seen *s, const struct seen_file *v, size_t n);

#endif
