#include "build/expects.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/num.h"
#include "sys/fs.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

void laid_release(struct laid *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].text);
	}
	free(l->v);
	strv_release(&l->made);
	*l = (struct laid){0};
}

/* Where a path of the step leads, links followed as the step follows them; what is not there yet
 * is where it says. */
static int resolve(int root, const char *path, char **ret, struct err *e)
{
	char *own SCOPED(mem_freep) = mem_format("/proc/self/fd/%d", root);
	char *link SCOPED(mem_freep) = NULL, *base SCOPED(mem_freep) = NULL;
	char *full SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	size_t n;

	if (fs_open_in_root(root, path, O_PATH, &fd, e) != 0) {
		if (errno != ENOENT)
			return -1;
		*ret = mem_strdup(path + 1);
		return 0;
	}
	link = mem_format("/proc/self/fd/%d", fd);
	base = realpath(own, NULL);
	full = realpath(link, NULL);
	n = base != NULL ? strlen(base) : 0;
	if (full == NULL || n < 2 || strncmp(full, base, n) != 0 || full[n] != '/')
		return err_set(e, ERR_FAIL, "%s is not in the tree", path);
	*ret = mem_strdup(full + n + 1);
	return 0;
}

static int write_file(int root, const char *path, const char *text, struct strv *made,
		      struct err *e)
{
	char *absolute SCOPED(mem_freep) = mem_format("/%s", path);
	char *dir SCOPED(mem_freep) = fs_dirname(absolute);
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs_in_root(root, dir, 0755, made, e) != 0 ||
	    fs_open_in_root(root, absolute, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, &fd, e) != 0)
		return -1;
	if (fs_write_all(fd, text, strlen(text), e) != 0)
		return -1;
	return fchmod(fd, 0644) == 0 ? 0 : err_sys(e, "change mode of %s", path);
}

static int lay(int root, const char *path, const char *text, bool fixed, struct laid *l,
	       struct err *e)
{
	char *at SCOPED(mem_freep) = NULL;

	if (resolve(root, path, &at, e) != 0 || write_file(root, at, text, &l->made, e) != 0)
		return err_in(e, "show %s", path);
	l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = (struct laid_file){STEAL(at), mem_strdup(text), fixed};
	return 0;
}

static bool has(int root, const char *path)
{
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	return fs_open_in_root(root, path, O_PATH, &fd, &quiet) == 0;
}

/* What the tree has under the path, as a beginning; nothing is fine. */
static void begin_with(int root, const char *path, const char *otherwise, struct buf *b)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (fs_open_in_root(root, path, O_RDONLY | O_NONBLOCK, &fd, &quiet) == 0 &&
	    fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < TEXT_MAX / 2) {
		char *text SCOPED(mem_freep) = mem_zalloc((size_t)st.st_size + 1);

		if (fs_read_all(fd, text, (size_t)st.st_size, &quiet) == 0)
			buf_add(b, text, strlen(text));
	}
	if (b->len == 0)
		buf_addf(b, "%s", otherwise);
	if (b->data[b->len - 1] != '\n')
		buf_addf(b, "\n");
}

struct address {
	char host[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
};

/* Of "192.0.2.10/24", which the recipe's grammar has let through. */
static struct address address_of(const char *text)
{
	const char *slash = strchr(text, '/');
	struct address a = {"", ""};
	struct in_addr mask;
	uint64_t bits = 24;

	memcpy(a.host, text, (size_t)(slash - text));
	(void)!num_u64(slash + 1, 32, &bits);
	mask.s_addr = htonl(~(uint32_t)0 << (32 - bits));
	(void)inet_ntop(AF_INET, &mask, a.mask, sizeof(a.mask));
	return a;
}

static int lay_hosts(const struct recipe_expects *x, int root, struct laid *l, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	const char *name = x->hostname;
	struct address a = {"127.0.1.1", ""};

	if (x->address != NULL)
		a = address_of(x->address);
	begin_with(root, "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", &b);
	if (name != NULL && strchr(name, '.') != NULL)
		buf_addf(&b, "%s %s %.*s\n", a.host, name, (int)strcspn(name, "."), name);
	else
		buf_addf(&b, "%s %s\n", a.host, name != NULL ? name : "localhost.localdomain");
	return lay(root, "/etc/hosts", b.data, false, l, e);
}

/* As each family of systems keeps a fixed address. */
static int lay_address(const struct recipe_expects *x, int root, struct laid *l, struct err *e)
{
	struct address a = address_of(x->address);
	char *ifcfg SCOPED(mem_freep) =
	    mem_format("DEVICE=eth0\nTYPE=Ethernet\nONBOOT=yes\nBOOTPROTO=static\nIPADDR=%s\n"
		       "NETMASK=%s\n",
		       a.host, a.mask);
	char *interfaces SCOPED(mem_freep) = mem_format("auto lo\niface lo inet loopback\n\n"
							"auto eth0\niface eth0 inet static\n"
							"\taddress %s\n\tnetmask %s\n",
							a.host, a.mask);

	if (has(root, "/etc/sysconfig") &&
	    lay(root, "/etc/sysconfig/network-scripts/ifcfg-eth0", ifcfg, false, l, e) != 0)
		return -1;
	if (has(root, "/etc/network"))
		return lay(root, "/etc/network/interfaces", interfaces, false, l, e);
	return 0;
}

static int lay_fstab(const struct recipe_expects *x, int root, struct laid *l, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < x->fstab_lines.n; i++)
		buf_addf(&b, "%s\n", x->fstab_lines.v[i]);
	if (b.len == 0)
		buf_addf(&b, "/dev/sda1 / ext4 defaults 0 1\n");
	if (buf_over(&b))
		return err_set(e, ERR_RECIPE, "fstab: more than 1 MiB");
	return lay(root, "/etc/fstab", b.data, false, l, e);
}

