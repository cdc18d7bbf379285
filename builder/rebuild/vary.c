/* vary.c - under which other circumstances the image is built again. */
#include "rebuild/again.h"

#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { SPARE_BYTES = 768 << 20, GROWTH = 8, SUBIDS_MIN = 65535 };

void again_varied(struct again *a, const char *name, char *was, char *is, char *why_not)
{
	struct rebuild_result *r = a->ret;

	r->varied = mem_resize(r->varied, r->varied_n + 1, sizeof(*r->varied));
	r->varied[r->varied_n++] =
	    (struct rebuild_varied){.name = name, .was = was, .is = is, .why_not = why_not};
}

static const char *environment(const char *name, const char *none)
{
	const char *s = getenv(name);

	return s != NULL && s[0] != '\0' ? s : none;
}

/* Sets a variable of the new build to the first of the two values that it does not have now. */
static void vary_variable(struct again *a, const char *what, const char *name,
			  const char *const values[2])
{
	const char *was = environment(name, "");
	const char *is = values[strcmp(was, values[0]) == 0 ? 1 : 0];

	strv_addf(&a->env, "%s=%s", name, is);
	again_varied(a, what, mem_strdup(was[0] != '\0' ? was : "not set"), mem_strdup(is), NULL);
}

/* The rest of our environment: proxies, mirrors, search paths. */
static void keep_environment(struct again *a)
{
	static const char *const gone[] = {
	    "LC_",      "LANG",    "TZ=",  "HOME=",   "USER=",
	    "LOGNAME=", "TMPDIR=", "PWD=", "OLDPWD=", "POSMEDIA_STORE="};

	for (char **v = environ; *v != NULL; v++) {
		bool keep = true;

		for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
			keep = keep && strncmp(*v, gone[i], strlen(gone[i])) != 0;
		if (keep)
			strv_add(&a->env, *v);
	}
}

static void vary_environment(struct again *a)
{
	static const char *const locales[2] = {"tr_TR.UTF-8", "C.UTF-8"};
	static const char *const zones[2] = {"Pacific/Kiritimati", "America/Adak"};

	keep_environment(a);
	vary_variable(a, "locale", "LC_ALL", locales);
	vary_variable(a, "time zone", "TZ", zones);
	strv_addf(&a->env, "HOME=%s", a->place);
	again_varied(a, "umask", mem_strdup("022"), mem_strdup("077"), NULL);
}

static void vary_threads(struct again *a)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned was = online > 0 && online < 256 ? (unsigned)online : 1;

	a->threads = was == 3 ? 2 : 3;
	again_varied(a, "threads", mem_format("%u", was), mem_format("%u", a->threads), NULL);
}

/* Whether "USER:FIRST:COUNT" gives this user enough ids. */
static bool grants(const char *line, const struct passwd *pw)
{
	const char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;
	char *who SCOPED(mem_freep) = mem_strndup(line, strcspn(line, ":\n"));
	char *number SCOPED(mem_freep) = NULL;
	uint64_t n, id;

	if (count == NULL)
		return false;
	if (strcmp(who, pw->pw_name) != 0 &&
	    (num_u64(who, UINT32_MAX, &id) != 0 || id != pw->pw_uid))
		return false;
	number = mem_strndup(count + 1, strcspn(count + 1, ":\n"));
	return num_u64(number, UINT32_MAX, &n) == 0 && n >= SUBIDS_MIN;
}

static bool file_grants(const char *file, const struct passwd *pw)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err none = ERR_INIT;

	if (fs_get(AT_FDCWD, file, &b, &none) != 0)
		return false;
	for (const char *l = b.data; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		if (grants(l, pw))
			return true;
	return false;
}

