#include "cli/host.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "stage/logs.h"
#include <stdio.h>

enum { LINES = 200, LINES_MAX = 10000, SAID_MAX = 8 << 20 };

static const struct opt opts[] = {
    {'n', "lines", "N", "So many of the last ones, at most 10000; 200 when absent."},
    {0, "engine", "SOCKET", "The engine's socket; dockerd's or podman's when absent."},
    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},
    {0, "json", NULL, "Print them as JSON."},
    {0, NULL, NULL, NULL},
};

static int run(const struct args *a, struct err *e)
{
	const struct stage_opts o = {.state = host_or_else(a, "state", "/srv/pos"),
				     .socket = host_or_else(a, "engine", engine_socket())};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct site *s SCOPED(site_freep) = NULL;
	uint64_t lines = LINES;

	if (args_num(a, "lines", LINES_MAX, &lines, e) != 0 || site_load(a->rest.v[0], &s, e) != 0)
		return -1;
	if (o.state[0] != '/' || o.socket[0] != '/')
		return err_set(e, ERR_USAGE, "--state and --engine want absolute paths");
	if (stage_logs(s, &o, (unsigned)lines, &said, e) != 0)
		return -1;
	if (args_has(a, "json")) {
		struct jval *v SCOPED(jval_freep) = jval_object();

		jval_put(v, "logs", jval_textn(said.data, said.len));
		screen_json(v);
		return 0;
	}
	for (size_t i = 0; i < said.len; i++)
		if (said.data[i] == '\0')
			said.data[i] = '?';
	screen_plain(said.data);
	(void)fputs(said.data, stdout);
	return 0;
}

const struct verb verb_logs = {
    .name = "logs",
    .args = "SITE",
    .help = "Show what the instance of a site has said.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
