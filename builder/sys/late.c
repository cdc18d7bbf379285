#include "sys/late.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

enum { NOT_YET, LOADED, NOT_THERE };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int load(const struct late *l)
{
	void *lib = dlopen(l->file, RTLD_LAZY | RTLD_LOCAL);

	for (size_t i = 0; lib != NULL && i < l->n; i++) {
		void *p = dlsym(lib, l->calls[i].name);

		if (p == NULL)
			return NOT_THERE;
		memcpy(l->calls[i].at, &p, sizeof(p));
	}
	return lib != NULL ? LOADED : NOT_THERE;
}

bool late_load(struct late *l)
{
	int state = __atomic_load_n(&l->state, __ATOMIC_ACQUIRE);

	if (state != NOT_YET)
		return state == LOADED;
	(void)pthread_mutex_lock(&one_at_a_time);
	state = l->state;
	if (state == NOT_YET) {
		state = load(l);
		__atomic_store_n(&l->state, state, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&one_at_a_time);
	return state == LOADED;
}

int late_need(struct late *l, struct err *e)
{
	if (late_load(l))
		return 0;
	(void)err_set(e, ERR_FAIL, "cannot load %s", l->file);
	return err_hint(e, "install its package: builder/DEPENDS");
}
