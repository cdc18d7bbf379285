#include "shim/unit.h"

#include "base/buf.h"
#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, NAME_LONGEST = 255 };

static const char *const directories[] = {"etc/systemd/system", "run/systemd/system",
					  "usr/local/lib/systemd/system", "usr/lib/systemd/system",
					  "lib/systemd/system"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int unit_name(const char *text, char **ret, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789:-_.\\@";
	size_t n = strlen(text);

	if (n > 8 && strcmp(text + n - 8, ".service") == 0)
		n -= 8;
	if (n == 0 || n > NAME_LONGEST || strspn(text, allowed) < n || text[0] == '.')
		return err_set(e, ERR_USAGE, "%.200s is not the name of a service", text);
	*ret = mem_strndup(text, n);
	return 0;
}

void unit_free(struct unit *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < UNIT_EXECS; i++)
		strv_release(&u->exec[i]);
	strv_release(&u->env);
	strv_release(&u->env_files);
	strv_release(&u->runtime_dirs);
	strv_release(&u->state_dirs);
	strv_release(&u->cache_dirs);
	strv_release(&u->logs_dirs);
	strv_release(&u->needs);
	strv_release(&u->wants);
	strv_release(&u->after);
	free(u->name);
	free(u->description);
	free(u->user);
	free(u->group);
	free(u->workdir);
	free(u->pid_file);
	free(u);
}

void unit_freep(struct unit **u)
{
	unit_free(*u);
	*u = NULL;
}

static void set_text(struct unit *u, char **to, const char *value)
{
	free(*to);
	*to = value[0] != '\0' ? unit_expand(u, value) : NULL;
}

/* Words with blanks between them, quotes taken off, specifiers replaced; nothing empties the list.
 */
static void add_words(struct unit *u, struct strv *to, const char *value)
{
	static const struct strv none;
	struct unit_command c = {0};
	struct err quiet = ERR_INIT;

	if (value[0] == '\0')
		strv_release(to);
	/* "-" would be taken for a prefix of a command */
	else if (unit_command(u, value, &none, &c, &quiet) == 0)
		strv_extend(to, &c.argv);
	unit_command_release(&c);
}

static void add_line(struct strv *to, const char *value)
{
	if (value[0] == '\0')
		strv_release(to);
	else
		strv_add(to, value);
}

static bool yes(const char *value)
{
	return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
	       strcmp(value, "on") == 0;
}

static enum unit_type type_of(const char *value)
{
	if (strcmp(value, "forking") == 0)
		return UNIT_FORKING;
	if (strcmp(value, "oneshot") == 0)
		return UNIT_ONESHOT;
	return strncmp(value, "notify", 6) == 0 ? UNIT_NOTIFY : UNIT_SIMPLE;
}

static unsigned octal(const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 8);

	return end != value && *end == '\0' && v <= 07777 ? (unsigned)v : 0755;
}

static uint64_t span_ms(const char *value)
{
	uint64_t v;

	if (num_u64(value, 86400, &v) == 0)
		return v * 1000;
	return num_duration_ms(value, &v) == 0 ? v : 0;
}

static bool set_exec(struct unit *u, const char *key, const char *value)
{
	static const char *const keys[UNIT_EXECS] = {"ExecStartPre", "ExecStart", "ExecStartPost",
						     "ExecReload",   "ExecStop",  "ExecStopPost"};

	for (size_t i = 0; i < UNIT_EXECS; i++)
		if (strcmp(key, keys[i]) == 0) {
			add_line(&u->exec[i], value);
			return true;
		}
	return false;
}

