#include "build/leak.h"

#include "harden/root.h"
#include "sys/fs.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What programs write about a machine is short; a database or an archive is not searched. */
enum { FILE_MAX = 64 << 20, WORD_MIN = 6 };

bool leak_telling_name(const char *name)
{
	return strlen(name) >= WORD_MIN && strpbrk(name, "0123456789-.") != NULL &&
	       strncmp(name, "localhost", 9) != 0;
}

static const char folder[] = "the folder of the build";

static void add(struct leak_words *w, const char *word, const char *what)
{
	strv_add(&w->v, word);
	strv_add(&w->what, what);
}

static void add_name(struct leak_words *w, const char *name)
{
	char *first SCOPED(mem_freep) = mem_strndup(name, strcspn(name, "."));

	if (leak_telling_name(name))
		add(w, name, "the name of the host");
	if (strcmp(first, name) != 0 && leak_telling_name(first))
		add(w, first, "the name of the host");
}

static void add_addresses(struct leak_words *w)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		union {
			const struct sockaddr *any;
			const struct sockaddr_in *in;
			const struct sockaddr_in6 *in6;
		} a = {.any = i->ifa_addr};
		char text[INET6_ADDRSTRLEN] = "";

		if (a.any == NULL)
			continue;
		if (a.any->sa_family == AF_INET && (ntohl(a.in->sin_addr.s_addr) >> 24) != 127)
			(void)inet_ntop(AF_INET, &a.in->sin_addr, text, sizeof(text));
		if (a.any->sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&a.in6->sin6_addr))
			(void)inet_ntop(AF_INET6, &a.in6->sin6_addr, text, sizeof(text));
		if (text[0] != '\0')
			add(w, text, "an address of the host");
	}
	freeifaddrs(all);
}

void leak_collect(const struct job *j, struct leak_words *ret)
{
	struct utsname u;

	*ret = (struct leak_words){0};
	if (uname(&u) == 0) {
		add_name(ret, u.nodename);
		if (strlen(u.release) >= WORD_MIN)
			add(ret, u.release, "the release of the running kernel");
	}
	if (j->scratch != NULL)
		add(ret, j->scratch, folder);
	ret->hard_n = ret->v.n;
	add_addresses(ret);
}

void leak_release(struct leak_words *w)
{
	strv_release(&w->v);
	strv_release(&w->what);
	*w = (struct leak_words){0};
}

struct digest leak_words_digest(const struct leak_words *w)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (size_t i = 0; i < w->v.n; i++)
		if (strcmp(w->what.v[i], folder) != 0)
			hash_add(h, w->v.v[i], strlen(w->v.v[i]) + 1);
	return hash_final(h);
}

/* Whether a byte would make a longer word of its neighbour. */
static bool joins(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static bool stands(const char *p, size_t n, const char *word)
{
	size_t len = strlen(word);
	const char *end = p + n, *at = p;

	while ((at = memmem(at, (size_t)(end - at), word, len)) != NULL) {
		bool before = at > p && (joins(at[-1]) || at[-1] == '.');
		bool after = at + len < end && joins(at[len]);

		if (!before && !after)
			return true;
		at++;
	}
	return false;
}

int leak_in(const struct leak_words *w, const char *p, size_t n)
{
	size_t words = memchr(p, '\0', n) == NULL ? w->v.n : w->hard_n;

	for (size_t i = 0; i < words; i++)
		if (stands(p, n, w->v.v[i]))
			return (int)i;
	return -1;
}

struct search {
	const struct blame *b;
	int rootfd;
	struct leak_words words;
	struct leaks *ret;
};

static bool is_written_here(const struct search *s, const struct facts_file *f)
{
	if (f->clean || !S_ISREG(f->st.st_mode) || f->st.st_size == 0 || f->st.st_size > FILE_MAX)
		return false;
	/* a package's own file that a step has changed counts */
	if (blame_package(s->b, f->path) != NULL && blame_stage(s->b, f->path) == 0)
		return false;
	return blame_overlay(s->b, f->path) == NULL;
}

static int search_file(struct search *s, const struct facts_file *f, struct err *e)
{
	int fd SCOPED(fd_closep) = root_open(s->rootfd, f->path, O_RDONLY | O_NOFOLLOW);
	size_t n = (size_t)f->st.st_size;
	char *who SCOPED(mem_freep) = NULL;
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	int found;

	if (p == MAP_FAILED)
		return err_sys(e, "read %s", f->path);
	found = leak_in(&s->words, p, n);
	(void)munmap(p, n);
	if (found < 0)
		return 0;
	strv_add(&s->ret->paths, f->path);
	who = blame_words(s->b, f->path);
	strv_addf((size_t)found < s->words.hard_n ? &s->ret->hard : &s->ret->soft,
		  "/%s: %s, \"%s\" (%s)", f->path, s->words.what.v[found], s->words.v.v[found],
		  who);
	return 0;
}

int leak_find(const struct blame *b, int rootfd, const struct facts_files *files, struct leaks *ret,
	      struct err *e)
{
	struct search s = {.b = b, .rootfd = rootfd, .ret = ret};
	int rc = 0;

	leak_collect(b->j, &s.words);
	for (size_t i = 0; i < files->n && rc == 0; i++)
		if (is_written_here(&s, &files->v[i]))
			rc = search_file(&s, &files->v[i], e);
	leak_release(&s.words);
	return rc;
}
