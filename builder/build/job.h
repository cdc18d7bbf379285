/* job.h - one build under way; shared by the files of this directory. */
#ifndef BUILD_JOB_H
#define BUILD_JOB_H

#include "archive/pack.h"
#include "archive/tree.h"
#include "build/build.h"
#include "build/contents.h"
#include "sandbox/sandbox.h"

struct job {
	const struct recipe *r;
	const struct lock *l;
	struct store *s;
	const struct build_opts *o;
	struct plan *plan;
	char *scratch;             /* absolute; everything temporary of this build */
	struct strv trees;         /* absolute paths of finished stage trees, the base first */
	struct contents *contents; /* of each; empty until job_contents fills it */
	bool damaged;              /* a cached tree is not what it was */
	size_t *origins;    /* for each entry of the index: which of the trees it comes from */
	struct sink output; /* what programs in the sandbox say */
	struct buf said;    /* the last of it, for errors */
};

/* Lines to the debug log, the last 2 KiB kept in job.said. */
void job_output_init(struct job *j);

/* err_in with the last lines that the sandbox said. Returns -1. */
int job_said(struct job *j, struct err *e);

/* Fetch: every package and medium of the lock into the store. Those that this build will read are
 * hashed first; a damaged one is put aside with a warning, and fetched anew. */
int job_fetch(struct job *j, struct err *e) MUST_CHECK;

/* Packages with their members decompressed (archive/plain.h), from the cache or made beside what
 * follows. unpacked_path: where dpkg finds a package, decompressed if that is there; for others
 * than essential ones it waits for what is being made. The caller owns the text. NULL may be
 * stopped. */
struct unpacked;
int unpacked_start(struct job *j, struct unpacked **ret, struct err *e) MUST_CHECK;
char *unpacked_path(struct unpacked *u, const struct lock_package *p) MUST_CHECK;
void unpacked_stop(struct unpacked *u);

/* The stages; each fills the writable merged view at `root` (absolute; for the base it is a plain
 * empty directory). */
int job_base(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_users(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_step(struct job *j, const struct recipe_step *st, const char *root,
	     struct err *e) MUST_CHECK;
int job_config(struct job *j, const char *root, struct err *e) MUST_CHECK;

/* Runs argv on root (no network, writable) and wants exit status 0; else ERR_STEP: "WHAT: exit 2:
 * the last lines". */
int job_run(struct job *j, const char *root, const char *what, const char *const *argv,
	    struct err *e) MUST_CHECK;

/* Same with a specification of the caller's own; env and out are filled in. */
int job_sandbox(struct job *j, const char *what, struct sandbox_spec *spec,
		struct err *e) MUST_CHECK;

/* The environment that every program in the sandbox gets; borrowed from job. */
void job_env(const struct job *j, struct strv *ret);

/* Lays an overlay of the recipe into root. */
int job_overlay(const struct recipe_overlay *o, const char *root, struct err *e) MUST_CHECK;

/* Refuses (ERR_STEP) changes that lie outside of what the step declared: upper is the overlay
 * directory that holds them, lower the trees below, topmost first. */
int job_writes(const struct recipe_step *st, const char *upper, const struct strv *trees,
	       struct err *e) MUST_CHECK;

/* Mounts the merged view of all finished stages at `at`; upper and work NULL = read-only. */
int job_mount(struct job *j, const char *upper, const char *work, const char *at,
	      struct err *e) MUST_CHECK;

/* Brings stage i of the plan about, from the cache or by running it, and adds its tree to
 * j->trees. */
int job_stage(struct job *j, size_t i, struct build_result *ret, struct err *e) MUST_CHECK;

/* What the tree of stage i holds, read from the cache if need be. Damaged: ERR_VERIFY and
 * j->damaged. */
int job_contents(struct job *j, size_t i, struct err *e) MUST_CHECK;

/* Makes the cached trees of this build's plan unusable. */
int job_distrust(struct job *j, struct err *e) MUST_CHECK;

struct job_layer {
	const char *name; /* "os", "app", "config" or a pin's; borrowed */
	struct pack_result packed;
};

/* Tests, layers, config and manifest from the merged view at root: everything into the store. */
int job_image(struct job *j, const char *root, struct build_result *ret, struct err *e) MUST_CHECK;

/* Gives every entry of the index its layer, below *ret_n, and its time. */
int job_layers(struct job *j, struct tree *t, size_t *ret_n, struct err *e) MUST_CHECK;

/* What decides the bytes of a layer: metadata and the digests of contents. And what was packed for
 * such a key before, if the store still has it. */
struct digest job_layer_key(const struct job *j, const struct tree *t, int layer,
			    const char *compressor);
bool job_layer_recall(const struct job *j, const struct digest *key, struct pack_result *ret);
int job_layer_remember(const struct job *j, const struct digest *key, const struct pack_result *r,
		       struct err *e) MUST_CHECK;

/* The layer's name for people; borrowed from the recipe or constant. */
const char *job_layer_name(const struct job *j, size_t layer);

/* The image config (OCI image-spec, config.md) for these layers; the caller owns it. */
struct jval *job_image_config(const struct job *j, const struct job_layer *layers, size_t n);

/* What plan_remember_image wants; the caller owns it. */
struct jval *job_image_blobs(struct job *j, const struct build_result *r);

/* Whether the layout has this image under the tag; copies it there from the store; fills in the
 * counts of a result from its manifest. */
bool job_exported(struct job *j, const struct build_result *r);
int job_export(struct job *j, struct build_result *r, struct err *e) MUST_CHECK;
int job_describe(struct job *j, struct build_result *r, struct err *e) MUST_CHECK;

/* Hashes what the store has of the remembered image and puts damaged blobs aside: *ret_moved. */
int job_recheck_image(struct job *j, const struct plan_stage *image, bool *ret_moved) MUST_CHECK;

/* Removes cached stages that are of no use any more: of another start of the machine, and the
 * longest unused beyond a dozen; and decompressed packages beyond 4 GiB. Does nothing while another
 * build uses the store. */
void job_prune(struct job *j);

#endif
