#include "slurm/pending.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are tried; a '*' stands for any rest. */
static const struct {
	const char *reason;
	const char *words;
} known[] = {
    {"Resources", "what the job asks for (nodes, GPUs, memory) is in use by others"},
    {"Priority", "jobs with a higher priority come first"},
    {"Dependency", "the attempt before it has not ended yet"},
    {"DependencyNeverSatisfied", "the job that it depends on ended otherwise than it needs; cancel and resume it"},
    {"BeginTime", "its earliest start time has not come"},
    {"Cleaning", "Slurm is still cleaning up after its last run"},
    {"Prolog", "the site's prolog is running"},
    {"WaitingForScheduling", "Slurm has not looked at it yet"},
    {"Licenses", "the licenses that it asks for are in use"},
    {"Reservation", "its reservation has not begun"},
    {"ReservationDeleted", "its reservation was deleted; cancel it and submit without it"},
    {"InvalidAccount", "Slurm does not know its account any more; correct execution.account and submit again"},
    {"InvalidQOS", "Slurm does not know its QOS any more; correct --qos and submit again"},
    {"BadConstraints", "no node has the features or hardware that it asks for; correct the request and submit again"},
    {"JobHeldAdmin", "an administrator of the cluster holds it; ask them"},
    {"JobHeldUser", "it is held; `scontrol release` lets it go"},
    {"JobHoldMaxRequeue", "Slurm requeued it too often and holds it; see the job's log, then `scontrol release`"},
    {"JobLaunchFailure", "Slurm could not start it (a file system, a node, the batch script)"},
    {"launch_failed_requeued_held", "Slurm could not start it and holds it; `scontrol release` tries again"},
    {"PartitionDown", "its partition is down; an administrator must bring it back"},
    {"PartitionInactive", "its partition starts no jobs at present"},
    {"PartitionNodeLimit",
     "it cannot start as it is: it asks for more nodes than the partition gives or has in service; "
     "cancel it, lower execution.num_nodes or change execution.partition, and submit again"},
    {"PartitionConfig",
     "it cannot start as it is: the partition does not have what it asks for, such as so many nodes; "
     "cancel it, lower the request (execution.num_nodes) or change execution.partition, and submit again"},
    {"PartitionTimeLimit", "it cannot start as it is: its time limit is above the partition's; cancel it, lower "
			   "execution.walltime or change execution.partition, and submit again"},
    {"AccountNotAllowed", "its account may not use the partition; cancel it, correct execution.account or "
			  "execution.partition, and submit again"},
    {"MaxMemPerLimit",
     "it asks for more memory than a node or CPU may have; cancel it, lower the request and submit again"},
    {"NodeDown", "a node that it needs is down"},
    {"ReqNodeNotAvail*", "a node that it needs is in use, reserved, drained or down"},
    {"MaxNodesPerAccount*", "the account has as many nodes as it may have at once"},
    {"AssocMaxJobsLimit", "the account runs as many jobs as it may at once"},
    {"AssociationJobLimit", "the account runs as many jobs as it may at once"},
    {"AssociationTimeLimit", "its time limit is above the account's; lower execution.walltime"},
    {"AssociationResourceLimit", "the account has as much as it may have at once"},
    {"AssocGrpBillingMinutes*", "the account's allocation is used up; ask whoever grants it"},
    {"AssocGrp*Minutes*", "the account's allocation is used up; ask whoever grants it"},
    {"AssocGrp*", "the account and those below it have as much as they may have at once"},
    {"AssocMaxJobs*", "the account runs as many jobs as it may at once"},
    {"AssocMax*", "it asks for more than the account may have in one job; lower the request or change "
		  "execution.account"},
    {"QOSJobLimit", "the QOS runs as many jobs as it may at once"},
    {"QOSResourceLimit", "the QOS has as much as it may have at once"},
    {"QOSTimeLimit", "its time limit is above that of the QOS; lower execution.walltime"},
    {"QOSUsageThreshold", "the account's usage is above what the QOS admits"},
    {"QOSNotAllowed", "the partition or account may not use its QOS; correct --qos and submit again"},
    {"QOSMinGRES", "it asks for fewer GPUs than the QOS needs; raise execution.gpus_per_node or change --qos"},
    {"QOSGrp*Minutes*", "the allocation of the QOS is used up; ask whoever grants it"},
    {"QOSGrp*", "those who share its QOS have as much as they may have at once"},
    {"QOSMaxJobs*", "as many jobs as the QOS lets a person run are running"},
    {"QOSMax*PerUser*", "you have as much as the QOS gives a person at once"},
    {"QOSMax*", "it asks for more than the QOS gives one job; lower the request or change --qos"},
    {"SystemFailure", "something failed in Slurm, a file system or the network; ask the cluster's administrators"},
    {"Nodes required for job are DOWN, DRAINED or reserved*", "nodes that could run it are out of service or reserved"},
};

/* Versions of Slurm print a reason of several words with spaces, or with underscores. */
static char underscored(char c)
{
	return c == ' ' ? '_' : c;
}

/* Does text, up to a comma, match the pattern, in which '*' stands for anything? */
static int matches(const char *pattern, const char *text)
{
	for (; *pattern != '\0'; pattern++, text++) {
		if (*pattern == '*') {
			if (pattern[1] == '\0')
				return 1;
			for (; *text != '\0'; text++)
				if (matches(pattern + 1, text))
					return 1;
			return 0;
		}
		if (underscored(*text) != underscored(*pattern))
			return 0;
	}
	return *text == '\0' || *text == ',';
}

const char *pending_words(const char *reason)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (matches(known[i].reason, reason))
			return known[i].words;
	return NULL;
}

void pending_describe(const char *reason, int64_t start_estimate, char *ret_line, size_t size)
{
	char at[CLOCK_RFC3339_SIZE];
	int said = reason[0] != '\0' && strcmp(reason, "None") != 0;
	const char *words = said ? pending_words(reason) : NULL;
	snprintf(ret_line, size, "Slurm%s%s%s%s%s%s", said ? ": " : "", said ? reason : "", words != NULL ? ": " : "",
		 words != NULL ? words : "", start_estimate > 0 ? "; it may start at " : "",
		 start_estimate > 0 ? clock_rfc3339(start_estimate, at) : "");
}

int pending_estimate_moved(int64_t before, int64_t after, int64_t now_s)
{
	if ((before == 0) != (after == 0))
		return 1;
	int64_t by_s = after > before ? after - before : before - after;
	int64_t until_s = after > now_s ? after - now_s : 0;
	return by_s > 60 && by_s > until_s / 10;
}
