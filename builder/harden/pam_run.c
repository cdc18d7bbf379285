/* pam_run.c - what a stack of authentication comes to when nobody has proven anything: libpam's
 * way through it (pam.conf(5)), with an answer for each module that needs no module to be run. */
#include "harden/pam.h"

#include "base/num.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Modules that say yes, whoever asks. */
static const char *const always[] = {"pam_permit.so"};

/* Modules that ask for no proof: of the time, the terminal, the account, or of nothing. */
static const char *const neutral[] = {
    "pam_access.so",   "pam_cap.so",       "pam_echo.so",     "pam_env.so",
    "pam_exec.so",     "pam_faildelay.so", "pam_faillock.so", "pam_group.so",
    "pam_issue.so",    "pam_keyinit.so",   "pam_lastlog.so",  "pam_limits.so",
    "pam_listfile.so", "pam_localuser.so", "pam_mail.so",     "pam_motd.so",
    "pam_nologin.so",  "pam_securetty.so", "pam_shells.so",   "pam_succeed_if.so",
    "pam_time.so",     "pam_umask.so",     "pam_usertype.so", "pam_warn.so",
    "pam_wheel.so"};

enum { JUMP_MAX = 4000 };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool is_of(const char *const *list, size_t n, const struct pam_line *l)
{
	const char *slash = strrchr(l->module, '/');
	const char *name = slash == NULL ? l->module : slash + 1;

	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Whether the module succeeds; one that is not known may be what asks for the proof. */
static bool succeeds(const struct pam_line *l, bool neutral_say)
{
	if (is_of(always, COUNT(always), l))
		return true;
	return is_of(neutral, COUNT(neutral), l) && neutral_say && !strv_has(&l->args, "authfail");
}

bool pam_action(const char **p, char **ret_value, char **ret_action)
{
	static const char blanks[] = " \t[]";
	const char *s = *p + strspn(*p, blanks);
	size_t n = strcspn(s, " \t=]");

	if (n == 0)
		return false;
	*ret_value = mem_strndup(s, n);
	s += n;
	s += strspn(s, " \t=");
	n = strcspn(s, blanks);
	*ret_action = mem_strndup(s, n);
	*p = s + n;
	return true;
}

/* What [VALUE=ACTION ...] says of an answer, "default" for what is not named; the caller owns it.
 */
static char *bracket_action(const char *control, const char *answer)
{
	char *value = NULL, *action = NULL, *named = NULL, *otherwise = NULL;

	for (const char *p = control; pam_action(&p, &value, &action);) {
		char **to = strcasecmp(value, answer) == 0      ? &named
			    : strcasecmp(value, "default") == 0 ? &otherwise
								: NULL;

		free(value);
		if (to == NULL) {
			free(action);
			continue;
		}
		free(*to);
		*to = action;
	}
	if (named == NULL)
		return otherwise != NULL ? otherwise : mem_strdup("bad");
	free(otherwise);
	return named;
}

/* What comes of the line; the caller owns it. */
static char *line_action(const struct pam_line *l, bool success)
{
	static const struct {
		const char *control, *yes, *no;
	} words[] = {{"required", "ok", "bad"},
		     {"requisite", "ok", "die"},
		     {"sufficient", "done", "ignore"},
		     {"optional", "ok", "ignore"}};

	if (l->control[0] == '[')
		return bracket_action(l->control, success ? "success" : "auth_err");
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcasecmp(words[i].control, l->control) == 0)
			return mem_strdup(success ? words[i].yes : words[i].no);
	return mem_strdup("bad");
}

/* Once refused, nothing lets in; what ignores everything lets nobody in either. */
static bool passes(const struct pam_line *const *v, size_t n, bool neutral_say)
{
	bool in = false;

	for (size_t i = 0; i < n; i++) {
		bool success = succeeds(v[i], neutral_say);
		char *action SCOPED(mem_freep) = line_action(v[i], success);
		uint64_t jump = 0;

		if (num_u64(action, JUMP_MAX, &jump) == 0) {
			i += jump;
			continue;
		}
		if (strcasecmp(action, "bad") == 0 || strcasecmp(action, "die") == 0)
			return false;
		if (strcasecmp(action, "reset") == 0)
			in = false;
		if (strcasecmp(action, "ok") == 0 || strcasecmp(action, "done") == 0) {
			/* "ok" of an answer that is no success makes that the stack's answer */
			if (!success)
				return false;
			in = true;
		}
		if (strcasecmp(action, "done") == 0)
			break;
	}
	return in;
}

bool pam_lets_in(const struct pam_stack *s)
{
	const struct pam_line **v = mem_zalloc((s->n + 1) * sizeof(*v));
	size_t n = 0;
	bool in;

	for (size_t i = 0; i < s->n; i++)
		if (strcasecmp(s->v[i].type, "auth") == 0)
			v[n++] = &s->v[i];
	in = passes(v, n, true) || passes(v, n, false);
	free(v);
	return in;
}
