/* tell.c - who wants to know: a mail by the local system, and a request to a webhook. */
#include "nightly/parts.h"

#include "base/log.h"
#include "form/sigv4.h"
#include "http/http.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <string.h>

enum { MAIL_MAX = 1 << 20, MAIL_TIMEOUT_MS = 120000 };

static bool wanted(int when, const struct nightly_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].status == NIGHTLY_FAILED ||
		    (when == NIGHTLY_CHANGE && r->v[i].status == NIGHTLY_BUILT))
			return true;
	return when == NIGHTLY_ALWAYS;
}

/* Headers hold nothing that is not ours: addresses and name are words of a grammar. */
static void write_mail(const struct nightly *n, const struct nightly_result *r, struct buf *out)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MAIL_MAX);
	struct err failed = ERR_INIT;
	bool bad = nightly_gate(r, &failed) != 0;

	nightly_brief(n, r, &text);
	if (n->mail.from != NULL)
		buf_addf(out, "From: %s\n", n->mail.from);
	buf_addf(out, "To: ");
	for (size_t i = 0; i < n->mail.to.n; i++)
		buf_addf(out, "%s%s", i > 0 ? ",\n " : "", n->mail.to.v[i]);
	buf_addf(out,
		 "\nSubject: %s: %s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
		 "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s",
		 n->name, bad ? failed.msg : "done", text.data);
}

static int mail(const struct nightly *n, const struct nightly_result *r, struct err *e)
{
	/* -i: a line of a dot is no end; -t: to whom, stands in the mail */
	const char *const argv[] = {n->mail.program, "-i", "-t", NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(MAIL_MAX);
	struct buf err SCOPED(buf_release) = BUF_INIT(64 << 10);
	struct proc_spec spec = {.argv = argv, .err = &err, .timeout_ms = MAIL_TIMEOUT_MS};

	write_mail(n, r, &b);
	spec.input = b.data;
	spec.input_len = b.len;
	return proc_ok(&spec, ERR_REMOTE, e);
}

/* X-Posmedia-Signature: sha256=HEX, HMAC of the body by the secret. */
static int sign(const struct nightly *n, const struct buf *body, struct strv *headers,
		struct err *e)
{
	struct buf secret SCOPED(buf_release) = BUF_INIT(4096);
	struct digest d;

	if (n->webhook.secret == NULL)
		return 0;
	if (fs_get_file(AT_FDCWD, n->webhook.secret, &secret, e) != 0)
		return -1;
	secret.len = strcspn(secret.data, "\r\n");
	d = hmac_sha256(secret.data, secret.len, body->data, body->len);
	explicit_bzero(secret.data, secret.len);
	strv_addf(headers, "X-Posmedia-Signature: sha256=%s", digest_hex(&d).s);
	return 0;
}

static int hook(const struct nightly *n, const struct nightly_result *r, struct err *e)
{
	struct buf body SCOPED(buf_release) = BUF_INIT(16 << 20);
	struct jval *v SCOPED(jval_freep) = nightly_json(n, r);
	struct http_reply reply SCOPED(http_reply_release) = {0};
	struct http_request q = {.method = "POST", .url = n->webhook.url, .body_fd = -1};
	int rc;

	jval_write(v, &body);
	if (buf_over(&body))
		return err_set(e, ERR_FAIL, "the summary is larger than %zu bytes", body.max);
	q.body = body.data;
	q.body_size = body.len;
	strv_add(&q.headers, "Content-Type: application/json");
	rc = sign(n, &body, &q.headers, e);
	if (rc == 0)
		rc = http_send(&q, &reply, e);
	if (rc == 0 && (reply.status < 200 || reply.status > 299))
		rc = http_refused(&q, &reply, e);
	strv_release(&q.headers);
	return rc;
}

/* The path of a webhook is a secret with many services: "POST https://host/...: refused". */
static char *without_path(const char *said)
{
	const char *host = strstr(said, "://");
	const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
	size_t n = path != NULL ? strcspn(path, " ") : 0;

	if (path == NULL)
		return mem_strdup(said);
	if (n > 0 && path[n - 1] == ':')
		n--;
	return mem_format("%.*s/...%s", (int)(path - said), said, path + n);
}

void nightly_tell(const struct nightly *n, const struct nightly_result *r)
{
	struct err why = ERR_INIT;

	if (n->mail.to.n > 0 && wanted(n->mail.when, r) && mail(n, r, &why) != 0)
		log_warn("no mail: %s", why.msg);
	if (n->webhook.url != NULL && wanted(n->webhook.when, r) && hook(n, r, &why) != 0) {
		char *said SCOPED(mem_freep) = without_path(why.msg);

		log_warn("the webhook was not told: %s", said);
	}
}
