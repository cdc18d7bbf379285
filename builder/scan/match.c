#include "scan/match.h"

#include "base/mem.h"
#include "scan/columns.h"
#include "scan/near.h"
#include <ctype.h>
#include <string.h>

/* STRIDE: a number of 13 digits or more covers a probe wherever it begins, and one in groups or in
 * UTF-16 covers one that is on a digit: separators, and zeros of UTF-16, are never a stride (an odd
 * number) apart without a digit under a third probe. */
enum {
	STRIDE = 9,
	RUN_MAX = 64,
	GROUPS_MAX = 12,
	WIDE_REACH = 160,
	TOKEN_REACH = 32,
	DIGITS_FEW = 5,
	BINARY_REACH = 32,
	LIST_TOKEN = 8
};

struct group {
	size_t s, e;
};

struct card {
	size_t s, e; /* the place, in characters */
	size_t n;
	char d[CARD_MAX + 1];
};

static int at(const struct text *t, size_t i)
{
	return i < t->n ? t->p[i] : -1;
}

/* Before the first character i - 1 is far outside, which is no character either. */
static bool digit(const struct text *t, size_t i)
{
	return i < t->n && (unsigned)(t->p[i] - '0') < 10;
}

void match_mask(const char *digits, size_t n, char *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = '*';
	ret[n] = '\0';
	for (size_t i = 0; i < 6 && n >= CARD_MIN; i++)
		ret[i] = digits[i];
	for (size_t i = n - 4; i < n && n >= CARD_MIN; i++)
		ret[i] = digits[i];
}

static void tell(struct matcher *m, const struct text *t, size_t i, struct match one)
{
	one.at = t->at + (uint64_t)i * t->step;
	m->fn(m->ctx, &one);
}

static bool few_digits(const struct card *c)
{
	unsigned seen = 0;

	for (size_t i = 0; i < c->n; i++)
		seen |= 1U << (c->d[i] - '0');
	return __builtin_popcount(seen) <= DIGITS_FEW;
}

static void tell_card(struct matcher *m, const struct text *t, const struct card *c,
		      enum scan_class cls)
{
	struct match one = {.cls = cls, .what = issuer_of(c->d, c->n)};
	size_t i;

	if (one.what == NULL)
		one.what = "another issuer";
	match_mask(c->d, c->n, one.seen);
	if (issuer_is_test(c->d, c->n))
		one.cls = SCAN_TEST_PAN;
	if (cls == SCAN_PAN && few_digits(c) && !near_word(t, c->s, c->e)) {
		one.at = t->at + (uint64_t)c->s * t->step;
		m->plain[m->plain_n < MATCH_PLAIN_MAX ? m->plain_n : MATCH_PLAIN_MAX - 1] = one;
		m->plain_n++;
		return;
	}
	m->other_n++;
	tell(m, t, c->s, one);
	if (one.cls == SCAN_TEST_PAN)
		return;
	if (near_cvv(t, c->s, c->e, &i))
		tell(m, t, i, (struct match){.cls = SCAN_CVV, .what = "verification code"});
	if (near_pin_block(t, c->s, c->e, &i))
		tell(m, t, i, (struct match){.cls = SCAN_PIN_BLOCK, .what = "PIN block"});
}

static void take(const struct text *t, size_t s, size_t e, struct card *ret)
{
	*ret = (struct card){.s = s, .e = e};
	for (size_t i = s; i < e && ret->n < CARD_MAX; i++)
		if (digit(t, i))
			ret->d[ret->n++] = (char)t->p[i];
}

struct token {
	bool letters, beyond_hex, digits;
};

static void token_add(struct token *k, int c)
{
	k->letters = true;
	k->beyond_hex |= !isxdigit(c);
	k->digits |= isdigit(c) != 0;
}

/* What letters and digits beside a run of digits say: letters make it an identifier, as in
 * "cardNNNN"; other digits, or nothing but letters of hexadecimal numbers, a serial or a hash; a
 * digit and a dot before the letters, a version. */
static bool token_ok(const struct text *t, size_t s, size_t e)
{
	struct token k = {0};
	size_t left = s, right = e;

	while (left > 0 && s - left < TOKEN_REACH && isalnum(t->p[left - 1]))
		token_add(&k, t->p[--left]);
	while (right < t->n && right - e < TOKEN_REACH && isalnum(t->p[right]))
		token_add(&k, t->p[right++]);
	if (left > 1 && t->p[left - 1] == '.' && digit(t, left - 2))
		return false;
	return !k.digits && (!k.letters || k.beyond_hex);
}

