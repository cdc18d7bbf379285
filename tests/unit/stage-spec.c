/* stage: what an engine is asked for, on hosts of either version of cgroups. */
#include "stage/parts.h"

#include "engine/parts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct jval *spec_of(const char *config, const char *version, bool podman, bool cgroup2)
{
	struct engine en = {.about = {(char *)(uintptr_t)version, podman, 41}};
	struct site s = {.shop = (char *)(uintptr_t) "123", .hostname = (char *)(uintptr_t) "h"};
	struct stage_opts o = {.runtime = "/run/posmedia"};
	struct stage st = {.s = &s, .o = &o, .en = &en, .cgroup2 = cgroup2};
	struct stage_one one = {.container = (char *)(uintptr_t) "pos-123-dev-1"};
	struct err e = ERR_INIT;
	struct jval *v;

	st.dir = st.own = (char *)(uintptr_t) "/srv/pos/123/dev";
	st.seccomp = jval_object();
	assert_int_equal(jval_parse(config, strlen(config), "config", &st.config, &e), 0);
	v = stage_spec(&st, &one);
	jval_free(st.seccomp);
	jval_free(st.config);
	return v;
}

static bool has_option(const struct jval *v, const char *text)
{
	const struct jval *list = jval_get(jval_get(v, "HostConfig"), "SecurityOpt");

	for (size_t i = 0; i < jval_len(list); i++)
		if (strcmp(jval_str(jval_at(list, i)), text) == 0)
			return true;
	return false;
}

/* How many mounts are asked for at a place that starts so. */
static size_t mounts_at(const struct jval *v, const char *start)
{
	const struct jval *list = jval_get(jval_get(v, "HostConfig"), "Mounts");
	size_t n = 0;

	for (size_t i = 0; i < jval_len(list); i++)
		n += strncmp(jval_get_str(jval_at(list, i), "Target"), start, strlen(start)) == 0;
	return n;
}

#define INIT "{\"config\":{\"Entrypoint\":[\"/sbin/init\"]}}"

static void cgroup_v2(void **state)
{
	static const struct {
		const char *version;
		bool podman, asked;
	} cases[] = {{"Docker/28.0.1 (linux)", false, true},
		     {"Docker/27.5.1 (linux)", false, false},
		     {"nonsense", false, false},
		     {"4.3.1", true, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jval *v SCOPED(jval_freep) =
		    spec_of(INIT, cases[i].version, cases[i].podman, true);

		assert_string_equal(jval_get_str(jval_get(v, "HostConfig"), "CgroupnsMode"),
				    "private");
		assert_int_equal(has_option(v, "writable-cgroups=true"), cases[i].asked);
		assert_int_equal(mounts_at(v, "/sys/fs/cgroup"), 0);
	}
}

static void cgroup_v1(void **state)
{
	struct jval *v SCOPED(jval_freep) = spec_of(INIT, "Docker/28.0.1 (linux)", false, false);
	const struct jval *h = jval_get(v, "HostConfig");

	(void)state;
	assert_string_equal(jval_get_str(h, "CgroupnsMode"), "host");
	assert_false(has_option(v, "writable-cgroups=true"));
	assert_true(has_option(v, "no-new-privileges"));
	assert_null(jval_get(h, "Privileged"));
	{
		int64_t pids = 0;

		assert_int_equal(jval_get_int(h, "PidsLimit", &pids), 0);
		assert_int_equal(pids, 2048);
	}
	assert_non_null(jval_get(jval_get(h, "Tmpfs"), "/tmp"));
}

/* The hierarchy of systemd is mounted once: by podman for what it knows, else by us. */
static void systemd_once(void **state)
{
	static const char place[] = "/sys/fs/cgroup/systemd";
	static const struct {
		const char *config;
		bool podman;
		size_t ours;
	} cases[] = {
	    {INIT, false, 1},
	    {INIT, true, 0},
	    {"{\"config\":{\"Cmd\":[\"/usr/sbin/init\"]}}", true, 0},
	    {"{\"config\":{\"Cmd\":[\"/lib/systemd/systemd\"]}}", true, 0},
	    {"{\"config\":{\"Cmd\":[\"systemd\"]}}", true, 0},
	    {"{\"config\":{\"Cmd\":[\"/init\"]}}", true, 1},
	    {"{\"config\":{\"Cmd\":[\"/init\"]}}", false, 1},
	    {"{\"config\":{\"Cmd\":[\"/bin/till\"]}}", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jval *v SCOPED(jval_freep) =
		    spec_of(cases[i].config, "4.3.1", cases[i].podman, false);
		size_t below = mounts_at(v, "/sys/fs/cgroup/systemd/");

		assert_int_equal(mounts_at(v, place) - below,
				 access(place, F_OK) == 0 ? cases[i].ours : 0);
	}
}

static void stop_signal(void **state)
{
	static const char own[] =
	    "{\"config\":{\"Entrypoint\":[\"/sbin/init\"],\"StopSignal\":\"SIGPWR\"}}";
	struct jval *init SCOPED(jval_freep) = spec_of(INIT, "", true, false);
	struct jval *said SCOPED(jval_freep) = spec_of(own, "", true, false);
	struct jval *plain SCOPED(jval_freep) =
	    spec_of("{\"config\":{\"Cmd\":[\"/bin/till\"]}}", "", true, true);

	(void)state;
	assert_string_equal(jval_get_str(init, "StopSignal"), "SIGRTMIN+3");
	assert_null(jval_get(said, "StopSignal"));
	assert_null(jval_get(plain, "StopSignal"));
	assert_null(jval_get(jval_get(plain, "HostConfig"), "CgroupnsMode"));
}

/* As the engine says it. */
static void which_cgroups(void **state)
{
	static const char v2[] = "{\"CgroupVersion\":\"2\"}", other[] = "{\"CgroupVersion\":3}";
	static const char v1[] = "{\"CgroupVersion\":\"1\"}", before[] = "{}";
	static const struct {
		const char *info;
		int rc;
		bool two;
	} cases[] = {{v2, 0, true}, {v1, 0, false}, {before, 0, false}, {other, -1, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct jval *v SCOPED(jval_freep) = NULL;
		struct err e = ERR_INIT;
		bool two = false;

		assert_int_equal(jval_parse(cases[i].info, strlen(cases[i].info), "info", &v, &e),
				 0);
		assert_int_equal(engine_read_cgroup2(v, &two, &e), cases[i].rc);
		assert_int_equal(two, cases[i].two);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cgroup_v2),     cmocka_unit_test(cgroup_v1),
	    cmocka_unit_test(systemd_once),  cmocka_unit_test(stop_signal),
	    cmocka_unit_test(which_cgroups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
