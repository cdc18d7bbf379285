/* job.h - one build under way; shared by the files of this directory. */
#ifndef BUILD_JOB_H
#define BUILD_JOB_H

#include "archive/pack.h"
#include "archive/tree.h"
#include "build/build.h"
#include "build/contents.h"
#include "build/dialogue.h"
#include "build/expects.h"
#include "build/vault.h"
#include "form/unescape.h"
#include "oci/oci.h"
#include "plan/layering.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"

/* What programs in the sandbox say, on its way into a log and the last lines of errors. */
struct job_log {
	char *name; /* "step-install-tulip": the log's, without .log */
	char *file; /* where it is until its end: in the scratch */
	int fd;     /* -1 = no log */
	struct unescape plain;
	struct buf pending; /* plain text; may end in the beginning of a secret */
	uint64_t head;      /* bytes in the file, */
	char *ring;         /* and those that come after it, the last of ring_total */
	uint64_t ring_total;
	uint64_t total, total_max; /* bytes said, and how many may be; 0 = any */
	struct dialogue *dialogue; /* who listens, or NULL */
};

/* 1980-01-01: of every directory; the oldest that zip and FAT can hold. */
#define JOB_DIRECTORY_TIME INT64_C(315532800)

struct harden_profile;
struct stash;

/* Where an entry of the image comes from. */
struct origin {
	size_t tree;                  /* of the finished stages' */
	const struct digest *content; /* of a regular file, as its stage wrote it; or NULL */
};

struct job {
	const struct recipe *r;
	const struct lock *l;      /* what is built: the caller's lock, or one of the two below */
	const struct lock *locked; /* the caller's */
	struct lock planned;       /* it without the record of the step that records anew; */
	struct lock with_records;  /* it with what the store has recorded; both borrow from it */
	struct lock_recorded *forgot, *merged;
	size_t merged_n;
	/* For each step what its tree in this build was made from, NULL where it recorded nothing;
	 * NULL before a step with a network was brought about. The store's records are not that:
	 * another build may write them meanwhile. */
	struct record **made;
	struct store *s;
	const struct build_opts *o;
	struct stash *stash; /* what other machines have made; or NULL */
	struct plan *plan;
	char *scratch;             /* absolute; everything temporary of this build */
	struct strv trees;         /* absolute paths of finished stage trees, the base first */
	struct contents *contents; /* of each; empty until job_contents fills it */
	bool damaged;              /* a cached tree is not what it was */
	struct origin *origins;    /* one for each entry of the index */
	struct layering layering;
	struct looked *looked;                    /* from the config stage on until it is judged */
	struct judging *judging;                  /* judge.h; NULL = nothing to judge */
	struct verdict {                          /* verdict.h */
		struct harden_profile **profiles; /* of the recipe; NULL until they are loaded */
		struct jval *found; /* what the look into files found; NULL = none yet */
		unsigned judged;    /* classes of card data that a control has judged, a bit each */
	} verdict;
	struct map owned; /* path -> package, of owners: job_owned */
	struct strv owners;
	bool knows_owners;
	struct sink output; /* what programs in the sandbox say */
	struct buf said;    /* the last of it, for errors */
	struct job_log log;
	struct vault secrets;
	struct map media; /* what job_medium has checked: place in the store -> tree, owned */
	size_t unpacked;  /* media that unpacking was begun of: names their directories */
	struct oci_layout *below; /* base.oci, from the store: NULL for another base */
	struct oci_desc below_image;
	struct laid laid;     /* what the step that runs is shown */
	struct strv step_env; /* what the step that runs gets beside job_env's own */
};

/* Lines to the debug log, the last 2 KiB kept in job.said. */
void job_output_init(struct job *j);
void job_output_release(struct job *j);

/* Until job_log_end, what is said also goes to `file`, at most 16 MiB of it, which is put beside
 * the layout at the end: LAYOUT.logs/TAG/NAME.log. What goes wrong with it then is a warning. */
int job_log_begin(struct job *j, const char *name, const char *file, struct err *e) MUST_CHECK;
void job_log_end(struct job *j);

/* Puts the log of a stage that ran in another build there; and those of all cached stages. */
void job_log_reuse(struct job *j, const char *name, const char *file);
void job_logs_reuse(struct job *j);

/* LAYOUT.logs/TAG; the caller owns it. */
char *job_log_dir(const struct job *j) MUST_CHECK;

