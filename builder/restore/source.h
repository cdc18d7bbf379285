/* source.h - where data comes from. All kinds end as a directory that is open, or as a snapshot;
 * what lies on another machine or in an archive is fetched to a directory of ours before. */
#ifndef RESTORE_SOURCE_H
#define RESTORE_SOURCE_H

#include "restore/parts.h"

enum source_kind {
	SOURCE_DIR,      /* a tree as a machine has it: usr2, var/log */
	SOURCE_ACCOUNT,  /* the same of a backup account: owners are in its permfiles */
	SOURCE_SSH,      /* a tree of another machine, by rsync */
	SOURCE_S3,       /* the objects of a bucket below a prefix */
	SOURCE_TAR,      /* an archive of one, plain, compressed or encrypted */
	SOURCE_SITE,     /* another instance's data, by their names */
	SOURCE_SNAPSHOT, /* of a tree, or of a site: by their names */
};

struct source_perms;
struct source_snapshot; /* one that is open */

struct source {
	enum source_kind kind;
	char *text;        /* as it was asked for; never holds a secret */
	char *path;        /* here, or on the other machine; of a snapshot REPO[@ID] */
	char *user, *host; /* of ssh: user may be NULL; of s3: the bucket */
	unsigned port;     /* 0 = the usual one */
	bool by_name;      /* data lie by their names, and not by where an instance has them */
	int rootfd;        /* once it is ready; -1 of a snapshot */
	struct manifest_names *names; /* of its users; NULL = the machine's */
	struct source_perms *perms;   /* of an account */
	struct source_snapshot *snapshot;
	char *owners;          /* of an archive that was unpacked now; see source_owners */
	struct strv by_number; /* who has no name that is known: "user 777" */
};

/* Reads what the operator wrote: "dir:PATH", "account:PATH", "ssh://[USER@]HOST[:PORT]/PATH",
 * "s3://BUCKET/PREFIX", "tar:FILE", "site:FILE", "snapshot:REPO[@ID]", or an absolute path, which
 * is looked at. ERR_USAGE for anything else. */
int source_parse(const char *text, struct source *ret, struct err *e) MUST_CHECK;
/* Accepts a zeroed struct with rootfd -1. */
void source_release(struct source *s);
#define SOURCE_INIT                                                                                \
	{                                                                                          \
		.rootfd = -1                                                                       \
	}

/* What it takes to get at it. */
struct source_help {
	const char *work; /* a directory of ours, mode 0700, kept between two calls */
	const struct site_source *secret; /* or NULL */
	const char *known_hosts;          /* or NULL */
	/* By whom a snapshot must be signed: each of the two that is there */
	const struct sign_wanted *signers, *site_signers;
	const struct stage_opts *stage; /* of site:; NULL = there is no engine to ask */
	struct restore_filter *filter;  /* what must not even be fetched */
	enum site_env env;
	const struct restore_claim *claims; /* of ssh: all that is fetched; NULL = all */
	size_t claims_n;
	bool last;   /* what is fetched is compared with the source, byte by byte, ... */
	bool proved; /* ... unless somebody else does so */
	void (*ahead)(void *ctx); /* who may then do some of it before rsync, or NULL */
	void *ctx;
	bool dry_run; /* nothing is fetched: what would have to be is ERR_USAGE */
};

