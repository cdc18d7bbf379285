/* config.c - what an image's configuration says (OCI image-spec, config.md). */
#include "diff/side.h"

#include <string.h>

struct members {
	struct side *s;
	enum diff_topic topic;
	const char *label; /* "label " */
};

/* A text as it is, anything else as JSON; the caller owns it. */
static char *value_text(const struct jval *v)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);

	if (jval_str(v) != NULL)
		return mem_strdup(jval_str(v));
	jval_write(v, &b);
	return mem_strdup(b.data);
}

static int take_member(void *ctx, const char *key, struct jval *val)
{
	struct members *m = ctx;
	char *name SCOPED(mem_freep) = mem_format("%s%s", m->label, key);

	(void)side_fact(m->s, m->topic, name,
			jval_is_object(val) ? mem_strdup("") : value_text(val));
	return 0;
}

static void take_env(struct side *s, const struct jval *list)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		const char *text = jval_str(jval_at(list, i));
		const char *eq = text == NULL ? NULL : strchr(text, '=');
		char *name SCOPED(mem_freep) = NULL;

		if (eq == NULL)
			continue;
		name = mem_format("env %.*s", (int)(eq - text), text);
		(void)side_fact(s, DIFF_RUN, name, mem_strdup(eq + 1));
	}
}

void side_config(struct side *s)
{
	static const char *const plain[][2] = {
	    {"Cmd", "cmd"},   {"Entrypoint", "entrypoint"},        {"StopSignal", "stop signal"},
	    {"User", "user"}, {"WorkingDir", "working directory"},
	};
	const struct jval *c = jval_get(s->config, "config");
	struct members labels = {s, DIFF_RUN, "label "}, volumes = {s, DIFF_RUN, "volume "},
		       ports = {s, DIFF_PORTS, ""};

	s->unknown[DIFF_RUN] = s->unknown[DIFF_PORTS] = s->config == NULL;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (jval_get(c, plain[i][0]) != NULL)
			(void)side_fact(s, DIFF_RUN, plain[i][1],
					value_text(jval_get(c, plain[i][0])));
	take_env(s, jval_get(c, "Env"));
	(void)jval_each(jval_get(c, "Labels"), take_member, &labels);
	(void)jval_each(jval_get(c, "Volumes"), take_member, &volumes);
	(void)jval_each(jval_get(c, "ExposedPorts"), take_member, &ports);
	if (jval_get_str(s->config, "architecture") != NULL)
		(void)side_fact(s, DIFF_RUN, "architecture",
				mem_strdup(jval_get_str(s->config, "architecture")));
}
