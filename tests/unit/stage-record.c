/* stage: the record of what runs, and ports that are listened on. */
#include "stage/look.h"
#include "stage/parts.h"

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

static char dir[] = "/tmp/posmedia-record-XXXXXX";
static int dirfd = -1;

static int enter(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0 ? -1 : 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(dirfd);
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static struct stage_one one_of(const char *name)
{
	const struct stage_one o = {.container = mem_strdup(name),
				    .identity = mem_strdup("localhost/till:1"),
				    .generation = digest_of(name, strlen(name)),
				    .manifest = digest_of("m", 1),
				    .config = digest_of("c", 1),
				    .site = digest_of("s", 1)};

	return o;
}

static void written_and_read(void **state)
{
	struct stage_record r SCOPED(stage_record_release) = {0};
	struct stage_record back SCOPED(stage_record_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(stage_record_read(dirfd, &back, &e), 0);
	assert_null(back.current.container);
	r.current = one_of("pos-1-dev-a");
	r.current.created = 1764140400;
	r.pending = one_of("pos-1-dev-b");
	r.stopped = true;
	assert_int_equal(stage_record_write(dirfd, &r, &e), 0);
	assert_int_equal(stage_record_read(dirfd, &back, &e), 0);
	assert_string_equal(back.current.container, "pos-1-dev-a");
	assert_string_equal(back.pending.container, "pos-1-dev-b");
	assert_null(back.previous.container);
	assert_true(digest_equal(&back.pending.generation, &r.pending.generation));
	assert_true(digest_equal(&back.current.config, &r.current.config));
	assert_int_equal(back.current.created, 1764140400);
	assert_int_equal(back.pending.created, 0);
	assert_true(back.stopped);
}

static void damaged(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{\"current\":",
	    "{\"current\":{}}",
	    "{\"current\":7}",
	    "{\"previous\":{\"container\":\"x\",\"identity\":\"y\",\"generation\":\"sha256:1\"}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct stage_record r = {0};
		struct err e = ERR_INIT;

		assert_int_equal(fs_put(dirfd, "state.json", bad[i], strlen(bad[i]), 0644, &e), 0);
		assert_int_equal(stage_record_read(dirfd, &r, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_null(r.current.container);
	}
}

static void ports(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), there, here;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	assert_false(stage_listens(getpid(), ntohs(at.sin_port)));
	assert_int_equal(listen(fd, 1), 0);
	assert_true(stage_listens(getpid(), ntohs(at.sin_port)));
	/* a connection that is left has the port too, and nobody listens */
	there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(there, (struct sockaddr *)&at, sizeof(at)), 0);
	here = accept(fd, NULL, NULL);
	assert_true(here >= 0);
	(void)close(fd);
	assert_false(stage_listens(getpid(), ntohs(at.sin_port)));
	(void)close(here);
	(void)close(there);
	assert_false(stage_listens(0, 1));
}

/* As swanctl 5.9.8 writes it, with what another end may put into its identity. */
static void tunnels(void **state)
{
	static const char said[] =
	    "list-sa event {1-qa_store {uniqueid=1 version=2 state=ESTABLISHED "
	    "local-host=198.51.100.2 remote-id=store.1 child-sas {net-1 {name=net uniqueid=1 "
	    "reqid=1 state=INSTALLED mode=TUNNEL protocol=ESP}}}}\n"
	    "list-sa event {1-qa_other {uniqueid=2 version=2 state=CONNECTING local-host=1.2.3.4 "
	    "remote-id=x state=ESTABLISHED child-sas {n {state=INSTALLED }}}}\n"
	    "list-sa event {1-qa_none {uniqueid=3 version=2 state=ESTABLISHED child-sas {}}}\n"
	    "list-sa event {1-qa_rekey {uniqueid=4 version=2 state=ESTABLISHED local-host=1.2.3.4 "
	    "child-sas {n-1 {name=n state=REKEYING mode=TUNNEL}}}}\n"
	    "list-sas reply {}\n";
	static const char *const odd[] = {"", "\n", "list-sa event {", "list-sa event {a {",
					  "list-sa event {a { state=ESTABLISHED "};
	struct strv up SCOPED(strv_release) = {0};

	(void)state;
	look_read_sas(said, &up);
	assert_int_equal(up.n, 2);
	assert_string_equal(up.v[0], "1-qa_store");
	assert_string_equal(up.v[1], "1-qa_rekey");
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		look_read_sas(odd[i], &up);
	assert_int_equal(up.n, 2);
}

/* A process that is gone, or whose number is another's now, is not taken for the instance. */
static void remembered(void **state)
{
	const struct site s = {.shop = mem_strdup("1"), .env = SITE_DEV};
	const struct stage_opts o = {.runtime = dir};
	const struct stage st = {.s = &s, .o = &o};
	struct stage_one one SCOPED(stage_one_release) = one_of("pos-1-dev-a");
	char *secrets SCOPED(mem_freep) = stage_secret_dir(&st, &one);
	char *path SCOPED(mem_freep) = mem_format("%s.run", secrets);
	struct stage_run r = {0};
	struct err e = ERR_INIT;
	uint64_t since;
	char text[128];

	(void)state;
	assert_int_equal(stage_recall_run(&st, &one, &r), -1);
	assert_int_equal(fs_mkdirs(dirfd, "1-dev", 0700, &e), 0);
	assert_int_equal(stage_process_since(getpid(), &since), 0);
	assert_true(since <= stage_machine_up());
	(void)snprintf(text, sizeof(text), "{\"pid\":%d,\"ticks\":7,\"starts\":1}", (int)getpid());
	assert_int_equal(fs_put_path(path, text, strlen(text), 0600, &e), 0);
	assert_int_equal(stage_recall_run(&st, &one, &r), -1);
	assert_int_equal(stage_process_since(0, &since), -1);
	free(s.shop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(written_and_read),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(ports),
	    cmocka_unit_test(tunnels),
	    cmocka_unit_test(remembered),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
