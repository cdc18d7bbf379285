/* stage: the accounts of an instance, from its image, its site and the instance before. */
#include "stage/accounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin\n"
			     "rti:x:1500:1500:POS:/home/rti:/bin/bash\n";
static const char group[] = "root:x:0:\nlp:x:7:\nsudo:x:27:\nrti:x:1500:\n";
static const char shadow[] = "root:*:19000:0:99999:7:::\nlp:*:19000::::::\n"
			     "rti:!:19000:1:90:7:45::\n";
static const char gshadow[] = "root:*::\nlp:*::\nsudo:*::\nrti:!::\n";
static const char *const image[] = {passwd, group, shadow, gshadow};

/* One case: the image, what the former had, a site with up to two users. */
struct job {
	const char *now[ACCOUNT_TABLES], *was_image[ACCOUNT_TABLES], *was[ACCOUNT_TABLES];
	bool former;
	struct site_user users[2];
	size_t users_n;
	struct strv was_site;
	struct accounts_made made;
	struct err e;
};

static struct job job_new(void)
{
	struct job j = {.former = true};

	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		j.now[t] = j.was_image[t] = j.was[t] = image[t];
	return j;
}

static int run(struct job *j)
{
	struct account_files f[3] = {0};
	const char *const *texts[3] = {j->now, j->was_image, j->was};
	const struct site s = {.users = j->users, .users_n = j->users_n};
	const struct accounts_from from = {.image = &f[0],
					   .was_image = &f[1],
					   .was = j->former ? &f[2] : NULL,
					   .site = &s,
					   .today = 20000,
					   .was_site = &j->was_site,
					   .shells = "/bin/sh\n/bin/bash\n",
					   .login_defs = "#PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t90\n"
							 "PASS_MIN_DAYS 1\n",
					   .useradd = "INACTIVE=45\n"};
	int rc = 0;

	for (size_t i = 0; i < 3 && rc == 0; i++)
		rc = account_files_read(texts[i], "a test", &f[i], &j->e);
	if (rc == 0)
		rc = accounts_make(&from, &j->made, &j->e);
	for (size_t i = 0; i < 3; i++)
		account_files_release(&f[i]);
	return rc;
}

static void end(struct job *j)
{
	for (size_t i = 0; i < j->users_n; i++)
		strv_release(&j->users[i].groups);
	strv_release(&j->was_site);
	accounts_made_release(&j->made);
}

/* The row of a name in the outcome. */
static void row_is(struct job *j, enum account_table t, const char *name, const char *want)
{
	const struct account_row *row = account_row(&j->made.files.t[t], name);
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);

	if (want == NULL) {
		assert_null(row);
		return;
	}
	assert_non_null(row);
	for (size_t i = 0; i < row->f.n; i++)
		buf_addf(&text, "%s%s", i > 0 ? ":" : "", row->f.v[i]);
	assert_string_equal(text.data, want);
}

static void add(struct job *j, const char *name, uint32_t uid, const char *in)
{
	struct site_user *u = &j->users[j->users_n++];

	*u = (struct site_user){.name = (char *)(uintptr_t)name, .uid = uid};
	u->pos.file = "site.yaml";
	if (in != NULL)
		strv_add(&u->groups, in);
}

static void image_alone(void **state)
{
	struct job j = job_new();
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);

	(void)state;
	j.former = false;
	assert_int_equal(run(&j), 0);
	for (size_t t = 0; t < ACCOUNT_TABLES; t++) {
		buf_cut(&text, 0);
		account_rows_text(&j.made.files.t[t], &text);
		assert_string_equal(text.data, image[t]);
	}
	end(&j);
}

