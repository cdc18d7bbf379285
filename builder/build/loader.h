/* loader.h - a program that cannot even begin says "No such file or directory", of itself. */
#ifndef BUILD_LOADER_H
#define BUILD_LOADER_H

#include "base/err.h"
#include "recipe/recipe.h"

struct job;

/* Looks whether the program of a step has what starts it in the tree at root: the loader of an ELF
 * file, the interpreter of a script; and whether one of 32 bits is expected. Refuses with ERR_STEP
 * and which package it is. What is no program at all, or not there, is left to the run. */
int loader_check(struct job *j, const struct recipe_step *st, const char *root,
		 struct err *e) MUST_CHECK;

#endif
