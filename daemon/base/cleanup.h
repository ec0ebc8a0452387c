/* Ownership by scope: CLEANUP(f) runs f on a local's address when it goes out of scope; TAKE(p) moves it out. */
#ifndef NEL_BASE_CLEANUP_H
#define NEL_BASE_CLEANUP_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f) __attribute__((cleanup(f), unused))

/* Returns p's value and leaves NULL in p. */
#define TAKE(p) \
	__extension__({ \
		__typeof__(p) t_ = (p); \
		(p) = NULL; \
		t_; \
	})

/* Defines `static inline void name_freep(type **p)` for CLEANUP from a free function that accepts NULL. */
#define DEFINE_FREEP(type, name, free_fn) \
	static inline void name##_freep(type **p) \
	{ \
		free_fn(*p); \
		*p = NULL; \
	}

static inline void mem_freep(void *p)
{
	void **pp = p;
	free(*pp);
	*pp = NULL;
}

static inline void fd_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void file_closep(FILE **f)
{
	if (*f != NULL)
		fclose(*f);
	*f = NULL;
}

static inline void json_freep(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

#endif
