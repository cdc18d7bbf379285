/* prices.c - what an hour of an instance costs: posmedia-prices(5). */
#include "report/parts.h"

#include "base/num.h"
#include "form/yaml.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20, CURRENCY = 3, ALL_DAYS = 127, MICRO = 1000000 };
#define WHOLE_MAX 1000000

static const char *const keys[] = {"name",  "env",   "shop",  "days",     "from",
				   "until", "since", "ended", "per-hour", NULL};
static const char *const top[] = {"posmedia-prices", "currency", "zone", "prices", NULL};

void prices_free(struct prices *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].name);
		free(p->v[i].env);
		free(p->v[i].shop);
	}
	free(p->currency);
	free(p->zone);
	free(p);
}

void prices_freep(struct prices **p)
{
	prices_free(*p);
	*p = NULL;
}

static int check_keys(const struct yaml *map, const char *const *known, struct err *e)
{
	if (map->kind != YAML_MAP)
		return yaml_err(map, e, "a map is wanted");
	for (size_t i = 0; i < map->n; i++) {
		const char *key = map->pairs[i].key, *near = yaml_nearest(key, known);
		bool is = false;

		for (const char *const *k = known; *k != NULL; k++)
			is |= strcmp(*k, key) == 0;
		if (is)
			continue;
		(void)yaml_err(map->pairs[i].val, e, "\"%.60s\" is no key here", key);
		return near != NULL ? err_hint(e, "Did you mean \"%s\"?", near) : -1;
	}
	return 0;
}

/* A scalar that is not empty; NULL with no error when it is absent. */
static int text_of(const struct yaml *map, const char *key, const char **ret, struct err *e)
{
	const struct yaml *v = yaml_get(map, key);

	*ret = NULL;
	if (v == NULL)
		return 0;
	if (v->kind != YAML_SCALAR || *v->text == '\0' || strlen(v->text) > 100)
		return yaml_err(v, e, "%s wants a short text", key);
	*ret = v->text;
	return 0;
}

/* "HH:MM" at a quarter of an hour; 24:00 is the end of the day. */
static int quarter_of(const struct yaml *map, const char *key, int absent, int *ret, struct err *e)
{
	const char *s;
	uint64_t h, m;

	if (text_of(map, key, &s, e) != 0)
		return -1;
	*ret = absent;
	if (s == NULL)
		return 0;
	if (strlen(s) == 5 && s[2] == ':') {
		char hour[3] = {s[0], s[1], '\0'};

		if (num_u64(hour, 24, &h) == 0 && num_u64(s + 3, 59, &m) == 0 && m % 15 == 0 &&
		    h * 60 + m <= 24 * 60) {
			*ret = (int)(h * 4 + m / 15);
			return 0;
		}
	}
	(void)yaml_err(yaml_get(map, key), e, "%s wants HH:MM", key);
	return err_hint(e, "At a quarter of an hour: 08:00, 17:45; 24:00 ends the day.");
}

static int day_of(const struct yaml *map, const char *key, int64_t *ret, struct err *e)
{
	const char *s;
	char digits[9];
	uint64_t n;

	if (text_of(map, key, &s, e) != 0)
		return -1;
	*ret = 0;
	if (s == NULL)
		return 0;
	if (strlen(s) == 10 && s[4] == '-' && s[7] == '-') {
		memcpy(digits, s, 4);
		memcpy(digits + 4, s + 5, 2);
		memcpy(digits + 6, s + 8, 3);
		if (num_u64(digits, 99991231, &n) == 0 && n % 100 >= 1 && n % 100 <= 31 &&
		    n / 100 % 100 >= 1 && n / 100 % 100 <= 12) {
			*ret = (int64_t)n;
			return 0;
		}
	}
	return yaml_err(yaml_get(map, key), e, "%s wants YYYY-MM-DD", key);
}

/* "0.125": digits, and at most six behind a point. */
static int micro_of(const struct yaml *map, int64_t *ret, struct err *e)
{
	char whole[8] = "", part[7] = "000000";
	const char *s, *point;
	uint64_t w = 0, p = 0;
	size_t n;

	if (text_of(map, "per-hour", &s, e) != 0)
		return -1;
	if (s == NULL)
		return yaml_err(map, e, "a price wants per-hour");
	point = strchr(s, '.');
	n = point != NULL ? (size_t)(point - s) : strlen(s);
	if (n > 0 && n < sizeof(whole) &&
	    (point == NULL || (point[1] != '\0' && strlen(point + 1) <= 6))) {
		memcpy(whole, s, n);
		if (point != NULL)
			memcpy(part, point + 1, strlen(point + 1));
		if (num_u64(whole, WHOLE_MAX, &w) == 0 && num_u64(part, MICRO - 1, &p) == 0) {
			*ret = (int64_t)(w * MICRO + p);
			return 0;
		}
	}
	(void)yaml_err(yaml_get(map, "per-hour"), e, "per-hour wants an amount");
	return err_hint(e, "0.12, with at most six digits behind the point.");
}