static bool set_list(struct unit *u, const char *key, const char *value)
{
	const struct {
		const char *key;
		struct strv *to;
	} lists[] = {{"Environment", &u->env},
		     {"RuntimeDirectory", &u->runtime_dirs},
		     {"StateDirectory", &u->state_dirs},
		     {"CacheDirectory", &u->cache_dirs},
		     {"LogsDirectory", &u->logs_dirs}};

	for (size_t i = 0; i < COUNT(lists); i++)
		if (strcmp(key, lists[i].key) == 0) {
			add_words(u, lists[i].to, value);
			return true;
		}
	if (strcmp(key, "EnvironmentFile") != 0)
		return false;
	add_line(&u->env_files, value);
	return true;
}

static void set_service(struct unit *u, const char *key, const char *value)
{
	const struct {
		const char *key;
		char **to;
	} texts[] = {{"User", &u->user},
		     {"Group", &u->group},
		     {"WorkingDirectory", &u->workdir},
		     {"PIDFile", &u->pid_file}};

	if (set_exec(u, key, value) || set_list(u, key, value))
		return;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (strcmp(key, texts[i].key) == 0)
			set_text(u, texts[i].to, value);
	if (strcmp(key, "Type") == 0)
		u->type = type_of(value);
	else if (strcmp(key, "RemainAfterExit") == 0)
		u->remains = yes(value);
	else if (strcmp(key, "RuntimeDirectoryMode") == 0)
		u->runtime_mode = octal(value);
	else if (strcmp(key, "TimeoutStartSec") == 0 || strcmp(key, "TimeoutSec") == 0)
		u->start_ms = span_ms(value);
}

static char *strip(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t')
		s++;
	for (n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]) != NULL; n--)
		s[n - 1] = '\0';
	return s;
}

static void set_unit(struct unit *u, const char *key, const char *value)
{
	if (strcmp(key, "Description") == 0)
		set_text(u, &u->description, value);
	else if (strcmp(key, "Requires") == 0 || strcmp(key, "BindsTo") == 0)
		add_words(u, &u->needs, value);
	else if (strcmp(key, "Wants") == 0)
		add_words(u, &u->wants, value);
	else if (strcmp(key, "After") == 0)
		add_words(u, &u->after, value);
}

static void set_line(struct unit *u, const char *section, char *line)
{
	char *equals = strchr(line, '=');
	const char *key, *value;

	if (equals == NULL)
		return;
	*equals = '\0';
	key = strip(line);
	value = strip(equals + 1);
	if (strcmp(section, "[Service]") == 0)
		set_service(u, key, value);
	else if (strcmp(section, "[Unit]") == 0)
		set_unit(u, key, value);
}

/* The next line, those that end with a backslash joined by a blank; comments within are dropped. */
static bool next_line(char **at, struct buf *line)
{
	buf_cut(line, 0);
	while (*at != NULL) {
		char *text = strsep(at, "\n"), *plain = strip(text);
		size_t n = strlen(plain);

		if (plain[0] == '#' || plain[0] == ';')
			continue;
		if (n == 0 || plain[n - 1] != '\\') {
			buf_add(line, plain, n);
			return true;
		}
		buf_add(line, plain, n - 1);
		buf_add(line, " ", 1);
	}
	return line->len > 0;
}

void unit_parse(struct unit *u, const char *text)
{
	char *copy SCOPED(mem_freep) = mem_strdup(text), *at = copy;
	struct buf line SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	char *section SCOPED(mem_freep) = mem_strdup("");

	while (next_line(&at, &line)) {
		if (line.data[0] == '[') {
			free(section);
			section = mem_strdup(line.data);
		} else if (line.len > 0) {
			set_line(u, section, line.data);
		}
	}
}

/* A file of the tree, with its links followed inside it. Returns whether it is there; one that
 * hides the unit (a link to /dev/null, or empty) is there with no text. */
static bool get(int root, const char *path, struct buf *ret)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (fs_open_in_root(root, path, O_RDONLY | O_NONBLOCK, &fd, &quiet) != 0 ||
	    fstat(fd, &st) != 0)
		return false;
	if (S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < TEXT_MAX) {
		char *text SCOPED(mem_freep) = mem_zalloc((size_t)st.st_size + 1);

		if (fs_read_all(fd, text, (size_t)st.st_size, &quiet) == 0)
			buf_addf(ret, "%s", text);
	}
	return true;
}

