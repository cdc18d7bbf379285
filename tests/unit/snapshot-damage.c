/* A repository that somebody else can write to, or a disk that forgets: what is changed is found,
 * named, and the rest can be restored. */
#include "snapshot-lib.h"

#include "snapshot/le.h"
#include "snapshot/repo.h"

/* The object with one byte other than it was; and back. */
static void flip(const struct bed *b, const char *object, off_t at)
{
	char *path SCOPED(mem_freep) = mem_format("%s/repo/%s", b->dir, object);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

static off_t size_of(const struct bed *b, const char *object)
{
	char *path SCOPED(mem_freep) = mem_format("repo/%s", object);

	return stat_of(b->top, path).st_size;
}

static bool tells(const struct strv *faults, const char *object)
{
	for (size_t i = 0; i < faults->n; i++)
		if (strstr(faults->v[i], object) != NULL)
			return true;
	return false;
}

/* Whether a verification that reads all names the object. */
static bool found(const struct bed *b, const char *object, bool read)
{
	struct snapshot_verified v SCOPED(snapshot_verified_release) = verify_with(b, read);

	return tells(&v.faults, object);
}

/* Restores what is not lost: all of it is as it was, and nothing else is missing. Returns how many
 * were lost. */
static size_t restore_rest(const struct bed *b)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_READ);
	struct snapshot *s SCOPED(snapshot_closep) = NULL;
	struct strv lost SCOPED(strv_release) = {0};
	struct manifest src SCOPED(manifest_release) = manifest_of(b->src);
	const struct manifest *m;
	const struct apply_opts o = {0};
	struct apply_result res;
	struct err e = ERR_INIT;

	empty(b->dst);
	if (snapshot_open(r, NULL, &s, &e) != 0 || snapshot_drop_lost(s, &lost, &e) != 0)
		fail_msg("%s", e.msg);
	m = snapshot_manifest(s);
	if (apply_tree(m, snapshot_content(s), b->dst, &o, &res, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(m->n + lost.n, src.n);
	for (size_t i = 0; i < src.n; i++)
		assert_true((manifest_find(m, src.v[i].path) == NULL) ==
			    strv_has(&lost, src.v[i].path));
	return lost.n;
}

static void bytes_of_packs(void **state)
{
	const struct bed *b = *state;
	struct strv packs SCOPED(strv_release) = {0};
	size_t lost = 0;

	make_tree(b->src);
	free(make_one(b));
	objects_of(b, "packs", &packs);
	assert_int_equal(packs.n, 1);
	/* what is needed to read the snapshot at all is at the pack's end */
	for (off_t at = 0; at < 4000000; at += 570007) {
		flip(b, packs.v[0], at);
		assert_true(found(b, packs.v[0], true));
		lost += restore_rest(b);
		flip(b, packs.v[0], at);
	}
	assert_true(lost > 0);
	for (off_t n = 1; n < 40000; n += n < 30 ? 1 : 3011) {
		off_t at = size_of(b, packs.v[0]) - n;

		flip(b, packs.v[0], at);
		assert_true(found(b, packs.v[0], true));
		flip(b, packs.v[0], at);
	}
	is_whole(b);
	assert_int_equal(restore_rest(b), 0);
}

/* Every byte of what is small: it is told, or it is not one that means anything. */
static void bytes_of_what_is_small(void **state)
{
	static const char *const folders[] = {"snapshots", "indexes"};
	const struct bed *b = *state;

	put_text(b->src, "f", "some text");
	free(make_one(b));
	for (size_t i = 0; i < 2; i++) {
		struct strv l SCOPED(strv_release) = {0};

		objects_of(b, folders[i], &l);
		assert_int_equal(l.n, 1);
		for (off_t at = 0; at < size_of(b, l.v[0]); at += at < 100 ? 3 : 23) {
			flip(b, l.v[0], at);
			/* an end of line more or less says nothing */
			if (!found(b, l.v[0], false) && at + 2 < size_of(b, l.v[0]))
				fail_msg("%s: byte %d", l.v[0], (int)at);
			flip(b, l.v[0], at);
		}
	}
	is_whole(b);
}

static void bytes_of_the_key(void **state)
{
	const struct bed *b = *state;
	char *where SCOPED(mem_freep) = mem_format("dir:%s/repo", b->dir);
	const struct snapshot_at at = {
	    .where = where, .secret = SECRET, .secret_n = strlen(SECRET)};

	put_text(b->src, "f", "some text");
	free(make_one(b));
	for (off_t i = 0; i + 3 < size_of(b, "format.json"); i += 11) {
		struct snapshot_repo *r = NULL;
		struct err e = ERR_INIT;

		flip(b, "format.json", i);
		if (snapshot_repo_open(&at, &r, &e) == 0)
			fail_msg("byte %d", (int)i);
		flip(b, "format.json", i);
	}
	is_whole(b);
}

/* An index says nothing that the packs do not. */
static void an_index_is_lost(void **state)
{
	const struct bed *b = *state;
	struct strv l SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = NULL;

	make_tree(b->src);
	free(make_one(b));
	objects_of(b, "indexes", &l);
	path = mem_format("repo/%s", l.v[0]);
	flip(b, l.v[0], 100);
	assert_int_equal(restore_rest(b), 0);
	flip(b, l.v[0], 100);
	assert_int_equal(unlinkat(b->top, path, 0), 0);
	is_whole(b);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
}

static void a_pack_is_lost(void **state)
{
	const struct bed *b = *state;
	struct snapshot_result r SCOPED(snapshot_result_release) = {0};
	struct strv l SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = NULL;
	struct snapshot_verified v SCOPED(snapshot_verified_release) = {0};
	struct err e = ERR_INIT;

	make_tree(b->src);
	free(make_one(b));
	objects_of(b, "packs", &l);
	path = mem_format("repo/%s", l.v[0]);
	assert_int_equal(unlinkat(b->top, path, 0), 0);
	v = verify_with(b, false);
	assert_true(tells(&v.faults, l.v[0]));
	assert_int_equal(v.lost.n, 1); /* all of it */
	assert_int_equal(try_restore(b, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	/* the next snapshot has all of it again */
	r = make_with(b, &(struct snapshot_opts){0});
	assert_true(r.info.added > 4000000);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
}

static void a_pack_is_cut_short(void **state)
{
	const struct bed *b = *state;
	struct strv l SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = NULL;

	make_tree(b->src);
	free(make_one(b));
	put_text(b->src, "later", "a pack of its own, with manifest and contents");
	free(make_one(b));
	objects_of(b, "packs", &l);
	assert_int_equal(l.n, 2);
	if (size_of(b, l.v[0]) < size_of(b, l.v[1]))
		SWAP(l.v[0], l.v[1]);
	path = mem_format("%s/repo/%s", b->dir, l.v[0]);
	assert_int_equal(truncate(path, 1000000), 0);
	assert_true(found(b, l.v[0], false));
	assert_true(found(b, l.v[0], true));
	/* what is cut off is stored anew */
	free(make_one(b));
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
}

/* Nothing that is there names it any more: only the snapshot before needs it. */
static void a_pack_and_its_index_are_lost(void **state)
{
	const struct bed *b = *state;
	struct strv l SCOPED(strv_release) = {0};

	put_bytes(b->src, "stays", 100000, 1);
	put_text(b->src, "changes", "a");
	free(make_one(b));
	objects_of(b, "packs", &l);
	objects_of(b, "indexes", &l);
	assert_int_equal(l.n, 2);
	put_text(b->src, "changes", "b"); /* manifest and contents are in the second pack */
	free(make_one(b));
	for (size_t i = 0; i < l.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("repo/%s", l.v[i]);

		assert_int_equal(unlinkat(b->top, path, 0), 0);
	}
	free(make_one(b));
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
}

/* What is there is as it was sealed, only under another name. */
static void objects_change_places(void **state)
{
	const struct bed *b = *state;
	struct strv packs SCOPED(strv_release) = {0}, snaps SCOPED(strv_release) = {0};
	char *one SCOPED(mem_freep) = NULL, *two SCOPED(mem_freep) = NULL;

	put_bytes(b->src, "f", 100000, 1);
	free(make_one(b));
	put_bytes(b->src, "f", 100000, 2);
	free(make_one(b));
	objects_of(b, "packs", &packs);
	objects_of(b, "snapshots", &snaps);
	assert_int_equal(packs.n + snaps.n, 4);
	for (unsigned i = 0; i < 2; i++) {
		const struct strv *l = i == 0 ? &packs : &snaps;

		one = mem_format("repo/%s", l->v[0]);
		two = mem_format("repo/%s", l->v[1]);
		assert_int_equal(renameat2(b->top, one, b->top, two, RENAME_EXCHANGE), 0);
		assert_true(found(b, l->v[0], true));
		assert_true(found(b, l->v[1], true));
		assert_int_equal(renameat2(b->top, one, b->top, two, RENAME_EXCHANGE), 0);
		free(STEAL(one));
		free(STEAL(two));
	}
	is_whole(b);
}

static void remove_snapshot(const struct bed *b, const char *id)
{
	char *path SCOPED(mem_freep) = mem_format("repo/snapshots/%s.json", id);

	assert_int_equal(unlinkat(b->top, path, 0), 0);
}

/* Who takes snapshots away gives out an old one as the newest. */
static void an_old_one_as_new(void **state)
{
	const struct bed *b = *state;
	char *one SCOPED(mem_freep) = NULL, *two SCOPED(mem_freep) = NULL,
		  *three SCOPED(mem_freep) = NULL;
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct snapshot_pruned p = {0};
	struct snapshot_infos l SCOPED(snapshot_infos_release) = {0};
	struct err e = ERR_INIT;

	put_text(b->src, "f", "1");
	one = make_one(b);
	put_text(b->src, "f", "2");
	two = make_one(b);
	three = make_one(b);
	remove_snapshot(b, two);
	l = listed(b);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.missing.n, 1);
	assert_string_equal(l.missing.v[0], two);
	assert_true(found(b, two, false));
	assert_int_equal(try_restore(b, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, two));
	restore(b, three);
	assert_int_equal(differences(b), 0);
	restore(b, one);
	/* and what it needed may be wanted once it is found again */
	r = open_repo(b, SNAPSHOT_PRUNE);
	assert_int_equal(snapshot_prune(r, &(struct snapshot_keep){.newest = 1}, &p, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
}

/* One object that cannot be read at all: here, as root is refused nothing, a directory. */
static void objects_that_cannot_be_read(void **state)
{
	static const char *const folders[] = {"snapshots", "indexes", "packs"};
	const struct bed *b = *state;
	char *first SCOPED(mem_freep) = NULL;

	put_text(b->src, "f", "1");
	first = make_one(b);
	put_text(b->src, "f", "2");
	free(make_one(b));
	for (size_t i = 0; i < 3; i++) {
		struct strv l SCOPED(strv_release) = {0};
		char *path SCOPED(mem_freep) = NULL, *next SCOPED(mem_freep) = NULL;

		objects_of(b, folders[i], &l);
		assert_true(l.n >= 2);
		strv_sort(&l);
		path = mem_format("repo/%s", l.v[1]);
		assert_int_equal(renameat(b->top, path, b->top, "aside"), 0);
		make_dir(b->top, path);
		assert_true(found(b, l.v[1], false));
		assert_true(found(b, l.v[1], true));
		if (i < 2)
			restore(b, first);
		next = make_one(b);
		restore(b, next); /* the damaged one may be of the same second */
		assert_int_equal(differences(b), 0);
		assert_int_equal(unlinkat(b->top, path, AT_REMOVEDIR), 0);
		assert_int_equal(renameat(b->top, "aside", b->top, path), 0);
	}
	is_whole(b);
}

/* What an index says of the only pack, but with its segments as one. */
static int put_false_index(void *ctx, const struct pack_entry *en, struct err *e)
{
	const uint8_t *dir = en->directory;
	struct buf false_dir SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX);
	struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX);
	struct pack_entry mine = *en;
	size_t rows = le_get(dir + 8, 4) * (PACK_ID + 2);
	uint64_t sealed = en->size - SEAL_HEAD - AEAD_TAG - PACK_TAIL;
	struct digest d;

	assert_true(le_get(dir, 4) > 1);
	le_add(&false_dir, 4, 1);
	le_add(&false_dir, 4, sealed - (12 + rows));
	buf_add(&false_dir, dir + 8, 4 + rows);
	mine.directory = false_dir.data;
	mine.directory_n = false_dir.len;
	pack_entry_add(&mine, &entry);
	return repo_put_index(ctx, &entry, &d, e);
}

/* Of somebody who has the key: it is told, and nothing is read past what it names. */
static void an_index_of_another_pack(void **state)
{
	const struct bed *b = *state;
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = NULL;
	struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX);
	struct strv packs SCOPED(strv_release) = {0}, l SCOPED(strv_release) = {0};
	struct object at = {0};
	char *path SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < 100; i++)
		put_at(b->src, "f", &i, sizeof(i), (off_t)i * SNAPSHOT_GRID);
	free(make_one(b));
	objects_of(b, "packs", &packs);
	objects_of(b, "indexes", &l);
	path = mem_format("repo/%s", l.v[0]);
	assert_int_equal(unlinkat(b->top, path, 0), 0);
	r = open_repo(b, SNAPSHOT_WRITE);
	at.name = packs.v[0] + strlen("packs/");
	at.size = (uint64_t)size_of(b, packs.v[0]);
	assert_int_equal(pack_look(r->objects, &r->key, &at, &entry, &e), 0);
	assert_int_equal(pack_entries_each(entry.data, entry.len, put_false_index, r, &e), 0);
	assert_true(found(b, "is not what the index says", true));
}

