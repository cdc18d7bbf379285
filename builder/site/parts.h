/* parts.h - what the files of site/ share. */
#ifndef SITE_PARTS_H
#define SITE_PARTS_H

#include "recipe/schema.h"
#include "site/site.h"

/* The rows of a whole site, into struct site. */
extern const struct field site_fields[];

/* A list of maps with fewer items than schema.h allows; read_few wants it as `how`. */
struct few {
	struct array array;
	size_t max;
};

/* read_array, when there are at most so many. */
FIELD_READER(read_few);

/* An address with the bits of its network, a network, and a list of networks: a pointer and, behind
 * it, a size_t. */
FIELD_READER(read_address);
FIELD_READER(read_net);
FIELD_READER(read_nets);

/* Lines of authorized_keys(5) without options, into struct strv. */
FIELD_READER(read_keys);

/* What the values say together. */
int site_check(const struct site *s, struct err *e) MUST_CHECK;

/* The site as canonical JSON with every default filled in; the caller owns it. */
struct jval *site_resolved(const struct site *s) MUST_CHECK;

extern const struct grammar grammar_shop, grammar_interface, grammar_ipv4, grammar_endpoint,
    grammar_mac, grammar_ike_id, grammar_printer, grammar_printer_uri, grammar_backup,
    grammar_reference;

#endif