/* Every value in quotes, with what is special in them escaped: os-release(5). */
static int lay_os_release(const struct recipe_expects *x, int root, struct laid *l, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < x->os_release.n; i++) {
		const char *c = strchr(x->os_release.v[i], '=') + 1;

		buf_add(&b, x->os_release.v[i], (size_t)(c - x->os_release.v[i]));
		buf_add(&b, "\"", 1);
		for (; *c != '\0'; c++)
			buf_addf(&b, "%s%c", strchr("\"$`\\", *c) != NULL ? "\\" : "", *c);
		buf_add(&b, "\"\n", 2);
	}
	if (buf_over(&b))
		return err_set(e, ERR_RECIPE, "os-release: more than 1 MiB");
	return lay(root, "/etc/os-release", b.data, true, l, e);
}

static int lay_names(const struct recipe_expects *x, int root, struct laid *l, struct err *e)
{
	char *line SCOPED(mem_freep) = NULL;

	if ((x->hostname != NULL || x->address != NULL) && lay_hosts(x, root, l, e) != 0)
		return -1;
	if (x->hostname == NULL)
		return 0;
	line = mem_format("%s\n", x->hostname);
	return lay(root, "/etc/hostname", line, false, l, e);
}

int expects_lay(const struct recipe_step *st, const char *root, struct laid *ret, struct err *e)
{
	const struct recipe_expects *x = &st->expects;
	char *line SCOPED(mem_freep) = mem_format("%s\n", x->redhat_release);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0 || lay_names(x, fd, ret, e) != 0)
		return -1;
	if (x->address != NULL && lay_address(x, fd, ret, e) != 0)
		return -1;
	if (x->fstab && lay_fstab(x, fd, ret, e) != 0)
		return -1;
	if (x->os_release.n > 0 && lay_os_release(x, fd, ret, e) != 0)
		return -1;
	if (x->redhat_release != NULL)
		return lay(fd, "/etc/redhat-release", line, true, ret, e);
	return 0;
}

/* Whether the file is as it was laid. */
static bool same(int root, const struct laid_file *f)
{
	char *path SCOPED(mem_freep) = mem_format("/%s", f->path);
	size_t n = strlen(f->text);
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (fs_open_in_root(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd, &quiet) != 0 ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != n ||
	    (st.st_mode & 07777) != 0644)
		return false;
	char *text SCOPED(mem_freep) = mem_zalloc(n + 1);

	return fs_read_all(fd, text, n, &quiet) == 0 && memcmp(text, f->text, n) == 0;
}

int expects_check(const struct recipe_step *st, const char *root, const struct laid *l,
		  struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		if (same(fd, &l->v[i]))
			continue;
		if (l->v[i].fixed) {
			(void)err_set(e, ERR_STEP, "step %s changed /%s, which is only shown to it",
				      st->name, l->v[i].path);
			return err_hint(e, "what an image says that it is stays true");
		}
		log_info("step %s: what it changed in /%s is dropped", st->name, l->v[i].path);
	}
	return 0;
}

static int take_out(int upper, const char *path, struct err *e)
{
	char *absolute SCOPED(mem_freep) = mem_format("/%s", path);
	char *dir SCOPED(mem_freep) = fs_dirname(absolute),
		  *name SCOPED(mem_freep) = fs_basename(path);
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	/* the step may have put anything in the way; then there is nothing of ours below it */
	if (fs_open_in_root(upper, dir, O_RDONLY | O_DIRECTORY, &fd, &quiet) != 0)
		return 0;
	return fs_rmtree(fd, name, e);
}

int expects_take_out(const char *upper, const struct laid *l, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (l->n == 0)
		return 0;
	if (fs_open_dir(AT_FDCWD, upper, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		if (take_out(fd, l->v[i].path, e) != 0)
			return -1;
	for (size_t i = l->made.n; i-- > 0;) {
		char *dir SCOPED(mem_freep) = mem_format("/%s", l->made.v[i]);
		char *parent SCOPED(mem_freep) = fs_dirname(dir);
		char *name SCOPED(mem_freep) = fs_basename(dir);
		int at SCOPED(fd_closep) = -1;
		struct err quiet = ERR_INIT;

		/* one that the step put something into stays */
		if (fs_open_in_root(fd, parent, O_RDONLY | O_DIRECTORY, &at, &quiet) == 0)
			(void)unlinkat(at, name, AT_REMOVEDIR);
	}
	return 0;
}
