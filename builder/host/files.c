/* files.c - what is set on a host: settings of the kernel, modules, the place of data. */
#include "host/parts.h"

#include "base/num.h"
#include "harden/kv.h"
#include "harden/root.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLE_MAX = 32 << 20, SAID_MAX = 1 << 12 };

/* Of the tunnels, which end here, and of systemd in many containers. */
static const struct setting {
	const char *key, *file; /* as sysctl.d(5) has it, and below /proc/sys */
	uint64_t least;
} settings[] = {
    {"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", 1},
    {"fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances", 1024},
};
enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static int write_setting(const struct setting *s, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format("%llu\n", (unsigned long long)s->least);
	int fd SCOPED(fd_closep) = open(s->file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", s->file);
	return fs_write_all(fd, text, strlen(text), e);
}

/* Those that the kernel has now; they are not set against what somebody has in files. */
static int running_settings(const struct host *h, struct host_put *put, struct err *e)
{
	bool stay = h->o->check || put->left.len > 0;
	struct buf *list = put->left.len > 0 ? &put->left : &put->wrote;

	for (size_t k = 0; h->live && k < SETTINGS; k++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
		uint64_t now;

		if (fs_get(AT_FDCWD, settings[k].file, &text, e) != 0)
			return -1;
		text.data[strcspn(text.data, "\n")] = '\0';
		if (num_u64(text.data, UINT64_MAX, &now) == 0 && now >= settings[k].least)
			continue;
		host_add(list, "%s is %s", settings[k].key, text.data);
		if (!stay && write_setting(&settings[k], e) != 0)
			return -1;
	}
	return 0;
}

/* What the next start makes of one by the files: the last that says it counts. NULL: nothing. */
static const struct kv_entry *in_files(const struct kv_set *s, const char *key)
{
	for (size_t k = 0; k < s->n; k++)
		if (strcmp(s->v[k].key, key) == 0)
			return &s->v[k];
	return NULL;
}

static bool is_enough(const struct kv_entry *en, const struct setting *s, uint64_t *ret)
{
	return en != NULL && num_u64(en->val, UINT64_MAX, ret) == 0 && *ret >= s->least;
}

static int read_settings(const struct host *h, struct kv_set *ret, struct err *e)
{
	return kv_read(h->rootfd, kv_format_find("sysctl"), NULL, ret, e);
}

/* What a file before or after it has, and is more, stays. */
static int put_settings(const struct host *h, struct host_put *put, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct kv_set now SCOPED(kv_release) = {0};

	if (read_settings(h, &now, e) != 0)
		return -1;
	buf_addf(&text, "# Written by posmedia host prepare.\n");
	for (size_t k = 0; k < SETTINGS; k++) {
		uint64_t v;

		if (!is_enough(in_files(&now, settings[k].key), &settings[k], &v))
			v = settings[k].least;
		buf_addf(&text, "%s = %llu\n", settings[k].key, (unsigned long long)v);
	}
	const struct host_text t = {"/etc/sysctl.d", "60-posmedia.conf", text.data, text.len};

	return host_put(h, &t, put, e);
}

static bool comes_before(const char *file)
{
	const char *name = strrchr(file, '/');

	return name != NULL && strcmp(name + 1, "sysctl.conf") != 0 &&
	       strcmp(name + 1, "60-posmedia.conf") < 0;
}

/* Another file has the last word: that is for a person. */
static int check_settings(const struct host *h, struct host_item *i, struct host_put *put,
			  struct err *e)
{
	struct kv_set now SCOPED(kv_release) = {0};

	if (read_settings(h, &now, e) != 0)
		return -1;
	for (size_t k = 0; k < SETTINGS; k++) {
		const struct kv_entry *en = in_files(&now, settings[k].key);
		uint64_t v;

		if (is_enough(en, &settings[k], &v) || en == NULL ||
		    strcmp(en->file, "etc/sysctl.d/60-posmedia.conf") == 0)
			continue;
		/* before a first run ours, which comes later, is not there yet */
		if (h->o->check && put->wrote.len > 0 && comes_before(en->file))
			continue;
		host_add(&put->left, "/%s:%zu has %s = %s", en->file, en->line, en->key, en->val);
	}
	if (put->left.len > 0 && i->hint == NULL)
		i->hint = mem_strdup("What is read last counts: sysctl.d(5).");
	return 0;
}

static int sysctl(const struct host *h, struct host_item *i, struct err *e)
{
	struct host_put put SCOPED(host_put_release) = HOST_PUT_INIT;

	if (put_settings(h, &put, e) != 0 || check_settings(h, i, &put, e) != 0 ||
	    running_settings(h, &put, e) != 0)
		return -1;
	host_put_end(h, i, &put, "so in the kernel, and in files for its next start", "wrote");
	return 0;
}

/* Whether a kernel's list names the module, which is a file ".../NAME.ko" with or without a suffix
 * of what it is packed with. */
static bool has_module(const char *list, const char *name)
{
	char *file SCOPED(mem_freep) = mem_format("/%s.ko", name);
	size_t n = strlen(file);

	for (const char *at = strstr(list, file); at != NULL; at = strstr(at + 1, file))
		if (at[n] == ':' || at[n] == '.')
			return true;
	return false;
}

/* Modules that every kernel of the tree has: one that is not there fails the unit that loads them.
 */
static int common_modules(const struct host *h, struct strv *ret, struct err *e)
{
	static const char *const wanted[] = {"overlay", "macvlan", "ipvlan",
					     "tun",     "esp4",    "nf_tables"};
	struct strv lists SCOPED(strv_release) = {0};
	unsigned lacks = 0;

	if (root_glob(h->rootfd, "usr/lib/modules/*/modules.dep", &lists, e) != 0 ||
	    (lists.n == 0 && root_glob(h->rootfd, "lib/modules/*/modules.dep", &lists, e) != 0))
		return -1;
	for (size_t l = 0; l < lists.n; l++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(TABLE_MAX);

		if (root_read(h->rootfd, lists.v[l], &text, NULL, e) != 0)
			return -1;
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			if (!has_module(text.data, wanted[k]))
				lacks |= 1u << k;
	}
	for (size_t k = 0; lists.n > 0 && k < sizeof(wanted) / sizeof(wanted[0]); k++)
		if ((lacks & 1u << k) == 0)
			strv_add(ret, wanted[k]);
	return 0;
}

static int modules(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct host_put put SCOPED(host_put_release) = HOST_PUT_INIT;
	struct strv names SCOPED(strv_release) = {0};

	if (common_modules(h, &names, e) != 0)
		return -1;
	if (names.n == 0)
		return host_found(i, HOST_OK, "the kernel has none of them as a module");
	buf_addf(&text, "# Written by posmedia host prepare.\n");
	for (size_t k = 0; k < names.n; k++)
		buf_addf(&text, "%s\n", names.v[k]);
	const struct host_text t = {"/etc/modules-load.d", "posmedia.conf", text.data, text.len};

	if (host_put(h, &t, &put, e) != 0)
		return -1;
	host_put_end(h, i, &put, "so in /etc/modules-load.d/posmedia.conf", "wrote");
	return 0;
}

/* Owner and mode of one that is there are somebody's decision: it may be another thing's. */
static int state(const struct host *h, struct host_item *i, struct err *e)
{
	struct stat st;
	int there = root_stat(h->rootfd, h->o->state + 1, true, &st);
	bool lacks;

	if (host_unmounted(h, i, &lacks, e) != 0)
		return -1;
	if (lacks)
		return 0;
	if (there == 1 && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_FAIL, "%s is no directory", h->o->state);
	if (there == 1 && st.st_uid == 0 && st.st_gid == 0 && (st.st_mode & 07777) == 0755)
		return host_found(i, HOST_OK, "%s, 0755 of root", h->o->state);
	if (there == 1) {
		i->hint = mem_format("chown root:root %s && chmod 755 %s, if it is for that",
				     h->o->state, h->o->state);
		return host_found(i, HOST_WANTED, "%s is %04o of %u:%u", h->o->state,
				  st.st_mode & 07777, st.st_uid, st.st_gid);
	}
	(void)host_found(i, HOST_WANTED, "%s is not there", h->o->state);
	if (h->o->check)
		return 0;
	if (fs_mkdirs_in_root(h->rootfd, h->o->state, 0755, NULL, e) != 0)
		return -1;
	i->did = mem_format("made %s", h->o->state);
	i->status = HOST_CHANGED;
	return 0;
}

const struct host_check host_file_checks[] = {
    {"settings", "forwarding for tunnels, inotify for many systemds", sysctl},
    {"modules", "the kernel's modules loaded at the start", modules},
    {"data.directory", "a directory for the data of instances, 0755 of root", state},
    {NULL, NULL, NULL},
};
