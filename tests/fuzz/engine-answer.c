/* Any bytes as what an engine answers. */
#include "fuzz.h"

#include "engine/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(1024);
	struct engine_state s SCOPED(engine_state_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;

	(void)!engine_frames((const char *)p, n, &out, &e);
	HOLDS(out.len <= 1024);
	(void)!engine_read_load((const char *)p, n, &e);
	if (jval_parse((const char *)p, n, "answer", &v, &e) == 0 &&
	    engine_read_state(v, &s, &e) == 0)
		HOLDS(s.there && s.pid >= 0 && s.exit >= 0 && s.exit < 256);
	return 0;
}
