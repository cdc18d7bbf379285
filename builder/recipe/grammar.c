#include "recipe/grammar.h"

#include "base/num.h"
#include "form/ref.h"
#include "form/url.h"
#include "sys/fs.h"
#include <arpa/inet.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define ALNUM LOWER UPPER DIGIT

bool grammar_path_ok(const char *s)
{
	return s[0] == '/' && strlen(s) < 4096 && (s[1] == '\0' || fs_relative_ok(s + 1));
}

static bool one_line(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static bool image_path(const char *s)
{
	return grammar_path_ok(s) && one_line(s);
}

/* Relative to the project, or absolute; never "..", so that an input is where it says. */
static bool project_path(const char *s)
{
	return one_line(s) && (s[0] == '/' ? grammar_path_ok(s) : fs_relative_ok(s));
}

/* Of an image in a registry: its manifest, of which a blob is a part. */
static bool registry_url(const char *s)
{
	struct ref r SCOPED(ref_release) = {0};
	struct err quiet = ERR_INIT;

	return ref_parse(s, &r, &quiet) == 0 && r.kind == REF_DOCKER && r.has_digest;
}

static bool media_url(const char *s)
{
	if (strstr(s, "://") == NULL)
		return project_path(s);
	return grammar_ok(&grammar_url, s) || registry_url(s);
}

/* A path in an archive. */
static bool inside(const char *s)
{
	return one_line(s) && fs_relative_ok(s);
}

static bool file_name(const char *s)
{
	return inside(s) && strchr(s, '/') == NULL;
}

/* Labels of 1 to 63 bytes: RFC 1123, 2.1. */
static bool hostname(const char *s)
{
	while (true) {
		size_t n = strcspn(s, ".");

		if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

/* An IPv4 address and the bits of its network. */
static bool address(const char *s)
{
	const char *slash = strchr(s, '/');
	char *host SCOPED(mem_freep) = mem_strndup(s, slash == NULL ? 0 : (size_t)(slash - s));
	struct in_addr in;
	uint64_t bits;

	return slash != NULL && num_u64(slash + 1, 30, &bits) == 0 && bits >= 8 &&
	       inet_pton(AF_INET, host, &in) == 1;
}

/* "openssl 3.0.15-1" */
static bool source(const char *s)
{
	const char *blank = strchr(s, ' ');
	char *name SCOPED(mem_freep) = mem_strndup(s, blank == NULL ? 0 : (size_t)(blank - s));

	return blank != NULL && grammar_ok(&grammar_locked_package, name) &&
	       grammar_ok(&grammar_locked_version, blank + 1);
}

/* A package, or package:arch where two architectures are installed. */
static bool package_arch(const char *s)
{
	const char *colon = strchr(s, ':');
	char *name SCOPED(mem_freep) =
	    mem_strndup(s, colon == NULL ? strlen(s) : (size_t)(colon - s));

	return grammar_ok(&grammar_locked_package, name) &&
	       (colon == NULL || grammar_ok(&grammar_locked_arch, colon + 1));
}

static bool gecos(const char *s)
{
	return one_line(s) && strchr(s, ':') == NULL;
}

static bool not_one_letter(const char *s)
{
	return s[1] != '\0';
}

static bool not_dots(const char *s)
{
	return strstr(s, "..") == NULL;
}

static bool leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* YYYY-MM-DD, a day of the calendar (RFC 3339, full-date). */
static bool date(const char *s)
{
	static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned v[3] = {0, 0, 0};
	unsigned field = 0, last;

	if (strlen(s) != 10)
		return false;
	for (unsigned i = 0; i < 10; i++) {
		bool dash = i == 4 || i == 7;

		if (dash != (s[i] == '-'))
			return false;
		if (dash)
			field++;
		else
			v[field] = v[field] * 10 + (unsigned)(s[i] - '0');
	}
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12)
		return false;
	last = days[v[1] - 1] + (v[1] == 2 && leap(v[0]) ? 1 : 0);
	return v[2] >= 1 && v[2] <= last;
}

/* "system", or an http, https or file URL of a host or path, without user, query or fragment. */
static bool mirror(const char *s)
{
	static const char *const schemes[] = {"http://", "https://", "file:///"};

	if (strcmp(s, "system") == 0)
		return true;
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(schemes[i]);

		if (strncmp(s, schemes[i], n) == 0)
			return s[n] != '\0' && s[n] != '/' && strstr(s, "..") == NULL;
	}
	return false;
}

static bool repo_url(const char *s)
{
	return strstr(s, "://") != NULL ? mirror(s) : strchr(s, ':') == NULL && fs_relative_ok(s);
}

/* "system", or such a URL with a place for the time. */
static bool snapshot(const char *s)
{
	static const char *const places[] = {"{time}", "{date}", "{day}"};
	const char *at = strchr(s, '{');

	if (!mirror(s) || at == NULL || strpbrk(at + 1, "{") != NULL)
		return mirror(s) && strcmp(s, "system") == 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(at, places[i], strlen(places[i])) == 0)
			return strchr(at + strlen(places[i]), '}') == NULL;
	return false;
}

