#include "sandbox/priv.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum {
	LOWER_MAX = 500, /* the kernel's own limit */
	TEXT_MAX = 255,  /* of one option of fsconfig(2) */
};

/* Every directory by an open descriptor, named /proc/self/fd/N: so a path may have any bytes and
 * any length, while overlayfs splits its options at colons and commas. */
struct stack {
	int *lower;
	size_t n;
	int upper, work;
	bool plain_user; /* in a user namespace: user.overlay.* instead of trusted.overlay.* */
};

static void stack_release(struct stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		fd_closep(&s->lower[i]);
	free(s->lower);
	fd_closep(&s->upper);
	fd_closep(&s->work);
}

static int open_dir(const char *path, int *ret, struct err *e)
{
	*ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret >= 0 ? 0 : err_sys(e, "open directory %s", path);
}

static const char *const both_options[][2] = {{"xino", "off"}, {"index", "off"}};
static const char *const root_options[][2] = {{"redirect_dir", "off"}, {"metacopy", "off"}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the kernel wrote about a refusal: fsopen(2)'s message log, without its "e " prefix. */
static int err_fs(int fs, const char *what, struct err *e)
{
	char said[512] = "";
	int why = errno;
	ssize_t n = read(fs, said, sizeof(said) - 1);

	errno = why;
	if (n <= 2)
		return err_sys(e, "overlay: %s", what);
	said[n] = '\0';
	said[strcspn(said, "\n")] = '\0';
	return err_sys(e, "overlay: %s: %s", what, said + 2);
}

static int set(int fs, const char *key, const char *value, struct err *e)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) != 0)
		return err_fs(fs, key, e);
	return 0;
}

static int set_dir(int fs, const char *key, int dir, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", dir);

	return set(fs, key, path, e);
}

static int configure_common(int fs, const struct stack *s, struct err *e)
{
	for (size_t i = 0; i < COUNT(both_options); i++)
		if (set(fs, both_options[i][0], both_options[i][1], e) != 0)
			return -1;
	for (size_t i = 0; !s->plain_user && i < COUNT(root_options); i++)
		if (set(fs, root_options[i][0], root_options[i][1], e) != 0)
			return -1;
	if (s->plain_user && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) != 0)
		return err_fs(fs, "userxattr", e);
	return 0;
}

static int configure(int fs, const struct stack *s, struct err *e)
{
	if (configure_common(fs, s, e) != 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (set_dir(fs, "lowerdir+", s->lower[i], e) != 0)
			return -1;
	if (s->upper < 0)
		return 0;
	if (set_dir(fs, "upperdir", s->upper, e) != 0 || set_dir(fs, "workdir", s->work, e) != 0)
		return -1;
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) != 0)
		return err_fs(fs, "volatile", e);
	return 0;
}

static int make_mount(int fs, unsigned attributes, int *ret_fd, struct err *e)
{
	int mnt;

	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return err_fs(fs, "mount", e);
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	if (mnt < 0)
		return err_sys(e, "overlay: mount");
	*ret_fd = mnt;
	return 0;
}

static int mount_new(int fs, const struct stack *s, const char *target, struct err *e)
{
	unsigned attributes =
	    s->upper < 0 ? MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY : MOUNT_ATTR_NODEV;
	int mnt SCOPED(fd_closep) = -1;

	if (make_mount(fs, attributes, &mnt, e) != 0)
		return -1;
	if (move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "overlay: mount at %s", target);
	return 0;
}

/* Before Linux 6.5: all options in one page of text. */
static int mount_old(const struct stack *s, const char *target, struct err *e)
{
	struct buf o SCOPED(buf_release) = BUF_INIT(4095);
	unsigned long flags = s->upper < 0 ? MS_NODEV | MS_RDONLY : MS_NODEV;

	buf_addf(&o, "xino=off,index=off,%s,lowerdir=",
		 s->plain_user ? "userxattr" : "redirect_dir=off,metacopy=off");
	for (size_t i = 0; i < s->n; i++)
		buf_addf(&o, "%s/proc/self/fd/%d", i > 0 ? ":" : "", s->lower[i]);
	if (s->upper >= 0)
		buf_addf(&o, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,volatile",
			 s->upper, s->work);
	if (buf_over(&o))
		return err_set(e, ERR_FAIL, "overlay: %zu layers do not fit this kernel's mount",
			       s->n);
	if (mount("overlay", target, "overlay", flags, o.data) != 0)
		return err_sys(e, "overlay: mount at %s", target);
	return 0;
}

