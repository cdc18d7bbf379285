/* kickstart.h - the commands and sections of a kickstart, one after the other. */
#ifndef IMPORT_KICKSTART_H
#define IMPORT_KICKSTART_H

#include "import/parts.h"

struct ks_option {
	char *name;  /* without dashes */
	char *value; /* NULL when there is none */
	bool used;
};

struct ks_command {
	struct spot at;
	char *name;
	struct ks_option *options;
	size_t options_n;
	struct strv words; /* what is no option */
	bool words_used;
};

/* What became of a command. */
enum outcome {
	OUTCOME_FOUND,   /* only findings */
	OUTCOME_CARRIED, /* data of the recipe; options that nobody asked for become a finding */
	OUTCOME_REPLACED,
};

/* Takes words apart, the first of which is the name. The caller releases *ret. */
void ks_command_parse(const struct spot *at, const struct strv *words, struct ks_command *ret);
void ks_command_release(struct ks_command *c);

/* The value of an option, "" for one without; NULL when it is not there. Any unambiguous beginning
 * of three letters counts, and case does not. It is used then. */
const char *ks_option(struct ks_command *c, const char *name);

/* The first word that is no option, or ""; all words are used then. */
const char *ks_word(struct ks_command *c);

/* "--a, --b": the options that nobody asked for, or all; the caller owns it. */
char *ks_options_text(const struct ks_command *c, bool unused_only) MUST_CHECK;

/* Cuts a list at commas and blanks; appends to *ret. */
void ks_split(const char *list, struct strv *ret);

/* Runs a command through the table of those that are known. */
void ks_command_run(struct ks_command *c);

/* The handlers, by what they are about. */
enum outcome ks_rootpw(struct ks_command *c);
enum outcome ks_user(struct ks_command *c);
enum outcome ks_group(struct ks_command *c);
enum outcome ks_sshkey(struct ks_command *c);
enum outcome ks_auth(struct ks_command *c);
enum outcome ks_services(struct ks_command *c);
enum outcome ks_firewall(struct ks_command *c);
enum outcome ks_selinux(struct ks_command *c);
enum outcome ks_timezone(struct ks_command *c);
enum outcome ks_lang(struct ks_command *c);
enum outcome ks_keyboard(struct ks_command *c);
enum outcome ks_url(struct ks_command *c);
enum outcome ks_module(struct ks_command *c);

/* One section: its header's words, and its body, which are lines first to last (exclusive). */
struct kickstart;
struct ks_section {
	struct ks_command header;
	const struct kickstart *k;
	size_t first, last;
	unsigned depth;  /* of includes */
	const char *dir; /* of the kickstart */
};

/* Reads a section. Errors are those of included files. */
int ks_packages(struct ks_section *s, struct err *e) MUST_CHECK;
int ks_script(struct ks_section *s, struct err *e) MUST_CHECK;
void ks_addon(struct ks_section *s);
void ks_installer_section(struct ks_section *s);

/* Opens what %include names: *ret is NULL, and there is a finding, when it cannot be told now.
 * Circles, and more than INCLUDES_DEEP of them, are ERR_RECIPE. */
int ks_include(const struct spot *at, const char *path, const struct ks_section *in,
	       struct source **ret, struct err *e) MUST_CHECK;

/* The base, from the repositories that were named. */
void ks_base(struct import *im);

#endif
