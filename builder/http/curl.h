/* curl.h - libcurl, loaded when it is first called. It brings 37 libraries along, which take 4 MB
 * and half of the time that the program takes to start, and most runs of it ask no server for
 * anything.
 *
 * A library that has gone since the program was linked ends it, as a lack of memory does. */
#ifndef HTTP_CURL_H
#define HTTP_CURL_H

#include <curl/curl.h>

#define CURL_CALLS(X)                                                                              \
	X(easy_cleanup)                                                                            \
	X(easy_escape)                                                                             \
	X(easy_getinfo)                                                                            \
	X(easy_init)                                                                               \
	X(easy_setopt)                                                                             \
	X(easy_strerror)                                                                           \
	X(free)                                                                                    \
	X(global_cleanup)                                                                          \
	X(global_init)                                                                             \
	X(multi_add_handle)                                                                        \
	X(multi_cleanup)                                                                           \
	X(multi_fdset)                                                                             \
	X(multi_info_read)                                                                         \
	X(multi_init)                                                                              \
	X(multi_perform)                                                                           \
	X(multi_poll)                                                                              \
	X(multi_remove_handle)                                                                     \
	X(multi_strerror)                                                                          \
	X(multi_wakeup)                                                                            \
	X(slist_append)                                                                            \
	X(slist_free_all)                                                                          \
	X(url)                                                                                     \
	X(url_cleanup)                                                                             \
	X(url_get)                                                                                 \
	X(url_set)

#define CURL_CALL(name) __typeof__(curl_##name) *name;
struct curl_calls {
	CURL_CALLS(CURL_CALL)
};
#undef CURL_CALL

/* The library's functions. From any thread. */
const struct curl_calls *curl_calls(void);

/* Two have any type of argument, which the header sees to when they are called by their names:
 * those are functions of ours. */
#define curl_easy_cleanup        (curl_calls()->easy_cleanup)
#define curl_easy_escape         (curl_calls()->easy_escape)
#define curl_easy_init           (curl_calls()->easy_init)
#define curl_easy_strerror       (curl_calls()->easy_strerror)
#define curl_free                (curl_calls()->free)
#define curl_global_cleanup      (curl_calls()->global_cleanup)
#define curl_global_init         (curl_calls()->global_init)
#define curl_multi_add_handle    (curl_calls()->multi_add_handle)
#define curl_multi_cleanup       (curl_calls()->multi_cleanup)
#define curl_multi_fdset         (curl_calls()->multi_fdset)
#define curl_multi_info_read     (curl_calls()->multi_info_read)
#define curl_multi_init          (curl_calls()->multi_init)
#define curl_multi_perform       (curl_calls()->multi_perform)
#define curl_multi_poll          (curl_calls()->multi_poll)
#define curl_multi_remove_handle (curl_calls()->multi_remove_handle)
#define curl_multi_strerror      (curl_calls()->multi_strerror)
#define curl_multi_wakeup        (curl_calls()->multi_wakeup)
#define curl_slist_append        (curl_calls()->slist_append)
#define curl_slist_free_all      (curl_calls()->slist_free_all)
#define curl_url                 (curl_calls()->url)
#define curl_url_cleanup         (curl_calls()->url_cleanup)
#define curl_url_get             (curl_calls()->url_get)
#define curl_url_set             (curl_calls()->url_set)

#endif
