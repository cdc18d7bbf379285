#include "sign-fixture.h"

#include "form/json.h"
#include <sys/wait.h>

static const char *const suffixes[] = {"", ".pub", ".gpg", ".json"};

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static bool exists(const char *path, const char *suffix)
{
	char *p SCOPED(mem_freep) = mem_format("%s%s", path, suffix);
	struct stat st;

	return lstat(p, &st) == 0;
}

static void test_new_makes_four_files(void **state)
{
	char *path SCOPED(mem_freep) = at("four");
	char *json SCOPED(mem_freep) = at("four.json");
	char *pub_path SCOPED(mem_freep) = at("four.pub");
	char *got SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	struct sign_public *pub SCOPED(sign_public_freep) = NULL;
	struct digest a, c;
	int64_t created;

	(void)state;
	assert_done(sign_key_new(path, uid, NULL, &e));
	assert_int_equal(mode_of(path), 0600);
	get_file(path, &b);
	assert_ptr_equal(strstr(b.data, "-----BEGIN PRIVATE KEY-----\n"), b.data);
	b.len = 0;
	get_file(json, &b);
	assert_string_equal(
	    b.data, "{\n \"created\": 1700000000,\n \"uid\": \"Test <test@example.org>\"\n}\n");
	assert_done(sign_key_load(path, NULL, &k, &e));
	assert_done(sign_public_load(pub_path, &pub, &e));
	a = sign_public_id(sign_key_public(k));
	c = sign_public_id(pub);
	assert_true(digest_equal(&a, &c));
	assert_done(sign_key_about(path, &created, &got, &e));
	assert_int_equal(created, NOW);
	assert_string_equal(got, uid);
}

static void test_new_overwrites_nothing(void **state)
{
	char *path SCOPED(mem_freep) = at("once");
	struct buf before SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf after SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	assert_done(sign_key_new(path, uid, NULL, &e));
	get_file(path, &before);
	assert_refused(sign_key_new(path, uid, NULL, &e), ERR_BUSY, "is there already");
	get_file(path, &after);
	assert_string_equal(before.data, after.data);
}

/* A crash before the private key, or a private part kept elsewhere: each leftover is named. */
static void test_new_names_leftovers(void **state)
{
	char *path SCOPED(mem_freep) = at("left");

	(void)state;
	for (size_t i = 1; i < 4; i++) {
		char *other SCOPED(mem_freep) = mem_format("%s%s", path, suffixes[i]);

		put_file(other, "x", 1, 0644);
		assert_refused(sign_key_new(path, uid, NULL, &e), ERR_BUSY, suffixes[i]);
		assert_non_null(strstr(e.msg, "not finished"));
		assert_true(e.hint[0] != '\0');
		assert_false(exists(path, ""));
		assert_int_equal(unlink(other), 0);
	}
	assert_done(sign_key_new(path, uid, NULL, &e));
}

static void test_new_sweeps_interrupted_writes(void **state)
{
	char *path SCOPED(mem_freep) = at("swept");
	char *left SCOPED(mem_freep) = at(".swept.new.4242");
	char *other SCOPED(mem_freep) = at(".swept2.new.4242");

	(void)state;
	put_file(left, "half a private key", 18, 0600);
	put_file(other, "of another key", 14, 0600);
	assert_done(sign_key_new(path, uid, NULL, &e));
	assert_false(exists(left, ""));
	assert_true(exists(other, ""));
	put_file(left, "half a private key", 18, 0600);
	assert_refused(sign_key_new(path, uid, NULL, &e), ERR_BUSY, "is there already");
	assert_false(exists(left, ""));
}

/* The third file cannot be written: the first two go again. */
static void test_new_is_all_or_nothing(void **state)
{
	char name[252];
	char *path SCOPED(mem_freep) = NULL;

	(void)state;
	/* ".NAME.json.new.PID" is too long for the file system before anything can be written */
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	path = at(name);
	assert_refused(sign_key_new(path, uid, NULL, &e), ERR_FAIL, "File name too long");
	for (size_t i = 0; i < 4; i++)
		assert_false(exists(path, suffixes[i]));
}

