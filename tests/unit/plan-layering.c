/* Which sources share a layer: from nothing, from one lock to the next, and what is written down.
 */
#include "plan/grouping.h"
#include "plan/layering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "name version size [repository]", one line a package; the source has the package's name, or what
 * follows a colon: "name:source". */
static struct lock *lock_of(const char *text)
{
	struct lock *l = mem_zalloc(sizeof(*l));

	for (const char *p = text; *p != '\0';) {
		char name[40], version[40], repository[40] = "bookworm";
		unsigned long long size = 0;
		struct lock_package *to;
		int n = sscanf(p, "%39s %39s %llu %39[a-z-]", name, version, &size, repository);
		const char *source = strchr(name, ':');

		assert_true(n >= 3);
		l->packages = mem_resize(l->packages, l->packages_n + 1, sizeof(*l->packages));
		to = &l->packages[l->packages_n++];
		*to = (struct lock_package){.arch = mem_strdup("amd64"),
					    .name = mem_strndup(name, strcspn(name, ":")),
					    .version = mem_strdup(version),
					    .repository = mem_strdup(repository),
					    .path = mem_strdup("pool/x.deb"),
					    .size = size * 1000};
		to->source = mem_format("%s %s", source != NULL ? source + 1 : name, version);
		to->digest = digest_of(p, strcspn(p, "\n"));
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return l;
}

/* "a b|c": the layers as text; "" when the lock says nothing. */
static char *said(const struct lock *l)
{
	struct buf b = BUF_INIT(4096);

	for (size_t g = 0; g < l->layers_n; g++)
		for (size_t i = 0; i < l->layers[g].sources.n; i++)
			buf_addf(&b, "%s%s",
				 i > 0   ? " "
				 : g > 0 ? "|"
					 : "",
				 l->layers[g].sources.v[i]);
	return buf_take(&b);
}

/* The same of the plan that is followed. */
static char *plan_of(const struct lock *l, size_t most)
{
	const char **names SCOPED(mem_freep) = NULL;
	struct layering y = {0};
	struct buf b = BUF_INIT(4096);

	layering_of(l, most, &y);
	names = map_keys(&y.of);
	for (size_t g = 0; g < y.n; g++)
		for (size_t i = 0, first = 1; i < y.of.n; i++) {
			size_t at = 0;

			if (!layering_find(&y, names[i], &at) || at != g)
				continue;
			buf_addf(&b, "%s%s", !first ? " " : g > 0 ? "|" : "", names[i]);
			first = 0;
		}
	layering_release(&y);
	return buf_take(&b);
}

static void plan_is(const struct lock *l, size_t most, const char *want)
{
	char *got SCOPED(mem_freep) = plan_of(l, most);

	assert_string_equal(got, want);
}

static void reads_updates_from_versions(void **state)
{
	static const struct {
		const char *version, *repository;
		unsigned updates;
	} rows[] = {
	    {"1.0-1", "bookworm", 0},
	    {"1.0-1", "bookworm-security", 1},
	    {"1.0-1+deb12u5", "bookworm", 5},
	    {"1.0-1+deb12u5+b1", "bookworm-updates", 6},
	    {"3.0.11-1~deb12u2", "bookworm", 4},
	    {"2026b-0+deb12u1", "bookworm", 3},
	    {"1.0-1+deb12u99999999999", "bookworm", 100},
	    {"1.0-1+debian5", "bookworm", 0},
	    {"deb12u4", "bookworm", 0},
	    {"1.0+debu4", "bookworm", 0},
	    {"1.0+deb12u", "bookworm", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *source SCOPED(mem_freep) = mem_format("x %s", rows[i].version);
		struct lock_package p = {.source = source,
					 .version = (char *)(uintptr_t)rows[i].version,
					 .repository = (char *)(uintptr_t)rows[i].repository};

		assert_int_equal(layering_updates(&p), rows[i].updates);
	}
}

static void large_and_cold_lies_apart_from_small_and_hot(void **state)
{
	static const char text[] = "fonts 1-1 9000\nlibc 2-1+deb12u9 3000\nssl 3-1~deb12u7 4000\n"
				   "tz 1-1+deb12u3 100\nzlib 1-1 90\n";
	struct lock *l SCOPED(lock_freep) = lock_of(text);

	(void)state;
	plan_is(l, 1, "fonts libc ssl tz zlib");
	plan_is(l, 2, "fonts|libc ssl tz zlib");
	plan_is(l, 3, "fonts|ssl|libc tz zlib");
	plan_is(l, 9, "fonts|tz zlib|ssl|libc");
}

static void a_source_stays_whole(void **state)
{
	struct lock *l SCOPED(lock_freep) =
	    lock_of("a:x 1-1 500\nb:x 1-1+deb12u9 500\nc 1-1 5000\n");

	(void)state;
	plan_is(l, 3, "c|x");
}

/* Many small ones are counted together before any pair is compared; none may be lost. */
static void takes_more_sources_than_it_compares(void **state)
{
	enum { N = 3000 };
	struct grouping_item *v SCOPED(mem_freep) = mem_zalloc(N * sizeof(*v));
	size_t seen[5] = {0};

	(void)state;
	for (size_t i = 0; i < N; i++)
		v[i] = (struct grouping_item){mem_format("s%04zu", i), i * 1000, (unsigned)(i % 7),
					      99};
	assert_int_equal(grouping(v, N, 5), 5);
	for (size_t i = 0; i < N; i++) {
		assert_in_range(v[i].group, 0, 4);
		seen[v[i].group]++;
		free((char *)(uintptr_t)v[i].name);
	}
	for (size_t g = 0; g < 5; g++)
		assert_true(seen[g] > 0);
	assert_int_equal(grouping(v, 0, 5), 0);
}

#define A  "a 1-1 9000\n"
#define B  "b 1-1 50\n"
#define C  "c 1-1 60\n"
#define H  "h 1-1+deb12u9 3000\n"
#define V  "v 1-1 2000\n"
#define V2 "v 1-1+deb12u9 2000\n"

/* One lock after the other; what the last one's layers are, and whether it says so. */
static const struct {
	const char *what;
	const char *locks[3];
	bool replan;
	const char *plan, *said;
} rows[] = {
    {"the first lock", {A B C H}, false, "a|b c h", ""},
    {"nothing changed", {A B C H, A B C H}, false, "a|b c h", ""},
    {"a change in its layer", {A B C H, A "b 1-2 50\n" C H}, false, "a|b c h", ""},
    {"a cold one", {A B C H V}, false, "a b c v|h", ""},
    {"a cold one moves when it and the hot layer change",
     {A B C H V, A B C "h 1-1+deb12u10 3000\n" V2},
     false,
     "a b c|h v",
     "a b c|h v"},
    {"the hot layer does not change: none moves",
     {A B C H V, A B C H V2},
     false,
     "a b c v|h",
     "a b c v|h"},
    {"a new one goes where it costs nothing now",
     {A B C H, A B C "h 1-1+deb12u10 3000\nn 1-1 8000\n"},
     false,
     "a|b c h n",
     "a|b c h n"},
    {"unless it is planned anew",
     {A B C H, A B C "h 1-1+deb12u10 3000\nn 1-1 8000\n"},
     true,
     "a n|b c h",
     ""},
    {"a new one when nothing else changes",
     {A B C H, A B C H "n 1-1 8000\n"},
     false,
     "a n|b c h",
     ""},
    {"the plan of before stays over two locks",
     {A B C H V, A B C H V2, A B C H V2},
     false,
     "a b c v|h",
     "a b c v|h"},
    {"an empty layer goes", {A B C H, B C H}, false, "b c h", "b c h"},
    {"all packages are others", {A B, C H}, false, "c|h", ""},
};

static void follows_the_plan_of_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lock *before SCOPED(lock_freep) = NULL;
		char *text SCOPED(mem_freep) = NULL;

		for (size_t k = 0; k < 3 && rows[i].locks[k] != NULL; k++) {
			struct lock *l SCOPED(lock_freep) = lock_of(rows[i].locks[k]);
			const struct layering_opts o = {
			    .most = 2, .before = before, .replan = rows[i].replan};

			layering_make(l, &o);
			SWAP(before, l);
		}
		text = said(before);
		if (strcmp(text, rows[i].said) != 0)
			fail_msg("%s: it says \"%s\"", rows[i].what, text);
		mem_freep(&text);
		text = plan_of(before, 2);
		if (strcmp(text, rows[i].plan) != 0)
			fail_msg("%s: the plan is \"%s\"", rows[i].what, text);
	}
}

