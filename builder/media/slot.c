#include "media/slot.h"

#include "base/buf.h"
#include "base/num.h"
#include "form/json.h"
#include "media/medium.h"
#include <string.h>

/* Of GRUB's environment block (grub's include/grub/lib/envblk.h): lines NAME=VALUE, and behind them
 * nothing but this. */
#define SIGNATURE "# GRUB Environment Block\n"

const char *slot_word(int slot)
{
	return slot == SLOT_B ? "b" : "a";
}

int slot_of(const char *word)
{
	for (int i = 0; i < SLOTS; i++)
		if (strcmp(word, slot_word(i)) == 0)
			return i;
	return SLOT_NONE;
}

int slot_other(int slot)
{
	return slot == SLOT_A ? SLOT_B : SLOT_A;
}

char *slot_part(const char *what, int slot)
{
	return mem_format("%s-%s", what, slot_word(slot));
}

static int bad(struct err *e)
{
	return err_set(e, ERR_VERIFY, "what the disk says of its slots cannot be read");
}

/* A line of it. Names of others stay theirs. */
static int take(char *line, struct slot_state *s, struct err *e)
{
	char *value = strchr(line, '=');
	uint64_t n;

	if (value == NULL)
		return bad(e);
	*value++ = '\0';
	if (strcmp(line, "good") == 0)
		s->good = slot_of(value);
	if (strcmp(line, "try") == 0)
		s->tried = slot_of(value);
	if (strcmp(line, "tries") == 0) {
		if (num_u64(value, SLOT_TRIES, &n) != 0)
			return bad(e);
		s->tries = (unsigned)n;
	}
	return 0;
}

int slot_state_parse(const char *sector, struct slot_state *ret, struct err *e)
{
	struct slot_state s = {.good = SLOT_NONE, .tried = SLOT_NONE};
	char text[SLOT_SECTOR + 1];
	char *save = NULL;
	size_t n = SLOT_SECTOR;

	if (memcmp(sector, SIGNATURE, strlen(SIGNATURE)) != 0)
		return bad(e);
	while (sector[n - 1] == '#')
		n--;
	n -= strlen(SIGNATURE);
	memcpy(text, sector + strlen(SIGNATURE), n);
	text[n] = '\0';
	if (strlen(text) != n)
		return bad(e);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (take(line, &s, e) != 0)
			return -1;
	if (s.good == SLOT_NONE || s.tried == s.good || (s.tried == SLOT_NONE && s.tries > 0))
		return bad(e);
	*ret = s;
	return 0;
}

void slot_state_write(const struct slot_state *s, char *sector)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(SLOT_SECTOR);

	buf_addf(&b, SIGNATURE "good=%s\n", slot_word(s->good));
	if (s->tried != SLOT_NONE)
		buf_addf(&b, "try=%s\ntries=%u\n", slot_word(s->tried), s->tries);
	memset(sector, '#', SLOT_SECTOR);
	memcpy(sector, b.data, b.len);
}

uint64_t slot_record_at(int slot)
{
	return 2 * (uint64_t)SLOT_FAT_SIZE + (uint64_t)SLOT_RECORD * (uint64_t)slot;
}

void slot_record_write(const struct slot_record *r, char *block)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SLOT_RECORD);
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct digest sum;

	jval_put_text(v, "image", digest_text(&r->image).s);
	jval_put_text(v, "root-hash", digest_hex(&r->top).s);
	jval_put_text(v, "salt", digest_hex(&r->salt).s);
	jval_put_int(v, "blocks", (int64_t)r->blocks);
	jval_put_int(v, "boot", (int64_t)r->boot);
	jval_put_text(v, "arch", r->arch);
	jval_put_text(v, "kernel", digest_hex(&r->kernel).s);
	jval_put_text(v, "name", r->name);
	jval_put_int(v, "created", r->created);
	jval_write(v, &text);
	sum = digest_of(text.data, text.len);
	memset(block, 0, SLOT_RECORD);
	memcpy(block, digest_hex(&sum).s, DIGEST_HEX);
	block[DIGEST_HEX] = '\n';
	memcpy(block + DIGEST_HEX + 1, text.data, text.len);
}

static bool get_hex(const struct jval *v, const char *key, struct digest *ret)
{
	const char *s = jval_get_str(v, key);

	return s != NULL && digest_parse_hex(s, ret) == 0;
}

static bool get_size(const struct jval *v, const char *key, uint64_t *ret)
{
	int64_t n;

	if (jval_get_int(v, key, &n) != 0 || n < 0 || (uint64_t)n > MEDIUM_MAX)
		return false;
	*ret = (uint64_t)n;
	return true;
}

/* What is printed as it is. */
static bool read_name(const struct jval *v, struct slot_record *r)
{
	const char *name = jval_get_str(v, "name");

	if (name == NULL)
		return true;
	if (strlen(name) >= sizeof(r->name) ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./:_-[]") !=
		strlen(name))
		return false;
	memcpy(r->name, name, strlen(name) + 1);
	return true;
}

static bool read_record(const struct jval *v, struct slot_record *r)
{
	const char *image = jval_get_str(v, "image"), *arch = jval_get_str(v, "arch");

	if (arch == NULL || strlen(arch) >= sizeof(r->arch) ||
	    strspn(arch, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(arch))
		return false;
	memcpy(r->arch, arch, strlen(arch) + 1);
	if (!read_name(v, r))
		return false;
	(void)get_hex(v, "kernel", &r->kernel);
	r->created = jval_num(v, "created");
	return image != NULL && digest_parse(image, &r->image) == 0 &&
	       get_hex(v, "root-hash", &r->top) && get_hex(v, "salt", &r->salt) &&
	       get_size(v, "blocks", &r->blocks) && get_size(v, "boot", &r->boot);
}

int slot_record_parse(const char *block, struct slot_record *ret)
{
	const char *text = block + DIGEST_HEX + 1;
	const size_t n = strnlen(text, SLOT_RECORD - DIGEST_HEX - 1);
	char *hex SCOPED(mem_freep) = mem_strndup(block, DIGEST_HEX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct slot_record r = {0};
	struct err quiet = ERR_INIT;
	struct digest said, is;

	if (digest_parse_hex(hex, &said) != 0)
		return -1;
	is = digest_of(text, n);
	if (!digest_equal(&said, &is) || jval_parse(text, n, "slot", &v, &quiet) != 0 ||
	    !read_record(v, &r))
		return -1;
	*ret = r;
	return 0;
}

uint64_t slot_hash_size(uint64_t blocks)
{
	const uint64_t per = VERITY_BLOCK / DIGEST_BYTES;
	uint64_t n = blocks, all = 1;

	do {
		n = (n + per - 1) / per;
		all += n;
	} while (n > 1);
	return all * VERITY_BLOCK;
}
