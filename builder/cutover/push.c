/* push.c - the instance's data to the old server, by the real rsync(1) over the session's ssh(1):
 * all of it below one directory as the old server has it, and owners by the names that they have in
 * the instance. */
#include "cutover/back.h"

#include "base/log.h"
#include "base/num.h"
#include "restore/parts.h"
#include "sandbox/sandbox.h"
#include "sys/aside.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { SAID_MAX = 1 << 20, TABLE_MAX = 16 << 20 };

struct pushing {
	struct cut_run *r;
	const struct cut_push *how;
	char *root, *passwd, *group, *out; /* files and directories of ours */
	struct strv argv;
};

static void pushing_release(struct pushing *p)
{
	free(p->root);
	free(p->passwd);
	free(p->group);
	free(p->out);
	strv_release(&p->argv);
}

/* Tables of those whose files go: root first, for ssh(1). */
static int put_tables(struct pushing *p, struct err *e)
{
	const struct cut_owners *o = p->how->owners;
	struct buf users SCOPED(buf_release) = BUF_INIT(TABLE_MAX);
	struct buf groups SCOPED(buf_release) = BUF_INIT(TABLE_MAX);

	buf_addf(&users, "root:x:0:0::/root:/bin/sh\n");
	buf_addf(&groups, "root:x:0:\n");
	for (size_t i = 0; i < o->users.n; i++) {
		uid_t uid;

		if (manifest_names_uid(o->names, o->users.v[i], &uid, e) != 0)
			return -1;
		buf_addf(&users, "%s:x:%u:%u::/:/bin/false\n", o->users.v[i], uid, uid);
	}
	for (size_t i = 0; i < o->groups.n; i++) {
		gid_t gid;

		if (manifest_names_gid(o->names, o->groups.v[i], &gid, e) != 0)
			return -1;
		buf_addf(&groups, "%s:x:%u:\n", o->groups.v[i], gid);
	}
	if (buf_over(&users) || buf_over(&groups))
		return err_set(e, ERR_FAIL, "there are too many owners");
	return fs_put_path(p->passwd, users.data, users.len, 0644, e) != 0
		   ? -1
		   : fs_put_path(p->group, groups.data, groups.len, 0644, e);
}

static void add_patterns(struct pushing *p, const struct strv *devices)
{
	const struct strv *x = &p->r->exclude;

	for (size_t i = 0; i < x->n; i++) {
		bool deep = strncmp(x->v[i], "/**/", 4) == 0;

		strv_addf(&p->argv, "--exclude=%s", deep ? x->v[i] + 4 : x->v[i]);
	}
	for (size_t i = 0; i < devices->n; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

		for (const char *s = devices->v[i]; *s != '\0'; s++)
			buf_addf(&b, "%s%c", strchr("*?[\\", *s) != NULL ? "\\" : "", *s);
		strv_addf(&p->argv, "--exclude=%s", b.data);
	}
}

/* "3.1.0" and later: before that a pattern of attributes is nothing to it. */
static bool takes_attributes(const char *version)
{
	size_t n = strspn(version, "0123456789");
	const char *rest = version[n] == '.' ? version + n + 1 : "";
	char *first SCOPED(mem_freep) = mem_strndup(version, n);
	char *second SCOPED(mem_freep) = mem_strndup(rest, strspn(rest, "0123456789"));
	uint64_t major = 0, minor = 0;

	if (num_u64(first, 1000, &major) != 0 || num_u64(second, 1000, &minor) != 0)
		return false;
	return major > 3 || (major == 3 && minor >= 1);
}

static int ask_attributes(struct cut_run *r, struct err *e)
{
	struct old_hello h = {0};

	if (r->attributes != 0)
		return 0;
	if (old_hello(r->old, &h, e) != 0)
		return -1;
	r->attributes = takes_attributes(h.rsync) ? 1 : -1;
	if (r->attributes < 0)
		log_warn("the old server's rsync is %s: extended attributes stay behind", h.rsync);
	old_hello_release(&h);
	return 0;
}

