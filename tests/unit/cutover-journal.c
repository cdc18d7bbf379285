/* cutover: the journal, cut at every byte, changed at every byte, and written by one at a time. */
#include "cutover/journal.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_MAX = 1 << 20 };

static char dir[40];

static int enter(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-journal-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static struct journal *opened(void)
{
	struct journal *j = NULL;
	struct err e = ERR_INIT;

	if (journal_open(dir, &j, &e) != 0)
		fail_msg("%s", e.msg);
	return j;
}

static void add(struct journal *j, enum cut_phase p, enum cut_event v)
{
	struct err e = ERR_INIT;
	struct jval *data = jval_object();

	jval_put_int(data, "ms", 7);
	if (journal_append(j, p, v, data, &e) != 0)
		fail_msg("%s", e.msg);
}

static void phases(struct journal *j, enum cut_phase from, enum cut_phase to)
{
	for (int p = (int)from; p <= (int)to; p++) {
		if (p != CUT_COMMIT)
			add(j, (enum cut_phase)p, CUT_BEGIN);
		add(j, (enum cut_phase)p, CUT_OK);
	}
}

static void undone(struct journal *j)
{
	struct err e = ERR_INIT;

	assert_int_equal(journal_begin(j, NULL, &e), 0);
	phases(j, CUT_PREFLIGHT, CUT_FENCE);
	add(j, CUT_PASS, CUT_BEGIN);
	add(j, CUT_PASS, CUT_FAIL);
	add(j, CUT_ABORT, CUT_BEGIN);
	add(j, CUT_ABORT, CUT_OK);
}

static void done(struct journal *j)
{
	struct err e = ERR_INIT;

	assert_int_equal(journal_begin(j, NULL, &e), 0);
	phases(j, CUT_PREFLIGHT, CUT_DONE);
}

/* One that was undone, and one that was not. */
static void two_epochs(void)
{
	struct journal *j SCOPED(journal_closep) = opened();

	undone(j);
	done(j);
}

static void slurp(struct buf *b)
{
	char *path SCOPED(mem_freep) = mem_format("%s/journal", dir);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(AT_FDCWD, path, b, &e), 0);
}

static void put(const void *p, size_t n)
{
	char *path SCOPED(mem_freep) = mem_format("%s/journal", dir);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_unsynced(path, p, n, 0600, &e), 0);
}

static void what_is_written_is_read(void **state)
{
	struct journal *j SCOPED(journal_closep) = NULL;
	const struct cut_facts *f;

	(void)state;
	two_epochs();
	j = opened();
	f = journal_facts(j);
	assert_int_equal(f->epoch, 2);
	assert_true(cut_over(f) && cut_committed(f) && !cut_aborted(f));
	assert_int_equal(strlen(journal_run(j)), 32);
	assert_non_null(strstr(journal_last(j), "\"phase\":\"done\""));
}

