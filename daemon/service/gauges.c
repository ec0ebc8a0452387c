#include "service/gauges.h"

#include "remote/workers.h"
#include "sched/scheduler.h"
#include "service/webhook_sender.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

bool service_cluster_gauges(struct service *service, const struct settings *settings, size_t index,
			    struct cluster_gauges *ret_gauges)
{
	const struct settings_cluster *cluster = &settings->clusters[index];
	struct observation_stats observed;
	struct lane_stats lane = {0};
	struct nel_err err;
	if (settings_cluster_by_name(settings, cluster->name) != cluster)
		return false;
	scheduler_observation(service->scheduler, cluster->name, NULL, &observed);
	lanes_stats(service->lanes, cluster->name, NULL, &lane, &err);
	*ret_gauges = (struct cluster_gauges){
	    .name = cluster->name,
	    .observed_at = observed.observed_at,
	    .failures = observed.failures,
	    .looks = observed.looks,
	    .bad_looks = observed.bad_looks,
	    .looks_ms = observed.looks_ms,
	    .looks_bytes = observed.looks_bytes,
	    .sessions = lane.ssh.sessions,
	    .busy = lane.ssh.busy,
	    .handshakes = lane.ssh.handshakes,
	    .execs = lane.ssh.execs,
	    .ssh_failures = lane.ssh.failures,
	    .breaker = breaker_state_name(lane.ssh.breaker),
	    .queued = lane.queued,
	};
	return true;
}

void service_gauges(struct service *service, struct daemon_gauges *ret_gauges)
{
	struct scheduler_load load;
	struct webhook_stats webhooks;
	scheduler_load(service->scheduler, &load);
	webhook_sender_stats(service->webhooks, &webhooks);
	*ret_gauges = (struct daemon_gauges){
	    .active_chains = load.active,
	    .scheduler_queue = load.queued,
	    .scheduler_silence_ms = scheduler_silence_ms(service->scheduler),
	    .webhooks_delivered = webhooks.delivered,
	    .webhooks_retried = webhooks.retried,
	    .webhooks_failed = webhooks.failed,
	    .webhooks_sending = webhooks.sending,
	};
}

static int64_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int64_t count = 0;
	if (directory == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* The process's start, in clock ticks after the machine's. */
static double start_after_boot_s(void)
{
	char text[1024];
	CLEANUP(file_closep) FILE *file = fopen("/proc/self/stat", "re");
	size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
	text[size] = '\0';
	/* The name, in parentheses, may have anything in it; starttime is field 22, the 20th behind it. */
	const char *p = strrchr(text, ')');
	for (int field = 0; p != NULL && field < 20; field++)
		p = strchr(p + 1, ' ');
	return p == NULL ? 0 : strtod(p, NULL) / (double)sysconf(_SC_CLK_TCK);
}

static double boot_time_s(void)
{
	struct timespec now;
	struct timespec since_boot;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return (double)(now.tv_sec - since_boot.tv_sec) + (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9;
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void service_process_gauges(struct process_gauges *ret_gauges)
{
	struct rusage usage = {0};
	struct rlimit limit = {0};
	long pages_virtual = 0;
	long pages_resident = 0;
	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &limit);
	CLEANUP(file_closep) FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL || fscanf(file, "%ld %ld", &pages_virtual, &pages_resident) != 2)
		pages_virtual = pages_resident = 0;
	int64_t page_size = sysconf(_SC_PAGESIZE);
	*ret_gauges = (struct process_gauges){
	    .cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
	    .started_at = boot_time_s() + start_after_boot_s(),
	    .resident_bytes = pages_resident * page_size,
	    .virtual_bytes = pages_virtual * page_size,
	    .descriptors = count_entries("/proc/self/fd"),
	    .descriptors_max = (int64_t)limit.rlim_cur,
	    .threads = count_entries("/proc/self/task"),
	};
}