/* What git knows counts like what a version tells. */
static void history_makes_a_source_hot(void **state)
{
	struct lock *old SCOPED(lock_freep) = lock_of(A "b 1-1 8000\n" H);
	struct lock *new SCOPED(lock_freep) = lock_of("a 1-2 9000\nb 1-1 8000\n" H);
	struct history h = {0};
	const struct layering_opts o = {.most = 2, .history = &h};

	(void)state;
	plan_is(old, 2, "a b|h");
	for (int i = 0; i < 5; i++) {
		history_step(&h, old, new);
		history_step(&h, new, old);
	}
	assert_int_equal(history_updates(&h, "a"), 30); /* ten in a year at most */
	assert_int_equal(history_updates(&h, "b"), 0);
	assert_int_equal(history_updates(NULL, "a"), 0);
	layering_make(new, &o);
	plan_is(new, 2, "b h|a");
	history_release(&h);
}

static void a_plan_of_more_layers_than_allowed_is_made_anew(void **state)
{
	struct lock *before SCOPED(lock_freep) = lock_of(A B C H);
	struct lock *l SCOPED(lock_freep) = lock_of(A B C H);
	struct layering_opts o = {.most = 4};
	struct lock_layer *v = mem_zalloc(4 * sizeof(*v));

	(void)state;
	for (size_t i = 0; i < 4; i++)
		strv_add(&v[i].sources, &"h\0c\0b\0a"[2 * i]);
	lock_set_layers(before, v, 4);
	plan_is(before, 4, "h|c|b|a");
	o.before = before;
	layering_make(l, &o);
	plan_is(l, 4, "h|c|b|a");
	o.most = 2;
	layering_make(l, &o);
	plan_is(l, 2, "a|b c h");
	plan_is(before, 2, "a|b c h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_updates_from_versions),
	    cmocka_unit_test(large_and_cold_lies_apart_from_small_and_hot),
	    cmocka_unit_test(a_source_stays_whole),
	    cmocka_unit_test(takes_more_sources_than_it_compares),
	    cmocka_unit_test(follows_the_plan_of_before),
	    cmocka_unit_test(history_makes_a_source_hot),
	    cmocka_unit_test(a_plan_of_more_layers_than_allowed_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
