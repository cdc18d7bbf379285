#include "sandbox/priv.h"
#include <sys/resource.h>

int limit_lower(int resource, uint64_t max, struct err *e)
{
	struct rlimit l;

	if (getrlimit((__rlimit_resource_t)resource, &l) != 0)
		return err_sys(e, "read resource limit %d", resource);
	if (l.rlim_max > max)
		l.rlim_max = max;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &l) != 0)
		return err_sys(e, "lower resource limit %d", resource);
	return 0;
}
