/* job.h - one run of apply_tree: what its parts share. Threads write only their own entry's slot
 * and record; counters are changed by __atomic_*. */
#ifndef APPLY_JOB_H
#define APPLY_JOB_H

#include "apply/apply.h"
#include "apply/memory.h"
#include <sys/stat.h>

enum slot_state {
	SLOT_ABSENT,  /* nothing of that name and type is there */
	SLOT_PRESENT, /* something of that type is, and has to be looked at */
	SLOT_SAME,    /* as this program left it, and as is wanted */
	SLOT_NEW,     /* a directory made by this run */
};

/* What is known of an entry of the manifest, and of what stands in its place. */
struct slot {
	uint64_t dev, ino; /* where something is present */
	uid_t uid;         /* as wanted */
	gid_t gid;
	uint32_t parent;  /* its directory */
	uint32_t leader;  /* the entry whose file it is another name of; itself otherwise */
	uint32_t another; /* the next other name of the leader's file; 0 = no more */
	uint16_t depth;   /* of directories */
	uint16_t mode;    /* of a directory that was made accessible meanwhile (lent) */
	uint8_t state;    /* enum slot_state */
	bool lent;
	bool changed; /* counted as such */
};

struct job {
	const struct manifest *want;
	const struct apply_content *content;
	const struct apply_opts *o;
	const struct manifest_names *names;
	int root;
	unsigned threads;
	bool mighty; /* root: modes do not stand in the way */
	struct slot *slots;
	struct apply_record
	    *records;       /* what was left, an entry each; ino 0 = nothing to remember */
	uint32_t *children; /* entries by directory, each directory's in order of names */
	uint32_t *first;    /* n + 1 of them: where a directory's children begin */
	uint32_t *dirs;     /* directories by depth */
	size_t dirs_n;
	struct apply_memory *memory;
	struct apply_result result;
	uint64_t files, bytes; /* for the progress */
	bool failed;           /* `err` is set, or is about to be: all threads stop */
	struct err err;        /* the first one's */
};

/* Makes slots, children and owners of the manifest, which is checked: ERR_VERIFY for one that
 * is no tree, or whose names of users and groups are not known here. */
int job_plan(struct job *j, struct err *e) MUST_CHECK;
/* Frees what that made; also twice. */
void job_release(struct job *j);

/* Whether to stop, because a thread failed or the operator wants it. */
bool job_stop(struct job *j);
/* Makes *e the run's error when it is the first. */
void job_fail(struct job *j, const struct err *e);

/* Opens entry i by its path below the root, through no symbolic link and into no other mounted file
 * system, with flags and mode of open(2). Returns the descriptor or -1 and errno. */
int job_open(const struct job *j, size_t i, int flags, mode_t mode);
/* Opens the directory of entry i; its name there is job_name. */
int job_parent(const struct job *j, size_t i, int *ret, struct err *e) MUST_CHECK;
const char *job_name(const struct job *j, size_t i);

/* Error of a step at entry i, from errno: ERR_BUSY, with errno in e->sys, where a program runs or a
 * file system is mounted. Returns -1. */
int job_err(const struct job *j, size_t i, const char *doing, struct err *e);

/* The latter's by itself. */
int job_mounted(const char *doing, const char *path, struct err *e);

/* Counts an entry whose content or attributes were changed, once. */
void job_changed(struct job *j, size_t i);
/* Tells the progress of one file that is done, or of none but bytes. */
void job_progress(struct job *j, uint64_t files, uint64_t bytes);

/* The n-th descriptor as a path, for calls that take only a path: works with O_PATH, and ends at a
 * symbolic link itself. */
struct job_fd_path {
	char s[40];
};
struct job_fd_path job_fd_path(int fd);

/* Removes what has the name in an open directory, and counts it with all that it holds; not through
 * a mounted file system. Immutable entries are made mutable first. */
int job_remove(struct job *j, int dirfd, const char *name, struct err *e) MUST_CHECK;
/* Clears what chattr(1) calls i and a from an open file or directory. */
void job_mutable(int fd);

/* Calls fn for each of n entries, by several threads, until one fails. */
int job_each(struct job *j, const uint32_t *v, size_t n,
	     int (*fn)(struct job *j, size_t i, struct err *e), struct err *e) MUST_CHECK;
/* The same for all directories: each after its parent (down), or before it. */
int job_levels(struct job *j, bool down, int (*fn)(struct job *j, size_t i, struct err *e),
	       struct err *e) MUST_CHECK;

/* Lists the directories, removes what is not wanted there, makes directories that are missing, and
 * then looks at what else is there. */
int job_look(struct job *j, struct err *e) MUST_CHECK;

/* Whether an inode is as this program left it, and that is what entry i should be. */
bool job_is_same(const struct job *j, size_t i, const struct stat *st);

/* Makes regular file i what it should be, content and attributes. */
int job_file(struct job *j, size_t i, struct err *e) MUST_CHECK;
/* The same of a symbolic link, fifo or device. */
int job_special(struct job *j, size_t i, struct err *e) MUST_CHECK;
/* Makes entry i another name of its leader's file. */
int job_link(struct job *j, size_t i, struct err *e) MUST_CHECK;
/* Gives directory i its attributes. */
int job_dir(struct job *j, size_t i, struct err *e) MUST_CHECK;

/* Removes the name of entry i, which is no directory. */
int job_unlink(struct job *j, size_t i, struct err *e) MUST_CHECK;

/* Whether the inode that entry i stands for has only names that the manifest gives it. */
bool job_names_fit(const struct job *j, size_t i, const struct stat *st);

/* Makes owner, mode, ACLs, attributes and time of an open entry (O_PATH will do) those of entry i;
 * *st is what they are. */
int job_attrs(struct job *j, size_t i, int fd, const struct stat *st, struct err *e) MUST_CHECK;
/* A hash of all that job_attrs sets. */
struct apply_hash job_attrs_hash(const struct job *j, size_t i);
/* Remembers an entry as it is now. */
int job_remember(struct job *j, size_t i, int fd, struct err *e) MUST_CHECK;

/* The wanted content of entry i written over what `fd` holds; *st is of before, `was` where the
 * hashes of its blocks are (MEMORY_NONE = unknown). The record's hashes and digest are set. */
struct apply_old {
	uint64_t size;
	uint64_t hashes;
	const struct digest *digest; /* or NULL */
};
int job_write(struct job *j, size_t i, int fd, const struct apply_old *old,
	      struct err *e) MUST_CHECK;
/* Reads what `fd` holds: its digest, and the hashes of its blocks. */
int job_read_old(struct job *j, int fd, struct apply_old *old, struct digest *ret,
		 struct err *e) MUST_CHECK;

#endif
