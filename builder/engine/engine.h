/* engine.h - the Docker Engine API over a unix socket: dockerd, or `podman system service`. One
 * program for both: what they do differently is in here.
 *
 * What the engine answers is a stranger's: sizes are limited and types checked. Errors are of kind
 * ERR_REMOTE; containers are named by [A-Za-z0-9][A-Za-z0-9_.-]+, at most 128. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "form/digest.h"
#include "form/json.h"
#include <stdbool.h>
#include <stdint.h>

struct engine;

struct engine_about {
	char *version; /* as it says itself; printable */
	bool podman;
	unsigned api; /* 41 = 1.41: what both of us know */
};

/* Where the machine's own engine listens: dockerd's socket where there is one, or podman's. */
const char *engine_socket(void);

/* Finds out who answers at the socket, an absolute path. Older than API 1.40 is refused. */
int engine_open(const char *socket, struct engine **ret, struct err *e) MUST_CHECK;

/* The same for who only looks: what it is asked, it answers within so long or not at all. */
int engine_open_within(const char *socket, uint64_t quiet_ms, struct engine **ret,
		       struct err *e) MUST_CHECK;
void engine_free(struct engine *en);
void engine_freep(struct engine **en);

/* Borrowed from it. */
const struct engine_about *engine_about(const struct engine *en);

/* Whether its containers have the one hierarchy of cgroups(7) version 2: what is mounted where we
 * run need not be what is mounted where the engine does. podman starts programs to say so. */
int engine_cgroup2(struct engine *en, bool *ret, struct err *e) MUST_CHECK;

struct engine_blob {
	struct digest digest;
	int fd; /* borrowed; read with pread(2) */
	uint64_t size;
};

/* An image whose bytes the caller has verified. */
struct engine_image {
	struct engine_blob config;
	struct engine_blob *layers; /* the lowest first; plain, gzip or zstd */
	size_t layers_n;
};

/* Whether the engine has the image of that config: its id is the only name that all engines agree
 * on. layers, when it is not NULL, gets the directories in which an engine with overlayfs says that
 * it has it unpacked, the topmost first; none when it does not say. They are the engine's own, and
 * need not be there where we run. */
int engine_has(struct engine *en, const struct digest *config, bool *ret, struct strv *layers,
	       struct err *e) MUST_CHECK;

/* Gives the image to the engine, and makes sure afterwards that it has this very one, under
 * "localhost/posmedia:CONFIG". */
int engine_load(struct engine *en, const struct engine_image *i, struct err *e) MUST_CHECK;

enum engine_health {
	ENGINE_NO_CHECK, /* the image has none */
	ENGINE_STARTING,
	ENGINE_HEALTHY,
	ENGINE_UNHEALTHY,
};

struct engine_state {
	bool there; /* the rest is of one that is there */
	bool running;
	bool restarting; /* it does not run, and the engine is about to start it again */
	bool paused;     /* its processes are there, and stand still */
	bool read_only;  /* its root */
	char *id;        /* 64 hexadecimal digits, or NULL */
	int pid;         /* of its first process, on the host; 0 = none */
	int exit;        /* status of the last run */
	char *started;   /* when the last run began, as the engine writes it; NULL = it never ran */
	int64_t started_s, finished_s; /* that, and when the last run ended; 0 = not known */
	struct digest image;
	enum engine_health health; /* as the engine has it: see engine_health */
	struct jval *labels;       /* object, or NULL */
};

/* What the engine says of a container. engine_state_release accepts a zeroed struct. */
int engine_state(struct engine *en, const char *name, struct engine_state *ret,
		 struct err *e) MUST_CHECK;
void engine_state_release(struct engine_state *s);

/* What the engine says of a container in a list: less than engine_state, of all in one answer. */
struct engine_entry {
	char *name;
	bool running;
	bool restarting;
	bool paused;
	struct jval *labels; /* object, or NULL */
};
struct engine_entries {
	struct engine_entry *v; /* in byte order of their names */
	size_t n;
};

/* One without a name, as it is for a moment while it is removed, is left out, with a warning. All
 * containers with a label, or all when that is NULL, those that do not run too.
 * engine_entries_release accepts a zeroed struct. */
