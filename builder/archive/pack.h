/* pack.h - layers: byte-stable tar (POSIX pax interchange, own writer) through a byte-stable
 * compressor. OCI image-spec 1.1, layer.md. */
#ifndef ARCHIVE_PACK_H
#define ARCHIVE_PACK_H

#include "archive/tree.h"
#include "base/sink.h"
#include "form/digest.h"

enum pack_compression {
	PACK_NONE,
	PACK_GZIP, /* a member for each 1 MiB of input; mtime 0, OS 255, no name */
	PACK_ZSTD, /* always the multi-threaded interface, so thread count does not matter */
};

struct pack_opts {
	int layer; /* pack_layer: which of the tree's layers */
	enum pack_compression compression;
	int level;        /* 0 = 6 for gzip, 3 for zstd */
	unsigned threads; /* 0 = processors online; no effect on the bytes */
	int64_t epoch;    /* mtime of directories that are only parents of this layer's entries */
	/* NULL, or tells the digest that the contents of entry i must have (NULL = any): another
	 * one is ERR_VERIFY */
	const struct digest *(*want)(void *ctx, size_t i, const struct tree_entry *en);
	void *ctx;
};

struct pack_result {
	struct digest diff_id; /* of the uncompressed tar */
	struct digest digest;  /* of what went to the sink */
	uint64_t raw_size, size;
	size_t entries;
};

/* Writes the layer of all entries with .layer == o->layer, plus their parent directories, to out:
 * sorted by path, numeric owners, empty user and group names, pax records only for long names,
 * long links, large numbers, xattrs (SCHILY.xattr.) and access control lists (SCHILY.acl.), two
 * zero blocks at the end. Hard links whose first name lies in another layer are written as files of
 * their own. A file that shrank or grew since the scan is an error. */
int pack_layer(int rootfd, const struct tree *t, const struct pack_opts *o, const struct sink *out,
	       struct pack_result *ret, struct err *e) MUST_CHECK;

/* "gzip-6/libdeflate-1.14" and such, for provenance; the caller owns it. */
char *pack_compressor_id(const struct pack_opts *o) MUST_CHECK;

/* A compressor as a sink, for other artifacts. Close flushes and gives what pack_result has for
 * compressed bytes. */
struct pack_stream;
int pack_stream_open(const struct pack_opts *o, const struct sink *out, struct pack_stream **ret,
		     struct err *e) MUST_CHECK;
struct sink pack_stream_sink(struct pack_stream *s);
int pack_stream_close(struct pack_stream *s, struct pack_result *ret, struct err *e) MUST_CHECK;
void pack_stream_free(struct pack_stream *s); /* without closing; NULL is fine */

#endif
