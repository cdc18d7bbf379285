/* ports.h - ports of another network namespace. */
#ifndef SANDBOX_PORTS_H
#define SANDBOX_PORTS_H

#include <stdint.h>

/* Whether something in the network of that process listens on the TCP port: 1 or 0, and -1 when the
 * kernel cannot be asked. It looks at what listens only: proc(5) has all connections of the whole
 * machine in its way. */
int sandbox_listens(int pid, uint16_t port);

#endif
