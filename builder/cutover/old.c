#include "cutover/parts.h"

#include "site/secret.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/proc.h"
#include "sys/talk.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP "${POSMEDIA_CUTOVER_STATE:-/var/lib/posmedia-cutover}"

enum {
	SEND_MS = 30000,
	INSTALL_MS = 60000,
	SAID_MAX = 65536,
	LINE_BYTES = 2 << 20,
};

struct old {
	const struct old_opts *opts;
	struct talk talk;
	uint64_t asked; /* requests so far */
	bool lost;
	char *key; /* our copy of it, or NULL */
};

void old_close(struct old *o)
{
	if (o == NULL)
		return;
	talk_end(&o->talk);
	if (o->key != NULL)
		(void)unlink(o->key);
	free(o->key);
	free(o);
}

void old_closep(struct old **o)
{
	old_close(*o);
	*o = NULL;
}

/* A key that is a file stays where it is; another is put where only we read it. */
static int key_file(struct old *o, const char **ret, struct err *e)
{
	const struct site_source *from = o->opts->secret;
	struct buf key SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);
	char *path SCOPED(mem_freep) = NULL;

	if (from == NULL)
		return 0;
	if (o->key != NULL) {
		*ret = o->key;
		return 0;
	}
	if (site_secret_read(from, &key, e) != 0)
		return err_in(e, "the key of ssh");
	*ret = from->file;
	if (from->file != NULL)
		return 0;
	path = mem_format("%s/old-key-%d", o->opts->work, (int)getpid());
	if (fs_put_path(path, key.data, key.len, 0600, e) != 0)
		return -1;
	o->key = STEAL(path);
	*ret = o->key;
	return 0;
}

/* All but where to. */
static int ssh_options(struct old *o, struct strv *ret, char **ret_host, struct err *e)
{
	static const char *const options[] = {
	    "-F",
	    "none",
	    "-T",
	    "-oBatchMode=yes",
	    "-oStrictHostKeyChecking=yes",
	    "-oGlobalKnownHostsFile=/dev/null",
	    "-oUpdateHostKeys=no",
	    "-oClearAllForwardings=yes",
	    "-oIdentityAgent=none",
	    "-oPasswordAuthentication=no",
	    "-oConnectTimeout=8",
	    "-oServerAliveInterval=5",
	    "-oServerAliveCountMax=3",
	};
	const struct site_old *p = o->opts->plan;
	char *user SCOPED(mem_freep) = NULL, *host SCOPED(mem_freep) = NULL;
	const char *key = NULL;
	uint16_t port = 22;

	if (p->known_hosts == NULL)
		return err_set(e, ERR_USAGE, "nothing says which key %s has", p->host);
	if (key_file(o, &key, e) != 0)
		return -1;
	site_old_host(p, &user, &host, &port);
	strv_add(ret, "ssh");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		strv_add(ret, options[i]);
	strv_addf(ret, "-oUserKnownHostsFile=%s", p->known_hosts);
	if (key != NULL) {
		strv_add(ret, "-oIdentitiesOnly=yes");
		strv_addf(ret, "-oIdentityFile=%s", key);
	}
	strv_addf(ret, "-oPort=%u", port);
	strv_addf(ret, "-oUser=%s", user);
	*ret_host = STEAL(host);
	return 0;
}

static int ssh_argv(struct old *o, struct strv *ret, struct err *e)
{
	char *host SCOPED(mem_freep) = NULL;

	if (ssh_options(o, ret, &host, e) != 0)
		return -1;
	strv_add(ret, "--");
	strv_add(ret, host);
	return 0;
}

int old_shell(struct old *o, char **ret, char **ret_host, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(8192);
	struct strv argv SCOPED(strv_release) = {0};
	char *host SCOPED(mem_freep) = NULL;

	if (ssh_options(o, &argv, &host, e) != 0)
		return -1;
	for (size_t i = 0; i < argv.n; i++) {
		if (strpbrk(argv.v[i], " \t\n\"'\\") != NULL)
			return err_set(e, ERR_USAGE,
				       "%s: known_hosts and the key want paths without "
				       "blanks and quotes",
				       o->opts->plan->host);
		buf_addf(&b, "%s%s", i > 0 ? " " : "", argv.v[i]);
	}
	*ret = buf_take(&b);
	*ret_host = STEAL(host);
	return 0;
}

static int install(const struct strv *ssh, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct proc_spec spec = {.timeout_ms = INSTALL_MS};

	spec.input = agent_text(&spec.input_len);
	strv_extend(&argv, ssh);
	strv_add(&argv, "umask 077; d=" TOP "; mkdir -p \"$d\" && cat >\"$d/agent.$$\" && "
			"chmod 700 \"$d/agent.$$\" && mv -f \"$d/agent.$$\" \"$d/agent\"");
	spec.argv = (const char *const *)argv.v;
	return proc_ok(&spec, ERR_REMOTE, e);
}

