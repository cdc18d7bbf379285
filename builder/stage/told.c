/* told.c - when an instance runs and when it does not, in the ledger: what is billed is made of it.
 *
 * RUNS in the site's own directory is there from the start to the end of an instance. One that is
 * there at a start was left by a machine that went down without telling: the end is then when the
 * instance was last seen, which is the time of the file. */
#include "stage/parts.h"

#include "base/log.h"
#include "ledger/ledger.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS "runs.json"
enum { RUNS_MAX = 4096 };

static void failed(struct stage *st, const struct err *why)
{
	log_warn("it is done, but not noted: %s", why->msg);
	st->out.unnoted = true;
}

/* Whether the line is in the ledger. */
static bool append(struct stage *st, const char *kind, const struct digest *subject,
		   struct jval *fields)
{
	const struct ledger_event v = {kind, subject, fields};
	struct err why = ERR_INIT;

	jval_put_text(fields, "shop", st->s->shop);
	jval_put_text(fields, "env", site_env_word(st->s->env));
	if (ledger_append(st->o->ledger, &v, 1, &why) == 0)
		return true;
	failed(st, &why);
	return false;
}

static struct jval *fields_of(const struct stage_one *one)
{
	struct jval *v = jval_object();

	jval_put_text(v, "container", one->container);
	jval_put_text(v, "identity", one->identity);
	jval_put_text(v, "config", digest_text(&one->config).s);
	return v;
}

static bool is_noted(const struct stage *st)
{
	return st->o->ledger != NULL && !st->o->dry_run && st->ownfd >= 0;
}

static void forget(struct stage *st)
{
	struct err why = ERR_INIT;

	if (unlinkat(st->ownfd, RUNS, 0) == 0 || errno == ENOENT)
		return;
	(void)err_sys(&why, "remove %s", RUNS);
	failed(st, &why);
}

/* The start that no end was told of; false when it cannot be told now either. */
static bool tell_lost(struct stage *st)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(RUNS_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	char *seen SCOPED(mem_freep) = NULL;
	struct digest d = {0};
	struct err quiet = ERR_INIT;
	struct stat now;
	bool known;

	if (fstatat(st->ownfd, RUNS, &now, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	if (fs_get_file(st->ownfd, RUNS, &text, &quiet) != 0 ||
	    jval_parse(text.data, text.len, RUNS, &v, &quiet) != 0 || !jval_is_object(v)) {
		jval_free(v);
		v = jval_object();
	}
	seen = clock_rfc3339(now.st_mtim.tv_sec);
	known = digest_parse(jval_get_str(v, "manifest") != NULL ? jval_get_str(v, "manifest") : "",
			     &d) == 0;
	jval_del(v, "manifest");
	jval_put_text(v, "ended", seen);
	jval_put_text(v, "why", "the machine went down, or its end was not seen");
	return append(st, "crash", known ? &d : NULL, v);
}

/* No step of its own that a kill could part: without it only the time of an end is lost. */
static void remember(struct stage *st, const struct stage_one *one)
{
	struct jval *v SCOPED(jval_freep) = fields_of(one);
	struct buf text SCOPED(buf_release) = BUF_INIT(RUNS_MAX);
	int fd SCOPED(fd_closep) =
	    openat(st->ownfd, RUNS, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct err why = ERR_INIT;

	jval_put_text(v, "manifest", digest_text(&one->manifest).s);
	jval_write(v, &text);
	if (fd < 0 || fs_write_all(fd, text.data, text.len, &why) != 0 || fsync(fd) != 0 ||
	    fsync(st->ownfd) != 0) {
		(void)err_sys(&why, "write %s", RUNS);
		failed(st, &why);
	}
}

void stage_told_start(struct stage *st, const struct stage_one *one)
{
	struct jval *v SCOPED(jval_freep) = NULL;

	if (!is_noted(st))
		return;
	/* what an end is told of by stays until it was told */
	if (tell_lost(st))
		remember(st, one);
	v = fields_of(one);
	(void)append(st, "start", &one->manifest, v);
}

/* An end that is not in the ledger is found at the next start, at the time of now. */
static void told_end(struct stage *st, bool noted)
{
	if (noted)
		forget(st);
	else
		stage_alive(st);
}

void stage_told_stop(struct stage *st, const struct stage_one *one)
{
	struct jval *v SCOPED(jval_freep) = NULL;

	if (!is_noted(st))
		return;
	v = fields_of(one);
	told_end(st, append(st, "stop", &one->manifest, v));
}

void stage_told_crash(struct stage *st, const struct stage_one *one, int status)
{
	struct jval *v SCOPED(jval_freep) = NULL;

	if (!is_noted(st) || faccessat(st->ownfd, RUNS, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	v = fields_of(one);
	jval_put_int(v, "exit", status);
	told_end(st, append(st, "crash", &one->manifest, v));
}

void stage_alive(const struct stage *st)
{
	if (is_noted(st))
		(void)!utimensat(st->ownfd, RUNS, NULL, AT_SYMLINK_NOFOLLOW);
}
