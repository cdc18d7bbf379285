#include "restore/ledger.h"

#include "sys/chain.h"
#include "sys/clock.h"

static const struct chain chain = {.name = LEDGER, .fault = "ledger: written"};

int restore_ledger_append(int ownfd, const char *what, const struct jval *event, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *time SCOPED(mem_freep) = clock_rfc3339(clock_wall_s());

	jval_put_text(v, "what", what);
	jval_put_text(v, "time", time);
	jval_put(v, "event", jval_ref((struct jval *)(uintptr_t)event));
	return chain_append(ownfd, &chain, v, e);
}

int restore_ledger_check(int ownfd, uint64_t *ret, struct err *e)
{
	return chain_read(ownfd, &chain, NULL, NULL, ret, e);
}
