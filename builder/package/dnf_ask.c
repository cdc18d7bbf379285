#include "package/dnf_ask.h"

#include "package/dnf.h"
#include "package/snapshot.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX     (64 << 20)
#define DNF_TIMEOUT_MS (15ULL * 60 * 1000)

static const char *const dirs[] = {"cache", "state", "log", "root", "keys"};
static const char *const passed_on[] = {"http_proxy", "https_proxy", "no_proxy"};

static struct jval *list_of(const struct strv *l)
{
	struct jval *a = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(a, jval_text(l->v[i]));
	return a;
}

/* The key is copied, so that its path is of our making. */
static int add_repo(const struct dnf_question *q, size_t i, struct jval *to, struct err *e)
{
	const struct recipe *r = q->r;
	const char *dir = q->dir;
	const struct recipe_repo *repo = &r->dnf->repos[i];
	char *id SCOPED(mem_freep) =
	    q->time != NULL ? snapshot_id(repo->name, q->time) : mem_strdup(repo->name);
	struct strv urls SCOPED(strv_release) = {0};
	struct buf key SCOPED(buf_release) = BUF_INIT(DNF_KEYS_MAX);
	char *path SCOPED(mem_freep) = mem_format("%s/keys/%zu.key", dir, i);
	char *encoded SCOPED(mem_freep) = package_path_encode(path);
	char *url SCOPED(mem_freep) = mem_format("file://%s", encoded);
	struct jval *o;

	if (dnf_bases(r->dnf, repo, q->time, &urls, e) != 0)
		return -1;
	if (fs_get(AT_FDCWD, repo->key, &key, e) != 0 ||
	    fs_put_path(path, key.data, key.len, 0644, e) != 0)
		return err_in(e, "gpgkey of %s", repo->name);
	if (strstr(key.data, DNF_KEY_BEGIN) == NULL) {
		(void)recipe_err(&repo->pos, e, "%s has no public key in text", repo->key);
		return err_hint(e, "gpg --armor --export KEY writes one; others may follow it");
	}
	o = jval_object();
	jval_put_text(o, "name", id);
	jval_put(o, "urls", list_of(&urls));
	jval_put_text(o, "key", url);
	jval_put(o, "signed", jval_bool(!repo->unsigned_index));
	jval_push(to, o);
	return 0;
}

/* more: what the question has besides; it is taken over. */
static int put_question(const struct dnf_question *q, struct jval *more, struct err *e)
{
	const struct recipe *r = q->r;
	const char *dir = q->dir;
	struct jval *o SCOPED(jval_freep) = more, *repos = jval_array();
	struct buf b SCOPED(buf_release) = BUF_INIT(ANSWER_MAX);
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *file SCOPED(mem_freep) = fs_join(dir, "ask.json");
	char *program SCOPED(mem_freep) = fs_join(dir, "ask.py");
	int fd SCOPED(fd_closep) = -1;

	jval_put(o, "repos", repos);
	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fs_mkdirs(fd, dirs[i], 0755, e) != 0)
			return -1;
	for (size_t i = 0; i < r->dnf->repos_n; i++)
		if (add_repo(q, i, repos, e) != 0)
			return -1;
	jval_put_text(o, "arch", r->dnf->arch);
	jval_put_text(o, "release", r->dnf->release);
	jval_put(o, "recommends", jval_bool(r->recommends));
	jval_put(o, "install", list_of(&r->install));
	jval_put(o, "exclude", list_of(&r->exclude));
	jval_write(o, &b);
	for (size_t i = 0; dnf_program[i] != NULL; i++)
		buf_addf(&text, "%s", dnf_program[i]);
	if (fs_put_path(program, text.data, text.len, 0644, e) != 0)
		return -1;
	return fs_put_path(file, b.data, b.len, 0644, e);
}

