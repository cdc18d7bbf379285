/* scan/match: card numbers where they are, and nowhere else. Numbers are made as the test runs. */
#include "scan/feed.h"

#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	size_t n, of[SCAN_CLASSES];
	struct match first, last;
};

static void on_match(void *ctx, const struct match *m)
{
	struct seen *s = ctx;

	if (s->n++ == 0)
		s->first = *m;
	s->last = *m;
	s->of[m->cls]++;
}

/* A number with that beginning, varied digits and the right check digit. */
static const char *card(const char *prefix, size_t n, unsigned seed)
{
	static char d[CARD_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		d[i] = i < strlen(prefix) ? prefix[i] : (char)('0' + (seed >> 16) % 10);
	}
	d[n] = '\0';
	while (!issuer_luhn(d, n))
		d[n - 1] = (char)('0' + (d[n - 1] - '0' + 1) % 10);
	return d;
}

static struct seen look_n(const void *p, size_t n)
{
	struct seen s = {0};
	struct matcher m = {.fn = on_match, .ctx = &s};

	match_whole(&m, p, n, 0);
	match_end(&m);
	return s;
}

PRINTF(1, 2) static struct seen look(const char *fmt, ...)
{
	char *text SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vformat(fmt, ap);
	va_end(ap);
	return look_n(text, strlen(text));
}

static void is_one(struct seen s, enum scan_class cls)
{
	assert_int_equal(s.n, 1);
	assert_int_equal(s.first.cls, cls);
}

static void issuers_have_their_lengths(void **state)
{
	(void)state;
	assert_string_equal(issuer_of(card("4", 16, 1), 16), "Visa");
	assert_string_equal(issuer_of(card("4", 13, 1), 13), "Visa");
	assert_null(issuer_of(card("4", 15, 1), 15));
	assert_string_equal(issuer_of(card("37", 15, 1), 15), "American Express");
	assert_null(issuer_of(card("37", 16, 1), 16));
	assert_string_equal(issuer_of(card("2720", 16, 1), 16), "Mastercard");
	assert_null(issuer_of(card("273", 16, 1), 16));
	assert_null(issuer_of(card("1", 16, 1), 16));
	assert_string_equal(issuer_of(card("36", 14, 1), 14), "Diners Club");
	assert_string_equal(issuer_of(card("623", 19, 1), 19), "UnionPay");
}

/* One digit other is no card; two neighbours exchanged neither. */
static void check_digit_counts(void **state)
{
	char d[CARD_MAX + 1];

	(void)state;
	memcpy(d, card("5301", 16, 3), sizeof(d));
	assert_true(issuer_luhn(d, 16));
	for (size_t i = 0; i < 16; i++) {
		d[i] = (char)('0' + (d[i] - '0' + 1) % 10);
		assert_false(issuer_luhn(d, 16));
		assert_int_equal(look("x %s y", d).n, 0);
		d[i] = (char)('0' + (d[i] - '0' + 9) % 10);
	}
	is_one(look("x %s y", d), SCAN_PAN);
}

static void is_masked(void **state)
{
	const char *d = card("4", 16, 5);
	struct seen s = look("number: %s", d);

	(void)state;
	is_one(s, SCAN_PAN);
	assert_int_equal(s.first.at, 8);
	assert_int_equal(strlen(s.first.seen), 16);
	assert_memory_equal(s.first.seen, d, 6);
	assert_memory_equal(s.first.seen + 6, "******", 6);
	assert_memory_equal(s.first.seen + 12, d + 12, 4);
}

static void test_numbers_are_apart(void **state)
{
	char made_up[17];

	(void)state;
	for (int i = 0; i < 16; i++)
		made_up[i] = i % 2 == 0 ? '4' : '2';
	made_up[16] = '\0';
	is_one(look("card %s", made_up), SCAN_TEST_PAN);
	is_one(look("card %s%s", "37828224", "6310005"), SCAN_TEST_PAN);
}

static void edges_decide(void **state)
{
	const char *d = card("4", 16, 9);

	(void)state;
	assert_int_equal(look("0.%s", d).n, 0);
	assert_int_equal(look("%s.25", d).n, 0);
	assert_int_equal(look("7%s", d).n, 0);
	assert_int_equal(look("a7f%s", d).n, 0);
	assert_int_equal(look("cafe%s", d).n, 0);
	assert_int_equal(look("https:/item/%s", d).n, 0);
	assert_int_equal(look("1.0.post%s", d).n, 0);
	is_one(look("It was %s.", d), SCAN_PAN);
	is_one(look("till%sx", d), SCAN_PAN);
	is_one(look("a_%s_b", d), SCAN_PAN);
	is_one(look("card/%s", d), SCAN_PAN);
	is_one(look("\"%s\",", d), SCAN_PAN);
}