static int near_argv(struct old *o, struct strv *ret, struct err *e)
{
	return o->opts->argv != NULL ? err_set(e, ERR_FAIL, "there is no ssh")
				     : ssh_argv(o, ret, e);
}

int old_near_take(struct old *o, const void *text, size_t n, uint64_t within_ms, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct proc_spec spec = {.input = text, .input_len = n, .timeout_ms = within_ms};

	if (near_argv(o, &argv, e) != 0)
		return -1;
	strv_addf(&argv, "exec perl " TOP "/agent take %s", o->opts->shop);
	spec.argv = (const char *const *)argv.v;
	return proc_ok(&spec, ERR_REMOTE, e);
}

int old_near(struct old *o, const struct old_near *n, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct proc_spec spec = {.out_fd = n->fd, .err = &said, .timeout_ms = n->within_ms};

	if (near_argv(o, &argv, e) != 0)
		return -1;
	strv_addf(&argv, "exec perl " TOP "/agent near %s %s %u %u", o->opts->shop,
		  digest_hex(&n->digest).s, n->which, n->of);
	spec.argv = (const char *const *)argv.v;
	return proc_ok(&spec, ERR_REMOTE, e);
}

static int start(struct old *o, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};

	if (o->opts->argv != NULL)
		return talk_start(o->opts->argv, LINE_BYTES, &o->talk, e);
	if (ssh_argv(o, &argv, e) != 0 || (!o->opts->installed && install(&argv, e) != 0))
		return -1;
	strv_addf(&argv, "exec perl " TOP "/agent serve %s", o->opts->shop);
	return talk_start((const char *const *)argv.v, LINE_BYTES, &o->talk, e);
}

/* What goes into a command line of that machine is letters and digits. */
static int check_word(const char *s, size_t max, const char *what, struct err *e)
{
	static const char fine[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t n = strspn(s, fine);

	if (n > 0 && n <= max && s[n] == '\0' && s[0] != '-' && s[0] != '.')
		return 0;
	return err_set(e, ERR_USAGE, "this is no %s: %s", what, s);
}

int old_open(const struct old_opts *opts, struct old **ret, struct err *e)
{
	struct old *o SCOPED(old_closep) = NULL;

	if (check_word(opts->shop, OLD_SHOP_MAX, "name of a shop", e) != 0 ||
	    check_word(opts->run, OLD_RUN_MAX, "id of a run", e) != 0)
		return -1;
	o = mem_zalloc(sizeof(*o));
	o->opts = opts;
	o->talk = TALK_INIT;
	if (start(o, e) != 0)
		return err_in(e, "%s", opts->plan->host);
	*ret = STEAL(o);
	return 0;
}

int old_lost(struct old *o, struct err *e)
{
	o->lost = o->lost || e->kind == ERR_REMOTE || intr_pending();
	return err_in(e, "%s", o->opts->plan->host);
}

static int hear_answer(struct old *o, const struct old_asking *q, struct jval **ret, struct err *e)
{
	uint64_t end_ms = clock_mono_ms() + q->within_ms;

	for (;;) {
		struct jval *a SCOPED(jval_freep) = NULL;
		char *line SCOPED(mem_freep) = NULL;
		uint64_t now = clock_mono_ms();
		bool more = false;

		if (talk_line(&o->talk, end_ms > now ? end_ms - now : 0, &line, e) != 0 ||
		    old_answer(line, o->asked, &more, &a, e) != 0)
			return -1;
		if (!more) {
			*ret = STEAL(a);
			return 0;
		}
		if (q->piece == NULL)
			return err_set(e, ERR_REMOTE, "the agent sends what was not asked for");
		if (q->piece(q->ctx, a, e) != 0) {
			o->lost = true; /* the rest of it is still to come */
			return -1;
		}
	}
}

int old_ask(struct old *o, const struct old_asking *q, struct jval **ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_BYTES);
	struct jval *all SCOPED(jval_freep) = q->q != NULL ? q->q : jval_object();

	if (o->lost)
		return err_set(e, ERR_REMOTE, "%s: the session is over", o->opts->plan->host);
	jval_put_int(all, "id", (int64_t)++o->asked);
	jval_put_text(all, "verb", q->verb);
	jval_put_int(all, "epoch", (int64_t)o->opts->epoch);
	jval_put_text(all, "run", o->opts->run);
	jval_write(all, &b);
	buf_add(&b, "\n", 1);
	if (buf_over(&b))
		return err_set(e, ERR_USAGE, "the request is too long");
	if (talk_send(&o->talk, b.data, b.len, SEND_MS, e) != 0 || hear_answer(o, q, ret, e) != 0)
		return old_lost(o, e);
	return 0;
}

const struct old_opts *old_opts(const struct old *o)
{
	return o->opts;
}
