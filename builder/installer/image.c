/* The program goes along in ours: there is nothing to install, and nothing to be looked for. */
#include "installer/image.h"

__asm__(".section .rodata\n"
	".balign 16\n"
	"posmedia_installer: .incbin \"" INSTALLER_FILE "\"\n"
	"posmedia_installer_end:\n"
	".previous\n");

extern const char posmedia_installer[], posmedia_installer_end[];

const void *installer_image(size_t *ret_n)
{
	*ret_n = (size_t)(posmedia_installer_end - posmedia_installer);
	return posmedia_installer;
}
