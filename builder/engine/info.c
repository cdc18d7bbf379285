/* info.c - what an engine says of the machine that it runs containers on. */
#include "engine/parts.h"

#include <string.h>

int engine_read_cgroup2(const struct jval *v, bool *ret, struct err *e)
{
	const char *version = jval_get_str(v, "CgroupVersion");

	/* dockerd says so since it knows of more than one */
	if (jval_get(v, "CgroupVersion") == NULL)
		*ret = false;
	else if (version != NULL && (strcmp(version, "1") == 0 || strcmp(version, "2") == 0))
		*ret = version[0] == '2';
	else
		return err_set(e, ERR_REMOTE, "the engine does not say which cgroups it has");
	return 0;
}

int engine_cgroup2(struct engine *en, bool *ret, struct err *e)
{
	struct ask a = {.method = "GET", .path = mem_strdup("/info")};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct http_request q = {0};
	struct http_reply r = {0};
	int rc;

	if (engine_ask(en, &a, &q, &r, e) != 0)
		return -1;
	rc = engine_json(en, &r, "look at the engine", &v, e);
	http_reply_release(&r);
	return rc == 0 ? engine_read_cgroup2(v, ret, e) : -1;
}
