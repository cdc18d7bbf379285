#include "cli/described.h"
#include "cli/host.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/signing.h"
#include "cli/verb.h"

#include "base/log.h"
#include "base/num.h"
#include "restore/restore.h"
#include "site/secret.h"
#include "site/site.h"
#include "snapshot/snapshot.h"
#include "stage/held.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEP_MAX = 100000 };

static const struct opt opts[] = {
    {0, "to", "REPO", "The repository: dir:PATH or s3://BUCKET/PREFIX."},
    {0, "secret-file", "FILE", "What opens the repository: FILE, which only its owner may read."},
    {0, "pause", NULL, "Of a site: its instance stands still for the last look."},
    {0, "list", NULL, "List the snapshots of a repository."},
    {0, "verify", NULL, "Check that all that a repository's snapshots need is there."},
    {0, "read", NULL, "With --verify: that every byte of it is right."},
    {0, "prune", NULL, "Remove snapshots, and what no other needs."},
    {0, "keep", "N", "With --prune: the newest N stay."},
    {0, "keep-daily", "N", "With --prune: the newest of each of the last N days stay."},
    {0, "keep-weekly", "N", "With --prune: the same of weeks."},
    {0, "keep-monthly", "N", "With --prune: the same of months."},
    {0, "seen", "FILE", "Keep digests of files here, and read unchanged ones only once."},
    {0, "passwd", "FILE", "Owners' names are those of this passwd(5)."},
    {0, "group", "FILE", "Groups' names are those of this group(5)."},
    {'k', "key", "FILE", "Sign the snapshot with this private key."},
    SIGNING_BY,
    {0, "pub", "FILE.pub", "With --verify: each snapshot must be signed by this key, or another."},
    HOST_OPTS,
    {0, "dry-run", NULL, "Say what would be done, and do nothing."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

/* What a call is about: a tree, its site, and the secret. */
struct job {
	struct site *site; /* or NULL */
	struct buf secret;
	struct manifest_names *names;
	struct manifest_seen *seen;
	char *path;   /* of the tree */
	char *source; /* what the snapshot calls it */
	char *repo;
	char *seen_dir, *seen_name;
	int fd;
};

static void job_release(struct job *j)
{
	site_free(j->site);
	site_secret_release(&j->secret);
	manifest_names_free(j->names);
	manifest_seen_free(j->seen);
	free(j->path);
	free(j->source);
	free(j->repo);
	free(j->seen_dir);
	free(j->seen_name);
	fd_closep(&j->fd);
}

static int read_secret(const struct args *a, struct job *j, struct err *e)
{
	const char *file = args_get(a, "secret-file");
	const struct site_secret *s;
	char *own SCOPED(mem_freep) = NULL;

	if (file != NULL) {
		own = mem_strdup(file);
		return site_secret_read(&(struct site_source){.file = own}, &j->secret, e);
	}
	s = j->site != NULL && j->site->backup.secret != NULL
		? site_secret_find(j->site, j->site->backup.secret)
		: NULL;
	if (s != NULL)
		return site_secret_read(&s->from, &j->secret, e);
	(void)err_set(e, ERR_USAGE, "no secret is named that opens the repository");
	return err_hint(e, "name it by --secret-file FILE, or by the site's backup.secret");
}

static int open_repo(const struct args *a, struct job *j, enum snapshot_use use,
		     struct snapshot_repo **ret, struct err *e)
{
	struct snapshot_at at = {.where = j->repo};

	at.use = use;
	if (read_secret(a, j, e) != 0)
		return -1;
	at.secret = j->secret.data;
	at.secret_n = site_secret_length(&j->secret);
	return snapshot_repo_open(&at, ret, e);
}

static struct jval *info_json(const struct snapshot_info *i)
{
	struct jval *v = jval_object();
	char *time SCOPED(mem_freep) = clock_rfc3339(i->time);

	jval_put_text(v, "id", i->id);
	if (i->fault != NULL) {
		jval_put_text(v, "fault", i->fault);
		return v;
	}
	jval_put_text(v, "time", time);
	jval_put_text(v, "shop", i->shop);
	jval_put_text(v, "environment", i->env);
	jval_put_text(v, "host", i->host);
	jval_put_text(v, "source", i->source);
	jval_put_text(v, "root", digest_text(&i->root).s);
	jval_put_int(v, "entries", (int64_t)i->entries);
	jval_put_int(v, "files", (int64_t)i->files);
	jval_put_int(v, "bytes", (int64_t)i->bytes);
	jval_put_int(v, "added", (int64_t)i->added);
	jval_put(v, "signed", jval_bool(i->is_signed));
	if (i->previous != NULL)
		jval_put_text(v, "previous", i->previous);
	return v;
}

static struct jval *texts_json(const struct strv *l)
{
	struct jval *v = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(v, jval_text(l->v[i]));
	return v;
}

static void print_info(const struct snapshot_info *i)
{
	char *time SCOPED(mem_freep) = clock_rfc3339(i->time);
	char *bytes SCOPED(mem_freep) = num_human(i->bytes), *added SCOPED(mem_freep) = NULL;
	char *text SCOPED(mem_freep) = NULL;

	if (i->fault != NULL) {
		text = mem_format("%s  damaged: %s", i->id, i->fault);
	} else {
		added = num_human(i->added);
		text = mem_format("%s  %s  %llu files, %s, %s added%s  %s of %s", i->id, time,
				  (unsigned long long)i->files, bytes, added,
				  i->is_signed ? ", signed" : "", i->source, i->host);
	}
	screen_line("", text);
}

static int list(const struct args *a, struct job *j, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_infos all SCOPED(snapshot_infos_release) = {0};
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *l = jval_array();

	jval_put(v, "snapshots", l);
	if (open_repo(a, j, SNAPSHOT_READ, &r, e) != 0 || snapshot_list(r, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		jval_push(l, info_json(&all.v[i]));
	jval_put(v, "missing", texts_json(&all.missing));
	if (args_has(a, "json")) {
		screen_json(v);
		return 0;
	}
	for (size_t i = 0; i < all.n; i++)
		print_info(&all.v[i]);
	for (size_t i = 0; i < all.missing.n; i++)
		log_warn("%s is gone, and was not pruned", all.missing.v[i]);
	if (all.n == 0)
		puts("no snapshots");
	return 0;
}

static int verify(const struct args *a, struct job *j, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_verified f SCOPED(snapshot_verified_release) = {0};
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct signers by SCOPED(signers_release) = {0};
	struct snapshot_check how = {.read = args_has(a, "read")};

	if (input_signers(a, "pub", &by, e) != 0)
		return -1;
	how.signers = by.wanted;
	if (open_repo(a, j, SNAPSHOT_READ, &r, e) != 0 || snapshot_verify(r, &how, &f, e) != 0)
		return -1;
	jval_put_int(v, "snapshots", (int64_t)f.snapshots);
	jval_put_int(v, "packs", (int64_t)f.packs);
	jval_put_int(v, "blocks", (int64_t)f.chunks);
	jval_put_int(v, "bytes", (int64_t)f.bytes);
	jval_put(v, "faults", texts_json(&f.faults));
	jval_put(v, "lost", texts_json(&f.lost));
	if (args_has(a, "json")) {
		screen_json(v);
	} else {
		for (size_t i = 0; i < f.faults.n; i++)
			screen_line("fault: ", f.faults.v[i]);
		for (size_t i = 0; i < f.lost.n; i++)
			screen_line("lost: ", f.lost.v[i]);
		printf("%llu snapshots, %llu packs, %llu blocks: %zu faults, %zu files lost\n",
		       (unsigned long long)f.snapshots, (unsigned long long)f.packs,
		       (unsigned long long)f.chunks, f.faults.n, f.lost.n);
	}
	if (f.faults.n + f.lost.n == 0)
		return 0;
	return err_set(e, ERR_VERIFY, "the repository is damaged: %zu faults, %zu files lost",
		       f.faults.n, f.lost.n);
}

static int keep_of(const struct args *a, const char *name, unsigned *ret, struct err *e)
{
	uint64_t n = 0;

	if (args_num(a, name, KEEP_MAX, &n, e) != 0)
		return -1;
	*ret = (unsigned)n;
	return 0;
}

static void print_pruned(const struct snapshot_pruned *p, bool dry_run)
{
	char *bytes SCOPED(mem_freep) = num_human(p->bytes);

	for (size_t i = 0; i < p->missing.n; i++)
		screen_line("fault: ", p->missing.v[i]);
	for (size_t i = 0; i < p->damaged.n; i++)
		screen_line("damaged: ", p->damaged.v[i]);
	for (size_t i = 0; i < p->gone.n; i++)
		screen_line(dry_run ? "would remove " : "removed ", p->gone.v[i]);
	printf("%zu snapshots, %llu packs, %s\n", p->gone.n, (unsigned long long)p->packs, bytes);
}

static int prune(const struct args *a, struct job *j, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_keep k = {.dry_run = args_has(a, "dry-run")};
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
	struct jval *v SCOPED(jval_freep) = jval_object();

	if (keep_of(a, "keep", &k.newest, e) != 0 || keep_of(a, "keep-daily", &k.daily, e) != 0 ||
	    keep_of(a, "keep-weekly", &k.weekly, e) != 0 ||
	    keep_of(a, "keep-monthly", &k.monthly, e) != 0)
		return -1;
	if (k.newest + k.daily + k.weekly + k.monthly == 0)
		return err_set(e, ERR_USAGE, "--prune wants --keep, or another of its kind");
	if (open_repo(a, j, k.dry_run ? SNAPSHOT_READ : SNAPSHOT_PRUNE, &r, e) != 0 ||
	    snapshot_prune(r, &k, &p, e) != 0)
		return -1;
	jval_put(v, "gone", texts_json(&p.gone));
	jval_put(v, "missing", texts_json(&p.missing));
	jval_put(v, "damaged", texts_json(&p.damaged));
	jval_put_int(v, "packs", (int64_t)p.packs);
	jval_put_int(v, "bytes", (int64_t)p.bytes);
	jval_put_int(v, "waiting", (int64_t)p.waiting);
	if (args_has(a, "json"))
		screen_json(v);
	else
		print_pruned(&p, k.dry_run);
	if (p.damaged.n == 0)
		return 0;
	return err_set(e, ERR_VERIFY, "%zu snapshots need packs that are gone: no pack was removed",
		       p.damaged.n);
}

/* A tree is known again by its name: the same words elsewhere are another tree. */
static int name_tree(struct job *j, struct err *e)
{
	char *real = realpath(j->path, NULL);

	if (real == NULL)
		return err_sys(e, "look at %s", j->path);
	j->source = mem_format("dir:%s", real);
	free(real);
	return 0;
}

static int find_tree(const struct args *a, struct job *j, struct err *e)
{
	const char *what = a->rest.v[0], *state = args_get(a, "state");

	if (strncmp(what, "dir:", 4) == 0) {
		j->path = mem_strdup(what + 4);
		return fs_open_dir(AT_FDCWD, j->path, &j->fd, e) == 0 ? name_tree(j, e) : -1;
	}
	if (site_load(what, &j->site, e) != 0)
		return -1;
	j->path = mem_format("%s/%s/%s", state != NULL ? state : "/srv/pos", j->site->shop,
			     site_env_word(j->site->env));
	if (fs_open_dir(AT_FDCWD, j->path, &j->fd, e) == 0)
		return 0;
	return err_hint(e, "stage the site first, or name where its data is: --state DIR");
}

/* What of a path is there, without a link in it; the caller frees it. */
static char *real_part(const char *path)
{
	char *at SCOPED(mem_freep) = mem_strdup(path);
	char *real;

	while ((real = realpath(at, NULL)) == NULL && strcmp(at, "/") != 0 &&
	       strcmp(at, ".") != 0) {
		char *up = fs_dirname(at);

		free(at);
		at = up;
	}
	return real;
}

/* A repository in the tree would be kept in itself, and grow by all of it each time. */
static int check_apart(const struct job *j, struct err *e)
{
	const char *path = strncmp(j->repo, "dir:", 4) == 0 ? j->repo + 4 : j->repo;
	char *tree, *repo;
	bool meets;

	if (strncmp(path, "s3://", 5) == 0)
		return 0;
	tree = realpath(j->path, NULL);
	repo = real_part(path);
	meets = tree != NULL && repo != NULL &&
		(fs_within(repo, tree) || (access(path, F_OK) == 0 && fs_within(tree, repo)));
	free(tree);
	free(repo);
	return meets ? err_set(e, ERR_USAGE, "%s and the tree, %s, lie in each other", j->repo,
			       j->path)
		     : 0;
}

static int find_repo(const struct args *a, struct job *j, struct err *e)
{
	static const char kind[] = "snapshot:";
	const char *to = args_get(a, "to");
	const char *from = to == NULL && j->site != NULL ? j->site->backup.from : NULL;
	char *id SCOPED(mem_freep) = NULL;

	if (to != NULL) {
		j->repo = mem_strdup(to);
		return check_apart(j, e);
	}
	if (from != NULL && strncmp(from, kind, sizeof(kind) - 1) == 0)
		return snapshot_split(from + sizeof(kind) - 1, &j->repo, &id, e) != 0
			   ? -1
			   : check_apart(j, e);
	if (from != NULL)
		(void)err_set(e, ERR_USAGE, "the site's backup, %s, is no repository of snapshots",
			      from);
	else
		(void)err_set(e, ERR_USAGE, "no repository is named");
	return err_hint(e, "name it: --to dir:PATH, or --to s3://BUCKET/PREFIX");
}

/* The numbers of a site's files are its instance's, and say nothing to another. */
static int names_of_site(const struct args *a, struct job *j, struct err *e)
{
	struct stage_opts o;

	if (host_options(a, &o, e) == 0 && restore_names_of(j->site, &o, &j->names, e) == 0)
		return 0;
	return err_hint(e, "--passwd and --group say whose its files are without its instance");
}

static int find_names(const struct args *a, struct job *j, struct err *e)
{
	if (described_names(a, &j->names, e) != 0)
		return -1;
	if (j->names != NULL)
		return 0;
	return j->site != NULL ? names_of_site(a, j, e) : manifest_names_host(&j->names, e);
}

static int find_seen(const struct args *a, struct job *j, int *ret_fd, struct err *e)
{
	const char *seen = args_get(a, "seen");

	if (seen == NULL && j->site == NULL)
		return 0;
	if (seen != NULL) {
		j->seen_dir = fs_dirname(seen);
		j->seen_name = fs_basename(seen);
	} else {
		j->seen_dir = mem_format("%s/.posmedia", j->path);
		j->seen_name = mem_strdup("snapshot.seen");
		if (args_has(a, "dry-run") && access(j->seen_dir, F_OK) != 0)
			return 0;
		if (fs_mkdirs(AT_FDCWD, j->seen_dir, 0700, e) != 0)
			return -1;
	}
	if (fs_open_dir(AT_FDCWD, j->seen_dir, ret_fd, e) != 0)
		return -1;
	return manifest_seen_load(*ret_fd, j->seen_name, &j->seen, e);
}

static void looked(void *ctx, const struct manifest_progress *p)
{
	(void)ctx;
	log_progress("look", p->bytes, p->bytes_total);
}

static void stored(void *ctx, uint64_t done, uint64_t total, uint64_t added)
{
	(void)ctx;
	(void)added;
	log_progress("store", done, total);
}

static void print_result(const struct args *a, const struct snapshot_result *s, const char *made,
			 const struct stage_held *held)
{
	struct jval *v SCOPED(jval_freep) = info_json(&s->info);
	char *bytes SCOPED(mem_freep) = num_human(s->info.bytes);
	char *added SCOPED(mem_freep) = num_human(s->info.added);

	jval_put_int(v, "read", (int64_t)s->read);
	jval_put_int(v, "blocks", (int64_t)s->chunks);
	jval_put_int(v, "again", (int64_t)s->again);
	jval_put_int(v, "left_out", (int64_t)s->m.left_out);
	jval_put_int(v, "excluded", (int64_t)s->m.excluded);
	jval_put(v, "new_repository", jval_bool(made != NULL));
	if (args_has(a, "pause"))
		jval_put_int(v, "paused_milliseconds", (int64_t)held->ms);
	if (args_has(a, "dry-run"))
		jval_put(v, "dry_run", jval_bool(true));
	if (args_has(a, "json")) {
		screen_json(v);
		return;
	}
	if (made != NULL)
		screen_line("new repository: ", made);
	printf("%s%llu files, %s: %s added in %llu blocks",
	       args_has(a, "dry-run") ? "would be " : "", (unsigned long long)s->info.files, bytes,
	       added, (unsigned long long)s->chunks);
	if (s->again > 0)
		printf(", %llu files changed meanwhile", (unsigned long long)s->again);
	if (held->ms > 0)
		printf("\nstood still for %llu.%03llu s", (unsigned long long)held->ms / 1000,
		       (unsigned long long)held->ms % 1000);
	printf("\nroot %s\n", digest_text(&s->info.root).s);
	if (!args_has(a, "dry-run"))
		printf("snapshot %s\n", s->info.id);
}

static int note(const struct args *a, const struct job *j, const struct snapshot_result *s,
		uint64_t ms, struct err *e)
{
	struct jval *v = jval_object();

	jval_put_text(v, "id", s->info.id);
	jval_put_text(v, "to", args_has(a, "to") ? args_get(a, "to") : j->repo);
	jval_put_text(v, "root", digest_text(&s->info.root).s);
	jval_put_int(v, "files", (int64_t)s->info.files);
	jval_put_int(v, "bytes", (int64_t)s->info.bytes);
	jval_put_int(v, "added", (int64_t)s->info.added);
	jval_put_int(v, "ms", (int64_t)ms);
	if (j->site != NULL)
		return noted_site(a, j->site, "snapshot", v, e);
	jval_put_text(v, "source", a->rest.v[0]);
	return noted_of(a, "snapshot", NULL, v, e);
}

/* All but what changes until it is over is kept beforehand; then the instance stands still, and the
 * rest is looked at. */
static int keep(const struct job *j, struct snapshot_repo *r, struct snapshot_opts *o,
		struct stage_held *held, struct snapshot_result *ret, struct err *e)
{
	struct snapshot_result first SCOPED(snapshot_result_release) = {0};
	struct err after = ERR_INIT;
	int rc;

	if (held == NULL || o->dry_run)
		return snapshot_make(r, j->fd, o, ret, e);
	o->warm = true;
	if (snapshot_make(r, j->fd, o, &first, e) != 0)
		return -1;
	snapshot_result_release(&first); /* its manifest is large */
	o->warm = false;
	rc = stage_hold(held, e) == 0 ? snapshot_make(r, j->fd, o, ret, e) : -1;
	if (stage_let_go(held, &after) == 0 || rc != 0)
		return rc;
	*e = after;
	snapshot_result_release(ret);
	return -1;
}

static int make_in(const struct args *a, struct job *j, struct snapshot_opts *o,
		   struct stage_held *held, struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_result s SCOPED(snapshot_result_release) = {0};
	int seen_fd SCOPED(fd_closep) = -1;
	uint64_t start = clock_mono_ms();
	struct manifest_opts m = {.progress = looked};

	if (find_repo(a, j, e) != 0 || find_names(a, j, e) != 0 ||
	    find_seen(a, j, &seen_fd, e) != 0)
		return -1;
	o->manifest = &m;
	m.names = j->names;
	m.seen = j->seen;
	if (j->site != NULL) {
		m.wants = described_is_data;
		m.ctx = j->site;
	}
	if (open_repo(a, j, o->dry_run ? SNAPSHOT_READ : SNAPSHOT_WRITE, &r, e) != 0 ||
	    keep(j, r, o, args_has(a, "pause") ? held : NULL, &s, e) != 0)
		return -1;
	/* the snapshot is made, whatever comes of the digests */
	print_result(a, &s, snapshot_repo_made(r) ? j->repo : NULL, held);
	if (o->dry_run)
		return 0;
	if (note(a, j, &s, clock_mono_ms() - start, e) != 0)
		return -1;
	return j->seen == NULL ? 0 : manifest_seen_save(j->seen, seen_fd, j->seen_name, e);
}

static int open_held(const struct args *a, const struct job *j, struct stage_opts *so,
		     struct stage_held *ret, struct err *e)
{
	if (!args_has(a, "pause"))
		return 0;
	if (j->site == NULL)
		return err_set(e, ERR_USAGE, "--pause is for a site");
	return host_options(a, so, e) != 0 ? -1 : stage_held_open(j->site, so, ret, e);
}

static int make(const struct args *a, struct job *j, struct err *e)
{
	struct signing by SCOPED(signing_release) = {0};
	struct stage_held held SCOPED(stage_held_release) = STAGE_HELD_INIT;
	struct stage_opts so;
	struct snapshot_opts o = {
	    .shop = "", .env = "", .dry_run = args_has(a, "dry-run"), .progress = stored};

	if ((args_has(a, "key") && signing_open(a, &by, e) != 0) || find_tree(a, j, e) != 0)
		return -1;
	o.key = by.key;
	o.source = j->source != NULL ? j->source : a->rest.v[0];
	if (j->site != NULL) {
		o.shop = j->site->shop;
		o.env = site_env_word(j->site->env);
	}
	return open_held(a, j, &so, &held, e) == 0 ? make_in(a, j, &o, &held, e) : -1;
}

/* What makes no sense together; n is how many of the three are there that make none. */
static int check(const struct args *a, int n, struct err *e)
{
	if (n > 1)
		return err_set(e, ERR_USAGE, "--list, --verify or --prune: one of them");
	if ((args_has(a, "read") || args_has(a, "pub")) && !args_has(a, "verify"))
		return err_set(e, ERR_USAGE, "--read and --pub go with --verify");
	if (n > 0 && (args_has(a, "key") || args_has(a, "pause")))
		return err_set(e, ERR_USAGE, "--key and --pause are for a snapshot that is made");
	if (!args_has(a, "prune") && (args_has(a, "keep") || args_has(a, "keep-daily") ||
				      args_has(a, "keep-weekly") || args_has(a, "keep-monthly")))
		return err_set(e, ERR_USAGE, "--keep goes with --prune");
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct job j SCOPED(job_release) = {.fd = -1, .secret = BUF_INIT(0)};
	int n = args_has(a, "list") + args_has(a, "verify") + args_has(a, "prune");

	if (check(a, n, e) != 0)
		return -1;
	if (n == 0)
		return make(a, &j, e);
	j.repo = mem_strdup(a->rest.v[0]);
	if (args_has(a, "list"))
		return list(a, &j, e);
	return args_has(a, "verify") ? verify(a, &j, e) : prune(a, &j, e);
}

const struct verb verb_snapshot = {
    .name = "snapshot",
    .args = "SITE | dir:PATH | REPO",
    .help = "Keep a copy of a tree in a repository, or look after the repository.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
