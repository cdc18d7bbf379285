/* near.c - what changed within large files, before rsync(1) looks for it. That reads a file three
 * times, one after the other on both sides; here the old server was told before the fence what the
 * copy of it is, reads it once, on all its processors, and sends the blocks that are others. Each
 * file that was brought so has the size and the time of the old server's then, and rsync(1) leaves
 * it alone; one that was begun and not ended has none that it could have. */
#include "cutover/run.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "cutover/parts.h"
#include "form/md5.h"
#include "restore/restore.h"
#include "sys/aside.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Smaller ones rsync(1) does at least as well. All sums together are 32 MB. */
enum { SMALL = 1 << 20, BLOCKS_MAX = 2 << 20, SHARES = 2, RUN_MAX = 2 << 20 };

/* Of what is free on the state's disk the answers have this part: a quarter. */
enum { ROOM = 4 };

struct near_file {
	char *path; /* below the copy */
	struct stat st;
};

struct cut_near {
	struct near_file *v;
	size_t n, cap;
	const char *at; /* of the directory that is walked */
	int root;       /* the copy */
	struct digest told;
};

void cut_near_free(struct cut_near *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i].path);
	free(n->v);
	fd_closep(&n->root);
	free(n);
}

static void near_freep(struct cut_near **n)
{
	cut_near_free(*n);
	*n = NULL;
}

static int note(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct cut_near *n = ctx;

	(void)e;
	if (!S_ISREG(en->st.st_mode) || en->st.st_size < SMALL || en->st.st_nlink != 1)
		return 0;
	if (n->n == n->cap) {
		n->cap = n->cap * 2 + 64;
		n->v = mem_resize(n->v, n->cap, sizeof(*n->v));
	}
	n->v[n->n++] = (struct near_file){mem_format("%s/%s", n->at + 1, en->path), en->st};
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct near_file *x = a, *y = b;

	if (x->st.st_mtime != y->st.st_mtime)
		return x->st.st_mtime < y->st.st_mtime ? 1 : -1;
	return strcmp(x->path, y->path);
}

static int by_size(const void *a, const void *b)
{
	const struct near_file *x = a, *y = b;

	if (x->st.st_size != y->st.st_size)
		return x->st.st_size < y->st.st_size ? 1 : -1;
	return strcmp(x->path, y->path);
}

/* What changed last will change again. */
static void choose(struct cut_near *n)
{
	uint64_t left = BLOCKS_MAX;
	size_t kept = 0;

	if (n->n == 0)
		return;
	qsort(n->v, n->n, sizeof(*n->v), by_time);
	for (size_t i = 0; i < n->n; i++) {
		uint64_t blocks = (uint64_t)n->v[i].st.st_size / OLD_NEAR_BLOCK + 1;

		if (blocks > left) {
			free(n->v[i].path);
			continue;
		}
		left -= blocks;
		n->v[kept++] = n->v[i];
	}
	n->n = kept;
	qsort(n->v, n->n, sizeof(*n->v), by_size);
}