/* Makes it ready; again, when something may have changed there. */
int source_ready(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;

/* One tree of a source: what it has, and the part of it that is wanted. */
struct source_tree {
	struct manifest made;         /* here, from a directory; else empty */
	struct apply_content content; /* of that */
	int fd;
	const struct manifest *all; /* borrowed: of `made` or of the source */
	const struct apply_content *all_of;
	const char *below;             /* of `all` */
	struct restore_filter *filter; /* of a snapshot, borrowed */
	struct restore_filter *strip;  /* notes what was taken off; NULL = nothing is */
	struct restore_view view;
	struct manifest_seen *seen; /* not saved yet */
	int seenfd;                 /* borrowed, as its name */
	const char *seen_name;
};
struct source_want {
	const char *below; /* path of the source; "" = all */
	struct restore_filter *filter;
	unsigned threads;
	bool living;      /* a warm copy: what changes meanwhile will be read again */
	int seenfd;       /* the directory of what was read before; -1 = every byte is read */
	const char *seen; /* and the name of it there */
	bool content;     /* every byte is read all the same, and that is remembered */
	bool dry_run;     /* nothing is remembered */
	bool later;       /* files may stay unread, until they are filled in */
	bool strip;       /* restore_view_strip */
};
/* Reads the tree, and makes the view of it. *ret must not be moved; the caller releases it, also a
 * zeroed one with fd -1. ERR_VERIFY when the source has no such directory. */
int source_tree(struct source *s, const struct source_want *w, struct source_tree *ret,
		struct err *e) MUST_CHECK;
/* Makes the view anew, without the paths that are in the map. */
int source_tree_drop(struct source_tree *t, const struct map *drop, struct err *e) MUST_CHECK;
void source_tree_release(struct source_tree *t);
/* When nothing is unread any more: what was read is remembered. */
int source_tree_learnt(struct source_tree *t, struct err *e) MUST_CHECK;
/* Whether there is such a directory. */
int source_has(const struct source *s, const char *below, bool *ret, struct err *e) MUST_CHECK;

/* Of the kinds: */

#define SOURCE_FETCHED "fetched" /* in WORK */

/* Another site's data: its instance must not run, but for a warm copy. */
int source_open_site(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;

/* A snapshot, and what it has; source_snapshot_free accepts NULL. */
int source_open_snapshot(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;
const struct manifest *source_snapshot_manifest(const struct source_snapshot *s);
const struct apply_content *source_snapshot_content(const struct source_snapshot *s);
/* Takes the files out of it that cannot be read, and appends their paths. */
int source_snapshot_drop_lost(struct source_snapshot *s, struct strv *ret,
			      struct err *e) MUST_CHECK;
void source_snapshot_free(struct source_snapshot *s);

/* rsync over ssh to WORK/fetched; any exit but 0 is ERR_REMOTE. */
int source_fetch_ssh(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;
/* All objects below a prefix to WORK/fetched; what is there with the same size and time stays. */
int source_fetch_s3(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;
/* An archive to WORK/fetched, when it is not there already as this very file; which file that was,
 * and for which environment, is noted beside it. */
#define SOURCE_UNPACKED "unpacked"
int source_fetch_tar(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;
/* What archive/owners.h says of it, in WORK; of a test only in memory. */
#define SOURCE_OWNERS "owners"
enum { SOURCE_OWNERS_MAX = 256 << 20 };
/* Makes `names`, `perms` and `by_number` of that, once. ERR_VERIFY for an ACL that names somebody
 * without a number here, and for two names that would become one number. */
int source_owners(struct source *s, const struct source_help *h, struct err *e) MUST_CHECK;

/* The tables of users and groups of the tree that is open; *ret_own false: it has none, and they
 * are the machine's. */
struct source_tables {
	struct buf passwd, group;
	bool own;
};
#define SOURCE_TABLES_INIT                                                                         \
	{                                                                                          \
		BUF_INIT(8 << 20), BUF_INIT(8 << 20), false                                        \
	}
int source_tables(const struct source *s, struct source_tables *ret, struct err *e) MUST_CHECK;
void source_tables_release(struct source_tables *t);
/* The key or passphrase; ERR_USAGE when there is none. Released by site_secret_release. */
int source_secret(const struct source_help *h, const char *what, struct buf *ret,
		  struct err *e) MUST_CHECK;

/* Permissions and owners as getfacl(1) -R writes them: TYPE-perms.txt at the root of the account.
 * ERR_RECIPE with FILE:LINE for a line that is none of its. */
struct source_perms *source_perms_new(void) MUST_CHECK;
int source_perms_parse(struct source_perms *p, const char *file, char *text,
		       struct err *e) MUST_CHECK;
int source_perms_read(int dirfd, struct source_perms **ret, struct err *e) MUST_CHECK;
void source_perms_free(struct source_perms *p);
/* Gives the entries of a manifest of `below` their owners, modes and ACLs; strings are lent. An
 * entry without a record gets the owner of the directory that it is in, and the account's own files
 * stay its own; *ret_without says how many have none. ERR_VERIFY where no directory above has one.
 */
int source_perms_apply(const struct source_perms *p, const char *below, struct manifest *m,
		       uint64_t *ret_without, struct err *e) MUST_CHECK;

#endif