static int days_of(const struct yaml *map, unsigned *ret, struct err *e)
{
	static const char *const words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	const struct yaml *v = yaml_get(map, "days");

	*ret = ALL_DAYS;
	if (v == NULL)
		return 0;
	if (v->kind != YAML_LIST || v->n == 0)
		return yaml_err(v, e, "days wants a list: [mon, tue]");
	*ret = 0;
	for (size_t i = 0; i < v->n; i++) {
		unsigned d = 0;

		while (d < 7 && (v->items[i]->kind != YAML_SCALAR ||
				 strcmp(v->items[i]->text, words[d]) != 0))
			d++;
		if (d == 7)
			return yaml_err(v->items[i], e,
					"a day is mon, tue, wed, thu, fri, sat, sun");
		*ret |= 1u << d;
	}
	return 0;
}

static int read_times(const struct yaml *map, struct price *ret, struct err *e)
{
	if (days_of(map, &ret->days, e) != 0 || quarter_of(map, "from", 0, &ret->from, e) != 0 ||
	    quarter_of(map, "until", DAY_QUARTERS, &ret->until, e) != 0 ||
	    day_of(map, "since", &ret->since, e) != 0 || day_of(map, "ended", &ret->ended, e) != 0)
		return -1;
	return ret->from != ret->until ? 0 : yaml_err(map, e, "from and until are the same");
}

static bool env_ok(const char *env)
{
	return env == NULL || strcmp(env, "prod") == 0 || strcmp(env, "qa") == 0 ||
	       strcmp(env, "dev") == 0;
}

static int read_price(const struct yaml *map, size_t number, struct price *ret, struct err *e)
{
	const char *name, *env, *shop;

	if (check_keys(map, keys, e) != 0 || text_of(map, "name", &name, e) != 0 ||
	    text_of(map, "env", &env, e) != 0 || text_of(map, "shop", &shop, e) != 0 ||
	    read_times(map, ret, e) != 0 || micro_of(map, &ret->micro, e) != 0)
		return -1;
	if (!env_ok(env))
		return yaml_err(yaml_get(map, "env"), e, "env is prod, qa or dev");
	ret->name = name != NULL ? mem_strdup(name) : mem_format("price %zu", number);
	ret->env = env != NULL ? mem_strdup(env) : NULL;
	ret->shop = shop != NULL ? mem_strdup(shop) : NULL;
	return 0;
}

static bool currency_ok(const char *s)
{
	return s != NULL && strlen(s) == CURRENCY &&
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static int read_all(const struct yaml *y, struct prices *p, struct err *e)
{
	const struct yaml *list = yaml_get(y, "prices");
	const char *version, *currency, *zone;

	if (check_keys(y, top, e) != 0 || text_of(y, "posmedia-prices", &version, e) != 0 ||
	    text_of(y, "currency", &currency, e) != 0 || text_of(y, "zone", &zone, e) != 0)
		return -1;
	if (version == NULL || strcmp(version, "1") != 0)
		return yaml_err(y, e, "posmedia-prices: 1 is wanted");
	if (!currency_ok(currency))
		return yaml_err(y, e, "currency wants three capitals (ISO 4217): EUR");
	if (list == NULL || list->kind != YAML_LIST || list->n == 0 || list->n > PRICES_MAX)
		return yaml_err(y, e, "prices wants a list of 1 to %d", PRICES_MAX);
	p->currency = mem_strdup(currency);
	p->zone = zone != NULL ? mem_strdup(zone) : NULL;
	for (size_t i = 0; i < list->n; i++, p->n++)
		if (read_price(list->items[i], i + 1, &p->v[i], e) != 0)
			return -1;
	return 0;
}

int prices_load(const char *path, struct prices **ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct prices *p SCOPED(prices_freep) = mem_zalloc(sizeof(*p));

	if (fs_get_file(AT_FDCWD, path, &text, e) != 0 ||
	    yaml_parse(text.data, text.len, path, &y, e) != 0 || read_all(y, p, e) != 0)
		return -1;
	*ret = STEAL(p);
	return 0;
}

/* A slice over midnight is of the day that it begins on. */
static bool holds_at(const struct price *p, const struct moment *w)
{
	unsigned today = 1u << w->weekday, yesterday = 1u << (w->weekday + 6) % 7;

	if (p->from < p->until)
		return w->quarter >= p->from && w->quarter < p->until && (p->days & today) != 0;
	return (w->quarter >= p->from && (p->days & today) != 0) ||
	       (w->quarter < p->until && (p->days & yesterday) != 0);
}

int prices_find(const struct prices *p, const char *shop, const char *env,
		const struct moment *when)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct price *v = &p->v[i];

		if ((v->env == NULL || strcmp(v->env, env) == 0) &&
		    (v->shop == NULL || strcmp(v->shop, shop) == 0) &&
		    (v->since == 0 || when->day >= v->since) &&
		    (v->ended == 0 || when->day <= v->ended) && holds_at(v, when))
			return (int)i;
	}
	return -1;
}
