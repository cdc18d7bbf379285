/* rows.h - the instances of this host: from their site files, and from what `posmedia status` says
 * of them. */
#ifndef MENU_ROWS_H
#define MENU_ROWS_H

#include "base/strv.h"
#include "form/json.h"

struct menu_row {
	char *site; /* path of its file, "" when only `status` knows it */
	char *root; /* of the project that it is in, and its container; "" = not known */
	char *container;
	char *shop, *env; /* "" and an error when the file is wrong */
	char *name;       /* of the host that it is */
	bool prod;
	char *state, *image, *uptime, *vpn, *room; /* "" = not known */
	char *trouble;                             /* what is not well; "" = nothing is known */
	char *fault;                               /* why the file cannot be read; or NULL */
};

struct menu_rows {
	struct menu_row *v;
	size_t n;
};

/* Reads the site files, in order; one that is wrong is a row that says so. */
void rows_read(const struct strv *sites, struct menu_rows *ret);

/* Fills in what a status says; what it does not say, or not in the form that is known, stays
 * unknown. */
void rows_status(struct menu_rows *rows, const struct jval *status);

/* Whether the site file still is of the row's shop and environment, and can be read; otherwise why
 * not. A row without a file has nothing that could change. */
bool rows_same(const struct menu_row *r, struct err *e) MUST_CHECK;

void rows_release(struct menu_rows *r);

/* "3d 04h", "2h 05m", "7m" or "12s"; the caller owns it. */
char *rows_time(int64_t seconds) MUST_CHECK;

#endif