/* What a lock has been told of: a mirror, or snapshots. */
static bool locked_mirror(const char *s)
{
	return strchr(s, '{') == NULL ? mirror(s) : snapshot(s);
}

static bool web_url(const char *s)
{
	return strncmp(s, "http", 4) == 0 && mirror(s);
}

static bool pocket(const char *s)
{
	return strcmp(s, "updates") == 0 || strcmp(s, "security") == 0 ||
	       strcmp(s, "backports") == 0;
}

/* SIGTERM, SIGRTMIN+3 or a number from 1 to 64 (signal(7)). */
static bool signal_name(const char *s)
{
	uint64_t n;
	size_t name = 3 + strspn(s + (strlen(s) < 3 ? strlen(s) : 3), UPPER DIGIT);

	if (num_u64(s, 64, &n) == 0)
		return n > 0;
	if (strncmp(s, "SIG", 3) != 0 || name == 3)
		return false;
	if (s[name] == '\0')
		return true;
	return strncmp(s, "SIGRTM", 6) == 0 && strchr("+-", s[name]) != NULL &&
	       num_u64(s + name + 1, 30, &n) == 0;
}

/* NAME or NUMBER, with an optional :NAME or :NUMBER. */
static bool run_user(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon == NULL || (colon != s && colon[1] != '\0' && strchr(colon + 1, ':') == NULL);
}

/* A name, address or pattern, with an optional ":PORT". */
static bool host_glob(const char *s)
{
	const char *from = s[0] == '[' ? strchr(s, ']') : s;
	const char *colon = from != NULL ? strchr(from, ':') : NULL;
	uint64_t port;

	return from != NULL && colon != s && s[1] != ']' &&
	       (colon == NULL || (num_u64(colon + 1, UINT16_MAX, &port) == 0 && port > 0));
}

