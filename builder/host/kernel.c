/* kernel.c - what the kernel of a host can do, tried in namespaces of their own: nothing of it is
 * left, and what the kernel has as a module it loads. */
#include "host/parts.h"

#include "harden/root.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAID_MAX = 1 << 12, TRY_MS = 20000, SMALL_MAX = 1 << 16 };

/* Takes off what ends a line, and what the program is called. */
static void shorten(char *said)
{
	said[strcspn(said, "\n")] = '\0';
}

/* Runs a program that does the thing; *ret_said is why it could not. */
static int try_it(const char *const *argv, const char *input, bool *ret, char **ret_said,
		  struct err *e)
{
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct proc_result r = {0};
	const struct proc_spec p = {
	    .argv = argv,
	    .input = input,
	    .input_len = input != NULL ? strlen(input) : 0,
	    .out = &said,
	    .err = &said,
	    .timeout_ms = TRY_MS,
	};

	if (proc_run(&p, &r, e) != 0)
		return -1;
	*ret = r.status == 0;
	shorten(said.data);
	*ret_said = mem_strdup(said.len > 0 ? said.data : "no reason given");
	return 0;
}

/* One trial that says all: it works, or it does not. */
static int trial(const struct host *h, struct host_item *i, const char *const *argv,
		 const char *input, struct err *e)
{
	char *said SCOPED(mem_freep) = NULL;
	bool works = false;

	if (!h->live)
		return host_not_here(i);
	if (geteuid() != 0)
		return host_found(i, HOST_UNKNOWN, "only root can try it");
	if (try_it(argv, input, &works, &said, e) != 0)
		return -1;
	return works ? host_found(i, HOST_OK, "works") : host_found(i, HOST_WANTED, "%s", said);
}

static int namespaces(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"unshare", "--mount",  "--pid",  "--net", "--ipc",
					   "--uts",   "--cgroup", "--fork", "true",  NULL};

	return trial(h, i, argv, NULL, e);
}

/* Two directories that are there, in a namespace in which nobody sees it. */
static int overlay(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {
	    "unshare", "--mount", "mount", "-t", "overlay", "-o", "lowerdir=/usr/bin:/usr/sbin",
	    "none",    "/run",    NULL};

	return trial(h, i, argv, NULL, e);
}

#define VETH "link add pm0 type veth peer name pm1\n"

static int macvlan(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"unshare", "--net", "ip", "-batch", "-", NULL};

	int rc = trial(h, i, argv, VETH "link add link pm0 name pm2 type macvlan mode bridge\n", e);

	if (rc == 0 && i->status == HOST_WANTED)
		i->hint =
		    mem_strdup("Sites with mode macvlan cannot be here; move and ipvlan can.");
	return rc;
}

/* Wanted by sites that say so; others do without. */
static int ipvlan(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"unshare", "--net", "ip", "-batch", "-", NULL};
	int rc = trial(h, i, argv, VETH "link add link pm0 name pm2 type ipvlan mode l2\n", e);

	if (rc == 0 && i->status == HOST_WANTED) {
		i->status = HOST_UNKNOWN;
		i->hint =
		    mem_strdup("Sites with mode ipvlan cannot be here; macvlan and move can.");
	}
	return rc;
}

static int nf_tables(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"unshare", "--net", "nft",          "add",
					   "table",   "inet",  "posmedia_try", NULL};

	if (h->live && !proc_has("nft"))
		return host_found(i, HOST_UNKNOWN, "nft is not installed, so it was not tried");
	return trial(h, i, argv, NULL, e);
}

