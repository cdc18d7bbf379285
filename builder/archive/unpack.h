/* unpack.h - tar, ISO 9660, zip, cpio, rpm and .deb into a directory: the door to libarchive. The
 * bytes are hostile: they are parsed by a sandbox_worker that cannot leave `dest`. */
#ifndef ARCHIVE_UNPACK_H
#define ARCHIVE_UNPACK_H

#include "base/err.h"
#include "base/strv.h"
#include "form/digest.h"
#include <stdbool.h>
#include <stdint.h>

struct unpack_opts {
	const char *what;   /* names the archive in errors */
	bool layer;         /* an OCI layer: apply whiteouts (.wh.NAME, .wh..wh..opq) */
	bool tar;           /* nothing else will do, and it may be empty */
	bool keep_owner;    /* chown to the archive's numeric owners; else everything is ours */
	uint64_t *hidden;   /* of a layer, in memory that is shared: counts what was there before
			       and it takes away or replaces; or NULL */
	bool read_only;     /* a medium: drop all write permission bits, keep owners that an
			       image can have, refuse names with control characters */
	bool bare_disc;     /* a disc's own names are shown in lower case, as Linux does when it has
			       neither Rock Ridge nor Joliet */
	uint64_t bytes_max; /* of all files together; 0 = 64 GiB */
	uint64_t entries_max; /* 0 = 4 million */
	uint64_t timeout_ms;  /* 0 = 10 minutes */
};

/* Unpacks what fd still has to read below the directory `dest` (absolute, existing). A layer must
 * be a tar; else also ISO 9660, zip and cpio will do. Without keep_owner, setuid, setgid and sticky
 * bits are dropped; with it, user.* attributes and file capabilities come along. Refuses with
 * kind ERR_RECIPE, naming archive and entry: absolute names, ".." components, entries below a
 * symlink, hard links that leave the tree, device nodes, FIFOs and sockets (in media; a layer's
 * are skipped), names of more than 4096 bytes, more bytes or entries than allowed, damaged or
 * truncated archives. Directories in dest that symlinks point out of are never followed. */
int unpack(int fd, const char *dest, const struct unpack_opts *o, struct err *e) MUST_CHECK;

struct unpack_medium {
	const char *name; /* of the file, when it is no archive */
	bool as_file;     /* or shall not be taken for one */
	bool disc;        /* only a disc will do: anything else is ERR_RECIPE */
	const struct strv
	    *inside;        /* paths: of an archive in it, of one in that, ...; NULL = none */
	uint64_t bytes_max; /* as in unpack_opts; also of each archive on the way */
	uint64_t entries_max, timeout_ms;
};

/* A vendor's medium below `dest`, read-only: what is in the ISO 9660 disc, tar, zip (jar), cpio or
 * rpm that its bytes say it is, or in the one inside it; compressed by gzip, xz, zstd or bzip2 or
 * not. Anything else becomes a file `name` in it. fd must be a file. what: names it in errors.
 * Refuses as unpack does, with hints. */
int unpack_medium(int fd, const char *what, const char *dest, const struct unpack_medium *m,
		  struct err *e) MUST_CHECK;

/* The data parts of several Debian packages (deb(5)) into `dest`, in one worker, with owners and
 * times (o->keep_owner is implied). An error names the package by its `what`. Refuses as unpack
 * does. */
struct unpack_package {
	int fd;
	const char *what;
};
int unpack_debs(const struct unpack_package *v, size_t n, const char *dest,
		const struct unpack_opts *o, struct err *e) MUST_CHECK;

/* Decompresses a layer blob (gzip, zstd or plain) in a worker and gives the digest and size of the
 * tar inside: the diff_id (OCI image-spec, config.md). */
int unpack_diff_id(int fd, const char *what, struct digest *ret, uint64_t *ret_size,
		   struct err *e) MUST_CHECK;

#endif
