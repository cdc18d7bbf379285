/* pam_run.c - what a stack of authentication comes to when nobody has proven anything: libpam's
 * ways through it (pam.conf(5)), with every answer that a module may give then. All states that a
 * line can be reached in are kept, so that the work grows with the lines and not with the ways. */
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

/* The one that says no, whoever asks. */
static const char *const never[] = {"pam_deny.so"};

/* What a module answers; the ones with names of their own first. */
static const char *const answers[] = {"success",
				      "new_authtok_reqd",
				      "ignore",
				      "auth_err",
				      "abort",
				      "acct_expired",
				      "authinfo_unavail",
				      "authtok_disable_aging",
				      "authtok_err",
				      "authtok_expired",
				      "authtok_lock_busy",
				      "authtok_recover_err",
				      "bad_item",
				      "buf_err",
				      "conv_again",
				      "conv_err",
				      "cred_err",
				      "cred_expired",
				      "cred_insufficient",
				      "cred_unavail",
				      "incomplete",
				      "maxtries",
				      "module_unknown",
				      "no_module_data",
				      "open_err",
				      "perm_denied",
				      "service_err",
				      "session_err",
				      "symbol_err",
				      "system_err",
				      "try_again",
				      "user_unknown"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SUCCESS, NEW_AUTHTOK_REQD, IGNORED, AUTH_ERR, ANSWERS = COUNT(answers) };

/* What comes of an answer; above 0 it jumps over so many lines. */
enum { IGNORE, OK = -1, DONE = -2, BAD = -3, DIE = -4, RESET = -5, UNSET = -6 };

enum { JUMP_MAX = 4000 };

/* What is known so far; "positive" is what lets in when it lasts to the end. */
enum state { UNDEF, POSITIVE, NEGATIVE, STATES };

/* By the state in which a stack was entered: the states that are possible now, as bits. */
struct reach {
	unsigned char of[STATES];
};

