/* stage: what goes from instance to instance beside the accounts, and the queues of printers. */
#include "stage/keeps.h"
#include "sys/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

static void queues(void **state)
{
	struct site_printer p[] = {{"order1", "socket://192.0.2.31:9100", NULL, {0}},
				   {"office", "ipp://192.0.2.32/ipp/print", NULL, {0}}};
	const struct site s = {.printers = p, .printers_n = 2};
	struct strv was SCOPED(strv_release) = {0};
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	strv_add(&was, "gone");
	strv_add(&was, "order1");
	printers_merge("# by cupsd\nNextPrinterId 4\n"
		       "<DefaultPrinter order1>\nInfo Till 1\nDeviceURI socket://192.0.2.31:9100\n"
		       "StateTime 17\n</DefaultPrinter>\n"
		       "<Printer office>\nDeviceURI socket://192.0.2.99:9100\n</Printer>\n"
		       "<Printer gone>\nDeviceURI lpd://192.0.2.7/q\n</Printer>\n"
		       "<Printer theirs>\nDeviceURI lpd://192.0.2.8/q\n</Printer>\n",
		       &s, &was, &text);
	assert_string_equal(
	    text.data,
	    "# by cupsd\nNextPrinterId 4\n"
	    "<DefaultPrinter order1>\nInfo Till 1\nDeviceURI socket://192.0.2.31:9100\n"
	    "StateTime 17\n</DefaultPrinter>\n"
	    "<Printer theirs>\nDeviceURI lpd://192.0.2.8/q\n</Printer>\n"
	    "<Printer office>\nInfo office\nDeviceURI ipp://192.0.2.32/ipp/print\nState Idle\n"
	    "Accepting Yes\nShared No\nErrorPolicy retry-job\n</Printer>\n");
}

/* CUPS in a directory of data: a link that the instance made is not followed. */
static void queues_on_host(void **state)
{
	char dir[] = "/tmp/stage-accounts.XXXXXX";
	struct site_data d = {"cups", "/etc/cups", {0}};
	struct site_printer p = {"order1", "socket://192.0.2.31:9100", NULL, {0}};
	const struct site s = {.data = &d, .data_n = 1, .printers = &p, .printers_n = 1};
	struct files none = {0};
	const struct strv was = {0};
	struct stage st = {.s = &s, .dir = dir};
	struct printers job = {&st, "a", &none, &none, &was, true};
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(fs_open_dir(AT_FDCWD, dir, &fd, &e), 0);
	assert_int_equal(mkdirat(fd, "cups", 0755), 0);
	assert_int_equal(fs_put(fd, "secret", "of the host\n", 12, 0600, &e), 0);
	assert_int_equal(symlinkat("../secret", fd, "cups/printers.conf"), 0);
	assert_int_equal(symlinkat("nowhere", fd, "cups/cupsd.conf"), 0);
	assert_int_equal(printers_put(&job, &none, &e), 0);
	/* in a rehearsal nothing is written */
	assert_int_equal(fs_get(fd, "cups/printers.conf", &text, &e), 0);
	assert_string_equal(text.data, "of the host\n");
	job.rehearsal = false;
	assert_int_equal(printers_put(&job, &none, &e), 0);
	buf_cut(&text, 0);
	assert_int_equal(fs_get(fd, "cups/printers.conf", &text, &e), 0);
	assert_null(strstr(text.data, "of the host"));
	assert_non_null(strstr(text.data, "<Printer order1>\n"));
	assert_int_equal(unlinkat(fd, "cups/printers.conf", 0), 0);
	assert_int_equal(mkfifoat(fd, "cups/printers.conf", 0600), 0);
	assert_int_equal(printers_put(&job, &none, &e), 0);
	assert_int_equal(fs_rmtree(AT_FDCWD, dir, &e), 0);
}

static void what_is_kept(void **state)
{
	struct site_data d = {"cups", "/etc/cups", {0}};
	struct site s = {.data = &d};
	struct strv roots SCOPED(strv_release) = {0};
	char *at SCOPED(mem_freep) = NULL;

	(void)state;
	strv_add(&s.keep, "/opt/till/serial");
	assert_true(keeps_wants(&s, "etc/shadow"));
	assert_true(keeps_wants(&s, "etc/ssh/ssh_host_rsa_key"));
	assert_true(keeps_wants(&s, "var/spool/cron/crontabs/rti"));
	assert_true(keeps_wants(&s, "opt/till/serial"));
	assert_false(keeps_wants(&s, "etc/ssh/sshd_config"));
	assert_false(keeps_wants(&s, "etc/ssh/ssh_host_/x"));
	assert_true(keeps_wants(&s, "etc/cups/printers.conf"));
	assert_true(keeps_enters(&s, "etc"));
	assert_true(keeps_enters(&s, "etc/cups"));
	assert_true(keeps_enters(&s, "etc/cups/ppd"));
	assert_true(keeps_enters(&s, "var/spool/cron/crontabs"));
	assert_true(keeps_enters(&s, "opt/till"));
	assert_false(keeps_enters(&s, "etc/cup"));
	assert_false(keeps_enters(&s, "etc/ssl"));
	assert_false(keeps_enters(&s, "etc/shadow"));
	assert_false(keeps_enters(&s, "var/spool/cron/crontabs/rti"));
	assert_false(keeps_enters(&s, "opt/till/serial"));
	keeps_roots(&s, &roots);
	assert_int_equal(roots.n, 4);
	assert_string_equal(roots.v[3], "/opt/till/serial");
	s.data_n = 1;
	assert_false(keeps_wants(&s, "etc/cups/printers.conf"));
	at = keeps_data(&s, "/srv/pos/1/dev", "/etc/cups/ppd");
	assert_string_equal(at, "/srv/pos/1/dev/cups/ppd");
	assert_null(keeps_data(&s, "/srv", "/etc/cupsd"));
	strv_release(&s.keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queues),
	    cmocka_unit_test(queues_on_host),
	    cmocka_unit_test(what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
