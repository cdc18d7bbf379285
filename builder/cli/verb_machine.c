#include "cli/medium.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/log.h"
#include "base/num.h"
#include "media/carried.h"
#include "media/media.h"
#include "media/update.h"
#include "sys/clock.h"
#include "sys/fs.h"
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
    {0, "again", NULL, "update: also to a system that has failed here."},
    {0, "older", NULL, "update: also to a system that is older than the good one."},
    {0, "within", "MINUTES", "update: how long it may fetch (default: 120)."},
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

/* Where the medium is: a file, or what a registry, a bucket or a layout has of it. */
struct source {
	const char *name;
	char *manifest; /* a file */
	int fd;         /* of a file */
	uint64_t until_ms;
	char *dir; /* for the others, in which the manifest is: */
	struct carried *carried;
};

static void source_release(struct source *s)
{
	struct err e = ERR_INIT;

	if (s->dir != NULL && fs_rmtree(AT_FDCWD, s->dir, &e) != 0)
		log_warn("leaves %s behind: %s", s->dir, e.msg);
	if (s->fd >= 0)
		(void)close(s->fd);
	carried_freep(&s->carried);
	free(s->dir);
	free(s->manifest);
}

static int read_file(void *ctx, uint64_t at, void *p, size_t n, struct err *e)
{
	const struct source *s = ctx;
	ssize_t got = pread(s->fd, p, n, (off_t)at);

	if (got < 0)
		return err_sys(e, "read %s", s->name);
	return (size_t)got == n ? 0 : err_set(e, ERR_VERIFY, "%s ends before its end", s->name);
}

static bool is_carried(const char *name)
{
	static const char *const kinds[] = {"oci:", "docker://", "s3://"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* Its manifest comes into a directory of its own, where it is checked like any. */
static int open_carried(const struct args *a, struct source *s, struct err *e)
{
	struct remote_opts o = object_remote(a);
	const char *tmp = getenv("TMPDIR");
	struct ref r SCOPED(ref_release) = {0};

	if (args_has(a, "manifest"))
		return err_set(e, ERR_USAGE, "--manifest is for a file");
	o.until_ms = s->until_ms;
	if (ref_parse(s->name, &r, e) != 0 || carried_open(&r, &o, &s->carried, e) != 0)
		return -1;
	s->dir = mem_format("%s/posmedia-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (mkdtemp(s->dir) == NULL) {
		(void)err_sys(e, "make %s", s->dir);
		mem_freep(&s->dir);
		return -1;
	}
	s->manifest = fs_join(s->dir, "medium.json");
	return carried_papers(s->carried, s->manifest, e) != 0 ? err_in(e, "%s", s->name) : 0;
}

static int open_source(const struct args *a, struct source *s, struct err *e)
{
	if (!args_has(a, "key") && !args_has(a, "policy"))
		return err_set(e, ERR_USAGE, "machine update wants a --key or a --policy");
	if (is_carried(s->name))
		return open_carried(a, s, e);
	s->manifest = args_has(a, "manifest") ? mem_strdup(args_get(a, "manifest"))
					      : mem_format("%s" MEDIUM_SUFFIX, s->name);
	return 0;
}

/* Its manifest, signed as it shall be; then what it is of. */
static int load(const struct args *a, struct source *s, struct medium *ret, struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};

	if (open_source(a, s, e) != 0 || medium_signed(a, s->manifest, ret, &r, e) != 0)
		return -1;
	if (strcmp(ret->format, media_format_name(MEDIA_RAW)) != 0)
		return err_set(e, ERR_USAGE, "%s is a medium of the format %s, not raw", s->name,
			       ret->format);
	if (s->carried != NULL)
		return carried_bind(s->carried, ret, e);
	s->fd = open(s->name, O_RDONLY | O_CLOEXEC);
	return s->fd < 0 ? err_sys(e, "%s", s->name) : 0;
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
		jval_put(v, "dropped", jval_bool(r->dropped));
		jval_put_int(v, "copied", (int64_t)r->copied);
		jval_put_int(v, "kept", (int64_t)r->kept);
		jval_put_int(v, "fetched", (int64_t)r->fetched);
		screen_json(v);
		return;
	}
	if (r->same) {
		printf("%s is there already, in slot %s\n", digest_text(&r->image).s,
		       slot_word(r->slot));
		if (r->dropped)
			printf("slot %s is not tried any more\n", slot_word(slot_other(r->slot)));
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

static int update_opts(const struct args *a, struct update_opts *ret, struct err *e)
{
	uint64_t minutes = 120;

	if (args_has(a, "within") && num_u64(args_get(a, "within"), 60 * 24 * 7, &minutes) != 0)
		return err_set(e, ERR_USAGE, "--within is minutes");
	*ret = (struct update_opts){.again = args_has(a, "again"),
				    .older = args_has(a, "older"),
				    .other = args_has(a, "identity"),
				    .until_ms = clock_mono_ms() + minutes * 60 * 1000};
	return 0;
}

static int update(const struct args *a, struct err *e)
{
	struct update_opts o;
	struct medium m SCOPED(medium_release) = {0};
	struct at at SCOPED(at_release) = {.s.fd = -1, .running.slot = SLOT_NONE};
	struct source s SCOPED(source_release) = {.name = a->rest.v[1], .fd = -1};
	struct update_source from = {read_file, &s};
	struct update_result r;

	if (update_opts(a, &o, e) != 0)
		return -1;
	s.until_ms = o.until_ms;
	if (load(a, &s, &m, e) != 0)
		return -1;
	if (s.carried != NULL)
		from = (struct update_source){carried_read, s.carried};
	if (open_disk(a, true, &at, e) != 0 || may_write(&at, e) != 0 ||
	    update_run(&o, &m, &from, &at.s, &r, e) != 0)
		return -1;
	if (s.carried != NULL)
		r.fetched = carried_bytes(s.carried);
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
	return err_hint(e, "machine update MEDIUM, machine status, or machine mark-good");
}

const struct verb verb_machine = {
    .name = "machine",
    .args = "update MEDIUM | status | mark-good",
    .help = "Update the system of a machine that runs from one of two slots.",
    .min = 1,
    .max = 2,
    .opts = opts,
    .run = run,
};
