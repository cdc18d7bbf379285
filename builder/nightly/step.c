/* step.c - this program with a verb, as an operator would call it. */
#include "nightly/parts.h"

#include "form/plain.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_MAX = 16 << 20, TAIL = 4096 };

extern char **environ;

/* Ours, with what every verb shall have alike. */
static void set_env(const struct nightly_how *how, struct strv *env)
{
	for (char **v = environ; *v != NULL; v++)
		if (strncmp(*v, "POSMEDIA_STORE=", 15) != 0 &&
		    (how->ledger == NULL || strncmp(*v, "POSMEDIA_LEDGER=", 16) != 0))
			strv_add(env, *v);
	strv_addf(env, "POSMEDIA_STORE=%s", how->store);
	if (how->ledger != NULL)
		strv_addf(env, "POSMEDIA_LEDGER=%s", how->ledger);
}

/* Ends the line at *p and goes on to the next; NULL when there is none. */
static char *next_line(char **p)
{
	char *line = *p;
	size_t n = strcspn(line, "\n");

	if (line[0] == '\0')
		return NULL;
	*p = line + n + (line[n] == '\n');
	line[n] = '\0';
	return line;
}

/* The line, and a hint after it, without the name of the program; p is changed. */
static char *message(char *p)
{
	static const char ours[] = "posmedia: ";
	char *last = NULL, *hint = NULL;

	for (char *line = next_line(&p); line != NULL; line = next_line(&p)) {
		char *said = strstr(line, "hint: ");

		if (said != NULL && last != NULL) {
			hint = said;
		} else if (line[strspn(line, " \r")] != '\0') {
			last = line;
			hint = NULL;
		}
	}
	if (last == NULL)
		return mem_strdup("");
	if (strncmp(last, ours, sizeof(ours) - 1) == 0)
		last += sizeof(ours) - 1;
	return hint != NULL ? mem_format("%s (%s)", last, hint) : mem_strdup(last);
}

/* What was said last; the log's position is behind it. */
static char *last_words(int fd, off_t from)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char text[TAIL + 1] = "";
	char *why;
	ssize_t n;

	if (end - from > TAIL)
		from = end - TAIL;
	n = pread(fd, text, (size_t)(end > from ? end - from : 0), from);
	text[n > 0 ? n : 0] = '\0';
	why = message(text);
	plain_line(why);
	return why;
}

static void log_command(int fd, const struct strv *argv)
{
	static const char hidden[] = "--signer-arg=";
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct err why = ERR_INIT;

	buf_addf(&b, "$ posmedia");
	/* what a signer is told may be a secret: others read the log */
	for (size_t i = 0; i < argv->n; i++)
		buf_addf(&b, " %s",
			 strncmp(argv->v[i], hidden, sizeof(hidden) - 1) == 0 ? "--signer-arg=..."
									      : argv->v[i]);
	buf_addf(&b, "\n");
	(void)!fs_write_all(fd, b.data, b.len, &why);
}

/* What it says goes into the file when it has said all of it. */
static int open_out(const struct step_spec *s, const char *part, int *ret, struct err *e)
{
	if (s->out_file == NULL)
		return 0;
	*ret = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	return *ret >= 0 ? 0 : err_sys(e, "open %s", part);
}

static void put_out(const struct step_spec *s, const char *part, int fd, struct stepped *ret)
{
	if (fd < 0)
		return;
	if (ret->status != 0) {
		(void)unlink(part);
		return;
	}
	if (fsync(fd) == 0 && rename(part, s->out_file) == 0)
		return;
	ret->status = ERR_FAIL;
	free(ret->why);
	ret->why = mem_format("%s: %s", s->out_file, strerror(errno));
}

static void conclude(const struct step_spec *s, const struct proc_result *res, off_t from,
		     struct stepped *ret)
{
	ret->status = res->status;
	if (res->timed_out)
		ret->why = mem_format("no end after %llu minutes",
				      (unsigned long long)(s->timeout_ms / 60000));
	else if (res->signal != 0)
		ret->why = mem_format("killed by signal %d", res->signal);
	else
		ret->why = last_words(s->log_fd, from);
}

int step_run(const struct step_spec *s, struct stepped *ret, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0}, env SCOPED(strv_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
	struct proc_spec spec = {.err_fd = s->log_fd, .timeout_ms = s->timeout_ms};
	struct proc_result res = {.status = -1};
	int out_fd SCOPED(fd_closep) = -1;
	char *part SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;
	off_t from;

	*ret = (struct stepped){.status = -1};
	set_env(s->how, &env);
	strv_add(&argv, s->how->program);
	strv_extend(&argv, s->argv);
	strv_extend(&argv, s->how->options);
	log_command(s->log_fd, s->argv);
	from = lseek(s->log_fd, 0, SEEK_END);
	spec.argv = (const char *const *)argv.v;
	spec.env = (const char *const *)env.v;
	spec.out = &out;
	part = mem_format("%s.part", s->out_file != NULL ? s->out_file : "");
	if (open_out(s, part, &out_fd, &why) != 0) {
		ret->why = mem_strdup(why.msg);
		return 0;
	}
	if (out_fd >= 0)
		spec.out_fd = out_fd;
	if (proc_run(&spec, &res, &why) != 0) {
		if (intr_pending())
			return intr_err(e);
		ret->why = mem_strdup(why.msg);
		return 0;
	}
	conclude(s, &res, from, ret);
	put_out(s, part, out_fd, ret);
	if (out.len > 0 && !buf_over(&out) &&
	    jval_parse(out.data, out.len, "its answer", &ret->out, &why) != 0)
		ret->out = NULL;
	return 0;
}

void stepped_release(struct stepped *s)
{
	free(s->why);
	jval_free(s->out);
	*s = (struct stepped){0};
}
