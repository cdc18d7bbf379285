/* script.h - the look at one command of a script. */
#ifndef IMPORT_SCRIPT_H
#define IMPORT_SCRIPT_H

#include "form/shell.h"
#include "import/parts.h"

/* Looks at the i-th command: what it downloads, installs, switches on, or opens to everyone. */
void command_look(struct script *s, const struct shell *sh, size_t i);

/* The word of a command that is its program, past assignments, sudo and their like; words.n when
 * there is none. */
size_t command_program(const struct shell_command *c) MUST_CHECK;

/* The name of the program without its directory, or "". */
const char *command_name(const struct shell_command *c) MUST_CHECK;

/* How a command installs packages. */
struct installer {
	const char *program;  /* "yum", or NULL when the command is another */
	const char *verb;     /* "install" */
	struct strv packages; /* names, as they are written */
	struct strv urls;     /* what it takes from the network or from a file */
	bool expands;         /* has words that only a run can tell */
};
void command_installer(const struct shell_command *c, struct installer *ret);
void installer_release(struct installer *i);

/* Whether the installer's verb is one that brings packages in. */
bool installer_installs(const struct installer *i) MUST_CHECK;

/* Takes the packages of an installer over into the recipe. */
void installer_lift(const struct spot *at, const struct installer *i);

/* Units that a command enables, disables or masks: the list that they belong into and the words, or
 * false when it does not. */
bool command_units(struct import *im, const struct shell_command *c, struct strv **ret_list,
		   struct strv *ret_units);

#endif
