/* host.h - what a machine needs to run instances: looked at, and set where that is safe and can be
 * taken back. See posmedia-host(1).
 *
 * Each item is looked at first and touched only when it is not as wanted, so that a second run
 * changes nothing and one after a kill goes on. Kernel features are tried, in namespaces that are
 * gone afterwards, not guessed from a version. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "harden/harden.h"

struct host_opts {
	const char *root;    /* "/", or a tree that becomes a host: of that only files are known */
	const char *socket;  /* of the engine, absolute; NULL = dockerd's or podman's */
	const char *state;   /* "/srv/pos", in the root */
	const char *units;   /* a directory of systemd units */
	const char *profile; /* of controls */
	const struct recipe *recipe; /* for waivers and places of data; or NULL */
	int64_t today;               /* seconds; waivers past their date do not hold */
	bool check;                  /* change nothing */
};

enum host_status {
	HOST_OK,
	HOST_CHANGED, /* it was not as wanted, and is now */
	HOST_WANTED,  /* it is not: nothing may be changed, or a person has to */
	HOST_UNKNOWN, /* cannot be told from here */
};
enum { HOST_STATUSES = HOST_UNKNOWN + 1 };

struct host_item {
	const char *id;     /* "kernel.macvlan" */
	const char *wanted; /* in words */
	char *found;        /* what was there, before anything was changed */
	char *did;          /* what was done; NULL = nothing */
	char *hint;         /* what a person should do; or NULL */
	enum host_status status;
};

struct host_report {
	struct host_item *v;
	size_t n;
	size_t count[HOST_STATUSES];
	struct harden_profile *profile;
	struct harden_report controls; /* those that the host holds, on its own files */
};

/* Looks at every item in order, sets what is not as wanted unless o->check, and judges the
 * controls. What cannot be set is an item that is still wanted, no error. */
int host_prepare(const struct host_opts *o, struct host_report *ret, struct err *e) MUST_CHECK;
void host_report_release(struct host_report *r); /* accepts a zeroed struct */

/* ERR_VERIFY, with the ids, when an item is not as wanted or a control failed at fail_on or above
 * ("low", "medium", "high", "never"). */
int host_gate(const struct host_report *r, const char *fail_on, struct err *e) MUST_CHECK;

/* "ok", "changed", "wanted", "unknown". */
const char *host_status_name(enum host_status s);

/* Why nobody can tell from the files whether the host holds the control; NULL when it is judged, or
 * does not apply. Borrowed. */
const char *host_undecided(const struct harden_result *r);

/* {"items":[…],"controls":[…],"profile":{…},"summary":{…}}; the caller owns it. */
struct jval *host_json(const struct host_report *r) MUST_CHECK;

#endif
