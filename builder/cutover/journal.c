#include "cutover/journal.h"

#include "base/fault.h"
#include "sys/chain.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include "sys/self.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RUN_LEN = 32, ROOM = 1 << 20 };

static const struct chain chain = {
    .name = CUT_JOURNAL, .sums = true, .fault = "cutover: journal written"};

struct journal {
	int dirfd, lock;
	struct cut_facts facts;
	char run[RUN_LEN + 1];
	char *last;
};

struct reading {
	struct cut_facts facts;
	char run[RUN_LEN + 1];
	struct jval *last;
	cut_record_fn *fn;
	void *ctx;
};

static int refuse(int64_t n, const char *why, struct err *e)
{
	return err_set(e, ERR_VERIFY, CUT_JOURNAL ":%lld: %s", (long long)n, why);
}

static bool run_ok(const char *run)
{
	return run != NULL && strlen(run) == RUN_LEN && strspn(run, "0123456789abcdef") == RUN_LEN;
}

static int record_of(const struct jval *line, struct cut_record *r, struct err *e)
{
	const char *phase = jval_get_str(line, "phase"), *event = jval_get_str(line, "event");
	int64_t number = 0, epoch = 0;
	int p, v;

	if (jval_get_int(line, "number", &number) != 0 ||
	    jval_get_int(line, "epoch", &epoch) != 0 || epoch < 1 || epoch > CUT_EPOCHS_MAX)
		return refuse(number, "it has no epoch", e);
	p = phase == NULL ? -1 : cut_phase_of(phase);
	v = event == NULL ? -1 : cut_event_of(event);
	if (p < 0 || v < 0)
		return refuse(number, "it has no phase or event that we know", e);
	*r = (struct cut_record){
	    .number = (uint64_t)number,
	    .epoch = (uint64_t)epoch,
	    .phase = (enum cut_phase)p,
	    .event = (enum cut_event)v,
	    .time = jval_get_str(line, "time"),
	    .run = jval_get_str(line, "run"),
	    .data = jval_get(line, "data"),
	    .line = line,
	};
	if (r->time == NULL || !run_ok(r->run))
		return refuse(number, "it has no time or no run", e);
	if (r->data != NULL && !jval_is_object(r->data))
		return refuse(number, "its data is no object", e);
	return 0;
}

static int take_line(void *ctx, const struct jval *line, struct err *e)
{
	struct reading *g = ctx;
	struct cut_record r;

	if (record_of(line, &r, e) != 0)
		return -1;
	if (r.epoch == g->facts.epoch && strcmp(r.run, g->run) != 0)
		return refuse((int64_t)r.number, "it is of another run", e);
	if (cut_take(&g->facts, r.epoch, r.phase, r.event) != 0)
		return refuse((int64_t)r.number, "no cutover goes that way", e);
	if (r.phase == CUT_PLAN && r.event == CUT_BEGIN) {
		if (jval_get_bool(r.data, "reverse") != g->facts.reverse)
			return refuse((int64_t)r.number, "it goes from where the shop is not", e);
		g->facts.rehearsal = jval_get_bool(r.data, "rehearsal");
	}
	memcpy(g->run, r.run, sizeof(g->run));
	jval_free(g->last);
	g->last = jval_ref((struct jval *)(uintptr_t)line);
	return g->fn == NULL ? 0 : g->fn(g->ctx, &r, e);
}

int journal_parse(const char *p, size_t n, struct cut_facts *ret, uint64_t *ret_n, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(SIZE_MAX / 2);
	struct reading g = {0};
	uint64_t lines = 0;
	int rc;

	buf_add(&b, p, n);
	rc = chain_parse(&b, &chain, take_line, &g, &lines, e);
	jval_free(g.last);
	if (rc != 0)
		return -1;
	*ret = g.facts;
	*ret_n = lines;
	return 0;
}

/* The line that stands there: a sum is not part of what its reader sees. */
static char *text_of(struct jval *line)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CUT_RECORD_MAX * 2);

	jval_write(line, &text);
	return buf_take(&text);
}

static int read_in(struct journal *j, struct err *e)
{
	struct reading g = {0};
	uint64_t n = 0;
	int rc = chain_read(j->dirfd, &chain, take_line, &g, &n, e);

	if (rc == 0) {
		j->facts = g.facts;
		memcpy(j->run, g.run, sizeof(j->run));
		free(j->last);
		j->last = g.last == NULL ? mem_strdup("") : text_of(g.last);
	}
	jval_free(g.last);
	return rc;
}

static struct journal *journal_new(void)
{
	struct journal *j = mem_zalloc(sizeof(*j));

	j->dirfd = -1;
	j->lock = -1;
	j->last = mem_strdup("");
	return j;
}

/* Room for what has to be written on a disk that fills up meanwhile: an ABORT above all. A file
 * system that cannot do so is none the worse. */
