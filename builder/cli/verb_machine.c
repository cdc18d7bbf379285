#include "cli/medium.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "media/media.h"
#include "media/update.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct opt opts[] = {
    {0, "disk", "DISK", "The disk, or a file of one (default: what this machine runs from)."},
    {'k', "key", "FILE.pub", "update: one of these keys has signed it (may be repeated)."},
    {'p', "policy", "FILE", "update: or this policy is content with who has signed it."},
    {0, "identity", "HOST/REPO:TAG", "update: what it must say to be made of."},
    {0, "image", "IMAGE", "update: the image, for a policy that wants to see it."},
    OBJECT_PLAIN,
    {0, "manifest", "FILE", "update: the medium's manifest (default: FILE.medium.json)."},
    {0, "json", NULL, "Print JSON."},
    {0, NULL, NULL, NULL},
};

/* The disk that is meant, and what of it runs. */
struct at {
	struct slots s;
	struct slot_running running; /* slot SLOT_NONE: it is another's disk */
};

static void at_release(struct at *at)
{
	slots_close(&at->s);
	free(at->running.disk);
}

/* A disk that something is mounted from, or that is part of another, is not written by its name. */
static int is_idle(const char *disk, struct err *e)
{
	int fd SCOPED(fd_closep) = open(disk, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 || errno != EBUSY)
		return 0;
	(void)err_set(e, ERR_BUSY, "%s is in use", disk);
	return err_hint(e, "On the machine itself leave --disk out.");
}

static int open_disk(const struct args *a, bool write, struct at *at, struct err *e)
{
	const char *disk = args_get(a, "disk");

	if (disk == NULL) {
		if (slot_find_running(&at->running, e) != 0)
			return -1;
		disk = at->running.disk;
	} else if (write && is_idle(disk, e) != 0) {
		return -1;
	}
	return slots_open(disk, write, &at->s, e);
}

/* How a slot stands, in a word or two; the caller owns it. */
static char *standing(const struct slots *s, int slot)
{
	if (slot == s->s.good)
		return mem_strdup("good");
	if (slot != s->s.tried)
		return mem_strdup(s->known[slot] ? "kept" : "empty");
	if (s->s.tries == 0)
		return mem_strdup("failed");
	return mem_format("tried, %u left", s->s.tries);
}

static int next_slot(const struct slots *s)
{
	return s->s.tries > 0 ? s->s.tried : s->s.good;
}

static struct jval *status_json(const struct at *at)
{
	struct jval *v = jval_object(), *list = jval_array();

	jval_put_text(v, "disk", at->s.path);
	jval_put_text(v, "next", slot_word(next_slot(&at->s)));
	if (at->running.slot != SLOT_NONE)
		jval_put_text(v, "running", slot_word(at->running.slot));
	for (int i = 0; i < SLOTS; i++) {
		struct jval *o = jval_object();
		char *how SCOPED(mem_freep) = standing(&at->s, i);

		how[strcspn(how, ",")] = '\0';
		jval_put_text(o, "slot", slot_word(i));
		jval_put_text(o, "state", how);
		if (i == at->s.s.tried)
			jval_put_int(o, "tries", at->s.s.tries);
		if (at->s.known[i]) {
			jval_put_text(o, "image", digest_text(&at->s.record[i].image).s);
			jval_put_text(o, "root-hash", digest_hex(&at->s.record[i].top).s);
		}
		jval_push(list, o);
	}
	jval_put(v, "slots", list);
	return v;
}

static int status(const struct args *a, struct err *e)
{
	struct at at SCOPED(at_release) = {.s.fd = -1, .running.slot = SLOT_NONE};

	if (open_disk(a, false, &at, e) != 0)
		return -1;
	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = status_json(&at);

		screen_json(v);
		return 0;
	}
	for (int i = 0; i < SLOTS; i++) {
		char *how SCOPED(mem_freep) = standing(&at.s, i);

		printf("%s: %s%s%s%s\n", slot_word(i), how, i == at.running.slot ? ", runs" : "",
		       at.s.known[i] ? ", " : "",
		       at.s.known[i] ? digest_text(&at.s.record[i].image).s : "");
	}
	printf("next start: %s\n", slot_word(next_slot(&at.s)));
	return 0;
}

