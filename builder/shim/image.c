/* The program goes along in ours: there is nothing to install, and nothing to be looked for. */
#include "shim/image.h"

__asm__(".section .rodata\n"
	".balign 16\n"
	"posmedia_shim: .incbin \"" SHIM_FILE "\"\n"
	"posmedia_shim_end:\n"
	".previous\n");

extern const char posmedia_shim[], posmedia_shim_end[];

const void *shim_image(size_t *ret_n)
{
	*ret_n = (size_t)(posmedia_shim_end - posmedia_shim);
	return posmedia_shim;
}