/* Appends the last lines that the sandbox said to the error's message, each on a line of its own,
 * and where all of it is as its hint. Returns -1. */
int job_said(struct job *j, struct err *e);

/* Fetch: every package and medium of the lock into the store. Those that this build will read are
 * hashed first; a damaged one is put aside with a warning, and fetched anew. */
int job_fetch(struct job *j, struct err *e) MUST_CHECK;

/* The same for the blobs of an image in a registry, as base. */
int job_pull(struct job *j, struct err *e) MUST_CHECK;

/* Packages with their members decompressed (archive/plain.h), from the cache or made beside what
 * follows. unpacked_path: where dpkg finds a package, decompressed if that is there; for others
 * than essential ones it waits for what is being made. The caller owns the text. NULL may be
 * stopped. */
struct unpacked;
int unpacked_start(struct job *j, struct unpacked **ret, struct err *e) MUST_CHECK;
char *unpacked_path(struct unpacked *u, const struct lock_package *p) MUST_CHECK;
void unpacked_stop(struct unpacked *u);

/* Opens the image of base.oci as a layout of its own in the scratch, of the blobs in the store. */
int job_below(struct job *j, struct err *e) MUST_CHECK;
void job_below_release(struct job *j);

/* The stages; each fills the writable merged view at `root` (absolute; for the base it is a plain
 * empty directory). */