static void of_the_site(void **state)
{
	struct job j = job_new();

	(void)state;
	add(&j, "clerk", 1600, "rti");
	add(&j, "rti", 0, "sudo");
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_PASSWD, "clerk", "clerk:x:1600:1600::/home/clerk:/bin/bash");
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:*:20000:1:90::45::");
	row_is(&j, ACCOUNT_GROUP, "clerk", "clerk:x:1600:");
	row_is(&j, ACCOUNT_GROUP, "rti", "rti:x:1500:clerk");
	row_is(&j, ACCOUNT_GSHADOW, "rti", "rti:!::clerk");
	row_is(&j, ACCOUNT_GROUP, "sudo", "sudo:x:27:rti");
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:!:19000:1:90:7:45::");
	accounts_made_release(&j.made);
	/* with a key alone, nothing ages */
	strv_add(&j.users[1].keys, "ssh-ed25519 AAAA");
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:!:20000:1::7:45::");
	accounts_made_release(&j.made);
	/* until there is a password */
	j.was[ACCOUNT_SHADOW] = "root:*:19000::::::\nrti:$6$t:19100:1::7:45::\n";
	j.former = true;
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:$6$t:19100:1:90:7:45::");
	strv_release(&j.users[1].keys);
	assert_int_equal(j.made.homes.n, 1);
	assert_string_equal(j.made.homes.v[0].path, "/home/clerk");
	assert_int_equal(j.made.homes.v[0].uid, 1600);
	end(&j);
}

