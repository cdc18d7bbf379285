/* old_answer.c - what the agent says, which is a stranger's word until it is read. */
#include "cutover/parts.h"

#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8192, LIST_MAX = 1000 };

static int nonsense(struct err *e, const char *what)
{
	return err_set(e, ERR_REMOTE, "the agent's answer has no %s", what);
}

/* What people may be shown: one line without control characters. */
static char *plain(const char *s)
{
	char *t = mem_strndup(s, strnlen(s, TEXT_MAX));

	for (char *p = t; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return t;
}

static int read_text(const struct jval *o, const char *key, char **ret, struct err *e)
{
	const char *s = jval_get_str(o, key);

	if (s == NULL || strlen(s) > OLD_LINE_MAX)
		return nonsense(e, key);
	free(*ret);
	*ret = mem_strdup(s);
	return 0;
}

static int read_number(const struct jval *o, const char *key, uint64_t *ret, struct err *e)
{
	int64_t n;

	if (jval_get_int(o, key, &n) != 0 || n < 0)
		return nonsense(e, key);
	*ret = (uint64_t)n;
	return 0;
}

static const struct {
	const char *word;
	enum err_kind kind;
} kinds[] = {
    {"usage", ERR_FAIL},      {"refused", ERR_BUSY}, {"busy", ERR_BUSY},
    {"unproven", ERR_VERIFY}, {"failed", ERR_STEP},
};

static int refusal(const struct jval *a, struct err *e)
{
	const char *kind = jval_get_str(a, "kind"), *text = jval_get_str(a, "error");
	char *shown SCOPED(mem_freep) = NULL;

	if (kind == NULL || text == NULL)
		return nonsense(e, "reason");
	shown = plain(text);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].word, kind) == 0)
			return err_set(e, kinds[i].kind, "the old server: %s", shown);
	return nonsense(e, "reason that we know");
}

int old_answer(const char *line, uint64_t id, bool *ret_more, struct jval **ret, struct err *e)
{
	struct jval *a SCOPED(jval_freep) = NULL;
	struct err why = ERR_INIT;
	int64_t of;

	if (jval_parse(line, strlen(line), "the agent's answer", &a, &why) != 0)
		return err_set(e, ERR_REMOTE, "%s", why.msg);
	if (!jval_is_object(a) || jval_get_int(a, "id", &of) != 0 || of < 0 || (uint64_t)of != id)
		return err_set(e, ERR_REMOTE, "the agent answers what was not asked");
	*ret_more = jval_get_str(a, "chunk") != NULL;
	if (!*ret_more && jval_get(a, "ok") == NULL)
		return nonsense(e, "end");
	if (!*ret_more && !jval_get_bool(a, "ok"))
		return refusal(a, e);
	*ret = STEAL(a);
	return 0;
}

static char *joined(const struct jval *list)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < jval_len(list); i++) {
		const char *s = jval_str(jval_at(list, i));
		char *shown SCOPED(mem_freep) = s != NULL ? plain(s) : NULL;

		if (shown != NULL)
			buf_addf(&b, "%s%s", b.len > 0 ? "; " : "", shown);
	}
	return buf_take(&b);
}

void old_state_release(struct old_state *s)
{
	free(s->run);
	free(s->trouble);
	free(s->boot);
	*s = (struct old_state){0};
}

int old_read_state(const struct jval *a, struct old_state *ret, struct err *e)
{
	static const char *const words[] = {"FREE", "LEASED", "HELD"};
	struct old_state s SCOPED(old_state_release) = {0};
	const char *state = jval_get_str(a, "state"), *boot = jval_get_str(a, "boot");
	int64_t uptime = 0;
	int n = 0;

	while (n < 3 && (state == NULL || strcmp(words[n], state) != 0))
		n++;
	if (n == 3)
		return nonsense(e, "state");
	if (read_number(a, "epoch", &s.epoch, e) != 0 ||
	    read_number(a, "left_ms", &s.left_ms, e) != 0 || read_text(a, "run", &s.run, e) != 0)
		return -1;
	s.state = (enum old_fenced)n;
	s.undoing = jval_get_bool(a, "undoing");
	s.complete = jval_get_bool(a, "complete");
	s.closed = jval_get_bool(a, "closed");
	s.trouble = joined(jval_get(a, "trouble"));
	s.boot = mem_strdup(boot != NULL ? boot : "");
	s.uptime_ms =
	    jval_get_int(a, "uptime_ms", &uptime) == 0 && uptime > 0 ? (uint64_t)uptime : 0;
	s.heard_ms = clock_mono_ms();
	old_state_release(ret);
	*ret = s;
	s = (struct old_state){0};
	return 0;
}

void old_status_release(struct old_status *s)
{
	old_state_release(&s->now);
	free(s->last);
	free(s->why);
	*s = (struct old_status){0};
}

int old_read_status(const struct jval *a, struct old_status *ret, struct err *e)
{
	struct old_status s SCOPED(old_status_release) = {0};

	if (old_read_state(a, &s.now, e) != 0 || read_number(a, "lines", &s.lines, e) != 0 ||
	    read_text(a, "last", &s.last, e) != 0 || read_text(a, "why", &s.why, e) != 0)
		return -1;
	s.fence = jval_get_bool(a, "fence");
	s.receives = jval_get_bool(a, "receives");
	old_status_release(ret);
	*ret = s;
	s = (struct old_status){0};
	return 0;
}

void old_hello_release(struct old_hello *h)
{
	for (size_t i = 0; i < h->disks_n; i++)
		free(h->disks[i].at);
	for (size_t i = 0; i < h->services_n; i++) {
		free(h->services[i].name);
		free(h->services[i].kind);
	}
	free(h->disks);
	free(h->services);
	free(h->perl);
	free(h->kernel);
	free(h->machine);
	free(h->boot);
	free(h->rsync);
	*h = (struct old_hello){0};
}

