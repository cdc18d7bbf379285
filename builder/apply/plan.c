#include "apply/job.h"

#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

static int wrong(const struct job *j, size_t i, const char *why, struct err *e)
{
	return err_set(e, ERR_VERIFY, "manifest: %s: %s", j->want->v[i].path, why);
}

/* The directory of entry i, which comes before it. Neighbours mostly share theirs. */
static int find_parent(struct job *j, size_t i, struct err *e)
{
	const struct manifest_entry *v = j->want->v, *en = &v[i], *dir;
	const char *slash = strrchr(en->path, '/');
	size_t n = slash != NULL ? (size_t)(slash - en->path) : 0;
	char *path SCOPED(mem_freep) = NULL;
	size_t guess = j->slots[i - 1].parent;

	if (strncmp(v[guess].path, en->path, n) == 0 && v[guess].path[n] == '\0') {
		dir = &v[guess];
	} else {
		path = mem_strndup(en->path, n);
		dir = manifest_find(j->want, path);
	}
	if (dir == NULL || dir >= en || dir->type != MANIFEST_DIR)
		return wrong(j, i, "its directory is missing", e);
	j->slots[i].parent = (uint32_t)(dir - v);
	return 0;
}

static int find_leader(struct job *j, size_t i, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i], *first;
	struct slot *s = &j->slots[i], *leader;

	s->leader = (uint32_t)i;
	if (en->same_as == NULL)
		return 0;
	first = manifest_find(j->want, en->same_as);
	if (first == NULL || first >= en || first->same_as != NULL || first->type == MANIFEST_DIR)
		return wrong(j, i, "another name of what is not there", e);
	s->leader = (uint32_t)(first - j->want->v);
	leader = &j->slots[s->leader];
	s->another = leader->another;
	leader->another = (uint32_t)i;
	return 0;
}

static int check_acl(const struct job *j, const char *text, struct err *e)
{
	struct buf value SCOPED(buf_release) = BUF_INIT(1 << 16);

	return text == NULL ? 0 : manifest_acl_value(j->names, text, &value, e);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Owners and what ACLs name must all be known before anything is changed. */
static int find_owner(struct job *j, size_t i, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i], *last = i > 0 ? en - 1 : NULL;
	struct slot *s = &j->slots[i];

	if (en->same_as != NULL)
		return 0;
	if (en->user == NULL || en->group == NULL)
		return wrong(j, i, "it has no owner", e);
	if (last != NULL && last->same_as == NULL && same_text(last->user, en->user))
		s->uid = s[-1].uid;
	else if (manifest_names_uid(j->names, en->user, &s->uid, e) != 0)
		return err_in(e, "%s", en->path);
	if (last != NULL && last->same_as == NULL && same_text(last->group, en->group))
		s->gid = s[-1].gid;
	else if (manifest_names_gid(j->names, en->group, &s->gid, e) != 0)
		return err_in(e, "%s", en->path);
	if (check_acl(j, en->acl, e) != 0 || check_acl(j, en->acl_default, e) != 0)
		return err_in(e, "%s", en->path);
	return 0;
}

static int plan_entry(struct job *j, size_t i, struct err *e)
{
	const struct manifest_entry *en = &j->want->v[i];
	struct slot *s = &j->slots[i];

	if (i > 0 && (!fs_relative_ok(en->path) || strcmp(en[-1].path, en->path) >= 0))
		return wrong(j, i, "out of order, or no path", e);
	if (i > 0 && (find_parent(j, i, e) != 0 || find_leader(j, i, e) != 0))
		return -1;
	if (i > 0 && en->type == MANIFEST_DIR) {
		if (j->slots[s->parent].depth == UINT16_MAX)
			return wrong(j, i, "too deep", e);
		s->depth = (uint16_t)(j->slots[s->parent].depth + 1);
	}
	j->records[i].hashes = MEMORY_NONE;
	j->dirs_n += en->type == MANIFEST_DIR;
	return find_owner(j, i, e);
}

/* Sorts entries 1 to n - 1 by directory, and directories by depth, each stably. */
static void sort(struct job *j)
{
	const struct manifest_entry *v = j->want->v;
	size_t n = j->want->n, deepest = 0, at = 0;
	uint32_t *next SCOPED(mem_freep) = mem_zalloc((n + 1) * sizeof(*next));

	j->first = mem_zalloc((n + 1) * sizeof(*j->first));
	j->children = mem_zalloc(n * sizeof(*j->children));
	j->dirs = mem_zalloc(j->dirs_n * sizeof(*j->dirs));
	for (size_t i = 1; i < n; i++)
		j->first[j->slots[i].parent + 1]++;
	for (size_t i = 0; i < n; i++) {
		j->first[i + 1] += j->first[i];
		next[i] = j->first[i];
	}
	for (size_t i = 1; i < n; i++)
		j->children[next[j->slots[i].parent]++] = (uint32_t)i;
	memset(next, 0, (n + 1) * sizeof(*next));
	for (size_t i = 0; i < n; i++) {
		next[j->slots[i].depth + 1] += v[i].type == MANIFEST_DIR;
		deepest = j->slots[i].depth > deepest ? j->slots[i].depth : deepest;
	}
	for (size_t d = 0; d <= deepest; d++)
		next[d + 1] += next[d];
	for (; at < n; at++)
		if (v[at].type == MANIFEST_DIR)
			j->dirs[next[j->slots[at].depth]++] = (uint32_t)at;
}

int job_plan(struct job *j, struct err *e)
{
	const struct manifest *want = j->want;

	if (want->n == 0 || want->n >= UINT32_MAX || want->v[0].path[0] != '\0' ||
	    want->v[0].type != MANIFEST_DIR || want->v[0].same_as != NULL)
		return err_set(e, ERR_VERIFY, "manifest: it does not begin with a directory");
	j->slots = mem_zalloc(want->n * sizeof(*j->slots));
	j->records = mem_zalloc(want->n * sizeof(*j->records));
	for (size_t i = 0; i < want->n; i++)
		if (plan_entry(j, i, e) != 0)
			return -1;
	sort(j);
	return 0;
}

void job_release(struct job *j)
{
	free(j->slots);
	free(j->records);
	free(j->children);
	free(j->first);
	free(j->dirs);
	j->slots = NULL;
	j->records = NULL;
	j->children = j->first = j->dirs = NULL;
}
