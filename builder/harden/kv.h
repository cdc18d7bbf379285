/* kv.h - settings of programs: key and value as the program itself would end up with them. */
#ifndef HARDEN_KV_H
#define HARDEN_KV_H

#include "harden/root.h"

enum kv_syntax {
	KV_WORDS,   /* key blank value */
	KV_EQUALS,  /* key = value, or a key alone */
	KV_INI,     /* the same below [Section]; the key is "Section.Key" */
	KV_LIMITS,  /* limits.conf(5): domain type item value; the key is "type item" */
	KV_SSHD,    /* sshd_config(5): Include in place, Match blocks */
	KV_SHELL,   /* KEY=value with quotes */
	KV_SUDOERS, /* sudoers(5): Defaults */
};

enum kv_wins {
	KV_FIRST,
	KV_LAST,
	KV_EVERY, /* each occurrence counts for what follows it */
};

struct kv_format {
	const char *name;
	enum kv_syntax syntax;
	enum kv_wins wins;
	bool nocase;         /* of keys, and of values that are not paths */
	const char *main;    /* the file; NULL: the profile names it */
	const char *dropins; /* directory of *.conf in /etc, below /run and /usr/lib too; or NULL */
	bool main_last;      /* the main file is read after the drop-ins */
	const char *include; /* the line of the main file that has the drop-ins read, or NULL */
	const char *dropin;  /* the name a fix writes there; NULL = it edits the main file */
	bool echo;           /* a fix also says so in the main file, for who reads only that */
	const char *comment; /* characters that begin a comment line */
	const char *join;    /* what a fix writes between key and value */
};

struct kv_entry {
	char *key, *val;
	char *file;  /* relative to the root */
	size_t line; /* from 1 */
	bool scoped; /* holds for some only: in a Match block, for one user */
};

struct kv_set {
	struct kv_entry *v;
	size_t n;
};

/* The format of that name, or NULL; all names, ended by NULL. */
const struct kv_format *kv_format_find(const char *name);
const char *const *kv_format_names(void);

/* Reads what is in effect: of each key the one that wins, or all that add up, and every scoped
 * entry. `main` stands in
 * for f->main when that is NULL. */
int kv_read(int rootfd, const struct kv_format *f, const char *main, struct kv_set *ret,
	    struct err *e) MUST_CHECK;
void kv_release(struct kv_set *s);

/* Sets a key in a file, replacing its last line or adding one; the file is made if absent. */
int kv_write(int rootfd, const struct kv_format *f, const char *path, const char *const key_val[2],
	     struct err *e) MUST_CHECK;

/* The path of the file that a fix writes; the caller owns it. */
char *kv_target(const struct kv_format *f, const char *main);

/* Whether two keys are the same in this format. */
bool kv_same_key(const struct kv_format *f, const char *a, const char *b);

/* For the readers: key, value and scope of a line into *ret. Returns false for what is no setting.
 * *section is the current one, owned, changed by a section line. */
bool kv_split(const struct kv_format *f, const char *line, char **section, struct kv_entry *ret);
void kv_take(struct kv_set *s, struct kv_entry *en);
void kv_entry_release(struct kv_entry *en);

/* sshd_config.c: every setting in the order that sshd reads them. */
int sshd_read(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
	      struct err *e) MUST_CHECK;

/* sudoers.c: every Defaults setting in the order that sudo reads them; "!name" has the value "!".
 */
int sudoers_read(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
		 struct err *e) MUST_CHECK;

/* Appends path and the files that sudo reads because of it, each once. */
int sudoers_files(int rootfd, const char *path, struct strv *ret, struct err *e) MUST_CHECK;

#endif
