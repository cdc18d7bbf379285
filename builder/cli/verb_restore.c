#include "cli/described.h"
#include "cli/host.h"
#include "cli/input.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "base/num.h"
#include "restore/restore.h"
#include "restore/scanned.h"
#include "sys/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "from", "SOURCE", "Where the data is; the site's backup when absent."},
    {0, "to", "dir:PATH", "Fill a directory, without a site."},
    {0, "warm", NULL, "Only fill what is new, while the instance runs."},
    {0, "fenced", NULL, "Nothing changes at the source any more: one pass is enough."},
    {0, "only-data", NULL, "Of a machine by ssh://HOST/. fetch the site's directories alone."},
    {0, "commit", NULL, "Remove the data that was live before."},
    {0, "rollback", NULL, "Put the data that was live before back."},
    {0, "discard", NULL, "Remove what was filled and never exchanged."},
    {0, "verify", NULL, "With --to: read all of it again. Else: compare two trees or manifests."},
    {0, "pub", "FILE.pub", "The snapshot or manifest must be signed by this key, or another."},
    {0, "content", NULL, "Read every byte of the source, also of files that look as before."},
    {0, "exclude", "PATTERN", "Leave out what is at this absolute path; may be given again."},
    {0, "environment", "ENV", "With --to: what the data is for: prod (the default), qa or dev."},
    {0, "secret-file", "FILE", "What opens the source: a key of ssh, or a passphrase."},
    {0, "known-hosts", "FILE", "Which keys the hosts of ssh:// have."},
    {0, "jobs", "N", "Threads; one a processor when absent."},
    HOST_OPTS,
    {0, "dry-run", NULL, "Only say what would be done, with its figures."},
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_tree(const struct jval *v)
{
	char *bytes SCOPED(mem_freep) = num_human((uint64_t)jval_num(v, "bytes")),
		    *written SCOPED(mem_freep) = num_human((uint64_t)jval_num(v, "written-bytes"));

	printf(": %lld entries, %lld files, %s; made %lld, changed %lld, removed %lld; wrote %s",
	       (long long)jval_num(v, "entries"), (long long)jval_num(v, "files"), bytes,
	       (long long)jval_num(v, "made"), (long long)jval_num(v, "changed"),
	       (long long)jval_num(v, "removed"), written);
	if (jval_num(v, "remembered") > 0)
		printf("; %lld files as they were read before",
		       (long long)jval_num(v, "remembered"));
	printf("\n");
	printf("  root %s\n", jval_get_str(v, "root"));
}

static void print_excluded(const struct jval *v)
{
	const struct jval *list = jval_get(v, "excluded");

	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		const struct jval *paths = jval_get(o, "paths");

		if (jval_num(o, "count") == 0)
			continue;
		printf("left out %lld by \"%s\" (%s)\n", (long long)jval_num(o, "count"),
		       jval_get_str(o, "pattern"), jval_get_str(o, "why"));
		for (size_t k = 0; k < jval_len(paths); k++) {
			screen_line("  ", jval_str(jval_at(paths, k)));
		}
	}
}

static void print_list(const struct jval *list, const char *before)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		screen_line(before, jval_str(jval_at(list, i)));
	}
}

/* What of the source goes nowhere. */
static void print_unclaimed(const struct jval *list)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		char *bytes SCOPED(mem_freep) = num_human((uint64_t)jval_num(o, "bytes"));

		(void)fputs("not restored, since no directory of the site has it: ", stdout);
		screen_say(jval_get_str(o, "path"));
		printf(" (%lld entries, %lld files, %s)\n", (long long)jval_num(o, "entries"),
		       (long long)jval_num(o, "files"), bytes);
	}
}

/* What an end removed, or left beside what is live. */
static void print_aside(const struct jval *v, const char *what)
{
	const struct jval *o = jval_get(v, what);
	char *bytes SCOPED(mem_freep) = num_human((uint64_t)jval_num(o, "bytes"));

	if (o != NULL)
		printf("%s: %lld entries, %lld files, %s\n", what,
		       (long long)jval_num(o, "entries"), (long long)jval_num(o, "files"), bytes);
}

static void print_state(const char *state)
{
	printf("state: %s\n", state);
	if (strcmp(state, "restored") == 0)
		printf("the data of before is kept until --commit; --rollback puts it back\n");
	if (strcmp(state, "undone") == 0)
		printf("what was restored is kept until --discard\n");
}

