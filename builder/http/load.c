#define CURL_DISABLE_TYPECHECK
#include "http/curl.h"

#include "base/log.h"
#include "base/mem.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#undef curl_easy_getinfo
#undef curl_easy_setopt

enum { STATUS_GONE = 71 };

static struct curl_calls lib;

static void gone(void)
{
	log_warn("%s", dlerror());
	_exit(STATUS_GONE);
}

static void load(void)
{
#define CURL_NAME(name) "curl_" #name,
	static const char *const names[] = {CURL_CALLS(CURL_NAME)};
	void *found[sizeof(names) / sizeof(*names)];
	void *h = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	_Static_assert(sizeof(found) == sizeof(lib), "a pointer each");
	if (h == NULL)
		gone();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		found[i] = dlsym(h, names[i]);
		if (found[i] == NULL)
			gone();
	}
	memcpy(&lib, found, sizeof(lib));
}

const struct curl_calls *curl_calls(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, load);
	return &lib;
}

/* What is told and the place for what is asked are handed on as they came. */
_Static_assert(sizeof(curl_off_t) == sizeof(void *) && sizeof(long) == sizeof(void *),
	       "an argument is as wide as a pointer");

CURLcode curl_easy_setopt(CURL *h, CURLoption what, ...)
{
	va_list ap;
	void *value;

	va_start(ap, what);
	value = va_arg(ap, void *);
	va_end(ap);
	return curl_calls()->easy_setopt(h, what, value);
}

CURLcode curl_easy_getinfo(CURL *h, CURLINFO what, ...)
{
	va_list ap;
	void *value;

	va_start(ap, what);
	value = va_arg(ap, void *);
	va_end(ap);
	return curl_calls()->easy_getinfo(h, what, value);
}