/* Whoever writes there by a way of before is out; the way is told to this run only. */
static int prepare(struct pushing *p, struct err *e)
{
	static const char *const words[] = {"rsync",    "-aHAS",   "--no-D",
					    "--delete", "--stats", "--timeout=600"};
	const struct old_receiving q = {&p->how->owners->users, &p->how->owners->groups};
	struct cut_run *r = p->r;
	struct strv devices SCOPED(strv_release) = {0};
	char *shell SCOPED(mem_freep) = NULL, *host SCOPED(mem_freep) = NULL;
	char *to SCOPED(mem_freep) = NULL;

	if (cut_session(r, e) != 0 || ask_attributes(r, e) != 0 ||
	    old_receive(r->old, &q, &to, &devices, e) != 0)
		return cut_lost(r, e);
	if (old_shell(r->old, &shell, &host, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		strv_add(&p->argv, words[i]);
	if (p->how->content)
		strv_add(&p->argv, "-c");
	/* an application's own: what the kernel takes for privileges stays behind, ACLs do not */
	if (r->attributes > 0) {
		strv_add(&p->argv, "-X");
		strv_add(&p->argv, "--filter=-x! user.*");
	}
	add_patterns(p, &devices);
	strv_addf(&p->argv, "--rsh=%s", shell);
	strv_add(&p->argv, "--");
	strv_addf(&p->argv, "%s/", p->root);
	strv_addf(&p->argv, "%s:%s/", host, to);
	return 0;
}

static int bind_to(const char *from, const char *to, struct err *e)
{
	return mount(from, to, NULL, MS_BIND, NULL) == 0 ? 0
							 : err_sys(e, "show %s at %s", from, to);
}

/* In a process with mounts of its own. */
static int push(void *arg, struct err *e)
{
	struct pushing *p = arg;
	const struct site_old *old = &p->r->s->cutover.old;
	struct buf out SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct proc_spec spec = {
	    .argv = (const char *const *)p->argv.v, .out = &out, .err = &said};

	if (sandbox_enter(e) != 0 || bind_to(p->passwd, "/etc/passwd", e) != 0 ||
	    bind_to(p->group, "/etc/group", e) != 0)
		return -1;
	for (size_t i = 0; i < old->data_n; i++) {
		char *from SCOPED(mem_freep) = cut_data_dir(p->r, old->data[i].name);
		char *at SCOPED(mem_freep) = mem_format("%s%s", p->root, old->data[i].at);

		if (bind_to(from, at, e) != 0)
			return -1;
	}
	if (proc_ok(&spec, ERR_REMOTE, e) != 0)
		return err_in(e, "%s", old->host);
	return fs_put_path(p->out, out.data, out.len, 0600, e);
}

/* "Literal data: 1,234 bytes": what went over the link but for what rsync says of it. */
static uint64_t figure(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	uint64_t n = 0;

	if (at == NULL)
		return 0;
	for (at += strlen(name); (*at >= '0' && *at <= '9') || *at == ','; at++)
		if (*at != ',' && n < UINT64_MAX / 100)
			n = n * 10 + (uint64_t)(*at - '0');
	return n;
}

int cut_push_data(struct cut_run *r, const struct cut_push *how, uint64_t *ret_bytes, struct err *e)
{
	struct pushing p SCOPED(pushing_release) = {.r = r, .how = how};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct site_old *old = &r->s->cutover.old;
	struct aside child = {0};

	p.root = fs_join(r->work, "root");
	p.passwd = fs_join(r->work, "passwd");
	p.group = fs_join(r->work, "group");
	p.out = fs_join(r->work, "said");
	for (size_t i = 0; i < old->data_n; i++) {
		char *at SCOPED(mem_freep) = mem_format("%s%s", p.root, old->data[i].at);

		if (fs_mkdirs(AT_FDCWD, at, 0755, e) != 0)
			return -1;
	}
	if (put_tables(&p, e) != 0 || prepare(&p, e) != 0 ||
	    aside_start(push, &p, &child, e) != 0 || aside_join(&child, e) != 0 ||
	    fs_get_file(AT_FDCWD, p.out, &said, e) != 0)
		return -1;
	*ret_bytes = figure(said.data, "Literal data: ");
	return 0;
}
