#include "build/verdict.h"

#include "sys/clock.h"

static void put_list(struct jval *o, const char *key, const struct strv *l)
{
	struct jval *v = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(v, jval_text(l->v[i]));
	if (l->n > 0)
		jval_put(o, key, v);
	else
		jval_free(v);
}

static void put_text(struct jval *o, const char *key, const char *s)
{
	if (s != NULL && s[0] != '\0')
		jval_put_text(o, key, s);
}

static struct jval *ports(const struct recipe *r)
{
	struct jval *v = jval_object();

	for (size_t i = 0; i < r->ports_n; i++)
		for (unsigned p = r->ports[i].first; p <= r->ports[i].last; p++) {
			char *key SCOPED(mem_freep) =
			    mem_format("%u/%s", p, r->ports[i].udp ? "udp" : "tcp");

			jval_put(v, key, jval_object());
		}
	return v;
}

static int put_labels(struct job *j, struct jval *part, struct err *e)
{
	struct digest lock = lock_digest(j->l);
	const struct jval *fixers = jval_get(jval_get(j->r->resolved, "restore"), "fixers");
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct jval *v = jval_object();

	jval_put_text(v, "org.opencontainers.image.title", j->r->name);
	jval_put_text(v, "org.opencontainers.image.version", j->r->version);
	jval_put_text(v, "org.posmedia.lock", digest_text(&lock).s);
	jval_put_text(v, "org.posmedia.recipe", digest_text(&j->r->digest).s);
	if (j->r->read_only)
		jval_put_text(v, "org.posmedia.read-only", "true");
	if (fixers != NULL) {
		jval_write(fixers, &text);
		jval_put_text(v, "org.posmedia.restore", text.data);
	}
	jval_put(part, "Labels", v);
	return verdict_labels(j, v, e);
}

static struct jval *run_part(const struct job *j)
{
	struct jval *v = jval_object(), *volumes = jval_object();
	const struct recipe *r = j->r;

	put_list(v, "Entrypoint", &r->entrypoint);
	put_list(v, "Cmd", &r->cmd);
	put_list(v, "Env", &r->env);
	put_text(v, "User", r->user);
	put_text(v, "WorkingDir", r->workdir);
	put_text(v, "StopSignal", r->stop_signal);
	for (size_t i = 0; i < r->volumes.n; i++)
		jval_put(volumes, r->volumes.v[i], jval_object());
	jval_put(v, "Volumes", volumes);
	jval_put(v, "ExposedPorts", ports(r));
	return v;
}

static struct jval *copy_list(const struct jval *from)
{
	struct jval *v = jval_array();

	for (size_t i = 0; i < jval_len(from); i++)
		jval_push(v, jval_ref(jval_at(from, i)));
	return v;
}

int job_image_config(struct job *j, const struct jval *below, const struct job_layer *layers,
		     size_t n, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *rootfs = jval_object();
	struct jval *ids = copy_list(jval_get(jval_get(below, "rootfs"), "diff_ids"));
	struct jval *history = copy_list(jval_get(below, "history"));
	char *created SCOPED(mem_freep) = clock_rfc3339(j->l->epoch);

	for (size_t i = 0; i < n; i++) {
		struct jval *h = jval_object();
		char *by SCOPED(mem_freep) = mem_format("posmedia build: layer %s", layers[i].name);

		jval_push(ids, jval_text(digest_text(&layers[i].packed.diff_id).s));
		jval_put_text(h, "created", created);
		jval_put_text(h, "created_by", by);
		jval_push(history, h);
	}
	jval_put_text(rootfs, "type", "layers");
	jval_put(rootfs, "diff_ids", ids);
	jval_put_text(v, "created", created);
	jval_put_text(v, "architecture", recipe_platform(j->r));
	jval_put_text(v, "os", "linux");
	jval_put(v, "config", run_part(j));
	jval_put(v, "rootfs", rootfs);
	jval_put(v, "history", history);
	if (put_labels(j, jval_get(v, "config"), e) != 0)
		return -1;
	*ret = STEAL(v);
	return 0;
}
