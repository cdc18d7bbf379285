#include "harden/memo.h"

#include "base/buf.h"
#include "base/map.h"
#include "form/digest.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_HEX = 32, MEMO_MAX = 64 << 20, FILES_MAX = 1 << 20 };

struct memo {
	struct map before; /* hex digits of the keys, from the file */
	struct map now;    /* asked for or added */
};

struct memo *memo_new(void)
{
	return mem_zalloc(sizeof(struct memo));
}

void memo_free(struct memo *m)
{
	if (m == NULL)
		return;
	map_release(&m->before, NULL);
	map_release(&m->now, NULL);
	free(m);
}

static struct digest_hex key_of(const char *path, const struct stat *st)
{
	char *text SCOPED(mem_freep) = mem_format(
	    "%llu %lld %o %lld.%ld %lld.%ld %s", (unsigned long long)st->st_ino,
	    (long long)st->st_size, st->st_mode, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	    (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, path);
	struct digest d = digest_of(text, strlen(text));
	struct digest_hex h = digest_hex(&d);

	h.s[KEY_HEX] = '\0';
	return h;
}

bool memo_has(struct memo *m, const char *path, const struct stat *st)
{
	struct digest_hex key = key_of(path, st);

	if (map_has(&m->now, key.s))
		return true;
	if (!map_has(&m->before, key.s))
		return false;
	memo_add(m, path, st);
	return true;
}

void memo_add(struct memo *m, const char *path, const struct stat *st)
{
	if (m->now.n < FILES_MAX)
		(void)map_put(&m->now, key_of(path, st).s, NULL);
}

/* The first line: which build of this program, and the digest of the rest. */
static int head(const char *rest, size_t n, char **ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct digest self, sum = digest_of(rest, n);

	if (fd < 0)
		return err_sys(e, "open /proc/self/exe");
	if (digest_fd(fd, &self, NULL, e) != 0)
		return -1;
	*ret = mem_format("%s %s\n", digest_hex(&self).s, digest_hex(&sum).s);
	return 0;
}

void memo_load(struct memo *m, const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(MEMO_MAX);
	char *first SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *rest, *at;

	if (fs_get(AT_FDCWD, path, &b, &quiet) != 0 || (rest = strchr(b.data, '\n')) == NULL)
		return;
	rest++;
	if (head(rest, b.len - (size_t)(rest - b.data), &first, &quiet) != 0 ||
	    strncmp(b.data, first, strlen(first)) != 0)
		return;
	for (at = rest; strlen(at) > KEY_HEX && at[KEY_HEX] == '\n'; at += KEY_HEX + 1) {
		char *key SCOPED(mem_freep) = mem_strndup(at, KEY_HEX);

		(void)map_put(&m->before, key, NULL);
	}
}

int memo_save(const struct memo *m, const char *path, struct err *e)
{
	const char **keys SCOPED(mem_freep) = map_keys(&m->now);
	struct buf rest SCOPED(buf_release) = BUF_INIT(MEMO_MAX);
	struct buf all SCOPED(buf_release) = BUF_INIT(MEMO_MAX + 4096);
	char *first SCOPED(mem_freep) = NULL;

	for (size_t i = 0; i < m->now.n; i++)
		buf_addf(&rest, "%s\n", keys[i]);
	if (head(rest.data, rest.len, &first, e) != 0)
		return -1;
	buf_addf(&all, "%s", first);
	buf_add(&all, rest.data, rest.len);
	return fs_put_path(path, all.data, all.len, 0600, e);
}
