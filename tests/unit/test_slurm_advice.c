/* What to try after a failure. */
#include "slurm/advice.h"

#include "cmocka_all.h"

#include <string.h>

static void test_advice_causes_are_found_in_log_and_reason(void **state)
{
	(void)state;
	static const struct {
		const char *reason;
		const char *log;
		const char *in_advice; /* NULL: none */
	} cases[] = {
	    {NULL, NULL, NULL},
	    {"FAILED: the job ended with exit code 1", "", NULL},
	    {"FAILED: the job ended with exit code 1", "something else\n", NULL},
	    {"FAILED", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "tensor_parallel_size"},
	    {"FAILED", "OSError: [Errno 28] No space left on device: '/cache/x'", "Free space"},
	    {"FAILED", "huggingface_hub.errors.GatedRepoError: 401 Client Error.", "licence"},
	    {"FAILED", "pyxis:     [ERROR] URL https://registry.example/v2/ returned error code: 404 Not Found", "tag"},
	    {"FAILED", "error: node a1 has no apptainer and no singularity on its PATH (/usr/bin)", "environment.PATH"},
	    {"FAILED",
	     "INFO:    Converting OCI blobs to SIF format\nFATAL:   Unable to handle docker://r.example/a/b:1 uri: "
	     "failed "
	     "to get checksum for docker://r.example/a/b:1: reading manifest 1 in r.example/a/b: manifest unknown",
	     "does not have that tag"},
	    {"FAILED",
	     "FATAL:   Unable to handle docker://a/b uri: failed to get checksum for docker://a/b: reading manifest "
	     "latest "
	     "in docker.io/a/b: errors:\ndenied: requested access to the resource is denied\nunauthorized: "
	     "authentication required",
	     "apptainer registry login"},
	    {"FAILED",
	     "FATAL:   Unable to handle docker://a/b uri: pinging container registry r.example: dial tcp: lookup "
	     "r.example: no such host",
	     "reach the registry"},
	    {"FAILED",
	     "FATAL:   While making image from oci registry: error fetching image to cache: toomanyrequests: You have "
	     "reached your pull rate limit",
	     "so often"},
	    {"FAILED",
	     "FATAL:   While making image from oci registry: error fetching image to cache: while building SIF from "
	     "layers: write /tmp/x: no space left on device",
	     "Free space"},
	    {"FAILED",
	     "FATAL:   container creation failed: mount hook function failure: mount /d->/m error: while mounting /d: "
	     "mount source /d doesn't exist",
	     "A mount failed"},
	    {"FAILED",
	     "FATAL:   could not open image /x.sif: failed to retrieve path for /x.sif: lstat /x.sif: no such file or "
	     "directory",
	     "check its path"},
	    {"FAILED", "FATAL:   \"nemo-evaluator\": executable file not found in $PATH", "lacks that program"},
	    {"FAILED", "OSError: [Errno 98] Address already in use", "deployment.port"},
	    /* The cause goes before what follows from it, wherever it stands. */
	    {"FAILED", "Connection refused\nCUDA out of memory\nConnection refused", "tensor_parallel_size"},
	    {"FAILED", "RuntimeError: oxidation", NULL},
	    {"FAILED", "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.", "exclude"},
	    /* The reason quotes the last line of the log. */
	    {"FAILED; client-7.log ends with: exec format error", NULL, "processor"},
	    {"OUT_OF_MEMORY: the job used more memory than it had been given", "all well", "mem: 0"},
	    {"the walltime budget is spent: 2 attempts ran 120 s of 120 s", NULL, "reset_budget"},
	    {"the walltime budget has less than 60 s left", NULL, "reset_budget"},
	    {"attempt 1 ended with TIMEOUT, and execution.auto_resume.mode is off", NULL, "mode: daemon"},
	    /* That some of it is left is no advice to start a new one. */
	    {"attempt 1 ended with TIMEOUT, and execution.auto_resume.mode is off; it ran 61 s on a1; 3539 s of the "
	     "walltime budget are left",
	     NULL, "mode: daemon"},
	    {"FAILED: the job ended with exit code 1; attempt 1 ran 61 s; 3539 s of the walltime budget are left", NULL,
	     NULL},
	    {"Batch job submission failed: Invalid account or account/partition combination specified", NULL,
	     "execution.account"},
	    {"Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)", NULL,
	     "execution.walltime"},
	    {"Slurm job 12 was cancelled on the cluster, not through this service", NULL, "Resume"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *advice = advice_for(cases[i].reason, cases[i].log);
		if (cases[i].in_advice == NULL)
			assert_null(advice);
		else
			assert_non_null(advice != NULL ? strstr(advice, cases[i].in_advice) : NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_advice_causes_are_found_in_log_and_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