/* Whether there are bytes around that no text has; for a number of few digits, also such as are
 * rare in it. */
static bool in_binary(const struct text *t, const struct card *c)
{
	size_t i = c->s > BINARY_REACH ? c->s - BINARY_REACH : 0, controls = 0, high = 0;

	for (; i < c->e + BINARY_REACH && i < t->n; i++) {
		controls += t->p[i] != 0 && t->p[i] < '\a';
		high += t->p[i] >= 0x80;
	}
	return controls > 2 || (few_digits(c) && high > BINARY_REACH / 3);
}

/* Whether a number at such a place needs a word of the trade: in a program or a font, in the path
 * of an address, or in a name. */
static bool doubtful(const struct text *t, const struct card *c)
{
	int left = c->s > 0 ? t->p[c->s - 1] : 0;

	if (left == '/' || at(t, c->e) == '/')
		return true;
	if (left == '-' && c->s > 1 && isalpha(t->p[c->s - 2]))
		return true;
	return t->step == 1 && in_binary(t, c) &&
	       (few_digits(c) || isalnum(left) || isalnum(at(t, c->e) & 0xff));
}

/* Not a part of a decimal fraction. */
static bool fraction(const struct text *t, size_t s, size_t e)
{
	return (s > 1 && t->p[s - 1] == '.' && digit(t, s - 2)) ||
	       (at(t, e) == '.' && digit(t, e + 1));
}

static bool is_card(const struct card *c)
{
	return issuer_of(c->d, c->n) != NULL && issuer_luhn(c->d, c->n);
}

/* Lengths that other numbers have as well. */
static bool wants_word(size_t n)
{
	return n < 14 || n > 16;
}

/* YYMM after i. */
static bool expiry(const struct text *t, size_t i)
{
	int month;

	for (size_t k = 0; k < 7; k++)
		if (!digit(t, i + k))
			return false;
	month = (t->p[i + 2] - '0') * 10 + t->p[i + 3] - '0';
	return month >= 1 && month <= 12;
}

/* Track 1: "B" number "^" name "^" YYMM and a service code (ISO/IEC 7813). */
static bool track1(const struct text *t, const struct card *c)
{
	size_t i = c->e + 1;

	if (c->s == 0 || (t->p[c->s - 1] | 0x20) != 'b' || at(t, c->e) != '^')
		return false;
	while (i < t->n && i < c->e + 28 && t->p[i] != '^' && t->p[i] >= ' ')
		i++;
	return i > c->e + 2 && at(t, i) == '^' && expiry(t, i + 1);
}

/* Track 2: number "=" YYMM and a service code; "D" in hexadecimal. */
static bool track2(const struct text *t, const struct card *c)
{
	int before = c->s > 0 ? t->p[c->s - 1] : 0, after = at(t, c->e);

	if (!expiry(t, c->e + 1) || (before != ';' && issuer_of(c->d, c->n) == NULL))
		return false;
	return after == '=' || ((after == 'D' || after == 'd') && !isalnum(before));
}

static bool is_track(struct matcher *m, const struct text *t, const struct card *c)
{
	bool one = track1(t, c);

	if (c->n < 12 || !issuer_luhn(c->d, c->n) || (!one && !track2(t, c)))
		return false;
	tell_card(m, t, c, one ? SCAN_TRACK1 : SCAN_TRACK2);
	return true;
}

/* Zeros that fill a field of 17 to 19 digits. */
static bool padded(struct matcher *m, const struct text *t, size_t s, size_t e)
{
	struct card c;
	size_t first = s;

	while (first < e && t->p[first] == '0')
		first++;
	take(t, first, e, &c);
	if (first == s || e - s < 16 || !is_card(&c) || !near_word(t, s, e))
		return false;
	tell_card(m, t, &c, SCAN_PAN);
	return true;
}

/* A run of digits, whole. Returns whether it is something. */
static bool compact(struct matcher *m, const struct text *t, size_t s, size_t e)
{
	size_t n = e - s;
	struct card c;

	if (n > CARD_MAX)
		return false;
	take(t, s, e, &c);
	if (is_track(m, t, &c))
		return true;
	if (n < CARD_MIN || fraction(t, s, e) || !token_ok(t, s, e))
		return false;
	if (!is_card(&c))
		return padded(m, t, s, e);
	if ((wants_word(n) || doubtful(t, &c)) && !near_word(t, s, e))
		return false;
	/* tables of numbers have such beside each other, and a word is soon found there */
	if (n > 16 && few_digits(&c))
		return false;
	tell_card(m, t, &c, SCAN_PAN);
	return true;
}

