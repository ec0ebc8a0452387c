"""Every type of deployment and every layout of nodes, run on the real clusters."""

import json
import re
from pathlib import Path

import pytest
import yaml

from configs import MODEL, SCORE, task
from submissions import Submissions, artifact, exit_code, lines_of, log, variables
from testbed import answers

submissions = Submissions()
submission = submissions.add

JUDGE = "nel-test/judge"
# Asks the judge, once a question, as an evaluator would, and keeps its answers.
ASK_JUDGE = """
for n in 1 2 3 4 5 6 7 8; do
  curl -fsS -H 'Content-Type: application/json' "$JUDGE_CHAT_URL" \\
    -d '{"model": "'"$JUDGE_MODEL_ID"'", "messages": [{"role": "user", "content": "What is '$n' + 0?"}]}' || exit 66
  echo
done >/results/judgements
"""


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    """run(name): the ended job of a submission; all are submitted before the first is waited for."""
    return submissions.submit_all(bed, daemon, model_server).ended


def address(bed, cluster, node):
    return re.search(r"NodeAddr=(\S+)", bed.run(cluster, "scontrol", "show", "node", node)).group(1)


def evaluator_config(job):
    return yaml.safe_load(artifact(job, "config_ef.yaml"))


def requests_in(text):
    """How many questions the log of a stand-in server shows."""
    return len(re.findall(r'"POST /v1/\S+ HTTP/1.1" 200', text))


def check_scored(daemon, job, count=4):
    assert exit_code(job) == 0
    assert set(daemon.client.scores(job["id"]).values()) == {SCORE}
    assert len(answers(job)) == count


# ---- nodes and instances ----

@submission("alpha")
def two_nodes(site):
    command = """
    env -0 >/results/env.$PROC_ID
    if [ "$PROC_ID" = 0 ]; then $SERVE; else sleep infinity; fi"""
    return site.generic(command, execution={"num_nodes": 2, "ntasks_per_node": 2, "deployment": {"n_tasks": 4}})


def test_deployment_over_two_nodes_has_a_head_and_knows_all_addresses(bed, daemon, run):
    job = run("two_nodes")
    check_scored(daemon, job)
    addresses = [address(bed, "alpha", node) for node in ("a1", "a2")]
    seen = {rank: variables(job, f"env.{rank}") for rank in range(4)}
    for rank, env in seen.items():
        assert env["PROC_ID"] == env["SLURM_PROCID"] == str(rank)
        assert env["MASTER_IP"] == addresses[0]
        assert env["ALL_NODE_IPS"] == ",".join(addresses)
        assert env["NODES_PER_INSTANCE"] == "2"
    assert [seen[rank]["SLURMD_NODENAME"] for rank in range(4)] == ["a1", "a1", "a2", "a2"]
    assert len(list((Path(job["rundir"]) / "logs").glob("server-0-*.log"))) == 4
    assert job["attempts"][0]["nodes"] == "a[1-2]"


@submission("alpha")
def two_instances(site):
    health = {"endpoints": {"health": "/v1/health/ready"}}
    return site.vllm(task(limit=40, delay_s=0.05), deployment=health, execution={
        "num_nodes": 2, "num_instances": 2, "proxy": {"config": {"haproxy_port": site.port + 7}}})


