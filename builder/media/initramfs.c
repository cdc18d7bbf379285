#include "media/initramfs.h"

#include "form/uuid.h"
#include "harden/lines.h"
#include "harden/root.h"
#include "media/cpio.h"
#include "media/slot_make.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

/* What is needed, by the files' names; what these need, modules.dep says. */
static const char *const needed[] = {"dm-verity", "erofs", "overlay"};

struct modules {
	int root;
	const struct boot *b;
	struct strv dep;  /* the lines of modules.dep */
	struct strv take; /* paths relative to the modules' directory, in the order of loading */
};

static void modules_release(struct modules *m)
{
	strv_release(&m->dep);
	strv_release(&m->take);
}

static const char *last_part(const char *path, size_t n)
{
	const char *slash = memrchr(path, '/', n);

	return slash != NULL ? slash + 1 : path;
}

/* The line of modules.dep of a module: "kernel/fs/x.ko: kernel/lib/y.ko". */
static const char *find_line(const struct modules *m, const char *name)
{
	char *file SCOPED(mem_freep) = mem_format("%s.ko", name);

	for (size_t i = 0; i < m->dep.n; i++) {
		size_t n = strcspn(m->dep.v[i], ":");
		const char *last = last_part(m->dep.v[i], n);

		if (strlen(file) == (size_t)(m->dep.v[i] + n - last) &&
		    strncmp(last, file, strlen(file)) == 0)
			return m->dep.v[i];
	}
	return NULL;
}

/* Whether the kernel has it built in. */
static bool is_built_in(const struct modules *m, const char *name)
{
	char *path SCOPED(mem_freep) =
	    mem_format("usr/lib/modules/%s/modules.builtin", m->b->release);
	char *file SCOPED(mem_freep) = mem_format("/%s.ko", name);
	struct strv lines SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	if (lines_read(m->root, path, &lines, NULL, &quiet) != 0)
		return false;
	for (size_t i = 0; i < lines.n; i++) {
		size_t n = strlen(lines.v[i]);

		if (n >= strlen(file) && strcmp(lines.v[i] + n - strlen(file), file) == 0)
			return true;
	}
	return false;
}

/* modules.dep has the nearest need first, which is to be loaded last. */
static int take(struct modules *m, const char *name, struct err *e)
{
	const char *line = find_line(m, name);
	struct strv words SCOPED(strv_release) = {0};
	char *text SCOPED(mem_freep) = line != NULL ? mem_strdup(line) : NULL;
	char *save = NULL;

	if (line == NULL && is_built_in(m, name))
		return 0;
	if (line == NULL) {
		(void)err_set(e, ERR_RECIPE, "the image cannot start: its kernel has no %s", name);
		return err_hint(e, "Install a kernel of Debian 12 or later.");
	}
	for (char *w = strtok_r(text, ": \t", &save); w != NULL; w = strtok_r(NULL, ": \t", &save))
		strv_add(&words, w);
	for (size_t i = words.n; i > 0; i--)
		if (!fs_relative_ok(words.v[i - 1]))
			return err_set(e, ERR_RECIPE, "modules.dep: %.80s", words.v[i - 1]);
		else if (!strv_has(&m->take, words.v[i - 1]))
			strv_add(&m->take, words.v[i - 1]);
	return 0;
}

static int add_module(const struct modules *m, const char *path, struct cpio *c, struct err *e)
{
	char *from SCOPED(mem_freep) = mem_format("usr/lib/modules/%s/%s", m->b->release, path);
	char *to SCOPED(mem_freep) = mem_format("posmedia/%s", last_part(path, strlen(path)));
	struct buf b SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	bool there;

	if (root_read(m->root, from, &b, &there, e) != 0)
		return -1;
	if (!there)
		return err_set(e, ERR_RECIPE, "the image cannot start: there is no %s", from);
	cpio_add(c, to, 0644, b.data, b.len);
	return 0;
}

/* "PARTUUID /var", what is above before what is below. */
static void add_parts(const struct boot *b, const struct uuid_text *ids, struct cpio *c)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (size_t i = 0; i < b->parts_n; i++)
		if (!b->parts[i].swap)
			buf_addf(&text, "%s %s\n", ids[i].s, b->parts[i].at);
	cpio_add(c, "posmedia/partitions", 0644, text.data, text.len);
}

static void add_script(const struct boot *b, struct cpio *c)
{
	char *text SCOPED(mem_freep) =
	    mem_format("%s%s", initramfs_script, b->slots ? slot_script : "");

	cpio_add(c, "scripts/posmedia", 0644, text, strlen(text));
}

int initramfs_make(const char *tree, const struct boot *b, const struct uuid_text *ids,
		   struct buf *ret, struct err *e)
{
	struct modules m SCOPED(modules_release) = {.root = -1, .b = b};
	char *dep SCOPED(mem_freep) = mem_format("usr/lib/modules/%s/modules.dep", b->release);
	int root SCOPED(fd_closep) = -1;
	struct buf list SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct cpio c = {.out = *ret};
	int rc = 0;

	if (fs_open_dir(AT_FDCWD, tree, &root, e) != 0 ||
	    lines_read(root, dep, &m.dep, NULL, e) != 0)
		return -1;
	m.root = root;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && rc == 0; i++)
		rc = take(&m, needed[i], e);
	if (rc != 0)
		return -1;
	cpio_add(&c, "posmedia", 0755, NULL, 0);
	for (size_t i = 0; i < m.take.n && rc == 0; i++) {
		rc = add_module(&m, m.take.v[i], &c, e);
		buf_addf(&list, "%s\n", last_part(m.take.v[i], strlen(m.take.v[i])));
	}
	cpio_add(&c, "posmedia/modules", 0644, list.data, list.len);
	add_parts(b, ids, &c);
	cpio_add(&c, "scripts", 0755, NULL, 0);
	add_script(b, &c);
	cpio_end(&c);
	*ret = c.out;
	if (rc == 0 && (buf_over(ret) || buf_over(&list)))
		rc = err_set(e, ERR_FAIL, "the modules of the kernel are too large");
	return rc;
}
