#include "base/err.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"
#include "sys/fs.h"
#include <sys/stat.h>
#include <unistd.h>

int sandbox_machine_root(const char *root, struct err *e)
{
	static const char *const links[][2] = {
	    {"usr/bin", "bin"}, {"usr/sbin", "sbin"}, {"usr/lib", "lib"}, {"usr/lib64", "lib64"}};
	static const char *const dirs[] = {"", "/usr", "/proc", "/dev", "/tmp", "/run", "/to"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path SCOPED(mem_freep) = mem_format("%s%s", root, dirs[i]);

		if (mkdir(path, 0755) != 0)
			return err_sys(e, "make %s", path);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char *path SCOPED(mem_freep) = fs_join(root, links[i][1]);

		if (symlink(links[i][0], path) != 0)
			return err_sys(e, "make %s", path);
	}
	return 0;
}
