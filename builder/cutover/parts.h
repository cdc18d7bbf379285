/* parts.h - what the files of cutover/ share. */
#ifndef CUTOVER_PARTS_H
#define CUTOVER_PARTS_H

#include "cutover/old.h"
#include "form/json.h"

/* The agent: Perl text, as it goes to the old server. */
const char *agent_text(size_t *ret_n);

/* What the agent is to do, of a plan. The caller owns it. */
struct jval *old_plan_json(const struct site_old *plan) MUST_CHECK;

/* What asks for lists of the plan's directories: [{at, exclude}]. */
struct jval *old_data_json(const struct site_old *plan, const struct strv *exclude) MUST_CHECK;

/* What the session was opened with. */
const struct old_opts *old_opts(const struct old *o);

/* A request: takes q over, which may be NULL. `piece` is given each that comes before the answer;
 * NULL = there are none. */
struct old_asking {
	const char *verb;
	struct jval *q;
	uint64_t within_ms;
	int (*piece)(void *ctx, const struct jval *a, struct err *e);
	void *ctx;
};
/* Asks, and waits. The caller owns *ret. */
int old_ask(struct old *o, const struct old_asking *q, struct jval **ret, struct err *e) MUST_CHECK;

/* Says whose the error is; after one of kind ERR_REMOTE the session is over. Returns -1. */
int old_lost(struct old *o, struct err *e);

/* One line of the agent. *ret_more: it is a piece before the answer. ERR_REMOTE when it is not the
 * answer to request id, the refusal's kind when it is one. The caller owns *ret. */
int old_answer(const char *line, uint64_t id, bool *ret_more, struct jval **ret,
	       struct err *e) MUST_CHECK;

/* Typed members of an answer; each is ERR_REMOTE when the answer has not got it so. */
int old_read_state(const struct jval *a, struct old_state *ret, struct err *e) MUST_CHECK;
int old_read_status(const struct jval *a, struct old_status *ret, struct err *e) MUST_CHECK;
int old_read_hello(const struct jval *a, struct old_hello *ret, struct err *e) MUST_CHECK;
int old_read_lists(const struct jval *a, const struct site_old *plan, bool roots,
		   struct old_list *ret, struct err *e) MUST_CHECK;
int old_read_receive(const struct jval *a, char **ret_to, struct strv *ret_devices,
		     struct err *e) MUST_CHECK;
/* ERR_STEP when the program did not end with 0. */
int old_read_ran(const struct jval *a, char **ret_said, struct err *e) MUST_CHECK;

/* Bytes of a name as they stand in a listing. */
void listing_put(struct buf *b, const char *s);

#endif
