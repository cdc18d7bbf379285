/* recipe.h - what an image is to be: the resolved, typed recipe. See posmedia-recipe(5).
 *
 * `extends` is resolved relative to the file that names it; every other path (overlay, keyring,
 * file medium, answers) relative to the project root: the parent of the nearest ancestor directory
 * named "recipes", or the recipe's own directory when there is none. Resolved paths are absolute.
 */
#ifndef RECIPE_RECIPE_H
#define RECIPE_RECIPE_H

#include "base/err.h"
#include "base/strv.h"
#include "form/digest.h"
#include "form/json.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	RECIPE_LAYER_BUDGET = 12,      /* the default of layers.budget */
	RECIPE_LAYER_BUDGET_MAX = 100, /* more would leave an image no layers for the rest */
	RECIPE_PINS_MAX = 20,
	RECIPE_REPOS_MAX = 50,
	RECIPE_INSIDE_MAX = 4, /* archives in each other */
};

struct recipe_pos {
	const char *file; /* as it was named; lives as long as the process */
	unsigned line, col;
};

/* What an image stands on. */
enum recipe_base {
	RECIPE_APT,     /* Debian packages */
	RECIPE_DNF,     /* rpm packages */
	RECIPE_OCI,     /* another image */
	RECIPE_TAR,     /* an archive of a root tree */
	RECIPE_SCRATCH, /* nothing */
};

struct recipe_apt {
	char *suite;            /* "bookworm" */
	struct strv pockets;    /* "updates", "security": more suites of the same release */
	struct strv mirrors;    /* http(s), file or "system": the machine's own apt configuration */
	struct strv snapshots;  /* the same as they were at a "{time}"; "system" or nothing: by the
				   environment */
	struct strv components; /* default main */
	char *arch;             /* "amd64" */
	char *keyring;          /* absolute path; a missing key is refused */
	struct recipe_pos pos;
};

struct recipe_repo {
	char *name;
	char *url;            /* http(s) or file, or a path below the mirrors */
	bool below;           /* it is a path */
	char *key;            /* absolute path of the public keys that sign */
	bool unsigned_index;  /* there is no repomd.xml.asc: only the packages are signed */
	bool pinned;          /* it is good in one state only, */
	struct digest repomd; /* which has this repomd.xml */
	struct recipe_pos pos;
};

struct recipe_dnf {
	char *release;         /* "9" */
	char *arch;            /* "x86_64" */
	struct strv mirrors;   /* as of apt; "system" is $POSMEDIA_DNF_MIRROR */
	struct strv snapshots; /* the same; "system" is $POSMEDIA_DNF_SNAPSHOT */
	struct recipe_repo *repos;
	size_t repos_n;
	struct recipe_pos pos;
};

struct recipe_overlay {
	char *from; /* absolute */
	char *to;   /* absolute inside the image */
	uint32_t uid, gid;
	struct recipe_pos pos;
};

struct recipe_group {
	char *name;
	uint32_t gid;
	struct recipe_pos pos;
};

struct recipe_user {
	char *name;
	uint32_t uid;
	struct strv groups; /* the first is the primary group; empty = a group of the same name */
	char *shell, *home, *gecos;
	bool locked; /* password: locked is the only value that an image may carry */
	struct recipe_pos pos;
};

struct recipe_port {
	uint16_t first, last;
	bool udp;
};

struct recipe_media {
	char *name;
	char *url; /* absolute path for files, else http(s) or s3 */
	bool is_file;
	struct digest digest;
	uint64_t size;                 /* 0 = not given */
	char *file;                    /* its name when it is shown as a file */
	bool as_file;                  /* shown as a file, whatever is in it */
	struct strv inside;            /* the archive that is meant: in it, in that one, ... */
	uint64_t bytes_max, files_max; /* of what it unpacks to; 0 = not said */
	bool is_base;                  /* it is what the base is made from, not a medium of steps */
	struct recipe_pos pos;
};

/* A base that no package manager of ours makes: base.tar, base.oci and base.scratch. */
struct recipe_plain {
	struct recipe_media tar;    /* until the recipe is whole: then it is among its media, */
	struct recipe_media *blobs; /* and so are these: the image's manifest, config and layers */
	size_t blobs_n;
	char *layout;        /* of base.oci, absolute; NULL for the others, and for an image */
	char *registry;      /* docker://...; its blobs are known to the lock only */
	char *policy;        /* which it must satisfy when it is locked, absolute; or NULL */
	struct digest image; /* the manifest of base.oci; of a tag, from the lock */
	bool has_digest;     /* the recipe says it */
	char *arch;          /* "amd64" */
};

struct recipe_mount {
	char *media;
	char *at; /* absolute inside */
};

/* What a step may use; 0 = not said. */
struct recipe_limits {
	uint64_t memory;    /* bytes of private memory, of one process and of all together */
	uint64_t processes; /* at once */
	uint64_t disk;      /* bytes in what it changes of the tree; as much again in /tmp */
	uint64_t file;      /* bytes of one file */
	uint64_t output;    /* bytes that it says */
};

/* What an installer expects of its machine: it is shown to the step and never stays. */
struct recipe_expects {
	char *hostname;          /* or NULL */
	char *address;           /* "192.0.2.10/24" of eth0, or NULL */
	bool fstab;              /* an /etc/fstab ... */
	struct strv fstab_lines; /* ... of these lines; empty = of one for / */
	struct strv os_release;  /* NAME=VALUE of another /etc/os-release, sorted */
	char *redhat_release;    /* the line of another /etc/redhat-release, or NULL */
	bool shim;               /* units can be started in the step: */
	struct strv services;    /* those; which are there before it are running */
	bool bits_32;            /* programs of 32 bits run as well */
	bool loop;               /* images on its media can be mounted */
};