/* The first user of /etc/subuid who can build; false when there is none. */
static bool find_user(struct again *a)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err none = ERR_INIT;

	if (fs_get(AT_FDCWD, "/etc/subuid", &b, &none) != 0)
		return false;
	for (const char *l = b.data; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n') {
		char *who SCOPED(mem_freep) = mem_strndup(l, strcspn(l, ":\n"));
		const struct passwd *pw = getpwnam(who);

		if (pw == NULL || pw->pw_uid == 0 || !grants(l, pw) ||
		    !file_grants("/etc/subgid", pw))
			continue;
		a->user = mem_strdup(pw->pw_name);
		a->uid = pw->pw_uid;
		a->gid = pw->pw_gid;
		return true;
	}
	return false;
}

static int take_user(struct again *a, const char *name, struct err *e)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return err_set(e, ERR_USAGE, "--as %s: no such user", name);
	if (pw->pw_uid == 0)
		return 0;
	a->user = mem_strdup(pw->pw_name);
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	return 0;
}

/* In a namespace of our own we are called root; the first row of the map says who that is. */
static int own_uid(uid_t *ret, struct err *e)
{
	struct buf map SCOPED(buf_release) = BUF_INIT(4096);
	char *number SCOPED(mem_freep) = NULL;
	const char *at;
	uint64_t v = 0;

	if (fs_get(AT_FDCWD, "/proc/self/uid_map", &map, e) != 0)
		return -1;
	at = map.data + strspn(map.data, " ");
	at += strcspn(at, " ");
	at += strspn(at, " ");
	number = mem_strndup(at, strcspn(at, " "));
	if (num_u64(number, UINT32_MAX, &v) != 0)
		return err_set(e, ERR_FAIL, "/proc/self/uid_map: cannot be read");
	*ret = (uid_t)v;
	return 0;
}

static int choose_user(struct again *a, uid_t own, const char *us, char **ret_why, struct err *e)
{
	const char *as = a->o->as;

	if (own != 0) {
		*ret_why = mem_strdup("only root can build as another user");
		if (as != NULL && strcmp(as, us) != 0)
			return err_set(e, ERR_USAGE, "--as %s: %s", as, *ret_why);
	} else if (as != NULL) {
		if (take_user(a, as, e) != 0)
			return -1;
		*ret_why = a->user == NULL ? mem_strdup("as asked for") : NULL;
	} else if (!find_user(a)) {
		*ret_why = mem_strdup("no user of this machine has subordinate ids (usermod "
				      "--add-subuids 100000-165535 --add-subgids 100000-165535 "
				      "USER grants them)");
	}
	return 0;
}

static int vary_user(struct again *a, struct err *e)
{
	char *us SCOPED(mem_freep) = NULL, *why SCOPED(mem_freep) = NULL;
	const struct passwd *pw;
	uid_t own = 0;

	if (own_uid(&own, e) != 0)
		return -1;
	pw = getpwuid(own);
	us = pw != NULL ? mem_strdup(pw->pw_name) : mem_format("%u", (unsigned)own);
	if (choose_user(a, own, us, &why, e) != 0)
		return -1;
	strv_add(&a->words, us);
	strv_add(&a->meanings, "the name of who ran the build");
	again_varied(a, "user", mem_strdup(us), mem_strdup(a->user != NULL ? a->user : us),
		     STEAL(why));
	return 0;
}

static const char *fs_name(const char *path)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {
	    {0x01021994, "tmpfs"}, {0xEF53, "ext4"},         {0x58465342, "xfs"},
	    {0x9123683E, "btrfs"}, {0x794c7630, "overlay"},  {0x2FC12FC1, "zfs"},
	    {0xF2F52010, "f2fs"},  {0xCA451A4E, "bcachefs"}, {0x6969, "nfs"},
	};
	struct statfs s;

	for (size_t i = 0; statfs(path, &s) == 0 && i < sizeof(known) / sizeof(known[0]); i++)
		if ((unsigned long)s.f_type == known[i].magic)
			return known[i].name;
	return "another file system";
}

