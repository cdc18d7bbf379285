#include "base/num.h"
#include "sandbox/priv.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_BYTES = 1 << 16 };

struct extent {
	unsigned inside, outside, count;
};

static int number(char **at, unsigned *ret)
{
	char *word = strsep(at, " \t");
	uint64_t v;

	while (word != NULL && *word == '\0')
		word = strsep(at, " \t");
	if (word == NULL || num_u64(word, UINT32_MAX, &v) != 0)
		return -1;
	*ret = (unsigned)v;
	return 0;
}

/* Takes the next line off an id map: user_namespaces(7). Returns 0 at its end. */
static int next_extent(char **at, struct extent *ret)
{
	char *line = strsep(at, "\n");

	return line != NULL && number(&line, &ret->inside) == 0 &&
	       number(&line, &ret->outside) == 0 && number(&line, &ret->count) == 0;
}

static int read_map(const char *path, struct buf *ret, struct err *e)
{
	return fs_get(AT_FDCWD, path, ret, e);
}

bool idmap_is_initial(void)
{
	const ino_t initial = 0xEFFFFFFD; /* PROC_USER_INIT_INO, the same on every machine */
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == initial;
}

static int give(const char *which, pid_t pid, uint64_t end, struct err *e)
{
	char *ours SCOPED(mem_freep) = mem_format("/proc/self/%s_map", which);
	char *theirs SCOPED(mem_freep) = mem_format("/proc/%ld/%s_map", (long)pid, which);
	struct buf map SCOPED(buf_release) = BUF_INIT(MAP_BYTES);
	struct buf text SCOPED(buf_release) = BUF_INIT(MAP_BYTES);
	int fd SCOPED(fd_closep) = -1;
	struct extent x;
	char *at;

	if (read_map(ours, &map, e) != 0)
		return -1;
	for (at = map.data; next_extent(&at, &x);) {
		uint64_t count = x.count;

		if (x.inside >= end)
			continue;
		if (x.inside + count > end)
			count = end - x.inside;
		buf_addf(&text, "%u %u %u\n", x.inside, x.inside, (unsigned)count);
	}
	fd = open(theirs, O_WRONLY | O_CLOEXEC);
	/* the kernel takes a map in one write only */
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return err_sys(e, "write %s", theirs);
	return 0;
}

int idmap_give(pid_t pid, uint64_t end, struct err *e)
{
	if (give("gid", pid, end, e) != 0)
		return -1;
	return give("uid", pid, end, e);
}

/* Reads "USER:START:COUNT", USER being a name or a number. Returns 1 when it is this user's. */
static int subordinate_line(char *line, const char *user, unsigned own, struct extent *ret)
{
	char *start = strchr(line, ':');
	char *count = start == NULL ? NULL : strchr(start + 1, ':');
	uint64_t first, n, id;

	if (count == NULL)
		return 0;
	*start++ = '\0';
	*count++ = '\0';
	if (strcmp(line, user) != 0 && (num_u64(line, UINT32_MAX, &id) != 0 || id != own))
		return 0;
	if (num_u64(start, UINT32_MAX, &first) != 0 || num_u64(count, UINT32_MAX, &n) != 0 ||
	    n == 0)
		return 0;
	*ret = (struct extent){0, (unsigned)first, (unsigned)n};
	return 1;
}

int idmap_subordinate(const char *file, const char *user, unsigned own, struct strv *ret,
		      struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *save = NULL;
	unsigned inside = 1;

	if (access(file, F_OK) != 0)
		return 0;
	if (fs_get(AT_FDCWD, file, &text, e) != 0)
		return -1;
	for (char *l = strtok_r(text.data, "\n", &save); l != NULL;
	     l = strtok_r(NULL, "\n", &save)) {
		struct extent x;

		if (!subordinate_line(l, user, own, &x))
			continue;
		if (inside == 1) {
			strv_add(ret, "0");
			strv_addf(ret, "%u", own);
			strv_add(ret, "1");
		}
		strv_addf(ret, "%u", inside);
		strv_addf(ret, "%u", x.outside);
		strv_addf(ret, "%u", x.count);
		inside += x.count;
	}
	return 0;
}
