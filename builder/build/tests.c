#include "build/tests.h"

#include "base/log.h"
#include "build/reads.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 64 << 20 };

struct test_run {
	const struct tests *all;
	size_t i; /* of the recipe's tests */
	struct aside aside;
};

static const struct sandbox_spec for_tests = {.read_only = true};

/* What most programs ask for, whatever they are about. */
static const char *const always[] = {"etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/hosts",
				     "etc/localtime"};

static char *record(const struct tests *t, size_t i, const char *what)
{
	const struct job *j = t->j;

	return mem_format("%s/cache/tested/%s/%s.%s", store_path(j->s), j->r->name,
			  j->r->tests[i].name, what);
}

static char *log_file(const struct tests *t, size_t i)
{
	return mem_format("%s/test.%zu.log", t->j->scratch, i);
}

static void add_words(struct hash *h, const struct strv *words)
{
	for (size_t i = 0; i < words->n; i++)
		hash_add(h, words->v[i], strlen(words->v[i]) + 1);
	hash_add(h, "", 1);
}

static struct digest_text key_of(const struct job *j, const struct recipe_test *test,
				 const struct tree *tree, const struct digest *programs)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct strv paths SCOPED(strv_release) = {0}, env SCOPED(strv_release) = {0};
	const char *policy = sandbox_policy_id();
	struct digest d;

	for (size_t i = 0; i < test->reads.n; i++)
		strv_add(&paths, test->reads.v[i] + 1);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		strv_add(&paths, always[i]);
	for (size_t i = 0; i < test->run.n; i++)
		if (test->run.v[i][0] == '/')
			strv_add(&paths, test->run.v[i] + 1);
	d = reads_of(j, tree, &paths);
	job_env(j, &env);
	hash_add(h, POSMEDIA_VERSION, sizeof(POSMEDIA_VERSION));
	hash_add(h, policy, strlen(policy) + 1);
	add_words(h, &test->run);
	add_words(h, &env);
	hash_add(h, &test->timeout_ms, sizeof(test->timeout_ms));
	hash_add(h, programs->b, DIGEST_BYTES);
	hash_add(h, d.b, DIGEST_BYTES);
	d = hash_final(h);
	return digest_text(&d);
}

/* Whether the test passed before with its key; its log is put where logs are. */
static bool recall(const struct tests *t, size_t i)
{
	char *name SCOPED(mem_freep) = mem_format("test-%s", t->j->r->tests[i].name);
	char *key SCOPED(mem_freep) = record(t, i, "key"), *log SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(sizeof(t->keys[i].s) + 1);
	struct err quiet = ERR_INIT;

	if (t->keys[i].s[0] == '\0' || t->j->o->no_cache ||
	    fs_get_file(AT_FDCWD, key, &b, &quiet) != 0 || strcmp(b.data, t->keys[i].s) != 0)
		return false;
	log = record(t, i, "log");
	job_log_reuse(t->j, name, log);
	log_info("test %s: passed as before", t->j->r->tests[i].name);
	return true;
}

static int keep(const struct tests *t, size_t i, struct err *e)
{
	char *key SCOPED(mem_freep) = record(t, i, "key"), *log SCOPED(mem_freep) = NULL;
	char *dir SCOPED(mem_freep) = fs_dirname(key), *said SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(LOG_MAX);

	if (t->keys[i].s[0] == '\0')
		return 0;
	log = record(t, i, "log");
	said = log_file(t, i);
	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0 || fs_get_file(AT_FDCWD, said, &b, e) != 0 ||
	    fs_put_unsynced(log, b.data, b.len, 0600, e) != 0)
		return -1;
	return fs_put_unsynced(key, t->keys[i].s, strlen(t->keys[i].s), 0600, e);
}

static int run_test(void *arg, struct err *e)
{
	const struct test_run *run = arg;
	struct job *j = run->all->j;
	const struct recipe_test *t = &j->r->tests[run->i];
	struct sandbox_spec spec = for_tests;
	char *what SCOPED(mem_freep) = mem_format("test %s", t->name);
	char *name SCOPED(mem_freep) = mem_format("test-%s", t->name);
	char *file SCOPED(mem_freep) = log_file(run->all, run->i);
	int rc;

	spec.root = run->all->root;
	spec.argv = (const char *const *)t->run.v;
	spec.timeout_ms = t->timeout_ms;
	if (job_log_begin(j, name, file, e) != 0)
		return -1;
	rc = job_sandbox(j, what, &spec, e);
	job_log_end(j);
	return rc == 0 ? keep(run->all, run->i, e) : rc;
}

static int end_test(struct test_run *run, struct err *e)
{
	const struct recipe_test *t = &run->all->j->r->tests[run->i];

	if (run->aside.pid == 0)
		return 0;
	if (aside_join(&run->aside, e) != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&t->pos);

		return err_in(e, "%s", at);
	}
	log_info("test %s: passed", t->name);
	return 0;
}

/* Some at a time, ended in their order: the first that fails is the one that is told of. */
static int run_tests(void *arg, struct err *e)
{
	enum { SIDE_BY_SIDE = 2 };
	const struct tests *all = arg;
	struct test_run runs[SIDE_BY_SIDE] = {{0}};
	size_t n = all->j->r->tests_n, begun = 0;
	int rc = sandbox_prepare(&for_tests, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct test_run *run = &runs[begun % SIDE_BY_SIDE];

		if (all->known[i])
			continue;
		rc = end_test(run, e);
		if (rc != 0)
			break;
		*run = (struct test_run){.all = all, .i = i};
		rc = aside_start(run_test, run, &run->aside, e);
		begun++;
	}
	for (size_t i = 0; rc == 0 && i < SIDE_BY_SIDE; i++)
		rc = end_test(&runs[(begun + i) % SIDE_BY_SIDE], e);
	for (size_t i = 0; i < SIDE_BY_SIDE; i++)
		aside_stop(&runs[i].aside);
	return rc;
}

int tests_begin(struct tests *t, const struct tree *tree, const struct digest *programs,
		struct err *e)
{
	const struct recipe *r = t->j->r;
	bool all = true;

	t->keys = mem_zalloc((r->tests_n + 1) * sizeof(*t->keys));
	t->known = mem_zalloc(r->tests_n + 1);
	for (size_t i = 0; i < r->tests_n; i++) {
		if (r->tests[i].reads.n > 0)
			t->keys[i] = key_of(t->j, &r->tests[i], tree, programs);
		t->known[i] = recall(t, i);
		all = all && t->known[i];
	}
	return all ? 0 : aside_start(run_tests, t, &t->running, e);
}

int tests_end(struct tests *t, struct err *e)
{
	return aside_join(&t->running, e);
}

void tests_drop(struct tests *t)
{
	aside_stop(&t->running);
	free(t->keys);
	free(t->known);
}