static void other_lengths_want_a_word(void **state)
{
	char d[CARD_MAX + 1];

	(void)state;
	memcpy(d, card("4", 13, 2), sizeof(d));
	assert_int_equal(look("item %s", d).n, 0);
	assert_int_equal(look("expression %s span", d).n, 0);
	is_one(look("PAN %s", d), SCAN_PAN);
	memcpy(d, card("4", 19, 2), sizeof(d));
	assert_int_equal(look("item %s", d).n, 0);
	is_one(look("%s is the card", d), SCAN_PAN);
	memcpy(d, card("4", 16, 2), sizeof(d));
	is_one(look("card number 000%s", d), SCAN_PAN);
}

static void in_groups(const char *d, const char *sep, const char *before, const char *after,
		      size_t want)
{
	struct seen s =
	    look("%s%.4s%s%.4s%s%.4s%s%s%s", before, d, sep, d + 4, sep, d + 8, sep, d + 12, after);

	if (s.n != want)
		fail_msg("\"%s\" \"%s\" \"%s\": %zu", before, sep, after, s.n);
}

static void groups_are_cards_but_in_lists(void **state)
{
	char d[CARD_MAX + 1];

	(void)state;
	memcpy(d, card("4", 16, 11), sizeof(d));
	in_groups(d, " ", "", "", 1);
	in_groups(d, "-", "to ", ".", 1);
	in_groups(d, ".", "to ", ".", 1);
	in_groups(d, " ", "", " 12/29", 1);
	in_groups(d, " ", "", " 1229", 1);
	in_groups(d, " ", "2026-11-25 10:00:00 ", " 5.00", 1);
	in_groups(d, " ", "1 ", " ROSE", 1);
	in_groups(d, " ", "1234 5678 ", "", 0);
	in_groups(d, " ", "51F1 5272 ", "", 0);
	in_groups(d, " ", "", " 1234 5678", 0);
	in_groups(d, " ", "", " 12 5678", 0);
	in_groups(d, ".", "[.", "]", 0);
	in_groups(d, "  ", "", "", 0);
	in_groups(d, " ", "card 1234 5678 ", "", 1);
	memcpy(d, card("37", 15, 4), sizeof(d));
	is_one(look("%.4s %.6s %s", d, d + 4, d + 10), SCAN_PAN);
	assert_int_equal(look("%.5s %.5s %s", d, d + 5, d + 10).n, 0);
	memcpy(d, card("36", 14, 4), sizeof(d));
	is_one(look("%.4s-%.6s-%s", d, d + 4, d + 10), SCAN_PAN);
	memcpy(d, card("4", 19, 4), sizeof(d));
	is_one(look("%.4s %.4s %.4s %.4s %s", d, d + 4, d + 8, d + 12, d + 16), SCAN_PAN);
}

static void tracks(void **state)
{
	char d[CARD_MAX + 1];

	(void)state;
	memcpy(d, card("53", 16, 7), sizeof(d));
	is_one(look("%%B%s^ROSE/TULIP^29121010000?", d), SCAN_TRACK1);
	is_one(look(";%s=29121010000?", d), SCAN_TRACK2);
	is_one(look("57 %sD29121010000F", d), SCAN_TRACK2);
	/* no such month */
	is_one(look(";%s=29131010000?", d), SCAN_PAN);
	assert_int_equal(look("a9%sD2912101", d).n, 0);
}

static void codes_beside(void **state)
{
	struct seen s = look("card %s, CVV: 123", card("4", 16, 8));

	(void)state;
	assert_int_equal(s.of[SCAN_PAN], 1);
	assert_int_equal(s.of[SCAN_CVV], 1);
	assert_string_equal(s.last.seen, "");
	s = look("card %s, CVV: 12345", card("4", 16, 8));
	assert_int_equal(s.of[SCAN_CVV], 0);
	s = look("%s PIN block: 0123456789ABCDEF", card("4", 16, 8));
	assert_int_equal(s.of[SCAN_PIN_BLOCK], 1);
	assert_int_equal(look("CVV: 123").n, 0);
}

