/* host_keys.c - what an instance's sshd proves itself with: made once for a site, on the host, so
 * that they are there before the first start and in no image. */
#include "stage/keeps.h"

#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 64 << 10, KEYGEN_MS = 120000 };

#define STORED "hostkeys.tar"

static int take(int dirfd, const char *name, mode_t mode, struct files *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(KEY_MAX);
	char *path SCOPED(mem_freep) = mem_format("etc/ssh/%s", name);
	const struct small_file like = {.path = path, .mode = S_IFREG | mode};

	if (fs_get_file(dirfd, name, &text, e) != 0)
		return -1;
	files_put_text(ret, &like, text.data);
	explicit_bzero(text.data, text.len);
	return 0;
}

static int make_one(const struct stage *st, const char *dir, const char *type, struct files *ret,
		    struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format("ssh_host_%s_key", type);
	char *public SCOPED(mem_freep) = mem_format("%s.pub", name);
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	char *comment SCOPED(mem_freep) = mem_format("root@%s", st->s->hostname);
	const char *const argv[] = {"ssh-keygen", "-q",    "-t", type, "-N", "",
				    "-C",         comment, "-f", path, NULL};
	const struct proc_spec spec = {.argv = argv, .timeout_ms = KEYGEN_MS};
	int fd SCOPED(fd_closep) = -1;

	return proc_ok(&spec, ERR_FAIL, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0 ||
		       take(fd, name, 0600, ret, e) != 0 || take(fd, public, 0644, ret, e) != 0
		   ? -1
		   : 0;
}

static int make_all(const struct stage *st, const char *dir, struct files *ret, struct err *e)
{
	static const char *const types[] = {"rsa", "ecdsa", "ed25519"};

	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (make_one(st, dir, types[i], ret, e) != 0)
			return -1;
	return 0;
}

int keeps_host_keys(struct stage *st, struct files *ret, struct err *e)
{
	struct files made SCOPED(files_release) = {0};
	char *dir SCOPED(mem_freep) = fs_join(st->own, "hostkeys");
	struct err why = ERR_INIT;
	bool changed;
	int rc;

	if (keeps_load(st, STORED, &made, e) != 0)
		return -1;
	if (made.n == 0) {
		/* of one that died here */
		if (fs_rmtree(AT_FDCWD, dir, e) != 0)
			return -1;
		rc = make_all(st, dir, &made, e);
		if (fs_rmtree(AT_FDCWD, dir, rc == 0 ? e : &why) != 0 || rc != 0)
			return -1;
		if (keeps_save(st, STORED, &made, &changed, e) != 0)
			return -1;
		stage_did(st, "made the host keys");
	}
	for (size_t i = 0; i < made.n; i++)
		files_put(ret, &made.v[i]);
	return 0;
}
