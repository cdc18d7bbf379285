/* claim.c - who is at work on a stage, so that no other does it at the same time: an object in a
 * bucket whose server writes on conditions. It is made only when there is none, and renewed by a
 * process of its own as long as the one that works is there; one that was not renewed for its lease
 * is taken over. How old it is says the server's own clock, or how long it was seen unchanged: what
 * the time is on the machine that made it does not matter. */
#include "stash/parts.h"

#include "base/log.h"
#include "sys/clock.h"
#include "sys/intr.h"
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RENEWALS = 3 /* in a lease */, ROUNDS = 4 };

/* What stands under the name of a claim. */
struct found {
	bool there, good;
	struct stash_claim claim;
	char etag[sizeof(((struct seen_claim *)0)->etag)];
	int64_t age_s; /* by the server's clock; < 0 = it says nothing */
};

/* Reads it; a write that is `checked` holds only if it is still so then. */
static int look(struct registry *r, const char *url, struct found *ret, struct err *e)
{
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	struct http_reply reply = {0};
	struct found f = {.age_s = -1};
	struct err quiet = ERR_INIT;
	int rc = 0;

	if (registry_send(r, &q, &reply, e) != 0)
		return -1;
	if (reply.status == 200) {
		const char *etag = http_header(&reply, "etag");
		int64_t now = s3_time(&reply, "date"), made = s3_time(&reply, "last-modified");

		f.there = true;
		f.good = stash_claim_parse(reply.body.data, reply.body.len, &f.claim, &quiet) == 0;
		(void)snprintf(f.etag, sizeof(f.etag), "%s", etag != NULL ? etag : "");
		f.age_s = now != 0 && made != 0 && now >= made ? now - made : -1;
	} else if (reply.status != 404) {
		rc = s3_refused(&q, &reply, e);
	}
	http_reply_release(&reply);
	if (rc == 0)
		*ret = f;
	return rc;
}

static int write_claim(struct registry *r, const char *url, const struct stash_claim *claim,
		       struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_CLAIM_MAX);
	struct s3_put p = {.url = url, .type = "application/json", .checked = true};

	stash_claim_write(claim, &b);
	p.p = b.data;
	p.n = b.len;
	return s3_put(r->s3, r->http, &p, e);
}

/* "HOST.PID.RANDOM", of what may stand in it. */
static void name_owner(struct stash_claim *c)
{
	char host[64] = "";
	uint64_t random = 0;

	(void)gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p) || *p == '-' ? *p : '.';
	(void)!getrandom(&random, sizeof(random), 0);
	(void)snprintf(c->owner, sizeof(c->owner), "%s.%ld.%016llx", host, (long)getpid(),
		       (unsigned long long)random);
}

static bool is_ours(const struct found *f, const struct stash_claim *own)
{
	return f->there && f->good && strcmp(f->claim.owner, own->owner) == 0;
}

/* In a process of its own, with connections of its own, until it is killed or the claim is
 * another's.
 */
static void renew(struct stash *c)
{
	struct registry r = c->r;
	struct stash_claim own = c->held;
	const uint64_t every = own.lease_s * 1000 / RENEWALS;

	r.http = http_new();
	r.s3->connect_ms = every;
	for (;;) {
		struct found f;
		struct err quiet = ERR_INIT;

		(void)usleep((useconds_t)every * 1000);
		intr_forget();
		if (look(&r, c->claim, &f, &quiet) != 0)
			continue;
		if (!is_ours(&f, &own))
			return;
		own.renewed++;
		if (write_claim(&r, c->claim, &own, &quiet) != 0 && quiet.kind == ERR_BUSY)
			return;
	}
}

static void start_renewing(struct stash *c)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self)
			renew(c);
		_exit(0);
	}
	c->renews = pid > 0 ? pid : 0;
	if (pid < 0)
		log_warn("cache %s: what is claimed is not renewed: %s", c->name, strerror(errno));
}

/* Whether nobody has renewed it for its lease. What is no claim is nobody's. */
static bool is_stale(struct stash *c, const struct found *f)
{
	uint64_t now = clock_mono_ms();

	if (!f->good)
		return true;
	if (strcmp(c->other.etag, f->etag) != 0) {
		memcpy(c->other.etag, f->etag, sizeof(f->etag));
		c->other.since_ms = now;
	}
	return (f->age_s >= 0 && (uint64_t)f->age_s > f->claim.lease_s) ||
	       now - c->other.since_ms > f->claim.lease_s * 1000;
}

static bool waited_too_long(struct stash *c, const struct digest *key)
{
	uint64_t now = clock_mono_ms();

	if (c->waits_ms == 0 || !digest_equal(&c->waits, key)) {
		c->waits = *key;
		c->waits_ms = now;
	}
	return now - c->waits_ms > c->o.wait_s * 1000;
}

/* Only a bucket has claims, and of these only one that writes on conditions. */
static bool has_claims(struct stash *c)
{
	if (!stash_writes(c) || !stash_ready(c) || c->r.s3 == NULL)
		return false;
	if (c->r.s3->condition == S3_HONOURS)
		return true;
	if (!c->warned)
		log_warn("cache %s: its server writes without conditions: two machines may make "
			 "the same stage at the same time",
			 c->name);
	c->warned = true;
	return false;
}

/* 1: another has it. */
static int try(struct stash *c, const char *url, struct stash_claim *ret, struct err *e)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct found f;

		if (look(&c->r, url, &f, e) != 0)
			return -1;
		if (f.there && !is_stale(c, &f)) {
			*ret = f.claim;
			return 1;
		}
		if (f.there)
			log_warn("cache %s: takes over what %s left", c->name,
				 f.good ? f.claim.owner : "somebody");
		if (write_claim(&c->r, url, &c->held, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY)
			return -1;
	}
	(void)snprintf(ret->owner, sizeof(ret->owner), "others");
	return 1;
}

bool stash_claimed(struct stash *c, const struct digest *key, struct stash_claim *ret)
{
	char *url SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;
	int rc;

	if (c->claim != NULL || !has_claims(c))
		return false;
	url = registry_url(&c->r, "claims", digest_hex(key).s);
	c->held = (struct stash_claim){.lease_s = c->o.lease_s};
	name_owner(&c->held);
	rc = try(c, url, ret, &why);
	if (rc < 0)
		stash_trouble(c, "claim", &why);
	if (rc == 1 && !waited_too_long(c, key))
		return true;
	if (rc == 1)
		log_warn("cache %s: does not wait any longer for %s", c->name, ret->owner);
	c->waits_ms = 0;
	if (rc == 0) {
		c->claim = STEAL(url);
		start_renewing(c);
	}
	return false;
}

/* Ends the process that renews. */
static void stop_renewing(struct stash *c)
{
	if (c->renews == 0)
		return;
	(void)kill(c->renews, SIGKILL);
	while (waitpid(c->renews, NULL, 0) < 0 && errno == EINTR)
		;
	c->renews = 0;
}

void stash_unclaim(struct stash *c)
{
	struct http_request q = {
	    .method = "DELETE", .url = c->claim, .body_fd = -1, .via = c->r.http};
	struct http_reply reply = {0};
	struct err quiet = ERR_INIT;
	struct found f;

	stop_renewing(c);
	if (c->claim == NULL)
		return;
	/* one that is another's by now stays; what cannot be removed is stale soon */
	if (look(&c->r, c->claim, &f, &quiet) == 0 && is_ours(&f, &c->held) &&
	    s3_send(c->r.s3, &q, NULL, &reply, &quiet) == 0)
		http_reply_release(&reply);
	free(c->claim);
	c->claim = NULL;
}
