#include "cli/described.h"
#include "cli/screen.h"
#include "cli/signing.h"
#include "cli/verb.h"

#include "base/num.h"
#include "restore/restore.h"
#include "sign/file.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct opt opts[] = {
    {'o', "output", "FILE", "Write the manifest to FILE (default: standard output)."},
    {0, "root", NULL, "Print only its SHA-256: the root hash."},
    {0, "compare", NULL, "List every difference of two objects, and refuse if there is one."},
    DESCRIBED_OPTS,
    {'k', "key", "FILE", "Sign FILE, the output, with this private key."},
    {0, "pub", "FILE.pub",
     "With --compare: a manifest must be signed by this key, or another one."},
    SIGNING_WITH,
    OBJECT_PLAIN,
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static int to_stdout(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)ctx;
	return fwrite(p, 1, n, stdout) == n ? 0 : err_sys(e, "write the manifest");
}

static int to_fd(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(const int *)ctx, p, n, e);
}

static int fill(void *ctx, int fd, struct err *e)
{
	return manifest_write(ctx, &(struct sink){.write = to_fd, .ctx = &fd}, e);
}

/* Where it goes; NULL is standard output, by either of its names. */
static const char *output_of(const struct args *a)
{
	const char *path = args_get(a, "output");

	return path != NULL && strcmp(path, "/dev/stdout") == 0 ? NULL : path;
}

/* A device or a pipe is the machine's or somebody else's: it is written to, never replaced. */
static bool is_written_through(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode));
}

static int put_through(struct manifest *m, const char *path, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fill(m, fd, e) == 0 ? 0 : err_in(e, "%s", path);
}

static int put(struct manifest *m, const char *path, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	char *name SCOPED(mem_freep) = fs_basename(path);
	int fd SCOPED(fd_closep) = -1;
	struct stat st;

	if (is_written_through(path))
		return put_through(m, path, e);
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is no file that can be replaced", path);
	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	return fs_put_with(fd, name, 0644, &(struct fs_filler){.fill = fill, .ctx = m}, e);
}

static void report_json(const struct args *a, const struct manifest *m, uint64_t ms)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	const struct digest root = manifest_root(m);

	jval_put_text(v, "object", a->rest.v[0]);
	jval_put_text(v, "root", digest_text(&root).s);
	jval_put_int(v, "entries", (int64_t)m->n);
	jval_put_int(v, "files", (int64_t)m->files);
	jval_put_int(v, "bytes", (int64_t)m->bytes);
	jval_put_int(v, "sockets_left_out", (int64_t)m->left_out);
	jval_put_int(v, "files_read_again", (int64_t)m->reread);
	jval_put_int(v, "files_remembered", (int64_t)m->remembered);
	jval_put_int(v, "milliseconds", (int64_t)ms);
	screen_json(v);
}

static void report(const struct args *a, const struct manifest *m, uint64_t ms)
{
	const struct digest root = manifest_root(m);
	char *bytes SCOPED(mem_freep) = num_human(m->bytes);
	char *rate SCOPED(mem_freep) = num_human(ms > 0 ? m->bytes * 1000 / ms : 0);

	printf("manifest %s %s: %zu entries, %llu files, %s", digest_text(&root).s,
	       args_get(a, "output"), m->n, (unsigned long long)m->files, bytes);
	if (ms > 0 && m->bytes > 0)
		printf(" at %s/s", rate);
	if (m->left_out > 0)
		printf("; %llu sockets left out", (unsigned long long)m->left_out);
	if (m->reread > 0)
		printf("; %llu files changed and were read again", (unsigned long long)m->reread);
	printf("\n");
}