struct recipe_answers;

struct recipe_step {
	char *name;
	struct recipe_mount *mounts;
	size_t mounts_n;
	struct strv run;
	char *answers;                   /* absolute path or NULL */
	struct recipe_answers *dialogue; /* what is in it: answers.h */
	struct strv secrets;             /* names; sorted */
	struct recipe_limits limits;
	struct recipe_expects expects;
	bool network;       /* through the recording proxy */
	struct strv allow;  /* HOST-GLOB[:PORT] that it may ask; empty = any public one */
	struct strv writes; /* absolute directories; empty = nothing may change */
	uint64_t timeout_ms;
	bool capture;
	struct recipe_pos pos;
};

struct recipe_waiver {
	char *control, *reason, *by, *until; /* until: YYYY-MM-DD */
	struct recipe_pos pos;
};

/* A finding of a scan that somebody answers for. */
struct recipe_allow {
	struct digest sha256; /* of the file */
	char *cls;            /* "pan" (posmedia-scan.7) */
	char *reason, *until; /* until: YYYY-MM-DD, or NULL */
	struct recipe_pos pos;
};

struct recipe_pin {
	char *name;
	struct strv match; /* globs on absolute paths, "**" crosses directories */
};

struct recipe_test {
	char *name;
	struct strv run;
	struct strv reads; /* absolute; none = its outcome depends on everything */
	uint64_t timeout_ms;
	struct recipe_pos pos;
};

/* A program that puts restored data right before an instance starts on it. */
struct recipe_fixer {
	char *name;
	struct strv run;
	struct recipe_pos pos;
};

struct recipe {
	char *file; /* as it was named */
	char *root; /* the project root, absolute */
	char *name, *version;
	enum recipe_base base;
	struct recipe_pos base_pos; /* of the base's kind */
	struct recipe_apt *apt;     /* NULL for another kind */
	struct recipe_dnf *dnf;     /* the same */
	struct recipe_plain *plain; /* the same */
	struct strv install, exclude, remove, langs;
	bool docs, recommends;
	struct recipe_overlay *overlays;
	struct recipe_group *groups;
	struct recipe_user *users;
	struct recipe_port *ports;
	struct recipe_media *media;
	struct recipe_step *steps;
	struct recipe_test *tests;
	struct recipe_fixer *fixers;
	size_t overlays_n, groups_n, users_n, ports_n, media_n, steps_n, tests_n, fixers_n;
	struct strv enable, disable, mask, start_order;
	struct strv profiles; /* absolute paths of recipes/profiles/NAME.yaml */
	char *fail_on;        /* "low", "medium", "high", "never" */
	char *target;         /* "container" or "machine": what the image is for */
	struct strv units;    /* that may be enabled beside services.enable */
	struct strv data;     /* absolute directories of cardholder data */
	struct recipe_waiver *waivers;
	struct recipe_allow *allow;
	struct recipe_pin *pins;
	size_t waivers_n, allow_n, pins_n;
	char *layer_plan;                          /* "history", "single" or "manual" */
	uint32_t layer_budget;                     /* so many layers of packages at most */
	char *compression;                         /* "gzip", "zstd" or "both" */
	struct strv entrypoint, cmd, env, volumes; /* env: NAME=VALUE */
	char *user, *workdir, *stop_signal;        /* "" when not given */
	bool read_only;                            /* nothing but data and /tmp is written */
	struct jval *resolved; /* the merged recipe, canonical: a recipe again, with all defaults,
				  without positions and absolute paths */
	struct digest digest;  /* of `resolved` as jval_write gives it */
};

/* Reads, merges (maps merge, lists append, scalars override; cycles and more than 16 levels are
 * refused), types and checks a recipe. Every fault is ERR_RECIPE with FILE:LINE:COL and a hint. */
int recipe_load(const char *path, struct recipe **ret, struct err *e) MUST_CHECK;
void recipe_free(struct recipe *r);
void recipe_freep(struct recipe **r);

/* The same with the project root given; NULL = found as above. A JSON text, such as `resolved`
 * written out, is read as well, and gives the digest that it was written with. */
int recipe_load_in(const char *path, const char *root, struct recipe **ret,
		   struct err *e) MUST_CHECK;

/* The project root of a file in it, as above; the caller owns *ret. */
int recipe_root(const char *path, char **ret, struct err *e) MUST_CHECK;

/* The key of a kind of base: "apt". */
const char *recipe_base_name(enum recipe_base kind);

/* The architecture of the image as the OCI image-spec calls it: "amd64". */
const char *recipe_platform(const struct recipe *r);

/* Appends the absolute paths of the files that the base names (keyrings): inputs of the image. */
void recipe_base_files(const struct recipe *r, struct strv *ret);

/* What `resolved` calls an absolute path of the recipe: relative to the project root, and for what
 * lies outside of it "outside/HASH-NAME", by its path. The caller owns it. */
char *recipe_path(const struct recipe *r, const char *path) MUST_CHECK;

/* What base.tar names, or NULL for another kind. */
const struct recipe_media *recipe_base_tar(const struct recipe *r);

/* The medium of that name, or NULL. */
const struct recipe_media *recipe_media_find(const struct recipe *r, const char *name);

/* "FILE:LINE:COL" (the caller owns it), and *e set with it, kind ERR_RECIPE. */
char *recipe_pos_text(const struct recipe_pos *p) MUST_CHECK;
int recipe_err(const struct recipe_pos *p, struct err *e, const char *fmt, ...) PRINTF(3, 4);

#endif
