/* moved.c - an interface that is given away, and comes back as it was.
 *
 * RUNTIME/SHOP-ENV.interface/record.json says what the interface had; "namespace" beside it is the
 * instance's network namespace, mounted, so that it does not end with the instance: with it, a
 * virtual interface would end too, and a card come back under any name. Both are made before the
 * interface goes and removed after it has come. */
#include "network/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RECORD_MAX = 1 << 20, LINES_MAX = 2000 };

#define RECORD "record.json"
#define HELD   "namespace"

void net_moved_release(struct net_moved *m)
{
	free(m->container);
	strv_release(&m->lines);
	strv_release(&m->settings);
	*m = (struct net_moved){0};
}

char *net_moved_dir(const char *runtime, const struct site *s)
{
	return mem_format("%s/%s-%s.interface", runtime, s->shop, site_env_word(s->env));
}

char *net_failed_path(const char *runtime, const struct site *s)
{
	return mem_format("%s/%s-%s.interface.failed", runtime, s->shop, site_env_word(s->env));
}

static int boot_id(char ret[64], struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	if (fs_get(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b, e) != 0)
		return -1;
	(void)snprintf(ret, 64, "%.*s", (int)strcspn(b.data, "\n"), b.data);
	return 0;
}

static void put_texts(struct jval *v, const char *key, const struct strv *texts)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < texts->n; i++)
		jval_push(list, jval_text(texts->v[i]));
	jval_put(v, key, list);
}

static int get_texts(const struct jval *v, const char *key, struct strv *ret)
{
	const struct jval *list = jval_get(v, key);

	if (jval_len(list) > LINES_MAX)
		return -1;
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *one = jval_str(jval_at(list, i));

		if (one == NULL || strchr(one, '\n') != NULL)
			return -1;
		strv_add(ret, one);
	}
	return 0;
}

static int write_record(const char *dir, const struct net_moved *m, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	char *path SCOPED(mem_freep) = fs_join(dir, RECORD);
	char boot[64];

	put_texts(v, "lines", &m->lines);
	put_texts(v, "settings", &m->settings);
	if (boot_id(boot, e) != 0 || fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0)
		return -1;
	jval_put_int(v, "version", 1);
	jval_put_text(v, "boot", boot);
	jval_put_text(v, "container", m->container);
	jval_put_text(v, "interface", m->name);
	jval_put_text(v, "mac", m->mac);
	jval_put_int(v, "mtu", m->mtu);
	jval_put(v, "up", jval_bool(m->up));
	jval_write_pretty(v, &text);
	return fs_put_path(path, text.data, text.len, 0600, e);
}

static int parse_record(const struct jval *v, struct net_moved *ret)
{
	const char *container = jval_get_str(v, "container");
	const char *name = jval_get_str(v, "interface"), *mac = jval_get_str(v, "mac");
	int64_t mtu = 0;

	if (container == NULL || name == NULL || strlen(name) >= NET_NAME || mac == NULL ||
	    strlen(mac) >= NET_MAC || jval_get_int(v, "mtu", &mtu) != 0 || mtu < 0 ||
	    mtu > UINT32_MAX || get_texts(v, "lines", &ret->lines) != 0 ||
	    get_texts(v, "settings", &ret->settings) != 0)
		return -1;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	(void)snprintf(ret->mac, sizeof(ret->mac), "%s", mac);
	ret->container = mem_strdup(container);
	ret->mtu = (uint32_t)mtu;
	ret->up = jval_get_bool(v, "up");
	return 0;
}

int net_moved_read(const char *dir, struct net_moved *ret, bool *ret_there, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, RECORD);
	struct buf text SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct net_moved m SCOPED(net_moved_release) = {0};
	const char *boot;
	char now[64];

	*ret_there = false;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0 || boot_id(now, e) != 0 ||
	    jval_parse(text.data, text.len, path, &v, e) != 0)
		return -1;
	boot = jval_get_str(v, "boot");
	/* the host has made its interfaces anew since */
	if (boot == NULL || strcmp(boot, now) != 0)
		return 0;
	if (parse_record(v, &m) != 0)
		return err_set(e, ERR_RECIPE, "%s is damaged", path);
	*ret = m;
	m = (struct net_moved){0};
	*ret_there = true;
	return 0;
}

