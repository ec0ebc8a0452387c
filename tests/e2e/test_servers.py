"""Servers on nodes that others share: whose port it is, which model answers, and what becomes of an evaluation whose server
went away while it ran."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from configs import MODEL, SCORE, task
from submissions import Site, Submissions, artifact, log, variables
from testbed import SCRIPTS, wait_for

submissions = Submissions()
submission = submissions.add

# Counts what nobody answers as wrong, as some harnesses do.
FORGIVING = {"extra": {"forgiving": True}}


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    return submissions.submit_all(bed, daemon, model_server).ended


@pytest.fixture
def neighbour(bed):
    """neighbour(node, port): another program on a node of alpha that answers there as our model would."""
    made = []
    # A node sees what the cluster shares, and its own /tmp in place of the one that this project may lie in.
    scripts = bed.shared / "neighbour"
    shutil.copytree(SCRIPTS / "image/opt/nel-test/python", scripts / "image/opt/nel-test/python", dirs_exist_ok=True)
    shutil.copy(SCRIPTS / "model-server", scripts)

    def start(node, port):
        command = f"in_box {node} {scripts}/model-server --port {port} --model {MODEL}"
        process = subprocess.Popen(["bash", "-c", f". {SCRIPTS}/lib/common.bash; load_settings; {command}", SCRIPTS / "ctl"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        made.append(process)
        for line in process.stdout:
            if " serving " in line:
                return
        raise AssertionError("the server does not start")

    yield start
    for process in made:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


# ---- A server that goes away ----

@submission()
def dies_unnoticed(site):
    return site.vllm(task(24, delay_s=2, parallelism=1, **FORGIVING),
                     deployment={"env_vars": {"NEL_TEST_SERVER_DIE_AFTER_S": "lit:30"}})


def test_scores_do_not_count_when_the_server_died_and_the_evaluator_did_not_mind(run):
    job = run("dies_unnoticed", "failed")
    assert "acc" in artifact(job, "results.yml")
    assert "a server was away while the evaluation ran, so its scores do not count" in job["reason"]
    assert "engine process failed" in job["reason"]


@submission()
def comes_back(site):
    restarts = "for i in 1 2 3; do NEL_TEST_SERVER_DIE_AFTER_S=$((i == 1 ? 30 : 600)) $SERVE; sleep 16; done"
    return site.generic(restarts, task(24, delay_s=2, parallelism=1, **FORGIVING))


def test_scores_do_not_count_when_the_server_was_away_for_a_while(run):
    job = run("comes_back", "failed")
    assert re.search(r"deployment at 127\.0\.0\.1:\d+ refused connections at", job["reason"])


@submission(env={"MODELS_API_KEY": "sk-e2e-model-server-key"})
def judge_dies(site):
    judge = {"type": "vllm", "image": site.env["NEL_IMAGE"], "checkpoint_path": site.env["NEL_CHECKPOINT"],
             "served_model_name": "judge", "port": site.port + 2, "env_vars": {"NEL_TEST_SERVER_DIE_AFTER_S": "lit:30"},
             "endpoints": {"chat": "/v1/chat/completions", "health": "/health"}}
    return site.external(task(24, delay_s=2, parallelism=1), auxiliary_deployments={"judge": judge})


def test_scores_do_not_count_when_the_judge_died(run):
    assert "judge-server-0" in run("judge_dies", "failed")["reason"]


# ---- Who answers ----

@pytest.mark.parametrize("exclusive", [False, True])
def test_start_is_refused_when_the_port_answers_already(run, bed, model_server, neighbour, exclusive):
    neighbour("a2", 19990)
    flags = {"exclusive": exclusive, "nodelist": "a2"}
    client = submissions.daemon.client
    config = Site(bed, "alpha", 19990, model_server).vllm(task(), execution={"sbatch_extra_flags": flags})
    evaluation = client.wait_end(client.submit(config)["id"], "failed")
    reason = client.job(evaluation["jobs"][0]["id"])["reason"]
    assert re.search(r"port 19990 of [0-9.]+ answers although deployment was not started yet", reason)


@submission()
def foreign_model(site):
    serve = "sleep 3; exec vllm serve x --port %d --served-model-name another" % site.port
    return site.generic(serve, execution={"endpoint_readiness_timeout": 10})


def test_foreign_model_is_not_ready(run):
    job = run("foreign_model", "failed")
    assert f"/v1/models lists another, not {MODEL}" in job["reason"]


@submission()
def no_list(site):
    server = ("python3 -c 'import http.server, sys\n"
              "sys.path.insert(0, \"/opt/nel-test/python\")\n"
              "import nel_test_server as s\n"
              "get = s.Handler.do_GET\n"
              "s.Handler.do_GET = lambda h: h.refuse(404, \"no\", \"no\") if h.path == \"/v1/models\" else get(h)\n"
              "s.serve(\"x\", \"0.0.0.0\", %d, [\"%s\"])'" % (site.port, MODEL))
    return site.generic(server)


def test_server_without_a_list_of_models_is_ready_when_its_health_says_so(run):
    assert f"{SCORE}" in artifact(run("no_list"), "results.yml")


# ---- Ports that the config does not set ----

SHARED = {"sbatch_extra_flags": {"exclusive": False, "nodelist": "a1"}}


def unset(config):
    """The port is the group's."""
    del config["deployment"]["port"]
    del config["execution"]["proxy"]
    return config


