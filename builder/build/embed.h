/* embed.h - where an image keeps what it was made from; see posmedia-reproducible(7). */
#ifndef BUILD_EMBED_H
#define BUILD_EMBED_H

#define EMBED_DIR     "/usr/share/posmedia"
#define EMBED_RECIPE  EMBED_DIR "/recipe.json"
#define EMBED_LOCK    EMBED_DIR "/recipe.lock"
#define EMBED_PROJECT EMBED_DIR "/project"

#endif
