/* printers.c - the queues of a site's printers, as CUPS has them: printers.conf(5). Written while
 * nothing runs; lpadmin would want a cupsd, and each start to go well. */
#include "stage/keeps.h"

#include "base/log.h"
#include "harden/lines.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONF_MAX = 4 << 20, PPD_MAX = 4 << 20 };

#define CUPS "etc/cups"
#define CONF CUPS "/printers.conf"

static const struct site_printer *printer_of(const struct site *s, const char *name)
{
	for (size_t i = 0; i < s->printers_n; i++)
		if (strcmp(s->printers[i].name, name) == 0)
			return &s->printers[i];
	return NULL;
}

/* The name in "<Printer NAME>" or "<DefaultPrinter NAME>"; NULL for any other line. The caller owns
 * it. */
static char *name_in(const char *line)
{
	static const char *const begins[] = {"<Printer ", "<DefaultPrinter "};

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(begins[i]);

		if (strncmp(line, begins[i], n) == 0)
			return mem_strndup(line + n, strcspn(line + n, ">"));
	}
	return NULL;
}

/* The line behind the one that ends the queue which begins at line i. */
static size_t end_of(const struct strv *lines, size_t i)
{
	while (i < lines->n && strncmp(lines->v[i], "</", 2) != 0)
		i++;
	return i < lines->n ? i + 1 : i;
}

static bool goes_to(const struct strv *lines, size_t from, size_t end, const char *uri)
{
	char *want SCOPED(mem_freep) = mem_format("DeviceURI %s", uri);

	for (size_t i = from; i < end; i++)
		if (strcmp(lines->v[i], want) == 0)
			return true;
	return false;
}

static void add_queue(const struct site_printer *p, struct buf *ret)
{
	buf_addf(ret,
		 "<Printer %s>\n"
		 "Info %s\n"
		 "DeviceURI %s\n"
		 "State Idle\n"
		 "Accepting Yes\n"
		 "Shared No\n"
		 "ErrorPolicy retry-job\n"
		 "</Printer>\n",
		 p->name, p->name, p->uri);
}

void printers_merge(const char *text, const struct site *s, const struct strv *was, struct buf *ret)
{
	struct strv lines SCOPED(strv_release) = {0}, there SCOPED(strv_release) = {0};

	lines_split(text, &lines);
	for (size_t i = 0; i < lines.n;) {
		char *name SCOPED(mem_freep) = name_in(lines.v[i]);
		size_t end = name != NULL ? end_of(&lines, i) : i + 1;
		const struct site_printer *p = name != NULL ? printer_of(s, name) : NULL;
		bool drop = p != NULL ? !goes_to(&lines, i, end, p->uri)
				      : name != NULL && strv_has(was, name);

		if (p != NULL && !drop)
			strv_add(&there, name);
		for (; i < end; i++)
			if (!drop)
				buf_addf(ret, "%s\n", lines.v[i]);
	}
	for (size_t i = 0; i < s->printers_n; i++)
		if (!strv_has(&there, s->printers[i].name))
			add_queue(&s->printers[i], ret);
}

/* CUPS as the instance will find it: in a directory of data, or in the container. */
struct cups {
	int fd; /* of the directory on the host, or -1 */
	bool rehearsal;
	bool there;
	struct small_file like; /* owner of a file of its own */
	struct buf conf;
};

static void cups_release(struct cups *c)
{
	fd_closep(&c->fd);
	buf_release(&c->conf);
}

/* Programs of the instance write there: a link leads out of its directory, to files of the host. */
static int read_on_host(struct cups *c, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(c->fd, "printers.conf", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	char *data SCOPED(mem_freep) = NULL;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && errno != ELOOP)
		return err_sys(e, "open printers.conf");
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		log_warn("the instance's /" CONF " is no plain file: it is made anew");
		return 0;
	}
	if (st.st_size > CONF_MAX)
		return err_set(e, ERR_VERIFY, "printers.conf: too large");
	data = mem_zalloc((size_t)st.st_size + 1);
	if (fs_read_all(fd, data, (size_t)st.st_size, e) != 0)
		return err_in(e, "printers.conf");
	buf_add(&c->conf, data, (size_t)st.st_size);
	return 0;
}

static int look_on_host(const char *dir, struct cups *c, struct err *e)
{
	c->fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->fd < 0 && errno == ENOENT)
		return 0;
	if (c->fd < 0)
		return err_sys(e, "open %s", dir);
	c->there = faccessat(c->fd, "cupsd.conf", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return read_on_host(c, e) == 0 ? 0 : err_in(e, "%s", dir);
}