def port_of(job):
    return int(re.search(r"port (\d+): nel-port\(deployment:8000\)", log(job, "slurm-*.log")).group(1))


def with_variables(site, name, **members):
    """What each container sees of the port, and of the daemon's own variables."""
    served = {"type": "vllm", "checkpoint_path": site.env["NEL_CHECKPOINT"], "served_model_name": name,
              "env_vars": {"SERVED_AT": "lit:${deployment.port}"}, "pre_cmd": "env -0 >/results/server-env"}
    return unset(site.config(served, task(8, delay_s=1, parallelism=1), execution=SHARED, evaluation={
        "pre_cmd": "env -0 >/results/env; umask >/results/umask", "env_vars": {"ASK_AT": "lit:${deployment.port}"}},
        **members))


@submission()
def one_of_two(site):
    return with_variables(site, MODEL)


@submission()
def two_of_two(site):
    return with_variables(site, MODEL)


def test_two_evaluations_on_one_node_ask_their_own_servers(run):
    jobs = [run("one_of_two"), run("two_of_two")]
    ports = [port_of(job) for job in jobs]
    assert ports[0] != ports[1]
    for job, port in zip(jobs, ports):
        assert f"url: http://127.0.0.1:{port}/v1/chat/completions" in artifact(job, "config_ef.yaml")
        assert variables(job)["ASK_AT"] == variables(job, "server-env")["SERVED_AT"] == str(port)
        asked = re.findall("POST /v1/chat/completions", log(job, "server-0-*.log"))
        assert len(asked) == 8


def test_containers_have_the_umask_of_the_account_and_none_of_our_variables(run):
    job = run("one_of_two")
    assert artifact(job, "umask").strip() == "0022"
    for name in ("env", "server-env"):
        ours = [v for v in variables(job, name) if v.startswith("NEL_") and v != "NEL_TEST_IMAGE" or v in ("SLURM_TIME_FORMAT", "LC_ALL")]
        assert ours == []


@submission()
def dead_first(site):
    config = with_variables(site, MODEL)
    config["deployment"]["env_vars"]["NEL_TEST_SERVER_EXIT"] = "lit:3"
    return config


@submission()
def living_beside(site):
    return with_variables(site, MODEL)


@submission()
def dead_second(site):
    config = with_variables(site, MODEL)
    config["deployment"]["env_vars"].update(NEL_TEST_SERVER_EXIT="lit:3")
    return config


def test_dead_server_beside_a_living_one_of_the_same_model_fails_in_both_orders(run):
    assert run("living_beside")["state"] == "succeeded"
    for name in ("dead_first", "dead_second"):
        job = run(name, "failed")
        assert "NEL_TEST_SERVER_EXIT" in job["reason"]
        assert not (job_directory(job) / "artifacts/results.yml").exists()


def job_directory(job):
    return Path(job["rundir"])


@submission()
def instances(site):
    config = site.config({"type": "vllm", "checkpoint_path": site.env["NEL_CHECKPOINT"]},
                         execution={"num_nodes": 2, "num_instances": 2, "sbatch_extra_flags": {"exclusive": False}})
    return unset(config)


def test_instances_and_their_proxy_listen_on_ports_that_are_free_on_each_node(run):
    job = run("instances")
    proxy = re.search(r"port (\d+): nel-port\(proxy:5009\)", log(job, "slurm-*.log")).group(1)
    assert f"url: http://127.0.0.1:{proxy}/" in artifact(job, "config_ef.yaml")
    config = (job_directory(job) / "proxy.cfg").read_text()
    assert f"bind *:{proxy}\n" in config and len(re.findall(rf"server instance\d \S+:{port_of(job)} ", config)) == 2


def ray(site):
    return unset(site.vllm(task(8, delay_s=1, parallelism=1), deployment={"type": "vllm_ray"}, execution={
        "num_nodes": 2, "sbatch_extra_flags": {"exclusive": False, "nodelist": "a1,a2"}}))


@submission()
def one_ray(site):
    return ray(site)


@submission()
def other_ray(site):
    return ray(site)


def test_two_ray_clusters_on_the_same_nodes_have_ports_of_their_own(run):
    jobs = [run("one_ray"), run("other_ray")]
    chosen = [dict(re.findall(r"port (\d+): nel-port\(deployment-ray-(\w+):\d+\)", log(job, "slurm-*.log"))) for job in jobs]
    assert [len(set(ports.values())) for ports in chosen] == [9, 9]
    assert not set(chosen[0]) & set(chosen[1])
    for job in jobs:
        assert "node_2" in log(job, "server-0-*-0.log")
        assert len(re.findall("POST /v1/chat/completions", log(job, "server-0-*-0.log"))) == 8


@submission()
def own_nim(site):
    return unset(site.config({"type": "nim", "image": site.env["NEL_IMAGE"],
                              "env_vars": {"NIM_SERVED_MODEL_NAME": "lit:" + MODEL}}, execution=SHARED))


def test_nim_is_told_its_port(run):
    job = run("own_nim")
    assert f":{port_of(job)}\n" in log(job, "server-0-*.log")
