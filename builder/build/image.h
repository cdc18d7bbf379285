/* image.h - an image being packed from its finished tree. */
#ifndef BUILD_IMAGE_H
#define BUILD_IMAGE_H

#include "build/job.h"
#include "oci/oci.h"

/* What the image adds to another one: build --delta-from. */
struct delta {
	struct oci_desc base;      /* what was named; no media type = no delta */
	struct oci_manifest below; /* of the image below */
	struct jval *config;       /* and its config */
};

/* What is the store's only when the image has passed everything. */
struct kept_back {
	struct store_put *put;
	struct pack_result packed; /* digest; of a layer all of it, */
	struct digest key;         /* and what it is remembered by: */
	bool remember;             /* if it is */
};

struct packing {
	struct job *j;
	struct tree tree;
	int rootfd;
	size_t possible; /* layers that an entry may be of */
	struct delta delta;
	const struct oci_layout *layout; /* and what it is from, NULL when there is none */
	const struct oci_desc *from;
	enum pack_compression compression;
	struct job_layer *layers;
	size_t layers_n;
	struct kept_back *back;
	size_t back_n;
};

/* Takes out of p->tree's layers what the image below has already, puts the rest into layer 0, and
 * whiteouts for what it has beyond: the layer on top of it that leads to the same tree. The layers
 * below go into the store. An image that is no good is ERR_VERIFY. */
int delta_make(struct packing *p, struct err *e) MUST_CHECK;
void delta_release(struct delta *d);

/* Why there is the layer; the caller owns it. */
char *delta_why(const struct delta *d) MUST_CHECK;

#endif
