#include "cli/host.h"
#include "cli/noted.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "base/num.h"
#include "report/report.h"
#include "stage/stage.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 256 << 20, KINDS_MAX = 16, LEDGERS_MAX = 1000 };

static const struct opt opts[] = {
    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},
    {0, "from", "DAY", "billing, performance: from this day on, YYYY-MM-DD."},
    {0, "until", "DAY", "The same: up to this day, which does not count."},
    {0, "zone", "ZONE", "Whose clocks tell months and times (default: of the prices, or UTC)."},
    {0, "prices", "FILE", "billing: what an hour costs."},
    {0, "backup-every", "TIME", "backups: how often one is due (default: 24h)."},
    {0, "verify", NULL, "ledger: only check the chains, and say how they stand."},
    {0, "mirror-to", "s3://BUCKET", "ledger: mirror it there from now on; \"none\": no more."},
    {0, "lock", "DAYS", "With it: nobody changes or removes what is there for so long."},
    {0, "mirror", NULL, "ledger: send what the mirror has not got yet."},
    {0, "csv", NULL, "Print the first table for a spreadsheet."},
    {0, "html", "DIR", "Write the page into DIR; of all, every page and an index."},
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

static bool is_bucket(const char *dir)
{
	return strncmp(dir, "s3://", 5) == 0;
}

/* Those that are named, or the two where verbs note by themselves. */
static int ledgers_of(const struct args *a, struct strv *ret, struct err *e)
{
	const char *dir;

	for (size_t i = 0; (dir = args_nth(a, "ledger", i)) != NULL; i++) {
		if (i == LEDGERS_MAX)
			return err_set(e, ERR_USAGE, "more than %d ledgers", LEDGERS_MAX);
		if (!is_bucket(dir) && !args_has(a, "mirror-to") && access(dir, F_OK) != 0)
			return err_sys(e, "ledger %s", dir);
		strv_add(ret, dir);
	}
	if (ret->n == 0) {
		char *own SCOPED(mem_freep) = noted_dir(a), *sites SCOPED(mem_freep) = NULL;

		sites = noted_site_dir(a);
		if (access(sites, F_OK) == 0 && strcmp(own, sites) != 0)
			strv_add(ret, sites);
		if (ret->n == 0 || access(own, F_OK) == 0)
			strv_add(ret, own);
	}
	return 0;
}

/* Of this host's own sites what nobody has told is told first. That it cannot be is a warning: the
 * report says by itself which ends it does not know. */
static void settle(const struct args *a)
{
	char *dir SCOPED(mem_freep) = noted_site_dir(a);
	const struct stage_opts o = {.state = host_or_else(a, "state", "/srv/pos"),
				     .runtime = "/run/posmedia",
				     .socket = engine_socket(),
				     .ledger = dir};
	struct err why = ERR_INIT;
	size_t open = 0;

	if (args_get(a, "ledger") != NULL || access(o.state, W_OK) != 0)
		return;
	if (stage_settle_all(&o, &open, &why) != 0)
		log_warn("%s", why.msg);
	if (open > 0)
		log_warn("of %zu instances it is not known whether they run still: no engine "
			 "answers at %s",
			 open, o.socket);
}

/* YYYY-MM-DD as a number. */
/* The 31st of a month that has none would be another's first. */
static bool is_day(const char *day, int64_t t)
{
	char *again SCOPED(mem_freep) = clock_rfc3339(t);

	return strncmp(again, day, strlen(day)) == 0;
}

