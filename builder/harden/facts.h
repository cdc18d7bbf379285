/* facts.h - what several controls want to know of a tree, read once. A fix drops it. */
#ifndef HARDEN_FACTS_H
#define HARDEN_FACTS_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct account {
	char *name;
	uint32_t uid, gid;
	char *home, *shell;
	char *pw;   /* field 2 of passwd(5) */
	char *hash; /* field 2 of shadow(5), or NULL without a row there */
};

struct account_group {
	char *name;
	uint32_t gid;
	struct strv members;
};

struct accounts {
	struct account *v;
	size_t n;
	struct account_group *groups;
	size_t groups_n;
};

/* What is wanted of a struct stat, so that many files take little room. */
struct facts_stat {
	mode_t st_mode; /* with the type */
	uid_t st_uid;
	gid_t st_gid;
	off_t st_size;
	time_t changed; /* its mtime's seconds; 0 where a source lists the files */
};

struct facts_file {
	char *path;
	struct facts_stat st;
	bool clean; /* looked into before, by those that look into files: nothing was found */
	bool bare;  /* known to have no capabilities */
	bool known; /* found to be what its package's list says (op_package_files.c), which then
		       need not be asked again: the list may be the word of whoever made the tree */
	bool base;  /* where a source lists the files: its bytes are the base stage's */
};

struct facts_files {
	struct facts_file *v; /* every entry of the tree, parents first */
	size_t n, cap;
};

/* Fills in the list for somebody who knows the tree without a walk. The type and the mode of what
 * it lists are those that a walk would find. */
struct facts_source {
	int (*list)(void *ctx, struct facts_files *ret, struct err *e);
	void *ctx;
	/* Something was found in this file: it is not clean the next time; may be NULL. */
	void (*found)(void *ctx, const char *path);
	/* Entry i of the list was found to be `known`; may be NULL. */
	void (*known)(void *ctx, size_t i);
};

struct facts;

/* rootfd: an open directory, borrowed. Nothing is read yet. */
struct facts *facts_new(int rootfd);
void facts_free(struct facts *f);
void facts_freep(struct facts **f);

/* Lists files with the source, which is borrowed, from now on; NULL = by a walk. */
void facts_use_source(struct facts *f, const struct facts_source *s);

/* Notes that file i of the list is as its package has it. */
void facts_known(struct facts *f, size_t i);

/* Tells the source that something was found in the file at path. */
void facts_found(struct facts *f, const char *path);

/* From now on a walk does not enter what is mounted in the tree. */
void facts_stay(struct facts *f);

/* Adds a copy of the path; the entry is lent until the next one is added. More than 8 Mi: an
 * error. */
int facts_files_add(struct facts_files *files, const char *path, struct facts_file **ret,
		    struct err *e) MUST_CHECK;

/* Forgets everything but the source: the tree has changed. */
void facts_drop(struct facts *f);

/* Borrowed until facts_drop. Damaged rows of an account file are errors. */
int facts_accounts(struct facts *f, const struct accounts **ret, struct err *e) MUST_CHECK;
int facts_files(struct facts *f, const struct facts_files **ret, struct err *e) MUST_CHECK;

/* Names of the installed packages (dpkg's status, status.d too; rpm's database), sorted. */
int facts_packages(struct facts *f, const struct strv **ret, struct err *e) MUST_CHECK;

/* One more thing that somebody found out about the tree, until facts_drop: given with what frees
 * it, and lent again; NULL when there is none. */
void facts_keep(struct facts *f, void *p, void (*free_p)(void *));
void *facts_kept(const struct facts *f);

/* Looks a name or a number up; NULL when there is none. */
const struct account *accounts_user(const struct accounts *a, const char *name);
const struct account *accounts_uid(const struct accounts *a, uint32_t uid);
const struct account_group *accounts_group(const struct accounts *a, const char *name);
const struct account_group *accounts_gid(const struct accounts *a, uint32_t gid);

#endif