/* One line of at most a few hundred bytes. */
static char *words(const char *s)
{
	struct buf b = BUF_INIT(700);
	bool blank = false;

	for (; *s != '\0'; s++) {
		bool space = (unsigned char)*s <= ' ';

		if (space && !blank && b.len > 0)
			buf_addf(&b, " ");
		if (!space)
			buf_add(&b, s, 1);
		blank = space;
	}
	return buf_take(&b);
}

/* log: what dnf wrote beside its answer; it says more of groups and modules. */
static int refusal(const struct recipe *r, const struct jval *answer, const char *log,
		   struct err *e)
{
	const char *repository = jval_get_str(answer, "repository");
	const char *recipe = jval_get_str(answer, "recipe");
	char *said SCOPED(mem_freep) = words(repository != NULL ? repository
					     : recipe != NULL   ? recipe
								: "");
	char *more SCOPED(mem_freep) = words(log);

	if (repository != NULL && strstr(said, "GPG") != NULL) {
		(void)recipe_err(&r->dnf->pos, e, "a repository is refused: %s", said);
		return err_hint(e, "its gpgkey must have signed repodata/repomd.xml; \"signed: "
				   "packages\" says that only the packages are signed");
	}
	if (repository != NULL) {
		(void)err_set(e, ERR_REMOTE, "the package indexes cannot be had: %s", said);
		return err_hint(e, "check the network and the repository's url, or name another "
				   "mirror in POSMEDIA_DNF_MIRROR");
	}
	if (recipe != NULL) {
		(void)recipe_err(&r->dnf->pos, e, "dnf cannot install this set: %s%s%.300s", said,
				 more[0] != '\0' ? ": " : "", more);
		return err_hint(e, "see packages.install and packages.exclude of the recipe");
	}
	return 0;
}

static void set_env(const char *dir, struct strv *env)
{
	strv_add(env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(env, "LC_ALL=C.UTF-8");
	strv_add(env, "TZ=UTC");
	strv_addf(env, "HOME=%s", dir);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		if (getenv(passed_on[i]) != NULL)
			strv_addf(env, "%s=%s", passed_on[i], getenv(passed_on[i]));
}

int dnf_ask(const struct dnf_question *q, struct jval *more, struct jval **ret, struct err *e)
{
	const char *dir = q->dir;
	/* dnf is a library of the system's Python, whatever else is in PATH */
	static const char *const argv[] = {"/usr/bin/python3", "-I",       "-B",
					   "ask.py",           "ask.json", NULL};
	struct strv env SCOPED(strv_release) = {0};
	struct buf out SCOPED(buf_release) = BUF_INIT(ANSWER_MAX);
	struct buf err SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct proc_spec spec = {
	    .argv = argv, .cwd = dir, .out = &out, .err = &err, .timeout_ms = DNF_TIMEOUT_MS};
	struct proc_result res = {0};
	struct jval *v SCOPED(jval_freep) = NULL;

	if (put_question(q, more, e) != 0)
		return -1;
	set_env(dir, &env);
	spec.env = (const char *const *)(uintptr_t)env.v;
	if (proc_run(&spec, &res, e) != 0)
		return err_hint(e, "install the package dnf");
	if (res.timed_out)
		return err_set(e, ERR_REMOTE, "dnf: no end after %llu minutes",
			       DNF_TIMEOUT_MS / 60000);
	if (res.status != 0) {
		char *said SCOPED(mem_freep) =
		    words(err.len > 500 ? err.data + err.len - 500 : err.data);

		(void)err_set(e, ERR_FAIL, "dnf: exit %d: %s", res.status, said);
		return err_hint(e, "install the package dnf");
	}
	if (buf_over(&out))
		return err_set(e, ERR_FAIL, "dnf: more output than expected");
	if (jval_parse(out.data, out.len, "dnf's answer", &v, e) != 0 ||
	    refusal(q->r, v, err.data, e) != 0)
		return -1;
	*ret = STEAL(v);
	return 0;
}
