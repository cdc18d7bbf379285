/* parts.h - what the files of restore/ share. */
#ifndef RESTORE_PARTS_H
#define RESTORE_PARTS_H

#include "apply/apply.h"
#include "base/map.h"
#include "restore/restore.h"

/* What is left out of a tree on purpose, and how often it was. */
struct restore_filter;
/* The rules for an environment, and further patterns (may be NULL). `at` is where the tree is on
 * its machine ("/usr2"; "" = it is the root): rules are about absolute paths. */
struct restore_filter *restore_filter_new(enum site_env env, const struct strv *more,
					  const char *at) MUST_CHECK;
void restore_filter_free(struct restore_filter *f);
void restore_filter_freep(struct restore_filter **f);
/* From now on devices are left out, too; and a file may be noted for its RESTORE_PRIVILEGES. */
void restore_filter_of_site(struct restore_filter *f);
#define RESTORE_PRIVILEGES "privileges"
/* Whether an entry of the tree belongs; counted when it does not. May be called from any thread. */
bool restore_filter_wants(struct restore_filter *f, const char *path, enum manifest_type type);
/* The same, and it is not counted. */
bool restore_filter_passes(const struct restore_filter *f, const char *path,
			   enum manifest_type type);
/* The same of a name in a list, where a directory that is held back still has what is in it. */
struct restore_fetching {
	bool tests; /* only what no test may have */
	bool count;
};
bool restore_filter_fetches(struct restore_filter *f, const char *path,
			    const struct restore_fetching *how);
/* Its patterns, those of what no test may have in any case of letters; or only these. */
void restore_filter_patterns(const struct restore_filter *f, bool tests, struct strv *ret);
/* A name of a source: its path there, the absolute one on its machine, and of which earlier name's
 * file it is another (NULL = it is none). */
struct restore_name {
	const char *path, *full, *same_as;
};
/* Finds the other names of all files that no test may have by one of their names: from now on they
 * are held back, too, by the paths that they have in the list. */
void restore_filter_find_links(struct restore_filter *f, const struct restore_name *v, size_t n);
/* Gives those below a directory of it ("" = all) to the filter of that tree. */
void restore_filter_lend_links(const struct restore_filter *from, const char *below,
			       struct restore_filter *to);
/* Whether a path is one of them. */
bool restore_filter_is_link(const struct restore_filter *f, const char *path);
/* Notes one that a look at its content left out, once. */
void restore_filter_note(struct restore_filter *f, const char *rule, const char *path);
/* Adds to *list an object for each rule: "rule", "pattern", "why", "count", and some "paths". */
void restore_filter_report(const struct restore_filter *f, struct jval *list);
/* How many entries were left out. */
uint64_t restore_filter_count(const struct restore_filter *f);

/* A manifest and its content as a part of another: what lies below a directory of it, without what
 * is dropped. Strings and content are the other's; other names of a file whose first one is not in
 * the part get a first one of their own. */
struct restore_view {
	struct manifest m; /* v is its own, what is in v is not */
	size_t *from;      /* entry of the whole */
	struct apply_content content;
	const struct apply_content *whole;
	void **own; /* attributes of its own, own_n of them */
	size_t own_n;
};
struct restore_part {
	const struct manifest *of;
	const struct apply_content *content;
	const char *below;             /* "" = all of it */
	struct restore_filter *filter; /* or NULL */
	bool again;                    /* what the filter holds back was counted before */
	const struct map *drop;        /* paths in the part, or NULL */
};
/* ERR_VERIFY when there is no such directory. */
int restore_view_make(const struct restore_part *p, struct restore_view *ret,
		      struct err *e) MUST_CHECK;
/* Takes off what would make a program root's: set-id bits of root's files, and capabilities. Each
 * such file is noted. */
void restore_view_strip(struct restore_view *v, struct restore_filter *f);
/* Accepts a zeroed struct. */
void restore_view_release(struct restore_view *v);

/* The manifest of an open directory. */
struct restore_making {
	const struct manifest_names *names;
	struct restore_filter *filter; /* or NULL */
	unsigned threads;
	const char *what;           /* of its progress */
	bool living;                /* what changes meanwhile, or goes away, is no error */
	struct manifest_seen *seen; /* believed and brought up to date; NULL = every byte is read */
	bool later;                 /* what is not remembered stays unread */
};
int restore_make(int dirfd, const struct restore_making *how, struct manifest *ret,
		 struct err *e) MUST_CHECK;

/* One directory that is filled. */
struct restore_target {
	int dirfd;
	int memfd;          /* the directory of its memory */
	const char *memory; /* and the name of it there */
	const struct manifest_names *names;
	unsigned threads;
	bool dry_run;
	/* What errors call it: all of it is read again, too, as restore_check does, while it is
	 * brought to the disk; NULL = it is not. */
	const char *verify;
	uint64_t *differences, *verify_ms; /* of that */
};
/* Makes it what the view says, and remembers its blocks. What is unread in the view is not any more
 * when it is done. */
int restore_fill(struct restore_view *v, const struct restore_target *to, struct apply_result *ret,
		 struct err *e) MUST_CHECK;
/* Reads all of it again: anything but what the view says is ERR_VERIFY, naming the first ones. How
 * many differences there are is added to *to->differences in any case. Large files are compared
 * with the hashes of their blocks in the memory, keyed ones; all others by SHA-256. */
int restore_check(const struct restore_view *v, const struct restore_target *to, const char *what,
		  struct err *e) MUST_CHECK;

/* Makes a directory of ours, mode 0700, and opens it. The default ACL of the one that it is in,
 * which what is made below would get, ends here. */
int restore_own_dir(const char *path, int *ret, struct err *e) MUST_CHECK;

/* A list of texts in a report. */
struct jval *restore_report_list(const struct strv *l) MUST_CHECK;
/* The figures of a tree in a report. */
void restore_report_tree(struct jval *o, const struct manifest *m, const struct apply_result *r);

#endif
