/* lines.h - texts line by line, and edits that leave every other line as it is. */
#ifndef HARDEN_LINES_H
#define HARDEN_LINES_H

#include "harden/root.h"

/* The lines of a text, without their ends; a last line without one counts. */
void lines_split(const char *text, struct strv *ret);

/* The text of lines, each ended by a newline. */
void lines_join(const struct strv *lines, struct buf *ret);

/* Reads a file of the tree as lines; an absent one has none. Bytes of 0 are refused. */
int lines_read(int rootfd, const char *path, struct strv *ret, bool *ret_there,
	       struct err *e) MUST_CHECK;

/* Writes them back by root_write. */
int lines_write(int rootfd, const char *path, const struct strv *lines, mode_t mode,
		struct err *e) MUST_CHECK;

/* Puts a copy of text in front of line i (i == n appends), or replaces, or drops line i. */
void lines_insert(struct strv *lines, size_t i, const char *text);
void lines_replace(struct strv *lines, size_t i, const char *text);
void lines_drop(struct strv *lines, size_t i);

/* The words of a line, split at blanks; a word in double quotes keeps its blanks. */
void line_words(const char *line, struct strv *ret);

/* The fields of a line, split at every `sep`; empty ones count. */
void line_fields(const char *line, char sep, struct strv *ret);

/* Cuts blanks from both ends, in place; returns the new start. */
char *line_trim(char *s);

#endif