/* What cannot be read is none: what is held is somebody's all the same. */
static bool read_usable(const char *dir, struct net_moved *ret)
{
	struct err why = ERR_INIT;
	bool there;

	if (net_moved_read(dir, ret, &there, &why) == 0)
		return there;
	log_warn("%s", why.msg);
	return false;
}

char *net_moved_held(const char *dir)
{
	char *path SCOPED(mem_freep) = fs_join(dir, HELD);
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC ? STEAL(path) : NULL;
}

static int release(const char *dir, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, HELD);

	/* one that died may have mounted twice */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		continue;
	return errno == EINVAL || errno == ENOENT ? 0 : err_sys(e, "let go of %s", path);
}

static int hold(const char *dir, int ns, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, HELD), *from SCOPED(mem_freep) = net_path(ns);
	int fd SCOPED(fd_closep) = -1;

	if (release(dir, e) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || mount(from, path, NULL, MS_BIND, NULL) != 0)
		return err_sys(e, "hold a network at %s", path);
	return 0;
}

/* The record and what is held with it. */
static int forget(const char *dir, struct err *e)
{
	return release(dir, e) != 0 || fs_rmtree(AT_FDCWD, dir, e) != 0 ? -1 : 0;
}

static int routes_of(const char *name, bool ipv6, struct strv *ret, struct err *e)
{
	const char *family = ipv6 ? "-6" : "-4";
	const char *const all[] = {"ip", "-j", family, "route", "show", "table", "all", NULL};
	const char *const own[] = {"ip",    "-j",  family, "route", "show",
				   "table", "all", "dev",  name,    NULL};
	struct jval *ways SCOPED(jval_freep) = NULL, *routes SCOPED(jval_freep) = NULL;

	if (net_ip_json(NULL, own, &routes, e) != 0 || net_ip_json(NULL, all, &ways, e) != 0)
		return -1;
	net_had_lines(name, ipv6, routes, ret);
	net_had_ways(name, ipv6, ways, ret);
	return 0;
}

/* What the interface has on the host. */
static int describe(const struct net *n, struct net_moved *ret, struct err *e)
{
	struct net_moved m SCOPED(net_moved_release) = {.container = mem_strdup(n->container)};
	struct net_links all SCOPED(net_links_release) = {0};
	const char *name = n->s->network.interface;
	const struct net_link *l;

	if (net_links_read(NULL, &all, e) != 0)
		return -1;
	l = net_links_find(&all, name);
	if (l == NULL)
		return err_set(e, ERR_FAIL, "there is no interface %s", name);
	memcpy(m.name, l->name, sizeof(m.name));
	memcpy(m.mac, l->mac, sizeof(m.mac));
	m.up = l->up;
	m.mtu = l->mtu;
	net_address_lines(l, &m.lines);
	if (routes_of(name, false, &m.lines, e) != 0 || routes_of(name, true, &m.lines, e) != 0 ||
	    net_settings_read(name, &m.settings, e) != 0)
		return -1;
	*ret = m;
	m = (struct net_moved){0};
	return 0;
}

/* Whether the interface of a record is in a namespace; NULL = ours. Another of its name is not. */
static int is_at(const struct net_moved *m, const char *ns, bool *ret, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	const struct net_link *l;

	if (net_links_read(ns, &all, e) != 0)
		return -1;
	l = net_links_find(&all, m->name);
	*ret = l != NULL && strcmp(l->mac, m->mac) == 0;
	return 0;
}

