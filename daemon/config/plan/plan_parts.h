/* Inside daemon/config: the making of a plan from a resolved config, one module a section. Each step reads its part of
 * ctx->root, fills ctx->plan, and adds what is wrong to the reader's lists; none stops at the first problem. */
#ifndef NEL_CONFIG_PLAN_PLAN_PARTS_H
#define NEL_CONFIG_PLAN_PLAN_PARTS_H

#include "config/plan/catalogue.h"
#include "config/plan/eval_plan.h"
#include "config/text/reader.h"

#define PLAN_WALLTIME_DEFAULT "01:00:00"
#define PLAN_MAX_WALLTIME_DEFAULT_S (120 * 3600)
#define PLAN_WALLTIME_AUTO_MAX_S (120 * 3600) /* what walltime: auto may give one attempt */
#define PLAN_MAX_WALLTIME_MIN_S 60            /* of one attempt: chain/budget.h */
#define PLAN_PROXY_PORT_DEFAULT 5009
#define PLAN_AUXILIARY_PROXY_PORT 5010 /* the first; they count up */
#define PLAN_PORT_MAX 65535
#define PLAN_NAME_MAX 200 /* bytes of a task's or auxiliary deployment's name */

/* Values in a config, by tree_weight(): what is written more than once is large only with many reals. */
#define PLAN_NODES_MAX 120000

/* What the tasks of an evaluation take from it, times their number. A submission's CPU time is in proportion. */
#define PLAN_SHARED_NODES_MAX 100000 /* by tree_weight() */
#define PLAN_SHARED_SIZE_MAX (8 * 1024 * 1024)

struct plan_ctx {
	struct reader reader;
	const json_t *root;                                                                /* the resolved config */
	const json_t *execution, *deployment, *auxiliaries, *evaluation, *target, *mounts; /* its parts; NULL: absent */
	const json_t *convert; /* likewise, of a conversion's config; NULL: it is of an evaluation */
	bool deployment_none;
	bool allow_commands;
	bool need_hostname;
	bool stored;        /* the config was accepted before: its size is not asked again */
	bool checked_tasks; /* plan_fill_tasks() has complained of tasks without container already */
	struct eval_plan *plan;
};

/* plan_schema.c: unknown keys, keys that were something once, and references where nothing resolves them. */
void plan_check_keys(const struct plan_ctx *ctx, bool strict);

/* plan_fill.c: what is written into the resolved config, so that a plan can be made from it alone. */
void plan_fill_legacy(const struct reader *r, json_t *root); /* judge_deployment, user_deployment */
void plan_fill_missing(const struct reader *r, const json_t *composed, json_t *root);
void plan_fill_tasks(const struct reader *r, json_t *root, const struct catalogue *catalogue, bool allow_unlisted);

/* plan_execution.c */
void plan_execution(struct plan_ctx *ctx);

/* plan_servers.c: the deployment and the auxiliaries, and the nodes of the allocation. After plan_execution(). */
void plan_servers(struct plan_ctx *ctx);

/* plan_command.c: the command line of an auxiliary deployment; NULL when it is wrong. free(). */
char *plan_auxiliary_command(const struct plan_ctx *ctx, const json_t *config, const char *base);

/* Is that command the launcher's of vLLM, for want of one of its own? */
bool plan_auxiliary_is_vllm(const json_t *config);

/* Reports that the server at that place has none, where neither command nor command_template says anything. */
void plan_need_command(const struct reader *r, const json_t *config, const char *base);

/* plan_tasks.c: one job a task. After plan_servers(). */
void plan_tasks(struct plan_ctx *ctx);

/* A pre_cmd or post_cmd ("" when absent); an error when it is there and not permitted. free(). */
char *plan_shell_code(const struct plan_ctx *ctx, const json_t *object, const char *base, const char *key);

/* plan_convert.c: the one job of a conversion, in place of servers and tasks. After plan_execution(). */
void plan_convert(struct plan_ctx *ctx);

/* plan_export.c */
void plan_export(struct plan_ctx *ctx);

/* plan_warnings.c: what is allowed but rarely meant. Last. */
void plan_warnings(struct plan_ctx *ctx);

#endif