/* Of the copy, and only as it was when it was told. */
static int open_copy(const struct cut_near *n, size_t i, int flags, struct err *e)
{
	const struct open_how how = {.flags =
					 (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	const struct near_file *f = &n->v[i];
	int fd SCOPED(fd_closep) = fs_openat2(n->root, f->path, &how);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", f->path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_ino != f->st.st_ino)
		return err_set(e, ERR_FAIL, "%s is another file", f->path);
	return STEAL_FD(fd);
}

static int describe(const struct cut_near *n, size_t i, struct buf *text, struct err *e)
{
	const struct near_file *f = &n->v[i];
	int fd SCOPED(fd_closep) = open_copy(n, i, O_RDONLY, e);
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct buf sums SCOPED(buf_release) = BUF_INIT(64 << 20);
	const struct md5_blocks of = {(uint64_t)f->st.st_size, OLD_NEAR_BLOCK, h};
	struct digest d;

	if (fd < 0 || md5_blocks(fd, &of, &sums, e) != 0)
		return -1;
	d = hash_final(h);
	buf_addf(text, "%llu %s ", (unsigned long long)of.n, digest_hex(&d).s);
	listing_put(text, "/");
	listing_put(text, f->path);
	buf_add(text, "\n", 1);
	buf_add(text, sums.data, sums.len);
	return 0;
}

/* What a pass may take behind the fence. */
static uint64_t pass_limit(const struct cut_run *r)
{
	const struct site_budget *b = &r->s->cutover.budget;

	return b->last_pass != 0 ? b->last_pass : b->outage;
}

/* What changes meanwhile is for the last pass: so no longer than one may take. What has not had
 * its turn then is rsync(1)'s. */
static int describe_all(const struct cut_run *r, struct cut_near *n, struct buf *text,
			struct err *e)
{
	const uint64_t until = clock_mono_ms() + pass_limit(r);
	size_t done = 0;

	while (done < n->n && clock_mono_ms() < until) {
		if (intr_pending())
			return intr_err(e);
		if (describe(n, done, text, e) != 0)
			return -1;
		done++;
	}
	while (n->n > done)
		free(n->v[--n->n].path);
	return 0;
}

static int tell(struct cut_run *r, struct err *e)
{
	const struct site_old *old = &r->s->cutover.old;
	char *copy SCOPED(mem_freep) = restore_mirror(r->s, r->o->so);
	struct cut_near *n SCOPED(near_freep) = mem_zalloc(sizeof(*n));
	struct buf text SCOPED(buf_release) = BUF_INIT(64 << 20);

	n->root = -1;
	if (fs_open_dir(AT_FDCWD, copy, &n->root, e) != 0)
		return -1;
	for (size_t i = 0; i < old->data_n; i++) {
		int dir SCOPED(fd_closep) = -1;

		n->at = old->data[i].at;
		if (fs_open_dir(n->root, n->at + 1, &dir, e) != 0 || fs_walk(dir, note, n, e) != 0)
			return -1;
	}
	choose(n);
	if (describe_all(r, n, &text, e) != 0)
		return -1;
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, "there are too many large files");
	n->told = digest_of(text.data, text.len);
	if (n->n == 0)
		return 0;
	if (cut_session(r, e) != 0 ||
	    old_near_take(r->old, text.data, text.len, pass_limit(r), e) != 0)
		return -1;
	r->near = STEAL(n);
	return 0;
}

void cut_near_tell(struct cut_run *r)
{
	struct err why = ERR_INIT;

	cut_near_free(r->near);
	r->near = NULL;
	if (tell(r, &why) != 0)
		log_debug("what large files are is not told: %s", why.msg);
}

/* What one process asks for. */
struct share {
	struct cut_run *r;
	struct old_near want;
	struct aside child;
};

static int ask(void *arg, struct err *e)
{
	struct share *s = arg;

	struct statvfs v;
	struct rlimit most;

	/* the answer is a second copy of all that is another: past this rsync(1) does it */
	if (fstatvfs(s->want.fd, &v) != 0)
		return err_sys(e, "look at the answer's disk");
	most.rlim_cur = most.rlim_max = (rlim_t)(v.f_bavail * v.f_frsize / ROOM / s->want.of);
	if (setrlimit(RLIMIT_FSIZE, &most) != 0)
		return err_sys(e, "limit the answer");
	s->want.within_ms = pass_limit(s->r);
	return old_near(s->r->old, &s->want, e);
}

/* An answer as it is put there. */
struct came {
	uint64_t bytes, files;
};

struct putting {
	const struct cut_near *n;
	struct came *came;
	FILE *in;
	int fd; /* of the file that it is about, or -1 */
	size_t i;
	char *block;
};

static int nonsense(struct err *e)
{
	return err_set(e, ERR_REMOTE, "the agent's blocks are none");
}

/* No file of the old server has this time: until the end is known it is to be compared. */
static int set_no_time(const struct putting *p, struct err *e)
{
	static const struct timespec none[2] = {{.tv_nsec = UTIME_OMIT}, {0}};

	return futimens(p->fd, none) == 0 ? 0 : err_sys(e, "set a time");
}

/* Each write has set the time to now, which the old server's file could have. */
static int leave(struct putting *p, struct err *e)
{
	int rc = p->fd >= 0 ? set_no_time(p, e) : 0;

	fd_closep(&p->fd);
	return rc;
}

static int begin(struct putting *p, size_t i, struct err *e)
{
	if (leave(p, e) != 0)
		return -1;
	p->fd = open_copy(p->n, i, O_RDWR, e);
	p->i = i;
	return p->fd >= 0 ? set_no_time(p, e) : -1;
}

static int put_run(struct putting *p, uint64_t at, size_t n, struct err *e)
{
	if (fread(p->block, 1, n, p->in) != n)
		return nonsense(e);
	for (size_t done = 0; done < n;) {
		ssize_t k = pwrite(p->fd, p->block + done, n - done, (off_t)(at + done));

		if (k <= 0)
			return err_sys(e, "write %s", p->n->v[p->i].path);
		done += (size_t)k;
	}
	p->came->bytes += n;
	return 0;
}

static int end(struct putting *p, const uint64_t *v, struct err *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
					  {.tv_sec = (time_t)v[2], .tv_nsec = (long)v[3]}};
	int fd SCOPED(fd_closep) = -1;

	if (leave(p, e) != 0)
		return -1;
	fd = open_copy(p->n, (size_t)v[0], O_RDWR, e);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)v[1]) != 0 || futimens(fd, times) != 0)
		return err_sys(e, "end %s", p->n->v[v[0]].path);
	p->came->files++;
	return 0;
}