static void run(struct matcher *m, const struct text *t, size_t s, size_t e)
{
	/* only where no number stands alone: in UTF-16 there are no such records */
	if (!compact(m, t, s, e) && e - s > 14 && e - s <= RUN_MAX && t->step == 1)
		columns_add(&m->columns, (const char *)t->p + s, e - s, t->at + s);
}

static bool separates(int c)
{
	return c == ' ' || c == '-' || c == '.' || c == 0;
}

/* The groups of digits around [s, e) with the separator; *ret_at is the index of that one. */
static size_t groups(const struct text *t, struct group g, int sep, struct group *ret,
		     size_t *ret_at)
{
	size_t left = g.s, e = g.e, n = 0;

	*ret_at = 0;
	while (*ret_at < GROUPS_MAX / 2 && left > 1 && t->p[left - 1] == sep &&
	       digit(t, left - 2)) {
		left -= 2;
		while (left > 0 && digit(t, left - 1) && g.s - left < MATCH_CONTEXT / 4)
			left--;
		(*ret_at)++;
	}
	for (size_t s = left; n < GROUPS_MAX; s = e + 1) {
		e = s;
		while (digit(t, e))
			e++;
		ret[n++] = (struct group){s, e};
		if (at(t, e) != sep || !digit(t, e + 1))
			break;
	}
	return n;
}

static bool four(const struct group *g)
{
	return g->e - g->s == 4;
}

/* Whether the first k of n groups are of a card's shape: 4-6-5, 4-6-4, 4-4-4-4 or 4-4-4-4-3. */
static bool shape(const struct group *g, size_t n, size_t k)
{
	size_t second, last;

	if (n < k || !four(&g[0]))
		return false;
	second = g[1].e - g[1].s;
	last = g[k - 1].e - g[k - 1].s;
	if (k == 3)
		return second == 6 && (last == 4 || last == 5);
	if (second != 4 || !four(&g[2]) || !four(&g[3]))
		return false;
	return k == 4 || last == 3;
}

/* Whether a number of the list, decimal or hexadecimal, ends before i; *ret is where it begins. */
static bool item_before(const struct text *t, size_t i, size_t *ret)
{
	size_t s = i;
	bool digits = false;

	while (s > 0 && i - s <= LIST_TOKEN && isxdigit(t->p[s - 1]))
		digits |= isdigit(t->p[--s]) != 0;
	*ret = s;
	return digits && i - s <= LIST_TOKEN &&
	       (s == 0 || t->p[s - 1] <= ' ' || t->p[s - 1] == '|');
}

static bool item_after(const struct text *t, size_t i, size_t *ret)
{
	size_t e = i;
	bool digits = false;

	while (e < t->n && e - i <= LIST_TOKEN && isxdigit(t->p[e]))
		digits |= isdigit(t->p[e++]) != 0;
	*ret = e;
	return digits && e - i <= LIST_TOKEN && (e >= t->n || t->p[e] <= ' ' || t->p[e] == '|');
}

/* Whether a number in groups stands among other numbers: two of them or more, where a date or a
 * code of three or four digits alone after it is none. */
static bool in_list(const struct text *t, const struct card *c, int sep)
{
	size_t before = 0, after = 0, i = c->s, next, first = 0;

	while (before < 2 && i > 0 && t->p[i - 1] == sep && item_before(t, i - 1, &next)) {
		i = next;
		before++;
	}
	i = c->e;
	while (after < 2 && at(t, i) == sep && item_after(t, i + 1, &next)) {
		first = first == 0 ? next - i - 1 : first;
		i = next;
		after++;
	}
	if (after == 1 && (first == 3 || first == 4))
		after = 0;
	return before + after >= 2;
}

/* The same, by the separator: strings of digits one after the other are common in programs, and a
 * dot before the first group is that of a longer row. */
static bool group_ends(const struct text *t, const struct card *c, int sep)
{
	if (!token_ok(t, c->s, c->e) || (sep != 0 && fraction(t, c->s, c->e)))
		return false;
	if ((sep == '.' || sep == '-') && c->s > 0 && t->p[c->s - 1] == sep)
		return false;
	return (sep != 0 && !in_list(t, c, sep) && !doubtful(t, c)) || near_word(t, c->s, c->e);
}