static int describe(const struct args *a, struct err *e)
{
	struct signing s SCOPED(signing_release) = {0};
	struct manifest m SCOPED(manifest_release) = {0};
	const char *output = output_of(a);
	uint64_t begun_ms = clock_mono_ms(), ms;
	struct digest root;

	if (args_has(a, "key") && (output == NULL || is_written_through(output)))
		return err_set(e, ERR_USAGE, "--key wants --output FILE, which it signs");
	if ((args_has(a, "key") && signing_open(a, &s, e) != 0) ||
	    described(a, a->rest.v[0], &m, e) != 0)
		return -1;
	ms = clock_mono_ms() - begun_ms;
	if (output != NULL && put(&m, output, e) != 0)
		return -1;
	if (s.key != NULL && sign_file(output, s.key, clock_epoch_s(), &root, e) != 0)
		return -1;
	root = manifest_root(&m);
	if (args_has(a, "json"))
		report_json(a, &m, ms);
	else if (args_has(a, "root"))
		printf("%s\n", digest_hex(&root).s);
	else if (output != NULL)
		report(a, &m, ms);
	else
		return manifest_write(&m, &(struct sink){.write = to_stdout}, e);
	return 0;
}

static void print_difference(void *ctx, const struct manifest_difference *d)
{
	char *path SCOPED(mem_freep) = manifest_shown(d->path);

	(void)ctx;
	printf("%-7s %s ", d->field, path);
	screen_say(d->a != NULL ? d->a : "-");
	(void)fputs(" -> ", stdout);
	screen_line("", d->b != NULL ? d->b : "-");
}

static void add_difference(void *ctx, const struct manifest_difference *d)
{
	char *path SCOPED(mem_freep) = manifest_shown(d->path);
	struct manifest_difference shown = *d;

	shown.path = path;
	jval_push(ctx, described_difference(&shown));
}

static uint64_t compare_json(const struct args *args, const struct manifest *a,
			     const struct manifest *b)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *list = jval_array();
	const struct digest x = manifest_root(a), y = manifest_root(b);
	uint64_t n = manifest_compare(a, b, add_difference, list);

	jval_put_text(v, "a", args->rest.v[0]);
	jval_put_text(v, "b", args->rest.v[1]);
	jval_put_text(v, "root_a", digest_text(&x).s);
	jval_put_text(v, "root_b", digest_text(&y).s);
	jval_put_int(v, "count", (int64_t)n);
	jval_put(v, "differences", list);
	screen_json(v);
	return n;
}

/* Of a manifest's file, when --pub demands its signature. */
static int signed_or_tree(const struct sign_wanted *by, const char *object,
			  const struct manifest *m, bool *ret_any, struct err *e)
{
	struct stat st;

	if (by == NULL || stat(object, &st) != 0 || S_ISDIR(st.st_mode))
		return 0;
	*ret_any = true;
	return restore_check_signed(object, m, by, e);
}

static int compare(const struct args *args, struct err *e)
{
	struct manifest a SCOPED(manifest_release) = {0}, b SCOPED(manifest_release) = {0};
	struct signers by SCOPED(signers_release) = {0};
	bool any = false;
	uint64_t n;

	if (args_has(args, "output") || args_has(args, "root") || args_has(args, "key"))
		return err_set(e, ERR_USAGE, "--compare writes no manifest");
	if (input_signers(args, "pub", &by, e) != 0 ||
	    described(args, args->rest.v[0], &a, e) != 0 ||
	    described(args, args->rest.v[1], &b, e) != 0 ||
	    signed_or_tree(by.wanted, args->rest.v[0], &a, &any, e) != 0 ||
	    signed_or_tree(by.wanted, args->rest.v[1], &b, &any, e) != 0)
		return -1;
	if (by.wanted != NULL && !any)
		return err_set(e, ERR_USAGE, "--pub wants a manifest's file, and both are trees");
	n = args_has(args, "json") ? compare_json(args, &a, &b)
				   : manifest_compare(&a, &b, print_difference, NULL);
	if (n > 0)
		return err_set(e, ERR_VERIFY, "%llu differences", (unsigned long long)n);
	if (!args_has(args, "json"))
		printf("the same: %zu entries\n", a.n);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	if (args_has(a, "compare") != (a->rest.n == 2))
		return err_set(e, ERR_USAGE, "manifest takes one object, and with --compare two");
	if (args_has(a, "pub") && !args_has(a, "compare"))
		return err_set(e, ERR_USAGE, "--pub goes with --compare");
	return args_has(a, "compare") ? compare(a, e) : describe(a, e);
}

const struct verb verb_manifest = {
    .name = "manifest",
    .args = "OBJECT [OBJECT]",
    .help = "Say all of a tree, entry by entry, or compare two.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};
