/* cgroup.c - a systemd in an instance wants control groups that it may write to: on a host with
 * cgroup v1 the hierarchy that keeps its services apart, with v2 one of its own. */
#include "stage/parts.h"

#include "base/num.h"
#include <string.h>
#include <unistd.h>

enum { WRITABLE_SINCE = 28 }; /* the first dockerd with "writable-cgroups" */

/* The program that an image starts. */
static const char *first_word(const struct jval *config)
{
	const char *word = jval_str(jval_at(jval_get(config, "Entrypoint"), 0));

	return word != NULL ? word : jval_str(jval_at(jval_get(config, "Cmd"), 0));
}

bool stage_systemd(const struct stage *st)
{
	const char *word = first_word(jval_get(st->config, "config"));
	const char *slash = word != NULL ? strrchr(word, '/') : NULL;

	word = slash != NULL ? slash + 1 : word;
	return word != NULL && (strcmp(word, "init") == 0 || strcmp(word, "systemd") == 0);
}

/* Of dockerd, 0 when it does not say. */
static uint64_t dockerd_major(const struct engine_about *about)
{
	static const char head[] = "Docker/";
	size_t n = strlen(head);
	uint64_t major = 0;
	char *text SCOPED(mem_freep) = NULL;

	if (strncmp(about->version, head, n) != 0)
		return 0;
	text = mem_strndup(about->version + n, strcspn(about->version + n, "."));
	return num_u64(text, 9999, &major) == 0 ? major : 0;
}

int stage_cgroup_ready(struct stage *st, struct err *e)
{
	const struct engine_about *about = engine_about(st->en);

	if (!stage_systemd(st))
		return 0;
	if (engine_cgroup2(st->en, &st->cgroup2, e) != 0)
		return -1;
	if (!st->cgroup2 || about->podman || dockerd_major(about) >= WRITABLE_SINCE)
		return 0;
	(void)err_set(e, ERR_REMOTE,
		      "%s gives no instance cgroups of version 2 that it can write to, and the "
		      "image starts systemd",
		      about->version);
	return err_hint(e,
			"dockerd does so from version %d on, podman always; or boot the host "
			"with systemd.unified_cgroup_hierarchy=0",
			WRITABLE_SINCE);
}

/* podman mounts that hierarchy by itself where it takes what is started for a systemd. A second
 * mount of one place it keeps in either order, and lists the last. */
static bool podman_mounts(const struct stage *st)
{
	static const char *const inits[] = {"/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"};
	const char *word = first_word(jval_get(st->config, "config"));
	const char *slash = strrchr(word, '/');

	for (size_t i = 0; i < sizeof(inits) / sizeof(inits[0]); i++)
		if (strcmp(word, inits[i]) == 0)
			return true;
	return strcmp(slash != NULL ? slash + 1 : word, "systemd") == 0;
}

/* A systemd that is no host's writes to the hierarchy of v1 that keeps its services apart, and to
 * no controller. Those stay as the engine mounts them, read-only: a mount of all of /sys/fs/cgroup
 * would cover them, and its ReadOnly does not reach the mounts below it. What the kernel starts
 * when a group is empty is the host's. */
void stage_cgroup_mounts(const struct stage *st, struct jval *list)
{
	static const char own[] = "/sys/fs/cgroup/systemd";
	static const char agent[] = "/sys/fs/cgroup/systemd/release_agent";

	if (st->cgroup2 || !stage_systemd(st) || access(own, F_OK) != 0)
		return;
	if (!engine_about(st->en)->podman || !podman_mounts(st))
		stage_spec_mount(list, own, own, false);
	if (access(agent, F_OK) == 0)
		stage_spec_mount(list, agent, agent, true);
}

/* With v2 it sees no hierarchy but its own. podman makes that writable for an init by itself,
 * dockerd when asked. */
void stage_cgroup_spec(const struct stage *st, struct jval *host, struct jval *security)
{
	const struct engine_about *about = engine_about(st->en);

	if (!stage_systemd(st))
		return;
	jval_put_text(host, "CgroupnsMode", st->cgroup2 ? "private" : "host");
	if (st->cgroup2 && !about->podman && dockerd_major(about) >= WRITABLE_SINCE)
		jval_push(security, jval_text("writable-cgroups=true"));
}
