#include "media/boot.h"

#include "base/num.h"
#include "harden/grub.h"
#include "harden/lines.h"
#include "harden/mounts.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 16, ARGS_MAX = 1024, LABEL_MAX = 16, MIB = 1 << 20 };

/* Of a partition that does not say it: fstab's x-posmedia.size=. */
static const uint64_t usual_size = 256 * (uint64_t)MIB, least_size = 8 * (uint64_t)MIB,
		      most_size = (uint64_t)1 << 44;

static void parts_release(struct boot *b)
{
	for (size_t i = 0; i < b->parts_n; i++) {
		free(b->parts[i].label);
		free(b->parts[i].at);
	}
	free(b->parts);
}

void boot_release(struct boot *b)
{
	free(b->kernel);
	free(b->initrd);
	free(b->release);
	free(b->args);
	parts_release(b);
}

static int refuse(struct err *e, const char *what, const char *hint)
{
	(void)err_set(e, ERR_RECIPE, "the image cannot start: %s", what);
	return err_hint(e, "%s", hint);
}

/* The only file that matches; more are an error, since which one would start is a guess. */
static int only(int root, const char *pattern, char **ret, struct err *e)
{
	struct strv found SCOPED(strv_release) = {0};

	if (root_glob(root, pattern, &found, e) != 0)
		return -1;
	if (found.n == 0)
		return refuse(e, "there is no kernel in it",
			      "Extend base/machine-debian.yaml, or install a kernel and "
			      "initramfs-tools.");
	if (found.n > 1)
		return refuse(e, "there are two kernels in it", "Install one of the two.");
	*ret = mem_strdup(found.v[0]);
	return 0;
}

static int read_kernel(int root, struct boot *b, struct err *e)
{
	static const char name[] = "boot/vmlinuz-";

	if (only(root, "boot/vmlinuz-*", &b->kernel, e) != 0)
		return -1;
	b->release = mem_strdup(b->kernel + strlen(name));
	b->initrd = mem_format("boot/initrd.img-%s", b->release);
	if (!root_has(root, b->initrd))
		return refuse(e, "its kernel has no initial file system",
			      "Install initramfs-tools.");
	return 0;
}

/* Whether an argument is for the place that the image itself would start from. */
static bool is_place(const char *arg)
{
	static const char *const names[] = {"root=", "rootfstype=", "rootflags=", "boot="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(arg, names[i], strlen(names[i])) == 0)
			return true;
	return strcmp(arg, "ro") == 0 || strcmp(arg, "rw") == 0;
}

/* What the entry's line has behind the kernel. */
static void take_args(const char *line, struct buf *ret)
{
	char *text SCOPED(mem_freep) = mem_strdup(line);
	char *save = NULL, *word = strtok_r(text, " \t", &save);

	while (word != NULL && (word = strtok_r(NULL, " \t", &save)) != NULL)
		if (!is_place(word))
			buf_addf(ret, " %s", word);
}

static int read_args(int root, struct boot *b, struct err *e)
{
	struct buf args SCOPED(buf_release) = BUF_INIT(ARGS_MAX);
	struct strv files SCOPED(strv_release) = {0}, lines SCOPED(strv_release) = {0};
	const char *entry = NULL;

	if (root_glob(root, GRUB_CFG, &files, e) != 0)
		return -1;
	if (files.n > 0 && lines_read(root, files.v[0], &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n && entry == NULL; i++)
		entry = grub_entry_args(lines.v[i]);
	if (entry == NULL)
		return refuse(e, "its grub.cfg has no entry that starts a kernel",
			      "Without it nobody knows the arguments that were judged.");
	take_args(entry, &args);
	if (buf_over(&args) || strpbrk(args.data, "\"'\\${};#") != NULL)
		return refuse(e, "its grub.cfg has arguments that cannot be carried over",
			      "Write them without quotes and variables.");
	b->args = buf_take(&args);
	return 0;
}

static bool label_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n > 0 && n <= LABEL_MAX && s[n] == '\0';
}

/* x-posmedia.size=512M, or of G. */
static int part_size(const char *options, uint64_t *ret)
{
	static const char key[] = "x-posmedia.size=";
	const char *at = strstr(options, key);
	char *text SCOPED(mem_freep) = NULL;
	uint64_t n;

	*ret = usual_size;
	if (at == NULL)
		return 0;
	at += strlen(key);
	text = mem_strndup(at, strcspn(at, ","));
	if (num_bytes(text, &n) != 0 || n < least_size || n > most_size || n % MIB != 0)
		return -1;
	*ret = n;
	return 0;
}

static bool among(const char *const *names, const char *label)
{
	for (; *names != NULL; names++)
		if (strcmp(label, *names) == 0)
			return true;
	return false;
}

/* The names of the other partitions, and of those before it. */
static bool label_taken(const struct boot *b, const char *label)
{
	static const char *const always[] = {"table", "bios", "esp", NULL};
	static const char *const of_one[] = {"root", "verity", NULL};
	static const char *const of_slots[] = {"state",  "boot-a",   "root-a",   "boot-b",
					       "root-b", "verity-a", "verity-b", NULL};
	static const char *const of_site[] = {"site", NULL};

	if (among(always, label) || among(b->made_for.slots ? of_slots : of_one, label) ||
	    (b->made_for.site && among(of_site, label)))
		return true;
	for (size_t i = 0; i < b->parts_n; i++)
		if (strcmp(label, b->parts[i].label) == 0)
			return true;
	return false;
}

static int bad_size(const struct mount_entry *m, struct err *e)
{
	(void)err_set(e, ERR_RECIPE, "/etc/fstab, line %zu: its size", m->line);
	return err_hint(e, "Write x-posmedia.size=512M or =2G, at least 8M.");
}

