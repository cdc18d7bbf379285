/* sandbox-root.h - a scratch root tree whose programs are this machine's, for the sandbox tests. */
#ifndef TESTS_UNIT_SANDBOX_ROOT_H
#define TESTS_UNIT_SANDBOX_ROOT_H

#include "base/buf.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/sandbox-test.XXXXXX";
static char root[64];   /* scratch/root */
static char *test_self; /* this program's file */

static const char *const test_env[] = {"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", NULL};

/* Makes scratch and in it root with the usual links into /usr. Returns 0 or -1. */
static int make_root(void)
{
	static const char *const dirs[] = {"etc", "usr", "work", "proc", "dev", "tmp", "run"};
	static const char *const links[][2] = {
	    {"usr/bin", "bin"}, {"usr/sbin", "sbin"}, {"usr/lib", "lib"}, {"usr/lib64", "lib64"}};
	char path[PATH_MAX];

	test_self = realpath("/proc/self/exe", NULL);
	if (test_self == NULL || mkdtemp(scratch) == NULL || chmod(scratch, 0755) != 0)
		return -1;
	(void)snprintf(root, sizeof(root), "%s/root", scratch);
	if (mkdir(root, 0755) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		if (mkdir(path, 0755) != 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, links[i][1]);
		if (symlink(links[i][0], path) != 0)
			return -1;
	}
	return 0;
}

static int drop_root(void)
{
	struct err e = ERR_INIT;

	free(test_self);
	if (fs_rmtree(AT_FDCWD, scratch, &e) == 0)
		return 0;
	print_error("%s\n", e.msg);
	return -1;
}

static int into_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	buf_add(ctx, p, n);
	return buf_over(ctx) ? err_set(e, ERR_FAIL, "more output than the test wants") : 0;
}

/* What a run gave. */
struct outcome {
	int rc;
	struct sandbox_result r;
	struct err e;
	struct buf out;
};

/* Runs s->argv with /usr and this program as /self bound read-only, output captured. */
static void run_spec(struct sandbox_spec *s, struct outcome *o)
{
	struct sandbox_bind binds[8] = {{"/usr", "/usr", false}, {test_self, "/self", false}};
	const struct sink sink = {into_buf, &o->out};

	assert_true(s->binds_n <= 6);
	for (size_t i = 0; i < s->binds_n; i++)
		binds[2 + i] = s->binds[i];
	s->binds = binds;
	s->binds_n += 2;
	s->root = s->root != NULL ? s->root : root;
	s->env = test_env;
	s->out = &sink;
	*o = (struct outcome){.e = ERR_INIT, .out = BUF_INIT(16 << 20)};
	o->rc = sandbox_run(s, &o->r, &o->e);
	s->binds = NULL;
	s->binds_n = 0;
}

/* Runs a shell text; s may carry other wishes. */
static void UNUSED run_shell(const char *text, struct sandbox_spec *s, struct outcome *o)
{
	const char *argv[] = {"sh", "-c", text, NULL};

	s->argv = argv;
	run_spec(s, o);
	s->argv = NULL;
}

static void UNUSED assert_exit(const struct outcome *o, int status)
{
	if (o->rc != 0)
		fail_msg("%s", o->e.msg);
	if (o->r.status != status)
		fail_msg("status %d, signal %d: %s", o->r.status, o->r.signal, o->out.data);
}

/* Shell text that must end with status 0; returns what it wrote, owned by the caller. */
static char *UNUSED shell_ok(const char *text)
{
	struct sandbox_spec s = {.timeout_ms = 60000};
	struct outcome o;

	run_shell(text, &s, &o);
	assert_exit(&o, 0);
	return buf_take(&o.out);
}

static void UNUSED assert_says(const char *text, const char *wanted)
{
	char *said = shell_ok(text);

	assert_string_equal(said, wanted);
	free(said);
}

#endif
