/* closed.h - an instance that runs and lets nobody in, until it is opened: while another machine
 * still serves a shop, or it is not decided which of the two does. See posmedia-stage(1).
 *
 * The mark is a file of the site's own directory, STAGE_CLOSED. Whatever starts the instance finds
 * it there: a staging, a start, a restore, the unit after a reboot. */
#ifndef STAGE_CLOSED_H
#define STAGE_CLOSED_H

#include "stage/stage.h"

#define STAGE_CLOSED "closed"
/* Beside it: until when one that is closed on the site's address may have that. */
#define STAGE_LENT "closed-until"

enum stage_how {
	STAGE_OPEN,    /* there is no mark */
	STAGE_PRIVATE, /* closed, on an address of its own or on none: the site's is another's */
	STAGE_REAL,    /* closed, on the site's */
	STAGE_GONE,    /* its shop goes to another machine, or went: it runs nowhere */
};

struct stage_mark {
	enum stage_how how;
	struct site_net address; /* of a private one; text NULL = none */
};
/* Accepts a zeroed struct. */
void stage_mark_release(struct stage_mark *m);

/* "real", "private", "gone", or the address of a host in its network, "192.0.2.7/24": ERR_USAGE for
 * anything else. */
int stage_mark_parse(const char *text, struct stage_mark *ret, struct err *e) MUST_CHECK;
/* The same text of a mark; NULL of one that is open. The caller owns it. */
char *stage_mark_text(const struct stage_mark *m);

/* How the site is marked. A mark that cannot be read is an error, and nothing starts with it. */
int stage_marked(const struct site *s, const struct stage_opts *o, struct stage_mark *ret,
		 struct err *e) MUST_CHECK;

/* Marks the site, durably, also before it is staged the first time. An instance that runs is closed
 * when this returns: its rules are replaced at once, connections from before are cut off, and where
 * it has another address than the mark says it is stopped and started. Closed that way already is
 * success. Another one at work is ERR_BUSY. */
int stage_close(const struct site *s, const struct stage_opts *o, const struct stage_mark *how,
		struct err *e) MUST_CHECK;

/* Until when (clock_mono_ms, of this boot) an instance that is closed on the site's address may
 * have it: what another machine lends and takes back by itself. It is recorded durably, and the
 * kernel of an instance that runs takes the address away then, a second or so late, whoever still
 * lives; later, and after a reboot, none starts on it. Each call moves the moment. Opening ends it,
 * and closing it private. 0 = for ever. Unlike the others it waits for nobody, and works beside
 * them. */
int stage_lend(const struct site *s, const struct stage_opts *o, uint64_t until_ms,
	       struct err *e) MUST_CHECK;

/* Removes the mark, durably, and lets people in to the instance that runs: its rules are replaced
 * at once, and the neighbours are told whose the address is. One on a private address is stopped
 * and started on the site's, which nobody else may have then. Without a mark the same is done: a
 * kill in between is mended by a second call. One that is gone is ERR_BUSY. */
int stage_open_now(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		   struct err *e) MUST_CHECK;

/* The same of one that is gone, which does not run: only for who knows that its shop serves nowhere
 * else. It is not started here; that it was stopped is forgotten. */
int stage_return(const struct site *s, const struct stage_opts *o, struct stage_outcome *ret,
		 struct err *e) MUST_CHECK;

#endif
