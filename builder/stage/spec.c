/* spec.c - the container of a generation, as engines take it: POST /containers/create. */
#include "stage/parts.h"

#include "form/capability.h"
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The kernel counts nproc for a user over all instances of a host: what one may have at all is
 * less, so that it cannot take what another of the same number needs. */
enum { NPROC = 4096, PIDS = 2048 };

/* What the first process and the services of a POS need: owners, other users, ports below 1024. Not
 * mounts, devices, the network's settings, other processes' memory, or the kernel. */
static const char *const capabilities[] = {
    "CHOWN",  "DAC_OVERRIDE", "FOWNER",     "FSETID",           "KILL",       "SETGID",
    "SETUID", "SETPCAP",      "SYS_CHROOT", "NET_BIND_SERVICE", "AUDIT_WRITE"};

bool stage_capability_ok(unsigned number)
{
	if (number >= CAPABILITIES)
		return false;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (strcasecmp(capabilities[i], capability_names[number]) == 0)
			return true;
	return false;
}

bool stage_secret_inside(const struct site *s, const struct site_secret *secret)
{
	if (s->backup.secret != NULL && strcmp(s->backup.secret, secret->name) == 0)
		return false;
	if (s->cutover.old.secret != NULL && strcmp(s->cutover.old.secret, secret->name) == 0)
		return false;
	for (size_t i = 0; i < s->vpn.peers_n; i++)
		if (strcmp(s->vpn.peers[i].secret, secret->name) == 0)
			return false;
	return true;
}

void stage_spec_mount(struct jval *list, const char *from, const char *to, bool read_only)
{
	struct jval *m = jval_object();

	/* a source that is missing is an error, as it would not be with Binds */
	jval_put_text(m, "Type", "bind");
	jval_put_text(m, "Source", from);
	jval_put_text(m, "Target", to);
	jval_put(m, "ReadOnly", jval_bool(read_only));
	jval_push(list, m);
}

static struct jval *mounts_of(const struct stage *st, const struct stage_one *one)
{
	const struct site *s = st->s;
	struct jval *list = jval_array();
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *secrets SCOPED(mem_freep) = stage_secret_dir(st, one);

	for (size_t i = 0; i < s->data_n; i++) {
		char *from SCOPED(mem_freep) = mem_format("%s/%s", st->dir, s->data[i].name);

		stage_spec_mount(list, from, s->data[i].at, false);
	}
	stage_spec_mount(list, shown, "/run/posmedia", true);
	stage_spec_mount(list, secrets, "/run/host/credentials", true);
	if (s->licence.at != NULL) {
		char *from SCOPED(mem_freep) = mem_format("%s.licence", secrets);

		stage_spec_mount(list, from, s->licence.at, true);
	}
	if (s->network.interface != NULL) {
		char *from SCOPED(mem_freep) = mem_format("%s/resolv.conf", shown);

		stage_spec_mount(list, from, "/etc/resolv.conf", true);
	}
	stage_cgroup_mounts(st, list);
	return list;
}

static void add_ulimit(struct jval *list, const char *name, uint64_t n)
{
	struct jval *u = jval_object();

	jval_put_text(u, "Name", name);
	jval_put_int(u, "Soft", (int64_t)n);
	jval_put_int(u, "Hard", (int64_t)n);
	jval_push(list, u);
}

static struct jval *limits_of(const struct site_limits *l, struct jval *host)
{
	struct jval *list = jval_array();

	add_ulimit(list, "nofile", l->files != 0 ? l->files : STAGE_NOFILE);
	add_ulimit(list, "nproc", NPROC);
	if (l->memory != 0)
		jval_put_int(host, "Memory", (int64_t)l->memory);
	jval_put_int(host, "PidsLimit", (int64_t)(l->processes != 0 ? l->processes : PIDS));
	if (l->cpu_milli != 0)
		jval_put_int(host, "NanoCpus", (int64_t)(l->cpu_milli * 1000000));
	return list;
}

static struct jval *security_of(const struct stage *st, const struct stage_one *one)
{
	struct jval *list = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *shown SCOPED(mem_freep) = stage_shown_dir(st, one);
	char *path SCOPED(mem_freep) = mem_format("seccomp=%s.seccomp", shown);