static void of_wide_text(void **state)
{
	const char *d = card("4", 16, 12);
	char text[200];
	struct seen s;

	(void)state;
	for (size_t lead = 0; lead < 12; lead++) {
		size_t n = 0;

		memset(text, 0, sizeof(text));
		memset(text, 'z', lead);
		n = lead;
		for (size_t i = 0; i < 16; i++, n += 2)
			text[n] = d[i];
		s = look_n(text, n);
		is_one(s, SCAN_PAN);
		assert_int_equal(s.first.at, lead);
		memmove(text + lead + 1, text + lead, n - lead);
		text[lead] = 0;
		is_one(look_n(text, n + 1), SCAN_PAN);
	}
}

static void columns_show_what_one_row_cannot(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct seen s;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		buf_addf(&b, "%06u%s%04u\n", 100 + i, card("4", 16, i), 1229 + i);
	s = look_n(b.data, b.len);
	assert_int_equal(s.of[SCAN_PAN], 20);
	assert_int_equal(s.first.at, 6);
	/* the same number every time is a constant, and a few rows prove nothing */
	b.len = 0;
	for (unsigned i = 0; i < 20; i++)
		buf_addf(&b, "%06u%s%04u\n", 100 + i, card("4", 16, 1), 1229 + i);
	assert_int_equal(look_n(b.data, b.len).n, 0);
	b.len = 0;
	for (unsigned i = 0; i < 7; i++)
		buf_addf(&b, "%06u%s%04u\n", 100 + i, card("4", 16, i), 1229 + i);
	assert_int_equal(look_n(b.data, b.len).n, 0);
}

/* Digits 1 to 5 only, as a table of strokes has. */
static void tables_of_few_digits(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	unsigned rows = 0;

	(void)state;
	for (unsigned i = 0; rows < 20; i++) {
		char d[16] = "34";

		for (unsigned k = 2; k < 15; k++)
			d[k] = (char)('1' + (i >> (k % 6) & 3) + (k + i) % 2);
		d[15] = '\0';
		if (!issuer_luhn(d, 15))
			continue;
		buf_addf(&b, "x %s\n", d);
		rows++;
	}
	assert_int_equal(look_n(b.data, b.len).n, 0);
	assert_int_equal(look_n(b.data, 18).n, 1);
}

struct bytes {
	const char *p;
	size_t n, step;
};

static int give(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct bytes *b = ctx;
	size_t n = b->n < room ? b->n : room;

	(void)e;
	n = n < b->step ? n : b->step;
	memcpy(p, b->p, n);
	b->p += n;
	b->n -= n;
	*ret_n = n;
	return 0;
}

/* Wherever a number lies in a file, also across the pieces of the buffer, it is found once. */
static void at_every_place(void **state)
{
	const size_t size = 2 * FEED_PIECE + 4000;
	char *text SCOPED(mem_freep) = mem_zalloc(size);
	struct feed f = {0};

	(void)state;
	for (size_t round = 0; round < 40; round++) {
		struct seen s = {0};
		struct matcher m = {.fn = on_match, .ctx = &s};
		struct bytes b = {text, size, round % 2 == 0 ? size : 1000};
		const struct input in = {give, &b};
		struct err e = ERR_INIT;
		size_t at = FEED_PIECE + (1 + round / 20) * MATCH_CONTEXT - 10 + 2 * round;

		memset(text, 'x', size);
		memset(text + at - 50, ' ', 80);
		memcpy(text + at - 45, "card", 4);
		memcpy(text + at, card("4", 13, (unsigned)round), 13);
		feed_reset(&f);
		do {
			assert_int_equal(feed_fill(&f, &in, &e), 0);
			feed_match(&f, &m);
		} while (!f.end);
		is_one(s, SCAN_PAN);
		assert_int_equal(s.first.at, at);
	}
	feed_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(issuers_have_their_lengths),
	    cmocka_unit_test(check_digit_counts),
	    cmocka_unit_test(is_masked),
	    cmocka_unit_test(test_numbers_are_apart),
	    cmocka_unit_test(edges_decide),
	    cmocka_unit_test(other_lengths_want_a_word),
	    cmocka_unit_test(groups_are_cards_but_in_lists),
	    cmocka_unit_test(tracks),
	    cmocka_unit_test(codes_beside),
	    cmocka_unit_test(of_wide_text),
	    cmocka_unit_test(columns_show_what_one_row_cannot),
	    cmocka_unit_test(tables_of_few_digits),
	    cmocka_unit_test(at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
