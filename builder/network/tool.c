/* tool.c - ip(8) and its like, in a namespace. */
#include "network/parts.h"

#include "sys/proc.h"
#include <string.h>
#include <unistd.h>

enum { TOOL_MS = 30000, ANSWER_MAX = 16 << 20, SAID_MAX = 64 << 10, WORDS_MAX = 30 };

/* nsenter(1) in front, when it is not our own namespace. */
struct command {
	char *enter;
	const char *argv[WORDS_MAX + 3];
};

static void command_release(struct command *c)
{
	mem_freep(&c->enter);
}

static struct command command_of(const struct net_run *r)
{
	struct command c = {0};
	size_t n = 0;

	if (r->ns != NULL) {
		c.enter = mem_format("--net=%s", r->ns);
		c.argv[n++] = "nsenter";
		c.argv[n++] = c.enter;
	}
	for (size_t i = 0; i < WORDS_MAX && r->argv[i] != NULL; i++)
		c.argv[n++] = r->argv[i];
	return c;
}

int net_run(const struct net_run *r, struct err *e)
{
	struct command c SCOPED(command_release) = command_of(r);
	struct proc_spec s = {.argv = c.argv, .out = r->out, .timeout_ms = TOOL_MS};

	if (r->input != NULL) {
		s.input = r->input->data;
		s.input_len = r->input->len;
	}
	return proc_ok(&s, ERR_FAIL, e) == 0 ? 0 : err_in(e, "%s", r->argv[0]);
}

int net_try(const struct net_run *r, int *ret_status, struct err *e)
{
	struct command c SCOPED(command_release) = command_of(r);
	const struct proc_spec s = {
	    .argv = c.argv, .out = r->out, .err = r->out, .timeout_ms = TOOL_MS};
	struct proc_result got = {0};

	if (proc_run(&s, &got, e) != 0)
		return err_in(e, "%s", r->argv[0]);
	if (got.status < 0 || got.timed_out)
		return err_set(e, ERR_FAIL, "%s did not end by itself", r->argv[0]);
	*ret_status = got.status;
	return 0;
}

int net_ip_json(const char *ns, const char *const *argv, struct jval **ret, struct err *e)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(ANSWER_MAX);
	const struct net_run r = {ns, argv, NULL, &out};

	if (net_run(&r, e) != 0)
		return -1;
	/* of nothing it prints nothing */
	if (out.len == 0)
		buf_addf(&out, "[]");
	return jval_parse(out.data, out.len, "what ip prints", ret, e);
}

int net_ip_batch(const char *ns, const struct buf *lines, struct err *e)
{
	static const char *const argv[] = {"ip", "-batch", "-", NULL};
	const struct net_run r = {ns, argv, lines, NULL};

	return net_run(&r, e);
}

char *net_path(int ns)
{
	return mem_format("/proc/%ld/fd/%d", (long)getpid(), ns);
}

char *net_path_own(void)
{
	return mem_format("/proc/%ld/ns/net", (long)getpid());
}