def test_two_instances_behind_haproxy_share_the_requests(daemon, run):
    job = run("two_instances")
    check_scored(daemon, job, 40)
    url = evaluator_config(job)["target"]["api_endpoint"]["url"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+7/v1/chat/completions", url)
    shares = [requests_in(log(job, f"server-{g}-*.log")) for g in (0, 1)]
    assert sum(shares) == 40
    assert min(shares) >= 10, shares
    assert "instance0" in log(job, "proxy-*.log") and "instance1" in log(job, "proxy-*.log")
    assert "option httpchk GET /v1/health/ready\n" in (Path(job["rundir"]) / "proxy.cfg").read_text()


@submission("alpha")
def ray(site):
    return site.vllm(deployment={"type": "vllm_ray"}, execution={"num_nodes": 2})


def test_vllm_ray_starts_a_head_and_a_worker_by_rank(daemon, run):
    job = run("ray")
    check_scored(daemon, job)
    head, worker = log(job, "server-0-*-0.log"), log(job, "server-0-*-1.log")
    assert "node_2" in head and requests_in(head) == 4
    assert "Ray runtime started" in worker and "vllm" not in worker


# ---- types ----

@submission("beta")
def sglang(site):
    return site.config({"type": "sglang", "checkpoint_path": None, "hf_model_handle": "org/model"})


def test_sglang_serves_a_handle(daemon, run):
    job = run("sglang")
    check_scored(daemon, job)
    assert "sglang serving" in log(job, "server-0-*.log")


@submission("beta")
def nim(site):
    return site.config({"type": "nim", "image": site.env["NEL_IMAGE"], "env_vars": {
        "NIM_SERVER_PORT": f"lit:{site.port}", "NIM_MODEL_NAME": f"lit:{MODEL}"}})


def test_nim_starts_by_its_own_entrypoint_and_is_asked_at_its_own_health_path(daemon, run):
    job = run("nim")
    check_scored(daemon, job)
    server = log(job, "server-0-*.log")
    assert "nim serving" in server and "stand-in for an NVIDIA image" in server
    assert "GET /v1/health/ready" in server and "GET /health " not in server


@submission("beta")
def trtllm(site):
    # trtllm-serve calls the model as its directory is called.
    return site.config({"type": "trtllm", "checkpoint_path": site.env["NEL_CHECKPOINT"], "served_model_name": "checkpoint"})


def test_trtllm_serves_a_checkpoint(daemon, run):
    job = run("trtllm")
    check_scored(daemon, job)
    assert "trtllm serving checkpoint" in log(job, "server-0-*.log")


@submission("beta", role="user")
def generic(site):
    return site.generic("$SERVE", task(name="lm-evaluation-harness.mmlu"),
                        deployment={"endpoints": {"completions": "/v1/completions", "health": "/v1/health/live"}})


def test_generic_serves_completions_by_the_endpoint_type_of_the_task(daemon, run):
    job = run("generic")
    check_scored(daemon, job)
    assert evaluator_config(job)["target"]["api_endpoint"]["type"] == "completions"
    server = log(job, "server-0-*.log")
    assert "POST /v1/completions" in server and "GET /v1/health/live" in server


@submission("beta", role="user", env={"MODELS_API_KEY": "sk-e2e-model-server-key"})
def external(site):
    return site.external()


def test_deployment_none_starts_no_server(daemon, run):
    job = run("external")
    check_scored(daemon, job)
    assert log(job, "server-*") == ""
    assert "waiting for" not in log(job, "slurm-*.log")


# ---- auxiliaries ----

def judge(site, num_nodes, num_instances, **execution):
    """A judge out of the group for vLLM, with a model of its own on nodes of its own."""
    references = {"judge": {"url": "${auxiliary_deployments.judge.chat_url}",
                            "model_id": "${auxiliary_deployments.judge.model_id}"}}
    return site.vllm(
        task(extra=references),
        defaults=["deployment/vllm@auxiliary_deployments.judge"],
        execution=execution,
        evaluation={"post_cmd": ASK_JUDGE},
        auxiliary_deployments={"judge": {
            "checkpoint_path": None, "hf_model_handle": "org/judge", "served_model_name": JUDGE,
            "port": site.port + 3, "tensor_parallel_size": 1, "num_nodes": num_nodes, "num_instances": num_instances}})


def check_judge(daemon, job, url):
    check_scored(daemon, job)
    told = evaluator_config(job)["config"]["params"]["extra"]["judge"]
    assert told == {"url": url, "model_id": JUDGE}
    replies = [json.loads(line) for line in lines_of(job, "judgements")]
    assert [reply["model"] for reply in replies] == [JUDGE] * 8
    assert requests_in(log(job, "server-0-*.log")) == 4
    assert "serving " + JUDGE in log(job, "judge-server-0-*.log")


@submission("alpha")
def judge_on_one_node(site):
    return judge(site, 1, 1)


def test_judge_serves_its_own_model_on_its_own_node(bed, daemon, run):
    job = run("judge_on_one_node")
    port = re.search(r"http://[^:]+:(\d+)", log(job, "judge-server-0-*.log")).group(1)
    check_judge(daemon, job, f"http://{address(bed, 'alpha', 'a2')}:{port}/v1/chat/completions")
    assert requests_in(log(job, "judge-server-0-*.log")) == 8
    assert job["attempts"][0]["nodes"] == "a[1-2]"


@submission("alpha")
def judge_of_two_instances(site):
    return judge(site, 2, 2, partition="wide")


def test_judge_of_two_instances_has_a_proxy_of_its_own(daemon, run):
    job = run("judge_of_two_instances")
    port = re.search(r"port (\d+): nel-port\(judge-proxy:5010\)", log(job, "slurm-*.log")).group(1)
    check_judge(daemon, job, f"http://127.0.0.1:{port}/v1/chat/completions")
    shares = [requests_in(log(job, f"judge-server-{g}-*.log")) for g in (0, 1)]
    assert sum(shares) == 8 and min(shares) >= 1, shares
    assert job["attempts"][0]["nodes"] == "a[1-3]"


@submission("alpha", env={"JUDGE_SECRET": "of the judge"})
def judge_over_two_nodes(site):
    out = Path(site.env["NEL_OUTPUT"]) / f"judge-{site.port}"
    out.mkdir(exist_ok=True)
    out.chmod(0o777)
    command = """env -0 >/out/env.$PROC_ID
    if [ "$PROC_ID" = 0 ]; then
        vllm serve org/judge --port {port} --served-model-name {served_model_name}
    else
        sleep infinity
    fi"""
    return site.vllm(
        execution={"partition": "wide", "mounts": {"mount_home": False, "auxiliary": {"big-judge": {str(out): "/out"}}}},
        evaluation={"pre_cmd": "env -0 >/results/env", "post_cmd": ASK_JUDGE.replace("JUDGE_", "BIG_JUDGE_")},
        env_vars={"EVERYWHERE": "lit:yes"},
        auxiliary_deployments={"big-judge": {
            "type": "generic", "image": site.env["NEL_IMAGE"], "command_template": command, "served_model_name": JUDGE,
            "port": site.port + 3, "num_nodes": 2, "env_vars": {"OWN": "host:JUDGE_SECRET"},
            "endpoints": {"chat": "/v1/chat/completions", "health": "/health"}}})


def test_judge_over_two_nodes_has_a_head_and_an_environment_of_its_own(bed, daemon, run):
    job = run("judge_over_two_nodes")
    check_scored(daemon, job)
    addresses = [address(bed, "alpha", node) for node in ("a2", "a3")]
    out = Path(re.search(r"(/\S+):/out", (Path(job["rundir"]) / "run.sub").read_text()).group(1))
    for rank in (0, 1):
        env = dict(line.split("=", 1) for line in (out / f"env.{rank}").read_text().split("\0") if line)
        assert (env["PROC_ID"], env["MASTER_IP"], env["NODES_PER_INSTANCE"]) == (str(rank), addresses[0], "2")
        assert env["ALL_NODE_IPS"] == env["BIG_JUDGE_ALL_NODE_IPS"] == ",".join(addresses)
        assert (env["EVERYWHERE"], env["OWN"]) == ("yes", "of the judge")
    env = variables(job)
    assert re.fullmatch(rf"http://{addresses[0]}:\d+/v1/chat/completions", env["BIG_JUDGE_CHAT_URL"])
    assert "OWN" not in env and "BIG_JUDGE_HEALTH_URL" not in env
    assert len(lines_of(job, "judgements")) == 8
