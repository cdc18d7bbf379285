/* engine.c - the container engine of a host, and the programs that go with it. */
#include "host/parts.h"

#include "engine/engine.h"
#include "harden/root.h"
#include "sys/proc.h"
#include <unistd.h>

static const char *const dockerd[] = {"usr/bin/dockerd", "usr/sbin/dockerd", NULL};
static const char *const podman[] = {"usr/bin/podman", NULL};

static int installed(const struct host *h, struct host_item *i, struct err *e)
{
	const char *docker = host_program(h, dockerd), *pod = host_program(h, podman);

	(void)e;
	if (docker != NULL || pod != NULL)
		return host_found(i, HOST_OK, "%s%s%s%s", docker != NULL ? "/" : "",
				  docker != NULL ? docker : "",
				  docker != NULL && pod != NULL ? ", /"
				  : pod != NULL                 ? "/"
								: "",
				  pod != NULL ? pod : "");
	host_install_hint(h, i, "podman", "podman");
	return host_found(i, HOST_WANTED, "none");
}

static const char *socket_of(const struct host *h)
{
	if (h->o->socket != NULL)
		return h->o->socket;
	return engine_socket();
}

/* podman listens only when somebody says so; dockerd's package does by itself. */
static int enable_socket(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"systemctl", "enable", "--now", "podman.socket", NULL};
	static const char *const ask[] = {"systemctl", "is-active", "podman.socket", NULL};
	const struct proc_spec p = {.argv = argv, .timeout_ms = 60000};
	const struct proc_spec q = {.argv = ask, .timeout_ms = 60000};
	struct proc_result active = {0};

	if (!h->systemd || h->o->check || h->o->socket != NULL || host_program(h, podman) == NULL ||
	    host_program(h, dockerd) != NULL)
		return 0;
	if (proc_run(&q, &active, e) != 0)
		return -1;
	if (active.status == 0)
		return 0;
	if (proc_ok(&p, ERR_FAIL, e) != 0)
		return -1;
	i->did = mem_strdup("enabled podman.socket");
	return 0;
}

static int answers(const struct host *h, struct host_item *i, struct err *e)
{
	struct engine *en SCOPED(engine_freep) = NULL;
	struct err first = ERR_INIT;
	const struct engine_about *about;

	if (!h->live)
		return host_not_here(i);
	/* what is not there need not be tried several times */
	if (access(socket_of(h), F_OK) != 0)
		(void)err_set(&first, ERR_REMOTE, "no socket %s", socket_of(h));
	if (first.msg[0] != '\0' || engine_open(socket_of(h), &en, &first) != 0) {
		(void)host_found(i, HOST_WANTED, "%s", first.msg);
		i->hint = mem_strdup("systemctl enable --now docker.service, or podman.socket");
		if (enable_socket(h, i, e) != 0)
			return -1;
		if (i->did == NULL || engine_open(socket_of(h), &en, e) != 0)
			return 0;
		i->status = HOST_CHANGED;
		return 0;
	}
	about = engine_about(en);
	return host_found(i, HOST_OK, "%s %s, API 1.%u", about->podman ? "podman" : "dockerd",
			  about->version, about->api);
}

static int tunnels(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const swanctl[] = {"usr/sbin/swanctl", NULL};
	static const char *const charon[] = {"usr/sbin/charon-systemd", "usr/lib/ipsec/charon",
					     "usr/libexec/strongswan/charon",
					     "usr/libexec/ipsec/charon", NULL};
	const char *s = host_program(h, swanctl), *c = host_program(h, charon);

	(void)e;
	if (s != NULL && c != NULL)
		return host_found(i, HOST_OK, "/%s, /%s", s, c);
	host_install_hint(h, i, "strongswan-swanctl charon-systemd", "strongswan");
	return host_found(i, HOST_WANTED, "%s%s", s == NULL ? "no swanctl" : "no charon",
			  s == NULL && c == NULL ? ", no charon" : "");
}

static int tools(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const wanted[][3] = {
	    {"usr/bin/ip", "usr/sbin/ip", NULL},
	    {"usr/sbin/nft", "usr/bin/nft", NULL},
	    {"usr/bin/nsenter", NULL, NULL},
	    {"usr/bin/arping", "usr/sbin/arping", NULL},
	};
	struct buf lacks SCOPED(buf_release) = BUF_INIT(256);

	(void)e;
	for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
		if (host_program(h, wanted[k]) == NULL)
			buf_addf(&lacks, "%s/%s", lacks.len == 0 ? "" : ", ", wanted[k][0]);
	if (lacks.len == 0)
		return host_found(i, HOST_OK, "all");
	host_install_hint(h, i, "iproute2 nftables util-linux iputils-arping",
			  "iproute nftables util-linux iputils");
	return host_found(i, HOST_WANTED, "not there: %s", lacks.data);
}

/* The units start it from there. */
static int program(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const paths[] = {"usr/bin/posmedia", NULL};

	(void)e;
	if (host_program(h, paths) != NULL)
		return host_found(i, HOST_OK, "/%s", paths[0]);
	i->hint = mem_strdup("install -m 755 posmedia /usr/bin/posmedia");
	return host_found(i, HOST_WANTED, "not there");
}

const struct host_check host_engine_checks[] = {
    {"program.installed", "posmedia where the units look for it", program},
    {"engine.installed", "dockerd or podman", installed},
    {"engine.answers", "an engine that answers at its socket with API 1.40 or later", answers},
    {"tunnel.installed", "strongSwan: swanctl and charon", tunnels},
    {"network.tools", "ip, nft, nsenter and arping", tools},
    {NULL, NULL, NULL},
};
