/* image.h - the static program (program.h) as bytes, for whoever makes initial file systems. */
#ifndef INSTALLER_IMAGE_H
#define INSTALLER_IMAGE_H

#include <stddef.h>

/* It lives as long as the process. */
const void *installer_image(size_t *ret_n);

#endif
