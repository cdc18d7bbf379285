/* log.h - messages and progress from any floor to whoever listens.
 *
 * Floors 0 to 5 never print: they hand events to the one sink that cli/ installs. With no sink
 * (unit tests) events go nowhere. Never pass a secret. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/mem.h"
#include <stdint.h>

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
};

struct log_sink {
	void (*message)(void *ctx, enum log_level level, const char *text);
	/* what: a short stable phrase such as "fetch"; total 0 = unknown; done == total ends it */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
	/* how many files the next progress of that kind is about; may be NULL */
	void (*files)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

/* Installs the sink for the process; NULL removes it. */
void log_set_sink(const struct log_sink *sink);

/* Hand one event to the sink; done and total in the unit that `what` implies. */
void log_debug(const char *fmt, ...) PRINTF(1, 2);
void log_info(const char *fmt, ...) PRINTF(1, 2);
void log_warn(const char *fmt, ...) PRINTF(1, 2);
void log_progress(const char *what, uint64_t done, uint64_t total);

/* Before a log_progress of bytes: the files that they are in, told with them until they end. */
void log_files(uint64_t done, uint64_t total);

#endif
