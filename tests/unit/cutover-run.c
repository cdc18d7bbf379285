/* cutover: whose the directory of keys is. */
#include "cutover/run.h"

#include "sys/fs.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[32];

static int enter(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-run-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static void of_who_has_the_lock(void **state)
{
	struct site s = {.file = (char[]){"s.yaml"}, .shop = (char[]){"1"}};
	const struct stage_opts so = {.state = dir, .runtime = dir};
	const struct cutover_opts o = {.s = &s, .so = &so};
	char *at SCOPED(mem_freep) = cut_dir(&o), *own SCOPED(mem_freep) = fs_dirname(at);
	char *key SCOPED(mem_freep) = NULL;
	struct cut_run one = {0}, two = {0};
	struct err e = ERR_INIT;

	(void)state;
	s.cutover.old.host = (char[]){"ssh://old"};
	assert_int_equal(fs_mkdirs(AT_FDCWD, own, 0755, &e), 0);
	assert_int_equal(cut_run_open(&o, &one, &e), 0);
	key = mem_format("%s/key", one.work);
	assert_int_equal(fs_put_path(key, "k", 1, 0400, &e), 0);
	assert_int_equal(cut_run_open(&o, &two, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	cut_run_close(&two);
	assert_int_equal(access(key, F_OK), 0);
	cut_run_close(&one);
	assert_int_equal(access(key, F_OK), -1);
}

/* One that was killed had no time to remove it. */
static void of_a_run_before(void **state)
{
	struct site s = {.file = (char[]){"s.yaml"}, .shop = (char[]){"1"}};
	const struct stage_opts so = {.state = dir, .runtime = dir};
	const struct cutover_opts o = {.s = &s, .so = &so};
	char *at SCOPED(mem_freep) = cut_dir(&o), *own SCOPED(mem_freep) = fs_dirname(at);
	char *work SCOPED(mem_freep) = NULL, *key SCOPED(mem_freep) = NULL;
	struct cut_run r = {0};
	struct err e = ERR_INIT;

	(void)state;
	s.cutover.old.host = (char[]){"ssh://old"};
	work = mem_format("%s/cutover-1-%s", dir, site_env_word(s.env));
	key = mem_format("%s/source-key", work);
	assert_int_equal(fs_mkdirs(AT_FDCWD, own, 0755, &e), 0);
	assert_int_equal(fs_mkdirs(AT_FDCWD, work, 0700, &e), 0);
	assert_int_equal(fs_put_path(key, "k", 1, 0400, &e), 0);
	assert_int_equal(cut_run_open(&o, &r, &e), 0);
	assert_int_equal(access(key, F_OK), -1);
	assert_int_equal(access(work, F_OK), 0);
	cut_run_close(&r);
	assert_int_equal(access(work, F_OK), -1);
}

/* A printer that listens, one that does not, and one that nobody knows. */
static void printers_answer(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	char *uri SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	uri = mem_format("socket://127.0.0.1:%u/x", ntohs(at.sin_port));
	assert_int_equal(cut_reach(uri, 500, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	assert_non_null(strstr(e.msg, "refused"));
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(cut_reach(uri, 500, &e), 0);
	(void)close(fd);
	assert_int_equal(cut_reach("ipp://nobody.invalid/x", 500, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(of_who_has_the_lock, enter, leave),
	    cmocka_unit_test_setup_teardown(of_a_run_before, enter, leave),
	    cmocka_unit_test(printers_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