/* Looks for a number in the groups that begin at all[i]; returns where it ends, or 0. */
static size_t grouped_from(struct matcher *m, const struct text *t, const struct group *all,
			   size_t n, size_t i)
{
	int sep = at(t, all[i].e);

	for (size_t k = 5; k >= 3; k--) {
		struct card c;

		if (!shape(all + i, n - i, k))
			continue;
		take(t, all[i].s, all[i + k - 1].e, &c);
		if (!is_card(&c) || !group_ends(t, &c, sep))
			continue;
		tell_card(m, t, &c, SCAN_PAN);
		return c.e;
	}
	return 0;
}

/* Looks for a number in groups around one of them; returns where it ends, or 0. */
static size_t grouped(struct matcher *m, const struct text *t, struct group g, int sep)
{
	struct group all[GROUPS_MAX];
	size_t own, n = groups(t, g, sep, all, &own), end = 0;

	for (size_t i = own > 4 ? own - 4 : 0; i <= own && end == 0; i++)
		end = grouped_from(m, t, all, n, i);
	return end;
}

/* Digits around i, short of a number. Returns where what was found ends, or e. */
static size_t split(struct matcher *m, const struct text *t, size_t s, size_t e)
{
	int left = s > 0 ? t->p[s - 1] : -1, right = at(t, e);
	size_t end = 0;

	if (separates(right) && digit(t, e + 1))
		end = grouped(m, t, (struct group){s, e}, right);
	if (end == 0 && separates(left) && left != right && s > 1 && digit(t, s - 2))
		end = grouped(m, t, (struct group){s, e}, left);
	return end > e ? end : e;
}

/* Looks at the digits around i and returns where the next ones may begin. */
static size_t narrow(struct matcher *m, const struct text *t, size_t i)
{
	size_t s = i, e = i;

	while (s > 0 && i - s <= RUN_MAX && digit(t, s - 1))
		s--;
	while (digit(t, e))
		e++;
	if (e - s >= 12)
		run(m, t, s, e);
	else if (e - s >= 3 && e - s <= 7)
		return split(m, t, s, e);
	return e;
}

/* Half of a character of UTF-16 whose other half is zero. */
static bool half(const struct text *t, size_t i)
{
	return i < t->n && t->p[i] >= '\t' && (at(t, i + 1) == 0 || (i > 0 && t->p[i - 1] == 0));
}

/* The text in UTF-16 around i, narrowed. Returns where the next digits may begin. */
static size_t wide(struct matcher *m, const struct text *t, size_t i)
{
	uint8_t buf[2 * WIDE_REACH];
	size_t lo = i, n = 0, next;
	struct text w = {.p = buf, .step = 2};

	while (lo >= 2 && i - lo < WIDE_REACH && half(t, lo - 2))
		lo -= 2;
	for (size_t k = lo; n < sizeof(buf) && half(t, k); k += 2)
		buf[n++] = t->p[k];
	w.n = n;
	w.at = t->at + lo;
	next = narrow(m, &w, (i - lo) / 2);
	return lo + 2 * next - 1;
}

static size_t hit(struct matcher *m, const struct text *t, size_t i)
{
	bool beside = (i > 0 && digit(t, i - 1)) || digit(t, i + 1);

	if (beside)
		return narrow(m, t, i);
	if ((at(t, i + 1) == 0 && digit(t, i + 2)) ||
	    (i > 1 && t->p[i - 1] == 0 && digit(t, i - 2)))
		return wide(m, t, i);
	return i + 1;
}

void match_range(struct matcher *m, const struct text *t, size_t *next, size_t end)
{
	size_t i = *next;

	while (i < end) {
		if ((unsigned)(t->p[i] - '0') >= 10)
			i += STRIDE;
		else
			i = hit(m, t, i) + STRIDE - 1;
	}
	*next = i;
}

void match_whole(struct matcher *m, const void *p, size_t n, uint64_t where)
{
	const struct text t = {.p = p, .n = n, .at = where, .step = 1};
	size_t next = 0;

	match_range(m, &t, &next, n);
}

void match_end(struct matcher *m)
{
	bool table = m->plain_n > MATCH_PLAIN_MAX && m->other_n < m->plain_n;

	for (uint64_t i = 0; i < m->plain_n && !table; i++)
		m->fn(m->ctx, &m->plain[i < MATCH_PLAIN_MAX ? i : MATCH_PLAIN_MAX - 1]);
	m->plain_n = m->other_n = 0;
	columns_report(m->columns, m);
	columns_freep(&m->columns);
}
