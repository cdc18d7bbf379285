/* lookup.c - one entry for one URL: from the list, from what another connection of this step got
 * already, or from the network into the store. */
#include "proxy/parts.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAP_US = 20000, ENTRY_MAX = 64 << 10, FORWARDED_MAX = 2048 };

static int from_list(const struct server *sv, const char *url, struct lock_recorded *ret,
		     struct err *e)
{
	const struct proxy_spec *spec = sv->spec;

	for (size_t i = 0; i < spec->recorded_n; i++)
		if (strcmp(spec->recorded[i].url, url) == 0) {
			*ret = lock_recorded_copy(&spec->recorded[i]);
			return 0;
		}
	(void)err_set(e, ERR_STEP, "%s is not in the lock's record of this step", url);
	(void)err_hint(e, "record it anew: posmedia build RECIPE --record %s, then posmedia lock",
		       spec->step);
	return refuse(sv, e);
}

/* The body of one answer on its way into the store. */
struct body {
	const struct server *sv;
	struct store_put *put;
	struct sink to;
	uint64_t n;
};

static int take(void *ctx, const void *p, size_t n, struct err *e)
{
	struct body *b = ctx;
	const struct proxy_limits *l = &b->sv->limits;

	b->n += n;
	if (b->n > l->body_max)
		return err_set(e, ERR_REMOTE, "a body larger than %llu bytes",
			       (unsigned long long)l->body_max);
	if (atomic_fetch_add(&b->sv->counters->bytes, n) + n > l->total_max)
		return err_set(e, ERR_REMOTE, "all bodies together are larger than %llu bytes",
			       (unsigned long long)l->total_max);
	return sink_write(&b->to, p, n, e);
}

static bool plain(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] >= 127)
			return false;
	return n > 0 && n <= max;
}

static char *kept(const struct http_reply *r, const char *name)
{
	const char *value = http_header(r, name);

	return value != NULL && plain(value, URL_MAX) ? mem_strdup(value) : NULL;
}

/* A redirect is checked here, though it is the step that follows it: what no later request could
 * ask for is no answer, and nobody's password gets into a lock. */
static int keep_headers(const struct http_reply *r, struct lock_recorded *en, struct err *e)
{
	char *target SCOPED(mem_freep) = NULL;

	en->status = r->status;
	en->type = kept(r, "content-type");
	en->encoding = kept(r, "content-encoding");
	if (!lock_recorded_redirects(r->status))
		return 0;
	en->location = kept(r, "location");
	if (en->location == NULL)
		return err_set(e, ERR_REMOTE, "%s: a redirect to nowhere", en->url);
	return http_resolve(en->url, en->location, &target, e);
}

/* Only what a server may need to choose between forms of the same thing. */
static void forward(const struct httphead *head, struct strv *to)
{
	static const char *const names[][2] = {{"accept", "Accept"}, {"user-agent", "User-Agent"}};

	for (size_t i = 0; i < 2; i++) {
		const char *value = httphead_get(head, names[i][0]);

		if (value != NULL && plain(value, FORWARDED_MAX))
			strv_addf(to, "%s: %s", names[i][1], value);
	}
}

static bool may_connect(void *ctx, const struct sockaddr *to)
{
	(void)ctx;
	return address_is_public(to);
}

/* Behind a proxy of the machine's, addresses are that proxy's matter. These are the variables that
 * libcurl looks at for a URL of that scheme. */
static bool is_behind_proxy(bool https)
{
	static const char *const names[] = {"all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"};
	size_t n = https ? 4 : 2;
	const char *http = getenv("http_proxy");

	for (size_t i = 0; i < n; i++) {
		const char *v = getenv(names[i]);

		if (v != NULL && v[0] != '\0')
			return true;
	}
	return !https && http != NULL && http[0] != '\0';
}

/* Where the name alone tells that it is no public host. */
static bool name_is_private(const char *host)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	char *bare SCOPED(mem_freep) = mem_strdup(host[0] == '[' ? host + 1 : host);
	size_t n = strlen(host);

	bare[strcspn(bare, "]")] = '\0';
	if (inet_pton(AF_INET, bare, &four.sin_addr) == 1)
		return !address_is_public((const struct sockaddr *)&four);
	if (inet_pton(AF_INET6, bare, &six.sin6_addr) == 1)
		return !address_is_public((const struct sockaddr *)&six);
	return strcmp(host, "localhost") == 0 ||
	       (n > 10 && strcmp(host + n - 10, ".localhost") == 0);
}

static int check_host(const struct server *sv, const struct url *u, const char *url,
		      bool *ret_named, struct err *e)
{
	enum allowed a = allow_host(sv->spec->allow, u);
	char *host SCOPED(mem_freep) = url_authority(u);

	*ret_named = a == ALLOWED_NAMED;
	if (a == ALLOWED_NAMED || (a == ALLOWED_PUBLIC && !name_is_private(u->host)))
		return 0;
	if (a == ALLOWED_NOT)
		(void)err_set(e, ERR_STEP, "%s: the step's network does not allow %s", url, host);
	else
		(void)err_set(e, ERR_STEP, "%s: %s is no public host", url, host);
	(void)err_hint(e, "name %.150s in the step's network: {proxy: record, allow: [...]}", host);
	return refuse(sv, e);
}