static int root_size(const struct mount_entry *m, struct boot *b, struct err *e)
{
	if (strstr(m->options, "x-posmedia.size=") == NULL)
		return 0;
	return part_size(m->options, &b->root_size) != 0 ? bad_size(m, e) : 0;
}

/* A partition of that label for the line. */
static int put_part(const struct mount_entry *m, const char *label, struct boot *b, struct err *e)
{
	const bool swap = strcmp(m->type, "swap") == 0;
	struct boot_part *p = &b->parts[b->parts_n];
	uint64_t size;

	if (b->parts_n == PARTS_MAX)
		return err_set(e, ERR_RECIPE, "/etc/fstab: more than %d partitions", PARTS_MAX);
	if (label_taken(b, label))
		return err_set(e, ERR_RECIPE, "/etc/fstab, line %zu: the label %s is taken",
			       m->line, label);
	if (part_size(m->options, &size) != 0)
		return bad_size(m, e);
	*p = (struct boot_part){mem_strdup(label), mem_strdup(swap ? "swap" : m->at), size, swap};
	b->parts_n++;
	return 0;
}

static int refuse_swap(const struct mount_entry *m, struct err *e)
{
	(void)err_set(e, ERR_RECIPE,
		      "/etc/fstab, line %zu: no swap with a new key at each start is made of it",
		      m->line);
	return err_hint(e, "Write /dev/mapper/swap there, and into /etc/crypttab: swap "
			   "PARTLABEL=swap /dev/urandom swap,cipher=aes-xts-plain64,size=512");
}

/* The words of the line of crypttab(5) that makes it; none. */
static int find_crypt(int root, const char *name, struct strv *ret, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(root, "etc/crypttab", &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct strv w SCOPED(strv_release) = {0};

		line_words(lines.v[i], &w);
		if (w.n == 0 || strcmp(w.v[0], name) != 0)
			continue;
		*ret = w;
		w = (struct strv){0};
		return 0;
	}
	return 0;
}

/* By a key that nobody knows. */
static int add_swap(int root, const struct mount_entry *m, struct boot *b, struct err *e)
{
	static const char mapper[] = "/dev/mapper/", by_label[] = "PARTLABEL=";
	struct strv w SCOPED(strv_release) = {0};

	if (strncmp(m->what, mapper, strlen(mapper)) != 0)
		return refuse_swap(m, e);
	if (find_crypt(root, m->what + strlen(mapper), &w, e) != 0)
		return -1;
	if (w.n != 4 || strncmp(w.v[1], by_label, strlen(by_label)) != 0 ||
	    !label_ok(w.v[1] + strlen(by_label)) || !mount_has_option(w.v[3], "swap") ||
	    (strcmp(w.v[2], "/dev/urandom") != 0 && strcmp(w.v[2], "/dev/random") != 0))
		return refuse_swap(m, e);
	if (!root_has(root, "usr/lib/systemd/systemd-cryptsetup"))
		return refuse(e, "it has no systemd-cryptsetup for its swap", "Install systemd.");
	return put_part(m, w.v[1] + strlen(by_label), b, e);
}

static int add_part(int root, const struct mount_entry *m, struct boot *b, struct err *e)
{
	static const char by_label[] = "LABEL=";
	const char *label = m->what + strlen(by_label);

	if (strcmp(m->type, "swap") == 0)
		return add_swap(root, m, b, e);
	if (strcmp(m->at, "/") == 0)
		return root_size(m, b, e);
	if (strncmp(m->what, by_label, strlen(by_label)) != 0)
		return 0;
	if (!label_ok(label) || strcmp(m->type, "ext4") != 0 || m->at[0] != '/' ||
	    !fs_relative_ok(m->at + 1) || strpbrk(m->at, " \t\n\\\"'$`") != NULL)
		return err_set(e, ERR_RECIPE,
			       "/etc/fstab, line %zu: no partition can be made for it", m->line);
	return put_part(m, label, b, e);
}

static int by_path(const void *a, const void *b)
{
	const struct boot_part *x = a, *y = b;

	return strcmp(x->at, y->at);
}

static int read_parts(int root, struct boot *b, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	struct mounts m SCOPED(mounts_release) = {0};

	if (lines_read(root, "etc/fstab", &lines, NULL, e) != 0 ||
	    mounts_parse_fstab(&lines, &m, e) != 0)
		return -1;
	b->parts = mem_zalloc((PARTS_MAX + 1) * sizeof(*b->parts));
	for (size_t i = 0; i < m.n; i++)
		if (add_part(root, &m.v[i], b, e) != 0)
			return -1;
	qsort(b->parts, b->parts_n, sizeof(*b->parts), by_path);
	return 0;
}

int boot_read(const char *tree, struct boot_for made_for, struct boot *ret, struct err *e)
{
	struct boot b SCOPED(boot_release) = {.made_for = made_for};
	int root SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, tree, &root, e) != 0 || read_kernel(root, &b, e) != 0 ||
	    read_args(root, &b, e) != 0 || read_parts(root, &b, e) != 0)
		return -1;
	b.bios = root_has(root, "usr/lib/grub/i386-pc/boot.img") &&
		 root_has(root, "usr/bin/grub-mkimage");
	b.uefi =
	    made_for.own || (root_has(root, "usr/lib/shim/shimx64.efi.signed") &&
			     root_has(root, "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"));
	if (!b.bios && !b.uefi)
		return refuse(e, "there is no boot loader in it",
			      "Install grub-pc-bin with grub-common, or shim-signed with "
			      "grub-efi-amd64-signed.");
	*ret = b;
	b = (struct boot){0};
	return 0;
}
