/* parts.h - what the files of engine/ share. */
#ifndef ENGINE_PARTS_H
#define ENGINE_PARTS_H

#include "engine/engine.h"
#include "http/http.h"

struct engine {
	char *socket;
	struct http *http;
	struct engine_about about;
	uint64_t quiet_ms; /* it is asked once, and waited for no longer; 0 = see struct ask */
};

/* One question. */
struct ask {
	const char *method;
	char *path;              /* behind the version: "/containers/json"; freed by engine_ask */
	const struct jval *body; /* or NULL */
	const char *type;        /* of another body, that the request has; or NULL */
	uint64_t quiet_ms;       /* give up when nothing moves; 0 = 60 s */
	bool plain;              /* the path is whole, without a version */
};

/* Asks; q may bring a body. Any status is an answer. */
int engine_ask(struct engine *en, struct ask *a, struct http_request *q, struct http_reply *ret,
	       struct err *e) MUST_CHECK;

/* An error from an answer: the message that is in it, and which socket said it. Returns -1. */
int engine_refused(const struct engine *en, const struct http_reply *r, const char *what,
		   struct err *e);

/* The JSON of an answer of status 200 or 201; the caller owns it. */
int engine_json(const struct engine *en, const struct http_reply *r, const char *what,
		struct jval **ret, struct err *e) MUST_CHECK;

/* "/containers/NAME" and what follows; refuses a name that is none. The caller owns *ret. */
int engine_path(const char *name, const char *rest, char **ret, struct err *e) MUST_CHECK;

/* What a program said, from the frames in which the engine sends it: both streams, in order, up to
 * out->max. Broken frames are ERR_REMOTE. */
int engine_frames(const char *p, size_t n, struct buf *out, struct err *e) MUST_CHECK;

/* Which version of cgroups(7) an engine's /info tells of. */
int engine_read_cgroup2(const struct jval *v, bool *ret, struct err *e) MUST_CHECK;

/* What an inspected container says of itself. */
int engine_read_state(const struct jval *v, struct engine_state *ret, struct err *e) MUST_CHECK;

/* The directories of layers that an inspected image names, or none. */
void engine_read_layers(const struct jval *v, struct strv *ret);

/* What a list of containers says. */
int engine_read_list(const struct jval *v, struct engine_entries *ret, struct err *e) MUST_CHECK;

/* Whether what came from loading an image, one JSON object a line, tells of an error. */
int engine_read_load(const char *p, size_t n, struct err *e) MUST_CHECK;

#endif