/* "foo@bar" is an instance of "foo@": the caller owns it; NULL for others. */
static char *template_of(const char *name)
{
	const char *mark = strchr(name, '@');

	return mark != NULL && mark[1] != '\0' ? mem_strndup(name, (size_t)(mark - name) + 1)
					       : NULL;
}

static bool find(int root, const char *name, struct buf *text)
{
	char *base SCOPED(mem_freep) = template_of(name);

	for (size_t i = 0; i < COUNT(directories); i++) {
		char *path SCOPED(mem_freep) = mem_format("/%s/%s.service", directories[i], name);

		if (get(root, path, text))
			return true;
	}
	return base != NULL && find(root, base, text);
}

/* Drop-ins by name, whichever directory they are in; of one name the first directory's. */
static void drop_ins(int root, const char *name, struct unit *u)
{
	struct strv names SCOPED(strv_release) = {0};

	for (size_t i = 0; i < COUNT(directories); i++) {
		char *dir SCOPED(mem_freep) = mem_format("%s/%s.service.d", directories[i], name);
		struct err quiet = ERR_INIT;

		(void)!fs_list(root, dir, &names, &quiet);
	}
	strv_sort(&names);
	strv_uniq(&names);
	for (size_t k = 0; k < names.n; k++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		size_t n = strlen(names.v[k]);

		if (n < 6 || strcmp(names.v[k] + n - 5, ".conf") != 0)
			continue;
		for (size_t i = 0; i < COUNT(directories); i++) {
			char *path SCOPED(mem_freep) =
			    mem_format("/%s/%s.service.d/%s", directories[i], name, names.v[k]);

			if (get(root, path, &text))
				break;
		}
		unit_parse(u, text.data);
	}
}

/* A service of before systemd: its script starts daemons and stops them. */
static bool find_script(int root, const char *name, struct unit *u)
{
	char *script SCOPED(mem_freep) = mem_format("/etc/init.d/%s", name);
	char *real SCOPED(mem_freep) = mem_format("/run/posmedia-shim/real/init.d/%s", name);
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;
	const char *path = faccessat(root, real + 1, X_OK, 0) == 0 ? real : script;

	if (fs_open_in_root(root, script, O_PATH, &fd, &quiet) != 0)
		return false;
	u->type = UNIT_FORKING;
	u->remains = true;
	strv_addf(&u->exec[UNIT_START], "%s start", path);
	strv_addf(&u->exec[UNIT_STOP], "%s stop", path);
	strv_addf(&u->exec[UNIT_RELOAD], "%s reload", path);
	return true;
}

static int load(int root, struct unit *u, bool *ret_found, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
	char *base SCOPED(mem_freep) = template_of(u->name);

	*ret_found = find(root, u->name, &text);
	if (!*ret_found) {
		*ret_found = find_script(root, u->name, u);
		return 0;
	}
	if (text.len == 0)
		return err_set(e, ERR_FAIL, "%s.service is masked", u->name);
	unit_parse(u, text.data);
	if (base != NULL)
		drop_ins(root, base, u);
	drop_ins(root, u->name, u);
	if (u->exec[UNIT_START].n == 0)
		return err_set(e, ERR_FAIL, "%s.service has no ExecStart", u->name);
	return 0;
}

int unit_load(const char *root, const char *name, struct unit **ret, struct err *e)
{
	struct unit *u SCOPED(unit_freep) = mem_zalloc(sizeof(*u));
	int fd SCOPED(fd_closep) = -1;
	bool found = false;

	u->name = mem_strdup(name);
	u->runtime_mode = 0755;
	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0 || load(fd, u, &found, e) != 0)
		return -1;
	*ret = found ? STEAL(u) : NULL;
	return 0;
}
