#include "installer/install.h"

#include "form/hex.h"
#include "installer/clear.h"
#include "installer/hold.h"
#include "installer/md.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SERIAL_SHOWN = 64 };

static char zeros[BLOCKLIST_BLOCK]; /* nobody writes there: a constant would be in the program */

/* A disk that was chosen. */
struct one {
	const struct target *t;
	int fd;
	struct target_look is;
};

struct running {
	const struct install *i;
	struct one v[SHEET_DISKS];
	size_t n;
	char *block; /* BLOCKLIST_BLOCK bytes */
	char *site;  /* the same: the block that says who the machine is */
};

static void running_release(struct running *r)
{
	for (size_t k = 0; k < r->n; k++)
		fd_closep(&r->v[k].fd);
	mem_freep(&r->block);
	mem_freep(&r->site);
}

uint64_t install_need(const struct blocklist *c)
{
	return (uint64_t)c->n * BLOCKLIST_BLOCK + MD_ROOM;
}

static void tell(const struct running *r, const char *what, size_t done)
{
	if (r->i->told != NULL)
		r->i->told(r->i->ctx, what, done, r->i->c->n);
}

/* Puts in front of an error which disk it is about. */
static int of_disk(const struct one *o, struct err *e)
{
	return err_in(e, "the disk %.*s", SERIAL_SHOWN, o->t->serial);
}

/* Nobody has mounted it or a part of it, and nobody can meanwhile. A RAID that it was of before may
 * have been begun by udev, and is nobody's. */
static int open_alone(const struct target *t)
{
	const int how = O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY;
	int fd = open(t->path, how);

	if (fd < 0 && errno == EBUSY && hold_end_all("/sys/block", t->name))
		fd = open(t->path, how);
	return fd;
}

static int choose(struct running *r, struct err *e)
{
	const struct sheet *s = r->i->s;

	for (size_t k = 0; k < s->disks_n; k++) {
		struct one *o = &r->v[k];
		size_t at = 0;

		if (targets_choose(r->i->t, s->disks[k], install_need(r->i->c), &at, e) != 0)
			return -1;
		*o = (struct one){.t = &r->i->t->v[at], .fd = -1};
		o->fd = open_alone(o->t);
		if (o->fd < 0 && errno == EBUSY)
			return err_set(e, ERR_BUSY, "the disk %.*s is in use", SERIAL_SHOWN,
				       o->t->serial);
		if (o->fd < 0) {
			(void)err_sys(e, "open it");
			return of_disk(o, e);
		}
		r->n++;
		if (target_look(o->fd, o->t->size, r->i->c, s->shop, &o->is, e) != 0)
			return of_disk(o, e);
	}
	return 0;
}

static int refuse_data(const struct running *r, const struct one *o, struct err *e)
{
	if (o->is.shop[0] != '\0')
		(void)err_set(e, ERR_BUSY, "the disk %.*s has another system, of the shop %s",
			      SERIAL_SHOWN, o->t->serial, o->is.shop);
	else
		(void)err_set(e, ERR_BUSY, "the disk %.*s is not blank: there is %s on it",
			      SERIAL_SHOWN, o->t->serial, o->is.found);
	return err_hint(e, "Nothing was written. If all that is on it may be lost, write erase=%s.",
			r->i->s->shop);
}

static size_t count(const struct running *r, enum target_state state)
{
	size_t n = 0;

	for (size_t k = 0; k < r->n; k++)
		n += r->v[k].is.state == state ? 1 : 0;
	return n;
}

static bool of_one_run(const struct running *r)
{
	for (size_t k = 1; k < r->n; k++)
		if (strcmp(r->v[k].is.run, r->v[0].is.run) != 0)
			return false;
	return true;
}

/* Of a pair one is finished, the other is not, and the first may have data since. */
static int refuse_half(const struct running *r, struct err *e)
{
	const size_t k = r->v[0].is.state == TARGET_FINISHED ? 0 : 1;

	(void)err_set(e, ERR_BUSY,
		      "the disk %.*s has the system of the shop %s, the disk %.*s is not its pair",
		      SERIAL_SHOWN, r->v[k].t->serial, r->i->s->shop, SERIAL_SHOWN,
		      r->v[1 - k].t->serial);
	return err_hint(e, "Nothing was written.");
}