static int look(const struct printers *p, struct cups *c, struct err *e)
{
	char *dir SCOPED(mem_freep) = keeps_data(p->st->s, p->st->dir, "/" CUPS);
	const struct small_file *own = files_find(p->image, CUPS "/cupsd.conf");
	const struct small_file *conf = files_find(p->kept, "was/" CONF);

	if (dir != NULL)
		return look_on_host(dir, c, e);
	c->there = own != NULL;
	if (own != NULL)
		c->like = *own;
	if (conf == NULL)
		conf = files_find(p->image, CONF);
	if (conf != NULL)
		buf_add(&c->conf, conf->data, conf->n);
	return 0;
}

static int put(const struct cups *c, const char *name, const char *text, mode_t mode,
	       struct files *to, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format(CUPS "/%s", name);
	struct small_file like = {path, S_IFREG | mode, c->like.uid, c->like.gid, NULL, 0};
	int dir SCOPED(fd_closep) = -1;

	if (c->fd < 0) {
		files_put_text(to, &like, text);
		return 0;
	}
	if (c->rehearsal)
		return 0;
	if (strncmp(name, "ppd/", 4) != 0)
		return fs_put(c->fd, name, text, strlen(text), mode, e);
	if (mkdirat(c->fd, "ppd", 0755) != 0 && errno != EEXIST)
		return err_sys(e, "make a directory for PPDs");
	dir = openat(c->fd, "ppd", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open the directory of PPDs");
	return fs_put(dir, name + 4, text, strlen(text), mode, e);
}

static bool any(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return true;
}

/* Of the places where an image has them. */
static int find_ppd(const struct printers *p, const char *model, struct files *ret, struct err *e)
{
	static const char *const dirs[] = {"/usr/share/ppd", "/usr/share/cups/model"};
	const struct files_want w = {
	    .below = "", .wants = any, .bytes_max = PPD_MAX, .entries_max = 1};

	for (size_t i = 0; i < 2 && ret->n == 0; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s.ppd", dirs[i], model);
		int fd SCOPED(fd_closep) = memfd_create("ppd", MFD_CLOEXEC);
		const struct engine_files f = {path, fd, 2 * PPD_MAX};
		bool there = false;

		if (fd < 0)
			return err_sys(e, "make a file");
		if (engine_get(p->st->en, p->container, &f, &there, e) != 0 ||
		    (there && files_read(fd, &w, ret, e) != 0))
			return -1;
	}
	return 0;
}

static int put_model(const struct printers *p, const struct cups *c, const struct site_printer *one,
		     struct files *to, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format("ppd/%s.ppd", one->name);
	struct files found SCOPED(files_release) = {0};

	if (one->model == NULL)
		return 0;
	if (find_ppd(p, one->model, &found, e) != 0)
		return -1;
	if (found.n > 0 && strlen(found.v[0].data) == found.v[0].n)
		return put(c, name, found.v[0].data, 0640, to, e);
	(void)recipe_err(&one->pos, e, "printers: the image has no %s.ppd", one->model);
	return err_hint(e, "it is looked for in /usr/share/ppd and /usr/share/cups/model");
}

int printers_put(const struct printers *p, struct files *to, struct err *e)
{
	const struct site *s = p->st->s;
	struct cups c SCOPED(cups_release) = {
	    .fd = -1, .rehearsal = p->rehearsal, .conf = BUF_INIT(CONF_MAX)};
	struct buf now SCOPED(buf_release) = BUF_INIT(CONF_MAX);

	if (s->printers_n == 0 && p->was->n == 0)
		return 0;
	if (look(p, &c, e) != 0)
		return -1;
	if (!c.there && s->printers_n == 0)
		return 0;
	if (!c.there)
		return recipe_err(&s->printers[0].pos, e,
				  "printers: there is no CUPS in the image");
	for (size_t i = 0; i < s->printers_n; i++)
		if (put_model(p, &c, &s->printers[i], to, e) != 0)
			return -1;
	printers_merge(c.conf.data, s, p->was, &now);
	if (buf_over(&now))
		return err_set(e, ERR_VERIFY, "/" CONF ": too large");
	return strcmp(now.data, c.conf.data) == 0 && c.fd >= 0
		   ? 0
		   : put(&c, "printers.conf", now.data, 0600, to, e);
}