/* A nonce is used once, and a pack is whole or not there: of one whose writing failed once nothing
 * comes any more. */
static void a_pack_that_cannot_be_written(void **state)
{
	const struct bed *b = *state;
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	int full SCOPED(fd_closep) = open("/dev/full", O_WRONLY | O_CLOEXEC), kept;
	uint8_t bytes[100 + AEAD_TAG] = {0}, row[PACK_ID + 2] = {0};
	const struct pack_add a = {.bytes = bytes, .n = 100, .rows = row, .blocks = 1};
	struct buf entry SCOPED(buf_release) = BUF_INIT(PACK_DIRECTORY_MAX);
	struct pack *p = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(pack_begin(r->objects, &r->key, &p, &e), 0);
	kept = p->fd;
	p->fd = full;
	assert_int_equal(pack_append(p, &a, &e), -1);
	assert_int_equal(p->segments, 1);
	p->fd = kept;
	assert_int_equal(pack_append(p, &a, &e), -1);
	assert_int_equal(pack_end(p, r->objects, &entry, &e), -1);
	pack_free(p);
}

/* What is missing of one site is no reason not to give the other its own. */
static void one_is_gone_of_another_site(void **state)
{
	static const struct snapshot_opts rose = {.shop = "ROSE", .env = "qa"},
					  more = {.shop = "PRIMROSE", .env = "qa"};
	const struct bed *b = *state;
	struct snapshot_result r[4] = {0};
	char *object SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	put_text(b->src, "f", "1");
	r[0] = make_with(b, &rose);
	r[1] = make_with(b, &more);
	r[2] = make_with(b, &more);
	r[3] = make_with(b, &more);
	remove_snapshot(b, r[1].info.id);
	restore(b, "ROSE-qa");
	assert_int_equal(try_restore(b, "PRIMROSE-qa", &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	object = mem_format("snapshots/%s.json", r[3].info.id);
	flip(b, object, size_of(b, object) / 2);
	restore(b, "ROSE-qa");
	for (size_t i = 0; i < 4; i++)
		snapshot_result_release(&r[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bytes_of_packs, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(bytes_of_what_is_small, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(bytes_of_the_key, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(an_index_is_lost, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_is_lost, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_is_cut_short, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_and_its_index_are_lost, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(objects_change_places, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(objects_that_cannot_be_read, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(an_index_of_another_pack, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_that_cannot_be_written, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(an_old_one_as_new, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(one_is_gone_of_another_site, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
