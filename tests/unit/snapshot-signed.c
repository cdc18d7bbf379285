/* Whose a snapshot is: a signature is of all that it says, its name included, and who has only the
 * secret of the repository makes none. */
#include "snapshot-lib.h"

#include "snapshot/body.h"
#include "snapshot/repo.h"

static struct sign_key *make_key(const struct bed *b, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", b->dir, name);
	struct sign_key *k = NULL;
	struct err e = ERR_INIT;

	if (sign_key_new(path, "Release <release@example.org>", NULL, &e) != 0 ||
	    sign_key_load(path, NULL, &k, &e) != 0)
		fail_msg("%s", e.msg);
	return k;
}

/* What one of the keys says of the newest snapshot of that id: NULL, or why not. */
static int check(const struct bed *b, const char *id, const struct sign_key *const *keys, size_t n,
		 struct err *e)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_READ);
	struct snapshot *s SCOPED(snapshot_closep) = NULL;
	struct sign_public *v[4];
	const struct sign_wanted by = {.keys = v, .keys_n = n};

	for (size_t i = 0; i < n; i++)
		v[i] = (struct sign_public *)(uintptr_t)sign_key_public(keys[i]);
	*e = (struct err)ERR_INIT;
	if (snapshot_open(r, id, &s, e) != 0)
		fail_msg("%s", e->msg);
	return snapshot_check_signed(s, &by, e);
}

static void assert_refused(int rc, const struct err *e, const char *why)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e->kind, ERR_VERIFY);
	if (strstr(e->msg, why) == NULL)
		fail_msg("%s", e->msg);
}

static void by_one_of_the_keys(void **state)
{
	const struct bed *b = *state;
	struct sign_key *key SCOPED(sign_key_freep) = make_key(b, "key"),
			     *other SCOPED(sign_key_freep) = make_key(b, "other");
	const struct sign_key *both[] = {other, key};
	struct snapshot_result first SCOPED(snapshot_result_release) = {0},
				     second SCOPED(snapshot_result_release) = {0};
	struct snapshot_infos l SCOPED(snapshot_infos_release) = {0};
	struct err e = ERR_INIT;

	make_tree(b->src);
	first = make_with(b, &(struct snapshot_opts){0});
	second = make_with(b, &(struct snapshot_opts){.key = key});
	l = listed(b);
	assert_false(l.v[0].is_signed);
	assert_true(l.v[1].is_signed && second.info.is_signed);
	assert_int_equal(check(b, second.info.id, both, 2, &e), 0);
	assert_refused(check(b, second.info.id, both, 1, &e), &e, "by none of the keys");
	assert_refused(check(b, first.info.id, both, 2, &e), &e, "is not signed");
	restore(b, second.info.id);
	assert_int_equal(differences(b), 0);
}

/* Everything is put as it was read, but for one thing: by somebody who has the secret. */
static void forge(const struct bed *b, const char *id, const char *as,
		  void (*change)(struct body *x))
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	char *object SCOPED(mem_freep) = mem_format("repo/snapshots/%s.json", as);
	struct body x SCOPED(body_release);
	struct err e = ERR_INIT;

	body_init(&x);
	assert_int_equal(body_get(r, id, &x, &e), 0);
	if (change != NULL)
		change(&x);
	free(x.info.id);
	x.info.id = mem_strdup(as);
	(void)unlinkat(b->top, object, 0);
	if (body_put(r, &x, &e) != 0)
		fail_msg("%s", e.msg);
}

static void other_time(struct body *x)
{
	x->info.time += 3600;
}

static void other_shop(struct body *x)
{
	free(x->info.shop);
	x->info.shop = mem_strdup("999");
}

static void other_count(struct body *x)
{
	x->info.files++;
}

static void no_signature(struct body *x)
{
	buf_cut(&x->signature, 0);
}

static void what_the_secret_alone_makes(void **state)
{
	static void (*const changes[])(struct body *) = {other_time, other_shop, other_count};
	const struct bed *b = *state;
	struct sign_key *key SCOPED(sign_key_freep) = make_key(b, "key");
	const struct sign_key *one[] = {key};
	struct snapshot_result s SCOPED(snapshot_result_release) = {0};
	struct err e = ERR_INIT;

	make_tree(b->src);
	s = make_with(b, &(struct snapshot_opts){.key = key});
	/* the very same again is what was signed */
	forge(b, s.info.id, s.info.id, NULL);
	assert_int_equal(check(b, s.info.id, one, 1, &e), 0);
	/* an old one as one of today */
	forge(b, s.info.id, "20990101T000000Z-0a0b0c0d", NULL);
	assert_refused(check(b, "2099", one, 1, &e), &e, "by none of the keys");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		forge(b, s.info.id, "20990101T000000Z-0a0b0c0d", changes[i]);
		assert_refused(check(b, "2099", one, 1, &e), &e, "by none of the keys");
	}
	forge(b, s.info.id, s.info.id, no_signature);
	assert_refused(check(b, s.info.id, one, 1, &e), &e, "is not signed");
}

static void a_verification_names_those(void **state)
{
	const struct bed *b = *state;
	struct sign_key *key SCOPED(sign_key_freep) = make_key(b, "key");
	struct sign_public *v[] = {(struct sign_public *)(uintptr_t)sign_key_public(key)};
	const struct sign_wanted by = {.keys = v, .keys_n = 1};
	const struct snapshot_check how = {.signers = &by};
	struct snapshot_result first SCOPED(snapshot_result_release) = {0},
				     second SCOPED(snapshot_result_release) = {0};
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_verified f SCOPED(snapshot_verified_release) = {0};
	struct err e = ERR_INIT;

	make_tree(b->src);
	first = make_with(b, &(struct snapshot_opts){0});
	second = make_with(b, &(struct snapshot_opts){.key = key});
	is_whole(b);
	r = open_repo(b, SNAPSHOT_READ);
	assert_int_equal(snapshot_verify(r, &how, &f, &e), 0);
	assert_int_equal(f.faults.n, 1);
	assert_non_null(strstr(f.faults.v[0], first.info.id));
	assert_int_equal(f.lost.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(by_one_of_the_keys, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(what_the_secret_alone_makes, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_verification_names_those, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
