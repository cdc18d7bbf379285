#include "import/script.h"
#include "form/shell.h"
#include "import/parts.h"
#include "sys/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SYNTAX_MS = 10000, SAID_MAX = 8192, NEST_MAX = 3, WRITES_MAX = 32 };

struct spot script_spot(const struct script *s, unsigned line)
{
	struct spot at = s->at;
	unsigned k = line > 0 ? line - 1 : 0;

	if (s->lines == NULL)
		at.line = s->first + k;
	else if (s->lines_n > 0)
		at.line = s->lines[k < s->lines_n ? k : s->lines_n - 1];
	return at;
}

/* ---- the shell's own opinion */

static bool is_shell(const char *interpreter)
{
	const char *slash = strrchr(interpreter, '/');
	const char *name = slash != NULL ? slash + 1 : interpreter;

	return strcmp(name, "sh") == 0 || strcmp(name, "bash") == 0 || strcmp(name, "ksh") == 0 ||
	       strcmp(name, "dash") == 0;
}

/* "bash: line 81: syntax error ...": the number, and the text behind it. */
static unsigned said_line(const char *said, const char **ret_text)
{
	const char *p = strstr(said, ": line ");
	unsigned n = 0;

	*ret_text = said;
	if (p == NULL)
		return 0;
	for (p += 7; *p >= '0' && *p <= '9' && n < 1000000; p++)
		n = n * 10 + (unsigned)(*p - '0');
	*ret_text = p + strspn(p, ": ");
	return n;
}

/* The shell reads and does not run: with limits on what that may cost. */
static void check_syntax(struct script *s)
{
	static const char *const argv[] = {"prlimit", "--as=536870912", "--cpu=5", "--",
					   "bash",    "--norc",         "-n",      NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct proc_spec spec = {.argv = argv,
				       .input = s->data,
				       .input_len = s->n,
				       .err = &said,
				       .timeout_ms = SYNTAX_MS};
	struct proc_result r = {0};
	struct err e = ERR_INIT;
	struct spot at = s->at;
	const char *text;
	unsigned line;

	if (proc_run(&spec, &r, &e) != 0) {
		found(&at, RULE_SCRIPT_SYNTAX, "%s could not be checked: %s", s->name, e.msg);
		return;
	}
	if (r.status == 0 && !r.timed_out)
		return;
	if (r.status < 0) {
		found(&at, RULE_SCRIPT_SYNTAX, "%s is more than a shell reads in 5 seconds",
		      s->name);
		return;
	}
	line = said_line(said.data, &text);
	if (line > 0)
		at = script_spot(s, line);
	found(&at, RULE_SCRIPT_SYNTAX, "%s does not parse: %.*s", s->name, (int)strcspn(text, "\n"),
	      text);
}

/* ---- what any line may have */

struct phrase {
	const char *text;
	enum rule rule;
	const char *what;
};

static const struct phrase phrases[] = {
    {"gpgcheck=0", RULE_SIGNATURE_OFF, "signatures of packages are not checked"},
    {"gpgcheck = 0", RULE_SIGNATURE_OFF, "signatures of packages are not checked"},
    {"--nogpgcheck", RULE_SIGNATURE_OFF, "signatures of packages are not checked"},
    {"--nosignature", RULE_SIGNATURE_OFF, "signatures of packages are not checked"},
    {"--no-gpg-checks", RULE_SIGNATURE_OFF, "signatures of packages are not checked"},
    {"--allow-unauthenticated", RULE_SIGNATURE_OFF, "signatures are not checked"},
    {"--force-yes", RULE_SIGNATURE_OFF, "signatures are not checked"},
    {"trusted=yes", RULE_SIGNATURE_OFF, "signatures of a repository are not checked"},
    {"PRIVATE KEY-----", RULE_PRIVATE_KEY, "a private key"},
    {"NOPASSWD", RULE_SUDO_NOPASSWD, "sudo without a password"},
    {"StrictHostKeyChecking=no", RULE_HOST_KEY_OFF, "any host is believed to be the right one"},
    {"StrictHostKeyChecking no", RULE_HOST_KEY_OFF, "any host is believed to be the right one"},
    {"authorized_keys", RULE_AUTHORIZED_KEYS, "keys that may log in"},
    {"SELINUX=permissive", RULE_SELINUX_OFF, "SELinux is made permissive"},
    {"SELINUX=disabled", RULE_SELINUX_OFF, "SELinux is switched off"},
    {"setenforce 0", RULE_SELINUX_OFF, "SELinux is made permissive"},
    {"--no-check-certificate", RULE_TLS_OFF, "the server's certificate is not checked"},
    {"--insecure", RULE_TLS_OFF, "the server's certificate is not checked"},
    {"sslverify=0", RULE_TLS_OFF, "the server's certificate is not checked"},
    {"sslverify=false", RULE_TLS_OFF, "the server's certificate is not checked"},
    {"baseurl=http://", RULE_HTTP_REPOSITORY, "a repository without TLS"},
    {".rhosts", RULE_RHOSTS, "a file of hosts that need no password"},
};

/* "+ +" as a whole line or in quotes: the contents of such a file. */
static bool all_welcome(const char *line)
{
	const char *p = strstr(line, "+ +");

	return p != NULL && (p == line || strchr(" \t\"'", p[-1]) != NULL) &&
	       (p[3] == '\0' || strchr(" \t\r\"'\\", p[3]) != NULL);
}

static void look_for_hash(const struct spot *at, const char *line)
{
	for (const char *p = strchr(line, '$'); p != NULL; p = strchr(p + 1, '$')) {
		if (!any_hash(p))
			continue;
		found_password(at, "a script", p, true);
		return;
	}
}

static void look_at_line(const struct spot *at, const char *line)
{
	enum rule last = RULES_N;

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].rule == last || strstr(line, phrases[i].text) == NULL)
			continue;
		found(at, phrases[i].rule, "%s", phrases[i].what);
		last = phrases[i].rule;
	}
	if (last != RULE_RHOSTS && all_welcome(line))
		found(at, RULE_RHOSTS, "every host and user is let in");
	look_for_hash(at, line);
}

