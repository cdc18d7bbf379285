#include "plan/history.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/proc.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LIST_MAX = 64 << 10,
	STATE_MAX = 64 << 20,
	TOTAL_MAX = 256 << 20,
	GIT_MS = 60000,
	YEAR_S = 365 * 86400,
};

/* Nothing of a repository's own configuration may start a program or reach a network; so it may be
 * of another user, as that of whoever calls sudo is. */
static const char *const git_head[] = {"git",
				       "--no-pager",
				       "--no-replace-objects",
				       "--literal-pathspecs",
				       "-c",
				       "core.hooksPath=/dev/null",
				       "-c",
				       "core.fsmonitor=false",
				       "-c",
				       "core.untrackedCache=false",
				       "-c",
				       "safe.directory=*",
				       "-c",
				       "protocol.allow=never",
				       "-c",
				       "log.showSignature=false",
				       "-c",
				       "log.mailmap=false",
				       "-c",
				       "core.sshCommand=false",
				       "-c",
				       "core.attributesFile=/dev/null",
				       NULL};

static const char *const git_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
				      "LC_ALL=C",
				      "TZ=UTC",
				      "HOME=/nonexistent",
				      "GIT_CONFIG_NOSYSTEM=1",
				      "GIT_CONFIG_GLOBAL=/dev/null",
				      "GIT_TERMINAL_PROMPT=0",
				      "GIT_OPTIONAL_LOCKS=0",
				      "GIT_NO_LAZY_FETCH=1",
				      "GIT_ATTR_NOSYSTEM=1",
				      NULL};

void history_release(struct history *h)
{
	map_release(&h->changes, NULL);
	*h = (struct history){0};
}

/* Whether git did it; what it wrote is in *out. An interrupt is left for the caller to see. */
static bool git(const char *dir, const char *const *words, struct buf *out)
{
	const char *argv[40];
	struct proc_result res = {0};
	struct err quiet = ERR_INIT;
	size_t n = 0;
	const struct proc_spec spec = {
	    .argv = argv, .env = git_env, .cwd = dir, .out = out, .timeout_ms = GIT_MS};

	for (size_t i = 0; git_head[i] != NULL; i++)
		argv[n++] = git_head[i];
	for (size_t i = 0; words[i] != NULL && n + 1 < sizeof(argv) / sizeof(argv[0]); i++)
		argv[n++] = words[i];
	argv[n] = NULL;
	return proc_run(&spec, &res, &quiet) == 0 && res.status == 0 && !res.timed_out &&
	       !buf_over(out);
}

static bool says(const char *dir, const char *const *words, const char *answer)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(256);

	return git(dir, words, &b) && strncmp(b.data, answer, strlen(answer)) == 0;
}

/* Whether the directory, or one above, is the top of a checkout that git does not take. */
static bool refused(const char *dir)
{
	static const char *const top[] = {"rev-parse", "--is-shallow-repository", NULL};
	char *at SCOPED(mem_freep) = realpath(dir[0] != '\0' ? dir : ".", NULL);
	bool found = false;

	while (at != NULL && at[0] != '\0' && !found) {
		char *mark SCOPED(mem_freep) = mem_format("%s/.git", at);

		found = access(mark, F_OK) == 0;
		*strrchr(at, '/') = '\0';
	}
	return found && !says(dir, top, "");
}

/* A history that is not all there would tell another story on every machine. */
static bool whole(const char *dir)
{
	static const char *const shallow[] = {"rev-parse", "--is-shallow-repository", NULL};
	static const char *const partial[] = {"config", "--local", "--get-regexp",
					      "^remote\\..*\\.promisor$", NULL};
	struct buf none SCOPED(buf_release) = BUF_INIT(4096);

	return says(dir, shallow, "false") && !git(dir, partial, &none);
}

