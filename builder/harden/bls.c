#include "harden/bls.h"

#include "harden/lines.h"
#include <string.h>

/* The kernel takes no more. */
enum { ARGS_MAX = 4096 };

int bls_env(int rootfd, struct strv *ret, struct err *e)
{
	struct strv paths SCOPED(strv_release) = {0};

	if (root_glob(rootfd, "boot/grub2/grubenv", &paths, e) != 0 ||
	    root_glob(rootfd, "boot/efi/EFI/*/grubenv", &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (lines_read(rootfd, paths.v[i], ret, NULL, e) != 0)
			return -1;
	return 0;
}

const char *bls_options(const char *line)
{
	size_t n = strlen("options");

	line += strspn(line, " \t");
	if (strncmp(line, "options", n) != 0 || (line[n] != ' ' && line[n] != '\t'))
		return NULL;
	return line + n;
}

static const char *value_of(const struct strv *env, const char *name, size_t n)
{
	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return "";
}

static void expand(const char *s, const struct strv *env, struct buf *out)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	while (*s != '\0') {
		size_t n = strcspn(s, "$"), braced;

		buf_add(out, s, n);
		s += n;
		if (*s == '\0')
			break;
		braced = s[1] == '{' ? 1 : 0;
		s += 1 + braced;
		n = strspn(s, letters);
		buf_addf(out, "%s", n == 0 ? "" : value_of(env, s, n));
		s += n;
		s += braced == 1 && *s == '}' ? 1 : 0;
	}
}

int bls_args(const struct strv *lines, const struct strv *env, char **ret, struct err *e)
{
	struct buf all SCOPED(buf_release) = BUF_INIT(ARGS_MAX);

	for (size_t i = 0; i < lines->n; i++) {
		const char *options = bls_options(lines->v[i]);

		if (options == NULL)
			continue;
		buf_addf(&all, " ");
		expand(options, env, &all);
	}
	if (buf_over(&all))
		return err_set(e, ERR_FAIL, "more than %d bytes of arguments", ARGS_MAX);
	*ret = all.len == 0 ? mem_strdup("") : buf_take(&all);
	return 0;
}