static int day_of(const struct args *a, const char *name, int *ret, struct err *e)
{
	const char *day = args_get(a, name);
	char *text SCOPED(mem_freep) = NULL, *digits SCOPED(mem_freep) = NULL;
	int64_t t;
	uint64_t n;

	*ret = 0;
	if (day == NULL)
		return 0;
	text = mem_format("%sT00:00:00Z", day);
	if (strlen(day) == strlen("YYYY-MM-DD") && clock_parse(text, &t) == 0 && is_day(day, t)) {
		digits = mem_format("%.4s%.2s%.2s", day, day + 5, day + 8);
		if (num_u64(digits, 99991231, &n) == 0) {
			*ret = (int)n;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "--%s: \"%s\" is no day", name, day);
}

static int options(const struct args *a, struct report_opts *o, struct err *e)
{
	const char *every = args_get(a, "backup-every");
	uint64_t ms = 0;

	o->now = clock_epoch_s();
	o->zone = args_get(a, "zone");
	o->prices = args_get(a, "prices");
	if (every != NULL && (num_duration_ms(every, &ms) != 0 || ms < 60000))
		return err_set(e, ERR_USAGE, "--backup-every wants a time such as 24h");
	o->backup_s = ms / 1000;
	return day_of(a, "from", &o->from, e) != 0 ? -1 : day_of(a, "until", &o->until, e);
}

static int to_stdout(void *ctx, const char *p, size_t n, struct err *e)
{
	(void)ctx;
	return fwrite(p, 1, n, stdout) == n ? 0 : err_sys(e, "write the report");
}

static int to_file(void *ctx, const char *p, size_t n, struct err *e)
{
	return fs_write_all(*(const int *)ctx, p, n, e);
}

/* A page of a report, or without one what is in text. */
struct page {
	const struct report *r;
	bool nav;
	const struct buf *text;
};

static int fill_page(void *ctx, int fd, struct err *e)
{
	const struct page *p = ctx;
	const struct report_to to = {to_file, &fd};

	return p->r != NULL ? report_html(p->r, p->nav, &to, e)
			    : fs_write_all(fd, p->text->data, p->text->len, e);
}

static int put_page(const struct args *a, const char *name, struct page *page, struct err *e)
{
	const struct fs_filler fill = {fill_page, page};
	const char *dir = args_get(a, "html");
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 ||
	    fs_put_with(fd, name, 0644, &fill, e) != 0)
		return -1;
	printf("%s/%s\n", dir, name);
	return 0;
}

static int put_report(const struct args *a, const struct report *r, bool nav, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format("%s.html", r->kind);
	struct page page = {.r = r, .nav = nav};

	return put_page(a, name, &page, e);
}

/* What was told is made of the rest. */
static int say_damaged(size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY,
		      "the ledger is damaged: %zu %s not as it was written, and not in the report",
		      n, n == 1 ? "place of it is" : "places of it are");
	return err_hint(e, "posmedia report ledger --verify names them; a mirror has them whole");
}

static int print(const struct args *a, const struct report *r, struct err *e)
{
	const struct report_to to = {to_stdout, NULL};

	if (args_has(a, "html"))
		return put_report(a, r, false, e);
	if (args_has(a, "json"))
		return report_json(r, &to, e);
	return args_has(a, "csv") ? report_csv(r, &to, e) : report_text(r, &to, e);
}

static int put_all(const struct args *a, const struct report_opts *o, struct err *e)
{
	struct buf page SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct report all[KINDS_MAX] = {{.kind = NULL}};
	struct page index = {.text = &page};
	size_t n = 0, damaged = 0;
	int rc = 0;

	if (!args_has(a, "html"))
		return err_set(e, ERR_USAGE, "report all wants --html DIR");
	for (; rc == 0 && report_kinds[n] != NULL; n++) {
		rc = report_make(report_kinds[n], o, &all[n], e);
		if (rc == 0)
			rc = put_report(a, &all[n], true, e);
		report_trim(&all[n]);
		damaged = all[n].damaged;
	}
	if (rc == 0)
		report_index(all, n, &page);
	for (size_t i = 0; i < n; i++)
		report_release(&all[i]);
	return rc != 0 || put_page(a, "index.html", &index, e) != 0 ? -1 : say_damaged(damaged, e);
}

static void state_json(struct jval *list, const char *dir, const struct ledger_state *st)
{
	struct jval *v = jval_object();

	jval_put_text(v, "ledger", dir);
	jval_put_text(v, "chain", st->chain);
	jval_put_int(v, "lines", (int64_t)st->lines);
	jval_put_int(v, "segments", (int64_t)st->segments);
	jval_put_int(v, "bytes", (int64_t)st->bytes);
	jval_put_int(v, "unfinished", (int64_t)st->unfinished);
	jval_put(v, "head", jval_bool(st->has_head));
	jval_put_text(v, "last", digest_text(&st->last).s);
	jval_push(list, v);
}

