/* swanctl.h - swanctl.conf(5) of strongSwan: settings in nested sections. */
#ifndef HARDEN_SWANCTL_H
#define HARDEN_SWANCTL_H

#include "harden/root.h"

struct swanctl_setting {
	char *section; /* "connections.shop.children.net" */
	char *key, *val;
	char *file;  /* relative to the root */
	size_t line; /* from 1 */
};

struct swanctl {
	struct swanctl_setting *v;
	size_t n;
	struct strv sections; /* each that was opened, once for each time */
};

/* Appends the settings of a text. Sections deeper than 32, more than 100000 settings, and braces
 * that do not match are errors. Includes are settings with the key "include". */
int swanctl_parse(const char *text, const char *file, struct swanctl *ret,
		  struct err *e) MUST_CHECK;
void swanctl_release(struct swanctl *s);

/* The last setting of that section and key, or NULL. */
const struct swanctl_setting *swanctl_get(const struct swanctl *s, const char *section,
					  const char *key);

#endif
