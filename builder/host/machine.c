/* machine.c - what only a person can set: the clock's daemon, encryption of disks, room. */
#include "host/parts.h"

#include "base/num.h"
#include "harden/mounts.h"
#include "harden/root.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <unistd.h>

enum { MOUNTS_MAX = 4 << 20, SAID_MAX = 1 << 12, ASK_MS = 10000 };

static const uint64_t room_least = 5ULL << 30;

static const char *const daemons[][4] = {
    {"chronyd", "usr/sbin/chronyd", NULL, NULL},
    {"systemd-timesyncd", "usr/lib/systemd/systemd-timesyncd", "lib/systemd/systemd-timesyncd",
     NULL},
    {"ntpd", "usr/sbin/ntpd", "usr/sbin/ntpsec", NULL},
};
enum { DAEMONS = sizeof(daemons) / sizeof(daemons[0]) };

/* Whether a process has that name, of which the kernel keeps 15 bytes. */
static int runs(const char *name, bool *ret, struct err *e)
{
	struct strv ids SCOPED(strv_release) = {0};

	*ret = false;
	if (fs_list(AT_FDCWD, "/proc", &ids, e) != 0)
		return -1;
	for (size_t k = 0; k < ids.n && !*ret; k++) {
		char *path SCOPED(mem_freep) = mem_format("/proc/%s/comm", ids.v[k]);
		struct buf comm SCOPED(buf_release) = BUF_INIT(64);
		struct err gone = ERR_INIT;

		if (ids.v[k][0] < '0' || ids.v[k][0] > '9' ||
		    fs_get(AT_FDCWD, path, &comm, &gone) != 0)
			continue;
		comm.data[strcspn(comm.data, "\n")] = '\0';
		*ret = comm.len > 0 && strncmp(name, comm.data, 15) == 0;
	}
	return 0;
}

static int time_daemon(const struct host *h, struct host_item *i, struct err *e)
{
	const char *there = NULL;

	for (int k = 0; k < DAEMONS; k++) {
		bool running = false;

		if (host_program(h, &daemons[k][1]) == NULL)
			continue;
		if (h->live && runs(daemons[k][0], &running, e) != 0)
			return -1;
		if (running || !h->live)
			return host_found(i, HOST_OK, "%s%s", daemons[k][0],
					  running ? " runs" : " is installed");
		there = daemons[k][0];
	}
	if (there == NULL) {
		host_install_hint(h, i, "chrony", "chrony");
		return host_found(i, HOST_WANTED, "none");
	}
	i->hint = mem_format("systemctl enable --now %s",
			     strcmp(there, "chronyd") == 0 ? h->dnf ? "chronyd" : "chrony" : there);
	return host_found(i, HOST_WANTED, "%s is installed and does not run", there);
}

