#include "media/initramfs.h"

#include "form/uuid.h"
#include "harden/lines.h"
#include "harden/root.h"
#include "installer/image.h"
#include "media/cpio.h"
#include "media/slot_make.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

/* What is needed, by the files' names; what these need, modules.dep says. */
static const char *const of_machines[] = {"dm-verity", "erofs", "overlay", NULL};
static const char *const of_installed[] = {"dm-verity", "erofs", "overlay", "raid1", NULL};
static const char *const of_installers[] = {"dm-mod",    "isofs",     "vfat",
					    "nls_cp437", "nls_ascii", NULL};

struct file {
	const char *path;
	mode_t mode;
	const void *p;
	size_t n;
};

enum { FILES = 8, SCRIPT_MAX = 1 << 16 };

/* What an archive is made of. */
struct packing {
	const char *tree;
	const struct boot *b;
	const char *const *modules;
	struct file files[FILES];
	size_t files_n;
};

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
static void list_parts(const struct boot *b, const struct uuid_text *ids, struct buf *ret)
{
	for (size_t i = 0; i < b->parts_n; i++)
		if (!b->parts[i].swap)
			buf_addf(ret, "%s %s\n", ids[i].s, b->parts[i].at);
}

static void add_file(struct packing *p, const char *path, mode_t mode, const struct buf *text)
{
	p->files[p->files_n++] = (struct file){path, mode, text->data, text->len};
}

static void add_program(struct packing *p)
{
	size_t n;
	const void *at = installer_image(&n);

	p->files[p->files_n++] = (struct file){"posmedia/machine", 0755, at, n};
}

static int pack(const struct packing *p, struct buf *ret, struct err *e)
{
	struct modules m SCOPED(modules_release) = {.root = -1, .b = p->b};
	char *dep SCOPED(mem_freep) = mem_format("usr/lib/modules/%s/modules.dep", p->b->release);
	int root SCOPED(fd_closep) = -1;
	struct buf list SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct cpio c = {.out = *ret};
	int rc = 0;

	if (fs_open_dir(AT_FDCWD, p->tree, &root, e) != 0 ||
	    lines_read(root, dep, &m.dep, NULL, e) != 0)
		return -1;
	m.root = root;
	for (size_t i = 0; p->modules[i] != NULL && rc == 0; i++)
		rc = take(&m, p->modules[i], e);
	if (rc != 0)
		return -1;
	cpio_add(&c, "posmedia", 0755, NULL, 0);
	for (size_t i = 0; i < m.take.n && rc == 0; i++) {
		rc = add_module(&m, m.take.v[i], &c, e);
		buf_addf(&list, "%s\n", last_part(m.take.v[i], strlen(m.take.v[i])));
	}
	cpio_add(&c, "posmedia/modules", 0644, list.data, list.len);
	cpio_add(&c, "scripts", 0755, NULL, 0);
	for (size_t i = 0; i < p->files_n; i++)
		cpio_add(&c, p->files[i].path, p->files[i].mode, p->files[i].p, p->files[i].n);
	cpio_end(&c);
	*ret = c.out;
	if (rc == 0 && (buf_over(ret) || buf_over(&list)))
		rc = err_set(e, ERR_FAIL, "the modules of the kernel are too large");
	return rc;
}

int initramfs_make(const char *tree, const struct boot *b, const struct uuid_text *ids,
		   struct buf *ret, struct err *e)
{
	const bool site = b->made_for.site && ids != NULL;
	struct packing p = {.tree = tree, .b = b, .modules = site ? of_installed : of_machines};
	struct buf script SCOPED(buf_release) = BUF_INIT(SCRIPT_MAX);
	struct buf parts SCOPED(buf_release) = BUF_INIT(SCRIPT_MAX);
	struct buf identity SCOPED(buf_release) = BUF_INIT(SCRIPT_MAX);
	struct buf rules SCOPED(buf_release) = BUF_INIT(SCRIPT_MAX);

	if (ids != NULL)
		list_parts(b, ids, &parts);
	add_file(&p, "posmedia/partitions", 0644, &parts);
	if (site) {
		buf_addf(&identity, "%s\n", ids[b->parts_n].s);
		buf_addf(&rules, "%s", installed_rules);
		add_file(&p, "posmedia/identity", 0644, &identity);
		add_file(&p, "posmedia/raid.rules", 0644, &rules);
		add_program(&p);
	}
	buf_addf(&script, "%s%s%s", initramfs_script, b->made_for.slots ? slot_script : "",
		 site ? installed_script : "");
	add_file(&p, "scripts/posmedia", 0644, &script);
	return pack(&p, ret, e);
}

int initramfs_installer(const char *tree, const struct boot *b, const struct buf *list,
			struct buf *ret, struct err *e)
{
	struct packing p = {.tree = tree, .b = b, .modules = of_installers};
	struct buf script SCOPED(buf_release) = BUF_INIT(SCRIPT_MAX);

	buf_addf(&script, "%s\n%s", initramfs_script, installer_script);
	add_file(&p, "posmedia/contents", 0644, list);
	add_file(&p, "scripts/posmedia", 0644, &script);
	add_program(&p);
	return pack(&p, ret, e);
}
