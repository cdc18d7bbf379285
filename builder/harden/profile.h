/* profile.h - a loaded profile: controls as data. */
#ifndef HARDEN_PROFILE_H
#define HARDEN_PROFILE_H

#include "harden/op.h"

struct op {
	const struct op_kind *kind;
	void *want; /* kind->size bytes, read by kind->fields */
};

struct control {
	char *id, *title;
	enum harden_severity severity;
	const char *place;         /* "image", "instance", "host", "engine" or "site" */
	const char *target;        /* the only kind of system that it is for; or NULL */
	const char *held_by;       /* who holds it for the other kind; NULL without target */
	char *reason;              /* why it does not apply to an image, or to that kind; or NULL */
	char *only_image;          /* why a running instance is not judged by it; or NULL */
	char *wants;               /* the operations as text; "" when there are none */
	struct yaml *sources;      /* standard -> requirement numbers */
	struct strv distributions; /* applies to one of these only, when there are any */
	struct strv packages;      /* when each of these is installed */
	struct strv paths;         /* and each of these is there */
	bool check_only;           /* never fix */
	struct op *ops;
	size_t ops_n;
};

struct harden_profile {
	char *id, *version, *title;
	struct control *controls; /* in the order of the files */
	size_t n;
	struct yaml *requirements; /* standard -> number -> title; or NULL */
	struct digest digest;
};

/* Reads one control of a profile. What was read before an error is released by control_release. */
int control_read(const struct yaml *y, struct control *ret, struct err *e) MUST_CHECK;
void control_release(struct control *c);

/* The control of that id, or NULL. */
const struct control *profile_control(const struct harden_profile *p, const char *id);

/* A value tree as JSON, every scalar a text. */
struct jval *profile_json(const struct yaml *y);

#endif
