/* dockerfile.h - the instructions of a Dockerfile: continuations joined, comments between them
 * dropped, flags, argument lists and here-documents taken apart. Nothing is expanded. */
#ifndef FORM_DOCKERFILE_H
#define FORM_DOCKERFILE_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>

enum {
	DOCKERFILE_BYTES = 4 << 20, /* of the file */
	DOCKERFILE_LINE = 64 << 10, /* bytes of one line */
	DOCKERFILE_LINES = 100000,  /* of the file */
};

enum dockerfile_form {
	DOCKERFILE_SHELL,
	DOCKERFILE_EXEC,        /* ["program", "argument"] */
	DOCKERFILE_TYPOGRAPHIC, /* the same with quotes that JSON does not have */
};

struct dockerfile_heredoc {
	char *marker;
	char *body; /* without the closing line */
	bool quoted;
	bool closed;
	unsigned line; /* of the body's first line */
};

struct dockerfile_instruction {
	char *name;          /* upper case */
	unsigned line, last; /* from 1 */
	struct strv flags;   /* "--from=x" */
	char *rest;          /* after name and flags, in one line */
	char *text;          /* the same where continued lines still end in a backslash */
	unsigned *lines;     /* which line of the file each of its lines is */
	size_t lines_n, lines_cap;
	enum dockerfile_form form;
	struct strv exec; /* unless DOCKERFILE_SHELL */
	struct dockerfile_heredoc *heredocs;
	size_t heredocs_n;
};

struct dockerfile {
	struct dockerfile_instruction *v;
	size_t n, cap;
	struct strv directives; /* "escape=`", lower-case key */
	unsigned *comments;     /* the lines that are comments, directives included */
	unsigned *blanks;       /* and those that are blank */
	size_t comments_n, comments_cap, blanks_n, blanks_cap;
	unsigned lines;
};

/* Takes n bytes apart. Zero bytes and what is larger than the limits are refused (ERR_RECIPE,
 * FILE:LINE:COL). The caller releases *ret. */
int dockerfile_read(const char *p, size_t n, const char *file, struct dockerfile *ret,
		    struct err *e) MUST_CHECK;
void dockerfile_release(struct dockerfile *d);

#endif
