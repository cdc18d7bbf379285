#include "cli/medium.h"

#include "cli/screen.h"
#include "cli/signatures.h"

#include "base/num.h"
#include "media/check.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

char *medium_manifest(const struct args *a, const char *file)
{
	char *beside SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, file);

	if (args_has(a, "manifest"))
		return mem_strdup(args_get(a, "manifest"));
	return access(beside, F_OK) == 0 ? STEAL(beside) : NULL;
}

/* What is read comes from the device, not from what the kernel remembers of writing to it. */
static int open_medium(const char *path, bool *ret_file, int *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: neither a file nor a disk", path);
	if (S_ISBLK(st.st_mode))
		(void)ioctl(fd, BLKFLSBUF, 0);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	*ret_file = S_ISREG(st.st_mode);
	*ret = STEAL_FD(fd);
	return 0;
}

static const char *kind_word(enum check_kind k)
{
	static const char *const words[] = {[CHECK_OTHER] = "differs",
					    [CHECK_UNREADABLE] = "unreadable",
					    [CHECK_MISSING] = "missing"};

	return words[k];
}

static struct jval *places_json(const struct check_report *r)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < r->n; i++) {
		const struct check_place *p = &r->v[i];
		struct jval *o = jval_object();

		jval_put_text(o, "what", kind_word(p->kind));
		jval_put_text(o, "part", p->part->name);
		jval_put_int(o, "at", (int64_t)p->at);
		jval_put_int(o, "in-part", (int64_t)(p->at - p->part->at));
		jval_put_int(o, "size", (int64_t)p->size);
		jval_push(list, o);
	}
	return list;
}

static void print_json(const char *file, const struct medium *m, const struct check_report *r,
		       const struct sign_report *by)
{
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_text(v, "file", file);
	jval_put_text(v, "digest", digest_text(&m->whole).s);
	jval_put_text(v, "image", digest_text(&m->image).s);
	if (m->identity != NULL)
		jval_put_text(v, "identity", m->identity);
	jval_put_text(v, "format", m->format);
	jval_put_int(v, "size", (int64_t)m->size);
	jval_put_int(v, "bytes", (int64_t)r->bytes);
	jval_put_int(v, "behind", (int64_t)r->behind);
	jval_put_int(v, "skipped", (int64_t)r->skipped);
	jval_put_int(v, "wrong", (int64_t)r->wrong);
	jval_put(v, "places", places_json(r));
	if (by != NULL) {
		jval_put(v, "signatures", signatures_json(by));
		jval_put(v, "checked", signatures_checked_json(by));
	}
	if (m->verity.there)
		jval_put_text(v, "root-hash", digest_hex(&m->verity.top).s);
	screen_json(v);
}

static void print_place(const struct check_place *p)
{
	char *size SCOPED(mem_freep) = num_human(p->size);

	printf("%s: %s, %s from byte %llu (byte %llu of the medium)\n", kind_word(p->kind),
	       p->part->name, size, (unsigned long long)(p->at - p->part->at),
	       (unsigned long long)p->at);
}

static void print_text(const struct medium *m, const struct check_report *r)
{
	char *bytes SCOPED(mem_freep) = num_human(r->bytes);
	char *behind SCOPED(mem_freep) = num_human(r->behind);
	char *skipped SCOPED(mem_freep) = num_human(r->skipped);

	for (size_t i = 0; i < r->n; i++)
		print_place(&r->v[i]);
	if (r->n == CHECK_PLACES)
		puts("and more");
	printf("hashed %s of %s, made of %s%s%s\n", bytes, m->format,
	       m->identity != NULL ? m->identity : "", m->identity != NULL ? "@" : "",
	       digest_text(&m->image).s);
	if (r->skipped > 0)
		printf("not looked at: %s of partitions that a machine writes to\n", skipped);
	if (r->behind > 0)
		printf("not looked at: %s behind the medium\n", behind);
}

void medium_print(const struct args *a, const char *file, const struct medium *m,
		  const struct check_report *r, const struct sign_report *by)
{
	if (args_has(a, "json"))
		print_json(file, m, r, by);
	else
		print_text(m, r);
}

/* A device may be larger than what was written to it; a file that is has been added to. */
static int judge(const char *file, bool is_file, const struct check_report *r, struct err *e)
{
	char *wrong SCOPED(mem_freep) = num_human(r->wrong),
		    *behind SCOPED(mem_freep) = num_human(r->behind);

	if (r->n > 0)
		return err_set(e, ERR_VERIFY, "%s: %s are not as they were signed", file, wrong);
	if (is_file && r->behind > 0)
		return err_set(e, ERR_VERIFY, "%s: %s more than what was signed", file, behind);
	return 0;
}

int medium_check(const char *file, const struct medium *m, struct err *e)
{
	struct check_report r SCOPED(check_release) = {0};
	int fd SCOPED(fd_closep) = -1;
	bool is_file;

	if (open_medium(file, &is_file, &fd, e) != 0)
		return -1;
	if (check_medium(m, fd, false, &r, e) != 0)
		return err_in(e, "%s", file);
	return judge(file, is_file, &r, e);
}

int medium_verify(const struct args *a, const char *file, const char *manifest, struct err *e)
{
	struct sign_report signatures SCOPED(sign_report_release) = {0};
	struct check_report r SCOPED(check_release) = {0};
	struct medium m SCOPED(medium_release) = {0};
	int fd SCOPED(fd_closep) = -1;
	bool is_file;

	if (medium_signed(a, manifest, &m, &signatures, e) != 0 ||
	    open_medium(file, &is_file, &fd, e) != 0)
		return -1;
	if (!args_has(a, "json"))
		signatures_print(&signatures);
	if (check_medium(&m, fd, args_has(a, "used"), &r, e) != 0)
		return err_in(e, "%s", file);
	medium_print(a, file, &m, &r, &signatures);
	if (judge(file, is_file, &r, e) != 0)
		return -1;
	if (!args_has(a, "json"))
		printf("verified %s %s\n", digest_text(&m.whole).s, file);
	return 0;
}