static void look_at_lines(struct script *s)
{
	unsigned n = 1;

	for (size_t i = 0; i < s->n; n++) {
		size_t len = strcspn(s->data + i, "\n");
		char *line SCOPED(mem_freep) = mem_strndup(s->data + i, len);
		struct spot at = script_spot(s, n);

		if (line[strspn(line, " \t")] != '#')
			look_at_line(&at, line);
		i += len + 1;
	}
}

/* ---- what the shell sees */

static void look_at_heredocs(struct script *s, const struct shell *sh)
{
	for (size_t i = 0; i < sh->heredocs_n; i++) {
		const struct shell_heredoc *h = &sh->heredocs[i];
		struct spot at = script_spot(s, h->line);

		if (h->nested > 0) {
			struct spot in = script_spot(s, h->nested);

			found(&in, RULE_HEREDOC_NESTED,
			      "\"%s\" opens again in what line %u opened with it", h->marker,
			      at.line);
		}
		if (!h->closed)
			found(&at, RULE_HEREDOC_OPEN, "\"%s\" is never closed", h->marker);
		if (h->expands > 0) {
			struct spot in = script_spot(s, h->expands);

			found(&in, RULE_HEREDOC_EXPANDS,
			      "what \"%s\" of line %u holds is expanded while the image is built",
			      h->marker, at.line);
		}
	}
	for (size_t i = 0; i < sh->continued_n; i++) {
		struct spot at = script_spot(s, sh->continued[i]);

		found(&at, RULE_CONTINUED_COMMENT,
		      "the comment ends in a backslash, which continues nothing: the next line "
		      "is run");
	}
}

static void look(struct script *s, unsigned deep);

/* What is written by here-documents are often scripts for later. */
static void look_into(struct script *s, const struct shell *sh, unsigned deep)
{
	for (size_t i = 0; i < sh->heredocs_n; i++) {
		const struct shell_heredoc *h = &sh->heredocs[i];
		char *body SCOPED(mem_freep) = mem_strndup(s->data + h->from, h->to - h->from);
		struct script in = *s;

		in.data = body;
		in.n = h->to - h->from;
		if (s->lines == NULL)
			in.first = s->first + h->body - 1;
		else
			in.lines = s->lines + (h->body - 1 < s->lines_n ? h->body - 1 : s->lines_n);
		if (s->lines != NULL)
			in.lines_n = s->lines_n - (size_t)(in.lines - s->lines);
		look(&in, deep + 1);
		s->media = in.media;
	}
}