/* On the machine that slot is good which runs; of another's disk the one that is tried. */
static int mark_good(const struct args *a, struct err *e)
{
	struct at at SCOPED(at_release) = {.s.fd = -1, .running.slot = SLOT_NONE};
	int slot;

	if (open_disk(a, true, &at, e) != 0)
		return -1;
	slot = at.running.slot != SLOT_NONE ? at.running.slot : at.s.s.tried;
	if (slot == SLOT_NONE || slot == at.s.s.good) {
		printf("%s is good already\n", slot_word(at.s.s.good));
		return 0;
	}
	if (slots_mark_good(&at.s, slot, e) != 0)
		return -1;
	printf("%s is good\n", slot_word(slot));
	return 0;
}

/* A file of the medium. */
struct source {
	int fd;
	const char *path;
};

static int read_file(void *ctx, uint64_t at, void *p, size_t n, struct err *e)
{
	const struct source *s = ctx;
	ssize_t got = pread(s->fd, p, n, (off_t)at);

	if (got < 0)
		return err_sys(e, "read %s", s->path);
	return (size_t)got == n ? 0 : err_set(e, ERR_VERIFY, "%s ends before its end", s->path);
}

/* Its manifest, signed as it shall be. */
static int load(const struct args *a, const char *file, struct medium *ret, struct err *e)
{
	char *beside SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, file);
	const char *given = args_get(a, "manifest");
	struct sign_report r SCOPED(sign_report_release) = {0};

	if (!args_has(a, "key") && !args_has(a, "policy"))
		return err_set(e, ERR_USAGE, "machine update wants a --key or a --policy");
	if (medium_signed(a, given != NULL ? given : beside, ret, &r, e) != 0)
		return -1;
	if (strcmp(ret->format, media_format_name(MEDIA_RAW)) == 0)
		return 0;
	return err_set(e, ERR_USAGE, "%s is a medium of the format %s, not raw", file, ret->format);
}

static void print_update(const struct args *a, const struct slots *s, const struct update_result *r)
{
	char *copied SCOPED(mem_freep) = num_human(r->copied);
	char *kept SCOPED(mem_freep) = num_human(r->kept);
	char *fetched SCOPED(mem_freep) = num_human(r->fetched);

	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = jval_object();

		jval_put_text(v, "disk", s->path);
		jval_put_text(v, "slot", slot_word(r->slot));
		jval_put_text(v, "image", digest_text(&r->image).s);
		jval_put(v, "same", jval_bool(r->same));
		jval_put_int(v, "copied", (int64_t)r->copied);
		jval_put_int(v, "kept", (int64_t)r->kept);
		jval_put_int(v, "fetched", (int64_t)r->fetched);
		screen_json(v);
		return;
	}
	if (r->same) {
		printf("%s is there already\n", digest_text(&r->image).s);
		return;
	}
	printf("copied %s from slot %s, kept %s, fetched %s; read back\n", copied,
	       slot_word(slot_other(r->slot)), kept, fetched);
	printf("slot %s is tried at the next start: %s\n", slot_word(r->slot),
	       digest_text(&r->image).s);
}

/* What runs is not written over, whatever the disk calls it. */
static int may_write(const struct at *at, struct err *e)
{
	if (at->running.slot == SLOT_NONE || at->running.slot == at->s.s.good)
		return 0;
	(void)err_set(e, ERR_BUSY, "slot %s runs, and is not called good",
		      slot_word(at->running.slot));
	return err_hint(e, "posmedia machine mark-good, when it is.");
}

static int update(const struct args *a, struct err *e)
{
	const char *file = a->rest.v[1];
	struct medium m SCOPED(medium_release) = {0};
	struct at at SCOPED(at_release) = {.s.fd = -1, .running.slot = SLOT_NONE};
	int fd SCOPED(fd_closep) = -1;
	struct source source = {.path = file};
	const struct update_source from = {read_file, &source};
	struct update_result r;

	if (load(a, file, &m, e) != 0)
		return -1;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", file);
	source.fd = fd;
	if (open_disk(a, true, &at, e) != 0 || may_write(&at, e) != 0 ||
	    update_run(&m, &from, &at.s, &r, e) != 0)
		return -1;
	print_update(a, &at.s, &r);
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	static const struct {
		const char *word;
		size_t args;
		int (*run)(const struct args *a, struct err *e);
	} words[] = {{"update", 2, update}, {"status", 1, status}, {"mark-good", 1, mark_good}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(a->rest.v[0], words[i].word) == 0 && a->rest.n == words[i].args)
			return words[i].run(a, e);
	(void)err_set(e, ERR_USAGE, "machine: no such words");
	return err_hint(e, "machine update FILE, machine status, or machine mark-good");
}

const struct verb verb_machine = {
    .name = "machine",
    .args = "update FILE | status | mark-good",
    .help = "Update the system of a machine that runs from one of two slots.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};
