/* What an evaluation config means: the typed plan that daemon/slurm renders. The files of this folder make it, each its
 * part; others only read it. */
#ifndef NEL_CONFIG_PLAN_EVAL_PLAN_H
#define NEL_CONFIG_PLAN_EVAL_PLAN_H

#include "base/cleanup.h"
#include "config/plan/containers.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define EVAL_JOBS_MAX 1000
#define EVAL_NODES_MAX 4096
#define EVAL_CLUSTERS_MAX 100 /* that execution.cluster may list */

/* Where the value of an environment variable comes from. */
enum env_source {
	ENV_HOST,    /* a secret by name: the submission's env, the person's secrets, the team's */
	ENV_LITERAL, /* the value itself */
	ENV_RUNTIME  /* a variable read on the node */
};

struct env_var {
	char *name;
	enum env_source source;
	char *value; /* secret name, literal value, or variable name */
};

/* Sorted by name, names unique. */
struct env_group {
	struct env_var *vars;
	size_t count;
};

void env_group_done(struct env_group *group);

struct mount {
	char *source; /* absolute, on the cluster */
	char *target; /* absolute, in the container; ":ro" and the like split off */
	char *flags;  /* "ro", or NULL */
};

struct mount_list {
	struct mount *items;
	size_t count;
};

void mount_list_done(struct mount_list *mounts);

struct endpoint {
	char *name; /* "chat" */
	char *path; /* "/v1/chat/completions" */
};

/* A model server in the allocation: the deployment (name "deployment") or an auxiliary deployment. */
struct server {
	char *name;
	char *type; /* vllm, nim, ... never none */
	char *image;
	char *command; /* a shell command line, possibly of several lines; never "" in a plan without errors */
	char *pre_cmd; /* "" for none */
	char *served_model_name;
	int port;
	char *port_reference; /* of a port that is chosen on the node (config/compose/free_ports.h), in place of port;
				 or NULL */
	char **ray_port_references; /* of Ray's, likewise; NULL-terminated, or NULL */
	int num_nodes;              /* all instances together */
	int num_instances;          /* divides num_nodes */
	int n_tasks;                /* over all instances */
	int first_node;             /* index of its first node in the allocation */
	int proxy_port;             /* used when num_instances > 1 */
	char *proxy_port_reference;
	char *health_path;
	char *proxy_health_path;
	int proxy_health_status;
	char *env_prefix; /* auxiliaries: JUDGE gives JUDGE_CHAT_URL, JUDGE_MODEL_ID; NULL for the deployment */
	struct endpoint *endpoints;
	size_t endpoint_count;
	struct env_group env;
	struct mount_list mounts;
	bool mount_home;
};

/* In which order jobs are evaluated that share a deployment. */
enum share_order_by { SHARE_AS_WRITTEN, SHARE_SHORTEST_FIRST };

enum resume_mode { RESUME_DAEMON, RESUME_IN_JOB, RESUME_OFF };

/* One task of the evaluation. */
struct plan_job {
	int index;
	char *task; /* as named in the config, without a harness prefix's dot removed: "mmlu", "simple_evals.mmlu" */
	char *
	    file_name; /* the task as a name for directories and job names: [A-Za-z0-9_.-] only; not unique by itself */
	char *container;
	char *endpoint_type; /* "chat" */
	char *pre_cmd;       /* "" for none */
	char *post_cmd;
	char *gpu_visible; /* NVIDIA_VISIBLE_DEVICES for the evaluation; NULL: "void", none visible */
	struct env_group env;
	struct mount_list mounts; /* dataset_dir included; /results is not */
	/* config_ef.yaml, complete but for the URLs of auxiliary deployments, which are known at run time: they stand
	 * as
	 * "${JUDGE_CHAT_URL}" (env_prefix, "_", the endpoint's name in upper case, "_URL") anywhere in a text. The
	 * job's script replaces exactly the names that the plan's auxiliaries have (endpoints but "health"), nothing
	 * else. */
	json_t *evaluator_config;
};

