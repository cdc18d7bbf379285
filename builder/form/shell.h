/* shell.h - which commands a shell script has, as far as that can be told without running it: for
 * those who look for downloads, package installs and traps in scripts of others. It finds the words
 * of simple commands, what is redirected, and here-documents; it does not expand or check anything.
 * Time and memory are linear in the length of the script. */
#ifndef FORM_SHELL_H
#define FORM_SHELL_H

#include "base/mem.h"
#include <stdbool.h>

struct shell_word {
	char *text;    /* without quotes; owned */
	unsigned line; /* from 1 */
	bool quoted;   /* begins with a quote */
	bool expands;  /* has a parameter or command substitution */
};

struct shell_words {
	struct shell_word *v;
	size_t n, cap;
};

enum shell_end {
	SHELL_END,  /* of the script or of a substitution */
	SHELL_LINE, /* a line end or ';' */
	SHELL_AND,
	SHELL_OR,
	SHELL_PIPE,
	SHELL_BACKGROUND,
};

struct shell_command {
	struct shell_words words; /* in order; without redirections */
	struct shell_words files; /* what is redirected to or from */
	size_t from, to;          /* bytes of the script */
	size_t next;              /* the byte after what ends it */
	unsigned line;
	unsigned depth; /* 0 = of the script itself, else inside a substitution */
	enum shell_end end;
};

struct shell_heredoc {
	char *marker;
	bool quoted;      /* the marker is, so nothing in the body is expanded */
	bool tabs;        /* "<<-": tabs in front of its lines do not count */
	bool closed;      /* the marker was found again */
	unsigned line;    /* of the "<<" */
	unsigned expands; /* the first line of the body with something to expand, or 0 */
	unsigned nested;  /* the first line of the body that opens one of the same marker, or 0 */
	unsigned last;    /* the line of the closing marker, or the last of the script */
	size_t from, to;  /* the body */
	unsigned body;    /* its first line */
};

struct shell {
	struct shell_command *commands;
	struct shell_heredoc *heredocs;
	unsigned *continued; /* comments that end in a backslash, where the next line is live */
	size_t commands_n, commands_cap, heredocs_n, heredocs_cap, continued_n, continued_cap;
	bool compound; /* has a loop, condition, group, function or subshell */
};

/* Reads n bytes; never fails: what is not closed ends with the script. The caller releases *ret. */
void shell_read(const char *p, size_t n, struct shell *ret);
void shell_release(struct shell *s);

/* The i-th word of a command, or "" when it has fewer. */
const char *shell_arg(const struct shell_command *c, size_t i) MUST_CHECK;

#endif
