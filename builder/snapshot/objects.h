/* objects.h - where a repository's objects are: files of a directory, or keys of a bucket. An
 * object is put once and whole, and never changed; names are "FOLDER/NAME", or NAME of what there
 * is one of. For the files of snapshot/ only. */
#ifndef SNAPSHOT_OBJECTS_H
#define SNAPSHOT_OBJECTS_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct objects;

/* One of a listing, with its size in bytes and when it was put, seconds. */
struct object {
	char *name; /* without the folder */
	uint64_t size;
	int64_t time;
};
struct object_list {
	struct object *v; /* by name */
	size_t n, cap;
};
void object_list_release(struct object_list *l);

/* Room for a part of an object, and how much of it there was. */
struct object_part {
	void *p;
	size_t n, got;
};

/* What each kind of place can do. */
struct objects_ops {
	int (*put)(void *ctx, const char *name, int fd, uint64_t size, struct err *e);
	int (*read)(void *ctx, const char *name, uint64_t from, struct object_part *part,
		    struct err *e);
	int (*list)(void *ctx, const char *folder, struct object_list *ret, struct err *e);
	int (*remove)(void *ctx, const char *name, struct err *e);
	int (*may_remove)(void *ctx, struct err *e);
	int (*temp)(void *ctx, int *ret_fd, struct err *e);
	int (*lock)(void *ctx, bool alone, struct err *e);
	void (*free)(void *ctx);
};

/* Opens "dir:PATH", an absolute path or "s3://BUCKET[/PREFIX]"; a directory that is not there is
 * made when `make` is set. ERR_USAGE for anything else. May be used by several threads. */
int objects_open(const char *where, bool make, struct objects **ret, struct err *e) MUST_CHECK;
void objects_free(struct objects *o);

/* The two kinds, for objects_open. */
int objects_dir(const char *path, bool make, struct objects *o, struct err *e) MUST_CHECK;
int objects_s3(const char *at, struct objects *o, struct err *e) MUST_CHECK;
struct objects {
	const struct objects_ops *ops;
	void *ctx;
	char *where; /* as it was named */
	bool remote; /* a bucket */
};

/* Puts all bytes of an open file, or n bytes. What is there already stays: names are made from
 * content. It is on disk when this returns. */
int objects_put(struct objects *o, const char *name, int fd, struct err *e) MUST_CHECK;
int objects_put_bytes(struct objects *o, const char *name, const void *p, size_t n,
		      struct err *e) MUST_CHECK;

/* Appends the whole object. 1: there is none. Past ret->max: ERR_VERIFY. */
int objects_get(struct objects *o, const char *name, struct buf *ret, struct err *e) MUST_CHECK;

/* Reads exactly n bytes (at most 8 MiB) from an offset. ERR_VERIFY when they are not there. */
int objects_read(struct objects *o, const char *name, uint64_t from, void *p, size_t n,
		 struct err *e);

/* All objects of a folder, by name. No such folder is an empty one. */
int objects_list(struct objects *o, const char *folder, struct object_list *ret,
		 struct err *e) MUST_CHECK;

/* Removes one; absent is success. */
int objects_remove(struct objects *o, const char *name, struct err *e) MUST_CHECK;

/* Whether objects can be removed at all: ERR_VERIFY with the reason when not. */
int objects_may_remove(struct objects *o, struct err *e) MUST_CHECK;

/* A file without a name, for what is to be put. */
int objects_temp(struct objects *o, int *ret_fd, struct err *e) MUST_CHECK;

/* Holds the place, with others or alone, until objects_free. ERR_BUSY. */
int objects_lock(struct objects *o, bool alone, struct err *e) MUST_CHECK;

#endif
