#include "cli/screen.h"

#include "base/log.h"
#include "base/num.h"
#include "form/plain.h"
#include "scan/found.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
	enum screen_format format;
	int level;
	bool masked;
	bool terminal;
	bool bar; /* a progress line stands on the terminal */
	uint64_t drawn_ms;
	char what[16]; /* what is under way, since when, and from how much on */
	uint64_t begun_ms, begun_at;
	uint64_t files, files_total; /* 0 = nobody says */
} screen;

static void clear_bar(void)
{
	if (screen.bar)
		(void)fputs("\r\033[K", stderr);
	screen.bar = false;
}

void screen_plain(char *text)
{
	plain_text(text);
}

void screen_plain_line(char *text)
{
	plain_line(text);
}

/* One message to standard error, ended by one newline. */
void screen_say(const char *text)
{
	char *plain SCOPED(mem_freep) = mem_strdup(text != NULL ? text : "");

	screen_plain_line(plain);
	(void)fputs(plain, stdout);
}

void screen_line(const char *before, const char *text)
{
	(void)fputs(before, stdout);
	screen_say(text);
	(void)fputc('\n', stdout);
}

static void line_text(const char *before, const char *text)
{
	char *plain SCOPED(mem_freep) = mem_strdup(text);
	size_t n = strlen(plain);

	screen_plain(plain);
	clear_bar();
	(void)fprintf(stderr, "%s%s%s", before, plain, n > 0 && plain[n - 1] == '\n' ? "" : "\n");
}

static void line_json(struct jval *v)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	jval_write(v, &b);
	(void)fprintf(stderr, "%s\n", b.data);
	jval_free(v);
}

/* What is printed of a message. */
static char *told(const char *text)
{
	return screen.masked ? found_name(text, NULL) : mem_strdup(text);
}

static void message(void *ctx, enum log_level level, const char *said)
{
	static const char *const names[] = {"debug", "info", "warning"};
	static const char *const before[] = {"", "posmedia: ", "posmedia: warning: "};
	char *text SCOPED(mem_freep) = told(said);

	(void)ctx;
	if ((level == LOG_DEBUG && screen.level < 1) || (level == LOG_INFO && screen.level < 0))
		return;
	if (screen.format == SCREEN_JSON) {
		struct jval *v = jval_object();

		jval_put_text(v, "level", names[level]);
		jval_put_text(v, "message", text);
		line_json(v);
		return;
	}
	line_text(before[level], text);
}

/* How much a second since this began to move. */
static uint64_t rate(const char *what, uint64_t done)
{
	uint64_t now = clock_mono_ms();

	if (strncmp(screen.what, what, sizeof(screen.what) - 1) != 0 || done < screen.begun_at) {
		(void)snprintf(screen.what, sizeof(screen.what), "%s", what);
		screen.begun_ms = now;
		screen.begun_at = done;
	}
	return now > screen.begun_ms ? (done - screen.begun_at) * 1000 / (now - screen.begun_ms)
				     : 0;
}

static void draw(const char *what, uint64_t done, uint64_t total)
{
	enum { WIDTH = 30 };
	int filled = total > 0 ? (int)(done * WIDTH / total) : 0;
	char bar[WIDTH + 1];

	memset(bar, '.', WIDTH);
	memset(bar, '#', (size_t)(filled > WIDTH ? WIDTH : filled));
	bar[WIDTH] = '\0';
	if (total >= 1000000) {
		uint64_t speed = rate(what, done);
		char *x SCOPED(mem_freep) = num_human(done),
			*y SCOPED(mem_freep) = num_human(total),
			*z SCOPED(mem_freep) = num_human(speed);

		(void)fprintf(stderr, "\r\033[K%-8s [%s] %s of %s, %s/s", what, bar, x, y, z);
		if (screen.files_total > 0)
			(void)fprintf(stderr, ", %llu of %llu files",
				      (unsigned long long)screen.files,
				      (unsigned long long)screen.files_total);
		if (speed > 0 && done < total)
			(void)fprintf(stderr, ", %llu:%02llu left",
				      (unsigned long long)((total - done) / speed / 60),
				      (unsigned long long)((total - done) / speed % 60));
	} else {
		(void)fprintf(stderr, "\r\033[K%-8s [%s] %llu of %llu", what, bar,
			      (unsigned long long)done, (unsigned long long)total);
	}
	screen.bar = true;
}

static void files(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	screen.files = done;
	screen.files_total = total;
}

static void progress_json(const char *what, uint64_t done, uint64_t total)
{
	struct jval *v = jval_object();

	jval_put_text(v, "progress", what);
	jval_put_int(v, "done", (int64_t)done);
	jval_put_int(v, "total", (int64_t)total);
	if (screen.files_total > 0) {
		jval_put_int(v, "files", (int64_t)screen.files);
		jval_put_int(v, "files_total", (int64_t)screen.files_total);
	}
	line_json(v);
}

static void progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	uint64_t now = clock_mono_ms();

	(void)ctx;
	if (screen.level < 0 || (now - screen.drawn_ms < 100 && done != total))
		return;
	screen.drawn_ms = now;
	if (screen.format == SCREEN_JSON)
		progress_json(what, done, total);
	else if (screen.terminal)
		draw(what, done, total);
	if (done != total)
		return;
	screen.files_total = 0;
	clear_bar();
}

void screen_init(enum screen_format format, int level)
{
	struct log_sink s = {.message = message, .progress = progress, .files = files};

	screen.format = format;
	screen.level = level;
	screen.terminal = isatty(STDERR_FILENO) == 1;
	log_set_sink(&s);
}

void screen_mask_cards(void)
{
	screen.masked = true;
}

void screen_error(const struct err *e)
{
	char *msg SCOPED(mem_freep) = told(e->msg), *hint SCOPED(mem_freep) = told(e->hint);

	if (screen.format == SCREEN_JSON) {
		struct jval *v = jval_object();

		jval_put_text(v, "level", "error");
		jval_put_text(v, "message", msg);
		jval_put_int(v, "status", (int64_t)e->kind);
		if (e->hint[0] != '\0')
			jval_put_text(v, "hint", hint);
		line_json(v);
		return;
	}
	line_text("posmedia: ", msg);
	if (e->hint[0] != '\0')
		line_text("posmedia: hint: ", hint);
}

void screen_json(const struct jval *v)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(256 << 20);

	jval_write_pretty(v, &b);
	(void)fwrite(b.data, 1, b.len, stdout);
}

int screen_close(struct err *e)
{
	clear_bar();
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		return err_sys(e, "write the result");
	return 0;
}
