/* notify.h - what a service tells systemd: sd_notify(3), without its library. */
#ifndef SYS_NOTIFY_H
#define SYS_NOTIFY_H

/* Sends lines such as "READY=1\nSTATUS=..." to $NOTIFY_SOCKET; without one, or when nobody listens,
 * nothing happens. */
void notify_systemd(const char *lines);

#endif