static void tell_state(const struct args *a, const char *dir, const struct ledger_state *st,
		       struct jval *list)
{
	state_json(list, dir, st);
	if (args_has(a, "json"))
		return;
	printf("%s: %llu lines in %llu segments are one chain, the last %s\n", dir,
	       (unsigned long long)st->lines, (unsigned long long)st->segments,
	       digest_text(&st->last).s);
	if (st->unfinished > 0)
		printf("%s: %llu bytes behind it are of a writer that died, or is at work\n", dir,
		       (unsigned long long)st->unfinished);
}

/* Ledgers that are in the bucket too have to have all lines that it has. */
static int compare_ends(const struct ledger_state *v, size_t n, const struct ledger_state *there,
			const char *dir, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].chain, there->chain) == 0 &&
		    (v[i].lines < there->lines ||
		     (v[i].lines == there->lines && !digest_equal(&v[i].last, &there->last))))
			return err_set(e, ERR_VERIFY,
				       "%s has lines up to %llu of %s, and the ledger here %llu",
				       dir, (unsigned long long)there->lines, there->chain,
				       (unsigned long long)v[i].lines);
	return 0;
}

struct verified {
	struct ledger_state *v;
	size_t n;
};

static void verified_release(struct verified *x)
{
	free(x->v);
}

/* All places, where the error has the first. */
static int name_damage(const char *dir, struct err *e)
{
	const struct ledger_reader r = {NULL, NULL};
	struct ledger_damage d SCOPED(ledger_damage_release) = {.n = 0};
	struct ledger_state st;
	struct err quiet = ERR_INIT;

	if (e->kind != ERR_VERIFY || ledger_salvage(dir, &r, &d, &st, &quiet) != 0)
		return -1;
	for (size_t i = 0; i < d.places.n; i++)
		log_warn("ledger %s: %s", dir, d.places.v[i]);
	if (d.n > d.places.n)
		log_warn("ledger %s: and %zu more", dir, d.n - d.places.n);
	return -1;
}

static int verify_dirs(const struct args *a, const struct report_opts *o, struct verified *x,
		       struct jval *list, struct err *e)
{
	for (size_t i = 0; i < o->ledgers->n; i++) {
		const char *dir = o->ledgers->v[i];
		struct ledger_state st = {.lines = 0};

		if (is_bucket(dir))
			continue;
		if (ledger_read(dir, NULL, NULL, &st, e) != 0)
			return name_damage(dir, e);
		x->v = mem_resize(x->v, x->n + 1, sizeof(*x->v));
		x->v[x->n++] = st;
		tell_state(a, dir, &st, list);
	}
	return 0;
}

static int verify_buckets(const struct args *a, const struct report_opts *o,
			  const struct verified *x, struct jval *list, struct err *e)
{
	for (size_t i = 0; i < o->ledgers->n; i++) {
		const char *dir = o->ledgers->v[i];
		struct ledger_state *v SCOPED(mem_freep) = NULL;
		size_t n = 0;

		if (!is_bucket(dir))
			continue;
		if (ledger_mirror_read(dir, NULL, NULL, &v, &n, e) != 0)
			return -1;
		for (size_t k = 0; k < n; k++) {
			if (compare_ends(x->v, x->n, &v[k], dir, e) != 0)
				return -1;
			tell_state(a, dir, &v[k], list);
		}
	}
	return 0;
}

static int verify(const struct args *a, const struct report_opts *o, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	struct verified x SCOPED(verified_release) = {.n = 0};

	if (verify_dirs(a, o, &x, list, e) != 0 || verify_buckets(a, o, &x, list, e) != 0)
		return -1;
	if (args_has(a, "json"))
		screen_json(list);
	return 0;
}

static int set_mirror(const struct args *a, const struct report_opts *o, struct err *e)
{
	const char *to = args_get(a, "mirror-to");
	struct ledger_mirror m = {.to = strcmp(to, "none") != 0 ? to : NULL};

	if (args_num(a, "lock", 36500, &m.lock_days, e) != 0)
		return -1;
	if (o->ledgers->n != 1 || is_bucket(o->ledgers->v[0]))
		return err_set(e, ERR_USAGE, "--mirror-to wants one --ledger DIR");
	return ledger_mirror_set(o->ledgers->v[0], &m, e);
}

