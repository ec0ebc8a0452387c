// What a program with the generated types does: submits, lists, reads a job, and is refused in words. What is marked as an
// error must be one: the types know the service.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const config = {
  defaults: [{ execution: "slurm/default" }, { deployment: "none" }, "_self_"],
  execution: { hostname: "login.alpha.example", account: "team", output_dir: "/shared/out", mounts: { mount_home: false } },
  target: { api_endpoint: { url: "https://models.example.com/v1/chat/completions", model_id: "org/model" } },
  evaluation: { tasks: [{ name: "lm-evaluation-harness.ifeval" }, { name: "simple_evals.mmlu_pro" }] },
};
const client = createClient<paths>({
  baseUrl: process.env["NEL_URL"] ?? "",
  headers: { Authorization: `Bearer ${process.env["NEL_TOKEN"]}` },
});
const body = { config, overrides: ["execution.walltime=01:00:00"], labels: { team: "red" } };

const tried = await client.POST("/v1/evaluations", { body, params: { query: { dry_run: true } } });
assert(tried.data && "rundir" in tried.data);
assert(tried.data.jobs[0]?.script?.includes("--time=01:00:00"));

const made = await client.POST("/v1/evaluations", { body, params: { header: { "Idempotency-Key": "one" } } });
assert(made.data && "id" in made.data);
const evaluation: components["schemas"]["Evaluation"] = made.data;
assert.deepEqual(evaluation.labels, { team: "red" });

const page = await client.GET("/v1/evaluations", { params: { query: { label: "team:red", limit: 10 } } });
assert(page.data);
assert.deepEqual(page.data.items.map((one) => one.id), [evaluation.id]);
const id = page.data.items[0]?.jobs[1]?.id ?? "";
const job = await client.GET("/v1/jobs/{id}", { params: { path: { id } } });
assert(job.data);
const budget: components["schemas"]["Budget"] = job.data.budget;
assert.equal(budget.used_s, 0);
assert.equal(job.data.task, "simple_evals.mmlu_pro");
assert.equal(job.data.history[0]?.to, "queued");

const token = await client.POST("/v1/tokens", { body: { label: "of a client" } });
assert(token.data?.token?.startsWith("nel_"));
const nothing = await client.GET("/v1/jobs/{id}", { params: { path: { id: "0123456789abcdef.0" } } });
assert.equal(nothing.error?.status, 404);
assert(nothing.error.detail);

// @ts-expect-error there is no such member
void job.data.no_such_member;
// @ts-expect-error there is no such state
const wrong: components["schemas"]["JobState"] = "waiting";
// @ts-expect-error there is no such query parameter
void (() => client.GET("/v1/evaluations", { params: { query: { no_such_parameter: 1 } } }));
void wrong;
console.log("the TypeScript client has submitted, listed and read");
