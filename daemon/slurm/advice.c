#include "slurm/advice.h"

#include <stddef.h>
#include <string.h>

struct rule {
	const char *words; /* case does not matter */
	const char *advice;
};

#define APPTAINER_LOGIN \
	"The registry refused the image: check its name, and log in to the registry on the cluster ('apptainer " \
	"registry " \
	"login', kept in ~/.apptainer/docker-config.json)."

/* Causes before their consequences: the first that is found counts. */
static const struct rule log_rules[] = {
    {"uncorrectable ecc", "A GPU of the node is broken: resume the job with that node excluded "
			  "(execution.sbatch_extra_flags: {exclude: NODE}) and tell the cluster's administrators."},
    {"nvrm: xid", "A GPU of the node reported a fault: resume the job with that node excluded "
		  "(execution.sbatch_extra_flags: {exclude: NODE}) and tell the cluster's administrators."},
    {"no space left on device", "Free space on that file system, or choose another execution.output_dir or cache "
				"directory, then resume the job."},
    {"disk quota exceeded", "Free space within the quota, or choose another execution.output_dir or cache directory, "
			    "then resume the job."},
    {"cuda out of memory", "The GPUs' memory is too small for the model: raise deployment.tensor_parallel_size with "
			   "execution.gpus_per_node, or lower --max-model-len in deployment.extra_args."},
    {"outofmemoryerror", "The GPUs' memory is too small for the model: raise deployment.tensor_parallel_size with "
			 "execution.gpus_per_node, or lower --max-model-len in deployment.extra_args."},
    {"no available memory for the cache blocks", "No GPU memory is left for the KV cache: raise "
						 "deployment.tensor_parallel_size or "
						 "deployment.gpu_memory_utilization, or lower --max-model-len in "
						 "deployment.extra_args."},
    {"kv cache is needed", "The KV cache does not hold one longest request: lower --max-model-len in "
			   "deployment.extra_args, or raise deployment.tensor_parallel_size."},
    {"stored in kv cache", "The KV cache does not hold one longest request: lower --max-model-len in "
			   "deployment.extra_args, or raise deployment.tensor_parallel_size."},
    {"must be divisible by tensor parallel size", "Choose a deployment.tensor_parallel_size that divides the model's "
						  "number of attention heads."},
    {"oom-kill", "The job used more memory than it had been given: ask for more, for example "
		 "execution.sbatch_extra_flags: {mem: 0} for all of a node's."},
    {"oom_kill", "The job used more memory than it had been given: ask for more, for example "
		 "execution.sbatch_extra_flags: {mem: 0} for all of a node's."},
    {"gatedrepoerror", "The model is gated: accept its licence with your Hugging Face account and give that account's "
		       "token as HF_TOKEN (a secret that env_vars names as $host:HF_TOKEN)."},
    {"access to model", "The model is gated: accept its licence with your Hugging Face account and give that account's "
			"token as HF_TOKEN (a secret that env_vars names as $host:HF_TOKEN)."},
    {"cannot access gated repo", "The model or data set is gated: accept its licence with your Hugging Face account "
				 "and give that account's token as HF_TOKEN (a secret that env_vars names as "
				 "$host:HF_TOKEN)."},
    {"repositorynotfounderror", "There is no such model or data set, or it is private: check its name, and give an "
				"HF_TOKEN that may read it."},
    {"is not a valid model identifier", "The model was not found: check that deployment.checkpoint_path exists on the "
					"cluster, or the spelling of deployment.hf_model_handle."},
    {"is not a local folder", "The model was not found: check that deployment.checkpoint_path exists on the cluster, "
			      "or the spelling of deployment.hf_model_handle."},
    {"does not appear to have a file named", "The checkpoint is not complete: look at deployment.checkpoint_path on "
					     "the cluster."},
    {"trust_remote_code", "The model brings code of its own: add --trust-remote-code to deployment.extra_args if you "
			  "trust it."},
    {"offlinemodeisenabled",
     "A download was needed although the offline mode is on: fill the cache first, or leave out "
     "HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE."},
    {"cannot find the requested files in the local cache", "A download was needed although the offline mode is on or "
							   "the node has no way out: fill the cache first and mount "
							   "it."},
    {"invalid api key", "The endpoint refused the key: check the secret that target.api_endpoint.api_key_name names."},
    {"incorrect api key", "The endpoint refused the key: check the secret that target.api_endpoint.api_key_name "
			  "names."},
    {"no apptainer and no singularity",
     "The compute nodes have no Apptainer on the PATH of jobs: have it installed, or "
     "environment.PATH of the cluster set to one that has it; pyxis is for clusters "
     "with that plugin."},
    {"requested access to the resource is denied", APPTAINER_LOGIN},
    {"unauthorized: authentication required", APPTAINER_LOGIN},
    {"invalid username/password", APPTAINER_LOGIN},
    {"toomanyrequests", "The registry lets nobody pull so often: log in to it on the cluster ('apptainer registry "
			"login'), or name a .sif file there."},
    {"mount hook function failure", "A mount failed: check that its source exists on the compute nodes, for the job's "
				    "account, and that the image can have something at its place."},
    {"could not use fakeroot", "Apptainer could not make the user root in his container: have the account put into "
			       "/etc/subuid and /etc/subgid, or taken out of both, on all nodes."},
    {"image format not recognized", "That file is no image that Apptainer knows: name a .sif file, a squashfs or a "
				    "sandbox directory."},
    {"could not open image", "The image is not there on the compute nodes, or not for the job's account: check its "
			     "path."},
    {"executable file not found in $path", "The image lacks that program: check deployment.command, and the image."},
    {"401 client error", "The server at that address refused the token: check the secret that env_vars gives it."},
    {"401 unauthorized", "The server at that address refused the credentials: check the secret, or for an image the "
			 "registry's entry in ~/.config/enroot/.credentials on the cluster."},
    {"returned error code: 401", "The registry refused the image: check its name, and the registry's entry in "
				 "~/.config/enroot/.credentials on the cluster."},
    {"returned error code: 403", "The registry refused the image: check its name, and the registry's entry in "
				 "~/.config/enroot/.credentials on the cluster."},
    {"returned error code: 404", "The registry does not have that image: check its name and tag."},
    {"manifest unknown", "The registry does not have that tag: check the image's name and tag."},
    {"failed to import docker image", "The image could not be fetched: check its name and tag and the registry's entry "
				      "in ~/.config/enroot/.credentials, or name a .sqsh file on the cluster."},
    {"unable to handle docker://",
     "The image could not be fetched: check its name and tag, that the compute nodes reach "
     "the registry, and the login there ('apptainer registry login' on the cluster), or "
     "name a .sif file on the cluster."},
    {"while making image from oci registry", "The image could not be fetched: check its name and tag, that the compute "
					     "nodes reach the registry, and the login there ('apptainer registry "
					     "login' on the cluster), or name a .sif file on the cluster."},
    {"no such file or directory: /", "A file or directory does not exist on the node: check the mounts and the paths "
				     "of the config."},
    {"429 client error", "The server at that address answers too many requests: lower parallelism, or try again "
			 "later."},
    {"too many requests", "The server at that address answers too many requests: lower parallelism, or try again "
			  "later."},
    {"address already in use", "Another program on the node uses the port: set deployment.port to another one, or ask "
			       "for whole nodes (execution.sbatch_extra_flags: {exclusive: true})."},
    {"exec format error", "The image was built for another processor than the node's: choose an image, or a partition, "
			  "that fits."},
    {"modulenotfounderror", "The image lacks that Python package: choose another image or tag, or install it with "
			    "pre_cmd."},
    {"unrecognized arguments", "The server does not know that option: correct deployment.extra_args or choose the "
			       "image of a version that has it."},
    {"command not found", "The image lacks that program: check deployment.command, pre_cmd, and the image."},
    {"nccl error", "The GPUs could not talk to each other: try fewer nodes or another one, and set NCCL_DEBUG=INFO in "
		   "env_vars to see why."},
    {"maximum context length", "A prompt with its answer is longer than the model takes: lower max_new_tokens, or "
			       "raise --max-model-len in deployment.extra_args."},
    {"permission denied", "The account of the job may not use that path: change its permissions, the mount, or the "
			  "path."},
    {"was not ready after", "The server needs longer to start, or hangs: look at its log, and raise "
			    "execution.endpoint_readiness_timeout."},
    {"connection refused", "The evaluator did not reach the model's server: look at the server's log."},
};