/* What is to be done: write all, or only the first block of those that miss it, or nothing. */
enum todo { WRITE_ALL, WRITE_FIRST, WRITE_NOTHING };

static int decide(const struct running *r, enum todo *ret, struct err *e)
{
	const size_t finished = count(r, TARGET_FINISHED);

	if (finished == r->n && of_one_run(r)) {
		*ret = WRITE_NOTHING;
		return 0;
	}
	if (finished > 0) {
		*ret = WRITE_FIRST;
		return finished + count(r, TARGET_WRITTEN) == r->n && of_one_run(r)
			   ? 0
			   : refuse_half(r, e);
	}
	for (size_t k = 0; k < r->n; k++)
		if (r->v[k].is.state == TARGET_DATA && r->i->s->erase[0] == '\0')
			return refuse_data(r, &r->v[k], e);
	*ret = WRITE_ALL;
	return 0;
}

/* The block of the list, which is place `at` of those that are not zeros. */
static int get_block(const struct running *r, size_t block, size_t at, struct err *e)
{
	const struct blocklist *c = r->i->c;
	ssize_t n = pread(r->i->payload, r->block, BLOCKLIST_BLOCK, (off_t)at * BLOCKLIST_BLOCK);
	struct sha256 is;

	if (n < 0)
		return err_sys(e, "read the installer's medium");
	is = sha256_of(r->block, (size_t)n);
	if (n == BLOCKLIST_BLOCK && memcmp(is.b, c->block[block].b, SHA256_BYTES) == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "the installer's medium is damaged, at its block %zu", at);
	return err_hint(e, "Make it anew.");
}

/* Before anything of a disk is lost. */
static int check_payload(const struct running *r, struct err *e)
{
	const struct blocklist *c = r->i->c;

	for (size_t b = 0, at = 0; b < c->n; b++) {
		if (!c->zero[b] && get_block(r, b, at++, e) != 0)
			return -1;
		tell(r, "check", b);
	}
	return 0;
}

static int put(const struct one *o, const char *p, uint64_t at, struct err *e)
{
	ssize_t n = pwrite(o->fd, p, BLOCKLIST_BLOCK, (off_t)at);

	if (n >= 0 && n != BLOCKLIST_BLOCK)
		errno = EIO;
	if (n == BLOCKLIST_BLOCK)
		return 0;
	(void)err_sys(e, "write its byte %llu", (unsigned long long)at);
	return of_disk(o, e);
}

static int put_zeros(const struct one *o, size_t block, size_t n, struct err *e)
{
	const uint64_t from = (uint64_t)block * BLOCKLIST_BLOCK;

	return clear_write(o->fd, from, from + (uint64_t)n * BLOCKLIST_BLOCK, e) == 0
		   ? 0
		   : of_disk(o, e);
}

