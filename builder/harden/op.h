/* op.h - the closed set of operations: what a control can want of a tree.
 *
 * An operation is data that states what is wanted; check and fix are two verbs of the same data.
 * A new one is a struct op_kind in a file op_NAME.c and a line in ops.c. */
#ifndef HARDEN_OP_H
#define HARDEN_OP_H

#include "harden/facts.h"
#include "harden/harden.h"
#include "harden/root.h"
#include "harden/spec.h"

struct op_run {
	int rootfd;
	const struct harden_context *c; /* never NULL */
	struct facts *facts;            /* what was read of the tree so far */
	struct strv *found;             /* check: what is not as wanted, one line each */
	struct strv *held;              /* check: values that are, one line each, where the
					   operation knows them; or NULL */
	struct strv *done;              /* fix: what was changed */
	struct gate_copy *copy; /* check: where programs of the tree run; NULL = they do not */
	struct strv *unrun;     /* check: those that did not, one line each; or NULL */
};

struct op_kind {
	const char *name;           /* its key in a control's `want` */
	bool whole_tree;            /* looks at every file of the tree */
	size_t size;                /* of the struct that holds what is wanted */
	const struct field *fields; /* how that is read */

	/* Completes and checks what the fields gave; may be NULL. */
	int (*finish)(void *want, const struct yaml *at, struct err *e);

	bool of_image; /* looks at what is beyond the tree (r->c->image) */

	/* Why it cannot be judged: what is not known of this object. NULL = it can; may be NULL. */
	const char *(*lacks)(const struct op_run *r, const void *want);

	/* Appends to r->found whatever differs. -1 with *e: it could not be judged, which counts
	 * as a failed control. */
	int (*check)(const struct op_run *r, const void *want, struct err *e);

	/* Makes check find nothing; only called when it found something. NULL: a person has to. */
	int (*fix)(const struct op_run *r, const void *want, struct err *e);

	/* What two wants cannot both have, in words; NULL when they can. The caller owns it. May be
	 * NULL itself: wants of the kind never contradict each other. */
	char *(*contradicts)(const void *a, const void *b);

	void (*release)(void *want); /* what finish made; may be NULL */
};

/* All of them, ended by NULL. */
extern const struct op_kind *const op_kinds[];

extern const struct op_kind op_absent, op_accounts, op_ageing, op_aide, op_apparmor,
    op_audit_privileged, op_audit_rules, op_banner, op_capabilities, op_enabled, op_file,
    op_firewall, op_ipsec, op_kernel_args, op_keyvalue, op_line, op_logrotate, op_mode, op_modules,
    op_mounts, op_owned, op_packages, op_pam, op_pam_modules, op_secrets, op_sticky, op_suid,
    op_time, op_unit_runs, op_units, op_writable, op_gate, op_confined, op_listening;

/* What is in the files, and the image itself. */
extern const struct op_kind op_certificates, op_link, op_links, op_lock, op_oci, op_package_files,
    op_release, op_scan, op_special_files, op_tls, op_waivers;

#endif