/* Up to four numbers, each within its limit. */
static bool numbers(char *text, const uint64_t *most, size_t n, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		char *word = strsep(&text, " ");

		if (word == NULL || num_u64(word, most[i], &ret[i]) != 0)
			return false;
	}
	return text == NULL;
}

static int put_line(struct putting *p, char *line, struct err *e)
{
	const uint64_t last = p->n->n - 1, far = (uint64_t)1 << 50;
	const uint64_t run[] = {far, RUN_MAX}, ends[] = {last, far, (uint64_t)1 << 40, 999999999};
	uint64_t v[4];

	if (strncmp(line, "FILE ", 5) == 0 && numbers(line + 5, &last, 1, v))
		return begin(p, (size_t)v[0], e);
	if (strncmp(line, "AT ", 3) == 0 && p->fd >= 0 && numbers(line + 3, run, 2, v))
		return put_run(p, v[0], (size_t)v[1], e);
	if (strncmp(line, "ENDS ", 5) == 0 && numbers(line + 5, ends, 4, v))
		return end(p, v, e);
	return nonsense(e);
}

static int put_all(struct putting *p, struct err *e)
{
	char *line SCOPED(mem_freep) = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, p->in)) > 0 && line[n - 1] == '\n') {
		line[n - 1] = '\0';
		if (strcmp(line, "END") == 0)
			return 0;
		if (put_line(p, line, e) != 0)
			return -1;
	}
	return nonsense(e);
}

/* From the beginning; takes the descriptor over. What was put is added to *sum. */
static int put(struct cut_run *r, int fd, struct came *sum, struct err *e)
{
	struct putting p = {.n = r->near, .came = sum, .fd = -1, .block = mem_zalloc(RUN_MAX)};
	struct err why = ERR_INIT;
	int rc;

	p.in = lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
	if (p.in == NULL) {
		free(p.block);
		(void)close(fd);
		return err_sys(e, "read what came");
	}
	rc = put_all(&p, e);
	(void)fclose(p.in);
	if (leave(&p, &why) != 0)
		log_debug("%s", why.msg);
	free(p.block);
	return rc;
}

static int open_answer(struct cut_run *r, int *ret, struct err *e)
{
	char *copy SCOPED(mem_freep) = restore_mirror(r->s, r->o->so);
	char *dir SCOPED(mem_freep) = fs_dirname(copy);

	*ret = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return *ret >= 0 ? 0 : err_sys(e, "a file in %s", dir);
}

static int ask_all(struct cut_run *r, struct err *e)
{
	const unsigned of = r->near->n < SHARES ? (unsigned)r->near->n : SHARES;
	struct share s[SHARES] = {0};
	int rc = cut_session(r, e);
	struct came sum = {0, 0};
	unsigned begun = 0;

	for (; begun < of && rc == 0; begun++) {
		struct share *one = &s[begun];

		*one = (struct share){
		    .r = r, .want = {.digest = r->near->told, .which = begun, .of = of, .fd = -1}};
		rc = open_answer(r, &one->want.fd, e);
		if (rc == 0)
			rc = aside_start(ask, one, &one->child, e);
	}
	for (unsigned i = 0; i < begun; i++) {
		int fd = s[i].want.fd;

		if (rc == 0)
			rc = aside_join(&s[i].child, e);
		else
			aside_stop(&s[i].child);
		if (fd >= 0 && rc == 0)
			rc = put(r, fd, &sum, e);
		else
			fd_closep(&fd);
	}
	log_debug("%llu bytes of %llu large files came ahead", (unsigned long long)sum.bytes,
		  (unsigned long long)sum.files);
	return rc;
}

void cut_near(void *run)
{
	struct cut_run *r = run;
	struct err why = ERR_INIT;

	if (r->near != NULL && ask_all(r, &why) != 0)
		log_debug("rsync has to find out what changed: %s", why.msg);
	fault_point("cutover: ahead");
	cut_near_free(r->near);
	r->near = NULL;
}
