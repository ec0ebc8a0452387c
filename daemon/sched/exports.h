/* The export of a job that succeeded, a Slurm job of its own: what is asked about it, what the answers mean, and how it
 * stands in the store. It never changes the chain's state. Scheduler thread. */
#ifndef NEL_SCHED_EXPORTS_H
#define NEL_SCHED_EXPORTS_H

#include "db/db.h"
#include "sched/active_chain.h"
#include "slurm/collect.h"

#define EXPORT_FOLLOW_MAX_S (24 * 3600) /* after the chain's end it is no longer looked for */
#define EXPORT_LOOK_MIN_S 15            /* between looks, doubled each time */
#define EXPORT_LOOK_MAX_S 300
#define EXPORT_MISSES_MAX 3 /* looks in a row that do not find it; an exit code shows late on network file systems */

/* What the next collecting is to do with an export that has not ended: only a chain that succeeded has one. */
enum collect_export_request exports_request(const struct active_chain *chain, int64_t now_s);

/* Is everything of the chain but its export collected? */
bool exports_followed(const struct active_chain *chain);

/* What a look tells. before: the JSON in the store, or NULL. misses: such looks in a row, with this one, if it is one.
 * *ret_text: the JSON to be stored, owned; NULL when there is no export. Returns whether to look again. Pure. */
bool exports_judge(const struct collect_export *seen, const char *before, int misses, bool overdue, char **ret_text);

/* Stores what a look tells, with event and log line when it is new. */
int exports_take(struct db *db, struct active_chain *chain, const struct collect_export *seen, int64_t now_s,
		 bool *ret_open, struct nel_err *err);

/* The cluster could not be asked: an export that is overdue becomes unknown. Its secrets are still to be removed. */
int exports_missed(struct db *db, struct active_chain *chain, int64_t now_s, struct nel_err *err);

#endif
