/* Any text as a shell script: commands and bodies lie within it, in order. */
#include "fuzz.h"

#include "form/shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct shell sh = {0};

	shell_read((const char *)p, n, &sh);
	for (size_t i = 0; i < sh.commands_n; i++) {
		const struct shell_command *c = &sh.commands[i];

		HOLDS(c->from <= c->to && c->to <= c->next && c->next <= n);
		HOLDS(c->words.n + c->files.n > 0);
	}
	for (size_t i = 0; i < sh.heredocs_n; i++) {
		const struct shell_heredoc *h = &sh.heredocs[i];

		HOLDS(h->from <= h->to && h->to <= n && h->line < h->body + 1);
		HOLDS(h->expands == 0 || (h->expands >= h->body && h->expands <= h->last));
	}
	shell_release(&sh);
	return 0;
}
