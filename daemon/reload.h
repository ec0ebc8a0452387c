/* Other settings while the daemon runs (SIGHUP). Settings never change once they are read: a reload reads new ones,
 * tells everybody, and keeps those before until the daemon stops, since any thread may still look at them. So nobody
 * takes a lock or counts references to read a setting; the price is RELOADS_MAX. Main thread only. */
#ifndef NEL_RELOAD_H
#define NEL_RELOAD_H

#include "remote/workers.h"
#include "sched/scheduler.h"
#include "service/service.h"

#define RELOADS_MAX 1000 /* then a restart is wanted */

/* The settings in force last; all of them are freed by reload_done(). */
struct reload {
	struct settings *kept[RELOADS_MAX + 1];
	size_t count;
};

/* The settings of the start; taken over. */
void reload_begin(struct reload *reload, struct settings *settings);
void reload_done(struct reload *reload); /* when no thread is left that looks at them */

struct settings *reload_current(const struct reload *reload);

/* Reads the file again and puts it in force, or logs why not and leaves all as it was. */
void reload_run(struct reload *reload, struct service *service);

#endif