static const struct rule reason_rules[] = {
    {"out_of_memory", "Ask for more memory, for example execution.sbatch_extra_flags: {mem: 0} for all of a node's, or "
		      "lower parallelism."},
    {"walltime budget is spent", "Resume it with {\"reset_budget\": true} for a new budget, or submit with a larger "
				 "execution.max_walltime."},
    {"walltime budget has less than", "Resume it with {\"reset_budget\": true} for a new budget, or submit with a "
				      "larger execution.max_walltime."},
    {"auto_resume.mode is off", "Resume it, or submit with execution.auto_resume.mode: daemon."},
    {"auto_resume.max_attempts", "Resume it, or submit with a larger execution.auto_resume.max_attempts."},
    {"auto_resume.on leaves out", "Resume it, or submit with that state in execution.auto_resume.on."},
    {"deadline", "Submit it without --deadline, or with a later one."},
    {"cancelled on the cluster", "Resume it when it was not meant to end."},
    {"is unknown to squeue", "Look at its log and artifacts; resume it to go on from what is there."},
    {"invalid account", "Check execution.account and execution.partition; `sacctmgr show assoc user=$USER` on the "
			"cluster lists what your account may use."},
    {"invalid partition", "Check execution.partition; `sinfo -s` on the cluster lists the partitions."},
    {"invalid qos", "Check --qos; `sacctmgr show assoc user=$USER` on the cluster lists what your account may use."},
    {"requested node configuration is not available", "No node of the partition has what is asked for: check "
						      "execution.gpus_per_node, execution.gres and the partition."},
    {"requested time limit is invalid", "execution.walltime is above the partition's limit, or more than "
					"sbatch_extra_flags.deadline leaves: lower it (the chain goes on in further "
					"attempts), or change execution.partition or the deadline."},
    {"more processors requested than permitted", "The nodes do not have as many CPUs: lower "
						 "execution.num_nodes or execution.ntasks_per_node."},
    {"requested partition configuration not available", "The partition has not as many nodes, or they are out of "
							"service: check execution.num_nodes and execution.partition."},
    {"does not exist on", "Create it on the cluster, or correct the path in the config."},
};

static const char *find(const struct rule *rules, size_t count, const char *text)
{
	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strcasestr(text, rules[i].words) != NULL)
			return rules[i].advice;
	return NULL;
}

const char *advice_for(const char *reason, const char *log)
{
	const char *advice = find(log_rules, sizeof log_rules / sizeof log_rules[0], log);
	if (advice == NULL) /* the reason of a chain that failed quotes the log's last line */
		advice = find(log_rules, sizeof log_rules / sizeof log_rules[0], reason);
	return advice != NULL ? advice : find(reason_rules, sizeof reason_rules / sizeof reason_rules[0], reason);
}
