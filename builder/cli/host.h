/* host.h - where instances are: what the verbs that run them have in common. */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include "cli/args.h"
#include "stage/stage.h"

#define HOST_OPTS                                                                                  \
	{0, "engine", "SOCKET", "The engine's socket; dockerd's or podman's when absent."},        \
	    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},         \
	{                                                                                          \
		0, "runtime", "DIR",                                                               \
		    "Where their secrets are while they run; /run/posmedia when absent."           \
	}

/* The options above and --dry-run; strings are borrowed. Paths that are not absolute are ERR_USAGE:
 * engines and mounts want those. */
int host_options(const struct args *a, struct stage_opts *ret, struct err *e) MUST_CHECK;

/* The value of an option, or what is meant without it. */
const char *host_or_else(const struct args *a, const char *name, const char *otherwise);

/* What was done, and then "CONTAINER IS"; as JSON when --json is given. */
void host_print(const struct args *a, const struct stage_outcome *r, const char *is);

/* After it: sends it to the ledger's mirror; -1 when the ledger has not all of what was done. */
int host_noted(const struct args *a, const struct stage_outcome *r, struct err *e) MUST_CHECK;

#endif