/* The kernel's own ESP, or a device that charon's kernel-libipsec sends through. */
static int tunnel(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const esp[] = {"unshare",
					  "--net",
					  "ip",
					  "xfrm",
					  "state",
					  "add",
					  "src",
					  "192.0.2.1",
					  "dst",
					  "192.0.2.2",
					  "proto",
					  "esp",
					  "spi",
					  "0x1",
					  "mode",
					  "tunnel",
					  "aead",
					  "rfc4106(gcm(aes))",
					  "0x0102030405060708090a0b0c0d0e0f1011121314",
					  "128",
					  NULL};
	static const char *const tun[] = {"unshare", "--net", "ip",   "tuntap", "add",
					  "mode",    "tun",   "name", "pmt",    NULL};
	int rc = trial(h, i, esp, NULL, e);

	if (rc != 0 || i->status != HOST_WANTED)
		return rc;
	if (trial(h, i, tun, NULL, e) != 0)
		return -1;
	if (i->status != HOST_OK)
		return 0;
	i->hint = mem_strdup("Load charon's plugin kernel-libipsec.");
	return host_found(i, HOST_OK, "no ESP in the kernel, but tun works");
}

/* A file of the kernel's as one line; "" when it is not there. The caller owns it. */
static char *kernel_says(const char *path)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SMALL_MAX);
	struct err e = ERR_INIT;

	if (fs_get(AT_FDCWD, path, &text, &e) != 0)
		return mem_strdup("");
	text.data[strcspn(text.data, "\n")] = '\0';
	return buf_take(&text);
}

static int seccomp(const struct host *h, struct host_item *i, struct err *e)
{
	char *actions SCOPED(mem_freep) = kernel_says("/proc/sys/kernel/seccomp/actions_avail");

	(void)e;
	if (!h->live)
		return host_not_here(i);
	return strstr(actions, "errno") != NULL && strstr(actions, "kill_process") != NULL
		   ? host_found(i, HOST_OK, "filters: %s", actions)
		   : host_found(i, HOST_WANTED, "none");
}

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(line, word); at != NULL; at = strstr(at + 1, word))
		if ((at == line || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
			return true;
	return false;
}

/* Version 1 lists its controllers one a line: name, hierarchy, groups, enabled. */
static bool has_v1(const char *table, const char *name)
{
	struct buf row SCOPED(buf_release) = BUF_INIT(64);
	const char *at, *end;

	buf_addf(&row, "\n%s\t", name);
	at = strstr(table, row.data);
	if (at == NULL)
		return false;
	end = at + 1 + strcspn(at + 1, "\n");
	return end[-1] == '1' && end[-2] == '\t';
}

static int cgroup(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const wanted[] = {"cpu", "memory", "pids"};
	char *v2 SCOPED(mem_freep) = kernel_says("/sys/fs/cgroup/cgroup.controllers");
	struct buf v1 SCOPED(buf_release) = BUF_INIT(SMALL_MAX);
	struct buf lacks SCOPED(buf_release) = BUF_INIT(256);
	const char *version = *v2 != '\0' ? "2" : "1";

	if (!h->live)
		return host_not_here(i);
	if (fs_get(AT_FDCWD, "/proc/cgroups", &v1, e) != 0)
		return -1;
	for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
		if (*v2 != '\0' ? !has_word(v2, wanted[k]) : !has_v1(v1.data, wanted[k]))
			buf_addf(&lacks, "%s%s", lacks.len == 0 ? "" : ", ", wanted[k]);
	if (lacks.len == 0)
		return host_found(i, HOST_OK, "version %s", version);
	i->hint = mem_strdup("On the kernel's command line: cgroup_enable=memory");
	return host_found(i, HOST_WANTED, "version %s without %s", version, lacks.data);
}

const struct host_check host_kernel_checks[] = {
    {"kernel.namespaces", "namespaces of mounts, processes, networks, IPC, names and cgroups",
     namespaces},
    {"kernel.overlay", "overlay file systems", overlay},
    {"kernel.seccomp", "filters of system calls", seccomp},
    {"kernel.cgroup", "cgroups with cpu, memory and pids", cgroup},
    {"kernel.macvlan", "macvlan, for sites with a network of their own", macvlan},
    {"kernel.ipvlan", "ipvlan, where a site has that mode", ipvlan},
    {"kernel.nf_tables", "nf_tables", nf_tables},
    {"kernel.tunnel", "ESP, or tun for charon's kernel-libipsec", tunnel},
    {NULL, NULL, NULL},
};
