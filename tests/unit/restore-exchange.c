/* restore: the record, the exchange of directories and its way back, and the ledger. */
#include "restore/exchange.h"
#include "restore/ledger.h"
#include "stage/parts.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64];
	struct restore_places p;
};

static void put(int dirfd, const char *path, const char *text)
{
	struct err e = ERR_INIT;
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	int fd SCOPED(fd_closep) = -1;

	assert_int_equal(fs_mkdirs(dirfd, parent, 0755, &e), 0);
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, text, strlen(text), &e), 0);
}

static void is(int dirfd, const char *path, const char *text)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(dirfd, path, &b, &e), 0);
	assert_string_equal(b.data, text);
}

static int enter(void **state)
{
	struct place *x = mem_zalloc(sizeof(*x));
	struct err e = ERR_INIT;

	(void)snprintf(x->dir, sizeof(x->dir), "/tmp/posmedia-exchange-XXXXXX");
	if (mkdtemp(x->dir) == NULL || fs_open_dir(AT_FDCWD, x->dir, &x->p.dirfd, &e) != 0)
		return -1;
	put(x->p.dirfd, "usr2/is", "old usr2");
	put(x->p.dirfd, "log/is", "old log");
	put(x->p.dirfd, ".posmedia/restore/new/usr2/is", "new usr2");
	put(x->p.dirfd, ".posmedia/restore/new/log/is", "new log");
	x->p.work = "work";
	*state = x;
	return fs_open_dir(x->p.dirfd, ".posmedia", &x->p.ownfd, &e) != 0 ||
		       fs_open_dir(x->p.ownfd, "restore", &x->p.workfd, &e) != 0
		   ? -1
		   : 0;
}

static int leave(void **state)
{
	struct place *x = *state;
	struct err e = ERR_INIT;

	fd_closep(&x->p.dirfd);
	fd_closep(&x->p.ownfd);
	fd_closep(&x->p.workfd);
	if (fs_rmtree(AT_FDCWD, x->dir, &e) != 0)
		return -1;
	free(x);
	return 0;
}

static struct restore_record record_of(const char *a, const char *b)
{
	struct restore_record r = {.source = mem_strdup("dir:/x"), .since = 7, .n = 2};

	r.v = mem_zalloc(2 * sizeof(*r.v));
	r.v[0].name = mem_strdup(a);
	r.v[1].name = mem_strdup(b);
	return r;
}