static void keep_room(struct journal *j)
{
	int fd SCOPED(fd_closep) =
	    openat(j->dirfd, CUT_JOURNAL, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, lseek(fd, 0, SEEK_END) + ROOM);
}

int journal_open(const char *dir, struct journal **ret, struct err *e)
{
	struct journal *j SCOPED(journal_closep) = journal_new();

	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0 || fs_open_dir(AT_FDCWD, dir, &j->dirfd, e) != 0)
		return -1;
	if (lock_take(j->dirfd, "lock", &j->lock, e) != 0)
		return err_hint(e, "A cutover of this site is at work; see \"cutover status\".");
	if (read_in(j, e) != 0)
		return err_in(e, "%s", dir);
	keep_room(j);
	*ret = STEAL(j);
	return 0;
}

int journal_look(const char *dir, struct journal **ret, struct err *e)
{
	struct journal *j SCOPED(journal_closep) = journal_new();

	j->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dirfd < 0 && errno != ENOENT)
		return err_sys(e, "open %s", dir);
	if (j->dirfd >= 0 && read_in(j, e) != 0)
		return err_in(e, "%s", dir);
	*ret = STEAL(j);
	return 0;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->dirfd >= 0)
		(void)close(j->dirfd);
	if (j->lock >= 0)
		(void)close(j->lock);
	free(j->last);
	free(j);
}

void journal_closep(struct journal **j)
{
	journal_close(*j);
	*j = NULL;
}

const struct cut_facts *journal_facts(const struct journal *j)
{
	return &j->facts;
}

const char *journal_run(const struct journal *j)
{
	return j->run;
}

int journal_dir(const struct journal *j)
{
	return j->dirfd;
}

const char *journal_last(const struct journal *j)
{
	return j->last;
}

int journal_each(const struct journal *j, cut_record_fn *fn, void *ctx, struct err *e)
{
	struct reading g = {.fn = fn, .ctx = ctx};
	uint64_t n = 0;
	int rc = j->dirfd < 0 ? 0 : chain_read(j->dirfd, &chain, take_line, &g, &n, e);

	jval_free(g.last);
	return rc;
}

static int write_record(struct journal *j, const struct cut_record *r, struct err *e)
{
	struct cut_facts next = j->facts;
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *time SCOPED(mem_freep) = clock_rfc3339(clock_wall_s());
	char *boot SCOPED(mem_freep) = self_boot_id();

	if (j->lock < 0 || cut_take(&next, r->epoch, r->phase, r->event) != 0)
		return err_set(e, ERR_BUSY, "the cutover cannot go on with \"%s %s\"",
			       cut_phase_word(r->phase), cut_event_word(r->event));
	next.rehearsal =
	    r->phase == CUT_PLAN ? jval_get_bool(r->data, "rehearsal") : j->facts.rehearsal;
	jval_put_int(v, "epoch", (int64_t)r->epoch);
	jval_put_text(v, "run", r->run);
	jval_put_text(v, "time", time);
	jval_put_int(v, "mono", (int64_t)clock_mono_ms());
	jval_put_text(v, "boot", boot);
	jval_put_text(v, "phase", cut_phase_word(r->phase));
	jval_put_text(v, "event", cut_event_word(r->event));
	if (r->data != NULL)
		jval_put(v, "data", jval_ref((struct jval *)(uintptr_t)r->data));
	fault_point("cutover: journal");
	if (chain_append(j->dirfd, &chain, v, e) != 0)
		return -1;
	fault_point("cutover: journal synced");
	j->facts = next;
	memmove(j->run, r->run, RUN_LEN);
	free(j->last);
	j->last = text_of(v);
	return 0;
}

static int new_run(char run[RUN_LEN + 1], struct err *e)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[RUN_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(e, "getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++) {
		run[i * 2] = hex[bytes[i] >> 4];
		run[i * 2 + 1] = hex[bytes[i] & 15];
	}
	run[RUN_LEN] = '\0';
	return 0;
}

int journal_begin(struct journal *j, struct jval *data, struct err *e)
{
	struct jval *own SCOPED(jval_freep) = data != NULL ? data : jval_object();
	char run[RUN_LEN + 1];

	if (new_run(run, e) != 0)
		return -1;
	jval_put(own, "reverse", jval_bool(cut_moved(&j->facts)));
	return write_record(j,
			    &(struct cut_record){.epoch = j->facts.epoch + 1,
						 .phase = CUT_PLAN,
						 .event = CUT_BEGIN,
						 .run = run,
						 .data = own},
			    e);
}

int journal_append(struct journal *j, enum cut_phase p, enum cut_event v, struct jval *data,
		   struct err *e)
{
	struct jval *own SCOPED(jval_freep) = data;
	char run[RUN_LEN + 1];

	memcpy(run, j->run, sizeof(run));
	return write_record(
	    j,
	    &(struct cut_record){
		.epoch = j->facts.epoch, .phase = p, .event = v, .run = run, .data = own},
	    e);
}
