/* policy_rule.h - one rule of a policy: read and applied; for the files of sign/ only. */
#ifndef SIGN_POLICY_RULE_H
#define SIGN_POLICY_RULE_H

#include "base/strv.h"
#include "form/yaml.h"
#include "sign/notation.h"
#include "sign/policy.h"
#include "sign/promotion.h"

/* When a key counts, seconds, both included. */
struct rule_window {
	int64_t from, until;
};

/* A statement that must be there, and what its predicate must say: members by their path. */
struct rule_statement {
	char *type;
	struct strv paths, values;
};

struct rule {
	char *match;
	unsigned line;
	struct sign_public **keys;
	struct rule_window *windows; /* one a key */
	size_t keys_n;
	unsigned forms;
	uint64_t require;
	struct sign_authority *tsa; /* or NULL */
	struct rule_statement *statements;
	size_t statements_n;
	int stage;                    /* 0 = any */
	struct notation_roots *roots; /* a notation signature must lead there; or NULL */
	char *subject;                /* and name this; or NULL */
};
void rule_release(struct rule *r);

/* Reads one rule; every fault has its place. Relative names start at dir. */
int rule_parse(const char *dir, const struct yaml *map, struct rule *r, struct err *e) MUST_CHECK;

/* Every key of the map must be one of `known`, which ends in NULL. */
int rule_keys_known(const struct yaml *map, const char *const *known, struct err *e) MUST_CHECK;

struct rule_question {
	const struct oci_layout *layout;
	const struct oci_desc *manifest;
	const char *identity;
};

/* Applies a rule; ERR_VERIFY says what is missing. The caller releases *ret. */
int rule_judge(const struct rule *rule, const struct rule_question *q, struct sign_report *ret,
	       struct err *e) MUST_CHECK;

/* The same of a file. */
int rule_judge_file(const struct rule *rule, const struct sign_policy_file *f,
		    struct digest *ret_digest, struct sign_report *ret, struct err *e) MUST_CHECK;

#endif
