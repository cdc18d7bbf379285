/* How often packages changed, from a git repository that was made for it; and what a repository
 * may not make us do. */
#include "plan/history.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEX  "1111111111111111111111111111111111111111111111111111111111111111"
#define YEAR (365 * 86400)

struct fixture {
	char dir[64];
	char *repo, *lock;
};

static void git(const char *dir, const char *const *words)
{
	const char *argv[24] = {"git",
				"-c",
				"user.name=t",
				"-c",
				"user.email=t@localhost",
				"-c",
				"commit.gpgsign=false"};
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct proc_spec s = {.argv = argv, .cwd = dir, .out = &out, .err = &out};
	struct err e = ERR_INIT;
	size_t n = 7;

	for (size_t i = 0; words[i] != NULL; i++)
		argv[n++] = words[i];
	argv[n] = NULL;
	if (proc_ok(&s, ERR_FAIL, &e) != 0)
		fail_msg("git %s: %s %s", words[0], e.msg, out.data);
}

#define GIT(dir, ...) git(dir, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));

	memcpy(f->dir, "/tmp/posmedia-git.XXXXXX", 25);
	if (mkdtemp(f->dir) == NULL)
		return -1;
	f->repo = mem_format("%s/repo", f->dir);
	f->lock = mem_format("%s/recipes/t.lock", f->repo);
	GIT(f->dir, "init", "-q", "repo");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	assert_int_equal(fs_rmtree(AT_FDCWD, f->dir, &e), 0);
	free(f->repo);
	free(f->lock);
	free(f);
	return 0;
}

static void put_lock(struct fixture *f, int64_t epoch, const char *a, const char *b)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/recipes", f->repo);
	struct lock *l SCOPED(lock_freep) = mem_zalloc(sizeof(*l));
	struct err e = ERR_INIT;

	l->recipe_name = mem_strdup("t");
	l->solver = mem_strdup("apt 2");
	l->epoch = epoch;
	l->repositories = mem_zalloc(sizeof(*l->repositories));
	l->repositories_n = 1;
	l->repositories[0] = (struct lock_repository){mem_strdup("bookworm"), mem_strdup("system"),
						      mem_strdup(HEX), 1};
	l->packages = mem_zalloc(2 * sizeof(*l->packages));
	l->packages_n = 2;
	for (size_t i = 0; i < 2; i++) {
		const char *version = i == 0 ? a : b;
		char *source = mem_format("%s %s", i == 0 ? "aa" : "bb", version);

		l->packages[i] = (struct lock_package){mem_strdup(i == 0 ? "aa" : "bb"),
						       mem_strdup(version),
						       mem_strdup("amd64"),
						       source,
						       mem_strdup("bookworm"),
						       mem_strdup("pool/main/a/aa_1_amd64.deb"),
						       5,
						       digest_of(source, strlen(source)),
						       false};
	}
	assert_int_equal(fs_mkdirs(AT_FDCWD, dir, 0755, &e), 0);
	if (lock_save(l, f->lock, &e) != 0)
		fail_msg("%s", e.msg);
}

static void commit(struct fixture *f)
{
	GIT(f->repo, "add", "-A");
	GIT(f->repo, "commit", "-q", "--allow-empty", "-m", "x");
}

static void add_history(struct fixture *f)
{
	put_lock(f, 0, "1-1", "1-1");
	commit(f);
	put_lock(f, YEAR, "1-2", "1-1");
	commit(f);
	put_lock(f, 2 * YEAR, "1-3", "1-2");
	commit(f);
	put_lock(f, 3 * YEAR, "1-4", "1-2");
	commit(f);
}

static struct history history_of(const char *path)
{
	struct history h = {0};
	struct err e = ERR_INIT;

	if (history_read(path, &h, &e) != 0)
		fail_msg("%s", e.msg);
	return h;
}

static void counts_changes_from_commit_to_commit(void **state)
{
	struct fixture *f = *state;
	struct history h = {0};

	add_history(f);
	put_lock(f, 4 * YEAR, "1-5", "1-5"); /* not committed: not history yet */
	h = history_of(f->lock);
	assert_int_equal(h.locks, 4);
	assert_int_equal(h.first, 0);
	assert_int_equal(h.last, 3 * YEAR);
	assert_int_equal(history_updates(&h, "aa"), 3);
	assert_int_equal(history_updates(&h, "bb"), 1);
	assert_int_equal(history_updates(&h, "cc"), 0);
	history_release(&h);
}

static int give_away(void *ctx, const struct fs_entry *en, struct err *e)
{
	(void)ctx;
	return fchownat(en->parent_fd, en->name, 1234, 1234, AT_SYMLINK_NOFOLLOW) == 0
		   ? 0
		   : err_sys(e, "%s", en->path);
}

static void a_checkout_may_be_of_another_user(void **state)
{
	struct fixture *f = *state;
	struct history h = {0};
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (geteuid() != 0)
		skip();
	add_history(f);
	assert_int_equal(fs_open_dir(AT_FDCWD, f->dir, &fd, &e), 0);
	assert_int_equal(fs_walk(fd, give_away, NULL, &e), 0);
	h = history_of(f->lock);
	assert_int_equal(h.locks, 4);
	history_release(&h);
}

static void note_warning(void *ctx, enum log_level level, const char *text)
{
	(void)text;
	*(unsigned *)ctx += level == LOG_WARN;
}

