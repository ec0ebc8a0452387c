/* The thread that has watched directories looked at and submits campaigns' values, each as its turn comes. All it knows
 * is in the store, so nothing is lost or done twice when the daemon ends. */
#ifndef NEL_SERVICE_CAMPAIGN_RUNNER_H
#define NEL_SERVICE_CAMPAIGN_RUNNER_H

#include "service/service.h"

struct campaign_runner;

/* Opens its own database connection and starts the thread. The service must outlive it. */
int campaign_runner_start(struct service *service, struct campaign_runner **ret_runner, struct nel_err *err);

/* A campaign is new or goes on. Any thread; never blocks. NULL: nothing is done. */
void campaign_runner_wake(struct campaign_runner *runner);

/* Waits for the submission that is under way. Accepts NULL. */
void campaign_runner_stop(struct campaign_runner *runner);
void campaign_runner_free(struct campaign_runner *runner); /* once the lanes are stopped, too; accepts NULL */

#endif