static void there_and_back(void **state)
{
	struct place *x = *state;
	struct restore_record r SCOPED(restore_record_release) = record_of("usr2", "log");
	struct restore_record back SCOPED(restore_record_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(exchange_look(&x->p, &r, &e), 0);
	assert_int_equal(exchange_do(&x->p, &r, &e), 0);
	is(x->p.dirfd, "usr2/is", "new usr2");
	is(x->p.dirfd, "log/is", "new log");
	is(x->p.workfd, "previous/log/is", "old log");
	assert_int_equal(restore_record_read(x->p.ownfd, &back, &e), 0);
	assert_int_equal(back.phase, RESTORE_EXCHANGED);
	assert_int_equal(back.v[0].live, r.v[0].live);
	assert_int_equal(exchange_undo(&x->p, &back, &e), 0);
	is(x->p.dirfd, "usr2/is", "old usr2");
	is(x->p.dirfd, "log/is", "old log");
	is(x->p.workfd, "new/usr2/is", "new usr2");
	assert_int_equal(back.phase, RESTORE_FILLING);
}

/* What somebody took back is not what the next fill may go over, also when a kill came between. */
static void what_is_undone_by_hand_stays_so(void **state)
{
	struct place *x = *state;
	struct restore_record r SCOPED(restore_record_release) = record_of("usr2", "log");
	struct restore_record back SCOPED(restore_record_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(exchange_look(&x->p, &r, &e), 0);
	assert_int_equal(exchange_do(&x->p, &r, &e), 0);
	r.by_hand = true;
	r.phase = RESTORE_UNDOING;
	assert_int_equal(restore_record_write(x->p.ownfd, &r, &e), 0);
	assert_int_equal(restore_record_read(x->p.ownfd, &back, &e), 0);
	assert_int_equal(exchange_undo(&x->p, &back, &e), 0);
	assert_int_equal(back.phase, RESTORE_UNDONE);
	assert_string_equal(restore_phase_word(back.phase), "undone");
}

/* As a kill leaves it: the one is exchanged, the other is not. */
static void goes_on_and_goes_back_half_way(void **state)
{
	struct place *x = *state;
	struct restore_record r SCOPED(restore_record_release) = record_of("usr2", "log");
	struct err e = ERR_INIT;

	assert_int_equal(exchange_look(&x->p, &r, &e), 0);
	assert_int_equal(renameat2(x->p.dirfd, "usr2", x->p.workfd, "new/usr2", RENAME_EXCHANGE),
			 0);
	r.phase = RESTORE_EXCHANGING;
	assert_int_equal(exchange_undo(&x->p, &r, &e), 0);
	is(x->p.dirfd, "usr2/is", "old usr2");
	is(x->p.dirfd, "log/is", "old log");
	assert_int_equal(renameat2(x->p.dirfd, "log", x->p.workfd, "new/log", RENAME_EXCHANGE), 0);
	r.phase = RESTORE_EXCHANGING;
	assert_int_equal(exchange_do(&x->p, &r, &e), 0);
	is(x->p.dirfd, "usr2/is", "new usr2");
	is(x->p.dirfd, "log/is", "new log");
	/* all but the record was done */
	r.phase = RESTORE_EXCHANGING;
	assert_int_equal(exchange_do(&x->p, &r, &e), 0);
	is(x->p.dirfd, "usr2/is", "new usr2");
}

static void what_is_neither_is_left_alone(void **state)
{
	struct place *x = *state;
	struct restore_record r SCOPED(restore_record_release) = record_of("usr2", "log");
	struct err e = ERR_INIT;

	assert_int_equal(exchange_look(&x->p, &r, &e), 0);
	assert_int_equal(renameat(x->p.dirfd, "log", x->p.dirfd, "moved"), 0);
	put(x->p.dirfd, "log/is", "another's");
	assert_int_equal(exchange_do(&x->p, &r, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	is(x->p.dirfd, "log/is", "another's");
	is(x->p.workfd, "new/log/is", "new log");
}

static void a_commit_removes_what_was(void **state)
{
	struct place *x = *state;
	struct restore_record r SCOPED(restore_record_release) = record_of("usr2", "log");
	struct restore_record back SCOPED(restore_record_release) = {0};
	struct err e = ERR_INIT;

	assert_int_equal(exchange_look(&x->p, &r, &e), 0);
	assert_int_equal(exchange_do(&x->p, &r, &e), 0);
	assert_int_equal(exchange_commit(&x->p, &r, &e), 0);
	is(x->p.dirfd, "usr2/is", "new usr2");
	assert_int_equal(faccessat(x->p.ownfd, "restore", F_OK, 0), -1);
	assert_int_equal(restore_record_read(x->p.ownfd, &back, &e), 0);
	assert_int_equal(back.phase, RESTORE_NONE);
}

static void a_damaged_record_is_no_record(void **state)
{
	static const char *const bad[] = {
	    "", "{}", "{\"phase\":\"filling\",\"source\":\"x\"}",
	    "{\"phase\":\"none\",\"source\":\"x\",\"since\":1,\"data\":[]}",
	    ("{\"phase\":\"exchanging\",\"source\":\"x\",\"since\":1,\"data\":[{\"name\":\"../x\","
	     "\"live\":1,\"new\":2}]}")};
	struct place *x = *state;
	struct site s = {.shop = (char *)(uintptr_t) "123",
			 .file = (char *)(uintptr_t) "site.yaml"};
	struct stage st = {.ownfd = x->p.ownfd, .s = &s};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct restore_record back SCOPED(restore_record_release) = {0};
		struct err e = ERR_INIT;

		put(x->p.ownfd, "./" STAGE_RESTORE, bad[i]);
		assert_int_equal(restore_record_read(x->p.ownfd, &back, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
	}
	/* no instance starts while nobody knows which of the two is live */
	for (int p = RESTORE_FILLING; p <= RESTORE_UNDONE; p++) {
		struct restore_record r SCOPED(restore_record_release) = record_of("a", "b");
		struct err e = ERR_INIT;
		bool half = p == RESTORE_EXCHANGING || p == RESTORE_UNDOING;

		r.phase = (enum restore_phase)p;
		assert_int_equal(restore_record_write(x->p.ownfd, &r, &e), 0);
		assert_int_equal(stage_check_restored(&st, &e), half ? -1 : 0);
		assert_true(!half || e.kind == ERR_BUSY);
	}
}

static void the_ledger_is_a_chain(void **state)
{
	struct place *x = *state;
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	uint64_t n = 0;
	int fd;

	jval_put_text(v, "source", "dir:/x");
	for (int i = 0; i < 3; i++)
		assert_int_equal(restore_ledger_append(x->p.ownfd, "restore", v, &e), 0);
	assert_int_equal(restore_ledger_check(x->p.ownfd, &n, &e), 0);
	assert_int_equal(n, 3);
	/* who died while writing */
	fd = openat(x->p.ownfd, LEDGER, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"what\":", 8), 8);
	(void)close(fd);
	assert_int_equal(restore_ledger_append(x->p.ownfd, "commit", v, &e), 0);
	assert_int_equal(restore_ledger_check(x->p.ownfd, &n, &e), 0);
	assert_int_equal(n, 4);
	/* one in the middle is another */
	assert_int_equal(fs_get(x->p.ownfd, LEDGER, &b, &e), 0);
	*strstr(strstr(b.data, "\n"), "dir:/x") = 'D';
	assert_int_equal(fs_put(x->p.ownfd, LEDGER, b.data, b.len, 0600, &e), 0);
	assert_int_equal(restore_ledger_check(x->p.ownfd, &n, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, ":3:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(there_and_back, enter, leave),
	    cmocka_unit_test_setup_teardown(what_is_undone_by_hand_stays_so, enter, leave),
	    cmocka_unit_test_setup_teardown(goes_on_and_goes_back_half_way, enter, leave),
	    cmocka_unit_test_setup_teardown(what_is_neither_is_left_alone, enter, leave),
	    cmocka_unit_test_setup_teardown(a_commit_removes_what_was, enter, leave),
	    cmocka_unit_test_setup_teardown(a_damaged_record_is_no_record, enter, leave),
	    cmocka_unit_test_setup_teardown(the_ledger_is_a_chain, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
