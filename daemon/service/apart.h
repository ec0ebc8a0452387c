/* What is done to keep people apart whose jobs run as one account on a cluster: mounts that would lead to other
 * people's runs, or to the account's own files, are refused, and its home is not mounted. It hinders, and is no wall
 * (nel-slurmd(8), "One account for all"). Symbolic links are looked at on the cluster (refuse_source() of
 * script/run_body/09_mounts.sh). */
#ifndef NEL_SERVICE_APART_H
#define NEL_SERVICE_APART_H

#include "config/plan/eval_plan.h"
#include "config/settings/settings.h"
#include "db/db.h"

/* Why a path may not be mounted; NULL when it may. output_dir is the evaluation's, NULL where people have accounts of
 * their own; prefixes: it has to lie under one of these, NULL: anywhere. Pure; static text. */
const char *apart_refusal(const char *source, const char *output_dir, char *const *output_roots, char *const *prefixes);

/* Why a directory may not be watched for checkpoints; shared: people share the account. Likewise; links are looked at
 * on the cluster. */
const char *apart_watch_refusal(const char *directory, bool shared);

/* Calls refused() for each mount of the plan, and each path as an image for Apptainer, that may not be. role is the
 * submitter's, by its name; db knows where other evaluations have their run directories. */
int apart_check_mounts(const struct eval_plan *plan, const struct settings *settings,
		       const struct settings_cluster *cluster, struct db *db, const char *role,
		       void (*refused)(const char *pointer, const char *message, void *arg), void *arg,
		       struct nel_err *err);

/* Takes the home directory out of the plan's containers. True when it was in them. */
bool apart_leave_home_out(struct eval_plan *plan);

#endif
