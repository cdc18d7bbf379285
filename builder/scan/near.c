#include "scan/near.h"

#include <ctype.h>
#include <string.h>

enum { WORD_REACH = 64, CODE_REACH = 96, GAP_MAX = 6 };

/* A star: more letters may follow. */
static const char *const trade[] = {
    "pan",        "card",     "cards",   "cardno*", "cardnum*", "cardholder*", "acct*",
    "account*",   "exp",      "expdate", "expir*",  "cvv*",     "cvc*",        "credit*",
    "debit*",     "track",    "track1",  "track2",  "visa",     "amex",        "maestro",
    "mastercard", "unionpay", "ccno*",   NULL,
};
static const char *const cvv[] = {"cvv", "cvv2", "cvc", "cvc2", "csc", "cvn", "cvn2", NULL};
static const char *const pin[] = {"pinblock", "pin_block", "pin block", "pin-block", NULL};

static int lower(const struct text *t, size_t i)
{
	return i < t->n ? tolower(t->p[i]) : -1;
}

static bool is_letter(int c)
{
	return c >= 'a' && c <= 'z';
}

/* The length of the word when it stands at i, else 0. */
static size_t word_at(const struct text *t, size_t i, const char *word)
{
	size_t n = 0;

	while (word[n] != '\0' && word[n] != '*' && lower(t, i + n) == word[n])
		n++;
	if (word[n] == '*' || (word[n] == '\0' && (i + n >= t->n || !isalnum(t->p[i + n]))))
		return n;
	return 0;
}

/* The end of the first such word that begins in [from, to), else 0. */
static size_t find(const struct text *t, size_t from, size_t to, const char *const *words)
{
	for (size_t i = from; i < to && i < t->n; i++) {
		if (!is_letter(lower(t, i)) || (i > 0 && isalnum(t->p[i - 1])))
			continue;
		for (size_t k = 0; words[k] != NULL; k++) {
			size_t n = word_at(t, i, words[k]);

			if (n > 0)
				return i + n;
		}
	}
	return 0;
}

static size_t before(size_t i, size_t n)
{
	return i > n ? i - n : 0;
}

bool near_word(const struct text *t, size_t s, size_t e)
{
	return find(t, before(s, WORD_REACH), s, trade) != 0 ||
	       find(t, e, e + WORD_REACH, trade) != 0;
}

/* A code: how many characters of which kind. */
struct code {
	int (*kind)(int);
	size_t least, most;
};

/* Whether a code stands soon after i. */
static bool code_at(const struct text *t, size_t i, const struct code *c, size_t *ret)
{
	size_t gap = 0, n = 0;

	while (gap < GAP_MAX && i + gap < t->n && !isalnum(t->p[i + gap]))
		gap++;
	i += gap;
	while (n <= c->most && i + n < t->n && c->kind(t->p[i + n]) != 0)
		n++;
	if (gap == 0 || n < c->least || n > c->most)
		return false;
	*ret = i;
	return i + n >= t->n || isalnum(t->p[i + n]) == 0;
}

static int is_digit(int c)
{
	return c >= '0' && c <= '9';
}

bool near_cvv(const struct text *t, size_t s, size_t e, size_t *ret)
{
	size_t from = before(s, CODE_REACH);

	while ((from = find(t, from, e + CODE_REACH, cvv)) != 0)
		if (code_at(t, from, &(struct code){is_digit, 3, 4}, ret))
			return true;
	return false;
}

static int is_hex(int c)
{
	return isxdigit(c);
}

bool near_pin_block(const struct text *t, size_t s, size_t e, size_t *ret)
{
	size_t from = before(s, CODE_REACH);

	while ((from = find(t, from, e + CODE_REACH, pin)) != 0)
		if (code_at(t, from, &(struct code){is_hex, 16, 16}, ret))
			return true;
	return false;
}
