/* aide_config.h - aide.conf(5): which files are watched, and what of them. */
#ifndef HARDEN_AIDE_CONFIG_H
#define HARDEN_AIDE_CONFIG_H

#include "harden/root.h"

struct aide_rule {
	char kind;   /* '/' and what is below, '=' that alone, '!' not */
	char *regex; /* on paths, matched from their beginning */
	char *group; /* what is looked at; "" for '!' */
	char *file;  /* relative to the root */
	size_t line; /* from 1 */
};

struct aide_config {
	struct aide_rule *rules;
	size_t n;
	struct strv names, values; /* definitions of groups */
};

/* Reads a file with what it includes; a file that would be run to be included is left out, and
 * conditions are refused. Loops, and more than 100000 rules, are errors. */
int aide_config_read(int rootfd, const char *path, struct aide_config *ret,
		     struct err *e) MUST_CHECK;

/* Takes the rules and definitions of one text; includes are not followed. */
int aide_config_parse(const struct strv *lines, const char *file, struct aide_config *ret,
		      struct err *e) MUST_CHECK;
void aide_config_release(struct aide_config *c);

/* Whether the rule is about the path. A rule whose expression is broken is about none. */
bool aide_rule_matches(const struct aide_rule *r, const char *path);

/* Appends what a group stands for in the end: "sha512", "p". */
void aide_attributes(const struct aide_config *c, const char *group, struct strv *ret);

#endif
