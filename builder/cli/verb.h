/* verb.h - one declaration per subcommand feeds dispatch, usage and the check of the manual. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "cli/args.h"

struct verb {
	const char *name;
	const char *args; /* positional arguments, as the manual writes them */
	const char *help; /* one line, imperative, ends in a full stop */
	size_t min;       /* positional arguments, fewest */
	size_t max;       /* and most */
	const struct opt *opts;
	int (*run)(const struct args *a, struct err *e);
};

/* Alphabetical, ends in NULL. */
extern const struct verb *const verbs[];

/* Prints the list of verbs, or one verb's help, to standard output. */
void verb_usage(void);
void verb_help_print(const struct verb *v);
const struct verb *verb_find(const char *name);

struct plan;

/* The plan as text, one line a stage. */
void plan_print(const struct plan *p);

extern const struct verb verb_audit, verb_build, verb_copy, verb_cutover, verb_delete, verb_destroy,
    verb_diff, verb_help, verb_host, verb_import, verb_key, verb_lock, verb_logs, verb_machine,
    verb_manifest, verb_media, verb_menu, verb_nightly, verb_outdated, verb_plan, verb_promote,
    verb_pull, verb_push, verb_rebuild, verb_report, verb_restore, verb_retain, verb_sbom,
    verb_scan, verb_sign, verb_snapshot, verb_stage, verb_start, verb_status, verb_stop, verb_store,
    verb_tags, verb_verify, verb_version, verb_vpn;

#endif
