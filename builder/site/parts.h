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

/* A program by its absolute path, with arguments; a word of a list (how) as its number, an int; a
 * map (how: its rows) whose own place is kept; a port. */
FIELD_READER(read_program);
FIELD_READER(read_number_of);
FIELD_READER(read_here);
FIELD_READER(read_port);

/* Lines of authorized_keys(5) without options, into struct strv. */
FIELD_READER(read_keys);

/* The rows of "cutover", into struct site; what their defaults are; what the values say together;
 * the section as JSON; and its end. */
extern const struct field site_cutover_fields[];
void site_cutover_defaults(struct site *s);
int site_cutover_check(const struct site *s, struct err *e) MUST_CHECK;
struct jval *site_cutover_json(const struct site_cutover *c) MUST_CHECK;
void site_cutover_release(struct site_cutover *c);

/* Refuses what stands at `at`. Returns -1. */
int site_refuse(const struct recipe_pos *at, struct err *e, const char *hint, const char *fmt, ...)
    PRINTF(4, 5);

/* Members that are only written when there is something. */
void site_put_list(struct jval *o, const char *key, const struct strv *l);
struct jval *site_data_json(const struct site_data *v, size_t n) MUST_CHECK;

/* What the values say together. */
int site_check(const struct site *s, struct err *e) MUST_CHECK;

/* The site as canonical JSON with every default filled in; the caller owns it. */
struct jval *site_resolved(const struct site *s) MUST_CHECK;

extern const struct grammar grammar_shop, grammar_interface, grammar_ipv4, grammar_endpoint,
    grammar_mac, grammar_ike_id, grammar_printer, grammar_printer_uri, grammar_backup,
    grammar_reference, grammar_old_host;

#endif
