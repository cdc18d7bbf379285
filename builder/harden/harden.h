/* harden.h - control profiles as data: check and fix on a root tree. See posmedia-profile(5).
 *
 * A check looks at the effective value, as the program would read it. A fix makes its own check
 * pass and touches nothing else; running it twice changes nothing. */
#ifndef HARDEN_HARDEN_H
#define HARDEN_HARDEN_H

#include "base/strv.h"
#include "form/yaml.h"
#include "recipe/recipe.h"

enum harden_severity {
	HARDEN_LOW,
	HARDEN_MEDIUM,
	HARDEN_HIGH,
};

enum harden_status {
	HARDEN_PASS,
	HARDEN_FAIL,
	HARDEN_NOT_APPLICABLE, /* belongs to the host or to a machine; the reason says so */
	HARDEN_WAIVED,         /* fails, with a waiver that still holds */
	HARDEN_NOT_RUN,        /* wants to run programs of the tree, which nobody asked for */
};
enum { HARDEN_STATUSES = HARDEN_NOT_RUN + 1 };

/* Of the recipe; a copy. */
struct harden_waiver {
	char *reason, *by, *until; /* until: YYYY-MM-DD */
	bool ended;
};
void harden_waiver_free(struct harden_waiver *w); /* NULL is fine */

struct harden_result {
	const char *id, *title; /* borrowed from the profile */
	const char *place;      /* who has to see to it: "image", "instance", "host", "engine",
				   "site" */
	const char *wants;      /* what was looked at and is wanted, "" when nothing; borrowed */
	const struct yaml *sources; /* standard -> requirement numbers; borrowed */
	enum harden_severity severity;
	enum harden_status status;
	char *detail; /* what was found: "etc/ssh/sshd_config: PermitRootLogin is yes, wants no" */
	char *fixed;  /* what the fix did, or NULL */
	struct strv found;            /* what detail joins, at most so many lines */
	struct strv held;             /* of one that passes: values seen, at most so many lines */
	struct harden_waiver *waiver; /* of a control that fails; or NULL */
};

/* What a tree is. */
struct harden_system {
	bool machine;   /* it boots a kernel of its own; else a container is made of it */
	char *id;       /* of os-release, "el" for all of that family, "" when it does not say */
	uint64_t major; /* release; 0 = not said */
};

struct harden_report {
	struct harden_result *v;
	size_t n;
	size_t count[HARDEN_STATUSES]; /* by enum harden_status */
	struct harden_system system;
};

struct harden_profile;
struct facts_source;

/* Where programs of the tree are run for the operation gate: in the sandbox, without a network, on
 * copies that are thrown away. */
struct harden_gates {
	const char *const *lower; /* absolute directories that make the tree, the topmost first */
	size_t lower_n;
	const char *scratch; /* absolute directory, in which the copies are made and removed; of a
				process that was killed "gate.PID/root" may stay mounted there */
};

/* Reads a profile (strict YAML, positions in errors), `extends` included. */
int harden_profile_load(const char *path, struct harden_profile **ret, struct err *e) MUST_CHECK;
void harden_profile_free(struct harden_profile *p);
void harden_profile_freep(struct harden_profile **p);
const char *harden_profile_id(const struct harden_profile *p); /* "pa-dss-3.2" */
const char *harden_profile_title(const struct harden_profile *p);
const char *harden_profile_version(const struct harden_profile *p);
struct digest harden_profile_digest(const struct harden_profile *p); /* of its resolved text */

/* The standard that the profile is about ("pci-dss"): the first whose requirements it titles, or
 * NULL; borrowed. */
const char *harden_profile_standard(const struct harden_profile *p);

/* What the profile calls a standard's requirement ("pa-dss", "3.1"), or NULL; borrowed. */
const char *harden_requirement_title(const struct harden_profile *p, const char *standard,
				     const char *number);

/* Controls of these profiles want two things that cannot both be, for trees of the same kind:
 * ERR_RECIPE that names them. */
int harden_contradictions(const struct harden_profile *const *v, size_t n,
			  struct err *e) MUST_CHECK;

/* What is known of an image beyond its tree. A control that needs what is not known does not apply,
 * and says so. */
struct lock;
struct harden_image {
	const struct jval *config; /* as OCI image-spec, config.md, has it */
	const struct lock *lock;   /* what it was made from; NULL = the one that it carries */
	int signatures;            /* good ones, by the keys that were given; -1 = none were */
};