/* Sends the request; with success its body is in b->put. */
static int ask(const struct lock_recorded *en, const struct httphead *head, bool named,
	       struct body *b, struct http_reply *r, struct err *e)
{
	const struct sink sink = {take, b};
	struct http_request q = {.method = "GET",
				 .url = en->url,
				 .body_fd = -1,
				 .to = &sink,
				 .stall_ms = b->sv->limits.stall_ms,
				 .as_is = true};
	int rc;

	/* either the machine's proxy judges the address or we do; what the recipe names needs
	 * neither */
	q.always_proxy = !named;
	if (!named && !is_behind_proxy(strncmp(en->url, "https:", 6) == 0))
		q.may_connect = may_connect;
	forward(head, &q.headers);
	if (store_put_begin(b->sv->s, &b->put, e) != 0)
		return -1;
	b->to = store_put_sink(b->put);
	rc = http_send(&q, r, e);
	strv_release(&q.headers);
	return rc;
}

static int conclude(struct lock_recorded *en, struct body *b, const struct http_reply *r,
		    int *ret_status, struct err *e)
{
	if (!lock_recorded_status(r->status)) {
		*ret_status = r->status;
		return err_set(e, ERR_REMOTE, "%s: answered %d, which is not recorded", en->url,
			       r->status);
	}
	if (keep_headers(r, en, e) != 0)
		return -1;
	en->digest = digest_of("", 0);
	return r->status / 100 == 2 ? store_put_commit(b->put, NULL, &en->digest, &en->size, e) : 0;
}

static int fetch(const struct server *sv, const struct url *u, const struct httphead *head,
		 struct lock_recorded *en, int *ret_status, struct err *e)
{
	struct body b = {.sv = sv};
	struct http_reply r = {0};
	bool named = false;
	int rc;

	if (check_host(sv, u, en->url, &named, e) != 0) {
		*ret_status = 403;
		return -1;
	}
	*ret_status = 502;
	rc = ask(en, head, named, &b, &r, e);
	if (rc == 0)
		rc = conclude(en, &b, &r, ret_status, e);
	http_reply_release(&r);
	store_put_free(b.put);
	return rc == 0 ? 0 : note(sv, e);
}

static int read_entry(const struct server *sv, const char *name, struct lock_recorded *ret,
		      struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ENTRY_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct lock_recorded *list = NULL;
	size_t n = 0;

	if (fs_get(sv->state, name, &b, e) != 0 || jval_parse(b.data, b.len, name, &v, e) != 0 ||
	    lock_recorded_parse(v, name, &list, &n, e) != 0)
		return -1;
	if (n == 1) {
		*ret = list[0];
		free(list);
		return 0;
	}
	lock_recorded_free(list, n);
	return err_set(e, ERR_FAIL, "%s: not one entry", name);
}

static int write_entry(const struct server *sv, const char *name, const struct lock_recorded *en,
		       struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ENTRY_MAX);
	struct jval *v SCOPED(jval_freep) = lock_recorded_json(en, 1);

	jval_write(v, &b);
	if (buf_over(&b))
		return err_set(e, ERR_REMOTE, "%s: an entry that is too long", en->url);
	return fs_put(sv->state, name, b.data, b.len, 0644, e);
}

/* One of our connections fetches a URL, the others wait for it. */
static int take_turn(const struct server *sv, const char *name, int *ret_fd, struct err *e)
{
	for (;;) {
		if (lock_take(sv->state, name, ret_fd, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY)
			return -1;
		(void)usleep(NAP_US);
	}
}

int lookup(const struct server *sv, const struct url *u, const struct httphead *head,
	   struct lock_recorded *ret, int *ret_status, struct err *e)
{
	struct lock_recorded en = {.step = mem_strdup(sv->spec->step), .url = url_text(u)};
	struct digest d = digest_of(en.url, strlen(en.url));
	char *name SCOPED(mem_freep) = mem_format("%s.json", digest_hex(&d).s);
	char *lock SCOPED(mem_freep) = mem_format("%s.lock", digest_hex(&d).s);
	int turn SCOPED(fd_closep) = -1;
	int rc;

	*ret_status = sv->spec->recorded_n > 0 ? 403 : 502;
	if (sv->spec->recorded_n > 0) {
		rc = from_list(sv, en.url, ret, e);
	} else if (take_turn(sv, lock, &turn, e) != 0) {
		rc = -1;
	} else if (faccessat(sv->state, name, F_OK, 0) == 0) {
		rc = read_entry(sv, name, ret, e);
	} else {
		rc = fetch(sv, u, head, &en, ret_status, e);
		if (rc == 0)
			rc = write_entry(sv, name, &en, e);
		if (rc == 0)
			*ret = lock_recorded_copy(&en);
	}
	lock_recorded_release(&en);
	return rc;
}