static void says_when_git_refuses(void **state)
{
	struct fixture *f = *state;
	char *outside SCOPED(mem_freep) = mem_format("%s/t.lock", f->dir);
	char *config SCOPED(mem_freep) = mem_format("%s/.git/config", f->repo);
	unsigned n = 0;
	const struct log_sink sink = {.message = note_warning, .ctx = &n};
	struct history h = {0};
	struct err e = ERR_INIT;

	log_set_sink(&sink);
	add_history(f);
	h = history_of(outside);
	assert_int_equal(n, 0);
	assert_int_equal(fs_put_path(config, "[", 1, 0644, &e), 0);
	h = history_of(f->lock);
	log_set_sink(NULL);
	assert_int_equal(h.locks, 0);
	assert_int_equal(n, 1);
}

/* States that are no lock are passed over: other forms, and none at all. */
static void passes_over_what_is_no_lock(void **state)
{
	struct fixture *f = *state;
	struct history h = {0};
	struct err e = ERR_INIT;

	put_lock(f, 0, "1-1", "1-1");
	commit(f);
	assert_int_equal(fs_put_path(f->lock, "{}", 2, 0644, &e), 0);
	commit(f);
	assert_int_equal(unlink(f->lock), 0);
	commit(f);
	put_lock(f, 3 * YEAR, "1-2", "1-1");
	commit(f);
	h = history_of(f->lock);
	assert_int_equal(h.locks, 2);
	assert_int_equal(history_updates(&h, "aa"), 1);
	history_release(&h);
}

static void knows_nothing_without_a_whole_history(void **state)
{
	struct fixture *f = *state;
	char *from SCOPED(mem_freep) = mem_format("file://%s", f->repo);
	char *shallow SCOPED(mem_freep) = mem_format("%s/shallow/recipes/t.lock", f->dir);
	char *partial SCOPED(mem_freep) = mem_format("%s/partial/recipes/t.lock", f->dir);
	char *outside SCOPED(mem_freep) = mem_format("%s/t.lock", f->dir);
	struct history h = {0};

	h = history_of(f->lock); /* no commit yet */
	assert_int_equal(h.locks, 0);
	add_history(f);
	GIT(f->dir, "clone", "-q", "--depth", "2", from, "shallow");
	h = history_of(shallow);
	assert_int_equal(h.locks, 0);
	GIT(f->repo, "config", "uploadpack.allowFilter", "true");
	GIT(f->dir, "clone", "-q", "--filter=blob:none", from, "partial");
	h = history_of(partial);
	assert_int_equal(h.locks, 0);
	h = history_of(outside);
	assert_int_equal(h.locks, 0);
	h = history_of("/nonexistent/t.lock");
	assert_int_equal(h.locks, 0);
}

/* Every way known to have git start a program of the repository's choosing. */
static void runs_nothing_of_the_repository(void **state)
{
	static const char *const keys[] = {"core.pager",
					   "core.fsmonitor",
					   "pager.log",
					   "diff.external",
					   "gpg.program",
					   "core.editor",
					   "core.askPass",
					   "core.sshCommand",
					   "alias.log",
					   "alias.cat-file",
					   "diff.x.textconv",
					   "diff.x.command",
					   "filter.x.clean",
					   "filter.x.smudge",
					   "core.gitProxy",
					   "uploadpack.packObjectsHook",
					   NULL};
	struct fixture *f = *state;
	char *script SCOPED(mem_freep) = mem_format("%s/evil", f->dir);
	char *mark SCOPED(mem_freep) = mem_format("%s/ran", f->dir);
	char *text SCOPED(mem_freep) = mem_format("#!/bin/sh\ntouch %s\n", mark);
	char *hooks SCOPED(mem_freep) = mem_format("%s/.git/hooks/post-index-change", f->repo);
	char *attributes SCOPED(mem_freep) = mem_format("%s/.git/info/attributes", f->repo);
	struct history h = {0};
	struct err e = ERR_INIT;

	add_history(f);
	assert_int_equal(fs_put_path(script, text, strlen(text), 0755, &e), 0);
	assert_int_equal(fs_put_path(hooks, text, strlen(text), 0755, &e), 0);
	assert_int_equal(fs_put_path(attributes, "* diff=x filter=x\n", 18, 0644, &e), 0);
	for (size_t i = 0; keys[i] != NULL; i++)
		GIT(f->repo, "config", keys[i], script);
	GIT(f->repo, "config", "log.showSignature", "true");
	assert_int_equal(setenv("GIT_EXTERNAL_DIFF", script, 1), 0);
	assert_int_equal(setenv("GIT_DIR", "/nonexistent", 1), 0);
	h = history_of(f->lock);
	assert_int_equal(unsetenv("GIT_DIR"), 0);
	assert_int_equal(unsetenv("GIT_EXTERNAL_DIFF"), 0);
	assert_int_equal(h.locks, 4);
	assert_int_equal(access(mark, F_OK), -1);
	history_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(counts_changes_from_commit_to_commit, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_checkout_may_be_of_another_user, setup, teardown),
	    cmocka_unit_test_setup_teardown(says_when_git_refuses, setup, teardown),
	    cmocka_unit_test_setup_teardown(passes_over_what_is_no_lock, setup, teardown),
	    cmocka_unit_test_setup_teardown(knows_nothing_without_a_whole_history, setup, teardown),
	    cmocka_unit_test_setup_teardown(runs_nothing_of_the_repository, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
