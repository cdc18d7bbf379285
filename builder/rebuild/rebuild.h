/* rebuild.h - an image built again from the lock and the recipe that it carries, under other
 * circumstances, and compared byte by byte: see posmedia-reproducible(7). */
#ifndef REBUILD_REBUILD_H
#define REBUILD_REBUILD_H

#include "oci/oci.h"
#include "recipe/lock.h"
#include "store/store.h"

struct rebuild_opts {
	struct store *store; /* packages and media that are there are not fetched again */
	const struct oci_layout *layout;
	const struct oci_desc *manifest;
	const char *on;             /* the folder to build below; NULL = chosen, tmpfs if it fits */
	const char *as;             /* the user to build as; NULL = chosen when we are root */
	const char *program;        /* whose `build` verb makes the image */
	const struct strv *options; /* for it: how much it says */
};

/* A circumstance: what it is usually, and what it was in this build. */
struct rebuild_varied {
	const char *name;
	char *was, *is;
	char *why_not; /* NULL = it was another one */
};

/* How an entry of the tree is different; bits. */
enum rebuild_kind {
	REBUILD_ONLY_WAS = 1, /* only the image has it */
	REBUILD_ONLY_IS = 2,  /* only the new build has it */
	REBUILD_TYPE = 4,
	REBUILD_CONTENT = 8,
	REBUILD_LINK = 16,
	REBUILD_OWNER = 32,
	REBUILD_MODE = 64,
	REBUILD_MTIME = 128,
	REBUILD_XATTRS = 256,
};

struct rebuild_file {
	char *path;     /* without leading slash */
	unsigned kinds; /* bits of enum rebuild_kind */
	char *detail;   /* what it was and is; "" when there is nothing to say */
	char *cause;    /* the likely one */
	char *by;       /* who brought it */
};

struct rebuild_layer {
	char *name;            /* "os"; "" when it has none */
	struct digest was, is; /* diff_ids */
	bool same;             /* these */
	bool same_blob;        /* the compressed bytes as well */
	char *tar; /* not same, though the trees are: where the tars differ; else NULL */
};

struct rebuild_result {
	bool reproduced;
	struct digest was, is; /* manifests */
	struct strv config;    /* differences of the configuration, one line each */
	struct rebuild_layer *layers;
	struct rebuild_file *files; /* in byte order of the paths */
	struct rebuild_varied *varied;
	size_t layers_n, files_n, varied_n;
};

/* Builds again and compares; what is different is a result, no error. An ordinary user has been
 * through sandbox_enter before the store was opened, and so has root. ERR_RECIPE: the image does
 * not carry its inputs. The caller releases *ret. */
int rebuild(const struct rebuild_opts *o, struct rebuild_result *ret, struct err *e) MUST_CHECK;
void rebuild_release(struct rebuild_result *r);

/* For people, and as JSON; the caller owns it. */
void rebuild_report(const struct rebuild_result *r, struct buf *out);
struct jval *rebuild_json(const struct rebuild_result *r) MUST_CHECK;

#endif
