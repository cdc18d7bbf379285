/* mem.h - allocation that cannot fail, and scope-bound release.
 *
 * Out of memory ends the process with status 71: every on-disk change is
 * temp+fsync+rename, so there is nothing to unwind. Sizes that come from input
 * are checked against a limit before they reach this file.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(a, b) __attribute__((format(printf, a, b)))
#define SCOPED(fn)   __attribute__((cleanup(fn)))
#define UNUSED       __attribute__((unused))

/* Returns n zeroed bytes; the caller owns them and releases with free(). */
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));

/* Returns p grown or shrunk to n items of `size` bytes; new bytes are not zeroed. A product that
 * overflows counts as out of memory. */
void *mem_resize(void *p, size_t n, size_t size) __attribute__((returns_nonnull));

/* Returns a copy of s; the caller owns it. s must not be NULL. */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));

/* Returns a NUL-terminated copy of n bytes at p; the caller owns it. */
char *mem_strndup(const char *p, size_t n) __attribute__((malloc, returns_nonnull));

/* Returns the formatted text; the caller owns it. */
char *mem_format(const char *fmt, ...) PRINTF(1, 2) __attribute__((malloc, returns_nonnull));

/* Same from a va_list. */
char *mem_vformat(const char *fmt, va_list ap)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 0)));

/* Says that memory is exhausted and ends the process with status 71: also for a library that has
 * no other reason to fail. */
void mem_exhausted(void) __attribute__((noreturn));

/* cleanup handlers: char *SCOPED(mem_freep) p = NULL;  int SCOPED(fd_closep) fd = -1;
 * fd_closep keeps errno and leaves -1 behind. */
void mem_freep(void *pp);
void fd_closep(int *fd);

/* Hands the value out of a scoped variable and leaves NULL behind. */
#define STEAL(p)                                                                                   \
	__extension__({                                                                            \
		__typeof__(p) stolen_ = (p);                                                       \
		(p) = NULL;                                                                        \
		stolen_;                                                                           \
	})

/* Same for a file descriptor: leaves -1 behind. */
#define STEAL_FD(fd)                                                                               \
	__extension__({                                                                            \
		int stolen_ = (fd);                                                                \
		(fd) = -1;                                                                         \
		stolen_;                                                                           \
	})

/* Exchanges two variables of one type. */
#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swapped_ = (a);                                                      \
		(a) = (b);                                                                         \
		(b) = swapped_;                                                                    \
	} while (0)

#endif
