/* image.h - the shim as bytes, for whoever shows it to a step. */
#ifndef SHIM_IMAGE_H
#define SHIM_IMAGE_H

#include <stddef.h>

/* A static program; it lives as long as the process. */
const void *shim_image(size_t *ret_n);

#endif
