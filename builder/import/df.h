/* df.h - the instructions of a Dockerfile, one after the other. */
#ifndef IMPORT_DF_H
#define IMPORT_DF_H

#include "form/dockerfile.h"
#include "import/kickstart.h"

enum {
	DF_VARIABLES_MAX = 512,
	DF_VARIABLES_BYTES = 64 << 10, /* of their names and values: each script is given them */
	DF_COPIED_MAX = 1000,
};

struct df {
	struct import *im;
	const struct dockerfile_instruction *i;
	struct spot at;
	char *context;        /* the directory that COPY and ADD read */
	struct strv vars;     /* NAME=VALUE of ARG and ENV, the latest last */
	struct strv env;      /* those of ENV alone */
	struct strv shell;    /* of SHELL, without the closing -c */
	struct strv volumes;  /* that were declared already */
	struct strv copied;   /* where COPY and ADD have put something */
	char *workdir, *user; /* as of here; NULL = none */
	unsigned runs, overlays;
	size_t bytes, files; /* that COPY has taken along */
	bool scratch;        /* FROM scratch */
	bool filled;         /* and an archive has been added to it */
	char escape;
};

/* Expands $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word}; names that nothing sets are a finding
 * and are empty. The caller owns the result. */
char *df_expand(struct df *d, const char *text) MUST_CHECK;

/* Cuts a line into words, which quotes and backslashes hold together; expands outside of single
 * quotes when asked to. */
void df_words(struct df *d, const char *text, bool expand, struct strv *ret);

/* The value of a name, or NULL; sets one. Past the limits it is a finding, false, and as it was. */
const char *df_value(const struct df *d, const char *name);
bool df_set(struct df *d, const char *name, const char *value);

/* An absolute path: the text, or below the working directory; "." and ".." are taken out. NULL when
 * it leads out of "/". The caller owns it. */
char *df_path(const struct df *d, const char *text) MUST_CHECK;

/* The instructions. */
enum outcome df_env(struct df *d);
enum outcome df_label(struct df *d);
enum outcome df_expose(struct df *d);
enum outcome df_volume(struct df *d);
enum outcome df_start(struct df *d);
enum outcome df_user(struct df *d);
enum outcome df_workdir(struct df *d);
enum outcome df_stopsignal(struct df *d);
enum outcome df_shell(struct df *d);
enum outcome df_run(struct df *d);
enum outcome df_copy(struct df *d);

/* Notes a finding when a path lies in a volume that was declared before. */
void df_check_volume(struct df *d, const char *path);

#endif