	jval_push(list, jval_text("no-new-privileges"));
	/* podman reads a file of this machine, dockerd wants the text */
	buf_addf(&text, "seccomp=");
	jval_write(st->seccomp, &text);
	jval_push(list, jval_text(engine_about(st->en)->podman ? path : text.data));
	return list;
}

/* A network of the site's own is put where the engine has left it empty (net.c). */
static void network_of(const struct site_network *n, const char *hostname, struct jval *host)
{
	struct jval *hosts;
	char *line SCOPED(mem_freep) = NULL;

	jval_put_text(host, "NetworkMode", n->interface != NULL ? "none" : "bridge");
	if (n->interface == NULL)
		return;
	/* which an engine writes to /etc/hosts for networks that it knows */
	line = mem_format("%s:%.*s", hostname, (int)strcspn(n->address.text, "/"), n->address.text);
	hosts = jval_array();
	jval_push(hosts, jval_text(line));
	jval_put(host, "ExtraHosts", hosts);
}

static struct jval *host_of(const struct stage *st, const struct stage_one *one)
{
	struct jval *h = jval_object(), *drop = jval_array(), *add = jval_array();
	struct jval *tmpfs = jval_object(), *restart = jval_object();
	struct jval *security = security_of(st, one);

	jval_push(drop, jval_text("ALL"));
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		jval_push(add, jval_text(capabilities[i]));
	jval_put(h, "CapDrop", drop);
	jval_put(h, "CapAdd", add);
	jval_put_text(tmpfs, "/tmp", "rw,nosuid,nodev,mode=1777");
	if (stage_systemd(st)) {
		jval_put_text(tmpfs, "/run", "rw,nosuid,nodev,mode=755");
		jval_put_text(tmpfs, "/run/lock", "rw,nosuid,nodev,mode=1777");
	}
	if (stage_read_only(st)) {
		jval_put(h, "ReadonlyRootfs", jval_bool(true));
		jval_put_text(tmpfs, "/run", "rw,nosuid,nodev,mode=755");
		jval_put_text(tmpfs, "/var/tmp", "rw,nosuid,nodev,mode=1777");
	}
	stage_cgroup_spec(st, h, security);
	jval_put(h, "Tmpfs", tmpfs);
	/* a start needs secrets, an address and a look at its health, which no engine can: the
	 * host's units start again what ended, and two who do would fight */
	jval_put_text(restart, "Name", "no");
	jval_put(h, "RestartPolicy", restart);
	jval_put(h, "Mounts", mounts_of(st, one));
	jval_put(h, "SecurityOpt", security);
	jval_put(h, "Ulimits", limits_of(&st->s->limits, h));
	network_of(&st->s->network, st->s->hostname, h);
	return h;
}

struct jval *stage_spec(const struct stage *st, const struct stage_one *one)
{
	struct jval *v = jval_object(), *env = jval_array(), *labels = jval_object();
	const struct jval *own = jval_get(jval_get(st->config, "config"), "Env");

	jval_put_text(v, "Image", digest_text(&one->config).s);
	jval_put_text(v, "Hostname", st->s->hostname);
	for (size_t i = 0; i < jval_len(own); i++) {
		const char *text = jval_str(jval_at(own, i));

		if (text != NULL)
			jval_push(env, jval_text(text));
	}
	jval_push(env, jval_text("container=docker"));
	jval_push(env, jval_text("CREDENTIALS_DIRECTORY=/run/host/credentials"));
	jval_put(v, "Env", env);
	jval_put_text(labels, "posmedia.shop", st->s->shop);
	jval_put_text(labels, "posmedia.environment", site_env_word(st->s->env));
	jval_put_text(labels, "posmedia.generation", digest_text(&one->generation).s);
	jval_put(v, "Labels", labels);
	jval_put_int(v, "StopTimeout", STAGE_STOP_SECONDS);
	/* to systemd, SIGTERM means to execute itself anew */
	if (stage_systemd(st) && jval_get(jval_get(st->config, "config"), "StopSignal") == NULL)
		jval_put_text(v, "StopSignal", "SIGRTMIN+3");
	jval_put(v, "HostConfig", host_of(st, one));
	return v;
}
