#include "sandbox/priv.h"
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};

	return (int)syscall(SYS_capget, &head, data);
}

bool caps_have(unsigned cap)
{
	struct __user_cap_data_struct data[2] = {{0}};

	return get(data) == 0 && (data[cap / 32].effective >> cap % 32 & 1) != 0;
}

int caps_limit(uint64_t keep, struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	for (unsigned cap = 0; cap < 64; cap++) {
		if ((keep >> cap & 1) != 0 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* past the last one this kernel knows */
			break;
		return err_sys(e, "drop capability %u", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || get(data) != 0)
		return err_sys(e, "read capabilities");
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) != 0)
		return err_sys(e, "set capabilities");
	return 0;
}
