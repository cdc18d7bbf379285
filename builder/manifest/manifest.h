/* manifest.h - what a tree of files is, entry by entry, in a text that two trees share only when
 * they are the same. The SHA-256 of that text is the tree's root hash.
 *
 * The text is mtree(5), one line an entry in byte order of paths, so that strangers' programs read
 * it too; posmedia-manifest(5) has the keywords. Owners are names: two machines number them as they
 * like. Nothing in it says when, where or from which file system it was made. */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

#include "base/buf.h"
#include "base/sink.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum manifest_type {
	MANIFEST_DIR,
	MANIFEST_FILE,
	MANIFEST_LINK,
	MANIFEST_FIFO,
	MANIFEST_CHAR,
	MANIFEST_BLOCK,
};

struct manifest_xattr {
	char *name; /* user.*, security.capability, trusted.* where readable; not overlayfs's */
	uint8_t *val;
	size_t len;
};

struct manifest_entry {
	char *path; /* relative, bytes as they are; "" is the root itself */
	enum manifest_type type;
	mode_t mode;        /* 07777 */
	char *user, *group; /* names; the number in decimal where there is none */
	int64_t mtime;      /* seconds */
	uint32_t mtime_ns;
	bool unread;   /* a file whose content was left for later: the digest says nothing */
	uint64_t size; /* files only */
	dev_t device;  /* devices only */
	char *target;  /* symbolic links only */
	char *same_as; /* another name of that earlier entry's file, which says all the rest;
			* what is here is a copy, without ACL and attributes */
	char *acl, *acl_default; /* text with names (acl(5), short form, sorted); NULL = none, or no
				  * more than the mode says */
	struct manifest_xattr *xattrs; /* sorted by name */
	size_t xattrs_n;
	struct digest digest; /* files only: SHA-256 of the content */
	uint64_t holes; /* bytes in holes of whole 4 KiB; told, and not part of the root hash */
};

struct manifest {
	struct manifest_entry *v; /* in byte order of path; v[0] is the root */
	size_t n;
	uint64_t files, bytes; /* regular files with content of their own */
	uint64_t left_out;     /* sockets */
	uint64_t excluded;     /* by the caller's filter; a directory not entered is one */
	uint64_t gone;         /* went away between their listing and their reading */
	uint64_t reread;       /* files that changed while they were read, and were read again */
	uint64_t remembered;   /* files whose digest was not computed but seen before */
	struct manifest_strings *strings; /* what all the texts are in */
};
/* Accepts a zeroed struct. */
void manifest_release(struct manifest *m);

/* Names of users and groups of the tree: from the text of its own passwd(5) and group(5), or from
 * /etc of this machine. Numbers without a name are written in decimal, and read so; for that, rows
 * whose name is a number do not count, nor do those of a name or a number that an earlier row has.
 * Rows of any other form are left out too; NULL is no text at all. */
struct manifest_names;
int manifest_names_of(const char *passwd, const char *group, struct manifest_names **ret,
		      struct err *e) MUST_CHECK;
int manifest_names_host(struct manifest_names **ret, struct err *e) MUST_CHECK;
void manifest_names_free(struct manifest_names *n);
/* The number of a name; ERR_VERIFY when it has none here. */
int manifest_names_uid(const struct manifest_names *n, const char *user, uid_t *ret,
		       struct err *e) MUST_CHECK;
int manifest_names_gid(const struct manifest_names *n, const char *group, gid_t *ret,
		       struct err *e) MUST_CHECK;

/* The name of a number, borrowed; NULL when it has none. */
const char *manifest_names_user(const struct manifest_names *n, uid_t uid);
const char *manifest_names_group(const struct manifest_names *n, gid_t gid);

/* Appends what system.posix_acl_access or _default has to be set to for an ACL in its text:
 * ERR_VERIFY when a name has no number here, or the text is none. */
int manifest_acl_value(const struct manifest_names *n, const char *text, struct buf *ret,
		       struct err *e) MUST_CHECK;
/* The other way: appends the text of such a value; nothing for an ACL of three rows, which the mode
 * says too, when `access`. ERR_FAIL when it is none. */
int manifest_acl_text(const struct manifest_names *n, const struct buf *val, bool access,
		      struct buf *ret, struct err *e) MUST_CHECK;

/* Whether an extended attribute is of the tree, and not of a security module, an overlay or the
 * kernel: ACLs are none. */
