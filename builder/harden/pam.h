/* pam.h - the stacks of /etc/pam.d (pam.d(5)), with their includes resolved. */
#ifndef HARDEN_PAM_H
#define HARDEN_PAM_H

#include "harden/root.h"

struct pam_line {
	char *type;    /* "auth", without a leading '-' */
	char *control; /* "required", "[success=1 default=ignore]": one blank between words */
	char *module;
	struct strv args;
	char *file;     /* relative to the root */
	size_t line;    /* from 1 */
	unsigned level; /* how many substacks it is in */
};

struct pam_stack {
	struct pam_line *v;
	size_t n;
};

/* One line of a file; false when it is empty, a comment, or "@include" (*ret_include is then its
 * file's name, owned; may be NULL). */
bool pam_parse(const char *text, struct pam_line *ret, char **ret_include);
void pam_line_release(struct pam_line *l);

/* The text of a line. */
char *pam_format(const struct pam_line *l);

/* Everything that the service or common file `name` runs, in order, includes and substacks in
 * place, the line of a substack before those it has, and lines that go on in the next one joined.
 * An absent file is an empty stack. */
int pam_read(int rootfd, const char *name, struct pam_stack *ret, struct err *e) MUST_CHECK;
void pam_release(struct pam_stack *s);

/* Makes jumps ("[success=1 ...]") of the lines of `type` before line `at` of a file one line longer
 * (by 1) or shorter (by -1) where they lead past it: a line of that type was put in or taken out
 * there. */
void pam_jumps_shift(struct strv *lines, size_t at, const char *type, int by);

/* The next "VALUE=ACTION" of a control in brackets, with blanks around "=" or not; *p goes on
 * behind it. false: there is none. The caller owns both. */
bool pam_action(const char **p, char **ret_value, char **ret_action);

/* Whether the lines of type auth may let somebody in when every module that asks for a proof says
 * no, in whichever words, and the others say what they like. A module that is not known counts as
 * one that asks, a control that cannot be read as one that lets in. */
bool pam_lets_in(const struct pam_stack *s);

/* Whether the module is known to ask for no proof: it says yes, no, or what the time, the terminal
 * or the account is. */
bool pam_asks_nothing(const struct pam_line *l);

/* Joins a line that ends with a backslash and the next one, which is left empty. */
void pam_join(struct strv *lines);

#endif
