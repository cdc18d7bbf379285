/* The agent goes along in ours. */
#include "cutover/parts.h"

__asm__(".section .rodata\n"
	".balign 16\n"
	"posmedia_agent: .incbin \"" AGENT_FILE "\"\n"
	"posmedia_agent_end:\n"
	".previous\n");

extern const char posmedia_agent[], posmedia_agent_end[];

const char *agent_text(size_t *ret_n)
{
	*ret_n = (size_t)(posmedia_agent_end - posmedia_agent);
	return posmedia_agent;
}