/* chronyd says it itself; it need not tell the kernel. Returns whether it answered. */
static bool ask_chrony(struct host_item *i)
{
	static const char *const argv[] = {"chronyc", "-n", "-c", "tracking", NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct proc_spec p = {.argv = argv, .out = &said, .timeout_ms = ASK_MS};
	struct proc_result r = {0};
	struct err e = ERR_INIT;
	const char *leap;

	if (!proc_has("chronyc") || proc_run(&p, &r, &e) != 0 || r.status != 0 || said.len == 0)
		return false;
	said.data[strcspn(said.data, "\n")] = '\0';
	leap = strrchr(said.data, ',');
	(void)(leap != NULL && strcmp(leap + 1, "Normal") == 0
		   ? host_found(i, HOST_OK, "chronyd is synchronised")
		   : host_found(i, HOST_WANTED, "chronyd: %s",
				leap != NULL ? leap + 1 : said.data));
	return true;
}

static int time_synchronised(const struct host *h, struct host_item *i, struct err *e)
{
	struct timex t = {0};

	if (!h->live)
		return host_not_here(i);
	i->hint = mem_strdup("Name servers of time that the host reaches.");
	if (ask_chrony(i))
		return 0;
	if (access("/run/systemd/timesync/synchronized", F_OK) == 0)
		return host_found(i, HOST_OK, "systemd-timesyncd is synchronised");
	if (adjtimex(&t) < 0)
		return err_sys(e, "ask the kernel about the clock");
	return (t.status & STA_UNSYNC) == 0
		   ? host_found(i, HOST_OK,
				"the kernel's clock is synchronised, error at most %ld ms",
				t.maxerror / 1000)
		   : host_found(i, HOST_WANTED, "nothing keeps the clock");
}

int host_unmounted(const struct host *h, struct host_item *i, bool *ret, struct err *e)
{
	char *at SCOPED(mem_freep) = NULL;

	*ret = false;
	if (!h->live)
		return 0;
	if (mounts_missing(h->o->state, &at, e) != 0)
		return -1;
	if (at == NULL)
		return 0;
	*ret = true;
	free(i->hint);
	i->hint = mem_format("mount %s, or take it out of /etc/fstab", at);
	return host_found(i, HOST_WANTED, "%s is not mounted", at);
}

/* The place of the data, or of what is to hold it. */
static int open_state(const struct host *h, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_strdup(h->o->state);
	int fd;

	while ((fd = root_open(h->rootfd, path + 1, O_RDONLY | O_DIRECTORY)) < 0) {
		char *end = strrchr(path, '/');

		if (errno != ENOENT || end == path) {
			fd = root_open(h->rootfd, ".", O_RDONLY | O_DIRECTORY);
			break;
		}
		*end = '\0';
	}
	return fd >= 0 ? fd : err_sys(e, "open what holds %s", h->o->state);
}

static int find_crypt(const struct host *h, enum host_crypt *ret, struct buf *ret_way,
		      struct err *e)
{
	struct buf mounts SCOPED(buf_release) = BUF_INIT(MOUNTS_MAX);
	char *device SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = open_state(h, e), sys SCOPED(fd_closep) = -1;
	struct stat st;

	if (fd < 0 || fs_get(AT_FDCWD, "/proc/self/mountinfo", &mounts, e) != 0 ||
	    fs_open_dir(AT_FDCWD, "/sys", &sys, e) != 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return err_sys(e, "stat %s", h->o->state);
	device = host_mount_source(mounts.data, major(st.st_dev), minor(st.st_dev));
	if (device == NULL) {
		buf_addf(ret_way, "device %u:%u", major(st.st_dev), minor(st.st_dev));
		*ret = HOST_CRYPT_UNKNOWN;
		return 0;
	}
	return host_crypt_of(sys, device, ret, ret_way, e);
}

static int encrypted(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf way SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	enum host_crypt c = HOST_CRYPT_UNKNOWN;
	bool lacks = false;

	if (!h->live)
		return host_not_here(i);
	if (host_unmounted(h, i, &lacks, e) != 0 || lacks)
		return lacks ? 0 : -1;
	if (find_crypt(h, &c, &way, e) != 0)
		return -1;
	if (c == HOST_CRYPT_YES)
		return host_found(i, HOST_OK, "%s", way.data);
	if (c == HOST_CRYPT_CLOUD) {
		i->hint = mem_strdup("aws ec2 describe-volumes says it of the volume.");
		return host_found(i, HOST_UNKNOWN, "%s: a volume of AWS, encrypted there or not",
				  way.data);
	}
	if (c == HOST_CRYPT_UNKNOWN)
		return host_found(i, HOST_UNKNOWN, "%s: no single disk of this machine", way.data);
	i->hint = mem_strdup("Put it on a file system on dm-crypt: cryptsetup(8).");
	return host_found(i, HOST_WANTED, "%s: not encrypted", way.data);
}

static int room(const struct host *h, struct host_item *i, struct err *e)
{
	int fd SCOPED(fd_closep) = open_state(h, e);
	struct statvfs v;
	char *text SCOPED(mem_freep) = NULL;
	uint64_t left;
	bool lacks = false;

	if (!h->live)
		return host_not_here(i);
	if (host_unmounted(h, i, &lacks, e) != 0 || lacks)
		return lacks ? 0 : -1;
	if (fd < 0)
		return -1;
	if (fstatvfs(fd, &v) != 0)
		return err_sys(e, "ask for the room in %s", h->o->state);
	left = (uint64_t)v.f_bavail * v.f_frsize;
	text = num_human(left);
	return host_found(i, left >= room_least ? HOST_OK : HOST_WANTED, "%s", text);
}

/* Where engines put what is forwarded; a policy of drop there stops what no rule allows. */
static int firewall(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const argv[] = {"nft", "--stateless", "list", "chains", NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(1 << 20);
	const struct proc_spec p = {.argv = argv, .out = &said, .timeout_ms = ASK_MS};
	const char *at;

	if (!h->live)
		return host_not_here(i);
	if (!proc_has("nft") || geteuid() != 0)
		return host_found(i, HOST_UNKNOWN, "nft is not there, or we are not root");
	if (proc_ok(&p, ERR_FAIL, e) != 0)
		return -1;
	at = strstr(said.data, "hook forward");
	if (at == NULL)
		return host_found(i, HOST_OK, "no rules for what is forwarded");
	at += strcspn(at, ";}\n");
	return host_found(i, HOST_OK, "forwarded packets: policy %s",
			  strncmp(at, "; policy drop", 13) == 0 ? "drop" : "accept");
}

const struct host_check host_machine_checks[] = {
    {"time.daemon", "a daemon that keeps the clock", time_daemon},
    {"time.synchronised", "a clock that is synchronised", time_synchronised},
    {"data.encrypted", "a disk under the data that is encrypted", encrypted},
    {"data.room", "5 GiB free for images and data", room},
    {"network.forward", "what happens to forwarded packets is known", firewall},
    {NULL, NULL, NULL},
};
