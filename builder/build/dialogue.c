#include "build/dialogue.h"

#include "base/glob.h"
#include "sys/clock.h"
#include <string.h>

enum {
	HEARD_MAX = 1 << 16,
	STILL_MS = 100,     /* output that is still so long is a prompt, if it fits */
	PATIENCE_MS = 1000, /* and after that long in any case */
	CHECK_MS = 200,
	TYPED_MAX = 1024, /* bytes of a line */
};

void dialogue_init(struct dialogue *d, const struct recipe_answers *a, const struct vault *s)
{
	*d = (struct dialogue){.a = a, .secrets = s, .heard = BUF_INIT(2 * HEARD_MAX)};
	d->heard_ms = clock_mono_ms();
}

static void forget(struct dialogue *d)
{
	explicit_bzero(d->heard.data, d->heard.len);
	buf_cut(&d->heard, 0);
}

void dialogue_release(struct dialogue *d)
{
	forget(d);
	buf_release(&d->heard);
}

void dialogue_hear(struct dialogue *d, const char *p, size_t n)
{
	size_t keep;

	if (n > HEARD_MAX) {
		p += n - HEARD_MAX;
		n = HEARD_MAX;
	}
	if (d->heard.len + n > HEARD_MAX) {
		keep = HEARD_MAX - n;
		memmove(d->heard.data, d->heard.data + d->heard.len - keep, keep);
		buf_cut(&d->heard, keep);
	}
	buf_add(&d->heard, p, n);
	d->heard_ms = clock_mono_ms();
	d->waits_ms = 0;
}

/* The last line that is not empty, without blanks at its end; the caller owns it. */
static char *last_line(const char *heard)
{
	size_t end = strlen(heard), start;

	while (end > 0 && strchr(" \t\n", heard[end - 1]) != NULL)
		end--;
	for (start = end; start > 0 && heard[start - 1] != '\n'; start--)
		continue;
	return mem_strndup(heard + start, end - start);
}

/* To glob.h a slash is special; to us it is not. */
static void hide_slashes(char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '/')
			*s = '\1';
}

bool dialogue_fits(const struct recipe_answer *a, const char *heard)
{
	char *line SCOPED(mem_freep) = NULL, *pattern SCOPED(mem_freep) = NULL;
	size_t n;

	if (a->prompt != NULL)
		return strstr(heard, a->prompt) != NULL;
	line = last_line(heard);
	pattern = mem_strdup(a->pattern);
	for (n = strlen(pattern); n > 0 && strchr(" \t", pattern[n - 1]) != NULL; n--)
		pattern[n - 1] = '\0';
	hide_slashes(line);
	hide_slashes(pattern);
	return line[0] != '\0' && glob_match(pattern, line);
}

/* The answer that fits now; a->n when none does. */
static size_t find(const struct dialogue *d)
{
	for (size_t i = d->at; i < d->a->n; i++) {
		if (dialogue_fits(&d->a->v[i], d->heard.data))
			return i;
		if (!d->a->v[i].optional)
			break;
	}
	return d->a->n;
}

static int type_secret(const struct dialogue *d, const struct recipe_answer *a, struct buf *type,
		       struct err *e)
{
	const struct sandbox_secret *s = vault_find(d->secrets, a->secret);
	const char *p = s != NULL ? s->data : "";
	size_t n = 0;

	while (s != NULL && n < s->len && (unsigned char)p[n] >= 0x20 && p[n] != 0x7f)
		n++;
	if (n == 0 || n > TYPED_MAX ||
	    (n < s->len && p[n] != '\n' && p[n] != '\r')) /* a NUL, an escape, … */
		return err_set(e, ERR_STEP,
			       "%s:%u:%u: the first line of the secret %s cannot be typed",
			       a->pos.file, a->pos.line, a->pos.col, a->secret);
	buf_add(type, p, n);
	return 0;
}

static int answer(struct dialogue *d, size_t i, struct buf *type, struct err *e)
{
	const struct recipe_answer *a = &d->a->v[i];

	if (a->secret != NULL && type_secret(d, a, type, e) != 0)
		return -1;
	if (a->secret == NULL)
		buf_add(type, a->reply, strlen(a->reply));
	if (!a->no_enter)
		buf_add(type, "\r", 1); /* the key; the terminal makes a newline of it */
	if (i != d->at)
		d->used = 0;
	d->at = i;
	if (++d->used >= a->times) {
		d->at++;
		d->used = 0;
	}
	forget(d);
	d->fits_ms = d->waits_ms = 0;
	d->heard_ms = clock_mono_ms();
	return 0;
}

/* The program waits and no answer fits. */
static int in_vain(const struct dialogue *d, struct err *e)
{
	char *line SCOPED(mem_freep) = last_line(d->heard.data);
	struct buf shown SCOPED(buf_release) = BUF_INIT(HEARD_MAX * 2);
	const struct recipe_answer *a = d->at < d->a->n ? &d->a->v[d->at] : NULL;

	(void)vault_hide(d->secrets, line, strlen(line), true, &shown);
	if (a == NULL) {
		const struct recipe_answer *last = &d->a->v[d->a->n - 1];

		return err_set(e, ERR_STEP,
			       "it asks \"%.300s\", and all answers are used, up to %s:%u:%u",
			       shown.data, last->pos.file, last->pos.line, last->pos.col);
	}
	return err_set(e, ERR_STEP,
		       "it asks \"%.300s\", and the next answer is for \"%.200s\", %s:%u:%u",
		       shown.data, recipe_answer_wants(a), a->pos.file, a->pos.line, a->pos.col);
}

/* Whether it has waited for input long enough, in silence. */
static bool gave_up(struct dialogue *d, bool (*waits)(pid_t init), pid_t init, uint64_t now)
{
	if (now - d->heard_ms < STILL_MS || now - d->checked_ms < CHECK_MS)
		return false;
	d->checked_ms = now;
	if (!waits(init))
		d->waits_ms = 0;
	else if (d->waits_ms == 0)
		d->waits_ms = now;
	return d->waits_ms != 0 && now - d->waits_ms >= d->a->quiet_ms;
}

int dialogue_look(struct dialogue *d, bool (*waits)(pid_t init), pid_t init, struct buf *type,
		  struct err *e)
{
	uint64_t now = clock_mono_ms();
	size_t i = find(d);

	if (i == d->a->n) {
		d->fits_ms = 0;
		return gave_up(d, waits, init, now) ? in_vain(d, e) : 0;
	}
	d->waits_ms = 0;
	if (d->fits_ms == 0)
		d->fits_ms = now;
	if (now - d->heard_ms < STILL_MS && now - d->fits_ms < PATIENCE_MS)
		return 0;
	return answer(d, i, type, e);
}

int dialogue_end(const struct dialogue *d, struct err *e)
{
	for (size_t i = d->at; i < d->a->n; i++) {
		const struct recipe_answer *a = &d->a->v[i];

		if (!a->optional)
			return err_set(e, ERR_STEP,
				       "%s:%u:%u: it ended and did not ask \"%.300s\"%s",
				       a->pos.file, a->pos.line, a->pos.col, recipe_answer_wants(a),
				       i == d->at && d->used > 0 ? " as often as that" : "");
	}
	return 0;
}
