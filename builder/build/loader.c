#include "build/loader.h"

#include "build/job.h"
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 64, SEGMENTS_MAX = 256, PATH_LONGEST = 4096 };

/* Opens a path of the step: in one of its media, or in the tree. -1 when it is not there. */
static int open_program(struct job *j, const struct recipe_step *st, const char *root,
			const char *path)
{
	int dir SCOPED(fd_closep) = -1, fd = -1;
	struct err quiet = ERR_INIT;

	for (size_t i = 0; i < st->mounts_n; i++) {
		const struct recipe_media *m = recipe_media_find(j->r, st->mounts[i].media);
		size_t n = strlen(st->mounts[i].at);
		const char *tree = NULL;

		if (m == NULL || strncmp(path, st->mounts[i].at, n) != 0 || path[n] != '/' ||
		    job_medium(j, m, &tree, &quiet) != 0)
			continue;
		root = tree;
		path += n;
		break;
	}
	if (fs_open_dir(AT_FDCWD, root, &dir, &quiet) != 0 ||
	    fs_open_in_root(dir, path, O_RDONLY | O_NONBLOCK, &fd, &quiet) != 0)
		return -1;
	return fd;
}

/* A name is looked for where the step will look for it. */
static int find_program(struct job *j, const struct recipe_step *st, const char *root)
{
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",        "/sbin",          "/bin"};
	const char *name = st->run.v[0];

	if (name[0] == '/')
		return open_program(j, st, root, name);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(dirs[i], name);
		int fd = strchr(name, '/') == NULL ? open_program(j, st, root, path) : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* Where the path of the loader is in the file, and how long: the segment PT_INTERP. */
struct segment {
	uint64_t at, size;
};

static bool segment_32(const uint8_t *p, struct segment *ret)
{
	Elf32_Phdr h;

	memcpy(&h, p, sizeof(h));
	*ret = (struct segment){h.p_offset, h.p_filesz};
	return h.p_type == PT_INTERP;
}

static bool segment_64(const uint8_t *p, struct segment *ret)
{
	Elf64_Phdr h;

	memcpy(&h, p, sizeof(h));
	*ret = (struct segment){h.p_offset, h.p_filesz};
	return h.p_type == PT_INTERP;
}

struct table {
	uint64_t at;
	uint16_t n, size;
};

static struct table table_of(const uint8_t *head, bool bits_32)
{
	Elf32_Ehdr a;
	Elf64_Ehdr b;

	memcpy(&a, head, sizeof(a));
	memcpy(&b, head, sizeof(b));
	return bits_32 ? (struct table){a.e_phoff, a.e_phnum, a.e_phentsize}
		       : (struct table){b.e_phoff, b.e_phnum, b.e_phentsize};
}

/* The loader that an ELF file names; "" when it names none. */
static void find_loader(int fd, const uint8_t *head, bool bits_32, char ret[PATH_LONGEST])
{
	struct table t = table_of(head, bits_32);
	uint16_t want = bits_32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);

	ret[0] = '\0';
	for (uint16_t i = 0; i < t.n && i < SEGMENTS_MAX && t.size == want; i++) {
		uint8_t p[sizeof(Elf64_Phdr)];
		struct segment s;
		ssize_t n;

		if (pread(fd, p, want, (off_t)(t.at + (uint64_t)i * want)) != want)
			return;
		if (!(bits_32 ? segment_32(p, &s) : segment_64(p, &s)) || s.size >= PATH_LONGEST)
			continue;
		n = pread(fd, ret, (size_t)s.size, (off_t)s.at);
		ret[n > 0 ? n : 0] = '\0';
		return;
	}
}

/* The interpreter that a script names: "#! PATH ARGUMENT". */
static void find_interpreter(int fd, char ret[PATH_LONGEST])
{
	char line[PATH_LONGEST];
	ssize_t n = pread(fd, line, sizeof(line) - 1, 2);
	const char *from;
	size_t len;

	line[n > 0 ? n : 0] = '\0';
	from = line + strspn(line, " \t");
	len = strcspn(from, " \t\n");
	memcpy(ret, from, len);
	ret[len] = '\0';
}

static bool is_there(struct job *j, const struct recipe_step *st, const char *root,
		     const char *path)
{
	int fd SCOPED(fd_closep) = open_program(j, st, root, path);

	return fd >= 0;
}

static int check_elf(struct job *j, const struct recipe_step *st, const char *root, int fd,
		     struct err *e)
{
	uint8_t head[HEAD] = {0};
	char loader[PATH_LONGEST];
	bool bits_32;

	if (pread(fd, head, sizeof(head), 0) < (ssize_t)sizeof(Elf32_Ehdr))
		return 0;
	bits_32 = head[EI_CLASS] == ELFCLASS32;
	find_loader(fd, head, bits_32, loader);
	if (loader[0] == '/' && !is_there(j, st, root, loader)) {
		(void)err_set(e, ERR_STEP,
			      "%s is a program of %d bits, and its loader %.200s is "
			      "not in the tree",
			      st->run.v[0], bits_32 ? 32 : 64, loader);
		return err_hint(e, "%s",
				bits_32 ? "install the package libc6-i386; with rpm it is "
					  "glibc.i686"
					: "install the C library that it was built for");
	}
	if (!bits_32 || st->expects.bits_32)
		return 0;
	(void)err_set(e, ERR_STEP, "%s is a program of 32 bits", st->run.v[0]);
	return err_hint(e, "add expects: {programs: 32-bit} to the step");
}

int loader_check(struct job *j, const struct recipe_step *st, const char *root, struct err *e)
{
	int fd SCOPED(fd_closep) = find_program(j, st, root);
	char magic[4] = "", interpreter[PATH_LONGEST];
	struct stat s;

	if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || pread(fd, magic, 4, 0) < 2)
		return 0;
	if (memcmp(magic, ELFMAG, SELFMAG) == 0)
		return check_elf(j, st, root, fd, e);
	if (magic[0] != '#' || magic[1] != '!')
		return 0;
	find_interpreter(fd, interpreter);
	if (interpreter[0] != '/' || is_there(j, st, root, interpreter))
		return 0;
	return err_set(e, ERR_STEP, "%s wants to be run by %.200s, which is not in the tree",
		       st->run.v[0], interpreter);
}
