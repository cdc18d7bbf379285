/* parts.h - what the keys of the stages are made of. */
#ifndef PLAN_PARTS_H
#define PLAN_PARTS_H

#include "recipe/lock.h"

/* Each returns a new object for one stage, without "below". Overlays, profiles and keys are read.
 */
int parts_base(const struct recipe *r, const struct lock *l, struct jval **ret,
	       struct err *e) MUST_CHECK;
struct jval *parts_users(const struct recipe *r);
struct jval *parts_step(const struct recipe *r, const struct lock *l, const struct recipe_step *s);
int parts_overlays(const struct recipe *r, struct jval **ret, struct err *e) MUST_CHECK;
int parts_config(const struct recipe *r, struct jval **ret, struct err *e) MUST_CHECK;

/* Those with parts of other stages in them: of the overlays', and of the configuration's. */
struct jval *parts_services(const struct recipe *r, const struct jval *overlays);
int parts_inputs(const struct recipe *r, const struct lock *l, const struct jval *overlays,
		 const struct jval *config, struct jval **ret, struct err *e) MUST_CHECK;
struct jval *parts_image(const struct recipe *r, const struct lock *l, const struct jval *config);

/* A name of any bytes as text that no other name has: what is no plain ASCII, blanks and '%', as
 * %XX. The caller owns it. */
char *parts_plain_name(const char *name) MUST_CHECK;

/* In words, what differs from a to b: "package openssl 3.0.15 -> 3.0.16; overlay etc/motd changed".
 * At most about 200 characters; the caller owns it. */
char *parts_diff(const struct jval *a, const struct jval *b) MUST_CHECK;

#endif
