/* cutover.h - the plan of a cutover: what is done on the old server, how long each part may take,
 * what is looked at and how each step is undone. See posmedia-cutover(5). */
#ifndef SITE_CUTOVER_H
#define SITE_CUTOVER_H

#include "base/strv.h"
#include "recipe/recipe.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	SITE_LEASE_MIN_MS = 5000, /* the new host lets go of an address 2 s before */
	SITE_COMMANDS_MAX = 50,
	SITE_PORTS_MAX = 100,
	SITE_CHECKS_MAX = 50,
	SITE_EXCLUDE_MAX = 100,
};

/* An address and the network that it is in, or a network. */
struct site_net {
	char *text;    /* as it was written */
	uint32_t addr; /* in the host's order of bytes */
	unsigned bits;
};

/* A directory of the instance that lies on the host, SITE_ROOT/SHOP/ENV/NAME; of an old server, the
 * directory there that becomes it. */
struct site_data {
	char *name;
	char *at;
	struct recipe_pos pos;
};

/* A program and its arguments, without a shell. */
struct site_command {
	struct strv run;
	uint64_t within_ms;
	bool may_fail;    /* only that it ended counts */
	struct strv undo; /* of an announcement: what takes it back */
	int on;           /* of an announcement: enum site_on */
	struct recipe_pos pos;
};

enum site_on {
	SITE_ON_OLD,     /* the old server, by its agent */
	SITE_ON_NEW,     /* in the new instance */
	SITE_ON_CONTROL, /* the host that the cutover runs on */
};

enum site_when {
	SITE_WHEN_PREFLIGHT,
	SITE_WHEN_SMOKE,    /* the new instance runs and nobody else can reach it */
	SITE_WHEN_AFTER,    /* it serves */
	SITE_WHEN_REVERSE,  /* it is about to give the shop back to the old server */
	SITE_WHEN_TRIAL,    /* the old application runs again, and nobody else can reach it */
	SITE_WHEN_RETURNED, /* the old server serves again */
};

/* A program that ends with 0, or a port that answers. */
struct site_check {
	char *name;
	int on, when; /* enum site_on, site_when */
	struct strv run;
	uint16_t tcp; /* 0 = run it is */
	uint64_t within_ms;
	struct recipe_pos pos;
};

/* A step with what undoes it. */
struct site_act {
	char *name;
	int on; /* enum site_on */
	struct strv run, undo;
	uint64_t within_ms;
	struct recipe_pos pos;
};

struct site_old {
	char *host; /* ssh://[USER@]HOST[:PORT]; NULL = the site has no cutover */
	char *known_hosts;
	char *secret; /* a name of site.secrets: its key of ssh */
	struct site_data *data;
	struct strv exclude;  /* patterns of absolute paths of the old server that stay behind */
	struct strv services; /* stopped, and masked */
	struct site_command *stop, *start;
	uint16_t *ports; /* of TCP: nobody may listen there behind the fence */
	size_t data_n, stop_n, start_n, ports_n;
	int holders;           /* enum site_holders */
	int cron;              /* enum site_cron */
	int trial;             /* enum site_trial */
	char *interface;       /* NULL = the old server keeps its addresses */
	struct site_net taken; /* the address that is taken off it */
	struct recipe_pos pos;
};

enum site_holders {
	SITE_HOLDERS_KILL, /* who still has a file of the data open is ended */
	SITE_HOLDERS_REPORT,
};

enum site_cron {
	SITE_CRON_REQUIRED, /* the old server's cron undoes the fence when all else died */
	SITE_CRON_OPTIONAL,
};

enum site_trial {
	SITE_TRIAL_REQUIRED, /* before it gets its shop back the application must run there */
	SITE_TRIAL_NONE,
};

/* Milliseconds; 0 = only the whole counts. */
struct site_budget {
	uint64_t outage; /* from the fence to the open filter */
	uint64_t fence, last_pass, verify, start, smoke, hold;
};

enum site_rehearsal {
	SITE_REHEARSAL_BY_ENV, /* required in production; none that is read has this */
	SITE_REHEARSAL_REQUIRED,
	SITE_REHEARSAL_OPTIONAL,
};

enum site_printers {
	SITE_PRINTERS_REQUIRED, /* preflight wants all of the site's to answer */
	SITE_PRINTERS_OPTIONAL,
};

struct site_cutover {
	struct site_old old;
	struct site_net alone; /* "private": where the instance is before it; text NULL = nowhere */
	uint64_t lease_ms;
	struct site_budget budget;
	struct site_command *announce; /* on the side that is about to end, or on the control */
	struct site_check *checks;
	struct site_act dns; /* on the control host; run.n = 0: none */
	struct site_act *after;
	int rehearsal; /* enum site_rehearsal */
	int printers;  /* enum site_printers */
	uint64_t skew_ms;
	uint64_t free_percent; /* of the data's size, on the new host */
	size_t announce_n, checks_n, after_n;
	struct recipe_pos pos;
};

/* "old", "new" or "control"; "preflight", "smoke", "after", "reverse", "trial" or "returned". */
const char *site_on_word(int on);
const char *site_when_word(int when);

/* The user, host and port of old.host; the caller owns *user and *host. Port 22 when none is
 * written, and root when no user is. */
void site_old_host(const struct site_old *o, char **user, char **host, uint16_t *port);

#endif
