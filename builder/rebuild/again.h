/* again.h - one rebuild under way; shared by the files of this directory. */
#ifndef REBUILD_AGAIN_H
#define REBUILD_AGAIN_H

#include "rebuild/rebuild.h"

#include "archive/tree.h"
#include "base/map.h"
#include <sys/types.h>

struct again {
	const struct rebuild_opts *o;
	struct rebuild_result *ret;
	char *scratch;           /* of the store: trees to compare */
	char *was_root;          /* the image, unpacked there */
	struct oci_manifest was; /* and its manifest */
	char *place;             /* the folder of the new build: project, store, out */
	bool mounted;            /* there is a tmpfs of ours there */
	struct recipe *r;        /* as the image has them */
	struct lock *l;
	char *user; /* to build as; NULL = as we are */
	uid_t uid;
	gid_t gid;
	unsigned threads;
	struct strv env;             /* of the new build */
	struct strv words, meanings; /* what only this machine and this build would write */
};

/* Decides under which circumstances to build, makes the place, and says so in the result. */
int again_vary(struct again *a, struct err *e) MUST_CHECK;

/* One more circumstance for the result; the texts are taken over. */
void again_varied(struct again *a, const char *name, char *was, char *is, char *why_not);

/* Takes the place away. */
int again_leave(struct again *a, struct err *e) MUST_CHECK;

/* Lays recipe, lock, project, store and program into the place, for the user that builds. */
int again_lay_out(struct again *a, struct err *e) MUST_CHECK;

/* The laid out recipe, and the layout that the new build makes; the caller owns the paths. */
char *again_recipe(const struct again *a) MUST_CHECK;
char *again_layout(const struct again *a) MUST_CHECK;

/* Compares the image with what the new build made. */
int again_compare(struct again *a, struct err *e) MUST_CHECK;

/* A file that differs, as both sides have it. */
struct pair {
	const struct again *a;
	const char *path;
	unsigned kinds;
	const struct tree_entry *was, *is; /* NULL where it is not there */
	struct buf x, y;                   /* the contents, the first MiB */
};

/* The likely cause, in words; the caller owns it. */
char *cause_of(const struct pair *p) MUST_CHECK;

/* Who brought it: a package, an overlay, a step. owner: path -> package. The caller owns it. */
char *cause_by(const struct again *a, const struct map *owner, const char *path) MUST_CHECK;

#endif
