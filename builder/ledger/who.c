#include "ledger/parts.h"

#include "form/hex.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { NAME_MAX_HERE = 32 };

/* Only what needs no escapes in JSON, and is a name. */
static void keep_plain(char *s)
{
	for (; *s != '\0'; s++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+@ ",
			   *s) == NULL)
			*s = '?';
}

/* Builds run in a user namespace, where everybody is 0: whom the kernel means outside. */
static uid_t outside(uid_t uid)
{
	struct buf map SCOPED(buf_release) = BUF_INIT(4096);
	struct err quiet = ERR_INIT;
	char *at, *end;

	if (fs_get(AT_FDCWD, "/proc/self/uid_map", &map, &quiet) != 0)
		return uid;
	for (at = map.data; *at != '\0'; at = end) {
		unsigned long in = strtoul(at, &end, 10), out = strtoul(end, &end, 10);
		unsigned long n = strtoul(end, &end, 10);

		if (end == at)
			break;
		if (uid >= in && uid - in < n)
			return (uid_t)(out + (uid - in));
		while (*end == '\n')
			end++;
	}
	return uid;
}

static void name_of(uid_t uid, char ret[static NAME_MAX_HERE + 1])
{
	const struct passwd *p = getpwuid(uid);

	if (p != NULL)
		(void)snprintf(ret, NAME_MAX_HERE + 1, "%.*s", NAME_MAX_HERE, p->pw_name);
	else
		(void)snprintf(ret, NAME_MAX_HERE + 1, "%lu", (unsigned long)uid);
}

/* "alice", or "alice as root" of one who came by sudo(8), which says so itself. */
static void find_actor(struct who *ret)
{
	const char *sudo = getenv("SUDO_USER");
	uid_t uid = outside(getuid());
	char name[NAME_MAX_HERE + 1];

	name_of(uid, name);
	if (uid == 0 && sudo != NULL && *sudo != '\0' && strcmp(sudo, name) != 0)
		(void)snprintf(ret->actor, sizeof(ret->actor), "%.*s as %s", NAME_MAX_HERE, sudo,
			       name);
	else
		(void)snprintf(ret->actor, sizeof(ret->actor), "%s", name);
	keep_plain(ret->actor);
}

/* What /etc/machine-id says is not told to others as it is (machine-id(5)). */
static void find_machine(struct who *ret)
{
	struct buf id SCOPED(buf_release) = BUF_INIT(4096);
	struct err quiet = ERR_INIT;
	struct digest_hex hex;
	struct digest d;

	if (fs_get(AT_FDCWD, "/etc/machine-id", &id, &quiet) != 0 || id.len < 32) {
		buf_cut(&id, 0);
		buf_addf(&id, "%s\n", ret->host);
	}
	buf_addf(&id, "posmedia ledger\n");
	d = digest_of(id.data, id.len);
	hex = digest_hex(&d);
	memcpy(ret->machine, hex.s, LEDGER_MACHINE);
	ret->machine[LEDGER_MACHINE] = '\0';
}

void who_now(struct who *ret)
{
	*ret = (struct who){.actor = ""};
	if (gethostname(ret->host, sizeof(ret->host) - 1) != 0 || ret->host[0] == '\0')
		(void)snprintf(ret->host, sizeof(ret->host), "localhost");
	keep_plain(ret->host);
	find_machine(ret);
	find_actor(ret);
}

int chain_new(const struct who *w, char ret[static 32], struct err *e)
{
	uint8_t bytes[8];
	char hex[2 * sizeof(bytes) + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(e, "getrandom");
	hex_encode(bytes, sizeof(bytes), hex);
	(void)snprintf(ret, 32, "%s-%s", w->machine, hex);
	return 0;
}
