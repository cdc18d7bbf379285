/* audit_rules.h - audit rules as auditctl(8) reads them, merged in the order of augenrules(8). */
#ifndef HARDEN_AUDIT_RULES_H
#define HARDEN_AUDIT_RULES_H

#include "harden/root.h"

enum audit_kind {
	AUDIT_RULE,    /* -a, -A or -w */
	AUDIT_LOCK,    /* -e */
	AUDIT_SETTING, /* -b, -f, -D and the like: no say in what is recorded */
	AUDIT_UNDO,    /* -d, -W, -R: what it leaves cannot be judged */
};

struct audit_rule {
	enum audit_kind kind;
	char *list, *action;  /* "exit", "always"; NULL for others than rules */
	char *watch;          /* path without a trailing slash, or NULL */
	unsigned perms;       /* of a watch: bits 1 r, 2 w, 4 x, 8 a */
	struct strv syscalls; /* empty or "all": each of them */
	struct strv fields;   /* "arch=b64", "auid>=1000": sorted, in one spelling */
	char *value;          /* of -e */
	char *file;           /* relative to the root */
	size_t line;          /* from 1 */
};

struct audit_rules {
	struct audit_rule *v; /* in the order in which they are loaded */
	size_t n;
};

/* Takes one line apart. Returns 1, 0 for a blank or a comment, or -1 with *e for what auditctl
 * would not load. */
int audit_rule_parse(const char *line, struct audit_rule *ret, struct err *e) MUST_CHECK;
void audit_rule_release(struct audit_rule *r);

/* All of /etc/audit/rules.d. What cannot be loaded ends the loading: an error. */
int audit_rules_read(int rootfd, struct audit_rules *ret, struct err *e) MUST_CHECK;
void audit_rules_release(struct audit_rules *s);

/* Whether what `wanted` records is recorded by the rules. */
bool audit_rules_cover(const struct audit_rules *s, const struct audit_rule *wanted);

/* Whether the rule keeps something from being recorded. */
bool audit_rule_silences(const struct audit_rule *r);

#endif
