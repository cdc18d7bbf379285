/* sign-fixture.h - a scratch directory and keys for the tests of sign/. */
#ifndef SIGN_FIXTURE_H
#define SIGN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sign/sign.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1700000000)

static const char uid[] = "Test <test@example.org>";
static char scratch[64];
static struct err e;

static int enter_scratch(void **state)
{
	(void)state;
	memcpy(scratch, "/tmp/posmedia-sign-XXXXXX", 26);
	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	return mkdtemp(scratch) == NULL;
}

static int leave_scratch(void **state)
{
	(void)state;
	return fs_rmtree(AT_FDCWD, scratch, &e);
}

/* A path in the scratch directory; the caller owns it. */
UNUSED static char *at(const char *name)
{
	return mem_format("%s/%s", scratch, name);
}

UNUSED static void put_file(const char *path, const void *p, size_t n, mode_t mode)
{
	if (fs_put_path(path, p, n, mode, &e) != 0)
		fail_msg("%s", e.msg);
}

UNUSED static void get_file(const char *path, struct buf *ret)
{
	if (fs_get(AT_FDCWD, path, ret, &e) != 0)
		fail_msg("%s", e.msg);
}

/* Makes and loads a key in the scratch directory. */
UNUSED static struct sign_key *make_key(const char *name)
{
	char *path SCOPED(mem_freep) = at(name);
	struct sign_key *k = NULL;

	if (sign_key_new(path, uid, NULL, &e) != 0 || sign_key_load(path, NULL, &k, &e) != 0)
		fail_msg("%s", e.msg);
	return k;
}

/* A refusal must be of this kind and say `text`. */
#define assert_refused(call, wanted, text)                                                         \
	do {                                                                                       \
		e = (struct err)ERR_INIT;                                                          \
		assert_int_equal(call, -1);                                                        \
		if (e.kind != (wanted) || strstr(e.msg, text) == NULL)                             \
			fail_msg("kind %d: %s", (int)e.kind, e.msg);                               \
	} while (0)

#define assert_done(call)                                                                          \
	do {                                                                                       \
		e = (struct err)ERR_INIT;                                                          \
		if ((call) != 0)                                                                   \
			fail_msg("%s", e.msg);                                                     \
	} while (0)

#endif