int job_base(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_users(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_step(struct job *j, const struct recipe_step *st, const char *root, const char *upper,
	     struct err *e) MUST_CHECK;
int job_services(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_config(struct job *j, const char *root, const char *upper, struct err *e) MUST_CHECK;

/* What a step sees of a medium: an absolute path, borrowed, that lives as long as the job. It is
 * unpacked unless the cache has it whole. */
int job_medium(struct job *j, const struct recipe_media *m, const char **ret,
	       struct err *e) MUST_CHECK;

/* Whether there is a cached tree of it, whole or not. */
bool job_medium_cached(const struct job *j, const struct recipe_media *m);

/* A step's network while it runs. */
struct proxy;
struct job_net {
	struct proxy *proxy; /* NULL: it has none */
	char *dir;
	struct sandbox_bind bind; /* to be bound, when there is a proxy; */
	int listen_to;            /* and for the sandbox, on PROXY_PORT */
};

/* Starts the proxy of a step that has a network, with its variables in j->step_env; and ends it.
 * rc and *e are how the step ended; what the proxy refused fails it all the same (ERR_STEP), and
 * what it recorded is kept in the store. */
int job_proxy_begin(struct job *j, const struct recipe_step *st, struct job_net *n,
		    struct err *e) MUST_CHECK;
int job_proxy_end(struct job *j, const struct recipe_step *st, struct job_net *n, int rc,
		  struct err *e) MUST_CHECK;
void job_net_release(struct job_net *n);

/* A step's record goes with its stage, so that `posmedia lock` always takes what the last build is
 * made of: kept beside the tree in `dir`; or, when the stage is found cached, read from there and
 * put back into its place in the store. Steps that do not record: nothing. */
int job_record_keep(struct job *j, const struct recipe_step *st, const char *dir,
		    struct err *e) MUST_CHECK;
int job_record_use(struct job *j, const struct recipe_step *st, const char *dir,
		   struct err *e) MUST_CHECK;

/* Builds with the lock without its record of that step, so that it records anew. */
int job_forget(struct job *j, const char *step, struct err *e) MUST_CHECK;

/* After the last step: from now on j->l is the lock as the next `posmedia lock` will write it, with
 * what was recorded. It is the one that can make this image again, so the image names and carries
 * it, and the stages that have it in them are keyed by it. */
void job_records(struct job *j);

/* Whether that is another lock than the caller's. */
bool job_has_new_records(const struct job *j);
void job_records_release(struct job *j);

/* Runs argv on root (no network, writable) and wants exit status 0; else ERR_STEP: "WHAT: exit 2:
 * the last lines". */
int job_run(struct job *j, const char *root, const char *what, const char *const *argv,
	    struct err *e) MUST_CHECK;

/* Same with a specification of the caller's own; env and out are filled in. */
int job_sandbox(struct job *j, const char *what, struct sandbox_spec *spec,
		struct err *e) MUST_CHECK;

/* The environment that every program in the sandbox gets; borrowed from job. */
void job_env(const struct job *j, struct strv *ret);

/* Lays one overlay, or all of the recipe, into root. */
int job_overlays(struct job *j, const char *root, struct err *e) MUST_CHECK;
int job_overlay(const struct recipe_overlay *o, const char *root, struct err *e) MUST_CHECK;

/* Puts the recipe, the lock and the files of the project that the build reads into the image;
 * ERR_VERIFY when one of them is a secret. */
int job_embed(struct job *j, const char *root, struct err *e) MUST_CHECK;

/* Removes what is generated. */
int job_clean(struct job *j, const char *root, struct err *e) MUST_CHECK;

/* Refuses (ERR_VERIFY) what is secret or leaks this machine; each finding with its file and who
 * brought it: of the lowest `stages`, or what came after them. */
int job_seal(struct job *j, size_t stages, const char *root, struct err *e) MUST_CHECK;

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

/* Brings those that other machines have made into the cache, from the lowest on: before anything is
 * fetched that they make needless. */
int job_stages_shared(struct job *j, struct build_result *ret, struct err *e) MUST_CHECK;

/* The new directory of a stage that is made, with what is in it. */
int job_stage_dirs(const char *dir, struct err *e) MUST_CHECK;

/* What the tree of stage i holds, read from the cache if need be. Damaged: ERR_VERIFY and
 * j->damaged. */
int job_contents(struct job *j, size_t i, struct err *e) MUST_CHECK;

/* Which package has which file, by what the package managers' own lists in the tree say after the
 * last package was installed; read once. Borrowed until job_forget_owned. */
int job_owned(struct job *j, const char *root, const struct map **ret, struct err *e) MUST_CHECK;
void job_forget_owned(struct job *j);

/* Makes the cached trees of this build's plan unusable. */
int job_distrust(struct job *j, struct err *e) MUST_CHECK;

/* Whether the stage is asked to be captured anew; whether it will run a program: it is neither
 * cached nor captured. */
bool job_recaptures(const struct job *j, const struct plan_stage *st);
bool job_will_run(const struct job *j, const struct plan_stage *st);

/* Unpacks what was captured of the step into the new directory `tree`: *ret_done; it is not when
 * nothing was, or when that is damaged. And captures what it made. */
int job_release_capture(struct job *j, const struct plan_stage *st, const char *tree,
			bool *ret_done, struct err *e) MUST_CHECK;
int job_capture(struct job *j, const struct plan_stage *st, const char *tree,
		struct err *e) MUST_CHECK;

/* Whether the kernel marked an overlay's directory as hiding all that is below it. */
bool job_is_opaque(const struct fs_entry *en);

struct job_layer {
	char *name, *why; /* "os-1", "app", "config" or a pin's; owned */
	struct pack_result packed;
};

/* Tests, layers, config and manifest from the merged view at root: everything into the store. */
int job_image(struct job *j, const char *root, struct build_result *ret, struct err *e) MUST_CHECK;

/* Gives every entry of t, the index of the tree at root, its layer, below *ret_n, and its time. */
int job_layers(struct job *j, const char *root, struct tree *t, size_t *ret_n,
	       struct err *e) MUST_CHECK;

/* What decides the bytes of a layer: metadata and the digests of contents. And what was packed for
 * such a key before, if the store still has it. */
struct digest job_layer_key(const struct job *j, const struct tree *t, int layer,
			    const char *compressor);
bool job_layer_recall(const struct job *j, const struct digest *key, struct pack_result *ret);
int job_layer_remember(const struct job *j, const struct digest *key, const struct pack_result *r,
		       struct err *e) MUST_CHECK;

/* The layer's name, and why it is one of its own, for people; the caller owns them. */
char *job_layer_name(const struct job *j, size_t layer) MUST_CHECK;
char *job_layer_why(const struct job *j, size_t layer) MUST_CHECK;

/* The image config (OCI image-spec, config.md) for these layers, on top of those of the config
 * `below` (may be NULL); the caller owns it. */
int job_image_config(struct job *j, const struct jval *below, const struct job_layer *layers,
		     size_t n, struct jval **ret, struct err *e) MUST_CHECK;

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
 * longest unused beyond two dozen; decompressed packages beyond 4 GiB and unpacked media beyond
 * 16 GiB. Does nothing while another build uses the store. */
void job_prune(struct job *j);

#endif