static void of_people(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/dash\n"
				"lp:x:7:7:lp:/:/bin/bash\n"
				"daemon2:x:990:990::/:/bin/sh\n"
				"rti:x:1500:1500:Till:/home/rti:/usr/sbin/nologin\n"
				"alice:x:1001:1001:Alice:/home/alice:/bin/bash\n"
				"toor:x:0:0::/:/bin/sh\n";
	j.was[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:alice\nsudo:x:27:alice,lp\n"
			       "rti:x:1500:\nalice:x:1001:\ntills:x:1002:alice,rti\n";
	j.was[ACCOUNT_SHADOW] = "root:$6$r:19100:0:99999:7:::\nlp:$6$l:19100::::::\n"
				"rti:$6$t:19100:1:90:7:45::\nalice:$6$a:19100:1:90:7:45::\n";
	j.was[ACCOUNT_GSHADOW] = "root:*::\nsudo:*::alice\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_PASSWD, "root", "root:x:0:0:root:/root:/bin/dash");
	row_is(&j, ACCOUNT_SHADOW, "root", "root:$6$r:19100:0:99999:7:::");
	/* the system's own are the image's */
	row_is(&j, ACCOUNT_PASSWD, "lp", "lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin");
	row_is(&j, ACCOUNT_SHADOW, "lp", "lp:*:19000::::::");
	row_is(&j, ACCOUNT_PASSWD, "daemon2", NULL);
	row_is(&j, ACCOUNT_PASSWD, "toor", NULL);
	row_is(&j, ACCOUNT_PASSWD, "rti", "rti:x:1500:1500:Till:/home/rti:/usr/sbin/nologin");
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:$6$t:19100:1:90:7:45::");
	row_is(&j, ACCOUNT_PASSWD, "alice", "alice:x:1001:1001:Alice:/home/alice:/bin/bash");
	row_is(&j, ACCOUNT_SHADOW, "alice", "alice:$6$a:19100:1:90:7:45::");
	row_is(&j, ACCOUNT_GROUP, "sudo", "sudo:x:27:alice");
	row_is(&j, ACCOUNT_GROUP, "lp", "lp:x:7:alice");
	row_is(&j, ACCOUNT_GROUP, "tills", "tills:x:1002:alice,rti");
	row_is(&j, ACCOUNT_GSHADOW, "tills", "tills:!::alice,rti");
	end(&j);
}

static void taken_away(void **state)
{
	struct job j = job_new();

	(void)state;
	j.now[ACCOUNT_GROUP] = j.was_image[ACCOUNT_GROUP] =
	    "root:x:0:\nlp:x:7:\nsudo:x:27:rti\nrti:x:1500:\n";
	j.was[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:\nsudo:x:27:\nrti:x:1500:\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_GROUP, "sudo", "sudo:x:27:");
	accounts_made_release(&j.made);
	j.was[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/bash\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:!posmedia=!!:19000:1:90:7:45:1:");
	end(&j);
}

/* A user that the site has no more, and then has again. */
static void leaves_and_returns(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/bash\n"
				"rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"clerk:x:1600:1600::/home/clerk:/bin/bash\n";
	j.was[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:\nsudo:x:27:clerk\nrti:x:1500:clerk\n"
			       "clerk:x:1600:\n";
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nclerk:$6$c:19100::::::\n"
				"rti:!:19000:1:90:7:45::\n";
	strv_add(&j.was_site, "clerk");
	strv_add(&j.was_site, "clerk:sudo");
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:!posmedia=!$6$c:19100:::::1:");
	row_is(&j, ACCOUNT_GROUP, "sudo", "sudo:x:27:");
	row_is(&j, ACCOUNT_GROUP, "rti", "rti:x:1500:clerk");
	assert_string_equal(j.made.did.v[0], "locked the user clerk");
	accounts_made_release(&j.made);
	/* whom people lock stays locked while the site has them all the time */
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nclerk:!posmedia=!$6$c:19100:::::1:\n"
				"rti:!:19000:1:90:7:45::\n";
	add(&j, "clerk", 1600, "rti");
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:!posmedia=!$6$c:19100:::::1:");
	accounts_made_release(&j.made);
	strv_release(&j.was_site);
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:$6$c:19100::::::");
	accounts_made_release(&j.made);
	/* what an administrator locked is locked afterwards, and ends when he said */
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nrti:!:19000:1:90:7:45::\n"
				"clerk:!$6$c:19100:::::1:\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:!$6$c:19100:::::1:");
	accounts_made_release(&j.made);
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nrti:!:19000:1:90:7:45::\n"
				"clerk:!posmedia=20500!!$6$c:19100:::::1:\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:!$6$c:19100:::::20500:");
	end(&j);
}

/* A password in passwd itself, with and without a row of shadow, and none at all. */
static void passwords_in_passwd(void **state)
{
	static const char *const own[] = {"$6$c", "", "x"};
	static const char *const after[] = {
	    "clerk:!posmedia=!$6$c::::::1:", "clerk:!posmedia=!!::::::1:",
	    "clerk:!posmedia=!!::::::1:"};
	struct job j = job_new();

	(void)state;
	strv_add(&j.was_site, "clerk");
	for (size_t i = 0; i < 3; i++) {
		char *rows SCOPED(mem_freep) =
		    mem_format("root:x:0:0:root:/root:/bin/bash\n"
			       "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
			       "clerk:%s:1600:1500::/home/clerk:/bin/bash\n",
			       own[i]);

		j.was[ACCOUNT_PASSWD] = rows;
		assert_int_equal(run(&j), 0);
		row_is(&j, ACCOUNT_PASSWD, "clerk", "clerk:x:1600:1500::/home/clerk:/bin/bash");
		row_is(&j, ACCOUNT_SHADOW, "clerk", after[i]);
		assert_int_equal(j.made.did.n, 1);
		accounts_made_release(&j.made);
	}
	j.was[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/bash\n"
				"rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"clerk:$6$p:1600:1500::/home/clerk:/bin/bash\n";
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nclerk:!:19100::::::\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "clerk", "clerk:!posmedia=!$6$p:19100:::::1:");
	accounts_made_release(&j.made);
	/* locked already: nothing is done, and nothing said */
	j.was[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/bash\n"
				"rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"clerk:x:1600:1500::/home/clerk:/bin/bash\n";
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nclerk:!posmedia=!$6$p:19100:::::1:\n";
	assert_int_equal(run(&j), 0);
	assert_int_equal(j.made.did.n, 0);
	end(&j);
}

/* As many as may be, each in every group: an instance may have made them so. */
static void many(void **state)
{
	enum { PEOPLE = 1600 };
	struct job j = job_new();
	struct buf users SCOPED(buf_release) = BUF_INIT(8 << 20);
	struct buf groups SCOPED(buf_release) = BUF_INIT(64 << 20);
	struct timespec from, to;

	(void)state;
	buf_addf(&users, "root:x:0:0:root:/root:/bin/bash\nrti:x:1500:1500::/:/bin/sh\n");
	buf_addf(&groups, "root:x:0:\nlp:x:7:\nsudo:x:27:\nrti:x:1500:\n");
	for (unsigned i = 0; i < PEOPLE; i++) {
		buf_addf(&users, "u%u:x:%u:1500::/:/bin/sh\n", i, 2000 + i);
		buf_addf(&groups, "g%u:x:%u:u0", i, 2000 + i);
		for (unsigned k = 1; k < 400; k++)
			buf_addf(&groups, ",u%u", k);
		buf_addf(&groups, "\n");
	}
	j.was[ACCOUNT_PASSWD] = users.data;
	j.was[ACCOUNT_GROUP] = groups.data;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(run(&j), 0);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_true(account_is_member(&j.made.files, "g1599", "u399"));
	assert_true(to.tv_sec - from.tv_sec < 8);
	end(&j);
}

/* Of root the site takes back what it gave, and no more. */
static void root_is_not_locked(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:\nsudo:x:27:root\nrti:x:1500:\n";
	strv_add(&j.was_site, "root");
	strv_add(&j.was_site, "root:sudo");
	strv_add(&j.was_site, "lp");
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "root", "root:*:19000:0:99999:7:::");
	row_is(&j, ACCOUNT_SHADOW, "lp", "lp:*:19000::::::");
	row_is(&j, ACCOUNT_GROUP, "sudo", "sudo:x:27:");
	assert_int_equal(j.made.did.n, 0);
	end(&j);
}

/* To an image without it, and back. */
static void image_without_it(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nlp:*:19000::::::\n"
				"rti:$6$own:19100:1:90:7:45:20500:\n";
	j.now[ACCOUNT_PASSWD] = "root:x:0:0:root:/root:/bin/bash\n";
	j.now[ACCOUNT_GROUP] = "root:x:0:\n";
	j.now[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_GROUP, "rti", "rti:x:1500:");
	row_is(&j, ACCOUNT_PASSWD, "rti", "rti:x:1500:1500:POS:/home/rti:/bin/bash");
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:!posmedia-image=20500!$6$own:19100:1:90:7:45:1:");
	accounts_made_release(&j.made);
	/* the image has a password of its own, which people had changed */
	memcpy(j.was_image, j.now, sizeof(j.was_image));
	memcpy(j.now, image, sizeof(j.now));
	j.now[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\nrti:$6$default:19000:1:90:7:45::\n";
	j.was[ACCOUNT_SHADOW] = "root:*:19000:0:99999:7:::\n"
				"rti:!posmedia-image=20500!$6$own:19100:1:90:7:45:1:\n";
	assert_int_equal(run(&j), 0);
	row_is(&j, ACCOUNT_SHADOW, "rti", "rti:$6$own:19100:1:90:7:45:20500:");
	end(&j);
}

/* A group of the system's has another number in another image. */
static void numbers_of_files(void **state)
{
	static const char *const other[] = {passwd, "root:x:0:\nlp:x:101:\nweb:x:7:\n", NULL, NULL};
	struct account_files was = {0}, now = {0};
	const struct account_rows *a = &was.t[ACCOUNT_GROUP], *b = &now.t[ACCOUNT_GROUP];

	(void)state;
	assert_int_equal(account_files_read(image, "a test", &was, NULL), 0);
	assert_int_equal(account_files_read(other, "a test", &now, NULL), 0);
	assert_int_equal(account_moved_id(a, b, 7), 101);
	assert_int_equal(account_moved_id(a, b, 0), 0);
	assert_int_equal(account_moved_id(a, b, 27), 0);
	assert_int_equal(account_moved_id(a, b, 55), 0);
	assert_int_equal(account_moved_id(a, b, 1500), 1500);
	account_files_release(&was);
	account_files_release(&now);
}

static void refused(struct job *j, const char *why)
{
	assert_int_equal(run(j), -1);
	if (strstr(j->e.msg, why) == NULL)
		fail_msg("%s", j->e.msg);
	end(j);
	*j = job_new();
}

static void numbers(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_PASSWD] = "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"alice:x:1001:1500::/home/alice:/bin/bash\n";
	j.now[ACCOUNT_PASSWD] = "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"tulip:x:1001:1500::/:/bin/false\n";
	refused(&j, "uid 1001 is of tulip in the image, and of alice in the instance before");
	j.now[ACCOUNT_PASSWD] = "rti:x:1600:1500:POS:/home/rti:/bin/bash\n";
	refused(&j, "rti was 1500 in the image before and is 1600 in this one");
	j.was[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:\nrti:x:1500:\ntills:x:1700:\n";
	j.now[ACCOUNT_GROUP] = "root:x:0:\nlp:x:7:\nrti:x:1500:\ntills:x:1800:\n";
	refused(&j, "tills is gid 1800 in the image, and 1700 in the instance before");
	j.was[ACCOUNT_PASSWD] = "alice:x:1001:100::/home/alice:/bin/bash\n";
	refused(&j, "alice of the instance before has the group 100, which the image lacks");
	add(&j, "clerk", 1500, NULL);
	refused(&j, "clerk cannot be 1500: that is rti");
	add(&j, "clerk", 0, NULL);
	refused(&j, "the image has no clerk");
	add(&j, "clerk", 33, NULL);
	refused(&j, "clerk cannot be 33: people are 1000 to 59999");
	add(&j, "rti", 1501, NULL);
	refused(&j, "rti is 1500 already, not 1501");
	add(&j, "rti", 0, "nobodys");
	refused(&j, "there is no group nobodys for rti");
	j.now[ACCOUNT_GROUP] = "root:x:0:\nrti:x:1500:\nown:x:1600:\n";
	add(&j, "clerk", 1600, NULL);
	refused(&j, "clerk would have a group of its own, 1600, which is of own");
	end(&j);
}

static void damaged(void **state)
{
	static const char *const bad[] = {"alice:x:1001:1001::/home/alice\n",
					  "alice:x:x:1001::/home/alice:/bin/sh\n",
					  "ali ce:x:1001:1001::/home/alice:/bin/sh\n",
					  "ali\033ce:x:1001:1001::/home/alice:/bin/sh\n",
					  "../x:x:1001:1001::/home/alice:/bin/sh\n",
					  ":x:1001:1001::/home/alice:/bin/sh\n",
					  "a:x:4294967296:1001::/home/alice:/bin/sh\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct job j = job_new();

		j.was[ACCOUNT_PASSWD] = bad[i];
		refused(&j, "/etc/passwd:1: damaged row");
		end(&j);
	}
}

/* What a full disk leaves of four files is not what people did. */
static void emptied(void **state)
{
	static const char *const bad[] = {"", "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"};
	struct account_files own = {0};

	(void)state;
	assert_int_equal(account_files_read(image, "a test", &own, NULL), 0);
	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		for (size_t i = 0; i < (t == ACCOUNT_PASSWD ? 2 : 1); i++) {
			const char *texts[ACCOUNT_TABLES];
			struct account_files was = {0};
			struct err e = ERR_INIT;

			memcpy(texts, image, sizeof(texts));
			assert_int_equal(account_files_read(texts, "a test", &was, &e), 0);
			assert_int_equal(account_files_whole(&own, &was, "a test", &e), 0);
			account_files_release(&was);
			texts[t] = bad[i];
			assert_int_equal(account_files_read(texts, "a test", &was, &e), 0);
			assert_int_equal(account_files_whole(&own, &was, "a test", &e), -1);
			account_files_release(&was);
		}
	account_files_release(&own);
}

static void homes_stay_in_home(void **state)
{
	struct job j = job_new();

	(void)state;
	j.was[ACCOUNT_PASSWD] = "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"a:x:1001:1500::/home/../etc:/bin/bash\n"
				"b:x:1002:1500::/usr/bin:/bin/bash\n";
	assert_int_equal(run(&j), 0);
	assert_int_equal(j.made.homes.n, 0);
	accounts_made_release(&j.made);
	/* nor are they another's, nor above another's */
	j.was[ACCOUNT_PASSWD] = "rti:x:1500:1500:POS:/home/rti:/bin/bash\n"
				"svc:x:1601:1500::/home/rti:/bin/bash\n"
				"sub:x:1602:1500::/home/sub:/bin/bash\n"
				"two:x:1603:1500::/home/sub/two:/bin/bash\n"
				"own:x:1604:1500::/home/own:/bin/bash\n";
	assert_int_equal(run(&j), 0);
	assert_int_equal(j.made.homes.n, 2);
	assert_string_equal(j.made.homes.v[0].path, "/home/sub/two");
	assert_string_equal(j.made.homes.v[1].path, "/home/own");
	end(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(image_alone),
	    cmocka_unit_test(of_the_site),
	    cmocka_unit_test(of_people),
	    cmocka_unit_test(taken_away),
	    cmocka_unit_test(leaves_and_returns),
	    cmocka_unit_test(passwords_in_passwd),
	    cmocka_unit_test(many),
	    cmocka_unit_test(root_is_not_locked),
	    cmocka_unit_test(image_without_it),
	    cmocka_unit_test(numbers_of_files),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(emptied),
	    cmocka_unit_test(homes_stay_in_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