static void print(const struct args *a, const struct jval *v)
{
	const struct jval *data = jval_get(v, "data");
	const char *to = jval_get_str(v, "to"), *state = jval_get_str(v, "state");

	if (args_has(a, "json")) {
		screen_json(v);
		return;
	}
	if (to != NULL) {
		screen_say(to);
		print_tree(v);
	}
	for (size_t i = 0; i < jval_len(data); i++) {
		screen_say(jval_get_str(jval_at(data, i), "at"));
		print_tree(jval_at(data, i));
	}
	print_excluded(v);
	print_unclaimed(jval_get(v, "unclaimed"));
	print_list(jval_get(v, "not-in-source"), "stays as it is, since the source has none: ");
	print_list(jval_get(v, "by-number"), "kept by its number: ");
	print_list(jval_get(v, "fixers"), "fixer ");
	print_list(jval_get(v, "did"), "");
	print_aside(v, "removed");
	print_aside(v, "kept");
	if (state != NULL)
		print_state(state);
}

static void tell(const struct manifest_difference *d, bool json)
{
	if (json) {
		struct jval *v SCOPED(jval_freep) = described_difference(d);
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

		jval_write(v, &b);
		puts(b.data);
		return;
	}
	screen_say(d->path[0] != '\0' ? d->path : ".");
	printf(": %s", d->field);
	if (d->a != NULL && d->b != NULL) {
		(void)fputs(": ", stdout);
		screen_say(d->a);
		(void)fputs(" and ", stdout);
		screen_say(d->b);
	}
	(void)fputc('\n', stdout);
}

/* Names are masked: the path, and where a link leads. */
static void differs(void *ctx, const struct manifest_difference *d)
{
	bool names = strcmp(d->field, "target") == 0 || strcmp(d->field, "link") == 0;
	char *path SCOPED(mem_freep) = restore_told(d->path),
		   *a SCOPED(mem_freep) = names && d->a != NULL ? restore_told(d->a) : NULL,
		   *b SCOPED(mem_freep) = names && d->b != NULL ? restore_told(d->b) : NULL;
	struct manifest_difference told = *d;

	told.path = path;
	told.a = a != NULL ? a : d->a;
	told.b = b != NULL ? b : d->b;
	tell(&told, *(bool *)ctx);
}

static int compare(const struct args *a, struct err *e)
{
	bool json = args_has(a, "json");
	struct signers by SCOPED(signers_release) = {0};
	struct restore_compare c = {
	    .a = a->rest.v[0], .b = a->rest.v[1], .fn = differs, .ctx = &json};
	uint64_t n = 0;

	if (input_signers(a, "pub", &by, e) != 0)
		return -1;
	c.signers = by.wanted;
	if (restore_compare(&c, &n, e) != 0)
		return -1;
	return n == 0 ? 0
		      : err_set(e, ERR_VERIFY, "%s and %s: %llu differences", c.a, c.b,
				(unsigned long long)n);
}

static int read_opts(const struct args *a, struct restore_opts *o, struct strv *exclude,
		     struct err *e)
{
	static const char *const words[] = {"dev", "qa", "prod"};
	const char *env = args_get(a, "environment"), *pattern;
	uint64_t jobs = 0;
	size_t i = 0;

	if (args_num(a, "jobs", 256, &jobs, e) != 0)
		return -1;
	while (env != NULL && i < 3 && strcmp(words[i], env) != 0)
		i++;
	if (i == 3)
		return err_set(e, ERR_USAGE, "--environment wants dev, qa or prod, not %s", env);
	for (size_t k = 0; (pattern = args_nth(a, "exclude", k)) != NULL; k++) {
		if (pattern[0] != '/')
			return err_set(e, ERR_USAGE, "--exclude wants an absolute path: %s",
				       pattern);
		strv_add(exclude, pattern);
	}
	*o = (struct restore_opts){.from = args_get(a, "from"),
				   .secret_file = args_get(a, "secret-file"),
				   .known_hosts = args_get(a, "known-hosts"),
				   .exclude = exclude,
				   .env = env != NULL ? (enum site_env)i : SITE_PROD,
				   .threads = (unsigned)jobs,
				   .dry_run = args_has(a, "dry-run"),
				   .verify = args_has(a, "verify"),
				   .content = args_has(a, "content"),
				   .warm = args_has(a, "warm"),
				   .fenced = args_has(a, "fenced")};
	return 0;
}

/* The machine of before has the site's directories where the instance has them. */
static int restore_of(const struct args *a, const struct site *s, const struct stage_opts *so,
		      const struct restore_opts *o, struct jval **ret, struct err *e)
{
	struct restore_claim *claims SCOPED(mem_freep) =
	    mem_zalloc((s->data_n + 1) * sizeof(*claims));
	struct restore_opts with = *o;

	for (size_t i = 0; i < s->data_n; i++)
		claims[i] = (struct restore_claim){s->data[i].name, s->data[i].at};
	if (args_has(a, "only-data")) {
		with.claims = claims;
		with.claims_n = s->data_n;
	}
	return restore_site(s, so, &with, ret, e);
}

