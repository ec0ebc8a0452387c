/* Places where a test may have the process killed, as a power cut would end it. Release builds have none. */
#ifndef NEL_BASE_FAULT_H
#define NEL_BASE_FAULT_H

#ifdef NEL_FAULT_POINTS

/* Kills the process with SIGKILL when $NEL_FAULT_POINT is this name, or "<name>:<N>" and this is the Nth passing. Any
 * thread. */
void fault_point(const char *name);

#else

static inline void fault_point(const char *name)
{
	(void)name;
}

#endif

#endif
