#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct log_sink the_sink;

void log_set_sink(const struct log_sink *sink)
{
	the_sink = sink != NULL ? *sink : (struct log_sink){0};
}

PRINTF(2, 0)
static void emit(enum log_level level, const char *fmt, va_list ap)
{
	char text[2048];

	if (the_sink.message == NULL)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	the_sink.message(the_sink.ctx, level, text);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_INFO, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_WARN, fmt, ap);
	va_end(ap);
}

void log_progress(const char *what, uint64_t done, uint64_t total)
{
	if (the_sink.progress != NULL)
		the_sink.progress(the_sink.ctx, what, done, total);
}

void log_files(uint64_t done, uint64_t total)
{
	if (the_sink.files != NULL)
		the_sink.files(the_sink.ctx, done, total);
}