static void only_what_may_follow(void **state)
{
	struct journal *j SCOPED(journal_closep) = opened();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(journal_append(j, CUT_FENCE, CUT_BEGIN, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(journal_begin(j, NULL, &e), 0);
	assert_int_equal(journal_begin(j, NULL, &e), -1);
	assert_int_equal(journal_append(j, CUT_COMMIT, CUT_OK, NULL, &e), -1);
	phases(j, CUT_PREFLIGHT, CUT_HOLD);
	add(j, CUT_ABORT, CUT_BEGIN);
	assert_int_equal(journal_append(j, CUT_COMMIT, CUT_OK, NULL, &e), -1);
	add(j, CUT_ABORT, CUT_OK);
	assert_int_equal(journal_append(j, CUT_ABORT, CUT_BEGIN, NULL, &e), -1);
}

static void one_at_a_time(void **state)
{
	struct journal *j SCOPED(journal_closep) = opened(), *k = NULL;
	struct journal *look SCOPED(journal_closep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(journal_begin(j, NULL, &e), 0);
	assert_int_equal(journal_open(dir, &k, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_int_equal(journal_look(dir, &look, &e), 0);
	assert_int_equal(journal_facts(look)->epoch, 1);
	assert_int_equal(journal_append(look, CUT_PREFLIGHT, CUT_BEGIN, NULL, &e), -1);
}

static size_t lines_in(const struct buf *b, size_t n)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += b->data[i] == '\n';
	return lines;
}

/* What a power cut leaves is a beginning of the file: the whole records of it are what was, and the
 * next record follows them. */
static void cut_anywhere(void **state)
{
	struct buf all SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct cut_facts before = {0};
	size_t committed = 0;

	(void)state;
	two_epochs();
	slurp(&all);
	for (size_t n = 0; n <= all.len; n++) {
		struct cut_facts f = {0};
		struct err e = ERR_INIT;
		uint64_t lines = 0;

		if (journal_parse(all.data, n, &f, &lines, &e) != 0)
			fail_msg("at %zu: %s", n, e.msg);
		assert_int_equal(lines, lines_in(&all, n));
		/* a byte more of a record changes nothing until it is whole */
		if (n > 0 && all.data[n - 1] != '\n')
			assert_memory_equal(&f, &before, sizeof(f));
		before = f;
		if (cut_committed(&f) && committed == 0)
			committed = n;
	}
	assert_true(committed > 0 && all.data[committed - 1] == '\n');
}

static void written_on_after_any_cut(void **state)
{
	struct buf all SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	(void)state;
	two_epochs();
	slurp(&all);
	for (size_t n = 0; n <= all.len; n += n + 200 < all.len ? 7 : 1) {
		struct journal *j SCOPED(journal_closep) = NULL;
		struct buf now SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		struct err e = ERR_INIT;
		size_t lines;

		put(all.data, n);
		j = opened();
		lines = lines_in(&all, n);
		if (cut_over(journal_facts(j)))
			assert_int_equal(journal_begin(j, NULL, &e), 0);
		else
			add(j, CUT_PREFLIGHT, CUT_NOTE);
		slurp(&now);
		assert_int_equal(lines_in(&now, now.len), lines + 1);
		assert_int_equal(now.data[now.len - 1], '\n');
	}
}

/* One byte that is another, from one place to another of a journal: refused, or a torn end, and
 * never another story. */
static void changed(struct buf *all, size_t from, size_t to)
{
	struct cut_facts whole = {0};
	struct err e = ERR_INIT;
	uint64_t lines = 0;

	assert_int_equal(journal_parse(all->data, all->len, &whole, &lines, &e), 0);
	for (size_t i = from; i < to; i++)
		for (unsigned bit = 1; bit < 256; bit = bit * 16 + 1) {
			struct cut_facts f = {0};
			uint64_t n = 0;
			char was = all->data[i];

			all->data[i] = (char)(was ^ (char)bit);
			e = (struct err)ERR_INIT;
			if (journal_parse(all->data, all->len, &f, &n, &e) == 0 &&
			    (i + 1 < all->len || n != lines - 1))
				fail_msg("byte %zu, %02x: taken", i, bit);
			all->data[i] = was;
		}
}

static size_t behind_line(const struct buf *b, size_t at)
{
	return (size_t)(strchr(b->data + at, '\n') + 1 - b->data);
}

/* Each epoch by itself, since all in front of what is changed is read each time; of both in one
 * journal, the lines where they meet. */
static void changed_anywhere(void **state)
{
	static void (*const epochs[])(struct journal *) = {undone, done};
	struct buf all SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	const char *second;
	size_t from;
	int ends = 0;

	for (size_t i = 0; i < 2; i++) {
		struct journal *j SCOPED(journal_closep) = opened();

		epochs[i](j);
		buf_cut(&all, 0);
		slurp(&all);
		changed(&all, 0, all.len);
		journal_close(STEAL(j));
		assert_int_equal(leave(state), 0);
		assert_int_equal(enter(state), 0);
	}
	two_epochs();
	buf_cut(&all, 0);
	slurp(&all);
	second = strstr(all.data, "\"epoch\":2");
	assert_non_null(second);
	from = (size_t)(second - all.data);
	while (from > 0 && ends < 2)
		ends += all.data[--from] == '\n';
	changed(&all, from, behind_line(&all, behind_line(&all, from + 1)));
}

/* A line taken out, or one that stands twice. */
static void lines_missing_or_twice(void **state)
{
	struct buf all SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	(void)state;
	two_epochs();
	slurp(&all);
	for (char *at = all.data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		struct buf out SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		struct buf twice SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		struct cut_facts f;
		struct err e = ERR_INIT;
		uint64_t n;

		buf_add(&twice, all.data, (size_t)(end + 1 - all.data));
		buf_add(&twice, at, all.len - (size_t)(at - all.data));
		assert_int_equal(journal_parse(twice.data, twice.len, &f, &n, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		if (end[1] == '\0')
			break; /* without the last it is the journal of before */
		buf_add(&out, all.data, (size_t)(at - all.data));
		buf_add(&out, end + 1, all.len - (size_t)(end + 1 - all.data));
		assert_int_equal(journal_parse(out.data, out.len, &f, &n, &e), -1);
	}
}

/* A disk that is full in the middle of a record. */
static void half_a_record_is_taken_back(void **state)
{
	struct journal *j SCOPED(journal_closep) = opened();
	struct buf before SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct buf now SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct rlimit was, little;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(journal_begin(j, NULL, &e), 0);
	phases(j, CUT_PREFLIGHT, CUT_HOLD);
	slurp(&before);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little = (struct rlimit){before.len + 20, was.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_int_equal(journal_append(j, CUT_COMMIT, CUT_OK, NULL, &e), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_false(cut_committed(journal_facts(j)));
	slurp(&now);
	assert_int_equal(now.len, before.len);
	add(j, CUT_COMMIT, CUT_OK);
	assert_true(cut_committed(journal_facts(j)));
}

static void no_link_is_followed(void **state)
{
	char *link SCOPED(mem_freep) = mem_format("%s/journal", dir);
	struct journal *j SCOPED(journal_closep) = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(symlink("/dev/zero", link), 0);
	assert_int_equal(journal_open(dir, &j, &e), -1);
}

/* Behind a commit the next one is a reverse, and until it commits the new side is right. */
static void a_reverse_goes_from_the_new_side(void **state)
{
	struct journal *j SCOPED(journal_closep) = NULL;
	struct buf all SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct cut_facts f = {0};
	struct err e = ERR_INIT;
	uint64_t n = 0;

	(void)state;
	two_epochs();
	j = opened();
	assert_true(cut_moved(journal_facts(j)));
	assert_int_equal(journal_begin(j, NULL, &e), 0);
	assert_true(journal_facts(j)->reverse);
	slurp(&all);
	assert_int_equal(journal_parse(all.data, all.len, &f, &n, &e), 0);
	assert_true(f.reverse && cut_moved(&f));
	add(j, CUT_ABORT, CUT_BEGIN);
	add(j, CUT_ABORT, CUT_OK);
	assert_true(cut_moved(journal_facts(j)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_written_is_read, enter, leave),
	    cmocka_unit_test_setup_teardown(only_what_may_follow, enter, leave),
	    cmocka_unit_test_setup_teardown(one_at_a_time, enter, leave),
	    cmocka_unit_test_setup_teardown(cut_anywhere, enter, leave),
	    cmocka_unit_test_setup_teardown(written_on_after_any_cut, enter, leave),
	    cmocka_unit_test_setup_teardown(changed_anywhere, enter, leave),
	    cmocka_unit_test_setup_teardown(lines_missing_or_twice, enter, leave),
	    cmocka_unit_test_setup_teardown(half_a_record_is_taken_back, enter, leave),
	    cmocka_unit_test_setup_teardown(no_link_is_followed, enter, leave),
	    cmocka_unit_test_setup_teardown(a_reverse_goes_from_the_new_side, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