/* The ids of the commits that touched the lock, newest first, one a line. */
static bool list_commits(const char *dir, const char *name, struct strv *ret)
{
	char *most SCOPED(mem_freep) = mem_format("--max-count=%d", HISTORY_COMMITS_MAX);
	const char *const words[] = {"log",           "--format=%H", most, "--no-renames",
				     "--no-ext-diff", "--",          name, NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(LIST_MAX);

	if (!git(dir, words, &b))
		return false;
	for (const char *p = b.data; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		bool id = n >= 40 && n <= 64 && strspn(p, "0123456789abcdef") == n;

		if (id)
			strv_take(ret, mem_strndup(p, n));
		p += n + (p[n] == '\n');
	}
	return true;
}

/* The lock as a commit has it, or NULL: an older form, or removed there. */
static struct lock *state(const char *dir, const char *commit, const char *name, size_t *left)
{
	char *object SCOPED(mem_freep) = mem_format("%s:./%s", commit, name);
	const char *const words[] = {"cat-file", "blob", object, NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(*left < STATE_MAX ? *left : STATE_MAX);
	struct lock *l = NULL;
	struct err quiet = ERR_INIT;

	if (!git(dir, words, &b))
		return NULL;
	*left -= b.len;
	return lock_parse(commit, &b, &l, &quiet) == 0 ? l : NULL;
}

/* The versions of every source: "1.0-1" or, of packages with their own, "1.0-1 1.0-1+b1". */
static void versions(const struct lock *l, struct map *ret)
{
	for (size_t i = 0; i < l->packages_n; i++) {
		char *name SCOPED(mem_freep) = lock_source_name(&l->packages[i]);
		char *version SCOPED(mem_freep) = lock_source_version(&l->packages[i]);

		if (!map_has(ret, name))
			(void)map_put(ret, name, STEAL(version));
	}
}

void history_step(struct history *h, const struct lock *from, const struct lock *to)
{
	struct map a = {0}, b = {0};
	const char **names SCOPED(mem_freep) = NULL;

	versions(from, &a);
	versions(to, &b);
	names = map_keys(&b);
	for (size_t i = 0; i < b.n; i++) {
		const char *was = map_get(&a, names[i]);
		uintptr_t times = (uintptr_t)map_get(&h->changes, names[i]);

		if (was != NULL && strcmp(was, map_get(&b, names[i])) != 0)
			(void)map_put(&h->changes, names[i], (void *)(times + 1));
	}
	map_release(&a, free);
	map_release(&b, free);
}

static int read_states(const char *dir, const char *name, const struct strv *commits,
		       struct history *h, struct err *e)
{
	struct lock *newer SCOPED(lock_freep) = NULL;
	size_t left = TOTAL_MAX;

	for (size_t i = 0; i < commits->n; i++) {
		struct lock *l SCOPED(lock_freep) = state(dir, commits->v[i], name, &left);

		if (intr_pending())
			return intr_err(e);
		if (l == NULL)
			continue;
		if (newer != NULL)
			history_step(h, l, newer);
		else
			h->last = l->epoch;
		h->first = l->epoch;
		h->locks++;
		SWAP(newer, l);
	}
	return 0;
}

int history_read(const char *path, struct history *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *name SCOPED(mem_freep) = fs_basename(path);
	struct strv commits SCOPED(strv_release) = {0};
	struct history h SCOPED(history_release) = {0};

	if (!proc_has("git") || !whole(dir) || !list_commits(dir, name, &commits)) {
		if (proc_has("git") && !intr_pending() && refused(dir))
			log_warn("%s: its history is not counted: git refuses the checkout", path);
		log_debug("%s: no history in git", path);
		*ret = (struct history){0};
		return intr_pending() ? intr_err(e) : 0;
	}
	if (read_states(dir, name, &commits, &h, e) != 0)
		return -1;
	log_debug("%s: %zu states in git", path, h.locks);
	*ret = h;
	h = (struct history){0};
	return 0;
}

unsigned history_updates(const struct history *h, const char *source)
{
	uint64_t times = h != NULL ? (uintptr_t)map_get(&h->changes, source) : 0;
	int64_t span = h != NULL ? h->last - h->first : 0;

	if (span < YEAR_S) /* one update in the first week is not fifty a year */
		span = YEAR_S;
	return (unsigned)((times * 3 * YEAR_S + (uint64_t)span / 2) / (uint64_t)span);
}