static void test_new_checks_its_words(void **state)
{
	char *path SCOPED(mem_freep) = at("words");
	char long_uid[300];

	(void)state;
	memset(long_uid, 'u', sizeof(long_uid) - 1);
	long_uid[sizeof(long_uid) - 1] = '\0';
	assert_refused(sign_key_new(path, "", NULL, &e), ERR_USAGE, "user id");
	assert_refused(sign_key_new(path, long_uid, NULL, &e), ERR_USAGE, "user id");
	assert_refused(sign_key_new(path, "a\nb", NULL, &e), ERR_USAGE, "control");
	assert_refused(sign_key_new(path, "\xff\xfe", NULL, &e), ERR_USAGE, "UTF-8");
	assert_refused(sign_key_new(path, uid, "", &e), ERR_USAGE, "passphrase");
	assert_false(exists(path, ".json"));
}

static void test_passphrase(void **state)
{
	char *path SCOPED(mem_freep) = at("sealed");
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct sign_key *k SCOPED(sign_key_freep) = NULL;

	(void)state;
	assert_done(sign_key_new(path, uid, "correct horse", &e));
	assert_int_equal(mode_of(path), 0600);
	get_file(path, &b);
	assert_ptr_equal(strstr(b.data, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), b.data);
	assert_refused(sign_key_load(path, NULL, &k, &e), ERR_VERIFY, "needs a passphrase");
	assert_refused(sign_key_load(path, "correct horsf", &k, &e), ERR_VERIFY,
		       "wrong passphrase");
	assert_refused(sign_key_load(path, "", &k, &e), ERR_VERIFY, "wrong passphrase");
	assert_null(strstr(e.msg, "horse"));
	assert_done(sign_key_load(path, "correct horse", &k, &e));
}

static void test_load_refuses_open_modes(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0660, 0620, 0602, 0610, 0601, 0644, 0777};
	char *path SCOPED(mem_freep) = at("open");

	(void)state;
	sign_key_free(make_key("open"));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct sign_key *other = NULL;

		assert_int_equal(chmod(path, modes[i]), 0);
		assert_refused(sign_key_load(path, NULL, &other, &e), ERR_VERIFY, "lets others in");
		assert_non_null(strstr(e.hint, "chmod 600"));
		assert_null(other);
	}
}

static void test_load_refuses_other_things(void **state)
{
	char *link SCOPED(mem_freep) = at("link");
	char *about SCOPED(mem_freep) = at("link.json");
	struct sign_key *other SCOPED(sign_key_freep) = NULL;
	char *fifo SCOPED(mem_freep) = at("fifo");

	(void)state;
	sign_key_free(make_key("thing"));
	assert_refused(sign_key_load(scratch, NULL, &other, &e), ERR_VERIFY, "not a key file");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_refused(sign_key_load(fifo, NULL, &other, &e), ERR_VERIFY, "not a key file");
	assert_refused(sign_key_load("/nonexistent/key", NULL, &other, &e), ERR_FAIL, "No such");
	assert_int_equal(symlink("thing", link), 0);
	put_file(about, "{\"created\":1700000000,\"uid\":\"x\"}", 32, 0644);
	if (geteuid() == 0) {
		assert_int_equal(lchown(link, 65534, 65534), 0);
		assert_refused(sign_key_load(link, NULL, &other, &e), ERR_VERIFY, "symbolic link");
		assert_int_equal(lchown(link, 0, 0), 0);
	}
	assert_done(sign_key_load(link, NULL, &other, &e));
}

static void test_load_refuses_damage(void **state)
{
	char *path SCOPED(mem_freep) = at("hurt");
	struct buf good SCOPED(buf_release) = BUF_INIT(1 << 16);
	char *big SCOPED(mem_freep) = mem_zalloc(70000);
	struct sign_key *k = NULL;

	(void)state;
	sign_key_free(make_key("hurt"));
	get_file(path, &good);
	for (size_t n = 0; n < good.len - 1; n += 7) {
		struct sign_key *other SCOPED(sign_key_freep) = NULL;

		put_file(path, good.data, n, 0600);
		assert_refused(sign_key_load(path, NULL, &other, &e), ERR_VERIFY, "key");
	}
	put_file(path, big, 70000, 0600);
	assert_refused(sign_key_load(path, NULL, &k, &e), ERR_VERIFY, "not a key file");
	assert_null(k);
}

