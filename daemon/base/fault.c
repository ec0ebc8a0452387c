/* Owns the choice of the fault point at which the process dies, and how often it has been passed. */
#include "base/fault.h"

#ifdef NEL_FAULT_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char wanted[64];
static long wanted_passing = 1;
static atomic_long passings;

static void read_wanted(void)
{
	const char *text = getenv("NEL_FAULT_POINT");
	size_t length = text == NULL ? 0 : strcspn(text, ":");
	if (length == 0 || length >= sizeof wanted)
		return;
	memcpy(wanted, text, length);
	if (text[length] == ':')
		wanted_passing = strtol(text + length + 1, NULL, 10);
}

void fault_point(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, read_wanted);
	if (strcmp(name, wanted) != 0 || atomic_fetch_add(&passings, 1) + 1 != wanted_passing)
		return;
	kill(getpid(), SIGKILL);
	pause();
}

#endif
