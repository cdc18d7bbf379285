#include "sys/intr.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	if (got != 0)
		_exit(128 + sig);
	got = sig;
}

void intr_install(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
	(void)signal(SIGCHLD, SIG_DFL); /* who ignores it cannot wait for children */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

void intr_forget(void)
{
	got = 0;
}

void intr_ignore(void)
{
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	got = 0;
}

bool intr_pending(void)
{
	return got != 0;
}

int intr_err(struct err *e)
{
	return err_set(e, ERR_FAIL, "interrupted by signal %d; nothing was changed", (int)got);
}
