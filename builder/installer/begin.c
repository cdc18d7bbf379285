/* begin.c - an installation, from the media to the switch. */
#include "installer/program.h"

#include "base/num.h"
#include "form/hex.h"
#include "installer/install.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST  "/posmedia/contents"
#define MOUNT "/posmedia/site"

enum { WAIT_DONE = 60, WAIT_FAULT = 300, STEP = 10, SILENT_MS = 60000 };

/* The text of the file on the second medium. */
static int read_mounted(struct buf *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format(MOUNT "/" SHEET_FILE);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char text[SHEET_MAX + 1];
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "the second medium: " SHEET_FILE);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SHEET_MAX)
		return err_set(e, ERR_RECIPE, "the second medium: " SHEET_FILE " is no small file");
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return err_sys(e, "the second medium: " SHEET_FILE);
	buf_add(ret, text, (size_t)n);
	return 0;
}

static int read_sheet(const char *device, struct sheet *ret, struct err *e)
{
	static const char *const types[] = {"vfat", "iso9660"};
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	struct buf text SCOPED(buf_release) = BUF_INIT(SHEET_MAX + 1);
	bool mounted = false;
	int rc;

	(void)mkdir(MOUNT, 0700);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !mounted; i++)
		mounted = mount(device, MOUNT, types[i], flags, NULL) == 0;
	if (!mounted) {
		(void)err_set(e, ERR_USAGE, "the second medium, %s, cannot be read", device);
		return err_hint(e, "It has a file system FAT or ISO 9660.");
	}
	rc = read_mounted(&text, e);
	(void)umount2(MOUNT, MNT_DETACH);
	return rc != 0 ? -1 : sheet_parse(text.data, text.len, SHEET_WANTED, ret, e);
}

static int find_sheet(char *const *devices, struct sheet *ret, struct err *e)
{
	if (devices[0] == NULL) {
		(void)err_set(e, ERR_USAGE, "there is no second medium: none has the label %s",
			      SHEET_LABEL);
		return err_hint(e, "It says what is to be installed where: posmedia-installer(5).");
	}
	if (devices[1] != NULL)
		return err_set(e, ERR_USAGE, "two media have the label %s: %s and %s", SHEET_LABEL,
			       devices[0], devices[1]);
	return read_sheet(devices[0], ret, e);
}

static int random_id(char ret[SHEET_ID + 1], struct err *e)
{
	uint8_t b[SHEET_ID / 2];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return err_sys(e, "make a random number");
	hex_encode(b, sizeof(b), ret);
	return 0;
}

struct saying {
	const char *what;
	size_t percent;    /* that was said last */
	uint64_t since_ms; /* it does `what` */
	uint64_t said_ms;
};

/* ", about 75 minutes left"; nothing where that is no minute. The caller owns it. */
static char *left(const struct saying *s, size_t done, size_t all)
{
	const uint64_t ms = clock_mono_ms() - s->since_ms,
		       minutes = done > 0 ? ms * (all - done) / done / 60000 : 0;

	return minutes > 0 ? mem_format(", about %llu minutes left", (unsigned long long)minutes)
			   : mem_strdup("");
}

static void told(void *ctx, const char *what, size_t done, size_t all)
{
	struct saying *s = ctx;
	const uint64_t now = clock_mono_ms();
	const size_t percent = (done + 1) * 100 / all, steps = percent / STEP * STEP;
	char *time SCOPED(mem_freep) = NULL;

	if (strcmp(s->what, what) != 0)
		*s = (struct saying){what, 0, now, now};
	if (strcmp(what, "end") == 0 || (steps <= s->percent && now - s->said_ms < SILENT_MS))
		return;
	time = left(s, done + 1, all);
	console_say("%s: %zu %%%s", what, steps > s->percent ? steps : percent, time);
	s->percent = steps;
	s->said_ms = now;
}

static int read_list(struct blocklist *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(BLOCKLIST_TEXT_MAX);

	return fs_get(AT_FDCWD, LIST, &text, e) != 0 ? -1
						     : blocklist_parse(text.data, text.len, ret, e);
}

static const char *name_of(const char *device)
{
	const char *slash = strrchr(device, '/');

	return slash != NULL ? slash + 1 : device;
}

static int install(char *const *args, struct sheet *s, struct buf *ret_differs,
		   enum install_end *ret, struct err *e)
{
	struct blocklist c SCOPED(blocklist_release) = {0};
	struct targets t SCOPED(targets_release) = {0};
	int payload SCOPED(fd_closep) = open(args[0], O_RDONLY | O_CLOEXEC);
	struct saying saying = {.what = ""};
	struct install i = {.c = &c,
			    .s = s,
			    .payload = payload,
			    .t = &t,
			    .differs = ret_differs,
			    .told = told,
			    .ctx = &saying};

	if (payload < 0)
		return err_sys(e, "the installer's medium");
	if (read_list(&c, e) != 0 || find_sheet(args + 3, s, e) != 0)
		return -1;
	hex_encode(c.id.b, sizeof(c.id.b), s->contents);
	if (random_id(s->run, e) != 0 || random_id(s->machine_id, e) != 0 ||
	    targets_find(name_of(args[1]), name_of(args[3]), &t, e) != 0)
		return -1;
	console_say("shop %s, %s, to %s%s%s", s->shop, s->hostname, s->disks[0],
		    s->disks_n > 1 ? " and " : "", s->disks_n > 1 ? s->disks[1] : "");
	console_say("what is on it is read first");
	return install_run(&i, ret, e);
}

/* So that somebody can read it. */
static int switch_off(const char *wait, uint64_t usual)
{
	uint64_t seconds;

	if (num_u64(wait, 3600, &seconds) != 0)
		seconds = usual;
	console_say("the machine is switched off in %llu seconds", (unsigned long long)seconds);
	sync();
	console_wait(seconds * 1000);
	(void)reboot(RB_POWER_OFF);
	return 1;
}

int program_install(char *const *args)
{
	enum install_end end = INSTALL_DONE;
	struct buf differs SCOPED(buf_release) = BUF_INIT(SHEET_MAX);
	struct sheet s = {0};
	struct err e = ERR_INIT;

	if (args[0] == NULL || args[1] == NULL || args[2] == NULL)
		return 2;
	if (install(args, &s, &differs, &end, &e) != 0) {
		(void)console_error(&e);
		console_say("NOT INSTALLED");
		return switch_off(args[2], WAIT_FAULT);
	}
	if (end == INSTALL_ALREADY)
		console_say("INSTALLED ALREADY: the shop %s has this system on its disk, nothing "
			    "was written",
			    s.shop);
	if (end == INSTALL_ALREADY && differs.len > 0)
		console_say("it is told something else, which changes nothing: %s", differs.data);
	if (end == INSTALL_DONE)
		console_say("INSTALLED, and read back: %s of the shop %s", s.hostname, s.shop);
	console_say("take the media out, and start the machine");
	return switch_off(args[2], WAIT_DONE);
}