/* Another curve, and the two older ways of writing an EC key. */
static void test_load_refuses_other_keys(void **state)
{
	static const char p384[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBpV7K29uaRttt86OQV\n"
	    "-----END PRIVATE KEY-----\n";
	static const char sec1[] = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n"
				   "-----END EC PRIVATE KEY-----\n";
	char *path SCOPED(mem_freep) = at("alien");
	struct sign_key *k SCOPED(sign_key_freep) = NULL;

	(void)state;
	put_file(path, p384, sizeof(p384) - 1, 0600);
	assert_refused(sign_key_load(path, NULL, &k, &e), ERR_VERIFY, "PKCS#8");
	put_file(path, sec1, sizeof(sec1) - 1, 0600);
	assert_refused(sign_key_load(path, NULL, &k, &e), ERR_VERIFY, "PKCS#8");
}

static void test_about_is_strict(void **state)
{
	static const char *const wrong[] = {"",
					    "{}",
					    "[]",
					    "{\"created\":\"1\",\"uid\":\"x\"}",
					    "{\"created\":-1,\"uid\":\"x\"}",
					    "{\"created\":4294967296,\"uid\":\"x\"}",
					    "{\"created\":1}",
					    "{\"created\":1,\"created\":1,\"uid\":\"x\"}"};
	char *path SCOPED(mem_freep) = at("about");
	char *json SCOPED(mem_freep) = at("about.json");
	struct sign_key *other SCOPED(sign_key_freep) = NULL;

	(void)state;
	sign_key_free(make_key("about"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put_file(json, wrong[i], strlen(wrong[i]), 0644);
		assert_refused(sign_key_load(path, NULL, &other, &e), ERR_RECIPE, "about.json");
	}
	assert_int_equal(unlink(json), 0);
	assert_refused(sign_key_load(path, NULL, &other, &e), ERR_FAIL, "about.json");
	assert_true(e.hint[0] != '\0');
}

static void test_public_flips(void **state)
{
	char *path SCOPED(mem_freep) = at("flip.pub");
	struct sign_key *k SCOPED(sign_key_freep) = make_key("flip");
	struct buf good SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct digest id = sign_public_id(sign_key_public(k));

	(void)state;
	get_file(path, &good);
	for (size_t i = 0; i < good.len; i++) {
		struct sign_public *pub SCOPED(sign_public_freep) = NULL;
		struct digest other;

		good.data[i] ^= 1;
		put_file(path, good.data, good.len, 0644);
		good.data[i] ^= 1;
		if (sign_public_load(path, &pub, &e) != 0) {
			assert_int_equal(e.kind, ERR_VERIFY);
			continue;
		}
		other = sign_public_id(pub); /* a line end may become another blank; a point not */
		assert_true(digest_equal(&id, &other));
	}
}

/* Every byte of the private key is looked for in what the other files and messages say. */
static void test_private_part_stays_private(void **state)
{
	char *path SCOPED(mem_freep) = at("quiet");
	struct buf priv SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	sign_key_free(make_key("quiet"));
	get_file(path, &priv);
	for (size_t i = 1; i < 4; i++) {
		char *other SCOPED(mem_freep) = mem_format("%s%s", path, suffixes[i]);
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

		get_file(other, &b);
		assert_null(strstr(b.data, "PRIVATE"));
		/* the second line of the PEM is the private number's */
		assert_null(memmem(b.data, b.len, priv.data + 80, 20));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_new_makes_four_files),
	    cmocka_unit_test(test_new_overwrites_nothing),
	    cmocka_unit_test(test_new_names_leftovers),
	    cmocka_unit_test(test_new_sweeps_interrupted_writes),
	    cmocka_unit_test(test_new_is_all_or_nothing),
	    cmocka_unit_test(test_new_checks_its_words),
	    cmocka_unit_test(test_passphrase),
	    cmocka_unit_test(test_load_refuses_open_modes),
	    cmocka_unit_test(test_load_refuses_other_things),
	    cmocka_unit_test(test_load_refuses_damage),
	    cmocka_unit_test(test_load_refuses_other_keys),
	    cmocka_unit_test(test_about_is_strict),
	    cmocka_unit_test(test_public_flips),
	    cmocka_unit_test(test_private_part_stays_private),
	};

	return cmocka_run_group_tests_name("sign-key", tests, enter_scratch, leave_scratch);
}
