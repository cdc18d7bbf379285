/* partial.h - a file on its way into the store: where it lies, how much is there, whose it is. */
#ifndef HTTP_PARTIAL_H
#define HTTP_PARTIAL_H

#include "store/store.h"

struct partial {
	struct store *s;
	struct digest want;
	uint64_t size; /* 0 = unknown */
	uint64_t have; /* bytes in the file */
	char *path;    /* of the file; in partial/, or in `scratch` */
	char *scratch; /* a directory of our own while another process has the partial file */
	int fd, lock_fd, dir_fd;
};

#define PARTIAL_INIT                                                                               \
	{                                                                                          \
		.fd = -1, .lock_fd = -1, .dir_fd = -1                                              \
	}

/* Opens the partial file of p->want for going on at its end. Another process on it: ERR_BUSY, or a
 * file of our own when `own` is set, which is gone again after partial_close. */
int partial_open(struct partial *p, bool own, struct err *e) MUST_CHECK;

/* Appends. More than p->size bytes in all is ERR_VERIFY. */
int partial_write(struct partial *p, const void *data, size_t n, struct err *e) MUST_CHECK;

/* Begins anew with no bytes. */
int partial_restart(struct partial *p, struct err *e) MUST_CHECK;

/* Brings the file into the store. Wrong bytes: ERR_VERIFY and there is no file any more; go on by
 * partial_restart or partial_close. */
int partial_keep(struct partial *p, struct err *e) MUST_CHECK;

/* Lets go; what was fetched stays for another time. */
void partial_close(struct partial *p);

#endif
