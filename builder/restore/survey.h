/* survey.h - what a source has, by its names alone: which names are those of a file that no test
 * may have by another of its names, and what of it no directory of the site takes over. */
#ifndef RESTORE_SURVEY_H
#define RESTORE_SURVEY_H

#include "restore/source.h"

struct survey_of {
	const struct source *src; /* ready */
	const struct site *site;  /* NULL = all of the source is taken over */
	enum site_env env;
	bool claimed; /* the source has only what is taken over, and tables of users */
	bool living;
};

/* A file or directory of the source that goes nowhere, with all that is in it. */
struct survey_part {
	uint64_t entries, files, bytes;
};

struct survey {
	struct restore_filter *judge; /* has the links, by their paths in the source; NULL in prod,
				       * where names hold back nothing but themselves */
	struct map parts;             /* by path in the source: struct survey_part */
};

/* Accepts a zeroed struct. */
void survey_release(struct survey *s);
int survey_make(const struct survey_of *o, struct survey *ret, struct err *e) MUST_CHECK;
/* Puts "unclaimed", a list of them by absolute path, and "unclaimed-entries". */
void survey_report(const struct survey *s, struct jval *o);

#endif