static int send_mirror(const struct report_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->ledgers->n; i++) {
		uint64_t n = 0;

		if (is_bucket(o->ledgers->v[i]))
			continue;
		if (ledger_mirror_send(o->ledgers->v[i], false, &n, e) != 0)
			return -1;
		printf("%s: %llu lines sent\n", o->ledgers->v[i], (unsigned long long)n);
	}
	return 0;
}

/* What only the ledgers themselves are asked for. 1: nothing of the kind. */
static int chores(const struct args *a, const struct report_opts *o, struct err *e)
{
	bool verified = args_has(a, "verify"), set = args_has(a, "mirror-to");
	bool sent = args_has(a, "mirror");

	if (!verified && !set && !sent)
		return args_has(a, "lock") ? err_set(e, ERR_USAGE, "--lock goes with --mirror-to")
					   : 1;
	if (strcmp(a->rest.v[0], "ledger") != 0)
		return err_set(e, ERR_USAGE,
			       "--verify, --mirror and --mirror-to go with report ledger");
	if (set && set_mirror(a, o, e) != 0)
		return -1;
	if (sent && send_mirror(o, e) != 0)
		return -1;
	return verified ? verify(a, o, e) : 0;
}

/* Rows as they come. */
struct answer {
	bool json;
	size_t n;
};

static void print_row(const struct jval *row)
{
	for (size_t i = 0; i < jval_len(row); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		const struct jval *v = jval_at(row, i);

		if (jval_str(v) != NULL)
			buf_addf(&b, "%s", jval_str(v));
		else
			jval_write(v, &b);
		screen_plain_line(b.data);
		printf("%s%s", i > 0 ? "\t" : "", b.data);
	}
	puts("");
}

static int one_row(void *ctx, const struct jval *row, struct err *e)
{
	struct answer *x = ctx;
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	if (ferror(stdout) != 0)
		return err_set(e, ERR_FAIL, "write the answer");
	if (!x->json) {
		print_row(row);
		return 0;
	}
	jval_write(row, &b);
	if (x->n == 0)
		printf("{\n \"columns\": %s,\n \"rows\": [", b.data);
	else
		printf("%s\n  %s", x->n > 1 ? "," : "", b.data);
	x->n++;
	return 0;
}

static int sql(const struct args *a, const struct report_opts *o, struct err *e)
{
	struct answer x = {.json = args_has(a, "json")};
	size_t damaged = 0;

	if (a->rest.n != 2)
		return err_set(e, ERR_USAGE, "report sql wants one statement");
	if (report_sql(o, a->rest.v[1], one_row, &x, &damaged, e) != 0)
		return -1;
	if (x.json)
		printf("%s]\n}\n", x.n > 1 ? "\n " : "");
	return say_damaged(damaged, e);
}

static int run(const struct args *a, struct err *e)
{
	struct strv ledgers SCOPED(strv_release) = {0};
	struct report_opts o = {.ledgers = &ledgers};
	struct report r = {.kind = NULL};
	const char *kind = a->rest.v[0];
	int rc;

	settle(a);
	if (ledgers_of(a, &ledgers, e) != 0 || options(a, &o, e) != 0)
		return -1;
	if (strcmp(kind, "sql") == 0)
		return sql(a, &o, e);
	if (a->rest.n > 1)
		return err_set(e, ERR_USAGE, "report %s takes no argument", kind);
	rc = chores(a, &o, e);
	if (rc <= 0)
		return rc;
	if (strcmp(kind, "all") == 0)
		return put_all(a, &o, e);
	if (report_make(kind, &o, &r, e) != 0)
		return -1;
	rc = print(a, &r, e);
	if (rc == 0)
		rc = say_damaged(r.damaged, e);
	report_release(&r);
	return rc;
}

const struct verb verb_report = {
    .name = "report",
    .args = "KIND | all | sql STATEMENT",
    .help = "Tell from the ledger what runs, ran, is due, and was found.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};
