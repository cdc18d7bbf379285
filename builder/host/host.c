#include "host/parts.h"

#include "harden/root.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS_MAX = 64, IDS_MAX = 700, FOUND_MAX = 1 << 12 };

static const char *const status_names[] = {"ok", "changed", "wanted", "unknown"};

const char *host_status_name(enum host_status s)
{
	return status_names[s];
}

int host_found(struct host_item *i, enum host_status s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	free(i->found);
	i->found = mem_vformat(fmt, ap);
	va_end(ap);
	i->status = s;
	return 0;
}

int host_not_here(struct host_item *i)
{
	return host_found(i, HOST_UNKNOWN, "a tree does not say; the machine that runs it does");
}

const char *host_program(const struct host *h, const char *const *paths)
{
	for (; *paths != NULL; paths++)
		if (root_has(h->rootfd, *paths))
			return *paths;
	return NULL;
}

void host_install_hint(const struct host *h, struct host_item *i, const char *debian,
		       const char *el)
{
	const char *how = h->dnf ? "dnf install" : "apt-get install --no-install-recommends";

	free(i->hint);
	i->hint = h->live ? mem_format("%s %s", how, h->dnf ? el : debian)
			  : mem_format("In the tree: %s %s", how, h->dnf ? el : debian);
}

static void look(const struct host *h, const struct host_check *c, struct host_report *r)
{
	struct host_item *i = &r->v[r->n++];
	struct err e = ERR_INIT;

	*i = (struct host_item){.id = c->id, .wanted = c->wanted, .status = HOST_WANTED};
	if (c->run(h, i, &e) != 0) {
		(void)host_found(i, HOST_WANTED, "%s", e.msg);
		if (e.hint[0] != '\0' && i->hint == NULL)
			i->hint = mem_strdup(e.hint);
	}
	r->count[i->status]++;
}

static int look_at_all(const struct host *h, struct host_report *r, struct err *e)
{
	const struct host_check *const lists[] = {host_engine_checks, host_kernel_checks,
						  host_unit_checks, host_file_checks,
						  host_machine_checks};

	r->v = mem_zalloc(ITEMS_MAX * sizeof(*r->v));
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		for (const struct host_check *c = lists[l]; c->id != NULL; c++) {
			if (intr_pending())
				return intr_err(e);
			look(h, c, r);
		}
	return intr_pending() ? intr_err(e) : 0;
}

static void host_close(struct host *h)
{
	fd_closep(&h->rootfd);
}

static int open_host(struct host *h, struct err *e)
{
	char *full SCOPED(mem_freep) = realpath(h->o->root, NULL);

	if (full == NULL)
		return err_sys(e, "find %s", h->o->root);
	if (fs_open_dir(AT_FDCWD, full, &h->rootfd, e) != 0)
		return -1;
	h->live = strcmp(full, "/") == 0;
	h->systemd = h->live && access("/run/systemd/system", F_OK) == 0;
	h->dnf = !root_has(h->rootfd, "usr/bin/apt-get") && root_has(h->rootfd, "usr/bin/dnf");
	return 0;
}

int host_prepare(const struct host_opts *o, struct host_report *ret, struct err *e)
{
	struct host h SCOPED(host_close) = {.o = o, .rootfd = -1};
	struct host_report r SCOPED(host_report_release) = {0};

	if (open_host(&h, e) != 0 || look_at_all(&h, &r, e) != 0 || host_controls(&h, &r, e) != 0)
		return -1;
	*ret = r;
	r = (struct host_report){0};
	return 0;
}

void host_report_release(struct host_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].found);
		free(r->v[i].did);
		free(r->v[i].hint);
	}
	free(r->v);
	harden_report_release(&r->controls);
	harden_profile_free(r->profile);
	*r = (struct host_report){0};
}

int host_gate(const struct host_report *r, const char *fail_on, struct err *e)
{
	struct buf ids SCOPED(buf_release) = BUF_INIT(IDS_MAX);
	struct err controls = ERR_INIT;
	size_t n = r->count[HOST_WANTED];

	if (harden_gate(&r->controls, fail_on, &controls) == 0 && n == 0)
		return 0;
	if (n == 0 || controls.kind == ERR_USAGE) {
		*e = controls;
		return -1;
	}
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].status == HOST_WANTED)
			buf_addf(&ids, "%s%s", ids.len == 0 ? "" : ", ", r->v[i].id);
	(void)err_set(e, ERR_VERIFY, "%zu item%s not as wanted: %s%s%s", n,
		      n == 1 ? " is" : "s are", ids.data, controls.msg[0] != '\0' ? "; " : "",
		      controls.msg);
	return err_hint(e, "The report says of each what to do.");
}

static struct jval *item_json(const struct host_item *i)
{
	struct jval *j = jval_object();

	jval_put_text(j, "id", i->id);
	jval_put_text(j, "status", status_names[i->status]);
	jval_put_text(j, "wanted", i->wanted);
	jval_put_text(j, "found", i->found);
	if (i->did != NULL)
		jval_put_text(j, "did", i->did);
	if (i->hint != NULL)
		jval_put_text(j, "hint", i->hint);
	return j;
}

static struct jval *control_json(const struct harden_result *r)
{
	const char *undecided = host_undecided(r);
	struct jval *j = jval_object();

	jval_put_text(j, "id", r->id);
	jval_put_text(j, "title", r->title);
	jval_put_text(j, "severity", harden_severity_name(r->severity));
	jval_put_text(j, "status", undecided != NULL ? "undecided" : harden_status_name(r->status));
	if (r->detail != NULL && *r->detail != '\0')
		jval_put_text(j, "detail", undecided != NULL ? undecided : r->detail);
	return j;
}

struct jval *host_json(const struct host_report *r)
{
	struct jval *j = jval_object(), *items = jval_array(), *controls = jval_array();
	struct jval *profile = jval_object(), *summary = jval_object();

	for (size_t i = 0; i < r->n; i++)
		jval_push(items, item_json(&r->v[i]));
	for (size_t i = 0; i < r->controls.n; i++)
		jval_push(controls, control_json(&r->controls.v[i]));
	for (int i = 0; i < HOST_STATUSES; i++)
		jval_put_int(summary, status_names[i], (int64_t)r->count[i]);
	jval_put_text(profile, "id", harden_profile_id(r->profile));
	jval_put_text(profile, "version", harden_profile_version(r->profile));
	jval_put(j, "items", items);
	jval_put(j, "controls", controls);
	jval_put(j, "profile", profile);
	jval_put(j, "summary", summary);
	return j;
}
