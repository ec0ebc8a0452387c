/* Plans made by hand, for the tests of daemon/slurm. */
#ifndef NEL_TESTS_SLURM_PLAN_H
#define NEL_TESTS_SLURM_PLAN_H

#include "slurm/script.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ENV(array) ((struct env_group){.vars = (array), .count = COUNT(array)})
#define MOUNTS(array) ((struct mount_list){.items = (array), .count = COUNT(array)})

#define PLAN_EVALUATION "0123456789abcdef"
#define PLAN_RUNDIR "/shared/out/20260131_120000-" PLAN_EVALUATION

static struct sbatch_flag plan_flags[] = {{.name = "exclusive"}, {.name = "switches", .value = "1"}};

static struct env_var plan_job_env[] = {
    {.name = "API_KEY", .source = ENV_HOST, .value = "API_KEY"},
    {.name = "HF_HOME", .source = ENV_LITERAL, .value = "/cache/hf"},
    {.name = "NODE_NAME", .source = ENV_RUNTIME, .value = "SLURMD_NODENAME"},
};

static struct env_var plan_server_env[] = {
    {.name = "HF_TOKEN", .source = ENV_HOST, .value = "HF_TOKEN"},
    {.name = "HF_HOME", .source = ENV_LITERAL, .value = "/root/.cache"},
};

static struct env_var plan_judge_env[] = {
    {.name = "HF_TOKEN", .source = ENV_HOST, .value = "JUDGE_HF_TOKEN"},
};

static struct env_var plan_export_env[] = {
    {.name = "WANDB_API_KEY", .source = ENV_HOST, .value = "WANDB_API_KEY"},
    {.name = "WANDB_PROJECT", .source = ENV_LITERAL, .value = "evals"},
};

static struct mount plan_server_mounts[] = {
    {.source = "/models/llama", .target = "/checkpoint", .flags = "ro"},
    {.source = "/scratch/cache", .target = "/cache"},
};

static struct endpoint plan_endpoints[] = {
    {.name = "chat", .path = "/v1/chat/completions"},
    {.name = "health", .path = "/health"},
};

static struct plan_job plan_jobs[] = {{
    .index = 0,
    .task = "mmlu",
    .file_name = "mmlu",
    .container = "nvcr.io#nvidia/eval-factory/simple-evals:25.11",
    .endpoint_type = "chat",
    .pre_cmd = "",
    .post_cmd = "",
}};

static char *plan_destinations[] = {"wandb", "mlflow"};

/* A hosted endpoint: no server at all. */
static struct eval_plan plan_none(void)
{
	return (struct eval_plan){
	    .account = "team",
	    .output_dir = "/shared/out",
	    .partition = "batch",
	    .gres = "gpu:8",
	    .subproject = "nemo-evaluator-launcher",
	    .mpi = "pmix",
	    .ntasks_per_node = 1,
	    .total_nodes = 1,
	    .walltime_s = 3600,
	    .max_walltime_s = 432000,
	    .readiness_timeout_s = 3600,
	    .sbatch_flags = plan_flags,
	    .sbatch_flag_count = COUNT(plan_flags),
	    .proxy_image = "haproxy:latest",
	    .jobs = plan_jobs,
	    .job_count = COUNT(plan_jobs),
	};
}

static struct server plan_server(void)
{
	return (struct server){
	    .name = "deployment",
	    .type = "vllm",
	    .image = "vllm/vllm-openai:latest",
	    .command = "vllm serve /checkpoint --port 8000 --served-model-name llama",
	    .pre_cmd = "",
	    .served_model_name = "llama",
	    .port = 8000,
	    .num_nodes = 1,
	    .num_instances = 1,
	    .n_tasks = 1,
	    .proxy_port = 5009,
	    .health_path = "/health",
	    .proxy_health_path = "/health",
	    .proxy_health_status = 200,
	    .endpoints = plan_endpoints,
	    .endpoint_count = COUNT(plan_endpoints),
	    .env = ENV(plan_server_env),
	    .mounts = MOUNTS(plan_server_mounts),
	    .mount_home = true,
	};
}

static struct server plan_judge(void)
{
	struct server judge = plan_server();
	judge.name = "judge";
	judge.env_prefix = "JUDGE";
	judge.command = "vllm serve judge-model --port 8001";
	judge.served_model_name = "judge-model";
	judge.port = 8001;
	judge.proxy_port = 5010;
	judge.env = ENV(plan_judge_env);
	judge.mounts = (struct mount_list){0};
	judge.mount_home = false;
	return judge;
}

/* One order of attempt 1 for job 0. */
static struct attempt_order plan_order(void)
{
	return (struct attempt_order){
	    .job_index = 0,
	    .number = 1,
	    .job_name = "team-nemo-evaluator-launcher.mmlu.0-" PLAN_EVALUATION ".1",
	    .time_limit_s = 3600,
	    .budget_from = 1,
	    .budget_left_s = 9000,
	};
}

#endif