/* Who looks into files for card data (scan/scan.h, which stands on this). */
struct facts_files;
struct harden_content {
	/* Hands out a report of scan, borrowed: its "files" with what was found in the tree at
	 * rootfd, of which `files` are the entries, and beyond it (layers). */
	int (*look)(void *ctx, int rootfd, const struct facts_files *files, const struct jval **ret,
		    struct err *e);
	/* Told of each class that a control which applies has judged, in whatever it is found; may
	 * be NULL. */
	void (*judged)(void *ctx, const char *cls);
	void *ctx;
};

/* A running instance: controls of the instance are judged too, those that only an image can be as
 * wanted by are not, and of its tree only the file system that its root is on is walked. */
struct harden_instance {
	int proc; /* /proc/PID of a process in it, open */
};

/* The machine that runs the tree: what counts besides its files. */
struct harden_live {
	/* Appends swap that is in use and not known to be encrypted, one line each. */
	int (*swaps)(void *ctx, struct strv *ret, struct err *e);
	void *ctx;
};

/* What of the recipe a profile may refer to; NULL members = unknown (auditing a foreign image). */
struct harden_context {
	const struct recipe *recipe; /* waivers, ports, users, services; or NULL */
	const char *target;          /* "container" or "machine", whatever the recipe says; or
					NULL */
	int64_t today;               /* seconds; waivers past `until` do not hold */
	int64_t epoch;               /* seconds: the day that is written into files, so that the
					clock decides no bytes; 0 = today */
	const struct facts_source *files; /* who lists the tree's files (harden/facts.h); or NULL */
	const struct harden_image *image; /* or NULL: controls on it are left to whoever has it */
	const struct harden_content *content;   /* or NULL: nobody looks */
	const struct harden_instance *instance; /* NULL = the tree is at rest */
	const struct harden_live *live;         /* NULL = only the tree's files are known */
	const char *held_by; /* "host": only what is held there is judged, as controls of that place
				and what containers leave to it; NULL = everything */
	const struct harden_gates *gates; /* NULL = no program of the tree is run; otherwise after
					     sandbox_enter, in a process without threads */
};

/* Applies the fixes of every applicable control to the tree. Adds what each did to *ret_done:
 * "ID: what". What cannot be fixed is a warning: the check says so. */
int harden_fix(const struct harden_profile *p, const char *root, const struct harden_context *c,
	       struct strv *ret_done, struct err *e) MUST_CHECK;

/* Fixes, then checks all. */
int harden_apply(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_report *ret, struct err *e) MUST_CHECK;

/* Checks only. */
int harden_check(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_report *ret, struct err *e) MUST_CHECK;

/* Checks only the controls on what is beyond the tree: c->image is given. */
int harden_check_image(const struct harden_profile *p, const char *root,
		       const struct harden_context *c, struct harden_report *ret,
		       struct err *e) MUST_CHECK;

/* Of the controls that apply and run programs of the tree, each alone: the digest of what decides
 * their outcome beside the tree itself, and which of its directories and files do; all programs and
 * libraries always do. */
struct harden_gated {
	const char *id;    /* borrowed from the profile */
	struct digest key; /* of what is run, and how */
	struct strv reads; /* relative paths; none = the whole tree */
};
int harden_gated(const struct harden_profile *p, const char *root, const struct harden_context *c,
		 struct harden_gated **ret, size_t *ret_n, struct err *e) MUST_CHECK;
void harden_gated_free(struct harden_gated *v, size_t n);

/* Judges one control, by its gates alone; c->gates is set. *ret has this one result. */
int harden_check_gates(const struct harden_profile *p, const char *id, const char *root,
		       const struct harden_context *c, struct harden_report *ret,
		       struct err *e) MUST_CHECK;

/* The worst severity that failed without a waiver reaches `fail_on` ("low", "medium", "high",
 * "never"): ERR_VERIFY, with the failed ids. */
int harden_gate(const struct harden_report *r, const char *fail_on, struct err *e) MUST_CHECK;

/* "low", "medium", "high"; "pass", "fail", "not-applicable", "waived",
 * "not-run". */
const char *harden_severity_name(enum harden_severity s);
const char *harden_status_name(enum harden_status s);

/* "container, debian 12"; the caller owns it. */
char *harden_system_text(const struct harden_system *s) MUST_CHECK;

/* {"profile":…,"results":[…],"summary":{…},"system":…}: sorted, without times or host names. */
struct jval *harden_report_json(const struct harden_report *r, const struct harden_profile *p);
void harden_report_release(struct harden_report *r);

#endif
