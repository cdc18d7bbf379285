/* sys-put.h - a file for a test, with its directories. */
#ifndef TEST_SYS_PUT_H
#define TEST_SYS_PUT_H

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static inline void put_text(const char *dir, const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = fs_join(dir, name);
	char *parent SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, parent, 0755, &e) != 0 ||
	    fs_put_path(path, text, strlen(text), 0644, &e) != 0)
		fail_msg("%s", e.msg);
}

#endif