static void look(struct script *s, unsigned deep)
{
	struct shell sh SCOPED(shell_release) = {0};

	shell_read(s->data, s->n, &sh);
	/* a body that an inner marker has cut short would be told of twice */
	if (deep == 0)
		look_at_heredocs(s, &sh);
	for (size_t i = 0; i < sh.commands_n; i++)
		command_look(s, &sh, i);
	if (deep < NEST_MAX)
		look_into(s, &sh, deep);
}

void script_look(struct script *s)
{
	if (is_shell(s->interpreter)) {
		check_syntax(s);
		look(s, 0);
	}
	look_at_lines(s);
}

void script_look_kept(struct script *s)
{
	if (is_shell(s->interpreter))
		check_syntax(s);
	look_at_lines(s);
}

/* ---- the step */

/* The top directory that a path begins with, as it is without the old links; false for those that
 * no step has to name. */
static bool top_of(const char *p, char *ret)
{
	static const char *const not [] = {"dev", "proc",  "sys", "tmp",
					   "run", "media", "mnt", NULL};
	static const char *const usr[] = {"bin", "sbin", "lib", "lib32", "lib64", NULL};
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (n == 0 || n > 32 || (p[n] != '\0' && strchr("/ \t\n\"');|&>", p[n]) == NULL))
		return false;
	memcpy(ret, p, n);
	ret[n] = '\0';
	for (const char *const *d = not ; *d != NULL; d++)
		if (strcmp(*d, ret) == 0)
			return false;
	for (const char *const *d = usr; *d != NULL; d++)
		if (strcmp(*d, ret) == 0)
			memcpy(ret, "usr", 4);
	return true;
}

/* Where the script may write: where systems keep what they are, and what the script names. */
static void writes_of(const struct script *s, struct strv *ret)
{
	char top[40];

	strv_add(ret, "/etc");
	strv_add(ret, "/usr");
	strv_add(ret, "/var");
	for (size_t i = 0; i + 1 < s->n && ret->n < WRITES_MAX; i++) {
		char *path SCOPED(mem_freep) = NULL;

		if (s->data[i] != '/' || (i > 0 && strchr(" \t\n\"=><(", s->data[i - 1]) == NULL))
			continue;
		if (!top_of(s->data + i + 1, top))
			continue;
		path = mem_format("/%s", top);
		if (!strv_has(ret, path))
			strv_take(ret, STEAL(path));
	}
	strv_sort(ret);
}

static void add_medium(struct script *s, const char *file)
{
	struct import *im = s->at.im;
	char *path SCOPED(mem_freep) = draft_path(im, file);
	struct digest d = digest_of(s->data, s->n);

	map_put(&im->media, s->name, im);
	strv_addf(&im->d.media, "%s:\nurl: %s\nsha256: %s\nsize: %zu", s->name, path,
		  digest_hex(&d).s, s->n);
}

void script_step(struct script *s, const struct strv *options)
{
	struct import *im = s->at.im;
	char *file SCOPED(mem_freep) = mem_format("%s.sh", s->name);
	char *run SCOPED(mem_freep) = NULL, *writes SCOPED(mem_freep) = NULL;
	struct buf mounts SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct strv argv = {0}, dirs = {0};

	draft_file(im, file, s->data, s->n, 0644);
	add_medium(s, file);
	strv_add(&argv, s->interpreter);
	if (options != NULL)
		strv_extend(&argv, options);
	strv_addf(&argv, "/media/%s/%s", s->name, file);
	writes_of(s, &dirs);
	buf_addf(&mounts, "%s: /media/%s", s->name, s->name);
	strv_sort(&s->media);
	strv_uniq(&s->media);
	for (size_t i = 0; i < s->media.n; i++)
		buf_addf(&mounts, ", %s: /media/%s", s->media.v[i], s->media.v[i]);
	run = yaml_flow(&argv);
	writes = yaml_flow(&dirs);
	strv_addf(&im->d.steps, "name: %s\n# %s:%u\nmount: {%s}\nrun: %s\nwrites: %s", s->name,
		  s->at.src->name, s->at.line, mounts.data, run, writes);
	found(&s->at, RULE_STEP_WRITES, "the step %s may write to %s", s->name, writes);
	strv_release(&argv);
	strv_release(&dirs);
}