/* As url_text gives it: what is written in two ways could be locked twice. */
static bool recorded_url(const char *s)
{
	struct url u SCOPED(url_release) = {0};
	char *text SCOPED(mem_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (url_parse(s, &u, &quiet) != 0)
		return false;
	text = url_text(&u);
	return strcmp(text, s) == 0;
}

#define ABSOLUTE "Write an absolute path without \".\", \"..\" or \"//\"."

const struct grammar grammar_image_name = {
    "an image name",
    "Lower-case letters and digits, joined by single '.', '_' or '-'.",
    LOWER DIGIT,
    LOWER DIGIT "._-",
    128,
    ref_repo_ok};
const struct grammar grammar_tag = {"a version", "Letters, digits, '.', '_' and '-'; at most 128.",
				    ALNUM "_",   ALNUM "._-",
				    128,         NULL};
const struct grammar grammar_user = {"a user or group name",
				     "Lower-case letters, digits, '_' and '-'; at most 32.",
				     LOWER "_",
				     LOWER DIGIT "_-",
				     32,
				     NULL};
const struct grammar grammar_package = {
    "a package name",
    "Lower-case letters, digits, '+', '-' and '.'; at least two.",
    LOWER DIGIT,
    LOWER DIGIT "+-.",
    128,
    not_one_letter};
const struct grammar grammar_package_glob = {"a package name or pattern",
					     "A package name, where '*' and '?' stand for others.",
					     LOWER DIGIT "*?",
					     LOWER DIGIT "+-.*?",
					     128,
					     NULL};
const struct grammar grammar_release = {
    "a release", "The number of a release, such as \"9\".", ALNUM, ALNUM "._-", 32, not_dots};
const struct grammar grammar_repo_url = {
    "a URL or a path below the mirror",
    "An http://, https:// or file:/// URL without user, query or \"..\", or a relative path.",
    ALNUM,
    ALNUM "./:_~%+-[]",
    1024,
    repo_url};
/* A group has a name. */
static bool not_at_alone(const char *s)
{
	return strcmp(s, "@") != 0;
}

const struct grammar grammar_rpm_name = {"a package name",
					 "Letters, digits, '+', '-', '.' and '_'.",
					 ALNUM "_",
					 ALNUM "+-._",
					 200,
					 NULL};
const struct grammar grammar_rpm_glob = {
    "a package name or pattern, or a @group",
    "A package name, where '*' and '?' stand for others, or @group.",
    ALNUM "_*?@",
    ALNUM "+-._*?",
    200,
    not_at_alone};
const struct grammar grammar_rpm_spec = {
    "a package, @group or @^environment",
    "A name, name.arch or name-version, a pattern, a path or (in parentheses) what it provides, or "
    "@group, @^environment or @module:stream.",
    ALNUM "_*?@/",
    ALNUM "+-._*?@^~:/()",
    256,
    not_one_letter};
/* What dpkg and rpm call what they install. */
const struct grammar grammar_locked_package = {"a package name",
					       "Letters, digits, '+', '-', '.' and '_'.",
					       ALNUM "_",
					       ALNUM "+-._",
					       200,
					       NULL};
const struct grammar grammar_locked_version = {
    "a package version", "As dpkg or rpm writes it.", ALNUM, ALNUM ".+~^:_-", 200, NULL};
const struct grammar grammar_locked_arch = {
    "an architecture", "As dpkg or rpm writes it.", LOWER, LOWER DIGIT "_-", 32, NULL};
const struct grammar grammar_arch = {
    "an architecture", "As dpkg --print-architecture writes it.", LOWER, LOWER DIGIT "-", 32, NULL};
const struct grammar grammar_suite = {"a suite", "The code name of a release, such as bookworm.",
				      LOWER,     LOWER DIGIT ".-",
				      64,        not_dots};
const struct grammar grammar_pocket = {
    "a pocket", "One of: updates, security, backports.", LOWER, LOWER, 16, pocket};
const struct grammar grammar_component = {
    "a component", "Such as main or contrib.", LOWER, LOWER DIGIT "-", 64, NULL};
const struct grammar grammar_unit = {"a service name",
				     "Letters, digits and ':', '_', '.', '@', '-'.",
				     ALNUM "_",
				     ALNUM ":_.@-",
				     255,
				     NULL};
const struct grammar grammar_name = {
    "a name", "Letters, digits, '.', '_' and '-', beginning with a letter or digit; at most 64.",
    ALNUM,    ALNUM "._-",
    64,       not_dots};
const struct grammar grammar_control = {
    "an id", "Letters, digits, '.' and '-', as in the profile.", ALNUM, ALNUM ".-", 64, NULL};
const struct grammar grammar_lang = {"a language", "Such as en_US or de.", LOWER, ALNUM "_.@-", 32,
				     not_dots};
const struct grammar grammar_line = {
    "one line of text", "Write it in one line; at most 500 bytes.", NULL, NULL, 500, one_line};
const struct grammar grammar_gecos = {"one line of text without ':'",
				      "The file passwd(5) keeps it between colons.",
				      NULL,
				      NULL,
				      200,
				      gecos};
const struct grammar grammar_env_name = {"the name of a variable",
					 "Letters, digits and '_', not beginning with a digit.",
					 LOWER UPPER "_",
					 ALNUM "_",
					 128,
					 NULL};
const struct grammar grammar_env_value = {
    "one line of text", "Write it in one line; at most 4096 bytes.", NULL, NULL, 4096, one_line};
const struct grammar grammar_signal = {"a signal",  "Such as SIGTERM, SIGRTMIN+3 or 15.",
				       UPPER DIGIT, UPPER DIGIT "+-",
				       32,          signal_name};
const struct grammar grammar_run_user = {
    "USER or USER:GROUP", "Names or numbers.", LOWER DIGIT "_", LOWER DIGIT "_:-", 65, run_user};
const struct grammar grammar_date = {
    "a date", "Write YYYY-MM-DD, a day of the calendar.", DIGIT, DIGIT "-", 10, date};
const struct grammar grammar_mirror = {
    "\"system\" or a URL",
    "An http://, https:// or file:/// URL without user, query or \"..\".",
    LOWER,
    ALNUM "./:_~%+-[]",
    1024,
    mirror};
const struct grammar grammar_snapshot = {"\"system\" or a URL with {time}, {date} or {day} in it",
					 "Such as http://archive.example/debian/{time}/.",
					 LOWER,
					 ALNUM "./:_~%+-[]{}",
					 1024,
					 snapshot};
const struct grammar grammar_locked_mirror = {
    "\"system\" or a URL", "As the recipe writes it.", LOWER, ALNUM "./:_~%+-[]{}", 1024,
    locked_mirror};
const struct grammar grammar_url = {
    "a path or URL",
    "A path, or an http:// or https:// URL without user, query or \"..\".",
    LOWER,
    ALNUM "./:_~%+-[]",
    1024,
    web_url};
const struct grammar grammar_image_path = {"an absolute path", ABSOLUTE, "/", NULL, 4095,
					   image_path};
const struct grammar grammar_image_glob = {"a pattern of absolute paths",
					   "Such as /usr2/**, without \".\", \"..\" or \"//\".",
					   "/",
					   NULL,
					   4095,
					   image_path};
const struct grammar grammar_project_path = {
    "a path", "Relative to the project or absolute, without \".\", \"..\" or \"//\".",
    NULL,     NULL,
    4095,     project_path};

const struct grammar grammar_media_url = {
    "a path or URL", "As the recipe writes it.", NULL, NULL, 4095, media_url};
const struct grammar grammar_source = {"a source package and its version",
				       "Such as \"openssl 3.0.15-1\".",
				       ALNUM "_",
				       NULL,
				       260,
				       source};
const struct grammar grammar_package_arch = {
    "a package name", "A locked package, or package:arch.", ALNUM "_", NULL, 200, package_arch};
const struct grammar grammar_pool_path = {"a path below the mirror",
					  "Relative, without \".\", \"..\" or \"//\".",
					  ALNUM,
					  ALNUM "./_~^%+:-",
					  1024,
					  fs_relative_ok};

const struct grammar grammar_host_glob = {
    "a host or a pattern of hosts",
    "Such as mirror.example, *.example or 192.0.2.1:8080; '*' stands for any characters.",
    LOWER DIGIT "*[",
    LOWER DIGIT ".-_*?:[]",
    255,
    host_glob};
const struct grammar grammar_recorded_url = {
    "a URL", "As the proxy recorded it.", "h", NULL, URL_MAX, recorded_url};
const struct grammar grammar_header = {
    "one line of text", "As the proxy recorded it.", NULL, NULL, URL_MAX, one_line};

const struct grammar grammar_inside = {
    "a path in an archive", "Relative, without \".\", \"..\" or \"//\".", NULL, NULL, 4095, inside};
const struct grammar grammar_file_name = {"the name of a file",
					  "One component of a path; at most 255 bytes.",
					  NULL,
					  NULL,
					  255,
					  file_name};

const struct grammar grammar_hostname = {
    "a host name", "Such as shop1.example; at most 64 bytes.", ALNUM, ALNUM ".-", 64, hostname};
const struct grammar grammar_address = {"an address with its network",
					"Such as 192.0.2.10/24; from /8 to /30.",
					DIGIT,
					DIGIT "./",
					18,
					address};

/* Whether s consists of the characters of set; a NULL set is any. */
static bool spans(const char *s, const char *set)
{
	return set == NULL || s[strspn(s, set)] == '\0';
}

bool grammar_ok(const struct grammar *g, const char *s)
{
	if (s[0] == '\0' || strlen(s) > g->max)
		return false;
	if (g->first != NULL && strchr(g->first, s[0]) == NULL)
		return false;
	return spans(s + 1, g->rest) && (g->also == NULL || g->also(s));
}
