/* side.h - one of the two sides: its tree on disk, its index, and what can be said of it by name.
 */
#ifndef DIFF_SIDE_H
#define DIFF_SIDE_H

#include "diff/diff.h"

#include "archive/tree.h"
#include "base/map.h"

/* What a topic says of one name. */
struct fact {
	char *text;
	char *note;          /* or NULL */
	struct digest proof; /* of what is compared but not shown: a password's hash */
};

struct side {
	const struct diff_input *in;
	struct store *store; /* when root is a scratch of it */
	char *root;
	int fd;
	struct tree tree;
	struct map owner;   /* path -> package, borrowed from owners */
	struct strv owners; /* keeps the names */
	struct oci_manifest manifest;
	struct jval *config;           /* images only */
	struct map facts[DIFF_TOPICS]; /* name -> struct fact */
	bool unknown[DIFF_TOPICS];
};

/* Unpacks an image or opens a tree, and reads all that there is to compare. The caller closes it
 * with side_close, after an error too. */
int side_open(struct side *s, const struct diff_input *in, const struct diff_opts *o,
	      struct err *e) MUST_CHECK;

/* Drops the scratch; a second error is not reported. */
int side_close(struct side *s, struct err *e) MUST_CHECK;

/* Adds what is known of a name; a second text is appended. text is taken over. */
struct fact *side_fact(struct side *s, enum diff_topic t, const char *name, char *text);

/* The topics, each reads its own. */
int side_packages(struct side *s, struct err *e) MUST_CHECK;
void side_list(struct side *s);
int side_accounts(struct side *s, struct err *e) MUST_CHECK;
int side_controls(struct side *s, const struct diff_opts *o, struct err *e) MUST_CHECK;
void side_privileges(struct side *s);
void side_services(struct side *s);
void side_config(struct side *s);

/* "cap_net_raw=ep" for the value of security.capability (capabilities(7)); the caller owns it. */
char *capability_text(const uint8_t *p, size_t n) MUST_CHECK;

#endif