static const char *action_of(const struct args *a)
{
	static const char *const words[] = {"commit", "rollback", "discard", "warm"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (args_has(a, words[i]))
			return words[i];
	return "restore";
}

/* Sources and paths have been masked in the report. */
static int note(const struct args *a, const struct site *s, const struct jval *report, uint64_t ms,
		struct err *e)
{
	static const char *const keys[] = {"source", "to",    "state", "verified", "differences",
					   "times",  "bytes", "files", "root",     "roots"};
	struct jval *v = jval_object();

	jval_put_text(v, "action", action_of(a));
	jval_put_int(v, "ms", (int64_t)ms);
	noted_copy(v, report, keys, sizeof(keys) / sizeof(keys[0]));
	if (s != NULL)
		return noted_site(a, s, "restore", v, e);
	return noted_of(a, "restore", NULL, v, e);
}

static int of_site(const struct args *a, const struct restore_opts *o, struct site **ret_site,
		   struct jval **ret, struct err *e)
{
	char *seccomp SCOPED(mem_freep) = NULL;
	struct stage_opts so;
	struct site *s;

	if (host_options(a, &so, e) != 0 || site_load(a->rest.v[0], ret_site, e) != 0)
		return -1;
	s = *ret_site;
	seccomp = mem_format("%s/recipes/hosts/seccomp.yaml", s->root);
	so.seccomp = seccomp;
	if (args_has(a, "commit"))
		return restore_commit(s, &so, ret, e);
	if (args_has(a, "rollback"))
		return restore_rollback(s, &so, ret, e);
	if (args_has(a, "discard"))
		return restore_discard(s, &so, ret, e);
	return restore_of(a, s, &so, o, ret, e);
}

/* How a site's directories are filled. */
static bool pass_is_told(const struct args *a)
{
	return args_has(a, "warm") || args_has(a, "fenced") || args_has(a, "only-data");
}

/* What makes no sense together. */
static const char *wrong_form(const struct args *a)
{
	int ends = args_has(a, "commit") + args_has(a, "rollback") + args_has(a, "discard");
	bool from = args_has(a, "from");
	bool warm = pass_is_told(a) || args_has(a, "content");

	if (ends > 1 || (ends == 1 && (from || warm || a->rest.n != 1)))
		return "--commit, --rollback and --discard go alone, with a site";
	if (args_has(a, "pub") && ends > 0)
		return "--pub goes with a source, or with --verify of two";
	if (a->rest.n == 2 && (!args_has(a, "verify") || from))
		return "two arguments go with --verify";
	if (a->rest.n == 1 && args_has(a, "verify"))
		return "--verify wants two trees or manifests; a site is always verified";
	return NULL;
}

static int check(const struct args *a, struct err *e)
{
	bool to = args_has(a, "to");
	const char *why = wrong_form(a);

	if (why == NULL && args_has(a, "fenced") && args_has(a, "warm"))
		why = "a warm copy is of what changes: --fenced says that nothing does";
	if (why == NULL && to && (a->rest.n > 0 || pass_is_told(a)))
		why = "--to goes without a site";
	if (why == NULL && !to && a->rest.n == 0)
		why = "restore wants a site, or --from and --to";
	if (why == NULL && !to && args_has(a, "environment"))
		why = "the site says its environment";
	return why == NULL ? 0 : err_set(e, ERR_USAGE, "%s", why);
}

/* Of a damaged snapshot: the rest was restored. */
static int tell_lost(const struct jval *report, struct err *e)
{
	const struct jval *l = jval_get(report, "lost");
	size_t n = l != NULL ? jval_len(l) : 0;

	for (size_t i = 0; i < n; i++)
		log_warn("lost: %s", jval_str(jval_at(l, i)));
	return n == 0 ? 0
		      : err_set(e, ERR_VERIFY,
				"the snapshot is damaged: %zu files are lost, the rest is restored",
				n);
}

static int run(const struct args *a, struct err *e)
{
	struct strv exclude SCOPED(strv_release) = {0};
	struct signers by SCOPED(signers_release) = {0};
	struct jval *report SCOPED(jval_freep) = NULL;
	struct site *s SCOPED(site_freep) = NULL;
	struct restore_opts o;
	uint64_t start = clock_mono_ms();

	screen_mask_cards();
	if (check(a, e) != 0 || read_opts(a, &o, &exclude, e) != 0)
		return -1;
	if (a->rest.n == 2)
		return compare(a, e);
	if (input_signers(a, "pub", &by, e) != 0)
		return -1;
	o.signers = by.wanted;
	if ((args_has(a, "to") ? restore_tree(&o, args_get(a, "to"), &report, e)
			       : of_site(a, &o, &s, &report, e)) != 0)
		return -1;
	print(a, report);
	if (!o.dry_run && note(a, s, report, clock_mono_ms() - start, e) != 0)
		return -1;
	return tell_lost(report, e);
}

const struct verb verb_restore = {
    .name = "restore",
    .args = "[SITE | --verify A B]",
    .help = "Restore a site's data, verified and exchanged at once, or a tree.",
    .max = 2,
    .opts = opts,
    .run = run,
};