static bool has_lower_plus(void)
{
	int fs SCOPED(fd_closep) = fsopen("overlay", FSOPEN_CLOEXEC);

	return fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
}

/* overlayfs wants two directories; one alone is a read-only bind mount. */
static int clone_one(const char *lower, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    open_tree(AT_FDCWD, lower, OPEN_TREE_CLONE | (unsigned)OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open tree %s", lower);
	if (mounts_restrict(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, lower, e) != 0)
		return -1;
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static int mount_one(const char *lower, const char *target, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (clone_one(lower, &fd, e) != 0)
		return -1;
	if (move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0)
		return err_sys(e, "mount at %s", target);
	return 0;
}

static int mount_stack(const struct stack *s, const char *target, struct err *e)
{
	int fs SCOPED(fd_closep) = -1;

	if (!has_lower_plus())
		return mount_old(s, target, e);
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(e, "overlay: open");
	if (configure(fs, s, e) != 0)
		return -1;
	return mount_new(fs, s, target, e);
}

/* A volatile overlay marks its work directory, so that nobody mounts what a crash may have left
 * incomplete. Our trees do not outlive a crash; the mark only stops a second mount of ours. */
static int forget_volatile(const char *work, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(work, "work/incompat");

	if (access(path, F_OK) != 0)
		return 0;
	return fs_rmtree(AT_FDCWD, path, e);
}

static int check_count(size_t n, struct err *e)
{
	if (n > 0 && n <= LOWER_MAX)
		return 0;
	return err_set(e, ERR_FAIL, "overlay: %zu lower directories; 1 to %d are possible", n,
		       (int)LOWER_MAX);
}

static int open_lower(const char *const *lower, size_t n, struct stack *s, struct err *e)
{
	s->lower = mem_zalloc(n * sizeof(*s->lower));
	s->plain_user = !idmap_is_initial();
	for (; s->n < n; s->n++)
		if (open_dir(lower[s->n], &s->lower[s->n], e) != 0)
			return -1;
	return 0;
}

int sandbox_overlay(const char *const *lower, size_t n, const char *upper, const char *work,
		    const char *target, struct err *e)
{
	struct stack s SCOPED(stack_release) = {.upper = -1, .work = -1};

	if (check_count(n, e) != 0)
		return -1;
	if ((upper == NULL) != (work == NULL))
		return err_set(e, ERR_FAIL, "overlay: upper and work directories go together");
	if (n == 1 && upper == NULL)
		return mount_one(lower[0], target, e);
	if (open_lower(lower, n, &s, e) != 0)
		return -1;
	if (upper != NULL && (open_dir(upper, &s.upper, e) != 0 || forget_volatile(work, e) != 0 ||
			      open_dir(work, &s.work, e) != 0))
		return -1;
	return mount_stack(&s, target, e);
}

/* Before Linux 6.5: all directories in one option. */
static int configure_old(int fs, const struct stack *s, struct err *e)
{
	struct buf dirs SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < s->n; i++)
		buf_addf(&dirs, "%s/proc/self/fd/%d", i > 0 ? ":" : "", s->lower[i]);
	if (buf_over(&dirs))
		return err_set(e, ERR_FAIL, "overlay: %zu layers do not fit this kernel's mount",
			       s->n);
	return configure_common(fs, s, e) != 0 ? -1 : set(fs, "lowerdir", dirs.data, e);
}

int sandbox_overlay_view(const char *const *lower, size_t n, int *ret_fd, struct err *e)
{
	struct stack s SCOPED(stack_release) = {.upper = -1, .work = -1};
	int fs SCOPED(fd_closep) = -1;

	if (check_count(n, e) != 0)
		return -1;
	if (n == 1)
		return clone_one(lower[0], ret_fd, e);
	if (open_lower(lower, n, &s, e) != 0)
		return -1;
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(e, "overlay: open");
	if ((has_lower_plus() ? configure(fs, &s, e) : configure_old(fs, &s, e)) != 0)
		return -1;
	return make_mount(fs, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, ret_fd, e);
}

const char *sandbox_opaque_mark(void)
{
	return idmap_is_initial() ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

int sandbox_unmount(const char *target, struct err *e)
{
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
		return err_sys(e, "unmount %s", target);
	return 0;
}
