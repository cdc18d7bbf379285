#include "shim/shim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int shim_say(int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(2, "posmedia: %s\n", text);
	return status;
}

int shim_real(const char *name, char *const *args)
{
	char *path SCOPED(mem_freep) = mem_format(SHIM_DIR "/real/%s", name);
	struct strv argv SCOPED(strv_release) = {0};

	strv_add(&argv, name);
	for (; *args != NULL; args++)
		strv_add(&argv, *args);
	(void)execve(path, argv.v, environ);
	return shim_say(127, "%s: %s", name,
			errno == ENOENT ? "this image has no such program" : strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*fn)(char *const *args);
	} names[] = {{"systemctl", shim_systemctl}, {"service", shim_service},
		     {"mount", shim_mount},         {"umount", shim_umount},
		     {"losetup", shim_losetup},     {"mknod", shim_mknod},
		     {"modprobe", shim_modprobe}};
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "";

	if (strcmp(name, "shim") == 0 && argc > 2 && strcmp(argv[1], "run") == 0)
		return shim_run(argv + 2);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].fn(argv + 1);
	return shim_script(name, argv + (argc > 0 ? 1 : 0));
}
