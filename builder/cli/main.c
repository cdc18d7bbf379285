#include "cli/screen.h"
#include "cli/verb.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_verb(const char *word, struct err *e)
{
	(void)err_set(e, ERR_USAGE, "%s%s", word != NULL ? "no such verb: " : "no verb given",
		      word != NULL ? word : "");
	return err_hint(e, "posmedia help lists them");
}

static int set_up(const struct args *a, struct err *e)
{
	const char *format = args_get(a, "log");
	int level = args_has(a, "quiet") ? -1 : args_has(a, "verbose") ? 1 : 0;

	if (format != NULL && strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return err_set(e, ERR_USAGE, "--log: text or json, not %s", format);
	screen_init(format != NULL && strcmp(format, "json") == 0 ? SCREEN_JSON : SCREEN_TEXT,
		    level);
	return 0;
}

static int dispatch(int argc, char **argv, struct err *e)
{
	struct args a SCOPED(args_release) = {0};
	const struct verb *v;

	if (argc < 2)
		return no_verb(NULL, e);
	v = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? &verb_help
	    : strcmp(argv[1], "--version") == 0                          ? &verb_version
									 : verb_find(argv[1]);
	if (v == NULL)
		return no_verb(argv[1], e);
	if (args_parse(argc - 1, argv + 1, v->opts, &a, e) != 0 || set_up(&a, e) != 0)
		return err_in(e, "%s", v->name);
	if (args_has(&a, "help")) {
		verb_help_print(v);
		return 0;
	}
	if (a.rest.n < v->min || a.rest.n > v->max) {
		(void)err_set(e, ERR_USAGE, "%s takes: %s", v->name,
			      v->args[0] != '\0' ? v->args : "no arguments");
		return err_hint(e, "posmedia %s --help", v->name);
	}
	return v->run(&a, e);
}

/* A file of ours must not become a standard stream that the caller closed: messages would go into
 * it. Opened the wrong way round, so that using it is still an error. */
static void fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(ERR_FAIL);
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;

	fill_standard_streams();
	/* what is large goes back when it is freed: left alone, the C library keeps as much for
	 * itself as the largest that ever was */
	(void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
	(void)umask(022);
	intr_install();
	if (dispatch(argc, argv, &e) == 0 && screen_close(&e) == 0)
		return 0;
	(void)fflush(stdout);
	screen_error(&e);
	return (int)e.kind;
}