static uint64_t free_memory(void)
{
	static const char key[] = "MemAvailable:";
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err none = ERR_INIT;
	const char *at;
	uint64_t kib = 0;

	if (fs_get(AT_FDCWD, "/proc/meminfo", &b, &none) != 0 || (at = strstr(b.data, key)) == NULL)
		return 0;
	at += strlen(key);
	at += strspn(at, " ");
	char *number SCOPED(mem_freep) = mem_strndup(at, strcspn(at, " "));

	return num_u64(number, UINT64_MAX >> 10, &kib) == 0 ? kib << 10 : 0;
}

/* Packages, their trees twice over, layers, and what a medium unpacks to. */
static uint64_t space_wanted(const struct lock *l)
{
	uint64_t n = SPARE_BYTES;

	for (size_t i = 0; i < l->packages_n; i++)
		n += l->packages[i].size * GROWTH;
	for (size_t i = 0; i < l->media_n; i++)
		n += l->media[i].size * GROWTH;
	for (size_t i = 0; i < l->recorded_n; i++)
		n += l->recorded[i].size * GROWTH;
	return n;
}

static int mount_tmpfs(struct again *a, uint64_t size, struct err *e)
{
	char *how SCOPED(mem_freep) = mem_format("mode=0755,size=%llu", (unsigned long long)size);

	if (mount("posmedia", a->place, "tmpfs", MS_NODEV, how) != 0)
		return err_sys(e, "mount a tmpfs at %s", a->place);
	a->mounted = true;
	return 0;
}

static bool is_called(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && strcmp(path + n - m, end) == 0;
}

/* A folder of a name that nobody else has, below --on or where temporary files go; and memory as
 * its file system when there is enough of it. */
static int make_place(struct again *a, struct err *e)
{
	const char *dir = a->o->on != NULL ? a->o->on : environment("TMPDIR", "/var/tmp");
	uint64_t want = space_wanted(a->l), have = free_memory();
	char *full SCOPED(mem_freep) = realpath(dir, NULL);
	char *need SCOPED(mem_freep) = num_human(want);
	const char *was = fs_name(store_path(a->o->store));
	char *why = NULL;

	if (full == NULL)
		return err_sys(e, "%s", dir);
	if (strstr(full, "/recipes/") != NULL || is_called(full, "/recipes"))
		return err_set(e, ERR_USAGE, "%s: lies below a directory of recipes", full);
	a->place = mem_format("%s/posmedia-rebuild.XXXXXX", full);
	if (mkdtemp(a->place) == NULL) {
		mem_freep(&a->place);
		return err_sys(e, "make a folder in %s", full);
	}
	if (a->o->on == NULL && have / 2 >= want && mount_tmpfs(a, have / 2, e) != 0)
		return -1;
	if (chmod(a->place, 0755) != 0)
		return err_sys(e, "open %s to its user", a->place);
	if (strcmp(was, fs_name(a->place)) == 0)
		why = a->o->on != NULL
			  ? mem_format("%s is one of the same kind", a->o->on)
			  : mem_format("not enough free memory for a tmpfs: wants %s twice", need);
	again_varied(a, "folder", mem_strdup(store_path(a->o->store)), mem_strdup(a->place), NULL);
	again_varied(a, "file system", mem_strdup(was), mem_strdup(fs_name(a->place)), why);
	return 0;
}

int again_vary(struct again *a, struct err *e)
{
	if (make_place(a, e) != 0 || vary_user(a, e) != 0)
		return -1;
	vary_environment(a);
	vary_threads(a);
	again_varied(
	    a, "machine", mem_strdup("this one"), mem_strdup("this one"),
	    mem_strdup("its name, kernel and clock are the same; rebuild on another one too"));
	return 0;
}

int again_leave(struct again *a, struct err *e)
{
	int rc = 0;

	if (a->place == NULL)
		return 0;
	if (a->mounted && umount2(a->place, MNT_DETACH) != 0)
		rc = err_sys(e, "unmount %s", a->place);
	if (fs_rmtree(AT_FDCWD, a->place, e) != 0)
		rc = -1;
	return rc;
}