struct sbatch_flag {
	char *name;  /* "exclusive" */
	char *value; /* NULL: a bare flag; "" is emitted as --name= */
};

struct plan_export {
	char **destinations;
	size_t destination_count;
	char *install_cmd;
	char *image;
	char *partition;
	struct env_group env;
	struct mount_list mounts;
};

struct eval_plan {
	char **open_clusters; /* as execution.cluster has them ("any" alone: all), NULL-terminated, when they are open;
				 then nothing else is here */
	/* The whole config, composed, interpolated and filled in (container and endpoint_type of each task, null for
	 * what is missing and not needed); has no secret values. Shared with the jobs' evaluator_config: not to be
	 * changed. */
	json_t *resolved;

	char *hostname; /* execution.hostname; NULL when it is missing and execution.cluster is used, or in a render */
	char *cluster;  /* execution.cluster, or NULL */
	char *username; /* execution.username as resolved; "" or NULL: not known */
	char *account;
	char *output_dir; /* absolute */
	char *partition;
	char *gres;          /* NULL: no --gres */
	char *gpus_per_node; /* NULL: none */
	char *subproject;
	char *comment; /* NULL: none */
	char *mpi;     /* "pmix"; NULL: none */
	int ntasks_per_node;
	int total_nodes;        /* model and auxiliaries */
	int64_t walltime_s;     /* of an attempt; with walltime_auto the longest that one may get */
	bool walltime_auto;     /* it is chosen anew for each, when it is submitted */
	int64_t max_walltime_s; /* -1: unlimited */
	int64_t readiness_timeout_s;
	int64_t move_after_s; /* not started for so long, it goes to another cluster that is open; 0: it stays */
	int64_t idle_limit_s; /* an attempt that does nothing for so long is ended; 0: none is */
	enum resume_mode resume_mode;
	char **resume_on;  /* NULL-terminated Slurm states */
	int max_attempts;  /* 0: no limit but the budget */
	int share_at_once; /* how many jobs are evaluated at once on the deployment that all share; 0: each has its own;
			      also without a deployment */
	enum share_order_by share_order;
	struct sbatch_flag *sbatch_flags;
	size_t sbatch_flag_count;
	char *proxy_image; /* haproxy:latest */
	/* The cluster's, not the config's: whoever has the settings sets it before a script is made. */
	enum containers containers;

	char *model;               /* for filters: served_model_name or target model_id */
	struct server *deployment; /* NULL: deployment none */
	struct server *auxiliaries;
	size_t auxiliary_count;
	struct plan_job *jobs;
	size_t job_count;
	struct plan_export *export_; /* NULL: no auto export */
	/* Of a checkpoint's conversion (plan_convert.h), whose one job runs pre_cmd in its container, and no evaluator:
	 * what of its output is evaluated, "" for all of it. NULL: an evaluation. */
	char *conversion;
};

void eval_plan_free(struct eval_plan *plan); /* accepts NULL */
DEFINE_FREEP(struct eval_plan, eval_plan, eval_plan_free)

/* The job with that index; NULL when there is none. */
const struct plan_job *eval_plan_job(const struct eval_plan *plan, int index);

/* Do all jobs share one deployment, in one chain? */
bool eval_plan_is_shared(const struct eval_plan *plan);

/* The GPUs that the script asks Slurm for on each node: of gpus_per_node, else of gres; -1 where that cannot be read
 * (config/plan/gres.h). */
int64_t eval_plan_gpus_per_node(const struct eval_plan *plan);

/* The same, on all nodes together; 0 where that cannot be read. */
int64_t eval_plan_gpus(const struct eval_plan *plan);

/* The secret names that host: variables of the plan want, sorted, unique, NULL-terminated; free each and the array. */
char **eval_plan_secret_names(const struct eval_plan *plan);

#endif