static int read_disks(const struct jval *list, struct old_hello *h, struct err *e)
{
	if (jval_len(list) > LIST_MAX)
		return nonsense(e, "list of disks");
	h->disks = mem_zalloc((jval_len(list) + 1) * sizeof(*h->disks));
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		struct old_disk *d = &h->disks[h->disks_n++];

		if (read_text(o, "at", &d->at, e) != 0 ||
		    read_number(o, "total", &d->total, e) != 0 ||
		    read_number(o, "used", &d->used, e) != 0 ||
		    read_number(o, "free", &d->free, e) != 0 ||
		    read_number(o, "entries", &d->entries, e) != 0)
			return -1;
	}
	return 0;
}

static int read_services(const struct jval *list, struct old_hello *h, struct err *e)
{
	if (jval_len(list) > LIST_MAX)
		return nonsense(e, "list of services");
	h->services = mem_zalloc((jval_len(list) + 1) * sizeof(*h->services));
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *o = jval_at(list, i);
		struct old_service *s = &h->services[h->services_n++];

		if (read_text(o, "name", &s->name, e) != 0 ||
		    read_text(o, "kind", &s->kind, e) != 0)
			return -1;
	}
	return 0;
}

int old_read_hello(const struct jval *a, struct old_hello *ret, struct err *e)
{
	struct old_hello h SCOPED(old_hello_release) = {0};

	if (read_text(a, "perl", &h.perl, e) != 0 || read_text(a, "kernel", &h.kernel, e) != 0 ||
	    read_text(a, "machine", &h.machine, e) != 0 || read_text(a, "boot", &h.boot, e) != 0 ||
	    read_text(a, "rsync", &h.rsync, e) != 0 || read_number(a, "uid", &h.uid, e) != 0 ||
	    read_number(a, "uptime_ms", &h.uptime_ms, e) != 0 ||
	    read_disks(jval_get(a, "data"), &h, e) != 0 ||
	    read_services(jval_get(a, "services"), &h, e) != 0)
		return -1;
	h.cron = jval_get_bool(a, "cron");
	*ret = h;
	h = (struct old_hello){0};
	return 0;
}

static int read_list(const struct jval *o, const char *at, bool root, struct old_list *ret,
		     struct err *e)
{
	const char *named = jval_get_str(o, "at"), *hex = jval_get_str(o, "root");
	struct old_list l = {0};

	if (named == NULL || strcmp(named, at) != 0)
		return nonsense(e, "directory that was asked for");
	if (read_number(o, "entries", &l.entries, e) != 0 ||
	    read_number(o, "files", &l.files, e) != 0 ||
	    read_number(o, "bytes", &l.bytes, e) != 0 || read_number(o, "read", &l.read, e) != 0 ||
	    read_number(o, "devices", &l.devices, e) != 0)
		return -1;
	if (root && (hex == NULL || digest_parse_hex(hex, &l.root) != 0))
		return nonsense(e, "root");
	*ret = l;
	return 0;
}

int old_read_lists(const struct jval *a, const struct site_old *plan, bool roots,
		   struct old_list *ret, struct err *e)
{
	struct old_list *all SCOPED(mem_freep) = mem_zalloc((plan->data_n + 1) * sizeof(*all));
	const struct jval *list = jval_get(a, "data");

	if (!jval_is_array(list) || jval_len(list) != plan->data_n)
		return nonsense(e, "list of the data");
	for (size_t i = 0; i < plan->data_n; i++)
		if (read_list(jval_at(list, i), plan->data[i].at, roots, &all[i], e) != 0)
			return -1;
	memcpy(ret, all, plan->data_n * sizeof(*all));
	return 0;
}

/* Absolute paths in plain characters, as they go into a pattern or an argument. */
static int read_paths(const struct jval *list, struct strv *ret, struct err *e)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *s = jval_str(jval_at(list, i));

		if (s == NULL || s[0] != '/' || strlen(s) > TEXT_MAX)
			return nonsense(e, "path");
		strv_add(ret, s);
	}
	return 0;
}

int old_read_receive(const struct jval *a, char **ret_to, struct strv *ret_devices, struct err *e)
{
	static const char fine[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./";
	char *to SCOPED(mem_freep) = NULL, *unknown SCOPED(mem_freep) = NULL;

	if (read_text(a, "view", &to, e) != 0 ||
	    read_paths(jval_get(a, "devices"), ret_devices, e) != 0)
		return -1;
	if (to[0] != '/' || to[strspn(to, fine)] != '\0')
		return nonsense(e, "view");
	unknown = joined(jval_get(a, "unknown"));
	if (unknown[0] != '\0') {
		(void)err_set(e, ERR_STEP, "nobody there has the name %s, whose files go there",
			      unknown);
		return err_hint(e, "Make the account on the old server, and try again.");
	}
	*ret_to = STEAL(to);
	return 0;
}

int old_read_ran(const struct jval *a, char **ret_said, struct err *e)
{
	char *said SCOPED(mem_freep) = NULL;
	char *shown SCOPED(mem_freep) = NULL;
	uint64_t status = 0;

	if (read_text(a, "said", &said, e) != 0 || read_number(a, "exit", &status, e) != 0)
		return -1;
	shown = plain(said);
	if (jval_get_bool(a, "late"))
		return err_set(e, ERR_STEP, "it took too long: %s", shown);
	if (status != 0)
		return err_set(e, ERR_STEP, "exit %d: %s", (int)(status & 0xff), shown);
	*ret_said = STEAL(said);
	return 0;
}
