/* unit.h - what of a service's unit file matters for starting it: systemd.unit(5),
 * systemd.service(5), systemd.exec(5). */
#ifndef SHIM_UNIT_H
#define SHIM_UNIT_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>
#include <stdint.h>

enum unit_type { UNIT_SIMPLE, UNIT_FORKING, UNIT_ONESHOT, UNIT_NOTIFY };

enum unit_exec {
	UNIT_START_PRE,
	UNIT_START,
	UNIT_START_POST,
	UNIT_RELOAD,
	UNIT_STOP,
	UNIT_STOP_POST,
	UNIT_EXECS,
};

struct unit {
	char *name;        /* "cups", "getty@tty1": without .service */
	char *description; /* or NULL */
	enum unit_type type;
	struct strv exec[UNIT_EXECS];            /* command lines as they are written */
	struct strv env;                         /* NAME=VALUE */
	struct strv env_files;                   /* paths, a '-' in front where one may be absent */
	char *user, *group, *workdir, *pid_file; /* or NULL */
	struct strv runtime_dirs, state_dirs, cache_dirs, logs_dirs; /* below /run, /var/lib, ... */
	struct strv needs, wants, after; /* other units, as they are written */
	unsigned runtime_mode;
	bool remains; /* RemainAfterExit */
	uint64_t start_ms;
};

/* "cups", "cups.service" and "getty@tty1.service" to a unit's name; anything else than a service's
 * name: ERR_USAGE. The caller owns it. */
int unit_name(const char *text, char **ret, struct err *e) MUST_CHECK;

/* Finds the unit below the directory `root` ("/" but in tests), through aliases, with its drop-ins,
 * or the script of /etc/init.d. *ret is NULL when there is neither. A masked unit and one without a
 * command: ERR_FAIL. The caller frees it. */
int unit_load(const char *root, const char *name, struct unit **ret, struct err *e) MUST_CHECK;

/* Adds the settings of a text; lines that do not matter are passed by. */
void unit_parse(struct unit *u, const char *text);

void unit_free(struct unit *u);
void unit_freep(struct unit **u);

/* One command, taken apart. */
struct unit_command {
	bool may_fail;    /* '-' */
	struct strv argv; /* argv[0] is the program's path or name */
	char *zero;       /* '@': what it shall see as argv[0], or NULL */
};

/* Splits a command line: prefixes, quotes, escapes, specifiers, $NAME and ${NAME} of env.
 * Unbalanced quotes and no program: ERR_FAIL. The caller releases it. */
int unit_command(const struct unit *u, const char *line, const struct strv *env,
		 struct unit_command *ret, struct err *e) MUST_CHECK;
void unit_command_release(struct unit_command *c);

/* Replaces %n, %N, %p, %i, %t and such; the caller owns it. */
char *unit_expand(const struct unit *u, const char *text) MUST_CHECK;

#endif