bool manifest_attribute_belongs(const char *name) MUST_CHECK;

/* How far a making is: regular files and their bytes, and how many there are. */
struct manifest_progress {
	uint64_t files, bytes;
	uint64_t files_total, bytes_total;
};

/* What a making of a manifest is told of, and asked. All may be NULL or zero. */
struct manifest_opts {
	const struct manifest_names *names; /* NULL = the machine's */
	unsigned threads;                   /* 0 = one a processor */
	/* Whether an entry belongs: NULL = all do. A directory that does not is not entered. */
	bool (*wants)(void *ctx, const char *path, enum manifest_type type);
	/* Now and then, from any thread, from one at a time. */
	void (*progress)(void *ctx, const struct manifest_progress *p);
	/* Told, as progress is, of a file that was another each time it was read, and of whatever
	 * went away meanwhile: the manifest has what was read last, or nothing. NULL = the tree is
	 * at rest, and such a thing is ERR_BUSY. */
	void (*unsteady)(void *ctx, const char *path);
	void *ctx;
	struct manifest_seen *seen; /* digests remembered by device, inode, size, mtime and ctime,
				     * read and brought up to date; NULL = every byte is read */
	bool later; /* what is not remembered is not read: whoever reads it fills the digests of
		     * what is unread in, and calls manifest_settle */
	/* Reads all of an open file and says, when it knows that this is what it was when *ret was
	 * its digest, true: then it is not read again. From any thread. NULL = nobody knows. */
	bool (*vouch)(void *ctx, int fd, const struct stat *st, struct digest *ret);
	uint64_t entries_max; /* 0 = 20 million */
	bool names_only; /* no content, ACL or attribute is read: no digests; the rest as ever */
};

/* Makes the manifest of what is below an open directory, by several threads; sockets are left out
 * and counted, other file systems are entered, no symbolic link is followed. A file that changes
 * while it is read is read again, up to three times. */
int manifest_make(int dirfd, const struct manifest_opts *o, struct manifest *ret,
		  struct err *e) MUST_CHECK;
/* Gives digests that were filled in to the other names of their files. */
void manifest_settle(struct manifest *m);

/* Digests that were computed before, in a file that only its owner can write: believed only where
 * device, inode, size, mtime and ctime are the same, and kept only where ctime was two seconds
 * older than the making (as git's index: a file that was written just then may be written again
 * within the same tick of the clock). A damaged file, or one that others may write, is an empty
 * one, and so is name NULL. What the makings since loading did not come across is not saved.
 *
 * A making that is given one first writes out what is dirty (syncfs): a program that has mapped a
 * file may change it without another ctime as long as the page is not written. */
struct manifest_seen;
int manifest_seen_load(int dirfd, const char *name, struct manifest_seen **ret,
		       struct err *e) MUST_CHECK;
/* Adds the digest of a file that the last making left for later; *st is what it was before and
 * after it was read. From any thread. */
void manifest_seen_note(struct manifest_seen *s, const struct stat *st, const struct digest *d);
int manifest_seen_save(struct manifest_seen *s, int dirfd, const char *name,
		       struct err *e) MUST_CHECK;
void manifest_seen_free(struct manifest_seen *s);

/* The text, and back. Reading accepts only what writing gives, so that equal trees have equal
 * texts; what is wrong is ERR_RECIPE with FILE:LINE. */
int manifest_write(const struct manifest *m, const struct sink *out, struct err *e) MUST_CHECK;
int manifest_read(int fd, const char *name, struct manifest *ret, struct err *e) MUST_CHECK;

/* A path as it stands in the text, "./a\040b" or ".": one line of printable ASCII, whatever is in
 * it. The caller owns it. */
char *manifest_shown(const char *path) MUST_CHECK;

/* SHA-256 of the text. */
struct digest manifest_root(const struct manifest *m);

/* One difference: `field` is "missing" (only in a), "extra" (only in b), or what differs: "type",
 * "content", "size", "mode", "owner", "group", "mtime", "target", "link", "acl", "xattr",
 * "device". a and b are the values as text, for people, or NULL where there is none. */
struct manifest_difference {
	const char *path, *field, *a, *b;
};
/* Calls fn for every difference, in order of paths. Returns how many there were. */
uint64_t manifest_compare(const struct manifest *a, const struct manifest *b,
			  void (*fn)(void *ctx, const struct manifest_difference *d), void *ctx);

/* Finds a path; NULL when absent. */
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path);

#endif