/* From wherever it is held to this namespace, with nothing on it. */
static int bring(const char *dir, const struct net_moved *m, bool *ret_here, struct err *e)
{
	char *held SCOPED(mem_freep) = net_moved_held(dir), *own SCOPED(mem_freep) = net_path_own();
	const char *const argv[] = {"ip", "link", "set", "dev", m->name, "netns", own, NULL};
	const struct net_run r = {held, argv, NULL, NULL};
	bool there = false;

	if (held != NULL && is_at(m, held, &there, e) != 0)
		return -1;
	if (there && net_run(&r, e) != 0)
		return err_in(e, "bring %s back", m->name);
	fault_point("network: brought");
	return is_at(m, NULL, ret_here, e);
}

/* What is set holds before the kernel makes addresses of its own: it does when the link is up. */
static int restore(const struct net_moved *m, struct err *e)
{
	static const char *const argv[] = {"ip", "-force", "-batch", "-", NULL};
	struct buf size SCOPED(buf_release) = BUF_INIT(1024);
	struct buf lines SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	const struct net_run first = {NULL, argv, &size, NULL}, r = {NULL, argv, &lines, NULL};
	struct err *at = e, rest = ERR_INIT;

	buf_addf(&size, "link set dev %s mtu %u\n", m->name, m->mtu);
	if (net_run(&first, at) != 0)
		at = &rest;
	if (net_settings_restore(m->name, &m->settings, at) != 0)
		at = &rest;
	if (m->up)
		buf_addf(&lines, "link set dev %s up\n", m->name);
	for (size_t i = 0; i < m->lines.n; i++)
		buf_addf(&lines, "%s\n", m->lines.v[i]);
	if (net_run(&r, at) != 0)
		at = &rest;
	return at == e ? 0 : -1;
}

/* Whether an interface may be one that was moved: a kernel has some of its own in every namespace.
 */
static bool may_be_moved(const struct net_link *l)
{
	static const char *const not [] = {"macvlan",   "ipvlan", "gretap",
					   "ip6gretap", "erspan", "ip6erspan"};

	for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
		if (strcmp(l->kind, not [i]) == 0)
			return false;
	return l->ether;
}

/* Whether a process has a namespace. */
static int is_lived_in(const char *ns, bool *ret, struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};
	struct stat want, one;

	*ret = false;
	if (stat(ns, &want) != 0)
		return err_sys(e, "look at %s", ns);
	if (fs_list(AT_FDCWD, "/proc", &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n && !*ret; i++) {
		char *path SCOPED(mem_freep) = mem_format("/proc/%s/ns/net", all.v[i]);

		*ret = all.v[i][0] >= '1' && all.v[i][0] <= '9' && stat(path, &one) == 0 &&
		       one.st_dev == want.st_dev && one.st_ino == want.st_ino;
	}
	return 0;
}