int engine_list(struct engine *en, const char *label, struct engine_entries *ret,
		struct err *e) MUST_CHECK;
void engine_entries_release(struct engine_entries *l);

/* The one of that name, or NULL. */
const struct engine_entry *engine_entry_find(const struct engine_entries *l, const char *name);

/* All that the engine says of a container, an object; *ret is NULL when there is none. The caller
 * owns it. */
int engine_inspect(struct engine *en, const char *name, struct jval **ret,
		   struct err *e) MUST_CHECK;

/* Makes a container: spec is the body of POST /containers/create. A name that is taken is
 * ERR_BUSY. */
int engine_create(struct engine *en, const char *name, const struct jval *spec,
		  struct err *e) MUST_CHECK;

/* Starts it; running already is success. Stops it within so many seconds, or kills it; not running
 * is success, and so is absent. */
int engine_start(struct engine *en, const char *name, struct err *e) MUST_CHECK;
int engine_stop(struct engine *en, const char *name, unsigned seconds, struct err *e) MUST_CHECK;

/* Makes all of its processes stand still where they are; lets them go on. One that is so already is
 * ERR_REMOTE. */
int engine_pause(struct engine *en, const char *name, struct err *e) MUST_CHECK;
int engine_go_on(struct engine *en, const char *name, struct err *e) MUST_CHECK;

/* Ends one of which the engine says that it runs, and whose process is gone: podman, which cannot
 * start such a one again, removes it. */
int engine_end_lost(struct engine *en, const char *name, struct err *e) MUST_CHECK;

/* Removes it, with its volumes without a name; one that runs is refused. Absent is success. */
int engine_remove(struct engine *en, const char *name, struct err *e) MUST_CHECK;

/* Renames it. */
int engine_rename(struct engine *en, const char *from, const char *to, struct err *e) MUST_CHECK;

/* Runs the image's own check now, where the engine does not by itself (podman without a systemd),
 * and says how it stands. */
int engine_health(struct engine *en, const char *name, enum engine_health *ret,
		  struct err *e) MUST_CHECK;

/* Runs a program in a running container until it ends, or until it has said nothing for so long
 * (ERR_REMOTE): then it is killed, where it can be told that it is the container's. *ret_status is
 * its exit status; what it says goes to out, up to its max. */
struct engine_exec {
	const struct strv *argv;
	uint64_t quiet_ms;
	struct buf *out;
};
int engine_run(struct engine *en, const char *name, const struct engine_exec *x, int *ret_status,
	       struct err *e) MUST_CHECK;

/* Appends what a container has said on its own streams, the last so many lines, each with its time;
 * fewer, with a warning, when out->max has no room for their frames. */
int engine_logs(struct engine *en, const char *name, unsigned lines, struct buf *out,
		struct err *e) MUST_CHECK;

/* Unpacks a tar archive below a directory of the container, which need not run. */
int engine_put(struct engine *en, const char *name, const char *dir, const struct buf *tar,
	       struct err *e) MUST_CHECK;

/* Writes a tar of the file or directory `path` of a container, which need not run, to a file. Its
 * names begin with the last component of the path. More than bytes_max is ERR_REMOTE; what is not
 * there, or a container that is not, is none; a container whose mounts lack their sources is
 * ERR_REMOTE. */
struct engine_files {
	const char *path; /* absolute */
	int to;           /* where; empty */
	uint64_t bytes_max;
};
int engine_get(struct engine *en, const char *name, const struct engine_files *f, bool *ret_there,
	       struct err *e) MUST_CHECK;

/* Whether a container, which need not run, has something at an absolute path. */
int engine_has_path(struct engine *en, const char *name, const char *path, bool *ret,
		    struct err *e) MUST_CHECK;

/* Where the tree of a container is to be seen on this machine, when what engine_get writes does not
 * tell whose the files are: podman makes them all root's. Else *ret is NULL. It is to be looked at
 * as hostile, without following links. The caller owns it, and calls engine_unmount. */
int engine_mount(struct engine *en, const char *name, char **ret, struct err *e) MUST_CHECK;
int engine_unmount(struct engine *en, const char *name, struct err *e) MUST_CHECK;

#endif
