/* look.h - what the files that look at instances share. */
#ifndef STAGE_LOOK_H
#define STAGE_LOOK_H

#include "stage/parts.h"
#include "stage/status.h"

/* A look at a host: what is asked once for all instances. */
struct look {
	const struct status_opts *o;
	struct engine *en; /* NULL = it does not answer, */
	struct err why;    /* and this is why */
	struct engine_entries list;
	uint64_t up;        /* of the machine, seconds */
	uint64_t ask_until; /* see struct stage; of all instances */
	bool sas_asked;     /* charon was asked, */
	bool sas_known;     /* and said which tunnels there are */
	struct strv sas;    /* the connections whose tunnel is up */
	struct jval *all;   /* array */
	bool well;
};

/* Adds to what is not well with an instance. */
void look_trouble(struct look *l, struct jval *v, const char *fmt, ...) PRINTF(3, 4);

/* "tunnels" of a site that has some. */
void look_tunnels(struct look *l, const struct site *s, struct jval *v);

/* "controls" of an instance that runs: an array of {"control","about","passes","found"}. */
void look_controls(struct look *l, struct stage *st, int pid, struct jval *v);

/* From what `swanctl --list-sas --raw` says, the connections that have a key exchange and a tunnel
 * that are up. */
void look_read_sas(const char *text, struct strv *ret);

#endif