static bool is_of(const char *const *list, size_t n, const struct pam_line *l)
{
	const char *slash = strrchr(l->module, '/');
	const char *name = slash == NULL ? l->module : slash + 1;

	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

bool pam_asks_nothing(const struct pam_line *l)
{
	return is_of(always, COUNT(always), l) || is_of(neutral, COUNT(neutral), l) ||
	       is_of(never, COUNT(never), l);
}

/* pam_sss(8): a user or a server that is not there is no error then */
static bool may_ignore(const struct pam_line *l)
{
	for (size_t i = 0; i < l->args.n; i++)
		if (strncmp(l->args.v[i], "ignore_", 7) == 0)
			return true;
	return false;
}

/* Whether the module may say so to who has proven nothing; one that is not known may be what asks
 * for the proof. */
static bool may_answer(const struct pam_line *l, size_t answer)
{
	if (is_of(always, COUNT(always), l))
		return answer == SUCCESS;
	if (is_of(never, COUNT(never), l))
		return answer == AUTH_ERR;
	return is_of(neutral, COUNT(neutral), l) ||
	       (answer != SUCCESS && answer != NEW_AUTHTOK_REQD &&
		(answer != IGNORED || may_ignore(l)));
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

static int read_action(const char *text, int *ret)
{
	static const char *const words[] = {"ignore", "ok", "done", "bad", "die", "reset"};
	uint64_t jump;

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcasecmp(words[i], text) == 0) {
			*ret = -(int)i;
			return 0;
		}
	if (num_u64(text, JUMP_MAX, &jump) != 0)
		return -1;
	*ret = (int)jump;
	return 0;
}

static void fill(int actions[ANSWERS], int action)
{
	for (size_t i = 0; i < ANSWERS; i++)
		if (actions[i] == UNSET)
			actions[i] = action;
}

/* One VALUE=ACTION; "default" is for what has none yet. */
static int take_action(int actions[ANSWERS], const char *value, const char *text)
{
	int action;

	if (read_action(text, &action) != 0)
		return -1;
	if (strcasecmp(value, "default") == 0) {
		fill(actions, action);
		return 0;
	}
	for (size_t i = 0; i < ANSWERS; i++)
		if (strcasecmp(answers[i], value) == 0) {
			actions[i] = action;
			return 0;
		}
	return -1;
}

/* What the line's control says of each answer; -1 for what this cannot read. */
static int read_control(const struct pam_line *l, int actions[ANSWERS])
{
	static const struct {
		const char *word, *control;
	} words[] = {
	    {"required", "[success=ok new_authtok_reqd=ok ignore=ignore default=bad]"},
	    {"requisite", "[success=ok new_authtok_reqd=ok ignore=ignore default=die]"},
	    {"sufficient", "[success=done new_authtok_reqd=done default=ignore]"},
	    {"optional", "[success=ok new_authtok_reqd=ok default=ignore]"},
	};
	const char *p = l->control;
	char *value = NULL, *action = NULL;
	bool bracket;
	int rc = 0;

	for (size_t i = 0; i < COUNT(words); i++)
		if (strcasecmp(words[i].word, l->control) == 0)
			p = words[i].control;
	bracket = *p == '[';
	for (size_t i = 0; i < ANSWERS; i++)
		actions[i] = UNSET;
	while (rc == 0 && bracket && pam_action(&p, &value, &action)) {
		rc = take_action(actions, value, action);
		free(value);
		free(action);
	}
	fill(actions, BAD);
	return rc;
}

/* The state after an action; `left` lines of its stack follow. */
static enum state becomes(int action, bool success, enum state entry, enum state now, size_t left)
{
	switch (action) {
	case RESET:
		return entry;
	case OK:
	case DONE:
		/* "ok" of an answer that is no success makes that the stack's answer */
		return now == NEGATIVE || !success ? NEGATIVE : POSITIVE;
	case BAD:
	case DIE:
		return NEGATIVE;
	case IGNORE:
		return now;
	default:
		return (size_t)action > left ? NEGATIVE : now;
	}
}

/* From element k of n to where the action leads. */
static void move(struct reach *at, size_t k, size_t n, int action, bool success)
{
	for (unsigned entry = 0; entry < STATES; entry++)
		for (unsigned now = 0; now < STATES; now++) {
			size_t left = n - k - 1, to = k + 1;
			enum state then;

			if ((at[k].of[entry] & 1U << now) == 0)
				continue;
			then = becomes(action, success, entry, now, left);
			if (action > 0)
				to += (size_t)action > left ? left : (size_t)action;
			if (action == DIE || (action == DONE && then == POSITIVE))
				to = n;
			at[to].of[entry] |= (unsigned char)(1U << then);
		}
}

static void run_line(const struct pam_line *l, struct reach *at, size_t k, size_t n)
{
	int actions[ANSWERS];

	/* libpam may read it in another way: the worst of them */
	if (read_control(l, actions) != 0) {
		move(at, k, n, DONE, true);
		return;
	}
	for (size_t i = 0; i < ANSWERS; i++)
		if (may_answer(l, i))
			move(at, k, n, actions[i], i == SUCCESS);
}

/* What has become of the states before a substack behind it. */
static void pass(const struct reach *before, const struct reach *sub, struct reach *ret)
{
	for (unsigned entry = 0; entry < STATES; entry++)
		for (unsigned now = 0; now < STATES; now++)
			if ((before->of[entry] & 1U << now) != 0)
				ret->of[entry] |= sub->of[now];
}

/* The lines from..to are a stack of that level with its substacks, each of which is one for a jump,
 * and where what decides ends no more than itself. */
static struct reach run(const struct pam_line *const *v, size_t from, size_t to, unsigned level)
{
	size_t *own = mem_zalloc((to - from + 1) * sizeof(*own)), n = 0;
	struct reach *at, ret;

	for (size_t i = from; i < to; i++)
		if (v[i]->level == level)
			own[n++] = i;
	own[n] = to;
	at = mem_zalloc((n + 1) * sizeof(*at));
	for (unsigned s = 0; s < STATES; s++)
		at[0].of[s] = (unsigned char)(1U << s);
	for (size_t k = 0; k < n; k++) {
		if (strcasecmp(v[own[k]]->control, "substack") == 0) {
			struct reach sub = run(v, own[k] + 1, own[k + 1], level + 1);

			pass(&at[k], &sub, &at[k + 1]);
			continue;
		}
		run_line(v[own[k]], at, k, n);
	}
	ret = at[n];
	free(own);
	free(at);
	return ret;
}

bool pam_lets_in(const struct pam_stack *s)
{
	const struct pam_line **v = mem_zalloc((s->n + 1) * sizeof(*v));
	size_t n = 0;
	struct reach end;

	for (size_t i = 0; i < s->n; i++)
		if (strcasecmp(s->v[i].type, "auth") == 0)
			v[n++] = &s->v[i];
	end = run(v, 0, n, 0);
	free(v);
	return (end.of[UNDEF] & 1U << POSITIVE) != 0;
}