/* Without a record all that is held comes back, as it is. */
static int bring_all(const char *held, char **ret, struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	char *own SCOPED(mem_freep) = net_path_own();

	if (net_links_read(held, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const char *const argv[] = {"ip",          "link",  "set", "dev",
					    all.v[i].name, "netns", own,   NULL};
		const struct net_run r = {held, argv, NULL, NULL};

		if (!may_be_moved(&all.v[i]))
			continue;
		if (net_run(&r, e) != 0)
			return err_in(e, "bring %s back", all.v[i].name);
		log_warn("%s is back, but not what it had: its record is lost", all.v[i].name);
		free(*ret);
		*ret = mem_strdup(all.v[i].name);
	}
	return 0;
}

/* Nobody knows whose it is: not that of one that runs, unless all have to go. */
static int return_unknown(const char *dir, bool whoever, char **ret, struct err *e)
{
	char *held SCOPED(mem_freep) = net_moved_held(dir);
	bool lived = false;

	if (held != NULL && !whoever && is_lived_in(held, &lived, e) != 0)
		return -1;
	if (lived)
		return 0;
	return held != NULL && bring_all(held, ret, e) != 0 ? -1 : forget(dir, e);
}

/* What could not be given back is somebody's to look at. */
static void keep_record(const char *dir, const struct net_moved *m, const char *to, const char *why)
{
	char *from SCOPED(mem_freep) = fs_join(dir, RECORD);

	log_warn("%s is back, but not all that it had: %s", m->name, why);
	if (rename(from, to) == 0)
		log_warn("what it had is in %s", to);
}

int net_return(const char *runtime, const struct site *s, const char *container, char **ret,
	       struct err *e)
{
	char *dir SCOPED(mem_freep) = net_moved_dir(runtime, s);
	char *failed SCOPED(mem_freep) = net_failed_path(runtime, s);
	struct net_moved m SCOPED(net_moved_release) = {0};
	struct err why = ERR_INIT;
	bool here = false;

	*ret = NULL;
	if (access(dir, F_OK) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", dir);
	if (!read_usable(dir, &m))
		return return_unknown(dir, container == NULL, ret, e);
	if (container != NULL && strcmp(m.container, container) != 0)
		return 0;
	if (bring(dir, &m, &here, e) != 0)
		return -1;
	if (!here)
		log_warn("the interface %s of shop %s is gone", m.name, s->shop);
	else if (restore(&m, &why) != 0)
		keep_record(dir, &m, failed, why.msg);
	fault_point("network: restored");
	if (forget(dir, e) != 0)
		return -1;
	*ret = here ? mem_strdup(m.name) : NULL;
	return 0;
}

/* Whether an interface of a name is held; m: the record, or NULL when there is none. */
static int is_held(const struct net_moved *m, const char *held, const char *name, bool *ret,
		   struct err *e)
{
	struct net_links all SCOPED(net_links_release) = {0};
	const struct net_link *l;

	*ret = false;
	if (held == NULL || (m != NULL && strcmp(m->name, name) != 0))
		return 0;
	if (m != NULL)
		return is_at(m, held, ret, e);
	if (net_links_read(held, &all, e) != 0)
		return -1;
	l = net_links_find(&all, name);
	*ret = l != NULL && may_be_moved(l);
	return 0;
}

int net_where(const struct net *n, char **ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	char *held SCOPED(mem_freep) = net_moved_held(dir);
	struct net_moved m SCOPED(net_moved_release) = {0};
	bool there = read_usable(dir, &m), here;

	if (is_held(there ? &m : NULL, held, n->s->network.interface, &here, e) != 0)
		return -1;
	*ret = here ? STEAL(held) : NULL;
	return 0;
}

int net_is_held(const struct net *n, int ns, bool *ret, struct err *e)
{
	char *dir SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	char *held SCOPED(mem_freep) = net_moved_held(dir);
	struct net_moved m SCOPED(net_moved_release) = {0};
	struct stat a, b;

	*ret = false;
	if (held == NULL || !read_usable(dir, &m))
		return 0;
	if (stat(held, &a) != 0 || fstat(ns, &b) != 0)
		return err_sys(e, "look at %s", held);
	*ret = a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	       strcmp(m.name, n->s->network.interface) == 0 &&
	       strcmp(m.container, n->container) == 0;
	return 0;
}

/* The one that another instance of the site had: as if it had never come back. What the record says
 * of the host stays true. *ret_held is where it still is, when it is not here. */
static int take_over(const struct net *n, const char *dir, bool *ret_recorded, char **ret_held,
		     struct err *e)
{
	struct net_moved m SCOPED(net_moved_release) = {0};
	char *back SCOPED(mem_freep) = NULL, *held SCOPED(mem_freep) = net_moved_held(dir);
	bool there, here = false;

	*ret_recorded = false;
	if (!read_usable(dir, &m) || strcmp(m.name, n->s->network.interface) != 0)
		return net_return(n->runtime, n->s, NULL, &back, e);
	if (is_held(&m, held, m.name, &there, e) != 0 || (!there && is_at(&m, NULL, &here, e) != 0))
		return -1;
	if (!there && !here)
		return net_return(n->runtime, n->s, NULL, &back, e);
	*ret_recorded = true;
	*ret_held = there ? STEAL(held) : NULL;
	if (strcmp(m.container, n->container) == 0)
		return 0;
	free(m.container);
	m.container = mem_strdup(n->container);
	return write_record(dir, &m, e);
}

/* What is known of an interface whose record is lost. */
static int record_anew(const struct net *n, const char *dir, const char *at, bool *ret,
		       struct err *e)
{
	struct net_moved m SCOPED(net_moved_release) = {.container = mem_strdup(n->container),
							.up = true};
	struct net_links all SCOPED(net_links_release) = {0};
	const struct net_link *l;

	if (net_links_read(at, &all, e) != 0)
		return -1;
	l = net_links_find(&all, n->s->network.interface);
	if (l == NULL || !may_be_moved(l))
		return 0;
	log_warn("what %s had on the host is not known any more", l->name);
	memcpy(m.name, l->name, sizeof(m.name));
	memcpy(m.mac, l->mac, sizeof(m.mac));
	m.mtu = l->mtu;
	*ret = true;
	return write_record(dir, &m, e);
}

/* Whether the instance has it already. */
static int has_it(const struct net *n, const char *dir, const char *at, bool *ret, struct err *e)
{
	struct net_moved m SCOPED(net_moved_release) = {0};

	*ret = false;
	if (!read_usable(dir, &m))
		return record_anew(n, dir, at, ret, e);
	return strcmp(m.name, n->s->network.interface) == 0 &&
		       strcmp(m.container, n->container) == 0
		   ? is_at(&m, at, ret, e)
		   : 0;
}

/* From where a former instance had it; the host, which may have another of its name, need not. */
static int move_on(const struct net *n, const char *dir, const char *held, int ns, struct err *e)
{
	char *at SCOPED(mem_freep) = net_path(ns);
	const char *const argv[] = {"ip",    "link", "set", "dev", n->s->network.interface,
				    "netns", at,     NULL};
	const struct net_run r = {held, argv, NULL, NULL};

	if (held != NULL)
		return net_run(&r, e) != 0 ? -1 : hold(dir, ns, e);
	if (hold(dir, ns, e) != 0)
		return -1;
	fault_point("network: held");
	return net_run(&r, e);
}

int net_move(const struct net *n, int ns, struct err *e)
{
	char *dir SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	char *at SCOPED(mem_freep) = net_path(ns), *held SCOPED(mem_freep) = NULL;
	struct net_moved m SCOPED(net_moved_release) = {0};
	bool recorded, here;

	if (has_it(n, dir, at, &here, e) != 0)
		return -1;
	if (here)
		return hold(dir, ns, e);
	if (take_over(n, dir, &recorded, &held, e) != 0)
		return -1;
	if (!recorded && (describe(n, &m, e) != 0 || write_record(dir, &m, e) != 0))
		return -1;
	fault_point("network: recorded");
	return move_on(n, dir, held, ns, e);
}

int net_moved_has(const struct net *n, uint32_t addr, char ret[NET_NAME], struct err *e)
{
	char *own SCOPED(mem_freep) = net_moved_dir(n->runtime, n->s);
	struct strv all SCOPED(strv_release) = {0};

	ret[0] = '\0';
	if (access(n->runtime, F_OK) != 0)
		return 0;
	if (fs_list(AT_FDCWD, n->runtime, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		char *dir SCOPED(mem_freep) = fs_join(n->runtime, all.v[i]);
		struct net_moved m SCOPED(net_moved_release) = {0};
		const char *dot = strrchr(all.v[i], '.');

		if (dot == NULL || strcmp(dot, ".interface") != 0 || !read_usable(dir, &m))
			continue;
		/* its own card goes with what it has */
		if (strcmp(dir, own) == 0 && n->s->network.mode == SITE_MOVE &&
		    strcmp(m.name, n->s->network.interface) == 0)
			continue;
		if (net_lines_have(&m.lines, addr))
			memcpy(ret, m.name, NET_NAME);
	}
	return 0;
}