/* What is read next is what the disk has. */
static int forget(const struct one *o, struct err *e)
{
	if (fsync(o->fd) != 0) {
		(void)err_sys(e, "write it");
		return of_disk(o, e);
	}
	(void)ioctl(o->fd, BLKFLSBUF, 0);
	(void)posix_fadvise(o->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* Nothing starts from it any more, and nothing of an earlier RAID is found at its end. */
static int begin(const struct running *r, struct err *e)
{
	for (size_t k = 0; k < r->n; k++) {
		const struct one *o = &r->v[k];

		if (target_mark(o->fd, TARGET_BEGUN, r->i->c, r->i->s, e) != 0)
			return of_disk(o, e);
		if (put(o, zeros, o->t->size - BLOCKLIST_BLOCK, e) != 0 || forget(o, e) != 0)
			return -1;
	}
	return 0;
}

static int put_blocks(const struct running *r, const char *p, size_t block, struct err *e)
{
	for (size_t k = 0; k < r->n; k++)
		if (put(&r->v[k], p, (uint64_t)block * BLOCKLIST_BLOCK, e) != 0)
			return -1;
	return 0;
}

static int put_run_of_zeros(const struct running *r, size_t block, size_t n, struct err *e)
{
	for (size_t k = 0; k < r->n; k++)
		if (put_zeros(&r->v[k], block, n, e) != 0)
			return -1;
	return 0;
}

/* How many blocks of zeros follow, none of which is the site's. */
static size_t zeros_from(const struct blocklist *c, size_t block)
{
	size_t n = 0;

	while (block + n < c->n && c->zero[block + n] && block + n != c->site)
		n++;
	return n;
}

static int write_behind_first(const struct running *r, struct err *e)
{
	const struct blocklist *c = r->i->c;

	for (size_t b = 1, at = 1, n; b < c->n; b += n) {
		n = zeros_from(c, b);
		if (n > 0) {
			if (put_run_of_zeros(r, b, n, e) != 0)
				return -1;
		} else if (b == c->site) {
			n = 1;
			if (put_blocks(r, r->site, b, e) != 0)
				return -1;
		} else {
			n = 1;
			if (get_block(r, b, at++, e) != 0 || put_blocks(r, r->block, b, e) != 0)
				return -1;
		}
		tell(r, "write", b + n - 1);
	}
	return 0;
}

/* What the block should be is what was read of it. */
static bool is_as_wanted(const struct running *r, size_t b)
{
	const struct blocklist *c = r->i->c;
	struct sha256 is;

	if (b == c->site)
		return memcmp(r->block, r->site, BLOCKLIST_BLOCK) == 0;
	if (c->zero[b])
		return memcmp(r->block, zeros, BLOCKLIST_BLOCK) == 0;
	is = sha256_of(r->block, BLOCKLIST_BLOCK);
	return memcmp(is.b, c->block[b].b, SHA256_BYTES) == 0;
}

static int verify_block(const struct running *r, const struct one *o, size_t b, struct err *e)
{
	ssize_t n = pread(o->fd, r->block, BLOCKLIST_BLOCK, (off_t)b * BLOCKLIST_BLOCK);

	if (n == BLOCKLIST_BLOCK && is_as_wanted(r, b))
		return 0;
	if (n < 0)
		(void)err_sys(e, "read back its mebibyte %zu", b);
	else
		(void)err_set(e, ERR_VERIFY, "it has not kept its mebibyte %zu", b);
	(void)of_disk(o, e);
	return err_hint(e, "Take another disk.");
}

static int verify_behind_first(const struct running *r, struct err *e)
{
	for (size_t k = 0; k < r->n; k++)
		if (forget(&r->v[k], e) != 0)
			return -1;
	for (size_t b = 1; b < r->i->c->n; b++) {
		for (size_t k = 0; k < r->n; k++)
			if (verify_block(r, &r->v[k], b, e) != 0)
				return -1;
		tell(r, "verify", b);
	}
	return 0;
}

/* Where the system ends and where the last block begins, which was cleared at once. */
static uint64_t cleared_from(const struct running *r)
{
	return (uint64_t)r->i->c->n * BLOCKLIST_BLOCK;
}

static uint64_t cleared_to(const struct one *o)
{
	return o->t->size - BLOCKLIST_BLOCK;
}

struct clearing {
	const struct running *r;
	uint64_t done, all; /* bytes */
};

static void cleared(void *ctx, uint64_t bytes)
{
	struct clearing *c = ctx;
	const struct install *i = c->r->i;

	c->done += bytes;
	if (i->told != NULL && c->done >= BLOCKLIST_BLOCK)
		i->told(i->ctx, "clear", (size_t)(c->done / BLOCKLIST_BLOCK) - 1,
			(size_t)(c->all / BLOCKLIST_BLOCK));
}

/* Of a disk whose installation was cut off it is not known whether it was blank; one that is given
 * up may have something between the places that were looked at. */
static bool is_to_clear(const struct running *r, const struct one *o)
{
	return o->is.state != TARGET_BLANK || r->i->s->erase[0] != '\0';
}

/* What is behind the system on a disk that was given up: data of its earlier life, which nobody
 * shall read. */
static int clear_behind(const struct running *r, struct err *e)
{
	struct clearing c = {.r = r};
	const struct clear_told told = {cleared, &c};

	for (size_t k = 0; k < r->n; k++)
		if (is_to_clear(r, &r->v[k]))
			c.all += cleared_to(&r->v[k]) - cleared_from(r);
	for (size_t k = 0; k < r->n; k++)
		if (is_to_clear(r, &r->v[k]) &&
		    clear_range(r->v[k].fd, cleared_from(r), cleared_to(&r->v[k]), &told, e) != 0)
			return of_disk(&r->v[k], e);
	return 0;
}

/* What the disk has at its end is what was written there. */
static int check_member(const struct one *o, const struct md_member *m, struct err *e)
{
	struct md_member is;

	if (forget(o, e) != 0)
		return -1;
	if (md_get(o->fd, o->t->size, &is) && memcmp(is.set, m->set, MD_ID) == 0 &&
	    is.size == m->size && is.events == m->events && is.number == m->number &&
	    is.active[0] && is.active[1])
		return 0;
	(void)err_set(e, ERR_VERIFY, "it has not kept what makes it one of a pair");
	(void)of_disk(o, e);
	return err_hint(e, "Take another disk.");
}

/* The pair's name is the installation's. */
static int make_pair(const struct running *r, struct err *e)
{
	struct md_member m = {.size = (uint64_t)r->i->c->n * BLOCKLIST_BLOCK, .events = 1};

	if (hex_decode(r->i->s->run, SHEET_ID, m.set) != 0)
		return err_set(e, ERR_FAIL, "the installation has no number");
	for (m.number = 0; m.number < r->n; m.number++)
		if (md_put(r->v[m.number].fd, r->v[m.number].t->size, &m, e) != 0)
			return of_disk(&r->v[m.number], e);
	for (m.number = 0; m.number < r->n; m.number++)
		if (check_member(&r->v[m.number], &m, e) != 0)
			return -1;
	return 0;
}

static int end_all(const struct running *r, struct err *e)
{
	if (r->n > 1 && make_pair(r, e) != 0)
		return -1;
	for (size_t k = 0; k < r->n; k++)
		if (target_mark(r->v[k].fd, TARGET_WRITTEN, r->i->c, r->i->s, e) != 0)
			return of_disk(&r->v[k], e);
	return 0;
}

/* What has not kept it is marked again: it must not start. */
static int put_first(const struct running *r, const struct one *o, struct err *e)
{
	struct err quiet = ERR_INIT;

	if (target_put_first(o->fd, r->block, e) != 0)
		(void)of_disk(o, e);
	else if (forget(o, e) == 0 && verify_block(r, o, 0, e) == 0)
		return 0;
	if (target_mark(o->fd, TARGET_BEGUN, r->i->c, r->i->s, &quiet) != 0)
		(void)err_hint(e, "Do not start from it: it cannot be written to.");
	return -1;
}

/* The first block, to those that have none. */
static int write_first(const struct running *r, struct err *e)
{
	for (size_t k = 0; k < r->n; k++) {
		const struct one *o = &r->v[k];

		tell(r, "end", k);
		if (o->is.state == TARGET_FINISHED)
			continue;
		if (get_block(r, 0, 0, e) != 0 || put_first(r, o, e) != 0)
			return -1;
	}
	return 0;
}

static int write_all(struct running *r, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SHEET_MAX);

	sheet_write(r->i->s, SHEET_INSTALLED, &text);
	if (buf_over(&text))
		return err_set(e, ERR_RECIPE, SHEET_FILE " is too long");
	memcpy(r->site, text.data, text.len);
	if (check_payload(r, e) != 0 || begin(r, e) != 0 || write_behind_first(r, e) != 0 ||
	    verify_behind_first(r, e) != 0 || clear_behind(r, e) != 0 || end_all(r, e) != 0)
		return -1;
	return write_first(r, e);
}

int install_run(const struct install *i, enum install_end *ret, struct err *e)
{
	struct running r SCOPED(running_release) = {
	    .i = i, .block = mem_zalloc(BLOCKLIST_BLOCK), .site = mem_zalloc(BLOCKLIST_BLOCK)};
	enum todo todo = WRITE_NOTHING;
	int rc = 0;

	if (choose(&r, e) != 0 || decide(&r, &todo, e) != 0)
		return -1;
	if (todo == WRITE_ALL)
		rc = write_all(&r, e);
	else if (todo == WRITE_FIRST)
		rc = write_first(&r, e);
	if (rc == 0 && todo == WRITE_NOTHING && i->differs != NULL)
		sheet_differs(&r.v[0].is.sheet, i->s, i->differs);
	if (rc == 0)
		*ret = todo == WRITE_NOTHING ? INSTALL_ALREADY : INSTALL_DONE;
	return rc;
}
